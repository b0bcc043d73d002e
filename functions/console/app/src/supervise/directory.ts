/** The names of agents and queues, for choices and instead of ids. */
import { shallowRef } from 'vue'
import * as admin from '../api/admin'
import { adminCaller, useDesk } from '../desk/desk'

export const agents = shallowRef<admin.Agent[]>([])
export const queues = shallowRef<admin.Queue[]>([])

type Pages<T> = (after?: string) => Promise<{ items: T[]; next?: string | null }>

/** All pages of a list. */
export async function all<T>(read: Pages<T>): Promise<T[]> {
  const found: T[] = []
  let after: string | undefined
  do {
    const page = await read(after)
    found.push(...page.items)
    after = page.next ?? undefined
  } while (after)
  return found
}

const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name)

export async function learnNames() {
  const desk = useDesk()
  const read = (operation: typeof admin.agents | typeof admin.queues | typeof admin.listAiAgents) => (after?: string) => operation(adminCaller, { query: { after, limit: 100 } })
  try {
    const [people, rings, models] = await Promise.all([
      all(read(admin.agents) as Pages<admin.Agent>), all(read(admin.queues) as Pages<admin.Queue>), all(read(admin.listAiAgents) as Pages<{ id: string; name: string }>)
    ])
    agents.value = people.sort(byName)
    queues.value = rings.sort(byName)
    for (const { id, name } of [...people, ...rings, ...models]) desk.names.set(id, name)
  } catch {
    // Names are not worth a message; ids are never shown.
  }
}
