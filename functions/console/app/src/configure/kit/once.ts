/** What screens without a form of the kit do: read one thing, and change something of it. */
import { onMounted, ref, shallowRef } from 'vue'
import type { Problem } from '../../api/client'
import { asProblem } from './caller'
import type { Resource } from './resource'

/** One thing that is read when the screen comes up, and again on demand. What was read last stays meanwhile. */
export function useRead<T>(read: () => Promise<T>, took: (found: T) => void = () => {}) {
  const state = ref<'loading' | 'ready' | 'failed'>('loading')
  const value = shallowRef<T>()
  const problem = shallowRef<Problem>()
  const asOf = ref<number>()

  /** What was read, or what a change made of it. */
  function take(found: T) {
    value.value = found
    asOf.value = Date.now()
    took(found)
  }
  async function load() {
    state.value = 'loading'
    try {
      take(await read())
      state.value = 'ready'
    } catch (error) {
      problem.value = asProblem(error)
      state.value = 'failed'
    }
  }
  onMounted(load)
  return { state, value, problem, asOf, load, take }
}

/** A change under way, and what was refused of it. A `resource` is read again where somebody was faster. */
export function useChange(resource?: Resource) {
  const busy = ref(false)
  const refused = shallowRef<Problem>()
  async function run(change: () => Promise<unknown>) {
    busy.value = true
    refused.value = undefined
    try {
      await change()
    } catch (error) {
      refused.value = asProblem(error)
      if (refused.value.status === 412) await resource?.load()
    } finally {
      busy.value = false
    }
  }
  return { busy, refused, run }
}
