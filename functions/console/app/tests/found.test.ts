import { expect, it } from 'vitest'
import { Problem } from '../src/api/client'
import { countOf, filtersOf, queryOf } from '../src/supervise/filters'
import { useFound, type Answer } from '../src/supervise/found'

/** A list of this many, read in pages of at most `most` entries, some of them empty. */
function pages(total: number, most: number) {
  const calls: (string | undefined)[] = []
  return {
    calls,
    async read(after?: string): Promise<Answer<number>> {
      calls.push(after)
      const from = Number(after ?? 0)
      const to = Math.min(total, from + most)
      // Every other page holds nothing: its entries did not match.
      const items = calls.length % 2 === 0 ? [] : Array.from({ length: to - from }, (_, at) => from + at)
      return { items, next: to < total ? String(to) : null, scanned: to - from }
    }
  }
}

it('asks on over empty pages until there is a page to look at, and then waits', async () => {
  const source = pages(100, 5)
  const found = useFound(source.read, 10)
  await found.start()
  expect([found.items.value.length, source.calls.length, found.scanned.value]).toEqual([10, 3, 15])
  await found.more()
  expect(found.items.value.length).toBe(20)
  expect(found.next.value).toBeDefined()
})

it('knows that there is nothing only after the last page', async () => {
  const found = useFound(async (after?: string) => ({ items: [], next: after ? null : '1' }))
  expect(found.empty.value).toBe(true)
  const run = found.start()
  expect(found.empty.value).toBe(false)
  await run
  expect(found.empty.value).toBe(true)
})

it('keeps the old rows, with their age, when reading anew fails', async () => {
  let fails = false
  const found = useFound(async () => {
    if (fails) throw new Problem(503, 'unavailable', 'Unavailable')
    return { items: [1] }
  })
  await found.start()
  const at = found.at.value
  fails = true
  await found.start()
  expect([found.items.value, found.problem.value?.status, found.at.value]).toEqual([[1], 503, at])
})

it('takes no answer to an earlier question, and none after a stop', async () => {
  const answers: ((answer: Answer<string>) => void)[] = []
  const found = useFound(() => new Promise<Answer<string>>((resolve) => answers.push(resolve)))
  const first = found.start()
  const second = found.start()
  answers[1]!({ items: ['second'] })
  answers[0]!({ items: ['first'] })
  await Promise.all([first, second])
  expect(found.items.value).toEqual(['second'])
  const third = found.start()
  found.stop()
  answers[2]!({ items: ['third'], next: '1' })
  await third
  expect([found.items.value, found.reading.value]).toEqual([['second'], false])
})

it('has its filters in the address, and takes only what is one', () => {
  const filters = filtersOf({ status: 'open', read: 'false', tags: ['vip', 'refund'], from: '2026-01-01', colour: 'red' })
  expect(filters).toEqual({ status: 'open', read: 'false', tags: ['vip', 'refund'], from: '2026-01-01' })
  expect(filtersOf(queryOf(filters) as never)).toEqual(filters)
  expect(filtersOf({ status: 'lost', read: 'maybe', tags: 'one' })).toEqual({ tags: ['one'] })
  expect([countOf(filters), countOf({ tags: [] })]).toEqual([5, 0])
})
