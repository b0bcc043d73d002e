/** The conversations that a supervisor has selected, over pages, filters and searches. */
import { shallowReactive } from 'vue'
import type { Listed } from '../api/supervisor'

/** As many as one order takes: an export and a deletion name them all. */
export const MOST = 5000

export const selected = shallowReactive(new Map<string, Listed>())

export function select(items: Listed[], on: boolean) {
  for (const it of items) {
    if (!on) selected.delete(it.id)
    else if (selected.size < MOST) selected.set(it.id, it)
  }
}
