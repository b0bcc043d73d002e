import { readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import type { Doc } from '../src/configure/kit/paths'

// What is looked at is the forms, not the desk.
vi.mock('../src/desk/DeskView.vue', () => ({ default: {} }))
vi.stubGlobal('document', { baseURI: 'https://example.com/console/', documentElement: {}, addEventListener: () => undefined, createElement: () => ({}) })
vi.stubGlobal('localStorage', { getItem: () => null })
vi.stubGlobal('navigator', { languages: ['en-GB'], language: 'en-GB' })
const { KINDS } = await import('../src/configure/kinds')
const { STEPS } = await import('../src/configure/plan/kinds')
const admin = JSON.parse(readFileSync(new URL('../../../../docs/openapi/admin.json', import.meta.url), 'utf8')) as { components: { schemas: Record<string, Doc> } }
const schemas = admin.components.schemas

/** What the API takes for each kind. A new contact takes more than one that is changed. */
const INPUTS: Record<string, string[]> = {
  accounts: ['AccountInput'], agents: ['AgentInput'], 'ai-agents': ['AiAgentInput'], answers: ['CannedAnswerInput'], 'contact-fields': ['ContactFieldInput'], contacts: ['NewContactInput', 'ContactInput'],
  dispositions: ['DispositionInput'], intervals: ['IntervalInput'], lists: ['ListInput'], pauses: ['PauseInput'], queues: ['QueueInput'], tags: ['TagInput'], triggers: ['TriggerInput']
}
/** What is filled in elsewhere than in the kind's sections. */
const ELSEWHERE: Record<string, string> = {
  'accounts provider': 'the section of the connection, whose fields come from the API', 'accounts phone': 'the section of the connection', 'accounts receive_url': 'shown to be copied',
  'answers attachment': 'its file stands below the form', 'contacts blocked': 'a button with its question',
  'triggers search.conditions': 'the conditions stand below the form', 'triggers search.match': 'the conditions stand below the form'
}

/** The schema itself, behind its name or beside "nothing". */
function resolved(schema: Doc): Doc {
  if (schema.$ref) return resolved(schemas[String(schema.$ref).split('/').at(-1)!]!)
  const all = (schema.oneOf ?? schema.allOf) as Doc[] | undefined
  const others = all?.filter((it) => it.type !== 'null') ?? []
  return others.length === 1 ? resolved(others[0]!) : schema
}
/** The paths of all values that may be sent, down to what a field takes whole. */
function paths(schema: Doc, whole: Set<string>, before = ''): string[] {
  return Object.entries((resolved(schema).properties ?? {}) as Record<string, Doc>).flatMap(([name, of]) => {
    const path = before + name
    return whole.has(path) || !resolved(of).properties ? [path] : paths(of, whole, `${path}.`)
  })
}

describe('every field of the API', () => {
  it.each(KINDS.map((kind) => kind.name))('of %s is in the form, or somewhere else by name', (name) => {
    const known = new Set(KINDS.find((kind) => kind.name === name)!.sections.flatMap((section) => section.fields.map((field) => field.path)))
    const all = INPUTS[name]!.flatMap((input) => paths(schemas[input]!, known))
    expect(all.length).toBeGreaterThan(0)
    const missing = [...new Set(all)].filter((path) => !known.has(path) && !Object.keys(ELSEWHERE).some((other) => `${name} ${path}.`.startsWith(`${other}.`)))
    expect(missing).toEqual([])
  })
  it('of each step of a plan is in the editor', () => {
    const steps = (schemas.Step!.oneOf as Doc[]).map((it) => it.properties as Record<string, Doc>)
    for (const { step, ...fields } of steps) {
      const name = (resolved(step!).enum as string[])[0]!
      const kind = STEPS.find((it) => it.step === name)
      expect([name, kind && [...kind.fields.map((it) => it.path), ...(kind.jumps ?? []).map((it) => it.name)].sort()]).toEqual([name, Object.keys(fields).sort()])
    }
    expect(STEPS.length).toBe(steps.length)
  })
})
