import { readFileSync, readdirSync, statSync } from 'node:fs'
import { expect, it } from 'vitest'

// The stories are plain JavaScript.
const { decoded, palette, small } = await import(/* @vite-ignore */ new URL('../stories/kit/png.mjs', import.meta.url).href)

const root = new URL('../../../../', import.meta.url)
const folder = new URL('docs/pictures/', root)
const files = readdirSync(folder)

it('keeps the pictures of the documentation small, shows each, and misses none', () => {
  expect(files.filter((name) => statSync(new URL(name, folder)).size > 100_000)).toEqual([])
  const shown = [...readFileSync(new URL('docs/console.md', root), 'utf8').matchAll(/\]\(pictures\/([\w-]+\.png)\)/g)].map(([, name]) => name)
  expect([...new Set(shown)].sort()).toEqual(files.sort())
  expect(readFileSync(new URL('README.md', root), 'utf8')).toContain('(docs/pictures/desk.png)')
})

it('leaves a picture of few colours as it is, and gives one of many a palette of the most frequent ones', () => {
  const many = Uint32Array.from({ length: 4096 }, (_, at) => (at % 2 ? 0x0b6b5d : at * 4000))
  const { all, place } = palette(many)
  expect(all.length).toBeLessThanOrEqual(256)
  expect(all[place.get(0x0b6b5d)]).toBe(0x0b6b5d)
  const few = palette(Uint32Array.from([1, 1, 0xffffff]))
  expect([few.all, few.place.get(0xffffff)]).toEqual([[1, 0xffffff], 1])
})

it('refuses what no browser wrote', () => {
  // What is small already has a palette.
  const png = readFileSync(new URL(files[0]!, folder))
  expect(() => decoded(png)).toThrow('not a picture that a browser wrote')
  expect(() => small(Buffer.from('x'.repeat(64)))).toThrow()
})
