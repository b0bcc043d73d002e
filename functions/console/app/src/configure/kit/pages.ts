/** A list that is read page by page. What was read last stays while it is read again, and when that fails. */
import { onBeforeUnmount, ref, shallowRef } from 'vue'
import type { Problem } from '../../api/client'
import { asProblem } from './caller'

interface Kept {
  items: unknown[]
  next?: string
  at: number
}
/** By name, for as long as the page lives: a list is shown at once when somebody comes back to it. */
const kept = new Map<string, Kept>()
/** As many pages as a search reads. No list of the configuration is longer. */
const MOST_PAGES = 50

export function usePages<T>(name: () => string, read: (after?: string) => Promise<{ items: T[]; next?: string | null }>) {
  const state = ref<'loading' | 'ready' | 'failed'>('loading')
  const items = shallowRef<T[]>([])
  const next = ref<string>()
  const problem = shallowRef<Problem>()
  /** When what is shown was read; `undefined` while there is nothing. */
  const asOf = ref<number>()
  let turn = 0

  function show(found: Kept) {
    items.value = found.items as T[]
    next.value = found.next
    asOf.value = found.at
  }
  async function load() {
    const mine = (turn += 1)
    const had = kept.get(name())
    if (had) show(had)
    else {
      items.value = []
      next.value = asOf.value = undefined
    }
    state.value = 'loading'
    problem.value = undefined
    try {
      const page = await read()
      if (mine !== turn) return
      const found = { items: page.items, next: page.next ?? undefined, at: Date.now() }
      kept.set(name(), found)
      show(found)
      state.value = 'ready'
    } catch (error) {
      if (mine !== turn) return
      problem.value = asProblem(error)
      state.value = 'failed'
    }
  }
  async function more() {
    const mine = turn
    if (!next.value || state.value === 'loading') return
    state.value = 'loading'
    try {
      const page = await read(next.value)
      if (mine !== turn) return
      show({ items: [...items.value, ...page.items], next: page.next ?? undefined, at: Date.now() })
      state.value = 'ready'
    } catch (error) {
      problem.value = asProblem(error)
      state.value = 'failed'
    }
  }
  /** Reads on to the end, for a search that the API does not do. */
  async function all() {
    for (let page = 0; page < MOST_PAGES && next.value && state.value === 'ready'; page += 1) await more()
  }
  const back = () => { if (state.value === 'failed') void load() }
  addEventListener('online', back)
  onBeforeUnmount(() => removeEventListener('online', back))
  return { state, items, next, problem, asOf, load, more, all }
}

/** Forgets what was read of lists whose names begin so: something of them has changed. */
export function forget(prefix: string) {
  for (const name of kept.keys()) if (name.startsWith(prefix)) kept.delete(name)
}
