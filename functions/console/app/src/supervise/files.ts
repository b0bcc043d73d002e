/** Transcripts and logs, by the supervisors' API. */
import * as api from '../api/supervisor'
import { supervisorCaller as caller, useDesk } from '../desk/desk'
import { saveTranscript as save } from '../desk/transcripts'
import { download } from '../ui/download'

export const saveTranscript = (it: api.Listed, attachments: boolean) => save(it, attachments, {
  make: (id, key) => api.makeTranscript(caller, { path: { id }, key }),
  get: (id, attachments) => api.transcript(caller, { path: { id }, query: { attachments } })
})

export async function saveLog(id: string) {
  try {
    download((await api.log(caller, { path: { id } })).url)
  } catch (error) {
    useDesk().sayProblem(error)
  }
}

/** What is made while one waits, such as a report as CSV. */
export function saveBlob(blob: Blob, name: string) {
  const url = URL.createObjectURL(blob)
  download(url, name)
  // Some browsers begin to read it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
