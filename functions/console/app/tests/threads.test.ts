import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entry, Message } from '../src/api'
import { Store } from '../src/core/store'
import { GROWTH, KEPT, LONG_PAGE, PAGE, Threads } from '../src/core/threads'

const made = (n: number, version = 1) =>
  ({ id: `msg_${String(n).padStart(6, '0')}`, interaction: 'int_1', at: new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString(), version, author: { kind: 'customer' }, content: { type: 'text', body: `${n}` } }) as unknown as Message

/** The API's side: messages, and pages of at most `most` of them, newest first. */
class Server {
  messages: Message[] = []
  calls = 0
  fails = false
  constructor(readonly most = LONG_PAGE) {}
  read = async (_: string, after: string | undefined, limit: number) => {
    this.calls += 1
    await undefined
    if (this.fails) throw new Error('the network')
    const until = after === undefined ? this.messages.length : Number(after)
    const from = Math.max(0, until - Math.min(this.most, limit))
    return { items: this.messages.slice(from, until).reverse(), next: from > 0 ? String(from) : null }
  }
}
const event = (type: string, message: Message) => ({ seq: 1, at: '', event: { type, message } }) as unknown as Entry
const ids = (store: Store) => store.thread('int_1').map((it) => it.id)

describe('threads', () => {
  it('open with their newest page, in one call', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 10_000 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    expect([server.calls, ids(store)[0], ids(store).length]).toEqual([1, made(9_900).id, PAGE])
    expect([await threads.more('int_1'), ids(store)[0]]).toEqual([true, made(9_800).id])
  })

  it('say what asks for the page of a message, however the thread has grown', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 1_000 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    await threads.more('int_1')
    await threads.more('int_1')
    const placed = [2_000, 999, 900, 899, 800, 799, 700, 0].map((n) => threads.place('int_1', made(n)))
    expect(placed).toEqual([undefined, undefined, undefined, '900', '900', '800', '800', undefined])
    expect(threads.place('int_2', made(1))).toBe(undefined)
  })

  it('are read back to their beginning in long pages, until nobody wants it any more', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 10_000 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    let wanted = 10
    expect(await threads.back('int_1', () => (wanted -= 1) >= 0)).toBe(true)
    expect([server.calls, ids(store).length]).toEqual([11, PAGE + 10 * LONG_PAGE])
    expect(await threads.back('int_1', () => true)).toBe(true)
    expect([server.calls, ids(store)[0], ids(store).length]).toEqual([1 + Math.ceil((10_000 - PAGE) / LONG_PAGE), made(0).id, 10_000])
    // Of a thread that is left, the newest 2,000 stay.
    threads.trim('int_1')
    expect(ids(store).length).toBeLessThanOrEqual(KEPT)
    server.fails = true
    expect(await threads.back('int_1', () => true)).toBe(false)
  })

  it('are let go of when they are over, and read again by whoever opens them', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 500 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    threads.forget('int_1')
    expect([ids(store), threads.loaded.size, threads.older.size]).toEqual([[], 0, 0])
    await threads.load('int_1')
    expect([server.calls, ids(store).length]).toEqual([2, PAGE])
  })

  it('ask for an older page once, however often somebody scrolls there', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 500 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    await Promise.all([threads.more('int_1'), threads.more('int_1'), threads.more('int_1')])
    expect([server.calls, ids(store).length]).toEqual([2, 2 * PAGE])
    server.fails = true
    expect([await threads.more('int_1'), ids(store).length]).toEqual([false, 2 * PAGE])
    server.fails = false
    expect([await threads.more('int_1'), ids(store).length]).toEqual([true, 3 * PAGE])
  })

  it('keep so many of what nobody looks at, and read the rest again', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 5_000 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    while (threads.older.has('int_1')) await threads.more('int_1')
    expect(ids(store).length).toBe(5_000)
    threads.trim('int_1')
    expect([ids(store).length, ids(store)[0]]).toEqual([KEPT, made(3_000).id])
    await threads.more('int_1')
    expect(ids(store)[0]).toBe(made(2_900).id)
  })

  it('lose what is old while they grow and nobody looks, and are read again by whoever opens them', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 300 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    await threads.load('int_1')
    for (let n = 300; n < 1_000; n += 1) {
      server.messages.push(made(n))
      store.apply(event('message', made(n)))
      threads.slim('int_1')
      expect(ids(store).length).toBeLessThanOrEqual(PAGE + GROWTH)
    }
    expect([ids(store).at(-1), threads.loaded.has('int_1')]).toEqual([made(999).id, false])
    await threads.load('int_1')
    while (threads.older.has('int_1')) await threads.more('int_1')
    expect(ids(store).length).toBe(1_000)
  })

  it('take no event about a message before what was read: it would stand there alone', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 300 }, (_, n) => made(n))
    const threads = new Threads(store, server.read)
    // Before the thread is read, too.
    store.apply(event('message_state', made(5, 2)))
    await threads.load('int_1')
    store.apply(event('message_state', made(7, 2)))
    expect(ids(store)[0]).toBe(made(200).id)
    while (threads.older.has('int_1')) await threads.more('int_1')
    expect(ids(store).length).toBe(300)
  })

  it('drop an older page of a thread that was begun anew meanwhile', async () => {
    const [server, store] = [new Server(), new Store('agt_me')]
    server.messages = Array.from({ length: 300 }, (_, n) => made(n))
    let slow: (() => void) | undefined
    const threads = new Threads(store, async (id, after, limit) => {
      const answer = await server.read(id, after, limit)
      if (after !== undefined) await new Promise<void>((resolve) => (slow = resolve))
      return answer
    })
    await threads.load('int_1')
    const more = threads.more('int_1')
    // Events were missed: more than a page of them.
    for (let n = 300; n < 450; n += 1) server.messages.push(made(n))
    await threads.load('int_1', true)
    slow?.()
    await more
    expect([ids(store)[0], ids(store).length]).toEqual([made(350).id, PAGE])
  })

  it('are the end of the true thread without a hole, whatever happens meanwhile', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('new' as const), told: fc.constant(true) }), fc.record({ kind: fc.constant('state' as const), at: fc.nat(400) }),
      fc.record({ kind: fc.constantFrom('load' as const, 'anew' as const, 'more' as const, 'trim' as const, 'slim' as const, 'forget' as const, 'grow' as const, 'fail' as const, 'mend' as const, 'wait' as const) }))
    await fc.assert(fc.asyncProperty(fc.nat(60), fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 40 }), async (begun, most, steps) => {
      const [server, store] = [new Server(most), new Store('agt_me')]
      server.messages = Array.from({ length: begun }, (_, n) => made(n))
      const threads = new Threads(store, server.read)
      const running: Promise<unknown>[] = [threads.load('int_1')]
      const tell = () => {
        const message = made(server.messages.length)
        server.messages.push(message)
        store.apply(event('message', message))
      }
      for (const it of steps) {
        if (it.kind === 'new') tell()
        else if (it.kind === 'state' && it.at < server.messages.length) {
          const message = made(it.at, server.messages[it.at]!.version + 1)
          server.messages[it.at] = message
          store.apply(event('message_state', message))
        } else if (it.kind === 'load' || it.kind === 'anew') running.push(threads.load('int_1', it.kind === 'anew'))
        else if (it.kind === 'more') running.push(threads.more('int_1'))
        else if (it.kind === 'trim') threads.trim('int_1')
        else if (it.kind === 'slim') threads.slim('int_1')
        else if (it.kind === 'forget') threads.forget('int_1')
        else if (it.kind === 'grow') for (let n = 0; n <= GROWTH + PAGE; n += 1) tell()
        else if (it.kind === 'fail' || it.kind === 'mend') server.fails = it.kind === 'fail'
        else if (it.kind === 'wait') await Promise.all(running.splice(0))
      }
      server.fails = false
      await Promise.all(running)
      await threads.load('int_1')
      const shown = store.thread('int_1')
      expect(shown).toEqual(shown.length === 0 ? [] : server.messages.slice(-shown.length))
      // And all of it can be read.
      while (threads.older.has('int_1')) await threads.more('int_1')
      expect(store.thread('int_1')).toEqual(server.messages)
    }))
  })
})
