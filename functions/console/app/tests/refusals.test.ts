import { readFileSync } from 'node:fs'
import { beforeAll, expect, it, vi } from 'vitest'
import { choose } from '../src/i18n'
import { refusal, refusedFields, type Refusal } from '../src/refusals'

beforeAll(() => {
  vi.stubGlobal('navigator', { languages: ['en-GB'] })
  vi.stubGlobal('localStorage', { setItem: () => undefined })
  vi.stubGlobal('document', { documentElement: {} })
})
const said = (it: object) => refusal({ field: 'note', code: 'invalid', message: 'an English word', ...it } as Refusal)

it('says what a code says, with its limits, and more where the field is known', async () => {
  await choose('en')
  expect(said({ code: 'required' })).toBe('This must be filled in.')
  expect(said({ code: 'out-of-range', min: 1, max: 100 })).toBe('A whole number from 1 to 100.')
  expect([said({ code: 'too-long', max: 100 }), said({ code: 'too-many', max: 40 }), said({ code: 'out-of-range' })]).toEqual(['At most 100 characters.', 'At most 40 entries.', 'This is outside what is allowed.'])
  expect(said({ field: 'key', code: 'wrong-format' })).toBe('Exactly five letters or digits.')
  // The key of a service, not that of an account: it says how long it may be.
  expect(said({ field: 'key', code: 'wrong-format', min: 1, max: 200 })).toBe('1 to 200 letters, digits and signs, without blanks.')
  expect(said({ field: 'provider.base_url', code: 'not-allowed' })).toBe('A public address that begins with https://.')
})

it('leaves the API’s own words to those who read English, and to nobody else', async () => {
  await choose('en')
  expect(said({ code: 'wrong-template', message: 'at character 4: this tag is never closed' })).toBe('At character 4: this tag is never closed.')
  await choose('it')
  const codes: string[] = JSON.parse(readFileSync(new URL('../../../../docs/openapi/admin.json', import.meta.url), 'utf8')).components.schemas.RefusalCode.enum as string[]
  expect(codes.length).toBeGreaterThan(10)
  for (const code of codes) expect(said({ code, max: 7 })).not.toMatch(/English|undefined/)
  // A code that a later version adds.
  expect(said({ code: 'brand-new' })).toBe('Questo valore non è ammesso.')
  await choose('en')
})

it('finds what is said of each field', async () => {
  await choose('en')
  const body = { errors: [{ field: 'plan[0].queue', code: 'unknown-value', message: 'there is no queue with this id' }] }
  expect([...refusedFields(body)]).toEqual([['plan[0].queue', 'There is no queue with this id.']])
  expect([refusedFields({}).size, refusedFields(undefined).size]).toEqual([0, 0])
})
