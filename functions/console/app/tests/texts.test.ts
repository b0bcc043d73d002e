import { readFileSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
const languages = readdirSync(new URL('../locales', import.meta.url))
const texts = (file: string): Record<string, string> => JSON.parse(read(`locales/${file}`))
const en = texts('en.json')

/** The names of the values in a message, without the words of its plural forms. */
const values = (text: string) => [...text.matchAll(/\{(\w+)(?=[,}])/g)].map(([, name]) => name).sort().join()

it.each(languages)('%s has every text, with the same values', (language) => {
  const found = texts(language)
  expect(Object.keys(found).sort()).toEqual(Object.keys(en).sort())
  for (const [key, text] of Object.entries(found)) expect([key, values(text)]).toEqual([key, values(en[key]!)])
})

it('shows every text somewhere', () => {
  const sources = readdirSync(new URL('../src', import.meta.url), { recursive: true, encoding: 'utf8' })
  const files = sources.filter((name) => /\.(vue|ts)$/.test(name)).map((name) => read(`src/${name}`))
  const quoted = new Set(files.join('\n').match(/'\w+'/g))
  expect(Object.keys(en).filter((key) => !quoted.has(`'${key}'`))).toEqual([])
})

/** WCAG 2.2: relative luminance and contrast. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
}
const contrast = (a: string, b: string) => {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (light! + 0.05) / (dark! + 0.05)
}

const tokens = new Map([...read('src/style.css').matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name, light, dark]) => [name!, [light!, dark!]]))
const grounds = ['bg', 'surface', 'raised', 'sunken']
const pairs: [string, string, number][] = [
  ...grounds.flatMap((ground) => ['text', 'muted', 'bad', 'warn', 'good', 'accent'].map((ink): [string, string, number] => [ink, ground, 4.5])),
  ...grounds.flatMap((ground) => ['control', 'focus'].map((ink): [string, string, number] => [ink, ground, 3])),
  ['on-accent', 'accent', 4.5], ['accent', 'accent-soft', 4.5], ['text', 'accent-soft', 4.5], ['muted', 'accent-soft', 4.5], ['note', 'note-soft', 4.5], ['text', 'note-soft', 4.5], ['bad', 'accent-soft', 4.5], ['text', 'bad-soft', 4.5], ['accent', 'bad-soft', 4.5]
]

it.each(pairs)('%s can be read on %s, in light and dark', (ink, ground, least) => {
  for (const mode of [0, 1]) expect(contrast(tokens.get(ink)![mode]!, tokens.get(ground)![mode]!)).toBeGreaterThanOrEqual(least)
})
