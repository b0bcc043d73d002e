/** The words for what the administrators' API refuses. */
import { Problem } from '../../api/client'
import { t, type Key } from '../../i18n'
import { said as general } from '../../problems'

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
  const known = error instanceof Problem ? WORDS[error.kind] : undefined
  if (known) return t(known)
  // Which fields, they say themselves.
  return error instanceof Problem && error.status === 422 ? t('problemFields') : general(error)
}

/** The words for a kind of problem inside an answer, such as a finding of a check. */
export const saidOf = (kind: string | undefined): string | undefined => {
  const known = WORDS[kind?.split('/').at(-1) ?? '']
  return known && t(known)
}

export const asProblem = (error: unknown): Problem => (error instanceof Problem ? error : new Problem(0, 'unknown', String(error)))
