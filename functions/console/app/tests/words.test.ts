import { expect, it } from 'vitest'
import type { HistoryEntry } from '../src/api'
import { sentence } from '../src/desk/words'

const names: Record<string, string> = { agt_1: 'Anna', agt_2: 'Ben', que_1: 'Support' }
const said = (entry: object) => sentence(entry as HistoryEntry, (id) => names[id ?? ''] ?? 'a colleague')
const queue = { fact: 'offered', target: { kind: 'queue', id: 'que_1' }, audience: { kind: 'members', who: { queue: 'que_1', except: [] } } }

it('tells whom a queue rang and why not the others', () => {
  expect(said({ ...queue, rung: ['agt_1'], passed_over: [{ agent: 'agt_2', why: 'no_free_slot' }] })).toBe('Offered to Support: Anna. Ben was full.')
  expect(said(queue)).toBe('Waited for Support: nobody was available.')
})

it('tells of an offer to one agent, who may be away', () => {
  const offered = { fact: 'offered', target: { kind: 'agent', id: 'agt_1' }, audience: { kind: 'agents', who: ['agt_1'] } }
  expect(said(offered)).toBe('Offered to Anna.')
})

it('shows no id where a name is not known', () => {
  expect(said({ fact: 'accepted', agent: 'agt_9' })).toBe('a colleague accepted.')
})
