import { describe, expect, it } from 'vitest'
import { Problem } from '../src/api/client'
import { isOver, repeated, snapshotOf } from '../src/core/commands'

const lost = new Problem(0, 'network', 'The connection failed')
const busy = new Problem(503, 'busy', 'Busy')

/** A command that fails so often, and then is carried out. */
async function tried(...failures: Problem[]) {
  const [keys, pauses]: [string[], number[]] = [[], []]
  const run = async (key: string) => {
    keys.push(key)
    const failure = failures[keys.length - 1]
    if (failure) throw failure
    return 'done'
  }
  const outcome = await repeated(run, async () => void pauses.push(keys.length)).catch((error: Problem) => error)
  return { outcome, tries: keys.length, keys: new Set(keys).size, pauses: pauses.length }
}

describe('a command', () => {
  it('is repeated with its own key after a lost answer, three times at most', async () => {
    expect(await tried(lost, busy)).toEqual({ outcome: 'done', tries: 3, keys: 1, pauses: 2 })
    expect(await tried(lost, lost, lost, lost)).toEqual({ outcome: lost, tries: 3, keys: 1, pauses: 2 })
  })

  it('is not repeated once it was refused', async () => {
    const refused = new Problem(409, 'changed', 'Changed')
    expect(await tried(refused)).toEqual({ outcome: refused, tries: 1, keys: 1, pauses: 0 })
  })

  it.each(['ai-failed', 'ai-busy', 'ai-late'])('that needs an AI agent is made once, although %s may pass', async (kind) => {
    const refused = new Problem(502, kind, 'The model did not answer')
    expect(refused.mayPass).toBe(true)
    expect(await tried(refused)).toEqual({ outcome: refused, tries: 1, keys: 1, pauses: 0 })
  })
})

it.each([
  ['an answer that was lost', lost, false],
  ['a server that is busy', busy, false],
  ['a call that is being made', new Problem(409, 'video-under-way', ''), false],
  ['a failure at Vidaoo', new Problem(502, 'video-failed', ''), true],
  ['a refusal', new Problem(409, 'window-expired', ''), true],
  ['anything else', new Error('?'), true]
])('begins a video call anew or asks for the same one after %s', (_, error, anew) => {
  expect(isOver(error)).toBe(anew)
})

it('asks for the presence after the list, whose number comes first', async () => {
  const asked: string[] = []
  let answer = () => {}
  const list = () => (asked.push('list'), new Promise<never>((resolve) => (answer = () => resolve({ seq: 7, interactions: [], offers: [] } as never))))
  const presence = async () => (asked.push('presence'), { state: 'ready' as const, capacity: 5, load: 0 })
  const snapshot = snapshotOf(list, presence)
  for (let n = 0; n < 9; n += 1) await Promise.resolve()
  expect(asked).toEqual(['list'])
  answer()
  expect(await snapshot).toMatchObject({ seq: 7, presence: { state: 'ready' } })
  expect(asked).toEqual(['list', 'presence'])
})
