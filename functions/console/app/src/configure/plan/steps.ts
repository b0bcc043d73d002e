/**
 * The steps of an action plan in an editor. A jump is kept as the step that it leads to, so that it follows the step when
 * that moves; the API names steps by their labels or places.
 */
import type { Doc } from '../kit/paths'

export const JUMPS = ['to', 'then', 'else'] as const
export type JumpName = (typeof JUMPS)[number]

export interface Row {
  /** Of this editor only. */
  uid: number
  /** The step without its jumps. */
  step: Doc
  jumps: Partial<Record<JumpName, number>>
}

let last = 0
const uid = () => (last += 1)

export function rowsOf(plan: Doc[]): Row[] {
  const rows = plan.map((step): Row => ({ uid: uid(), step: { ...step }, jumps: {} }))
  for (const row of rows) {
    for (const name of JUMPS) {
      const jump = row.step[name]
      delete row.step[name]
      const target = typeof jump === 'number' ? rows[jump] : rows.find((other) => jump !== undefined && other.step.label === jump)
      if (target) row.jumps[name] = target.uid
    }
  }
  return rows
}

export function planOf(rows: Row[]): Doc[] {
  return rows.map(({ step, jumps }) => {
    const made: Doc = { ...step }
    for (const name of JUMPS) {
      const place = rows.findIndex((row) => row.uid === jumps[name])
      if (place >= 0) made[name] = rows[place]!.step.label || place
    }
    for (const [name, value] of Object.entries(made)) if (value === undefined || value === '') delete made[name]
    return made
  })
}

export const newRow = (step: string): Row => ({ uid: uid(), step: { step, ...DEFAULTS[step] }, jumps: {} })
const DEFAULTS: Record<string, Doc> = { queue: { timeout: 30 }, agent: { timeout: 30 }, auto_reply: { when: 'once' }, priority: { priority: 5 } }

export function moved(rows: Row[], from: number, to: number): Row[] {
  if (to < 0 || to >= rows.length) return rows
  const all = [...rows]
  all.splice(to, 0, ...all.splice(from, 1))
  return all
}

/** Steps in which a plan waits for somebody. */
const WAITS = ['queue', 'agent', 'assistant']

/** Where a run may go after a step, without waiting there. */
function next(rows: Row[], place: number): number[] {
  const row = rows[place]!
  const jump = (name: JumpName) => rows.findIndex((other) => other.uid === row.jumps[name])
  const following = place + 1 < rows.length ? place + 1 : -1
  // A step outside its interval is passed over.
  const passed = row.step.interval ? [following] : []
  const kind = row.step.step as string
  if (kind === 'goto') return [jump('to'), ...passed].filter((at) => at >= 0)
  if (kind === 'goto_if') return [jump('then'), row.jumps.else === undefined ? following : jump('else'), ...passed].filter((at) => at >= 0)
  if (kind === 'close') return passed.filter((at) => at >= 0)
  return following >= 0 ? [following] : []
}

/**
 * The jumps that can come back to themselves without anything that waits in between. Such a loop may be cut when it
 * runs: a condition can end it, nothing else does.
 */
export function loops(rows: Row[]): Set<number> {
  const found = new Set<number>()
  rows.forEach((row, place) => {
    if (!['goto', 'goto_if'].includes(row.step.step as string)) return
    const seen = new Set<number>()
    const todo = next(rows, place)
    while (todo.length > 0) {
      const at = todo.pop()!
      if (at === place) found.add(row.uid)
      if (seen.has(at) || at === place) continue
      seen.add(at)
      if (!WAITS.includes(rows[at]!.step.step as string) || rows[at]!.step.interval) todo.push(...next(rows, at))
    }
  })
  return found
}

/** The places that no run reaches: after a jump or a close that always happens. */
export function unreached(rows: Row[]): Set<number> {
  const seen = new Set<number>()
  const todo = rows.length > 0 ? [0] : []
  while (todo.length > 0) {
    const at = todo.pop()!
    if (seen.has(at)) continue
    seen.add(at)
    todo.push(...next(rows, at))
  }
  return new Set(rows.filter((_, place) => !seen.has(place)).map((row) => row.uid))
}
