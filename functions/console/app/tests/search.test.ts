import { expect, it } from 'vitest'
import fc from 'fast-check'
import { decode, encode, faultsOf, fieldOf, isComplete, type Search } from '../src/supervise/search'
import type { SearchField } from '../src/api/supervisor'
import type { Refusal } from '../src/refusals'

const fields: SearchField[] = [
  { name: 'text', kind: 'messages', operators: ['contains', 'is_empty'] },
  { name: 'priority', kind: 'number', operators: ['equals', 'less'] },
  { name: 'variables.', kind: 'text', operators: ['equals'] }
]

it('comes out of an address as it went in', () => {
  const condition = fc.record({ field: fc.string(), operator: fc.string(), value: fc.oneof(fc.string(), fc.integer()), disabled: fc.constant(true as const) }, { requiredKeys: ['field', 'operator'] })
  fc.assert(fc.property(fc.record({ match: fc.constantFrom('all' as const, 'any' as const), conditions: fc.array(condition) }), (search) => {
    expect(decode(encode(search))).toEqual(search)
  }))
})

it('takes no address for a search that is none', () => {
  for (const text of [undefined, '', 'x', '{}', '[]', 'null', '{"conditions":1}']) expect(decode(text)).toBeUndefined()
  const odd = decode('{"match":"some","conditions":[null,1,{"field":"text"},{"field":"text","operator":"contains","value":"a","more":1}]}')
  expect(odd).toEqual<Search>({ match: 'all', conditions: [{ field: 'text', operator: 'contains', value: 'a' }] })
})

it('is complete with a value of the field’s kind', () => {
  const complete = (field: string, operator: string, value?: string | number) => isComplete({ field, operator, value }, fieldOf(fields, field))
  expect([complete('text', 'contains', 'a'), complete('text', 'contains', ' '), complete('text', 'contains'), complete('text', 'is_empty')]).toEqual([true, false, false, true])
  expect([complete('priority', 'less', 3), complete('priority', 'less', ''), complete('priority', 'less', 1.5), complete('priority', 'contains', 3)]).toEqual([true, false, false, false])
  expect([complete('variables.tier', 'equals', 'gold'), complete('variables.', 'equals', 'gold'), complete('colour', 'equals', 'red')]).toEqual([true, false, false])
})

it('finds the faults of a condition by its place', () => {
  const errors = [{ field: 'search.conditions[1].value', code: 'wrong-format', message: 'must be a day' }, { field: 'search.conditions[10].value', code: 'invalid', message: 'other' }] as Refusal[]
  expect([faultsOf(errors, 1), faultsOf(errors, 0)]).toEqual([['Must be a day.'], []])
})
