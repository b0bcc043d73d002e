/**
 * What this agent's screen knows. Events of the feed and answers of the API go through the same `apply…`: an entity
 * gives way only to a greater version of itself, so neither repetition nor order matters.
 */
import type { Entry, Interaction, Listed, Message, Offered, Presence } from '../api'

/** An offer that rings here. */
export interface Offer {
  interaction: Interaction
  /** Its number within the interaction; a later offer has a greater one. */
  offer: number
  until?: string | null
  notification?: Offered['notification']
  queue?: Offered['queue']
}

/** Everything that the API says of an agent at one moment, and the number of the last event before it. */
export interface Snapshot {
  seq: number
  interactions: Listed[]
  offers: Offered[]
  presence: Presence
}

/** What a change means for a person. */
export type Effect =
  | { type: 'offered'; offer: Offer }
  | { type: 'taken'; interaction: Interaction | undefined; by: string }
  | { type: 'message'; message: Message }

type Maps = <V>() => Map<string, V>

export class Store {
  readonly interactions: Map<string, Interaction>
  readonly offers: Map<string, Offer>
  /** Messages by interaction, then by id. */
  readonly threads: Map<string, Map<string, Message>>
  readonly single: Map<string, Presence>
  /** Counts the snapshots. */
  epoch = 0
  /** The highest offer of an interaction that was withdrawn: an older `offered` must not bring it back. */
  private readonly withdrawn = new Map<string, number>()
  /** Threads in their order, until one of their messages changes. */
  private readonly sorted = new Map<string, Message[]>()
  /** The latest messages, as the snapshot told them: a list needs no threads. */
  readonly lasts: Map<string, NonNullable<Listed['last']>>
  /** When a conversation's latest message was written, as far as messages tell. */
  private readonly spoken: Map<string, number>
  /** The oldest message of a thread of which older ones were not read. */
  private readonly begins = new Map<string, Message>()

  /**
   * `maps` makes the maps: plain ones, or those that a screen can watch. `written` is told of this agent's own messages,
   * in the same turn in which they are here, and each time that something tells of them.
   */
  constructor(
    readonly agent: string,
    private readonly maps: Maps = () => new Map(),
    private readonly written: (message: Message) => void = () => undefined
  ) {
    this.interactions = maps()
    this.offers = maps()
    this.threads = maps()
    this.single = maps()
    this.spoken = maps()
    this.lasts = maps()
  }

  get presence(): Presence | undefined {
    return this.single.get('presence')
  }

  setPresence(presence: Presence) {
    this.single.set('presence', presence)
  }

  /**
   * Keeps the greater version. `asked` is the epoch in which an answer was asked for: one from before the last snapshot
   * may call mine what the snapshot does not list any more.
   */
  applyInteraction(interaction: Interaction, asked = this.epoch): void {
    const known = this.interactions.get(interaction.id)
    if (known && known.version >= interaction.version) return
    if (!known && asked < this.epoch && interaction.agent === this.agent && interaction.status === 'open') return
    this.interactions.set(interaction.id, interaction)
    // Nobody withdraws an offer from its winner, who may have accepted it in another window.
    const rang = this.offers.get(interaction.id)
    if (rang && rang.interaction.version < interaction.version && interaction.offer?.id !== rang.offer) this.withdraw(interaction.id, rang.offer)
  }

  /** Says where a thread begins, as far as it was read; undefined: it is here from its beginning. */
  begin(id: string, oldest: Message | undefined): void {
    if (!oldest) return void this.begins.delete(id)
    this.begins.set(id, oldest)
    const thread = this.threads.get(id)
    this.sorted.delete(id)
    for (const message of thread?.values() ?? []) if (inOrder(message, oldest) < 0) thread?.delete(message.id)
  }

  /** Keeps a message that something tells of, whatever that is. */
  applyMessage(message: Message): void {
    this.keep(message)
    if (this.isOwn(message)) this.written(message)
  }

  private isOwn({ author }: Message): boolean {
    return author.kind === 'agent' && author.agent === this.agent
  }

  /** Whether the thread has the message of this agent to which a client gave this id. */
  has(id: string, client_id: string): boolean {
    for (const message of this.threads.get(id)?.values() ?? []) if (message.client_id === client_id && this.isOwn(message)) return true
    return false
  }

  /**
   * Keeps the greater version, and the whole text where an event carries only its beginning. What lies before the
   * thread's beginning is left to whoever reads on there.
   */
  private keep(message: Message): void {
    const begin = this.begins.get(message.interaction)
    if (begin && inOrder(message, begin) < 0) return
    let thread = this.threads.get(message.interaction)
    if (!thread) this.threads.set(message.interaction, (thread = this.maps()))
    const known = thread.get(message.id)
    if (known && (known.version > message.version || (known.version === message.version && !(known.cut && !message.cut)))) return
    this.sorted.delete(message.interaction)
    thread.set(message.id, message)
    if (message.content.type === 'note' || message.content.type === 'system') return
    if (timeOf(message) > (this.spoken.get(message.interaction) ?? 0)) this.spoken.set(message.interaction, timeOf(message))
  }

  /** Lets go of a thread that nobody looks at. */
  forgetThread(id: string) {
    this.threads.delete(id)
    this.sorted.delete(id)
    this.begins.delete(id)
  }

  /** Adds to a message what it says in the agents' language, if its words are still those that were translated. */
  translate(id: string, message: string, version: number | undefined, translation: Message['translation']) {
    const thread = this.threads.get(id)
    const known = thread?.get(message)
    if (!known || known.version !== version) return
    this.sorted.delete(id)
    thread!.set(message, { ...known, translation })
  }

  private offer(offer: Offer): boolean {
    const id = offer.interaction.id
    if ((this.withdrawn.get(id) ?? -1) >= offer.offer || (this.offers.get(id)?.offer ?? -1) >= offer.offer) return false
    this.offers.set(id, offer)
    return true
  }

  private withdraw(id: string, offer: number) {
    this.withdrawn.set(id, Math.max(offer, this.withdrawn.get(id) ?? -1))
    if ((this.offers.get(id)?.offer ?? Infinity) <= offer) this.offers.delete(id)
  }

  /** Ends what rings for an interaction, because this agent has answered it. */
  answered(id: string) {
    const offer = this.offers.get(id)
    if (offer) this.withdraw(id, offer.offer)
  }

  /** One event. The caller sees to it that none is left out. */
  apply(entry: Entry): Effect | undefined {
    const event = entry.event
    switch (event.type) {
      case 'offered': {
        this.applyInteraction(event.interaction)
        const { interaction, offer, until, notification } = event
        // A snapshot or an answer has told already how it went on: the winner is not told that an offer ends.
        const known = this.interactions.get(interaction.id)
        if (known && known.version > interaction.version && known.offer?.id !== offer) this.withdraw(interaction.id, offer)
        const queue = 'queue' in event ? (event.queue as Offered['queue']) : undefined
        const made: Offer = { interaction, offer, until, notification, queue }
        return this.offer(made) ? { type: 'offered', offer: made } : undefined
      }
      case 'withdrawn': {
        const rang = this.offers.get(event.interaction)
        this.withdraw(event.interaction, event.offer)
        const taken = rang && event.taken_by && event.taken_by !== this.agent && !this.offers.has(event.interaction)
        return taken ? { type: 'taken', interaction: rang.interaction, by: event.taken_by as string } : undefined
      }
      case 'message': {
        const isNew = !this.threads.get(event.message.interaction)?.has(event.message.id)
        this.applyMessage(event.message)
        return isNew ? { type: 'message', message: event.message } : undefined
      }
      case 'message_state':
        this.applyMessage(event.message)
        return
      case 'interaction':
        this.applyInteraction(event.interaction)
        return
      case 'presence': {
        const { state, reason, since, by, by_name } = event
        const { capacity = 0, load = 0 } = this.presence ?? {}
        this.setPresence({ state, reason, since, by, by_name, capacity, load })
        return
      }
      case 'withheld':
      case 'deleted':
        this.interactions.delete(event.interaction)
        this.forgetThread(event.interaction)
        this.offers.delete(event.interaction)
        return
      default:
        // A type that a later version adds. It is nothing that this screen shows.
        return
    }
  }

  /** Takes the API's word for what is mine and what rings. */
  replace(snapshot: Snapshot): void {
    this.epoch += 1
    const listed = new Set(snapshot.interactions.map((interaction) => interaction.id))
    for (const [id, interaction] of [...this.interactions]) {
      // It was mine, and went while nobody told us. What is on the screen is read again by whoever shows it.
      if (interaction.agent === this.agent && interaction.status === 'open' && !listed.has(id)) this.interactions.delete(id)
    }
    for (const { last, ...interaction } of snapshot.interactions) {
      this.applyInteraction(interaction)
      if (last) this.lasts.set(interaction.id, last)
    }
    const ringing = new Set(snapshot.offers.map((offer) => offer.id))
    for (const id of [...this.offers.keys()]) if (!ringing.has(id)) this.offers.delete(id)
    for (const offered of snapshot.offers) {
      const { notification, queue, ...interaction } = offered
      this.applyInteraction(interaction)
      if (offered.offer) this.offer({ interaction, offer: offered.offer.id, until: offered.offer.until, notification, queue })
    }
    this.setPresence(snapshot.presence)
  }

  /** This agent's open interactions, the latest message first. */
  mine(): Interaction[] {
    const mine = [...this.interactions.values()].filter((it) => it.agent === this.agent && it.status === 'open')
    const times = new Map(mine.map((it) => [it, this.latest(it)]))
    return mine.sort((a, b) => times.get(b)! - times.get(a)! || (a.id < b.id ? -1 : 1))
  }

  /** When its latest message was written. Nobody tells of the version that an agent's own message makes. */
  latest(it: Interaction): number {
    return Math.max(Date.parse(it.last_message_at ?? it.opened_at), this.spoken.get(it.id) ?? 0)
  }

  /** A thread in its order: by the provider's time, then by id, which sorts by time too. */
  thread(id: string): Message[] {
    const thread = this.threads.get(id)
    // Its size is what a screen watches: it has to be asked for, also where the order is known.
    if (!thread?.size) return []
    let sorted = this.sorted.get(id)
    if (!sorted) this.sorted.set(id, (sorted = [...thread.values()].sort(inOrder)))
    return sorted
  }
}

/** Parsed once: a thread is put in order again with each of its messages. */
const times = new WeakMap<Message, number>()
function timeOf(message: Message): number {
  let time = times.get(message)
  if (time === undefined) times.set(message, (time = Date.parse(message.at)))
  return time
}
/** By time, then by id. */
export const inOrder = (a: Message, b: Message) => timeOf(a) - timeOf(b) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
