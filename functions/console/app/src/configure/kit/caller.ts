/** The words for what the administrators' API refuses. */
import { Problem } from '../../api/client'
import { t, type Key } from '../../i18n'

export { adminCaller as caller } from '../../desk/desk'

/** The problems that have words of their own. */
const WORDS: Record<string, Key> = {
  'no-agent': 'problemNoAgent', 'last-owner': 'problemLastOwner', 'in-use': 'problemInUse', 'contact-exists': 'problemContactExists',
  'open-interactions': 'problemOpenInteractions', 'refused-credentials': 'problemCredentials', 'numbers-not-found': 'problemNumberNotFound',
  'wrong-number-format': 'problemNumberFormat', 'not-found-at-provider': 'problemNotFoundAtProvider', 'webhook-not-set': 'problemWebhook',
  'not-offered': 'problemNotOffered', 'rate-limited': 'problemRateLimited', 'provider-unreachable': 'problemUnreachable',
  'provider-error': 'problemProvider', 'invitation-not-sent': 'problemInvitation'
}

/** A problem in the person's language. */
export function said(error: unknown): string {
  if (!(error instanceof Problem)) return String(error)
  const known = WORDS[error.kind]
  if (known) return t(known)
  if (error.status === 0) return t('networkFailed')
  if (error.status === 403) return t('problemForbidden')
  if (error.status === 404) return t('problemGone')
  if (error.status === 422) return t('problemFields')
  if (error.status === 503) return t('problemBusy')
  return error.detail ?? error.title
}

/** The words for a kind of problem inside an answer, such as a finding of a check. */
export const saidOf = (kind: string | undefined): string | undefined => {
  const known = WORDS[kind?.split('/').at(-1) ?? '']
  return known && t(known)
}

export const asProblem = (error: unknown): Problem => (error instanceof Problem ? error : new Problem(0, 'unknown', String(error)))
