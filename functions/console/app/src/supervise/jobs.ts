/** What takes longer than a request: exports and deletions, with their progress while somebody looks. */
import { shallowReactive } from 'vue'
import * as api from '../api/supervisor'
import type { Key } from '../i18n'
import { supervisorCaller as caller, useDesk } from '../desk/desk'
import { download } from '../ui/download'

/** A job reports after each piece of work, some seconds apart. */
const SOON = 2_000
/** What is left of a deletion is a second look, a quarter of an hour later. */
const LATER = 30_000

/** The jobs that were ordered on this page, until they are taken off it. */
export const followed = shallowReactive(new Map<string, api.Job>())
export const hasEnded = (job: api.Job) => job.state === 'done' || job.state === 'failed' || job.state === 'cancelled'
export const share = ({ counts: { done, skipped, total } }: api.Job) => (total > 0 ? Math.min(1, (done + skipped) / total) : 0)

export const KINDS: Record<string, Key> = { export_interactions: 'jobExport', export_contacts: 'jobContacts', import_contacts: 'jobImport', delete: 'jobDelete', preview_deletion: 'jobPreview', preview_retention: 'jobPreview', erase: 'jobErase', fill_lists: 'jobFill', fill_documents: 'jobDocuments' }
export const STATES: Record<api.Job['state'], Key> = { queued: 'jobQueued', running: 'jobRunning', done: 'jobDone', failed: 'jobFailed', cancelled: 'jobCancelled' }

export function follow(job: api.Job) {
  followed.set(job.id, job)
  if (hasEnded(job)) return
  setTimeout(() => void look(job.id), share(job) === 1 ? LATER : SOON)
}

async function look(id: string) {
  const known = followed.get(id)
  if (!known) return
  if (document.hidden) return follow(known)
  try {
    follow(await api.job(caller, { path: { id } }))
  } catch {
    // The last word about it stays on the screen.
    follow(known)
  }
}

/** Waits for a job whose end somebody watches; when that one has `gone`, it is stopped. */
export async function ended(job: api.Job, seen: (job: api.Job) => void, gone: () => boolean): Promise<api.Job | undefined> {
  for (seen(job); !hasEnded(job); seen(job)) {
    await new Promise((resolve) => setTimeout(resolve, SOON))
    if (gone()) return void (await cancel(job.id))
    job = await api.job(caller, { path: { id: job.id } })
  }
  return job
}

export async function cancel(id: string): Promise<api.Job | undefined> {
  try {
    const job = await api.cancelJob(caller, { path: { id } })
    if (followed.has(id)) followed.set(id, job)
    return job
  } catch (error) {
    useDesk().sayProblem(error)
    return undefined
  }
}

export async function save(id: string) {
  try {
    download((await api.jobFile(caller, { path: { id } })).url)
  } catch (error) {
    useDesk().sayProblem(error)
  }
}
