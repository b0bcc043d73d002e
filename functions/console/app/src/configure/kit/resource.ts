/** One resource in a form: the version that was read, the draft, and what saving a section of it met. */
import { computed, reactive, ref, shallowReactive, shallowRef } from 'vue'
import type { Problem } from '../../api/client'
import { refusedFields } from '../../refusals'
import { asProblem } from './caller'
import { wrongs, type Field, type Kind } from './fields'
import { forgetOptions } from './options'
import { forget } from './pages'
import { bodyOf, changed, patchOf, put, same, shownAt, type Doc } from './paths'

/** Two versions of a section that both differ from the one that was read. */
export interface Clash {
  fields: Field[]
  mine: Doc
  theirs: Doc
}

/** A draft is reactive, which `structuredClone` refuses. */
const copy = <T>(value: T): T => (value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T))

/** Whether what is said of a path is said of the field: of itself or of something in it. */
const isOf = (path: string, field: Field) => path === field.path || (path.startsWith(field.path) && /^[.[]/.test(path.slice(field.path.length)))

/** How often a save that touches nothing of others' changes is tried on their version. */
const RACES = 3

/** `others`: fields that are not in the kind's sections, because they are known at run time only. */
export function useResource(kind: Kind, id?: string, others: () => Field[] = () => []) {
  const state = ref<'loading' | 'ready' | 'failed' | 'gone'>(id ? 'loading' : 'ready')
  const doc = shallowRef<Doc>()
  const draft = reactive<Doc>({})
  const problem = shallowRef<Problem>()
  const asOf = ref<number>()
  const saving = ref(false)
  /** What is wrong with fields, by path. */
  const errors = shallowReactive(new Map<string, string>())
  /** What a saved section met that is no field's. */
  const refused = shallowRef<Problem>()
  const clash = shallowRef<Clash>()
  /** The fields that a save was about: what it met is said beside them. */
  const asked = shallowRef<Field[]>([])
  const isAbout = (fields: Field[]) => asked.value.some((field) => fields.includes(field))
  const everything = computed(() => [...kind.sections.flatMap((section) => section.fields), ...others()])

  /** A newer version: the draft follows it, but for the fields that a person has changed. */
  function take(found: Doc) {
    const mine = doc.value ? changed(everything.value, doc.value, draft) : []
    const kept = mine.map((field) => [field.path, copy(shownAt(draft, field))] as const)
    for (const name of Object.keys(draft)) delete draft[name]
    Object.assign(draft, copy(found))
    for (const [path, value] of kept) put(draft, path, value)
    doc.value = found
    asOf.value = Date.now()
  }

  async function load() {
    if (!id) return
    problem.value = undefined
    if (!doc.value) state.value = 'loading'
    try {
      take(await kind.get(id))
      state.value = 'ready'
    } catch (error) {
      problem.value = asProblem(error)
      state.value = problem.value.status === 404 ? 'gone' : 'failed'
    }
  }

  const isDirty = (fields: Field[]) => (doc.value || !id ? changed(fields, doc.value, draft).length > 0 : false)

  /** Forgets what was wrong with a field: a person has changed it, or it is asked about anew. */
  const forgive = (field: Field) => [...errors.keys()].filter((path) => isOf(path, field)).forEach((path) => errors.delete(path))
  function set(field: Field, value: unknown) {
    put(draft, field.path, value)
    forgive(field)
  }

  function check(fields: Field[]): boolean {
    fields.forEach(forgive)
    const found = wrongs(fields, draft)
    for (const [path, word] of found) errors.set(path, word)
    return found.size === 0
  }

  function meet(error: unknown, fields: Field[]) {
    const met = asProblem(error)
    if (met.status === 401) return
    for (const [path, word] of refusedFields(met.body)) errors.set(path, word)
    const shown = (path: string) => fields.some((field) => isOf(path, field))
    const all = [...refusedFields(met.body).keys()]
    // The fields say it themselves.
    refused.value = met.status === 422 && all.length > 0 && all.every(shown) ? undefined : met
  }

  function changedElsewhere() {
    forget(kind.name)
    forgetOptions(kind.name)
  }

  /** Saves some fields. Answers whether that is done. */
  async function save(fields: Field[], again = RACES): Promise<boolean> {
    const before = doc.value
    asked.value = fields
    if (!before || !id || saving.value || !check(fields)) return false
    const patch = patchOf(fields, before, copy(draft))
    refused.value = undefined
    if (!patch) return true
    saving.value = true
    try {
      const saved = await kind.patch(id, Number(before.version), patch)
      discard(fields)
      take(saved)
      changedElsewhere()
      return true
    } catch (error) {
      if (asProblem(error).status !== 412) {
        meet(error, fields)
        return false
      }
      saving.value = false
      return (await meetOther(fields)) && again > 0 ? await save(fields, again - 1) : false
    } finally {
      saving.value = false
    }
  }

  /** Somebody else was faster. Answers whether the two changes don't touch each other; else both are shown. */
  async function meetOther(fields: Field[]): Promise<boolean> {
    try {
      const theirs = await kind.get(id!)
      const mine = copy(draft)
      const disputed = changed(fields, doc.value, mine).filter((field) => {
        const now = shownAt(theirs, field)
        return !same(shownAt(doc.value, field), now) && !same(now, shownAt(mine, field))
      })
      if (disputed.length > 0) clash.value = { fields: disputed, mine, theirs }
      else take(theirs)
      return disputed.length === 0
    } catch (error) {
      meet(error, fields)
      return false
    }
  }
  /** Writes this person's version over the other one. */
  async function keepMine(fields: Field[]): Promise<boolean> {
    const theirs = clash.value?.theirs
    if (!theirs) return false
    clash.value = undefined
    take(theirs)
    return await save(fields)
  }
  /** Takes the other person's values of the disputed fields; other changes stay in the form. */
  function takeTheirs() {
    const found = clash.value
    if (!found) return
    clash.value = undefined
    take(found.theirs)
    for (const field of found.fields) put(draft, field.path, copy(shownAt(found.theirs, field)))
  }

  function discard(fields: Field[]) {
    for (const field of fields) {
      put(draft, field.path, copy(shownAt(doc.value, field)))
      forgive(field)
    }
    refused.value = undefined
  }

  async function create(fields: Field[], extra: Doc = {}): Promise<Doc | undefined> {
    refused.value = undefined
    if (saving.value || !check(fields)) return undefined
    saving.value = true
    try {
      const made = await kind.create({ ...bodyOf(fields, copy(draft)), ...extra })
      changedElsewhere()
      return made
    } catch (error) {
      meet(error, fields)
      return undefined
    } finally {
      saving.value = false
    }
  }

  async function remove(): Promise<Problem | undefined> {
    if (!doc.value || !kind.remove) return undefined
    try {
      await kind.remove(id!, Number(doc.value.version))
      changedElsewhere()
      return undefined
    } catch (error) {
      return asProblem(error)
    }
  }

  return {
    kind, id, state, doc, draft, problem, asOf, saving, errors, refused, clash,
    load, take, isDirty, isAbout, set, check, meet, save, keepMine, takeTheirs, discard, create, remove
  }
}
export type Resource = ReturnType<typeof useResource>
