/** What messages and histories are in words. */
import type { HistoryEntry, Message } from '../api'
import { t, type Key } from '../i18n'

/** The customer's mood. */
export const MOODS: Record<'positive' | 'neutral' | 'negative' | 'mixed', Key> = { positive: 'positive', neutral: 'neutral', negative: 'negative', mixed: 'mixed' }

/** Why an AI agent handed over. */
export const ESCALATED: Record<string, Key> = {
  model: 'escalatedModel', phrase: 'escalatedPhrase', late: 'escalatedLate', failed: 'escalatedFailed', refused: 'escalatedRefused', unusable: 'escalatedUnusable',
  repeated: 'escalatedRepeated', unreadable: 'escalatedUnreadable', limit: 'escalatedLimit', overtaken: 'escalatedOvertaken', window_expired: 'escalatedWindow', gone: 'escalatedGone'
}

const KINDS: Record<string, Key> = { image: 'photo', video: 'video', audio: 'audio', voice: 'voice', document: 'document', sticker: 'sticker' }
/** What a file is called that says nothing else. */
export const kindOf = (kind: string | null | undefined) => t(KINDS[kind ?? ''] ?? 'file')

/** A message without its author: its text, or what it is. */
export function gist(message: Message): string {
  const content = message.content
  const kind = message.attachments?.[0]?.kind
  switch (content.type) {
    case 'text':
    case 'note':
    case 'system':
      return content.body
    case 'media':
      return content.caption || kindOf(kind)
    case 'location':
      return content.label || content.address || t('location')
    case 'button':
    case 'form':
      return content.text
    case 'list_reply':
      return content.title
    case 'contacts':
      return content.cards.map((card) => card.name).filter(Boolean).join(', ') || t('contactCard')
    case 'template':
      // The provider has the template's text; its parameters tell what it was about.
      return [t('templateNamed', { name: content.name }), (content.body ?? []).map(parameter).filter(Boolean).join(' · ')].filter(Boolean).join(': ')
    case 'reaction':
      return content.emoji
    default:
      return t('unsupported')
  }
}

/** An agent's reaction shows at the message that it is about; one that did not arrive is a line of its own. */
export const standsAtItsMessage = (message: Message): boolean =>
  message.content.type === 'reaction' && message.author.kind === 'agent' && !!message.reply_to && message.state !== 'failed' && message.state !== 'unknown'

/** Our side's latest reaction to each message; WhatsApp keeps one a side. */
export function ourReactions(thread: Message[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const message of thread) {
    if (message.content.type !== 'reaction' || !standsAtItsMessage(message)) continue
    if (message.content.emoji) found.set(message.reply_to!, message.content.emoji)
    else found.delete(message.reply_to!)
  }
  return found
}

type Parameter = NonNullable<Extract<Message['content'], { type: 'template' }>['body']>[number]
function parameter(it: Parameter): string {
  if (typeof it === 'string') return it
  if ('text' in it) return it.text
  return 'currency' in it ? it.currency.fallback : it.date_time.fallback
}

/** The line of a list about the latest message. */
export function preview(author: Message['author'], text: string, me: string): string {
  return author.kind === 'agent' && author.agent === me ? t('you', { text }) : text
}

/** One line of "why here", or nothing where it tells a person nothing. */
export function sentence(entry: HistoryEntry, name: (id: string | null | undefined) => string): string | undefined {
  switch (entry.fact) {
    case 'opened': return t('whyOpened')
    case 'started': return t('whyStarted', { name: name(entry.agent) })
    case 'not_whitelisted': return t('whyNotWhitelisted')
    case 'blocked': return t('whyBlocked')
    case 'account_inactive': return t('whyInactive')
    case 'offered': {
      // A queue's members are chosen by `assign`, which names them; one agent is named by the offer itself.
      const rung = (entry.audience.kind === 'agents' ? entry.audience.who : (entry.rung ?? [])).map(name).join(', ')
      const over = (entry.passed_over ?? []).map((it) => t('whyPassedOver', { name: name(it.agent), why: t(WHY[it.why] ?? 'notAvailable') }))
      const target = entry.target.kind === 'account' ? t('everybody') : name(entry.target.id)
      if (entry.target.kind === 'agent') return [t('whyOfferedTo', { target }), ...over].join(' ')
      return [rung ? t('whyOffered', { target, rung }) : t('whyWaited', { target }), ...over].join(' ')
    }
    case 'offer_missed': return t('whyMissed')
    case 'rejected': return t('whyRejected', { name: name(entry.agent) })
    case 'accepted': return t('whyAccepted', { name: name(entry.agent) })
    case 'picked': return t('whyPicked', { name: name(entry.agent) })
    case 'transferred': return t('whyTransferred', { name: name(entry.agent), target: name(entry.to.id) })
    case 'returned': return t('whyReturned', { name: name(entry.agent) })
    case 'reassigned': return t('whyReassigned', { name: name(entry.by), target: name(entry.to) })
    case 'unassigned': return t('whyUnassigned', { name: name(entry.agent) })
    case 'agent_left': return t('whyLeft', { name: name(entry.agent) })
    case 'closed': return entry.agent ? t('whyClosed', { name: name(entry.agent) }) : t('whyClosedItself')
    case 'reopened': return t('whyReopened', { name: name(entry.agent) })
    case 'loop_cut': return t('whyLoop')
    case 'wait_started': return entry.stage.stage === 'exhausted' ? t('whyExhausted') : undefined
    default: return undefined
  }
}

/** Why an agent was not rung. */
export const WHY: Record<string, Key> = {
  logged_out: 'becauseLoggedOut', paused: 'becausePaused', no_free_slot: 'becauseFull', rejected: 'becauseRejected', missed: 'becauseMissed', not_of_account: 'becauseNotOfAccount'
}
