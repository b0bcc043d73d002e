import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Problem } from '../src/api/client'
import type { Entry, Message } from '../src/api'
import { Outbox, type Row } from '../src/core/outbox'
import { Store } from '../src/core/store'

const [ME, BEN] = ['agt_me', 'agt_ben']

/** What becomes of what an agent writes, with a server, a way there and a page that the test has in its hand. */
class World {
  readonly messages: Message[] = []
  private readonly carriedOut = new Map<string, Message>()
  /** Requests on their way: what the server does with each, and what comes of that here. */
  private readonly asked: { row: Row; resolve(message: Message): void; reject(error: unknown): void; answer?: Message }[] = []
  private readonly timers: (() => void)[] = []
  readonly kept = new Map<string, Row>()
  private now = 0
  store!: Store
  outbox!: Outbox

  constructor() {
    this.load()
  }

  /** The page is loaded, perhaps once more: what was kept is all that is left. */
  load() {
    this.asked.length = this.timers.length = 0
    this.store = new Store(ME, undefined, (message) => this.outbox.confirm(message))
    this.outbox = new Outbox({
      send: (row) => new Promise((resolve, reject) => this.asked.push({ row, resolve, reject })),
      sent: (_, message) => this.store.applyMessage(message),
      keep: (row) => void this.kept.set(row.key, row),
      drop: (key) => void this.kept.delete(key),
      timer: (run) => (this.timers.push(run), () => undefined),
      now: () => this.now
    })
    this.outbox.restore([...this.kept.values()])
  }

  private put(author: string, interaction: string, client_id: string | undefined): Message {
    const id = `msg_${this.messages.length}`
    const message = { id, interaction, client_id, version: 1, at: '2026-11-26T08:00:00Z', author: { kind: 'agent', agent: author }, content: { type: 'text', body: id } } as Message
    this.messages.push(message)
    return message
  }

  happen([what, which]: [string, number]) {
    const one = this.asked[which % Math.max(1, this.asked.length)]
    const message = this.messages[which % Math.max(1, this.messages.length)]
    const interaction = `int_${which % 2}`
    switch (what) {
      case 'write': return this.outbox.add({ key: `key_${this.now += 1}`, interaction, kind: 'message', body: { text: 'hello' } })
      case 'arrive':
        if (!one) return
        if (!this.carriedOut.has(one.row.key)) this.carriedOut.set(one.row.key, this.put(ME, one.row.interaction, one.row.body.client_id!))
        return void (one.answer = this.carriedOut.get(one.row.key))
      case 'answer':
      case 'lose':
        if (!one) return
        this.asked.splice(this.asked.indexOf(one), 1)
        return what === 'answer' && one.answer ? one.resolve(one.answer) : one.reject(new Problem(0, 'network', ''))
      case 'event': return message && void this.store.apply({ seq: 0, at: '', event: { type: 'message', message } } as Entry)
      case 'page': return this.read(interaction)
      case 'ben': return void this.put(BEN, interaction, `key_${which}`)
      // On another screen, whose client gives no ids.
      case 'elsewhere': return void this.put(ME, interaction, undefined)
      case 'again': return void [...this.outbox.rows.keys()].forEach((key) => this.outbox.again(key))
      case 'time': return void this.timers.splice(0).forEach((run) => run())
      case 'late':
        this.now += 130_000
        return
      default: return this.load()
    }
  }
  read(interaction: string) {
    for (const message of this.messages) if (message.interaction === interaction) this.store.applyMessage(message)
  }
}

it('shows no message beside its row, whatever tells of it first, and sends nothing twice', async () => {
  const kinds = ['write', 'write', 'arrive', 'arrive', 'arrive', 'answer', 'lose', 'event', 'page', 'ben', 'elsewhere', 'again', 'time', 'late', 'load']
  const things = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat(6)), { maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(things, async (all) => {
      const world = new World()
      for (const one of all) {
        world.happen(one as [string, number])
        // What is drawn next, before anything else happens: not even then twice.
        const twice = [...world.outbox.rows.values()].filter((row) => world.store.has(row.interaction, row.key))
        expect(twice).toEqual([])
        // Some things happen in one turn.
        if (one[1] % 3 > 0) for (let n = 0; n < 12; n += 1) await Promise.resolve()
      }
      for (const interaction of ['int_0', 'int_1']) world.read(interaction)
      const arrived = world.messages.filter((it) => it.author.kind === 'agent' && it.author.agent === ME).flatMap((it) => it.client_id ?? [])
      expect(new Set(arrived).size).toBe(arrived.length)
      // Nobody is asked about what the thread shows.
      expect([...world.outbox.rows.keys(), ...world.kept.keys()].filter((key) => arrived.includes(key))).toEqual([])
    }),
    { numRuns: 1000 }
  )
})
