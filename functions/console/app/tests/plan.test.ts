import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { NAMES, conditionFault } from '../src/configure/plan/condition'
import { loops, moved, newRow, planOf, rowsOf, unreached } from '../src/configure/plan/steps'
import type { Doc } from '../src/configure/kit/paths'

const plan: Doc[] = [
  { step: 'goto_if', condition: 'lang = "it"', then: 'italian', else: 3 }, { step: 'queue', queue: 'que_1', timeout: 30 }, { step: 'close' },
  { step: 'queue', queue: 'que_2', timeout: 30, label: 'italian' }, { step: 'goto', to: 1 }
]

it('writes a plan as it was read', () => {
  expect(planOf(rowsOf(plan))).toEqual([{ ...plan[0], else: 'italian' }, ...plan.slice(1)])
})

it('keeps each jump on its step when steps move', () => {
  // The last queue comes first.
  const after = planOf(moved(rowsOf(plan), 3, 0))
  expect(after[0]).toEqual(plan[3])
  expect(after[1]).toMatchObject({ then: 'italian', else: 'italian' })
  expect(after[4]).toEqual({ step: 'goto', to: 2 })
  const rows = rowsOf(plan)
  expect([moved(rows, 0, -1), moved(rows, 4, 5)]).toEqual([rows, rows])
})

it('leaves a jump to a removed step out, for a person to choose anew', () => {
  const rows = rowsOf(plan).filter((_, place) => place !== 1)
  expect(planOf(rows)[3]).toEqual({ step: 'goto' })
})

it('begins steps with what they need', () => {
  expect(planOf([newRow('queue'), newRow('auto_reply')])).toEqual([{ step: 'queue', timeout: 30 }, { step: 'auto_reply', when: 'once' }])
})

/** The places of the rows that a function names. */
const placed = (plan: Doc[], of: typeof loops) => {
  const rows = rowsOf(plan)
  const found = of(rows)
  return rows.flatMap((row, place) => (found.has(row.uid) ? [place] : []))
}
it.each<[string, Doc[], number[]]>([
  ['a jump to itself', [{ step: 'goto', to: 0 }], [0]],
  ['a jump back over a reply', [{ step: 'auto_reply', text: 'x' }, { step: 'goto', to: 0 }], [1]],
  ['a jump back over a queue, which waits', [{ step: 'queue', queue: 'q' }, { step: 'goto', to: 0 }], []],
  ['a queue with hours, which may be passed over', [{ step: 'queue', queue: 'q', interval: { only_within: 'i' } }, { step: 'goto', to: 0 }], [1]],
  ['a condition that may hold for ever', [{ step: 'tag', tag: 'x' }, { step: 'goto_if', condition: 'a = 1', then: 0 }], [1]],
  ['a jump forward', [{ step: 'goto', to: 1 }, { step: 'close' }], []],
  ['two jumps in a ring', [{ step: 'goto', to: 1 }, { step: 'goto', to: 0 }], [0, 1]],
  ['a close in between', [{ step: 'goto_if', condition: 'a = 1', then: 1 }, { step: 'close' }, { step: 'goto', to: 0 }], []]
])('marks the loop of %s', (_, plan, found) => expect(placed(plan, loops)).toEqual(found))

it('marks what no run reaches', () => {
  expect(placed([{ step: 'goto', to: 2 }, { step: 'tag', tag: 'x' }, { step: 'close' }, { step: 'noop' }], unreached)).toEqual([1, 3])
  expect(placed([{ step: 'close', interval: { only_within: 'i' } }, { step: 'noop' }], unreached)).toEqual([])
  expect(placed(plan, unreached)).toEqual([])
})

it.each([
  'a = 1', "contact.mobile starts_with '+39' && !(time.hour < 9 || variables.lang = \"de\")", 'message.text contains "a \\" b"', 'a=-1.5',
  '((a = b))', 'lang!="it"', 'containsx contains x'
])('takes the condition %s', (text) => expect(conditionFault(text)).toBeUndefined())

it.each<[string, number, string]>([
  ['lang == 1', 7, 'faultValue'], ['', 1, 'faultValue'], ['a', 2, 'faultOperator'], ['a = 1 b', 7, 'faultJoin'], ['(a = 1', 7, 'faultParenthesis'],
  ['a = "x', 5, 'faultQuote'], ['a = 1x', 5, 'faultNumber'], ['contact.shoe = 1', 1, 'faultUnknown'], ['a containsx 1', 3, 'faultOperator'],
  ['a = 1 &&', 9, 'faultValue'], ['"é" = é', 7, 'faultValue']
])('sees what is wrong with the condition %s', (text, place, reason) => expect(conditionFault(text)).toEqual({ place, reason }))

it('knows the names that conditions may use, all of them', () => {
  const source = readFileSync(new URL('../../../../shared/domain/src/condition.rs', import.meta.url), 'utf8')
  const list = /pub const NAMES: \[&str; \d+\] = \[([^\]]+)\]/.exec(source)![1]!
  expect(NAMES).toEqual([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name))
})
