import { readFileSync } from 'node:fs'
import { beforeAll, expect, it, vi } from 'vitest'
import { supervisorOperation } from '../src/api/client'
import type { Metric, ReportPart } from '../src/api/supervisor'
import { choose } from '../src/i18n'
import type { Refusal } from '../src/refusals'
import { GROUPS, METRICS, OWN_LEVELS, USUAL, askedOf, bars, between, cell, columnsOf, dayIn, daysAfter, faultsOf, fileName, greatest, has, lasting, namesOf, queryOf, wishOf, word, type By } from '../src/supervise/report'

beforeAll(() => void vi.stubGlobal('navigator', { languages: ['en-GB', 'it-IT'] }))

/** 23:30 of 27 November in Rome; in Auckland it is the 28th. */
const NOW = Date.parse('2026-11-27T22:30:00Z')
const wish = (query: Record<string, string> = {}) => wishOf(query, NOW, 'Europe/Rome')

it('is of the last seven days of the browser’s zone, by account and day, unless the address says otherwise', () => {
  expect(wish()).toMatchObject({ by: 'account', period: 'day', from: '2026-11-21', to: '2026-11-27', zone: 'Europe/Rome', level: OWN_LEVELS, metrics: [] })
  expect(wish({ by: 'weather', period: 'year', from: 'x', to: '27/11/2026', service_level: '51', metrics: 'happiness' })).toEqual(wish())
  expect(wish({ by: 'toString', period: 'constructor' })).toEqual(wish())
  expect(wish({ from: '2026-11-27T08:15', to: '2026-11-27T09:00' })).toMatchObject({ from: '2026-11-27T08:15', to: '2026-11-27T09:00' })
})

it('takes today from the zone of the report', () => {
  expect([dayIn('Europe/Rome', NOW), dayIn('Pacific/Auckland', NOW), dayIn('UTC', NOW)]).toEqual(['2026-11-27', '2026-11-28', '2026-11-27'])
  expect(wish({ zone: 'Pacific/Auckland' })).toMatchObject({ from: '2026-11-22', to: '2026-11-28' })
  // The API says at its field that there is no such zone.
  expect(wish({ zone: 'Europe/Atlantis' }).zone).toBe('Europe/Atlantis')
  expect([daysAfter('2026-03-01', -1), daysAfter('2026-12-31', 1)]).toEqual(['2026-02-28', '2027-01-01'])
})

it('comes out of an address as it went in', () => {
  const asked: Record<string, string>[] = [
    { by: 'queue', period: 'hour', from: '2026-11-01T08:00', to: '2026-11-01T18:00', zone: 'UTC', account: 'acc_1', queue: 'que_1', metrics: 'queued,service_level', service_level: '30' },
    { by: 'disposition', period: 'whole', from: '2026-11-01', to: '2026-11-30', zone: 'Europe/Rome', disposition: 'Sold, "well"' }
  ]
  for (const query of asked) expect(queryOf(wish(query))).toEqual(query)
  expect(queryOf(wish())).toEqual({ by: 'account', period: 'day', from: '2026-11-21', to: '2026-11-27', zone: 'Europe/Rome' })
})

it('asks for nothing that the rows don’t have', () => {
  // The API refuses a queue in a report by agent, and a metric that agents don't have.
  expect(wish({ by: 'agent', queue: 'que_1', agent: 'agt_1' })).toMatchObject({ queue: undefined, agent: 'agt_1' })
  expect(wish({ by: 'queue', queue: 'que_1', agent: 'agt_1', disposition: 'Sold' })).toMatchObject({ queue: 'que_1', agent: undefined, disposition: undefined })
  expect(queryOf({ ...wish({ by: 'queue', queue: 'que_1' }), by: 'agent' })).not.toHaveProperty('queue')
  expect(wish({ by: 'agent', metrics: 'queued,missed,offered' }).metrics).toEqual(['offered', 'missed'])
  expect(queryOf({ ...wish({ by: 'agent' }), metrics: ['missed', 'queued', 'offered'] }).metrics).toBe('offered,missed')
  expect(columnsOf(wish({ by: 'agent', metrics: 'queued' }))).toEqual(USUAL.agent)
  for (const [by, metrics] of Object.entries(USUAL)) expect(metrics.filter((metric) => !has(by as By, metric))).toEqual([])
  const all = Object.keys(METRICS) as Metric[]
  const first = (by: By) => all.filter((metric) => has(by, metric)).slice(0, 2)
  const count = (by: By) => all.filter((metric) => has(by, metric)).length
  expect([first('total'), first('queue'), first('agent'), first('disposition'), first('ai_agent')]).toEqual([['opened', 'started'], ['queued', 'answered'], ['started', 'offered'], ['closed', 'handled'], ['ai_calls', 'ai_failures']])
  expect([count('total'), count('account'), count('queue'), count('agent'), count('disposition'), count('ai_agent')]).toEqual([53, 53, 42, 36, 15, 7])
})

it('knows the API’s metrics in its order, and each can be chosen once', () => {
  const api = JSON.parse(readFileSync(new URL('../../../../docs/openapi/supervisor.json', import.meta.url), 'utf8'))
  expect(Object.keys(METRICS)).toEqual(api.components.schemas.Metric.enum)
  expect(GROUPS.flatMap(([, metrics]) => metrics)).toEqual(Object.keys(METRICS))
})

it('asks the API for the columns by name, and takes the same as a file', async () => {
  const asked: string[] = []
  const reports = supervisorOperation('get', '/reports')
  const caller = { base: 'http://api', token: async () => 't', fetch: async (url: unknown) => { asked.push(String(url)); return new Response('\uFEFFid,name\r\n') } }
  const file: { blob?: Blob } = {}
  await reports(caller as never, { query: { ...askedOf(wish({ by: 'disposition', disposition: 'a, b', metrics: 'closed' })), format: 'csv' }, file })
  expect(Object.fromEntries(new URL(asked[0]!).searchParams)).toEqual({
    by: 'disposition', disposition: 'a, b', period: 'day', from: '2026-11-21', to: '2026-11-27', zone: 'Europe/Rome', metrics: 'closed', format: 'csv'
  })
  // Each queue’s own limit is what the API takes if none is named.
  expect([askedOf(wish()).service_level, askedOf(wish({ service_level: '60' })).service_level]).toEqual([undefined, 60])
  expect([...new Uint8Array(await file.blob!.arrayBuffer())].slice(0, 5)).toEqual([0xef, 0xbb, 0xbf, 0x69, 0x64])
  expect(fileName(wish({ by: 'queue', from: '2026-11-27T08:15' }))).toBe('report-queue-2026-11-27T0815-2026-11-27.csv')
})

it('fails as every call does where a file is refused', async () => {
  const refuse = async () => new Response('{"type":"/problems/invalid","title":"Invalid","status":422}', { status: 422 })
  const file: { blob?: Blob } = {}
  await expect(supervisorOperation('get', '/reports')({ base: 'http://api', token: async () => 't', fetch: refuse } as never, { query: askedOf(wish()), file })).rejects.toMatchObject({ status: 422 })
  expect(file.blob).toBeUndefined()
})

it('writes times, shares and counts with their units', () => {
  expect([0, 4.25, 9.96, 41.4, 59.4, 59.5, 312, 3600, 90_061].map(lasting)).toEqual(['0 s', '4.3 s', '10 s', '41 s', '59 s', '0:01:00', '0:05:12', '1:00:00', '25:01:01'])
  expect([cell('handling_time', 312.4), cell('service_level', 0.8254), cell('service_level', 1), cell('occupancy', 0)]).toEqual(['0:05:12', '82.5%', '100%', '0%'])
  expect([cell('offered', 0), cell('offered', 12345), cell('first_response', null), cell('first_response', undefined)]).toEqual(['0', '12,345', '–', '–'])
  expect([cell('cost', 0), cell('cost', 0.0307), cell('cost', 1234.5678), cell('ai_cost', null)]).toEqual(['0.00', '0.0307', '1,234.57', '–'])
  expect([word('first_response'), word('first_response_p90')]).toEqual(['First response', 'First response, 90 % within'])
})

it('names periods by the clock of the report’s zone, wherever the browser is', () => {
  const part = (from: string, to: string) => ({ from, to })
  // Releases of the same calendar data differ in commas.
  const plain = (names: string[]) => names.map((name) => name.replaceAll(',', ''))
  expect(plain(namesOf('day', [part('2026-11-02T00:00:00+13:00', '2026-11-03T00:00:00+13:00')]))).toEqual(['Mon 2 Nov 2026'])
  expect(namesOf('week', [part('2026-11-02T00:00:00+01:00', '2026-11-09T00:00:00+01:00')])).toEqual(['2 Nov 2026 – 8 Nov 2026'])
  expect(namesOf('month', [part('2026-11-01T00:00:00+01:00', '2026-12-01T00:00:00+01:00'), part('2026-12-01T00:00:00+01:00', '2026-12-11T00:00:00+01:00')])).toEqual(['November 2026', '1 Dec 2026 – 10 Dec 2026'])
  // The hour from two to three comes twice when summer ends.
  expect(plain(namesOf('hour', [part('2026-10-25T01:00:00+02:00', '2026-10-25T02:00:00+02:00'), part('2026-10-25T02:00:00+02:00', '2026-10-25T02:00:00+01:00'), part('2026-10-25T02:00:00+01:00', '2026-10-25T03:00:00+01:00')])))
    .toEqual(['Sun 25 Oct 01:00', 'Sun 25 Oct 02:00 (+02:00)', 'Sun 25 Oct 02:00 (+01:00)'])
  expect(plain([between('2026-11-02T00:00:00+01:00', '2026-11-03T00:00:00+01:00'), between('2026-11-02T08:15:00+01:00', '2026-11-02T18:00:00+01:00')])).toEqual(['2 Nov 2026', '2 Nov 2026 08:15 – 2 Nov 2026 18:00'])
})

it('draws bars where they lie in the time, as high as their share of the greatest of all rows', () => {
  const report = { from: '2026-10-24T00:00:00+02:00', to: '2026-10-26T00:00:00+01:00' }
  const part = (from: string, to: string, value: number | null): ReportPart => ({ from, to, values: [value] })
  const parts = [part('2026-10-24T00:00:00+02:00', '2026-10-25T00:00:00+02:00', null), part('2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00', 3)]
  // Two days, the second of 25 hours; the first has nothing.
  const [bar, ...others] = bars(report, parts, 0, 6)
  expect([others.length, bar!.x.toFixed(4), bar!.width.toFixed(4), bar!.height]).toEqual([0, (24 / 49).toFixed(4), (25 / 49).toFixed(4), 0.5])
  expect(greatest([{ id: 'a', total: [9], periods: parts }, { id: 'b', total: [4] }], 0)).toBe(4)
  expect([greatest([], 0), bars(report, parts, 0, 0)]).toEqual([0, []])
})

it('says what is refused at its field, in the person’s language', async () => {
  const errors = [{ field: 'to', code: 'out-of-range', message: 'must be up to 400 days after `from`', max: 400 }, { field: 'period', code: 'too-many', message: 'makes a report of 400000 cells' }, { field: 'queue', code: 'unknown-value', message: 'is not an id of that kind' }] as Refusal[]
  expect(faultsOf(errors)).toEqual({ to: 'A report has 400 days at most.', period: 'That is too much for one report. Take longer steps, less time or fewer columns.', queue: 'Is not an id of that kind.' })
  vi.stubGlobal('localStorage', { setItem: () => undefined })
  vi.stubGlobal('document', { documentElement: {} })
  await choose('it')
  expect([faultsOf(errors).to, cell('service_level', 0.825), cell('offered', 12345), lasting(4.25)]).toEqual(['Un report ha al massimo 400 giorni.', '82,5%', '12.345', '4,3 s'])
  await choose('en')
})
