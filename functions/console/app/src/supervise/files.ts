/** Transcripts and logs. One that is not there yet is asked for, and is there a moment later. */
import * as api from '../api/supervisor'
import { Problem } from '../api/client'
import { supervisorCaller as caller, useDesk } from '../desk/desk'
import { t } from '../i18n'
import { download } from '../ui/download'

/** A transcript takes some seconds, one with many files longer. */
const TRIES = 20
const PAUSE = 1_500
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE))

/** An open conversation's transcript is of an earlier state, so it is made anew. */
export async function saveTranscript(it: api.Listed, attachments: boolean) {
  const desk = useDesk()
  const path = { id: it.id }
  let asked = false
  async function ask() {
    await api.makeTranscript(caller, { path, key: crypto.randomUUID() })
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
        return download((await api.transcript(caller, { path, query: { attachments } })).url)
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

export async function saveLog(id: string) {
  try {
    download((await api.log(caller, { path: { id } })).url)
  } catch (error) {
    useDesk().sayProblem(error)
  }
}
