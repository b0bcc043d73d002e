/** Commands and calls that may be repeated, and when. */
import type { Presence } from '../api'
import { Problem } from '../api/client'
import type { Snapshot } from './store'

/** A lost answer mostly comes at the second try; after the third the person decides. */
const TRIES = 3

/** What an AI agent's service refuses it would refuse again, and each call is paid for. */
const mayRepeat = (error: unknown) => error instanceof Problem && error.mayPass && !error.kind.startsWith('ai-')

/** Carries out a command, at each try with the same key, so that a repetition after a lost answer changes nothing. */
export async function repeated<T>(run: (key: string) => Promise<T>, pause: () => Promise<void>): Promise<T> {
  const key = crypto.randomUUID()
  for (let tries = 1; ; tries += 1) {
    try {
      return await run(key)
    } catch (error) {
      if (!mayRepeat(error) || tries === TRIES) throw error
    }
    await pause()
  }
}

/**
 * Whether the next try to start a video call is a new one, with a key of its own. A lost answer is asked for again, and
 * so is a call that is being made; after any other failure, such as Vidaoo's, nothing was made.
 */
export function isOver(error: unknown): boolean {
  if (!(error instanceof Problem)) return true
  return error.kind !== 'video-under-way' && (!error.mayPass || error.kind.startsWith('video-'))
}

/**
 * All that the API says of this agent. The presence is asked for after the list, whose number comes first: what happens
 * after the first answer's number is told of twice then, and never not at all.
 */
export async function snapshotOf(list: () => Promise<Omit<Snapshot, 'presence'>>, presence: () => Promise<Presence>): Promise<Snapshot> {
  const mine = await list()
  return { ...mine, presence: await presence() }
}
