import { expect, it } from 'vitest'
import type { AttachmentLinks, Message } from '../src/api'
import { Links } from '../src/core/links'

const message = (n: number) => ({ id: `msg_${n}` }) as Message

/** The API's side: files in pages of ten messages, each link with the number of the call that made it. */
function server() {
  const it = {
    calls: [] as string[],
    now: 0,
    stored: (n: number) => n < 20,
    fails: false,
    page: async (id: string, after: string | undefined): Promise<AttachmentLinks[]> => {
      it.calls.push(`page ${after ?? 'newest'}`)
      const call = it.calls.length
      await undefined
      if (it.fails) throw new Error('the network')
      const first = Number(after ?? 0)
      return Array.from({ length: 10 }, (_, n) => first + n).map((n) =>
        it.stored(n) ? { message: `msg_${n}`, index: 0, state: 'stored', url: `${id}/${n}/${call}`, thumbnail: `${id}/${n}/${call}/small` } : { message: `msg_${n}`, index: 0, state: 'pending' })
    },
    one: async (id: string, message: string, index: number) => {
      it.calls.push(`one ${message} ${index}`)
      return { url: `${id}/${message}/one` }
    },
    place: (_: string, { id }: Message) => (Number(id.slice(4)) < 10 ? undefined : '10')
  }
  return { it, links: new Links({ ...it, page: (...all) => it.page(...all), now: () => it.now }) }
}

it('asks once for all files of a page, and once more for another page', async () => {
  const { it, links } = server()
  const found = await Promise.all(Array.from({ length: 20 }, (_, n) => links.get('int_1', message(n), 0)))
  expect(it.calls).toEqual(['page newest', 'page 10'])
  expect(found[7]).toMatchObject({ url: 'int_1/7/1', thumbnail: 'int_1/7/1/small' })
  // Drawn again after scrolling.
  await links.get('int_1', message(7), 0)
  expect(it.calls.length).toBe(2)
})

it('asks again for links that are no longer good, once for all', async () => {
  const { it, links } = server()
  await links.get('int_1', message(1), 0)
  it.now = 3 * 60_000
  await links.get('int_1', message(2), 0)
  expect(it.calls.length).toBe(1)
  it.now = 4 * 60_000
  const found = await Promise.all([1, 2, 3].map((n) => links.get('int_1', message(n), 0)))
  expect(it.calls.length).toBe(2)
  expect(found.map((it) => it.url)).toEqual(['int_1/1/2', 'int_1/2/2', 'int_1/3/2'])
})

it('asks again for a link that was refused, and not if another file of the page has done so', async () => {
  const { it, links } = server()
  const [first, second] = await Promise.all([1, 2].map((n) => links.get('int_1', message(n), 0)))
  expect((await links.get('int_1', message(1), 0, first)).url).toBe('int_1/1/2')
  expect((await links.get('int_1', message(2), 0, second)).url).toBe('int_1/2/2')
  expect(it.calls.length).toBe(2)
})

it('asks for a single file that no page tells of, and after a failure begins anew', async () => {
  const { it, links } = server()
  it.fails = true
  await expect(links.get('int_1', message(3), 0)).rejects.toThrow()
  it.fails = false
  expect((await links.get('int_1', message(3), 0)).url).toBe('int_1/3/2')
  // It was on its way when the page was read.
  it.stored = () => false
  expect((await links.get('int_2', message(3), 0)).url).toBe('int_2/msg_3/one')
  links.forget('int_1')
  it.stored = () => true
  expect((await links.get('int_1', message(3), 0)).url).toBe('int_1/3/5')
})
