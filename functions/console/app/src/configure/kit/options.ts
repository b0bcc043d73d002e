/** The resources that others refer to: read once, for choices and for names. */
import { reactive } from 'vue'
import { useDesk } from '../../desk/desk'
import { kindOf } from '../kinds'
import { type KindName } from './fields'
import { atLeast } from '../../views'
import type { Doc } from './paths'

export interface Option {
  id: string
  text: string
  doc: Doc
}
interface Known {
  state: 'idle' | 'loading' | 'ready' | 'failed'
  /** The last ones stay while they are read again. */
  options: Option[]
}
const all = reactive(new Map<KindName, Known>())
/** When each was asked for: others add and rename things too, so after a minute it is read again. */
const asked = new Map<KindName, number>()
const FRESH = 60_000

export function useOptions() {
  const desk = useDesk()
  function known(kind: KindName): Known {
    if (!all.has(kind)) all.set(kind, { state: 'idle', options: [] })
    const found = all.get(kind)!
    if (found.state === 'idle' || (found.state === 'ready' && Date.now() - (asked.get(kind) ?? 0) > FRESH)) {
      asked.set(kind, Date.now())
      if (found.state === 'idle') found.state = 'loading'
      void read(kind).then(
        (options) => Object.assign(found, { options, state: 'ready' }),
        () => (found.state = 'failed')
      )
    }
    return found
  }
  async function read(name: KindName): Promise<Option[]> {
    const kind = kindOf(name)
    // Supervisors don't read accounts; the desk knows their names.
    if (name === 'accounts' && !atLeast(desk.me.role, kind.reads)) {
      return desk.me.accounts.map((it) => ({ id: it.id, text: `${it.name} (${it.key})`, doc: { ...it } }))
    }
    const options: Option[] = []
    let after: string | undefined
    do {
      const page = await kind.list({ after, limit: 100 })
      options.push(...page.items.map((doc) => ({ id: String(doc.id), text: name === 'accounts' ? `${kind.label(doc)} (${String(doc.key)})` : kind.label(doc), doc })))
      after = page.next ?? undefined
    } while (after)
    return options.sort((a, b) => a.text.localeCompare(b.text))
  }
  return {
    options: (kind: KindName) => known(kind).options,
    state: (kind: KindName) => known(kind).state,
    /** While the names are read it is not known, which is no reason to show an id. */
    nameOf: (kind: KindName, id: unknown) => known(kind).options.find((option) => option.id === id)?.text ?? (known(kind).state === 'loading' ? '…' : String(id ?? '')),
    again: forgetOptions
  }
}
export type Options = ReturnType<typeof useOptions>

/** The next choice reads them again. */
export function forgetOptions(kind: KindName) {
  const found = all.get(kind)
  if (found) found.state = 'idle'
}
