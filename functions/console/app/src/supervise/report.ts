/** What a report is asked for, which lives in the address, and how its cells, periods and bars read. */
import type { LocationQuery, LocationQueryRaw } from 'vue-router'
import type { Metric, Period, ReportPart, ReportRow } from '../api/supervisor'
import { region, t, type Key } from '../i18n'
import { refusal, type Refusal } from '../refusals'

export const BY = { account: 'accountName', queue: 'queueName', agent: 'agent', disposition: 'disposition', ai_agent: 'aiAgent', total: 'reportTotal' } as const satisfies Record<string, Key>
export type By = keyof typeof BY
export const PERIODS = { quarter_hour: 'perQuarter', hour: 'perHour', day: 'perDay', week: 'perWeek', month: 'perMonth', whole: 'perWhole' } as const satisfies Record<Period, Key>
/** The limits of the service level that the API takes, in seconds. */
export const LEVELS = [15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300, 600]
/** Each queue’s own. */
export const OWN_LEVELS = 0

export const UNITS = { count: 'unitCount', time: 'unitTime', share: 'unitShare', money: 'unitMoney' } as const satisfies Record<string, Key>
interface Column {
  word: Key
  unit: keyof typeof UNITS
  /** So many of a hundred took no longer. */
  percent?: number
}
const counts = (word: Key): Column => ({ word, unit: 'count' })
const times = (word: Key, percent?: number): Column => ({ word, unit: 'time', percent })
const share = (word: Key): Column => ({ word, unit: 'share' })
const money = (word: Key): Column => ({ word, unit: 'money' })
/** All columns, in the API's order. One that the API has and this list has not does not compile. */
export const METRICS: Record<Metric, Column> = {
  opened: counts('metricOpened'), started: counts('metricStarted'), reopened: counts('metricReopened'), abandoned: counts('metricAbandoned'),
  queued: counts('metricQueued'), answered: counts('metricAnswered'), flowed_out: counts('metricFlowedOut'), abandoned_in_queue: counts('metricAbandonedInQueue'), service_level: share('metricServiceLevel'),
  speed_of_answer: times('metricSpeed'), speed_of_answer_p50: times('metricSpeed', 50), speed_of_answer_p90: times('metricSpeed', 90), speed_of_answer_p95: times('metricSpeed', 95),
  offered: counts('metricOffered'), accepted: counts('metricAccepted'), rejected: counts('metricRejected'), missed: counts('metricMissed'), withdrawn: counts('metricWithdrawn'),
  first_response: times('metricFirstResponse'), first_response_p50: times('metricFirstResponse', 50), first_response_p90: times('metricFirstResponse', 90), first_response_p95: times('metricFirstResponse', 95),
  closed: counts('metricClosed'), handled: counts('metricHandled'),
  handling_time: times('metricHandling'), handling_time_p50: times('metricHandling', 50), handling_time_p90: times('metricHandling', 90), handling_time_p95: times('metricHandling', 95),
  held_time: times('metricHeld'), wrap_up_time: times('metricWrapUp'), active_time: times('metricActive'),
  customer_messages: counts('metricCustomerMessages'), agent_messages: counts('metricAgentMessages'), occupancy: share('metricOccupancy'), utilisation: share('metricUtilisation'),
  delivered_messages: counts('metricDelivered'), marketing_messages: counts('metricMarketing'), utility_messages: counts('metricUtility'), authentication_messages: counts('metricAuthentication'),
  service_messages: counts('metricService'), other_messages: counts('metricOther'), free_messages: counts('metricFree'), unpriced_messages: counts('metricUnpriced'), cost: money('metricCost'),
  sentiment_positive: counts('metricPositive'), sentiment_neutral: counts('metricNeutral'), sentiment_negative: counts('metricNegative'), sentiment_mixed: counts('metricMixed'),
  ai_calls: counts('metricAiCalls'), ai_failures: counts('metricAiFailures'), ai_escalations: counts('metricAiEscalations'), ai_input_tokens: counts('metricAiInput'), ai_output_tokens: counts('metricAiOutput'),
  ai_time: times('metricAiTime'), ai_cost: money('metricAiCost')
}
const ALL = Object.keys(METRICS) as Metric[]
const at = (metric: Metric) => ALL.indexOf(metric)
/** The columns in groups, each from one metric to another, for the choice. */
export const GROUPS: [Key, Metric[]][] = ([
  ['interactions', 'opened', 'abandoned'], ['metricsQueue', 'queued', 'speed_of_answer_p95'], ['metricsOffers', 'offered', 'withdrawn'], ['metricFirstResponse', 'first_response', 'first_response_p95'],
  ['metricsHandling', 'closed', 'active_time'], ['metricsMessages', 'customer_messages', 'agent_messages'], ['metricsDuty', 'occupancy', 'utilisation'],
  ['metricsCost', 'delivered_messages', 'cost'], ['metricsSentiment', 'sentiment_positive', 'sentiment_mixed'], ['metricsAi', 'ai_calls', 'ai_cost']
] as [Key, Metric, Metric][]).map(([title, first, last]) => [title, ALL.slice(at(first), at(last) + 1)])

/** Whether the rows of a report have a metric; the API refuses others. */
export function has(by: By, metric: Metric): boolean {
  const isOfAi = at(metric) >= at('ai_calls')
  if (by === 'ai_agent') return isOfAi
  if (isOfAi) return by === 'account' || by === 'total'
  if (by === 'disposition' && at(metric) >= at('delivered_messages') && at(metric) <= at('cost')) return false
  if (by === 'agent') return metric === 'started' || at(metric) >= at('offered')
  if (metric === 'occupancy' || metric === 'utilisation') return false
  if (by === 'queue') return at(metric) >= at('queued')
  return by !== 'disposition' || at(metric) >= at('closed')
}

/** What a report shows unless somebody chooses. */
export const USUAL: Record<By, Metric[]> = {
  total: ['opened', 'abandoned', 'offered', 'accepted', 'first_response', 'closed', 'handled', 'handling_time'],
  account: ['opened', 'abandoned', 'offered', 'accepted', 'first_response', 'closed', 'handled', 'handling_time'],
  queue: ['queued', 'answered', 'abandoned_in_queue', 'service_level', 'speed_of_answer', 'handled', 'handling_time'],
  agent: ['offered', 'accepted', 'rejected', 'missed', 'first_response', 'handled', 'handling_time', 'occupancy'],
  disposition: ['closed', 'handled', 'handling_time', 'customer_messages', 'agent_messages'],
  ai_agent: ['ai_calls', 'ai_failures', 'ai_escalations', 'ai_input_tokens', 'ai_output_tokens', 'ai_time', 'ai_cost']
}

export interface Wish {
  by: By
  period: Period
  /** A day, or a day with the quarter-hour: `2026-01-31T08:15`. A `to` without a time includes its day. */
  from: string
  to: string
  zone: string
  /** The chosen columns; none: the usual ones. */
  metrics: Metric[]
  /** In seconds, or each queue’s own. */
  level: number
  account?: string
  queue?: string
  agent?: string
  disposition?: string
  ai_agent?: string
}

const MOMENT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?$/
/** The day there. A zone that nobody knows is the browser's: the API says that it is wrong. */
export function dayIn(zone: string, now: number): string {
  const day = (timeZone?: string) => new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(now)
  try { return day(zone) } catch { return day() }
}
export const daysAfter = (day: string, days: number) => new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
export const dayOf = (moment: string) => moment.slice(0, 10)
export const timeOf = (moment: string) => moment.slice(11, 16)
export const moment = (day: string, time: string) => (time ? `${day}T${time}` : day)

/** What an address asks for. What it leaves out, or has wrong, is the last seven days, by account and day. */
export function wishOf(query: LocationQuery, now: number, browser: string): Wish {
  const one = (name: string) => [query[name]].flat()[0] || undefined
  const known = <T extends object>(all: T, value: string | undefined, other: keyof T) => (value && Object.hasOwn(all, value) ? (value as keyof T) : other)
  const when = (name: string, other: string) => { const value = one(name); return value && MOMENT.test(value) ? value : other }
  const by = known(BY, one('by'), 'account')
  const zone = one('zone') ?? browser
  // Only its own report is narrowed down to a queue, an agent or a disposition.
  const only = (name: By) => (by === name ? one(name) : undefined)
  const to = when('to', dayIn(zone, now))
  const asked = new Set((one('metrics') ?? '').split(','))
  const level = Number(one('service_level'))
  return {
    by, period: known(PERIODS, one('period'), 'day'), from: when('from', daysAfter(dayIn(zone, now), -6)), to, zone,
    metrics: ALL.filter((metric) => asked.has(metric) && has(by, metric)), level: LEVELS.includes(level) ? level : OWN_LEVELS,
    account: one('account'), queue: only('queue'), agent: only('agent'), disposition: only('disposition'), ai_agent: only('ai_agent')
  }
}

export const columnsOf = (wish: Wish) => (wish.metrics.length > 0 ? wish.metrics : USUAL[wish.by])

/** The address of a report. It has the days themselves, so that a link shows the same tomorrow. */
export function queryOf(wish: Wish): LocationQueryRaw {
  const { metrics, level, ...rest } = wish
  const isMine = (name: string) => !['queue', 'agent', 'disposition', 'ai_agent'].includes(name) || name === wish.by
  const query: LocationQueryRaw = Object.fromEntries(Object.entries(rest).filter(([name, value]) => value && isMine(name)))
  const chosen = ALL.filter((metric) => metrics.includes(metric) && has(wish.by, metric))
  if (chosen.length > 0 && chosen.join() !== USUAL[wish.by].join()) query.metrics = chosen.join()
  if (level !== OWN_LEVELS) query.service_level = String(level)
  return query
}

/** What the API is asked. */
export function askedOf(wish: Wish) {
  const { metrics: _, level, ...rest } = wish
  return { ...rest, metrics: columnsOf(wish).join(), service_level: level === OWN_LEVELS ? undefined : level }
}
export const fileName = (wish: Wish) => `report-${wish.by}-${wish.from}-${wish.to}.csv`.replaceAll(':', '')

// ---- Words.

export function word(metric: Metric): string {
  const { word, percent } = METRICS[metric]
  return percent ? t('metricWithin', { metric: t(word), percent }) : t(word)
}

/** Seconds: `4.2 s`, `41 s`, from a minute on `0:05:12`, which nobody takes for hours and minutes. */
export function lasting(seconds: number): string {
  if (seconds < 59.5) return t('secondsShort', { seconds: seconds.toLocaleString(region(), { maximumFractionDigits: seconds < 9.95 ? 1 : 0 }) })
  const whole = Math.round(seconds)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`
}

/** A cell; a dash where nothing was counted that it could be computed of. */
export function cell(metric: Metric, value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  const { unit } = METRICS[metric]
  if (unit === 'time') return lasting(value)
  // A message costs fractions of a cent.
  if (unit === 'money') return value.toLocaleString(region(), { minimumFractionDigits: 2, maximumFractionDigits: value < 1 ? 4 : 2 })
  return value.toLocaleString(region(), unit === 'share' ? { style: 'percent', maximumFractionDigits: 1 } : { maximumFractionDigits: 1 })
}

/** What the clock there shows, as if it were that of UTC: no zone is needed to write it. */
const wall = (at: string) => Date.parse(`${at.slice(0, 19)}Z`)
const written = (at: number, how: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(region(), { ...how, timeZone: 'UTC' }).format(at)
const DAY = { day: 'numeric', month: 'short', year: 'numeric' } as const
const TIME = { hour: '2-digit', minute: '2-digit' } as const
const isMidnight = (at: number) => at % 86_400_000 === 0

/** From when to when, both included: days where both ends are midnights. */
export function between(from: string, to: string): string {
  const [first, end] = [wall(from), wall(to)]
  const days = isMidnight(first) && isMidnight(end)
  const [one, other] = days ? [written(first, DAY), written(end - 1, DAY)] : [written(first, { ...DAY, ...TIME }), written(end, { ...DAY, ...TIME })]
  return one === other ? one : `${one} – ${other}`
}

/** The names of a row's periods. An hour that the clock shows twice has its distance from UTC. */
export function namesOf(period: Period, parts: Pick<ReportPart, 'from' | 'to'>[]): string[] {
  if (period !== 'hour' && period !== 'quarter_hour') {
    const day = (part: { from: string; to: string }) => (period === 'day' ? written(wall(part.from), { weekday: 'short', ...DAY }) : between(part.from, part.to))
    // A month that is not cut off has its name.
    const isMonth = (part: { from: string; to: string }) => period === 'month' && [part.from, part.to].every((at) => at.slice(8, 19) === '01T00:00:00')
    return parts.map((part) => (isMonth(part) ? written(wall(part.from), { month: 'long', year: 'numeric' }) : day(part)))
  }
  const clocks = parts.map((part) => part.from.slice(0, 19))
  return parts.map((part, at) => {
    const twice = clocks.indexOf(clocks[at]!) !== at || clocks.lastIndexOf(clocks[at]!) !== at
    return written(wall(part.from), { weekday: 'short', day: 'numeric', month: 'short', ...TIME }) + (twice ? ` (${part.from.slice(19)})` : '')
  })
}

// ---- Bars.

/** The greatest value of a column in any row: what a full bar stands for. */
export function greatest(rows: ReportRow[], column: number): number {
  const values = rows.flatMap((row) => (row.periods ? row.periods.map((it) => it.values[column] ?? 0) : [row.total[column] ?? 0]))
  // Not Math.max(...values): a year of quarter-hours has more values than a call may have arguments.
  return values.reduce((most, value) => Math.max(most, value), 0)
}

/** Bars of a row where they lie in the report's time; place, width and height from 0 to 1. Nothing has no bar. */
export function bars(report: { from: string; to: string }, parts: ReportPart[], column: number, most: number) {
  const start = Date.parse(report.from)
  const length = Date.parse(report.to) - start
  const place = (at: string) => Math.min(1, Math.max(0, (Date.parse(at) - start) / length))
  return parts.flatMap((part) => {
    const value = part.values[column] ?? 0
    return value > 0 && most > 0 ? [{ x: place(part.from), width: place(part.to) - place(part.from), height: value / most }] : []
  })
}

// ---- What the API refuses.

/** What more can be said of a report's fields than of others. */
const SAID: Record<string, Key> = {
  'zone wrong-format': 'reportNoZone', 'period too-many': 'reportTooLarge', 'from wrong-format': 'reportNoDay', 'to wrong-format': 'reportNoDay',
  'from unknown-value': 'reportNoTime', 'to unknown-value': 'reportNoTime', 'from not-allowed': 'reportNoQuarter', 'to not-allowed': 'reportNoQuarter'
}
export function faultsOf(errors: Refusal[]): Record<string, string> {
  return Object.fromEntries(errors.map((it) => {
    // A time out of range has a most where it is too long, and none where it ends before it begins.
    const key = it.field === 'to' && it.code === 'out-of-range' ? (it.max ? 'reportTooLong' : 'reportBefore') : SAID[`${it.field} ${it.code}`]
    return [it.field, key ? t(key) : refusal(it)]
  }))
}
