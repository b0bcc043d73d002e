/** The words for triggers. */
import { t, type Key } from '../../i18n'
import type { Choice } from '../kit/fields'

export const EVENTS: Choice[] = [
  { value: 'interaction.opened', label: 'eventOpened' },
  { value: 'interaction.closed', label: 'eventClosed' },
  { value: 'offer.accepted', label: 'eventAccepted' },
  { value: 'offer.rejected', label: 'eventRejected' },
  { value: 'message.incoming', label: 'eventIncoming' },
  { value: 'message.outgoing', label: 'eventOutgoing' }
]
const OUTCOMES: Record<string, Key> = {
  delivered: 'triedDelivered', refused: 'triedRefused', no_answer: 'triedNoAnswer', bad_address: 'triedBadAddress'
}

export const eventShown = (event: string) => {
  const found = EVENTS.find((it) => it.value === event)
  return found ? t(found.label) : event
}
export const eventsShown = (value: unknown) => (Array.isArray(value) ? value.map((it) => eventShown(String(it))).join(', ') : '')
/** What became of a call, with the status if there was an answer. */
export const outcomeShown = (outcome: string, status?: number | null) => {
  const known = OUTCOMES[outcome]
  return [known ? t(known) : outcome, status].filter(Boolean).join(' ')
}
