/** How many messages of a customer this agent has not looked at. */
import type { Interaction } from '../api'

/**
 * The count once an interaction has changed. The screen counts what comes while nobody looks; the API also knows what
 * came before this screen was opened, and that the thread was read on another one.
 */
export function unseenAfter(count: number, before: Interaction | undefined, now: Interaction): number {
  if (before?.unread && !now.unread) return 0
  return Math.max(count, now.unread_count ?? 0)
}
