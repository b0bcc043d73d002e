/** A transcript. One that is not there yet is asked for, and is there a moment later. */
import type { Interaction } from '../api'
import { Problem } from '../api/client'
import { t } from '../i18n'
import { download } from '../ui/download'
import { useDesk } from './desk'

/** A transcript takes some seconds, one with many files longer. */
const TRIES = 20
const PAUSE = 1_500
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE))

/** The calls of one of the APIs. */
export interface TranscriptCalls {
  make(id: string, key: string): Promise<unknown>
  get(id: string, attachments: boolean): Promise<{ url: string }>
}

/** An open conversation's transcript is of an earlier state, so it is made anew. */
export async function saveTranscript(it: Pick<Interaction, 'id' | 'status'>, attachments: boolean, calls: TranscriptCalls) {
  const desk = useDesk()
  let asked = false
  async function ask() {
    await calls.make(it.id, crypto.randomUUID())
    desk.say(t('transcriptSoon'))
    // Its version has changed, and no event tells of that.
    if (desk.store.interactions.has(it.id)) await desk.refresh(it.id)
  }
  try {
    if (it.status === 'open') {
      await ask()
      asked = true
      await pause()
    }
    for (let tries = 0; tries < TRIES; tries += 1) {
      try {
        return download((await calls.get(it.id, attachments)).url)
      } catch (error) {
        if (!(error instanceof Problem) || error.kind !== 'transcript-not-ready') throw error
      }
      if (!asked) {
        await ask()
        asked = true
      }
      await pause()
    }
    desk.say(t('transcriptLate'), true)
  } catch (error) {
    desk.sayProblem(error)
  }
}
