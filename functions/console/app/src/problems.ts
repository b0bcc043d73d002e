/** What the agents' and the supervisors' APIs refuse, in the person's language. */
import { Problem } from './api/client'
import { t, type Key } from './i18n'
import { refusal, refusals } from './refusals'

const WORDS: Record<string, Key> = {
  'ai-address-refused': 'aiRefused', 'ai-busy': 'aiBusy', 'ai-failed': 'aiFailed', 'ai-key-missing': 'aiRefused', 'ai-late': 'aiLate', 'ai-no-answer': 'aiNoAnswer', 'ai-not-taken': 'aiRefused',
  'ai-refused': 'aiRefused', 'ai-too-long': 'aiTooLong', 'ai-unknown': 'aiRefused', 'ai-used-up': 'aiUsedUp', 'assistant-off': 'aiOff', 'insights-off': 'insightsOff', 'no-ai-agent': 'aiNobody', 'nothing-to-answer': 'aiNothing', 'nothing-to-sum-up': 'aiNothing',
  'account-inactive': 'refusedInactive', 'at-capacity': 'refusedCapacity', 'attachment-failed': 'fileLost', 'attachment-pending': 'filePending', 'attachment-too-large': 'refusedTooLarge', changed: 'refusedChanged', 'customer-blocked': 'refusedBlocked', closed: 'spyClosed', deleted: 'spyGone',
  forbidden: 'problemForbidden', 'has-interactions': 'refusedHasConversations', held: 'refusedHeld', 'language-unclear': 'translateUnclear', 'language-unknown': 'translateUnknown', 'language-unsupported': 'translateUnsupported', linked: 'refusedLinked', 'log-not-ready': 'refusedLog', 'logged-out': 'refusedLoggedOut', 'marketing-refused': 'refusedMarketing', 'media-type': 'refusedMediaType', merged: 'refusedMerged',
  'no-agent': 'noAgent', no_agent: 'noAgent', 'no-customer-message': 'refusedNoMessage', 'no-file': 'refusedNoFile', 'no-such-target': 'refusedTarget', 'not-failed': 'refusedNotFailed', 'not-a-member': 'refusedMember', 'not-found': 'problemGone',
  'not-ready': 'refusedNotReady', 'nothing-to-translate': 'translateNothing', 'not-sendable': 'refusedNotSendable', 'not-yours': 'refusedNotYours', 'offer-gone': 'refusedOffer', 'other-open': 'refusedOtherOpen', 'provider-unreachable': 'problemUnreachable', 'provider-error': 'problemProvider', 'refused-credentials': 'problemCredentials', 'recontact-unfilled': 'refusedUnfilled', 'retention-unconfirmed': 'refusedChanged',
  session: 'sessionEnded', 'still-open': 'refusedStillOpen', superseded: 'refusedChanged', 'text-too-long': 'translateTooLong', 'too-many-requests': 'refusedTooMany', 'too-many-searches': 'refusedManySearches', 'too-many-watchers': 'spyFull', 'transcript-not-ready': 'transcriptLate', 'transfer-off': 'refusedTransferOff', 'transfer-underway': 'transferRuns', 'translation-key-missing': 'translateNoKey', 'translation-off': 'translateOff',
  'translator-busy': 'translateBusy', 'translator-failed': 'translateFailed', 'translator-late': 'translateLate', 'translator-refused': 'translateRefused',
  'upload-missing': 'uploadFailed', 'video-address-refused': 'videoRefused', 'video-busy': 'videoBusy', 'video-failed': 'videoFailed', 'video-key-missing': 'warnVideoKey', 'video-not-taken': 'videoRefused', 'video-off': 'videoOff',
  'video-refused': 'videoRefused', 'video-under-way': 'videoUnderWay', 'video-unknown': 'videoUnknown', 'video-unreadable': 'videoFailed',
  'whatsapp-disabled': 'refusedWhatsapp', 'window-expired': 'windowOver'
}

/** The words for a kind of problem, such as one inside an answer. */
export const saidOf = (type: string): string | undefined => {
  const known = WORDS[type.split('/').at(-1) ?? '']
  return known && t(known)
}

export function said(error: unknown): string {
  if (!(error instanceof Problem)) return String(error)
  if (error.status === 0) return t('networkFailed')
  // An offer that somebody else has.
  if (typeof error.body.owner_name === 'string') return t('withAgent', { name: error.body.owner_name })
  const known = WORDS[error.kind]
  if (known) return t(known)
  if (error.status >= 500) return t('problemBusy')
  // What names a field is for whoever filled it in.
  const [fault] = refusals(error.body)
  return fault ? `${fault.field}: ${refusal(fault)}` : (error.detail ?? error.title)
}
