/** A watch of a running thread: it begins with looking, is renewed before it ends, and ends with looking away. */
import { ref } from 'vue'
import { Problem } from '../api/client'

/** Before the API's four hours are over. */
const EARLY = 5 * 60_000
/** How long to wait after a failure that may pass. */
const AGAIN = 10_000

export interface Ports {
  watch(id: string): Promise<{ until: string }>
  unwatch(id: string): Promise<unknown>
  timer(run: () => void, ms: number): () => void
  now(): number
}
/** `full`: as many others watch as may; `broken`: it will be tried again. */
export type State = 'off' | 'starting' | 'on' | 'full' | 'broken'

export function makeWatching(ports: Ports) {
  const state = ref<State>('off')
  let watched: string | undefined
  let cancel: (() => void) | undefined

  async function begin(id: string) {
    try {
      const { until } = await ports.watch(id)
      if (watched !== id) return void ports.unwatch(id).catch(() => undefined)
      state.value = 'on'
      cancel = ports.timer(() => void begin(id), Math.max(AGAIN, Date.parse(until) - ports.now() - EARLY))
    } catch (error) {
      if (watched !== id) return
      const kind = error instanceof Problem ? error.kind : ''
      state.value = kind === 'too-many-watchers' ? 'full' : kind === 'closed' ? 'off' : 'broken'
      if (state.value === 'broken') cancel = ports.timer(() => void begin(id), AGAIN)
      if (state.value === 'off') watched = undefined
    }
  }

  return {
    state,
    /** Begins to watch; what was watched before is let go. */
    async start(id: string) {
      if (watched === id && state.value !== 'full') return
      this.stop()
      watched = id
      state.value = 'starting'
      await begin(id)
    },
    stop() {
      cancel?.()
      if (watched && (state.value === 'on' || state.value === 'broken')) void ports.unwatch(watched).catch(() => undefined)
      watched = undefined
      state.value = 'off'
    },
    /** It has ended by itself: the interaction was closed. */
    ended() {
      cancel?.()
      watched = undefined
      state.value = 'off'
    }
  }
}
