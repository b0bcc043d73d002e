/** The first fault of a condition, while it is typed: the grammar of the plan's conditions. The API has the last word. */
import type { Key } from '../../i18n'

export const NAMES = [
  'account.id', 'account.key', 'account.name', 'account.phone', 'contact.firstName', 'contact.id', 'contact.language', 'contact.lastName', 'contact.mobile',
  'contact.name', 'contact.phone', 'interaction.id', 'interaction.priority', 'interaction.tags', 'list.id', 'list.name', 'message.text',
  'message.type', 'time.date', 'time.day', 'time.hour', 'time.minute', 'time.month', 'time.time', 'time.weekday'
]
const VARIABLE = /^[A-Za-z]\w{0,31}$/

class Wrong extends Error {
  constructor(readonly at: number, readonly reason: Key) {
    super(reason)
  }
}

export function conditionFault(text: string): { place: number; reason: Key } | undefined {
  let at = 0
  const blanks = () => { while (/\s/.test(text[at] ?? '')) at += 1 }
  const fail = (reason: Key): never => { throw new Wrong(at, reason) }
  /** Takes what the expression matches here. */
  function takes(expression: RegExp): string | undefined {
    blanks()
    const found = expression.exec(text.slice(at))?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const any = () => { do all(); while (takes(/^\|\|/)) }
  const all = () => { do one(); while (takes(/^&&/)) }
  function one(): void {
    if (takes(/^!(?!=)/)) return one()
    if (!takes(/^\(/)) return comparison()
    any()
    if (!takes(/^\)/)) fail('faultParenthesis')
  }
  function comparison() {
    value()
    if (!takes(/^(!=|<=|>=|=|<|>|(contains|starts_with)(?!\w))/)) fail('faultOperator')
    value()
  }
  function value() {
    blanks()
    const quote = text[at]
    if (quote === '"' || quote === "'") {
      if (!takes(quote === '"' ? /^"(\\[^]|[^"\\])*"/ : /^'(\\[^]|[^'\\])*'/)) fail('faultQuote')
    } else if (/[\d-]/.test(quote ?? '')) {
      if (!takes(/^-?\d+(\.\d+)?(?![\w.])/)) fail('faultNumber')
    } else {
      const name = /^[A-Za-z][\w.]*/.exec(text.slice(at))?.[0]
      if (!name) return fail('faultValue')
      const variable = name.startsWith('variables.') ? name.slice(10) : name
      if (!NAMES.includes(name) && !VARIABLE.test(variable)) fail('faultUnknown')
      at += name.length
    }
  }
  try {
    any()
    blanks()
    if (at < text.length) fail('faultJoin')
    return undefined
  } catch (error) {
    if (error instanceof Wrong) return { place: [...text.slice(0, error.at)].length + 1, reason: error.reason }
    throw error
  }
}
