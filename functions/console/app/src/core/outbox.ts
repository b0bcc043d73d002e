/**
 * What this agent has written and nobody has confirmed yet. A row is sent with the same `Idempotency-Key` until there
 * is an answer, so it arrives once however often it is sent; after two minutes a person decides. The message carries
 * the key as its `client_id`: whatever tells of it, an answer, an event or a page of the thread, confirms the row.
 */
import { Problem } from '../api/client'
import type { Message, NewMessage } from '../api'

export interface Row {
  /** Its `Idempotency-Key`, and its message's `client_id`. */
  key: string
  interaction: string
  kind: 'message' | 'note'
  body: NewMessage
  /** When it was written. */
  at: number
  /** When a person had it sent once more. */
  since?: number
  /** `unsure`: nobody knows whether it arrived. `refused`: it did not, and `problem` says why. */
  state: 'sending' | 'unsure' | 'refused'
  problem?: Problem
  /** It was written in an interaction that was merged into this one. */
  moved?: boolean
}

export interface OutboxPorts {
  send(row: Row): Promise<Message>
  /** The answer, also to a row that was confirmed before it. */
  sent(row: Row, message: Message): void
  /** Keeps a row for the next time that the page is loaded. */
  keep(row: Row): void
  /** The row is not needed any more. */
  drop(key: string): void
  timer(run: () => void, ms: number): () => void
  now(): number
}

/** The API keeps a key for a day; a person waits for two minutes. */
const PATIENCE = 120_000
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 15_000

export class Outbox {
  private readonly busy = new Set<string>()
  /** Interactions that have become a part of another. */
  private readonly merged = new Map<string, string>()
  /** What ends the wait for the answer to a row. */
  private readonly waits = new Map<string, () => void>()

  constructor(
    private readonly ports: OutboxPorts,
    readonly rows: Map<string, Row> = new Map()
  ) {}

  /** Rows of an interaction, the first written first. */
  of(interaction: string): Row[] {
    return [...this.rows.values()].filter((row) => row.interaction === interaction)
  }

  get isEmpty(): boolean {
    return this.rows.size === 0
  }

  add(row: Omit<Row, 'state' | 'at'>) {
    // In the body from the beginning: the same key with another body would be refused.
    this.set({ ...row, body: { ...row.body, client_id: row.key }, at: this.ports.now(), state: 'sending' })
    void this.work(row.interaction)
  }

  /** Rows of an earlier page. Whether they arrived is not known, so they wait for the thread, or for a person. */
  restore(rows: Row[]) {
    for (const row of rows) if (!this.rows.has(row.key)) this.rows.set(row.key, { ...row, state: 'unsure', problem: undefined })
  }

  /**
   * A message of this agent is there. It confirms the row of its own interaction that has its id, if that row is one of
   * this window: another client may have chosen the same id.
   */
  confirm({ client_id: key, interaction }: Message) {
    const row = key ? this.rows.get(key) : undefined
    if (!key || !row || (row.interaction !== interaction && this.merged.get(row.interaction) !== interaction)) return
    this.discard(key)
    this.waits.get(key)?.()
  }

  /** An interaction has become a part of another: what was not confirmed stands there. */
  move(from: string, to: string) {
    this.merged.set(from, to)
    for (const row of this.of(from)) if (row.state !== 'sending') this.set(row)
  }

  /** Sends a row once more, with its own key; not one that moved, since its key belongs to where it was. */
  again(key: string) {
    const row = this.rows.get(key)
    if (!row || row.state === 'sending' || row.moved) return
    this.set({ ...row, since: this.ports.now(), state: 'sending', problem: undefined })
    void this.work(row.interaction)
  }

  discard(key: string) {
    this.rows.delete(key)
    this.ports.drop(key)
  }

  private set(given: Row) {
    const to = given.state === 'sending' ? undefined : this.merged.get(given.interaction)
    const row: Row = to ? { ...given, interaction: to, moved: true } : given
    this.rows.set(row.key, row)
    const { problem: _, ...kept } = row
    this.ports.keep(kept)
  }

  /** One row of an interaction at a time, so that messages arrive in their order. */
  private async work(interaction: string) {
    if (this.busy.has(interaction)) return
    this.busy.add(interaction)
    try {
      for (let row; (row = this.of(interaction).find((row) => row.state === 'sending')); ) {
        const { key } = row
        await this.deliver(row, new Promise((resolve) => this.waits.set(key, resolve)))
        this.waits.delete(key)
      }
    } finally {
      this.busy.delete(interaction)
    }
  }

  private async deliver(row: Row, confirmed: Promise<void>) {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 2)) {
      try {
        // A confirmed row keeps none behind it waiting. Its answer is taken all the same: it has the whole text.
        await Promise.race([confirmed, this.ports.send(row).then((message) => this.ports.sent(row, message))])
        return this.discard(row.key)
      } catch (error) {
        if (!this.rows.has(row.key)) return
        const problem = error instanceof Problem ? error : new Problem(0, 'network', String(error))
        if (!problem.mayPass) return this.set({ ...row, state: 'refused', problem })
        if (this.ports.now() - (row.since ?? row.at) > PATIENCE) return this.set({ ...row, state: 'unsure', problem })
      }
      await Promise.race([confirmed, new Promise<void>((resolve) => this.ports.timer(resolve, pause))])
      if (!this.rows.has(row.key)) return
    }
  }
}
