/** Sounds: a ring for offers, which lasts until they end, and a tone for messages. Browsers allow them after a gesture. */
export class Ring {
  private audio: AudioContext | undefined
  private timer: ReturnType<typeof setInterval> | undefined
  /** Of several windows one rings: the first that may. It holds the lock. */
  private mine = false

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
    const twice = () => {
      this.play(660, 0, 0.18)
      this.play(880, 0.22, 0.24)
    }
    twice()
    this.timer = setInterval(twice, 2000)
  }

  tone() {
    this.play(740, 0, 0.12)
  }

  private play(hertz: number, after: number, seconds: number) {
    if (!this.audio || this.locked || !this.mine) return
    const start = this.audio.currentTime + after
    const [wave, volume] = [this.audio.createOscillator(), this.audio.createGain()]
    wave.frequency.value = hertz
    volume.gain.setValueAtTime(0.0001, start)
    volume.gain.exponentialRampToValueAtTime(0.2, start + 0.02)
    volume.gain.exponentialRampToValueAtTime(0.0001, start + seconds)
    wave.connect(volume).connect(this.audio.destination)
    wave.start(start)
    wave.stop(start + seconds)
  }
}
