/**
 * What this agent has written and nobody has confirmed yet. A row is sent with the same `Idempotency-Key` until there
 * is an answer, so it arrives once however often it is sent; after two minutes a person decides.
 */
import { Problem } from '../api/client'
import type { Message, NewMessage } from '../api'

export interface Row {
  /** Its `Idempotency-Key`. */
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
}

export interface OutboxPorts {
  send(row: Row): Promise<Message>
  /** The message is confirmed. */
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
    this.set({ ...row, at: this.ports.now(), state: 'sending' })
    void this.work(row.interaction)
  }

  /** Rows of an earlier page. Whether they arrived is not known, so they wait for a person. */
  restore(rows: Row[]) {
    for (const row of rows) if (!this.rows.has(row.key)) this.rows.set(row.key, { ...row, state: 'unsure', problem: undefined })
  }

  /** Sends a row once more, with its own key. */
  again(key: string) {
    const row = this.rows.get(key)
    if (!row || row.state === 'sending') return
    this.set({ ...row, since: this.ports.now(), state: 'sending', problem: undefined })
    void this.work(row.interaction)
  }

  discard(key: string) {
    this.rows.delete(key)
    this.ports.drop(key)
  }

  private set(row: Row) {
    this.rows.set(row.key, row)
    const { problem: _, ...kept } = row
    this.ports.keep(kept)
  }

  /** One row of an interaction at a time, so that messages arrive in their order. */
  private async work(interaction: string) {
    if (this.busy.has(interaction)) return
    this.busy.add(interaction)
    try {
      for (let row; (row = this.of(interaction).find((row) => row.state === 'sending')); ) await this.deliver(row)
    } finally {
      this.busy.delete(interaction)
    }
  }

  private async deliver(row: Row) {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 2)) {
      try {
        const message = await this.ports.send(row)
        this.ports.sent(row, message)
        return this.discard(row.key)
      } catch (error) {
        const problem = error instanceof Problem ? error : new Problem(0, 'network', String(error))
        if (!problem.mayPass) return this.set({ ...row, state: 'refused', problem })
        if (this.ports.now() - (row.since ?? row.at) > PATIENCE) return this.set({ ...row, state: 'unsure', problem })
      }
      await new Promise<void>((resolve) => this.ports.timer(resolve, pause))
      if (!this.rows.has(row.key)) return
    }
  }
}
