/**
 * Does something soon, once for several reasons. All desks hear of a change in the same second: each waits for its own
 * time, so that they don't ask all at once.
 */
export interface SoonPorts {
  run(): Promise<void>
  timer(run: () => void, ms: number): () => void
  random(): number
}

/** Somebody who saves a form saves another one: what is saved within a second or two is read once. */
const LEAST = 1000
/** Five hundred desks that ask within ten seconds are fifty questions a second, which few processes answer. */
const SPREAD = 10_000

export class Soon {
  private waiting = false
  private running = false

  constructor(private readonly ports: SoonPorts) {}

  /** There is a reason. What is being done may have begun before it. */
  call() {
    if (this.waiting) return
    this.waiting = true
    this.ports.timer(() => void this.run(), LEAST + this.ports.random() * SPREAD)
  }

  private async run() {
    this.waiting = false
    if (this.running) return this.call()
    this.running = true
    try {
      await this.ports.run()
    } finally {
      this.running = false
    }
  }
}
