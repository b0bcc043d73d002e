import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TONES, USUAL } from '../src/core/preferences'
import { Ring } from '../src/core/ring'

/** What is played: hertz, and how loud at its loudest. */
let played: { hertz: number; loudness: number }[] = []
/** Whether a gesture has come: before, a browser makes no sound. */
let allowed = true
class Audio {
  state = 'suspended'
  currentTime = 0
  destination = {}
  resume() {
    if (allowed) this.state = 'running'
    return Promise.resolve()
  }
  createOscillator() {
    return { frequency: { value: 0 }, connect: (volume: object) => volume, start() { played.push({ hertz: this.frequency.value, loudness }) }, stop: () => undefined }
  }
  createGain() {
    loudness = 0
    return { gain: { setValueAtTime: () => undefined, exponentialRampToValueAtTime: (to: number) => (loudness = Math.max(loudness, to)) }, connect: () => undefined }
  }
}
let loudness = 0
/** Another window has it, or none has. */
let taken = false

beforeEach(() => {
  vi.useFakeTimers()
  ;[played, allowed, taken] = [[], true, false]
  vi.stubGlobal('AudioContext', Audio)
  vi.stubGlobal('navigator', { locks: { request: (_: string, run: () => unknown) => (taken ? new Promise(() => undefined) : Promise.resolve(run())) } })
  // Another tab, another program, is in front.
  vi.stubGlobal('document', { hidden: true })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})
const made = (wishes: Partial<typeof USUAL> = {}) => new Ring(() => ({ ...USUAL, ...wishes }))
const hertz = () => played.map((it) => it.hertz).join()

describe('the ring', () => {
  it('goes on until it is ended, in the background too', () => {
    const ring = made()
    ring.unlock()
    ring.ring(true)
    const once = played.length
    ring.ring(true)
    expect(played.length).toBe(once)
    vi.advanceTimersByTime(60_000)
    expect(played.length).toBe(31 * once)
    ring.ring(false)
    vi.advanceTimersByTime(60_000)
    expect(played.length).toBe(31 * once)
  })

  it('is one of three sounds that differ, as loud as the person wishes', () => {
    const sounds = TONES.map((tone) => {
      played = []
      const ring = made({ tone })
      ring.unlock()
      ring.once()
      return hertz()
    })
    expect(new Set(sounds).size).toBe(3)
    const loud = [10, 50, 100].map((volume) => {
      played = []
      const ring = made({ volume })
      ring.unlock()
      ring.once()
      return played[0]!.loudness
    })
    expect(loud.map((it) => Math.round((it / loud[0]!) * 10))).toEqual([10, 50, 100])
    played = []
    const silent = made({ volume: 0 })
    silent.unlock()
    silent.once()
    expect(played).toEqual([])
  })

  it('waits for a gesture, and rings on from then', () => {
    allowed = false
    const ring = made()
    ring.unlock()
    ring.ring(true)
    vi.advanceTimersByTime(4_000)
    expect([played.length, ring.locked]).toEqual([0, true])
    allowed = true
    ring.unlock()
    vi.advanceTimersByTime(2_000)
    expect([played.length > 0, ring.locked]).toEqual([true, false])
  })

  it('is silent where another window rings', () => {
    taken = true
    const ring = made()
    ring.unlock()
    ring.once()
    expect(played).toEqual([])
  })

  it('has another sound for messages, for those who want it', () => {
    const [ring, without] = [made({ messages: true }), made({ messages: false })]
    for (const it of [ring, without]) it.unlock()
    without.tone()
    expect(played).toEqual([])
    ring.tone()
    expect(played.length).toBe(1)
  })
})
