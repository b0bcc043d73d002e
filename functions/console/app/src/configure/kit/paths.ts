/** Documents of the configuration, and the differences between two versions of one. */

export type Doc = Record<string, unknown>

const isObject = (value: unknown): value is Doc => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value at a dotted path: `settings.notification.sound`. */
export function at(doc: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), doc)
}

/** Sets the value at a dotted path. Objects on the way are made. */
export function put(doc: Doc, path: string, value: unknown) {
  const names = path.split('.')
  const last = names.pop()!
  let inside = doc
  for (const name of names) {
    if (!isObject(inside[name])) inside[name] = {}
    inside = inside[name] as Doc
  }
  inside[last] = value
}

/** What a form leaves empty is the same as what the API leaves out. */
export const isEmpty = (value: unknown) =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)

/** Whether two values say the same, whatever the order of their keys. */
export function same(a: unknown, b: unknown): boolean {
  if (isEmpty(a) && isEmpty(b)) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((value, place) => same(value, b[place]))
  if (isObject(a) && isObject(b)) return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(a[key], b[key]))
  return a === b
}

/** A field, as far as differences are concerned. */
export interface Place {
  path: string
  /** What holds where the API has left the value out. */
  default?: unknown
}

/** The value that a form shows. */
export const shownAt = (doc: Doc | undefined, field: Place) => at(doc, field.path) ?? field.default

const parent = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('.')))

/** The fields whose values differ. */
export const changed = <F extends Place>(fields: F[], before: Doc | undefined, after: Doc) =>
  fields.filter((field) => !same(shownAt(before, field), shownAt(after, field)))

/** The value of a patch. An object is merged into the one that is there, so what it has no more is removed by name. */
function patched(before: unknown, after: unknown): unknown {
  if (isEmpty(after)) return Array.isArray(after) ? [] : null
  if (!isObject(before) || !isObject(after)) return after
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => !same(before[name], after[name]))
  return Object.fromEntries(names.map((name) => [name, patched(before[name], after[name])]))
}

/**
 * The merge patch (RFC 7396) that makes the fields of `before` those of `after`; `undefined` where nothing differs. A
 * list is sent whole, and an emptied value as `null`.
 */
export function patchOf(fields: Place[], before: Doc, after: Doc): Doc | undefined {
  const differing = changed(fields, before, after)
  if (differing.length === 0) return undefined
  const patch: Doc = {}
  for (const field of differing) {
    put(patch, field.path, patched(shownAt(before, field), shownAt(after, field)))
  }
  // An object that this patch makes gets all that the form shows of it, not the API's own defaults.
  for (const field of fields.filter((field) => field.default !== undefined && parent(field.path))) {
    const made = at(before, parent(field.path)) === undefined && at(patch, parent(field.path)) !== undefined
    if (made && at(patch, field.path) === undefined) put(patch, field.path, shownAt(after, field))
  }
  return patch
}

/** The body that makes a document: what is filled in. */
export function bodyOf(fields: Place[], draft: Doc): Doc {
  const body: Doc = {}
  for (const field of fields) {
    const value = shownAt(draft, field)
    if (!isEmpty(value)) put(body, field.path, value)
  }
  return body
}

/** The entries of a field: its own, with the path `''`, and those below it. */
export function below(errors: Map<string, string>, path: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const [name, message] of errors) {
    if (name === path) found.set('', message)
    else if (name.startsWith(`${path}.`)) found.set(name.slice(path.length + 1), message)
    else if (name.startsWith(`${path}[`)) found.set(name.slice(path.length), message)
  }
  return found
}
