/** What interactions are in words. */
import type { Listed } from '../api/supervisor'
import type { Key } from '../i18n'

export type Tone = 'good' | 'warn' | 'off' | 'accent'

/** The state in a word. An open one says whether a person has it, and whether something waits there. */
export function statusOf(it: Pick<Listed, 'status' | 'archived' | 'agent' | 'ai' | 'unread'>): { word: Key; tone: Tone } {
  if (it.archived) return { word: 'archived', tone: 'off' }
  if (it.status === 'closed') return { word: 'closed', tone: 'off' }
  if (!it.agent) return it.ai ? { word: 'withAi', tone: 'accent' } : { word: 'waiting', tone: 'warn' }
  return it.unread ? { word: 'openUnread', tone: 'accent' } : { word: 'open', tone: 'good' }
}
