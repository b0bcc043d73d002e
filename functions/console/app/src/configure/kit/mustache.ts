/** The faults of a text with variables that can be seen while it is typed. The API has the last word. */
import type { Key } from '../../i18n'

export const VARIABLES = [
  'account.name', 'account.key', 'queue.name', 'contact.name', 'contact.firstName', 'contact.lastName', 'contact.mobile', 'contact.address', 'list.name'
]

export interface Fault {
  /** The number of the character, from 1. */
  place: number
  reason: Key
}

/** The first fault of a template. */
export function fault(text: string): Fault | undefined {
  const open: { name: string; at: number }[] = []
  let at = 0
  for (;;) {
    const tag = text.indexOf('{{', at)
    if (tag < 0) break
    const closing = text.startsWith('{{{', tag) ? '}}}' : '}}'
    const from = tag + closing.length
    const end = text.indexOf(closing, from)
    if (end < 0) return { place: characters(text, tag), reason: 'faultUnclosed' }
    const content = text.slice(from, end)
    const sign = closing === '}}' && /^[#^/&]/.test(content) ? content[0] : ''
    const name = content.slice(sign?.length).trim()
    if (!name.split('.').every((part) => /^[A-Za-z]\w{0,31}$/.test(part))) return { place: characters(text, tag), reason: 'faultName' }
    if (sign === '#' || sign === '^') open.push({ name, at: tag })
    if (sign === '/' && open.pop()?.name !== name) return { place: characters(text, tag), reason: 'faultEnd' }
    at = end + closing.length
  }
  const left = open.at(-1)
  return left && { place: characters(text, left.at), reason: 'faultSection' }
}

const characters = (text: string, at: number) => [...text.slice(0, at)].length + 1
