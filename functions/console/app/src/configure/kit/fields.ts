/** What a kind of resource consists of, told once: lists, forms, checks and comparisons follow from it. */
import type { Component } from 'vue'
import { t, type Key } from '../../i18n'
import type { Role } from '../../views'
import { isEmpty, shownAt, type Doc, type Place } from './paths'

export type KindName =
  | 'accounts' | 'agents' | 'ai-agents' | 'queues' | 'lists' | 'intervals' | 'pauses' | 'dispositions' | 'tags' | 'answers' | 'contacts' | 'contact-fields' | 'triggers'
export interface Choice {
  value: string
  label: Key
  help?: Key
}

export type Field = Place & {
  label: Key
  /** The label itself, where it comes from elsewhere. */
  words?: string
  help?: Key
  helpWords?: string
  required?: boolean
  /** Only when something is made, or only afterwards. */
  only?: 'new' | 'old'
  /** The role that may write it, where others may not. */
  writes?: Role
} & (
    | { as: 'text'; /** Offers what there is of a kind, and takes any text. */ suggest?: KindName }
    | { as: 'email' | 'lines' | 'template' | 'zone' | 'texts' | 'switch' }
    | { as: 'secret'; /** Whether one is stored; what is optional may or may not be. */ stored?: 'yes' | 'maybe' }
    | { as: 'number'; min: number; max: number; unit?: Key; /** Where numbers between whole ones are allowed. */ step?: number }
    | { as: 'choice'; options: Choice[]; radio?: boolean }
    | { as: 'one'; of: KindName; none?: Key }
    | { as: 'many'; of: KindName; ordered?: boolean; hint?: Key }
    | { as: 'own'; input: Component; shown: (value: unknown) => string }
  )

export interface Section {
  name: string
  title: Key
  help?: Key
  fields: Field[]
}

export interface Column {
  label: Key
  text: (doc: Doc) => string
  /** Left out on narrow screens. */
  wide?: boolean
  num?: boolean
}

export interface Paged {
  items: Doc[]
  next?: string | null
}

export interface Kind {
  name: KindName
  title: Key
  one: Key
  add: Key
  /** What they are for, for those who have none. */
  intro: Key
  reads: Role
  writes: Role
  label: (doc: Doc) => string
  columns: Column[]
  sections: Section[]
  /** The API searches by itself. */
  searches?: boolean
  list: (query: { after?: string; limit?: number; search?: string; account?: string }) => Promise<Paged>
  get: (id: string) => Promise<Doc>
  create: (body: Doc) => Promise<Doc>
  patch: (id: string, version: number, body: Doc) => Promise<Doc>
  remove?: (id: string, version: number) => Promise<unknown>
  /** The role that may delete, where more may write. */
  removes?: Role
  /** What stands below the form. */
  more?: Component
}

/** What is wrong with a value before anybody asks the API. */
export function wrong(field: Field, value: unknown): string | undefined {
  if (field.required && isEmpty(typeof value === 'string' ? value.trim() : value)) return t('refusedRequired')
  if (field.as === 'number' && !isEmpty(value)) {
    const number = Number(value)
    if (!(field.step || Number.isInteger(number)) || !(number >= field.min && number <= field.max)) {
      return t('refusedRange', { min: field.min, max: field.max })
    }
  }
  if (field.as === 'email' && !isEmpty(value) && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(String(value))) return t('refusedEmail')
  return undefined
}

/** What is wrong with the fields of a form, by path. */
export function wrongs(fields: Field[], draft: Doc): Map<string, string> {
  return new Map(fields.flatMap((field) => {
    const word = wrong(field, shownAt(draft, field))
    return word ? [[field.path, word] as const] : []
  }))
}
