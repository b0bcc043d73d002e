/** The filters of the list, which live in the address: a link shows the same list, and so does "back". */
import type { LocationQuery, LocationQueryRaw } from 'vue-router'

export interface Filters {
  status?: 'open' | 'closed' | 'archived'
  read?: 'true' | 'false'
  account?: string
  agent?: string
  queue?: string
  from?: string
  to?: string
  tags: string[]
}

export const NAMES = ['status', 'read', 'account', 'agent', 'queue', 'from', 'to'] as const
const KNOWN: Partial<Record<(typeof NAMES)[number], string[]>> = { status: ['open', 'closed', 'archived'], read: ['true', 'false'] }

/** What an address asks for. Anything that is no filter is left out: addresses are typed by hand, too. */
export function filtersOf(query: LocationQuery): Filters {
  const filters: Record<string, string | string[]> = { tags: [query.tags ?? []].flat().filter((tag) => tag !== null && tag !== '') as string[] }
  for (const name of NAMES) {
    const value = [query[name]].flat()[0]
    if (value && (KNOWN[name]?.includes(value) ?? true)) filters[name] = value
  }
  return filters as unknown as Filters
}

export function queryOf(filters: Filters): LocationQueryRaw {
  const { tags, ...rest } = filters
  const query: LocationQueryRaw = Object.fromEntries(Object.entries(rest).filter(([, value]) => value))
  return tags.length > 0 ? { ...query, tags } : query
}

/** How many are set. */
export const countOf = (filters: Filters) => NAMES.filter((name) => filters[name]).length + filters.tags.length
