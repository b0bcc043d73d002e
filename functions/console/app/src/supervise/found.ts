/**
 * What a list or a search finds, page by page. An answer may hold few entries or none although there are more: then
 * the next is asked for, until there is enough to look at or somebody stops it.
 */
import { computed, ref, shallowRef } from 'vue'
import { Problem } from '../api/client'

export interface Answer<T> {
  items: T[]
  next?: string | null
  /** How many entries were looked at. */
  scanned?: number
  /** All that was opened since then was looked at. */
  through?: string | null
}

export function useFound<T>(read: (after: string | undefined) => Promise<Answer<T>>, page = 50) {
  const items = shallowRef<T[]>([])
  const next = ref<string>()
  const reading = ref(false)
  const problem = ref<Problem>()
  /** When the list was asked for that is shown; undefined: nothing is shown yet. */
  const at = ref<number>()
  const scanned = ref(0)
  const through = ref<string>()
  /** A later question makes the answers to an earlier one void. */
  let question = 0

  async function run(anew: boolean) {
    const mine = (question += 1)
    const asked = Date.now()
    const wanted = (anew ? 0 : items.value.length) + page
    let after = anew ? undefined : next.value
    let first = anew
    reading.value = true
    problem.value = undefined
    if (anew) [scanned.value, through.value] = [0, undefined]
    try {
      for (;;) {
        const answer = await read(after)
        if (mine !== question) return
        // What was shown before stays until there is something else.
        items.value = first ? answer.items : [...items.value, ...answer.items]
        if (first) at.value = asked
        first = false
        after = answer.next ?? undefined
        next.value = after
        scanned.value += answer.scanned ?? 0
        through.value = answer.through ?? through.value
        if (!after || items.value.length >= wanted) break
      }
    } catch (error) {
      if (mine !== question) return
      problem.value = error instanceof Problem ? error : new Problem(0, 'unknown', String(error))
    }
    reading.value = false
  }

  return {
    items, next, reading, problem, at, scanned, through,
    empty: computed(() => !reading.value && !problem.value && !next.value && items.value.length === 0),
    start: () => run(true),
    more: () => run(false),
    /** Keeps what is found. `more` goes on from there. */
    stop() {
      question += 1
      reading.value = false
    },
    /** Forgets it all: something else is asked. */
    clear() {
      question += 1
      items.value = []
      next.value = at.value = problem.value = through.value = undefined
      scanned.value = 0
      reading.value = false
    }
  }
}
export type Found<T> = ReturnType<typeof useFound<T>>
