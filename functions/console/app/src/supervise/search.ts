/** An advanced search: conditions that are edited, switched off or removed one by one. It lives in the address. */
import type { SearchField } from '../api/supervisor'
import type { Key } from '../i18n'
import { refusal, type Refusal } from '../refusals'

export interface Condition {
  field: string
  operator: string
  value?: string | number
  disabled?: boolean
}
export interface Search {
  match: 'all' | 'any'
  conditions: Condition[]
}
/** The name of a variable follows it: `variables.tier`. */
export const VARIABLE = 'variables.'

export const encode = (search: Search) => JSON.stringify(search)

/** The search of an address, or nothing where it is none: addresses are typed by hand, too. */
export function decode(text: unknown): Search | undefined {
  if (typeof text !== 'string' || !text) return
  try {
    const { match, conditions } = JSON.parse(text) as Partial<Search>
    if (!Array.isArray(conditions)) return
    const made = conditions.filter((it) => typeof it?.field === 'string' && typeof it.operator === 'string').map(({ field, operator, value, disabled }) => ({
      field, operator, ...(value === undefined ? {} : { value }), ...(disabled === true ? { disabled } : {})
    }))
    return { match: match === 'any' ? 'any' : 'all', conditions: made }
  } catch {
    return
  }
}

export const fieldOf = (fields: SearchField[], name: string) => fields.find((it) => it.name === name || (it.name === VARIABLE && name.startsWith(VARIABLE)))

/** Whether a condition says all that its field and operator want. The API checks the rest. */
export function isComplete(condition: Condition, field: SearchField | undefined): boolean {
  if (!field || !(field.operators as string[]).includes(condition.operator) || condition.field === VARIABLE) return false
  if (condition.operator === 'is_empty') return true
  return field.kind === 'number' ? Number.isInteger(condition.value) : typeof condition.value === 'string' && condition.value.trim() !== ''
}

/** What is wrong with a condition, of an answer's `errors`: `search.conditions[2].value`. */
export function faultsOf(errors: Refusal[], index: number): string[] {
  return errors.filter((it) => it.field.startsWith(`search.conditions[${index}]`)).map(refusal)
}

export const FIELDS: Record<string, Key> = {
  id: 'fieldId', account: 'accountName', contact_id: 'fieldContactId', contact_name: 'fieldContactName', contact_phone: 'phone', agent: 'agent', queue: 'queueName', status: 'status', read: 'read', tags: 'tags',
  disposition: 'disposition', opened: 'openedAt', closed: 'closedAt', first_message: 'fieldFirstMessage', last_message: 'lastMessage', text: 'fieldText', direction: 'fieldDirection', priority: 'priority', sentiment: 'sentiment',
  [VARIABLE]: 'variable'
}
export const OPERATORS: Record<string, Key> = {
  equals: 'opEquals', differs: 'opDiffers', contains: 'opContains', starts_with: 'opStartsWith', ends_with: 'opEndsWith', before: 'opBefore', after: 'opAfter', less: 'opLess', greater: 'opGreater', is_empty: 'opIsEmpty'
}
export const CHOICES: Record<string, Key> = {
  open: 'open', closed: 'closed', archived: 'archived', read: 'readOnly', unread: 'unreadOnly', in: 'fromCustomer', out: 'fromUs', positive: 'positive', neutral: 'neutral', negative: 'negative', mixed: 'mixed'
}
