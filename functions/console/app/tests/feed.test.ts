import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entry, Interaction, Message } from '../src/api'
import { Feed, type Listener } from '../src/core/feed'
import { Store, type Snapshot } from '../src/core/store'

const ME = 'agt_me'
const OTHER = 'agt_other'

const interactionOf = (id: string, version: number, agent: string | null, status: 'open' | 'closed', offer: number | undefined) =>
  ({ id, version, agent, status, offer: offer && { id: offer }, account: 'acc_1', contact: 'con_1', opened_at: '2026-11-26T08:00:00Z', unread: false, tab_open: false }) as unknown as Interaction

const messageOf = (interaction: string, id: string, version: number, at: string, state: Message['state']) =>
  ({ id, interaction, version, at, author: { kind: 'agent', agent: ME }, content: { type: 'text', body: `${id} ${version}` }, state }) as Message

/** The server: the truth, and the numbered events that led to it. */
class Server {
  readonly events: Entry[] = []
  readonly interactions = new Map<string, Interaction>()
  readonly offers = new Map<string, number>()
  readonly messages = new Map<string, Message>()
  presence = 'ready'
  /** Events up to this number are gone. */
  expired = 0

  emit(event: object) {
    this.events.push({ seq: this.events.length + 1, at: '2026-11-26T08:00:00Z', event } as Entry)
  }

  step(kind: number, which: number) {
    const id = `int_${which % 3}`
    const before = this.interactions.get(id)
    const change = (agent: string | null, status: 'open' | 'closed' = 'open') => {
      const next = interactionOf(id, (before?.version ?? 0) + 1, agent, status, this.offers.get(id))
      this.interactions.set(id, next)
      return next
    }
    switch (kind) {
      case 0: {
        const offer = (before?.version ?? 0) + 1
        this.offers.set(id, offer)
        this.emit({ type: 'offered', interaction: change(before?.agent ?? null), offer })
        return
      }
      case 1: {
        const offer = this.offers.get(id)
        if (offer === undefined) return
        this.offers.delete(id)
        this.emit({ type: 'withdrawn', interaction: id, offer, taken_by: OTHER })
        return
      }
      case 2: {
        // Whoever accepts learns it from the interaction, the others from a withdrawal.
        const offer = this.offers.get(id)
        this.offers.delete(id)
        this.emit({ type: 'interaction', interaction: change(which % 2 ? ME : OTHER) })
        if (offer !== undefined && which % 2 === 0) this.emit({ type: 'withdrawn', interaction: id, offer, taken_by: OTHER })
        return
      }
      case 3:
        this.offers.delete(id)
        return this.emit({ type: 'interaction', interaction: change(ME, 'closed') })
      case 4: {
        const message = messageOf(id, `msg_${this.messages.size}`, 1, `2026-11-26T08:00:0${which % 10}Z`, 'queued')
        this.messages.set(message.id, message)
        return this.emit({ type: 'message', message })
      }
      case 5: {
        const all = [...this.messages.values()]
        const known = all[which % Math.max(1, all.length)]
        if (!known) return
        const next = { ...known, version: known.version + 1, state: 'read' as const }
        this.messages.set(next.id, next)
        return this.emit({ type: 'message_state', message: next })
      }
      default:
        this.presence = which % 2 ? 'ready' : 'paused'
        return this.emit({ type: 'presence', state: this.presence })
    }
  }

  snapshot(): Snapshot {
    return {
      seq: this.events.length,
      interactions: [...this.interactions.values()].filter((it) => it.agent === ME && it.status === 'open'),
      offers: [...this.offers].map(([id, offer]) => ({ ...this.interactions.get(id)!, offer: { id: offer } })),
      presence: { state: this.presence, capacity: 5, load: 0 } as Snapshot['presence']
    }
  }

  read(after: number, limit = 3) {
    const items = this.events.slice(Math.max(after, this.expired))
    const first = after < this.expired ? [{ seq: this.expired, at: '', event: { type: 'expired' } } as Entry] : []
    return { items: [...first, ...items.slice(0, limit)], next: items.length > limit ? 'more' : undefined }
  }
}

/** What an agent sees. */
function screen(store: Store) {
  return {
    mine: store.mine().map((it) => [it.id, it.version]),
    offers: [...store.offers.values()].map((it) => [it.interaction.id, it.offer]).sort(),
    presence: store.presence?.state
  }
}

/** A feed on a virtual clock, with the socket in the test's hand. */
async function connected(server: Server) {
  const store = new Store(ME)
  const applied: number[] = []
  const timers: { at: number; run: () => void }[] = []
  const sent: string[] = []
  let [listener, now, reads, failing] = [undefined as Listener | undefined, 0, 0, false]
  const states: (number | undefined)[] = []
  const feed = new Feed({
    snapshot: async () => server.snapshot(),
    async read(after) {
      reads += 1
      if (failing) throw new Error('no network')
      return server.read(after)
    },
    async connect(given) {
      if (failing) throw new Error('no network')
      listener = given
      return { send: (text) => void sent.push(text), close: () => undefined }
    },
    replace: (snapshot) => store.replace(snapshot),
    apply(entry) {
      applied.push(entry.seq)
      store.apply(entry)
    },
    state: (since) => void states.push(since),
    timer(run, ms) {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer) >>> 0, 1)
    },
    now: () => now,
    random: () => 1
  })
  const settle = async () => { for (let n = 0; n < 40; n += 1) await Promise.resolve() }
  /** Lets the time pass, with everything that is due. */
  const pass = async (ms: number) => {
    for (const end = now + ms; ; ) {
      const due = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!due) { now = end; break }
      timers.splice(timers.indexOf(due), 1)
      now = Math.max(now, due.at)
      due.run()
      await settle()
    }
    await settle()
  }
  await feed.start()
  await settle()
  listener!.open()
  await settle()
  return {
    feed, store, applied, sent, states, settle, pass,
    frame: (entry: Entry) => listener!.frame(JSON.stringify(entry)),
    cut: () => listener!.closed(),
    open: () => listener!.open(),
    get reads() { return reads },
    set failing(on: boolean) { failing = on }
  }
}

const steps = fc.array(fc.tuple(fc.nat(6), fc.nat(9)), { maxLength: 40 })

describe('the feed', () => {
  it('ends in the state of the server after any order, repetition and loss of frames', async () => {
    await fc.assert(
      fc.asyncProperty(steps, steps, fc.array(fc.nat(60)), fc.integer({ min: 0, max: 10 }), async (before, after, order, expired) => {
        const server = new Server()
        for (const [kind, which] of before) server.step(kind, which)
        const it = await connected(server)
        const start = server.events.length
        // Answers of the API that are on their way meanwhile.
        const [late, asked] = [[...server.interactions.values()], it.store.epoch]
        for (const [kind, which] of after) server.step(kind, which)
        const missed = server.events.slice(start)
        // Frames by chance: some twice, some never, in any order.
        for (const at of order) if (missed.length > 0) it.frame(missed[at % missed.length]!)
        await it.settle()
        if (expired > 8) server.expired = server.events.length
        // The time of a hole, and the question that finds the last one.
        await it.pass(1000)
        const last = server.events.at(-1)
        if (last && it.feed.seq < last.seq) {
          it.frame(last)
          await it.pass(1000)
        }
        for (const answer of late) it.store.applyInteraction(answer, asked)
        expect(it.feed.seq).toBe(server.events.length)
        const fresh = new Store(ME)
        fresh.replace(server.snapshot())
        expect(screen(it.store)).toEqual(screen(fresh))
        // In order, and none twice.
        expect(it.applied).toEqual([...new Set(it.applied)].sort((a, b) => a - b))
        for (const message of server.messages.values()) {
          const known = it.store.threads.get(message.interaction)?.get(message.id)
          if (known && expired <= 8) expect(known.version).toBe(message.version)
        }
      }),
      { numRuns: 300 }
    )
  })

  it('applies nothing past a hole, and reads the hole after a moment', async () => {
    const server = new Server()
    const it_ = await connected(server)
    for (let n = 0; n < 3; n += 1) server.step(4, n)
    it_.frame(server.events[2]!)
    const reads = it_.reads
    await it_.pass(200)
    expect([it_.applied, it_.reads]).toEqual([[], reads])
    await it_.pass(200)
    expect(it_.applied).toEqual([1, 2, 3])
  })

  it('asks from time to time for what got lost, and again after a full page', async () => {
    const server = new Server()
    const it_ = await connected(server)
    expect(it_.sent).toEqual([])
    // What happened while the connection was new may not have reached it.
    await it_.pass(5_000)
    expect(it_.sent).toEqual(['{"after":0}'])
    await it_.pass(4 * 60_000)
    expect(it_.sent).toEqual(['{"after":0}', '{"after":0}'])
    for (let n = 0; n < 200; n += 1) server.step(6, n)
    for (const event of server.events) it_.frame(event)
    expect(it_.sent.slice(2)).toEqual(['{"after":200}'])
  })

  it('reads all that it missed, page by page, before any of it is applied', async () => {
    const server = new Server()
    const it_ = await connected(server)
    it_.cut()
    for (let n = 0; n < 50; n += 1) server.step(4, n)
    const reads = it_.reads
    await it_.pass(600)
    expect(it_.applied).toEqual([])
    it_.open()
    await it_.settle()
    // Pages of three.
    expect([it_.applied.length, it_.reads - reads, it_.sent]).toEqual([50, 17, []])
  })

  it('comes back after ever longer pauses, at once when the machine wakes, and says since when', async () => {
    const server = new Server()
    const it_ = await connected(server)
    it_.failing = true
    it_.cut()
    await it_.pass(20_000)
    expect(it_.states.at(-1)).toBe(0)
    server.step(4, 1)
    it_.failing = false
    it_.feed.wake()
    await it_.settle()
    it_.open()
    await it_.settle()
    expect([it_.states.at(-1), it_.applied]).toEqual([undefined, [1]])
  })

  it('reads everything anew when the missed events are gone', async () => {
    const server = new Server()
    const it_ = await connected(server)
    for (let n = 0; n < 5; n += 1) server.step(2, 1)
    server.expired = 5
    it_.frame({ seq: 5, at: '', event: { type: 'expired' } } as Entry)
    await it_.pass(1000)
    expect([it_.feed.seq, screen(it_.store).mine]).toEqual([5, [['int_1', 5]]])
  })
})
