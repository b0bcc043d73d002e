import { expect, it } from 'vitest'
import { releaseWatch, scriptsOf } from '../src/ui/release'

it('tells of another release, at most once in ten minutes, and of none where the server says nothing', async () => {
  let [now, page, calls] = [0, 'a' as string | undefined, 0]
  const html = (name: string) => `<base href="/console/"><script type="module" src="./assets/main-${name}.js"></script>`
  const isNew = releaseWatch({ page: async () => (calls += 1, page && html(page)), own: scriptsOf(html('a')), now: () => now })
  expect([await isNew(), calls]).toEqual([false, 0])
  now += 600_000
  expect([await isNew(), calls]).toEqual([false, 1])
  page = 'b'
  now += 599_999
  expect([await isNew(), calls]).toEqual([false, 1])
  now += 1
  expect(await isNew()).toBe(true)
  page = undefined
  now += 600_000
  expect(await isNew()).toBe(false)
})
