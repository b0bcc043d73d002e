/** The 24 hours after a customer's latest message in which free messages are allowed. */
import type { Message } from '../api'

const DAY = 24 * 3_600_000
/** These attach to a message of before and open no window of their own in this thread. */
const SILENT = new Set(['reaction', 'system', 'unsupported'])

/** When it ends; undefined: no customer has written. */
export function windowUntil(thread: Message[]): number | undefined {
  const last = thread.findLast((message) => message.author.kind === 'customer' && !SILENT.has(message.content.type))
  return last && Date.parse(last.at) + DAY
}
