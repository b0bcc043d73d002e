/** Ranges of time and holidays of an interval, in words. */
import { current, t } from '../../i18n'

export interface Range {
  from?: string
  to?: string
  weekdays?: string[]
  days?: number[]
  months?: number[]
}
export interface Holiday {
  date: string
  yearly?: boolean
}
export const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']

/** 1 January 2024 was a Monday, and each month has a 1st. */
const named = (month: number, day: number, format: Intl.DateTimeFormatOptions) =>
  new Date(Date.UTC(2024, month, day)).toLocaleDateString(current(), { ...format, timeZone: 'UTC' })
export const weekday = (name: string) => named(0, WEEKDAYS.indexOf(name) + 1, { weekday: 'short' })
export const month = (number: number) => named(number - 1, 1, { month: 'short' })

/** `1, 15-20` as days of the month; what is no such list is kept out. */
export function daysOf(text: string): number[] {
  const days = text.split(',').flatMap((part) => {
    const [from, to] = part.split('-').map((word) => Number.parseInt(word, 10))
    if (!from || from > 31 || from < 1) return []
    return Array.from({ length: Math.max(0, Math.min(31, to || from) - from) + 1 }, (_, step) => from + step)
  })
  return [...new Set(days)].sort((a, b) => a - b)
}

function rangeShown(range: Range): string {
  const days = range.weekdays?.length ? range.weekdays.map(weekday).join(' ') : ''
  const hours = range.from || range.to ? `${range.from ?? '00:00'}–${range.to ?? '23:59'}` : ''
  const of = range.days?.length ? t('daysShown', { days: range.days.join(', ') }) : ''
  return [days, of, range.months?.map(month).join(' '), hours].filter(Boolean).join(' ') || t('allDay')
}

export function rangesShown(value: unknown): string {
  const ranges = Array.isArray(value) ? (value as Range[]) : []
  return ranges.length ? ranges.map(rangeShown).join(' · ') : t('always')
}

export function holidaysShown(value: unknown): string {
  const days = Array.isArray(value) ? (value as Holiday[]) : []
  return days.map((day) => (day.yearly ? `${day.date.slice(5)} ${t('yearly')}` : day.date)).join(', ') || '–'
}
