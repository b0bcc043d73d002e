/** Refused fields in the person's language: by the refusal's code, and by the field where that says more. */
import type { components } from './api/admin.gen'
import { current, t, type Key } from './i18n'

export type Refusal = components['schemas']['FieldError']
type Code = components['schemas']['RefusalCode']

const CODES: Record<Code, Key> = {
  required: 'refusedRequired', 'too-long': 'refusedTooLong', 'too-many': 'refusedMany', 'out-of-range': 'refusedOutside', 'not-unique': 'refusedTaken', 'unknown-value': 'refusedUnknown', 'unknown-field': 'refusedNoField',
  'read-only': 'refusedFixed', 'wrong-type': 'refusedType', 'wrong-format': 'refusedFormat', 'wrong-template': 'refusedTemplate', 'not-allowed': 'refusedHere', invalid: 'refusedValue'
}
/** Kinds that say all there is to say. Of the others the API's own words tell more to those who read English. */
const PLAIN: Code[] = ['required', 'too-long', 'too-many', 'out-of-range', 'not-unique', 'unknown-field', 'read-only']
/** Fields, by their last name, of which more can be said. */
const FIELDS: Record<string, Key> = {
  'key not-unique': 'refusedKeyTaken', 'key wrong-format': 'refusedKey', 'phone wrong-format': 'refusedPhone', 'phone required': 'refusedNoAddress', 'email wrong-format': 'refusedEmail', 'subject required': 'refusedSubject', 'email required': 'refusedSubject',
  'lists required': 'refusedNoList', 'label not-unique': 'refusedLabel', 'then wrong-format': 'refusedJump', 'else wrong-format': 'refusedJump', 'to wrong-format': 'refusedJump', 'name not-unique': 'refusedNameTaken',
  'subject not-unique': 'refusedAgentTaken', 'email not-unique': 'refusedAgentTaken', 'topic not-unique': 'refusedTopicTaken', 'tag not-unique': 'refusedNameTaken', 'q wrong-format': 'refusedSearch', 'url wrong-format': 'refusedUrl', 'url not-allowed': 'refusedUrl',
  'base_url wrong-format': 'refusedUrl', 'base_url not-allowed': 'refusedUrl', 'domain wrong-format': 'refusedDomain', 'time_zone wrong-format': 'refusedZone', 'zone wrong-format': 'refusedZone', 'language wrong-format': 'refusedLanguage'
}

/** The ends of what is said of a text with variables or a condition, by their beginnings; more ends may come. */
const ENDS: [end: string, reason: Key][] = [
  ['this tag is never closed', 'faultUnclosed'], ['expected a name such as', 'faultName'], ['disconnected closing tag', 'faultEnd'], ["expected '{{/", 'faultEnd'], ['unclosed', 'faultSection'],
  ['a template has at most', 'faultTemplateLong'], ['expected the end: a condition has', 'faultLong'], ['expected a comparison', 'faultDeep'], ['expected &&, || or )', 'faultParenthesis'],
  ['expected &&, || or the end', 'faultJoin'], ['expected =,', 'faultOperator'], ['expected the quote', 'faultQuote'], ['expected the end of the number', 'faultNumber'], ['expected a digit', 'faultNumber'],
  ['expected a name, a number', 'faultValue'], ['expected a name of', 'faultUnknown'], ["expected a variable's name", 'faultVariable']
]

function said(code: Code, field: string, most: number | null | undefined): Key {
  // A secret names how long it may be, whatever its field is called.
  if (code === 'wrong-format' && most) return 'refusedSecretForm'
  return FIELDS[`${field.split(/[.[]/).at(-1)} ${code}`] ?? CODES[code] ?? 'refusedValue'
}

export function refusal({ field, code, message, min, max }: Refusal): string {
  const key = said(code, field, max)
  if (current() === 'en' && key === CODES[code] && !PLAIN.includes(code)) return sentence(message)
  const [least, most] = [min ?? undefined, max ?? undefined]
  if (key === 'refusedOutside' && most !== undefined) return least === undefined ? t('refusedUpTo', { max: most }) : t('refusedRange', { min: least, max: most })
  if (key === 'refusedTooLong' && most !== undefined) return t('refusedLong', { most })
  if (key === 'refusedMany' && most !== undefined) return t('refusedEntries', { most })
  if (key === 'refusedSecretForm') return t(key, { most: most! })
  if (code === 'wrong-template') {
    const [, place = '?', end = ''] = /^at character (\d+): (.*)/s.exec(message) ?? []
    const reason = ENDS.find(([begins]) => end.startsWith(begins))?.[1]
    return reason ? t('refusedAt', { place, reason: t(reason) }) : t(key, { place })
  }
  return t(key)
}

const sentence = (message: string) => `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.?!]$/.test(message) ? '' : '.'}`

/** The refused fields of an answer, as they came. */
export const refusals = (body: Record<string, unknown> | undefined): Refusal[] => (Array.isArray(body?.errors) ? (body.errors as Refusal[]) : [])

/** What is said of each, by its path: `plan[2].timeout`. */
export const refusedFields = (body: Record<string, unknown> | undefined): Map<string, string> => new Map(refusals(body).map((it) => [it.field, refusal(it)]))
