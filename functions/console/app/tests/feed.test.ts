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
    // In any order: this server's interactions don't say when somebody wrote last.
    mine: store.mine().map((it) => [it.id, it.version]).sort(),
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
  let [listener, now, reads, failing, lines, caughtUp] = [undefined as Listener | undefined, 0, 0, false, 0, 0]
  const live: number[] = []
  const listeners: Listener[] = []
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
      listeners.push(given)
      lines += 1
      return { send: (text) => void sent.push(text), close: () => undefined }
    },
    replace: (snapshot) => store.replace(snapshot),
    apply(entry, isLive) {
      applied.push(entry.seq)
      if (isLive) live.push(entry.seq)
      store.apply(entry)
    },
    caughtUp: () => void (caughtUp += 1),
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
    feed, store, applied, sent, states, settle, pass, listeners,
    frame: (entry: object) => listener!.frame(JSON.stringify(entry)),
    get lines() { return lines },
    get live() { return live },
    get caughtUp() { return caughtUp },
    cut: () => listener!.closed(),
    open: () => listener!.open(),
    get reads() { return reads },
    set failing(on: boolean) { failing = on }
  }
}

const steps = fc.array(fc.tuple(fc.nat(6), fc.nat(9)), { maxLength: 40 })

/** What may happen in any order: at the server, on the way, at the agent's machine. */
const happening = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('step' as const), what: fc.nat(6), which: fc.nat(9) }) },
  // A frame of one of the last events: late, again, before another one.
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('frame' as const), back: fc.nat(6) }) },
  // One of the questions that are under way is answered there; then its answer arrives here.
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat(5), fails: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(10, 400, 6000, 300_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'open' as const, 'wake' as const, 'expire' as const, 'told' as const, 'ask' as const) }) }
)

/** A feed whose questions are answered when the test says so. What is answered is read piece by piece. */
class World {
  readonly server = new Server()
  readonly store = new Store(ME)
  readonly applied: number[] = []
  private readonly asked: { answer(): (() => void); fail(): void; arrive?: () => void }[] = []
  private readonly timers: { at: number; run: () => void }[] = []
  private listener: Listener | undefined
  private now = 0
  /** Answers of other calls, and the epoch in which each was asked for. */
  private readonly late: [Interaction, number][] = []
  readonly feed = new Feed({
    snapshot: async () => {
      // The number first, then what is mine and what rings, then the presence.
      const { seq } = await this.ask(() => this.server.snapshot())
      const { interactions, offers } = await this.ask(() => this.server.snapshot())
      const { presence } = await this.ask(() => this.server.snapshot())
      return { seq, interactions, offers, presence }
    },
    read: (after) => this.ask(() => this.server.read(after)),
    connect: (listener) => this.ask(() => {
      this.listener = listener
      return { send: (text) => void this.sent.push(JSON.parse(text).after), close: () => this.listener === listener && (this.listener = undefined) }
    }),
    replace: (snapshot) => this.store.replace(snapshot),
    apply: (entry) => {
      this.applied.push(entry.seq)
      this.store.apply(entry)
    },
    timer: (run, ms) => {
      const timer = { at: this.now + ms, run }
      this.timers.push(timer)
      return () => void this.timers.splice(this.timers.indexOf(timer) >>> 0, 1)
    },
    now: () => this.now,
    random: () => 1
  })
  /** What the socket was asked for. */
  private readonly sent: number[] = []

  private ask<T>(answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => this.asked.push({ answer: () => { const found = answer(); return () => resolve(found) }, fail: () => reject(new Error('the network')) }))
  }
  async settle() { for (let n = 0; n < 30; n += 1) await Promise.resolve() }
  async pass(ms: number) {
    for (const end = this.now + ms; ; ) {
      const due = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!due) return void (this.now = end)
      this.timers.splice(this.timers.indexOf(due), 1)
      this.now = Math.max(this.now, due.at)
      due.run()
      await this.settle()
    }
  }
  /** A frame reaches only a socket that is there. */
  frame = (entry: object | undefined) => entry && this.listener?.frame(JSON.stringify(entry))
  async happen(it: typeof happening extends fc.Arbitrary<infer T> ? T : never) {
    switch (it.kind) {
      case 'step': return this.server.step(it.what, it.which)
      case 'frame': return this.frame(this.server.events.at(-1 - it.back))
      case 'answer': {
        const at = it.which % Math.max(1, this.asked.length)
        const one = this.asked[at]
        if (!one) break
        // Most answers come.
        const fails = it.fails && it.which === 0
        if (!one.arrive && !fails) {
          one.arrive = one.answer()
          break
        }
        this.asked.splice(at, 1)
        if (fails) one.fail()
        else one.arrive!()
        break
      }
      case 'time': return this.pass(it.ms)
      case 'cut': return this.listener?.closed()
      case 'open': return this.listener?.open()
      case 'wake': return this.feed.wake()
      case 'expire': {
        this.server.expired = this.server.events.length
        const last = this.server.events.at(-1)
        return this.frame(last && { ...last, event: { type: 'expired' } as Entry['event'] })
      }
      // Another call is answered with what the server says now, or is asked now and answered later.
      case 'told': {
        for (const [found, asked] of this.late.splice(0)) this.store.applyInteraction(found, asked)
        return
      }
      case 'ask': return void this.late.push(...[...this.server.interactions.values()].map((found): [Interaction, number] => [found, this.store.epoch]))
    }
    await this.settle()
  }
  /** Everything is well again: all is answered, and what the socket is asked for it gives. */
  async end() {
    for (let turn = 0; turn < 60; turn += 1) {
      for (const one of this.asked.splice(0)) (one.arrive ?? one.answer())()
      await this.settle()
      this.listener?.open()
      await this.settle()
      for (const after of this.sent.splice(0)) {
        const { items, next } = this.server.read(after, 200)
        for (const entry of items) this.frame(entry)
        this.frame({ caught_up: items.at(-1)?.seq ?? this.server.events.length, more: next && true })
      }
      await this.pass(turn < 50 ? 10_000 : 0)
    }
    for (const [found, asked] of this.late.splice(0)) this.store.applyInteraction(found, asked)
  }
}

/** Something happened meanwhile; the machine wakes, and knows of it. */
async function comesBack(server: Server, it_: Awaited<ReturnType<typeof connected>>) {
  server.step(4, 1)
  it_.failing = false
  it_.feed.wake()
  await it_.settle()
  it_.open()
  await it_.settle()
  expect([it_.states.at(-1), it_.applied]).toEqual([undefined, [1]])
}

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

  it('ends there, too, whatever gets lost, late or cut, in whatever order everything is answered', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.array(happening, { maxLength: 120 }), async (before, all) => {
        const world = new World()
        for (const [kind, which] of before) world.server.step(kind, which)
        // The desk begins with a snapshot, or begins again.
        const start = async () => { while (!(await world.feed.start().then(() => true, () => false))); }
        void start()
        await world.settle()
        for (const it of all) {
          await world.happen(it)
          await world.settle()
        }
        await world.end()
        expect(world.feed.seq).toBe(world.server.events.length)
        const fresh = new Store(ME)
        fresh.replace(world.server.snapshot())
        expect(screen(world.store)).toEqual(screen(fresh))
        expect(world.applied).toEqual([...new Set(world.applied)].sort((a, b) => a - b))
        world.feed.stop()
      }),
      { numRuns: 1000 }
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

  it('reads a hole again in a while when that has failed', async () => {
    const server = new Server()
    const it_ = await connected(server)
    for (let n = 0; n < 3; n += 1) server.step(4, n)
    it_.failing = true
    it_.frame(server.events[2]!)
    await it_.pass(400)
    it_.failing = false
    expect(it_.applied).toEqual([])
    await it_.pass(6000)
    expect(it_.applied).toEqual([1, 2, 3])
  })

  it('asks from time to time for what got lost, and again after a full page', async () => {
    const server = new Server()
    const it_ = await connected(server)
    expect(it_.sent).toEqual([])
    await it_.pass(4 * 60_000)
    expect(it_.sent).toEqual(['{"after":0}'])
    for (let n = 0; n < 201; n += 1) server.step(6, n)
    for (const event of server.events.slice(0, 200)) it_.frame(event)
    it_.frame({ caught_up: 200, more: true })
    expect(it_.sent).toEqual(['{"after":0}', '{"after":200}'])
    const before = it_.caughtUp
    it_.frame(server.events[200]!)
    expect(it_.caughtUp).toBe(before)
    it_.frame({ caught_up: 201 })
    // What was missed is no news of this moment; what comes behind the end is.
    expect([it_.caughtUp, it_.live]).toEqual([before + 1, []])
    server.step(6, 1)
    it_.frame(server.events[201]!)
    expect([it_.live, it_.sent.length]).toEqual([[202], 2])
  })

  it('reads over HTTP what the end of an answer tells of and no frame brought', async () => {
    const server = new Server()
    const it_ = await connected(server)
    await it_.pass(4 * 60_000)
    for (let n = 0; n < 3; n += 1) server.step(4, n)
    it_.frame(server.events[0]!)
    it_.frame({ caught_up: 3 })
    await it_.pass(400)
    expect(it_.applied).toEqual([1, 2, 3])
  })

  it('takes a line for dead that does not answer, and opens the next one before it says so', async () => {
    const server = new Server()
    const it_ = await connected(server)
    const states = it_.states.length
    await it_.pass(4 * 60_000 + 29_000)
    expect(it_.lines).toBe(1)
    server.step(4, 1)
    await it_.pass(2000)
    it_.open()
    await it_.settle()
    expect([it_.lines, it_.applied, it_.states.slice(states)]).toEqual([2, [1], [undefined]])
    // The next one answers, and stays.
    await it_.pass(4 * 60_000)
    it_.frame({ caught_up: 1 })
    await it_.pass(60_000)
    expect(it_.lines).toBe(2)
  })

  it('takes the frames of a line until the next one stands, however long that takes, and stays with it where none does', async () => {
    const server = new Server()
    const it_ = await connected(server)
    const states = it_.states.length
    const answered = async (minutes: number) => {
      for (let n = 0; n < minutes; n += 4) {
        await it_.pass(4 * 60_000)
        it_.listeners[0]!.frame(JSON.stringify({ caught_up: server.events.length }))
      }
    }
    await answered(108)
    await it_.pass(2 * 60_000 + 1000)
    expect(it_.lines).toBe(2)
    // The handshake hangs.
    server.step(4, 1)
    it_.listeners[0]!.frame(JSON.stringify(server.events[0]))
    expect([it_.applied, it_.states.length]).toEqual([[1], states])
    await it_.pass(31_000)
    expect(it_.lines).toBe(3)
    it_.failing = true
    await it_.pass(31_000)
    server.step(4, 2)
    it_.listeners[0]!.frame(JSON.stringify(server.events[1]))
    expect([it_.applied, it_.states.length]).toEqual([[1, 2], states])
    // Without a network that line is lost, too.
    it_.feed.lose()
    expect(it_.states.length).toBe(states + 1)
    await it_.pass(60_000)
    it_.failing = false
    it_.feed.wake()
    await it_.settle()
    it_.open()
    await it_.settle()
    expect([it_.states.at(-1), it_.applied]).toEqual([undefined, [1, 2]])
  })

  it('lets nothing ring that a page withdraws which could not be read', async () => {
    const server = new Server()
    const it_ = await connected(server)
    it_.cut()
    for (let n = 0; n < 5; n += 1) server.step(4, n)
    await it_.pass(600)
    const before = it_.caughtUp
    it_.open()
    await Promise.resolve()
    it_.failing = true
    await it_.settle()
    expect([it_.applied.length < 5, it_.caughtUp]).toEqual([true, before])
    it_.failing = false
    await it_.pass(6000)
    expect([it_.applied.length, it_.caughtUp > before]).toEqual([5, true])
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
    await comesBack(server, it_)
  })

  it('is lost once the browser says that there is no network, and comes back with it', async () => {
    const server = new Server()
    const it_ = await connected(server)
    it_.failing = true
    it_.feed.lose()
    it_.feed.lose()
    expect(it_.states.at(-1)).toBe(0)
    await comesBack(server, it_)
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
