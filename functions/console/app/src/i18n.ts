/** The texts in the person's language. A language is a file in `locales`, with the keys of `en.json`. */
import { setupI18n } from '@lingui/core'
import { computed, shallowRef } from 'vue'
import en from '../locales/en.json'

export type Key = keyof typeof en
export const LANGUAGES = { en: 'English', it: 'Italiano' } as const
export type Language = keyof typeof LANGUAGES

const others: Record<Exclude<Language, 'en'>, () => Promise<{ default: Record<string, string> }>> = {
  it: () => import('../locales/it.json')
}

const i18n = setupI18n({ locale: 'en', messages: { en } })
/** Read by every text, so that a screen changes with the language. */
const language = shallowRef<Language>('en')

const wished = (): Language => {
  const known = Object.keys(LANGUAGES) as Language[]
  const all = [localStorage.getItem('language') ?? '', ...navigator.languages]
  return all.map((tag) => known.find((one) => tag.toLowerCase().startsWith(one))).find((one) => one) ?? 'en'
}

export async function use(wish: Language = wished()) {
  if (wish !== 'en') i18n.load(wish, (await others[wish]()).default)
  i18n.activate(wish)
  language.value = wish
  document.documentElement.lang = wish
}

export async function choose(wish: Language) {
  localStorage.setItem('language', wish)
  await use(wish)
}

export const current = () => language.value

export function t(key: Key, values?: Record<string, string | number>): string {
  void language.value
  return i18n._(key, values)
}

/** The language with its country where the browser names one: `en-GB` writes times otherwise than `en-US`. */
const place = computed(() => navigator.languages.find((tag) => tag.startsWith(`${language.value}-`)) ?? language.value)
export const region = () => place.value
/** Making a format takes longer than drawing a row, so each is made once, and not before it is wanted. */
const format = (how: Intl.DateTimeFormatOptions) => computed(() => new Intl.DateTimeFormat(region(), how))
const formats = {
  clock: format({ hour: '2-digit', minute: '2-digit' }),
  second: format({ hour: '2-digit', minute: '2-digit', second: '2-digit' }),
  day: format({ day: 'numeric', month: 'long' }),
  dayOfYear: format({ day: 'numeric', month: 'long', year: 'numeric' }),
  shortDay: format({ day: 'numeric', month: 'short' })
}

/** The first format of a page takes as long as drawing many rows: it is made while an answer is on its way. */
export const prepareFormats = () => void [formats.clock.value, formats.shortDay.value]

const day = (time: number) => new Date(time).toDateString()

/** `14:07`, in the person's zone. */
export const clock = (at: string | number) => formats.clock.value.format(new Date(at))

/** `14:07:30`, in the person's zone. */
export const second = (at: string | number) => formats.second.value.format(new Date(at))

/** `Today`, `12 March`, with the year where it is another one. */
export function date(at: string | number, now = Date.now()): string {
  const time = new Date(at)
  if (day(now) === time.toDateString()) return t('today')
  if (day(now - 86_400_000) === time.toDateString()) return t('yesterday')
  const format = time.getFullYear() === new Date(now).getFullYear() ? formats.day : formats.dayOfYear
  return format.value.format(time)
}

/** The clock today, else the day: for lists. */
export function when(at: string | number, now: number): string {
  if (day(now) === new Date(at).toDateString()) return clock(at)
  return formats.shortDay.value.format(new Date(at))
}

/** `1:42:07`, `0:12`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** `2 h 14 min`. */
export function span(ms: number): string {
  const minutes = Math.max(1, Math.floor(ms / 60_000))
  const hours = Math.floor(minutes / 60)
  return hours > 0 ? t('hoursMinutes', { hours, minutes: minutes % 60 }) : t('minutes', { minutes })
}
