import { USUAL, type Preferences, type Tone } from './preferences'

/** What an offer sounds like, each time: hertz, after how many seconds, for how many. */
const RINGS: Record<Tone, [hertz: number, after: number, seconds: number][]> = {
  two: [[660, 0, 0.18], [880, 0.22, 0.24]],
  three: [[784, 0, 0.12], [988, 0.15, 0.12], [1175, 0.3, 0.3]],
  low: [[330, 0, 0.3], [262, 0.34, 0.36]]
}

/** Sounds: a ring for offers, which lasts until they end, and a tone for messages. Browsers allow them after a gesture. */
export class Ring {
  private audio: AudioContext | undefined
  private timer: ReturnType<typeof setInterval> | undefined
  /** Of several windows one rings: the first that may. It holds the lock. */
  private mine = false

  constructor(private readonly wishes: () => Pick<Preferences, 'tone' | 'volume' | 'messages'> = () => USUAL) {}

  /** Called in a gesture, or just after it. */
  unlock() {
    if (!this.audio) {
      this.audio = new AudioContext()
      // Only now: a window that may make no sound must not keep the others silent.
      void navigator.locks?.request('console-ring', () => {
        this.mine = true
        // For as long as this window lives.
        return new Promise(() => undefined)
      })
    }
    void this.audio.resume()
  }

  get opened(): boolean {
    return this.audio !== undefined
  }

  get locked(): boolean {
    return this.audio?.state !== 'running'
  }

  ring(on: boolean) {
    if (on === Boolean(this.timer)) return
    clearInterval(this.timer)
    this.timer = undefined
    if (!on) return
    this.once()
    this.timer = setInterval(() => this.once(), 2000)
  }

  /** An offer's sound, once. */
  once() {
    for (const [hertz, after, seconds] of RINGS[this.wishes().tone]) this.play(hertz, after, seconds)
  }

  /** A message's. */
  tone() {
    if (this.wishes().messages) this.play(740, 0, 0.12)
  }

  private play(hertz: number, after: number, seconds: number) {
    // A third of what a loudspeaker could: a whole one would be painful.
    const loudness = (this.wishes().volume / 100) * 0.33
    if (!this.audio || this.locked || !this.mine || loudness === 0) return
    const start = this.audio.currentTime + after
    const [wave, volume] = [this.audio.createOscillator(), this.audio.createGain()]
    wave.frequency.value = hertz
    volume.gain.setValueAtTime(0.0001, start)
    volume.gain.exponentialRampToValueAtTime(loudness, start + 0.02)
    volume.gain.exponentialRampToValueAtTime(0.0001, start + seconds)
    wave.connect(volume).connect(this.audio.destination)
    wave.start(start)
    wave.stop(start + seconds)
  }
}
