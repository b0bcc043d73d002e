import { beforeAll, describe, expect, it, vi } from 'vitest'
import { Problem } from '../src/api/client'
import { use } from '../src/i18n'
import type { Field, Kind } from '../src/configure/kit/fields'
import { fault } from '../src/configure/kit/mustache'
import { at, below, bodyOf, changed, patchOf, put, same, type Doc } from '../src/configure/kit/paths'

// What is tested is the forms, not the desk.
vi.mock('../src/desk/DeskView.vue', () => ({ default: {} }))

const fields = [
  { path: 'name' }, { path: 'settings.notification.sound', default: true }, { path: 'settings.notification.style', default: 'neutral' },
  { path: 'settings.whitelist.enabled', default: false }, { path: 'settings.whitelist.reply' }, { path: 'agents' }, { path: 'note' }
]

describe('a merge patch', () => {
  const before = { name: 'Sales', agents: ['a', 'b'], note: 'x', settings: { notification: { sound: true, style: 'info' } } }
  it('has what differs, and nothing else', () => {
    expect(patchOf(fields, before, structuredClone(before))).toBeUndefined()
    const after = structuredClone(before)
    after.settings.notification.sound = false
    after.agents = ['b', 'a']
    expect(patchOf(fields, before, after)).toEqual({ settings: { notification: { sound: false } }, agents: ['b', 'a'] })
  })
  it('removes an emptied value by null, and empties a list by an empty one', () => {
    expect(patchOf(fields, before, { ...before, note: '', agents: [] })).toEqual({ note: null, agents: [] })
  })
  it('removes by name what an object has no more, since objects are merged', () => {
    const one = [{ path: 'recontact' }]
    const was = { recontact: { name: 'a', header: { type: 'image', url: 'x' }, parameters: ['1', '2'] } }
    expect(patchOf(one, was, { recontact: { name: 'b', parameters: ['1'], language: '' } })).toEqual({
      recontact: { name: 'b', header: null, parameters: ['1'] }
    })
    expect(patchOf(one, was, {})).toEqual({ recontact: null })
  })
  it('tells of an object that it makes all that the form shows, so that no default of the API comes in', () => {
    const after: Doc = structuredClone(before)
    put(after, 'settings.whitelist.reply', 'No')
    expect(patchOf(fields, before, after)).toEqual({ settings: { whitelist: { reply: 'No', enabled: false } } })
    // An object that is there keeps what the form did not change.
    const there = { ...before, settings: { whitelist: { reply: 'Yes', enabled: true } } }
    const then = structuredClone(there)
    then.settings.whitelist.reply = 'No'
    expect(patchOf(fields, there, then)).toEqual({ settings: { whitelist: { reply: 'No' } } })
  })
  it('takes an empty field, an absent one and null as the same', () => {
    expect(same({ a: '', b: null }, {})).toBe(true)
    expect(same([], undefined)).toBe(true)
    expect(same(0, undefined)).toBe(false)
    expect(same(false, undefined)).toBe(false)
    expect(changed(fields, {}, { settings: { notification: { sound: true } } })).toEqual([])
  })
})

it('makes a body of what is filled in', () => {
  expect(bodyOf(fields, { name: 'A', note: '', agents: [] })).toEqual({
    name: 'A', settings: { notification: { sound: true, style: 'neutral' }, whitelist: { enabled: false } }
  })
})

it('reads and sets values at paths', () => {
  const doc: Doc = {}
  put(doc, 'a.b', 1)
  expect([doc, at(doc, 'a.b'), at(doc, 'a.c.d')]).toEqual([{ a: { b: 1 } }, 1, undefined])
})

it('gives each field the errors that are its own', () => {
  const errors = new Map([['plan[1].queue', 'x'], ['plan', 'y'], ['plans', 'z']])
  expect([...below(errors, 'plan')]).toEqual([['[1].queue', 'x'], ['', 'y']])
})

it.each([
  ['Hi {{contact.name}}', undefined], ['{{#queue}}{{queue.name}}{{/queue}}', undefined], ['{{{contact.name}}}', undefined], ['a } b {', undefined],
  ['Hi {{contact.name', { place: 4, reason: 'faultUnclosed' }], ['{{contact name}}', { place: 1, reason: 'faultName' }],
  ['{{#queue}}x', { place: 1, reason: 'faultSection' }], ['x{{/queue}}', { place: 2, reason: 'faultEnd' }],
  ['{{^a}}{{#b}}{{/a}}{{/b}}', { place: 13, reason: 'faultEnd' }], ['😀{{', { place: 2, reason: 'faultUnclosed' }], ['{{! a }}', { place: 1, reason: 'faultName' }]
])('sees the fault of the text %s', (text, found) => expect(fault(text)).toEqual(found))

describe('a form', () => {
  let useResource: typeof import('../src/configure/kit/resource').useResource
  beforeAll(async () => {
    // The session asks the page where it is.
    vi.stubGlobal('document', { baseURI: 'http://localhost/console/', documentElement: {}, addEventListener: () => undefined })
    await use('en')
    ;({ useResource } = await import('../src/configure/kit/resource'))
  })
  const form: Field[] = [
    { path: 'name', label: 'name', as: 'text', required: true }, { path: 'weight', label: 'weight', as: 'number', min: 0, max: 10, required: true }
  ]
  const other: Field[] = [{ path: 'note', label: 'name', as: 'text' }]
  /** A server with one document, which refuses what is not based on its version. */
  function server(doc: Doc) {
    const state = { doc, patches: [] as Doc[] }
    const kind = {
      name: 'queues', label: () => '', sections: [{ name: 'a', title: 'name', fields: form }, { name: 'b', title: 'name', fields: other }],
      get: async () => structuredClone(state.doc),
      patch: async (_: string, version: number, body: Doc) => {
        if (version !== state.doc.version) throw new Problem(412, 'changed', 'changed')
        if (body.name === 'bad') throw new Problem(422, 'invalid', 'invalid', { errors: [{ field: 'name', code: 'invalid', message: 'is bad' }] })
        state.patches.push(body)
        state.doc = { ...state.doc, ...body, version: version + 1 }
        return structuredClone(state.doc)
      }
    } as unknown as Kind
    return { state, kind }
  }

  it('saves a section alone and leaves the changes of another one as they are', async () => {
    const { state, kind } = server({ version: 1, name: 'A', weight: 1, note: 'n' })
    const resource = useResource(kind, 'que_1')
    await resource.load()
    resource.draft.name = 'B'
    resource.draft.note = 'mine'
    expect(await resource.save(form)).toBe(true)
    expect(state.patches).toEqual([{ name: 'B' }])
    expect([resource.isDirty(form), resource.isDirty(other), resource.draft.note]).toEqual([false, true, 'mine'])
    // On the version that came back.
    expect(await resource.save(other)).toBe(true)
    expect(state.doc).toEqual({ version: 3, name: 'B', weight: 1, note: 'mine' })
  })

  it('shows both versions after a lost race, and writes the one that is chosen', async () => {
    const { state, kind } = server({ version: 1, name: 'A', weight: 1 })
    const resource = useResource(kind, 'que_1')
    await resource.load()
    state.doc = { version: 2, name: 'Theirs', weight: 7 }
    resource.draft.name = 'Mine'
    expect(await resource.save(form)).toBe(false)
    expect(resource.clash.value?.fields.map((field) => field.path)).toEqual(['name'])
    expect([resource.clash.value?.mine.name, resource.clash.value?.theirs.name]).toEqual(['Mine', 'Theirs'])
    expect(state.patches).toEqual([])
    expect(await resource.keepMine(form)).toBe(true)
    // The other person's weight stays.
    expect(state.doc).toEqual({ version: 3, name: 'Mine', weight: 7 })
    state.doc = { version: 4, name: 'Again', weight: 7 }
    resource.draft.name = 'Mine too'
    await resource.save(form)
    resource.takeTheirs()
    expect([resource.draft.name, resource.isDirty(form), resource.clash.value]).toEqual(['Again', false, undefined])
  })

  it('goes on by itself where the other person has changed other fields', async () => {
    const { state, kind } = server({ version: 1, name: 'A', weight: 1 })
    const resource = useResource(kind, 'que_1')
    await resource.load()
    state.doc = { version: 5, name: 'A', weight: 7 }
    resource.draft.name = 'Mine'
    expect([await resource.save(form), state.doc]).toEqual([true, { version: 6, name: 'Mine', weight: 7 }])
  })

  it('puts a refusal at its field, and asks nothing while a value is wrong', async () => {
    const { state, kind } = server({ version: 1, name: 'A', weight: 1 })
    const resource = useResource(kind, 'que_1')
    await resource.load()
    resource.draft.weight = 11
    resource.draft.name = ' '
    expect(await resource.save(form)).toBe(false)
    expect([...resource.errors.keys()]).toEqual(['name', 'weight'])
    resource.draft.weight = 2
    resource.draft.name = 'bad'
    expect(await resource.save(form)).toBe(false)
    expect([[...resource.errors], resource.refused.value, state.patches]).toEqual([[['name', 'Is bad.']], undefined, []])
    // It goes with the next change of the field, and of no other.
    resource.set(form[1]!, 3)
    expect(resource.errors.size).toBe(1)
    resource.set(form[0]!, 'better')
    expect(resource.errors.size).toBe(0)
    resource.discard(form)
    expect([resource.draft.name, resource.errors.size]).toEqual(['A', 0])
  })
})

it('reads days of the month', async () => {
  const { daysOf } = await import('../src/configure/kinds/times')
  expect([daysOf('1, 15-17'), daysOf('31-40'), daysOf('0, x, 3,3'), daysOf('')]).toEqual([[1, 15, 16, 17], [31], [3], []])
})

describe('an AI agent', () => {
  it('takes a temperature between whole numbers, and no number of tokens between them', async () => {
    const { wrongs } = await import('../src/configure/kit/fields')
    const { kindOf } = await import('../src/configure/kinds')
    const fields = kindOf('ai-agents').sections.flatMap((section) => section.fields)
    const met = (draft: Doc) => [...wrongs(fields.filter(({ path }) => path in draft), draft).keys()]
    expect([met({ temperature: 0.3, max_tokens: 800 }), met({ temperature: 1.1 }), met({ max_tokens: 16.5 })]).toEqual([[], ['temperature'], ['max_tokens']])
  })
  it('counts its texts as the API does', async () => {
    const { charactersOf, textsShown } = await import('../src/configure/kinds/knowledge')
    const texts = [{ title: 'A', text: ' 👍🏻 yes\n' }, { title: 'B', text: 'no' }]
    expect([charactersOf(texts), textsShown(texts), textsShown(undefined)]).toEqual([8, 'A, B', ''])
  })
})
