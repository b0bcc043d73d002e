/**
 * The agent's numbered events, without a gap: an event is applied only after the one before it. A hole that stays open
 * is read over HTTP; where the events are gone, everything is read anew.
 */
import type { Entry } from '../api'
import type { Snapshot } from './store'

/** A socket as far as the feed needs one. */
export interface Line {
  send(text: string): void
  close(): void
}

export interface Listener {
  open(): void
  frame(text: string): void
  closed(): void
}

/** Where events come from and go to. */
export interface Ports {
  snapshot(): Promise<Snapshot>
  /** Events after a number; fewer than all when `next` is there. */
  read(after: number): Promise<{ items: Entry[]; next?: string | null }>
  connect(listener: Listener): Promise<Line>
  replace(snapshot: Snapshot): void
  /** `live` is false while missed events are read: nothing of them rings before all of them are here. */
  apply(entry: Entry, live: boolean): void
  /** All that was missed is here. */
  caughtUp?(): void
  /** Since when there is no connection; undefined: there is one. */
  state?(lostSince: number | undefined): void
  timer(run: () => void, ms: number): () => void
  now(): number
  random(): number
}

/** A hole mostly closes by itself: events of one moment overtake each other by less than this. */
const HOLE = 300
/** The API ends a silent connection after ten minutes, and a lost event shows at the next question. */
const ASK = 4 * 60_000
/** Any connection ends after two hours; the next one stands before that. */
const RENEW = 110 * 60_000
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 30_000
/** The WebSocket API gives up a question after 29 s: an answer that has not ended by then never will. */
const ANSWER = 30_000

export class Feed {
  /** The number of the last event that was applied. */
  seq = 0
  private waiting = new Map<number, Entry>()
  private line: Line | undefined
  private generation = 0
  /** The line whose frames are taken; 0: there is none. */
  private listened = 0
  /** Ends the wait for a line that is being opened. */
  private opening: (() => void) | undefined
  private failures = 0
  private lostSince: number | undefined
  /** Tells the present line that it is lost. */
  private lost: (() => void) | undefined
  private closeHole: (() => void) | undefined
  private retry: (() => void) | undefined
  private timers: (() => void)[] = []
  private reading: Promise<void> | undefined
  /** Ends the wait for the socket's answer, while there is one. */
  private asking: (() => void) | undefined
  private ended = false

  constructor(private readonly ports: Ports) {}

  /** Reads everything, then listens. */
  async start(): Promise<void> {
    await this.renew()
    this.lostSince = this.ports.now()
    this.connect()
  }

  stop() {
    this.ended = true
    this.drop()
    this.retry?.()
    this.closeHole?.()
  }

  /** The machine woke up, or the network is back: do not wait for the next try. */
  wake() {
    if (this.ended || !this.retry) return
    this.retry()
    this.failures = 0
    this.connect()
  }

  /** The browser says that there is no network. The socket may not notice for minutes. */
  lose() {
    this.listened = 0
    this.lost?.()
  }

  private drop() {
    this.generation += 1
    this.listened = 0
    for (const cancel of this.timers.splice(0)) cancel()
    this.opening?.()
    this.opening = undefined
    this.answered()
    this.line?.close()
    this.line = undefined
  }

  private answered() {
    this.asking?.()
    this.asking = undefined
  }

  /** Opens a line. The one before goes when the next one stands; `dead`: it does not answer any more. */
  private connect(dead = false) {
    this.retry = undefined
    const generation = (this.generation += 1)
    const before = this.line
    let line: Line | undefined
    const current = () => generation === this.generation && !this.ended
    const tellLost = () => {
      this.lostSince ??= this.ports.now()
      this.ports.state?.(this.lostSince)
    }
    const lost = () => {
      if (this.ended) return
      if (!current()) {
        // The next one is being opened already.
        if (generation !== this.listened) return
        this.listened = 0
        return tellLost()
      }
      line?.close()
      if (this.listened !== 0 && this.listened !== generation && !dead) {
        // The line before is still good.
        this.generation += 1
        this.opening?.()
        this.opening = undefined
        this.lost = () => {
          this.drop()
          tellLost()
        }
      } else {
        this.drop()
        tellLost()
      }
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures)
      this.failures += 1
      // Half of it by chance, so that not everybody comes back at once.
      this.retry = this.ports.timer(() => this.connect(dead), pause / 2 + (pause / 2) * this.ports.random())
    }
    this.lost = lost
    // A browser tries for minutes.
    this.opening?.()
    this.opening = this.ports.timer(lost, ANSWER)
    let open = false
    const opened = () => {
      if (!current() || !line || open) return
      open = true
      this.opening?.()
      this.opening = undefined
      this.line = line
      this.listened = generation
      before?.close()
      for (const cancel of this.timers.splice(0)) cancel()
      this.answered()
      this.failures = 0
      this.lostSince = undefined
      this.ports.state?.(undefined)
      // What was missed is read in a few calls, and applied at once. The socket has told of the rest since it opened; a
      // reading that is under way may have been answered before that.
      void (this.reading ?? Promise.resolve()).then(() => this.catchUp(false))
      this.timers.push(this.ports.timer(() => this.askAtTimes(), ASK))
      this.timers.push(this.ports.timer(() => this.connect(), RENEW))
    }
    let early = false
    this.ports
      .connect({
        open: () => (line && current() ? opened() : (early = true)),
        frame: (text) => generation === this.listened && !this.ended && this.frame(text),
        closed: lost
      })
      .then((made) => {
        if (!current()) return made.close()
        line = made
        if (early) opened()
      }, lost)
  }

  /** Asks for what got lost on the way, from time to time. */
  private askAtTimes() {
    this.ask()
    this.timers.push(this.ports.timer(() => this.askAtTimes(), ASK))
  }

  private ask() {
    this.answered()
    this.line?.send(JSON.stringify({ after: this.seq }))
    // A line that no longer answers looks as if nothing happened. The next one stands before this one goes.
    this.asking = this.ports.timer(() => {
      this.asking = undefined
      // What stands, stands: nothing more of this answer is waited for.
      this.ports.caughtUp?.()
      this.connect(true)
    }, ANSWER)
  }

  /** A frame of the socket: an event, or the end of an answer. */
  frame(text: string) {
    const said = JSON.parse(text) as Partial<Entry> & { caught_up?: number; more?: boolean }
    if (typeof said.seq === 'number' && said.event) this.take(said as Entry, !this.asking)
    else if (typeof said.caught_up === 'number') this.end(said.caught_up, said.more === true)
  }

  /** The socket has sent all events up to this number. */
  private end(last: number, more: boolean) {
    if (!this.asking) return
    this.answered()
    if (this.seq < last) this.readHole(() => this.seq < last)
    else if (more) this.ask()
    else this.ports.caughtUp?.()
  }

  private take(entry: Entry, live: boolean) {
    if (entry.event.type === 'expired') {
      if (entry.seq > this.seq) void this.catchUp(true)
      return
    }
    if (entry.seq <= this.seq) return
    this.waiting.set(entry.seq, entry)
    this.advance(live)
    if (this.waiting.size > 0) this.readHole(() => this.waiting.size > 0)
  }

  /** Reads what is missing, if it still is in a moment. */
  private readHole(isOpen: () => boolean) {
    if (this.closeHole || this.reading) return
    this.closeHole = this.ports.timer(() => {
      this.closeHole = undefined
      if (isOpen()) void this.catchUp(false)
    }, HOLE)
  }

  private advance(live: boolean) {
    for (let next; (next = this.waiting.get(this.seq + 1)); ) {
      this.waiting.delete(next.seq)
      this.seq = next.seq
      this.ports.apply(next, live)
    }
    for (const seq of this.waiting.keys()) if (seq <= this.seq) this.waiting.delete(seq)
  }

  /** Reads the missing events; `anew`: all of it. One at a time. */
  catchUp(anew: boolean): Promise<void> {
    return (this.reading ??= this.readOn(anew)
      .catch(() => {
        // The network again. The hole is still there; look once more in a while.
        this.closeHole ??= this.ports.timer(() => {
          this.closeHole = undefined
          void this.catchUp(anew)
        }, LONGEST_PAUSE / 6)
      })
      .finally(() => (this.reading = undefined)))
  }

  private async readOn(anew: boolean) {
    if (anew) await this.renew()
    const missed: Entry[] = []
    try {
      for (let after = this.seq; ; ) {
        const page = await this.ports.read(after)
        if (page.items.some((entry) => entry.event.type === 'expired' && entry.seq > this.seq)) {
          missed.length = 0
          await this.renew()
          after = this.seq
          continue
        }
        missed.push(...page.items)
        const last = page.items.at(-1)?.seq ?? after
        if (!page.next || last <= after) break
        after = last
      }
    } finally {
      // All at once: the screen is drawn once.
      for (const entry of missed) this.take(entry, false)
    }
    // Not after a page that could not be read: what it withdraws must not ring before.
    this.ports.caughtUp?.()
  }

  private async renew() {
    const snapshot = await this.ports.snapshot()
    this.ports.replace(snapshot)
    this.seq = Math.max(this.seq, snapshot.seq)
    this.advance(false)
  }
}
