import { describe, expect, it } from 'vitest'
import type { Entry, Message } from '../src/api'
import { Store } from '../src/core/store'
import { windowUntil } from '../src/desk/window'

const interaction = (version: number, agent: string | null = null) =>
  ({ id: 'int_1', version, agent, status: 'open', account: 'acc_1', contact: 'con_1', opened_at: '2026-11-26T08:00:00Z', unread: true, tab_open: false })
const event = (seq: number, event: object) => ({ seq, at: '', event }) as unknown as Entry
const message = (id: string, at: string, more: object = {}) =>
  ({ id, interaction: 'int_1', at, version: 1, author: { kind: 'customer' }, content: { type: 'text', body: id }, ...more }) as unknown as Message

describe('the store', () => {
  it('rings an offer once, and an offer that was withdrawn never again', () => {
    const store = new Store('agt_me')
    const offered = event(1, { type: 'offered', interaction: interaction(1), offer: 1, until: null })
    expect(store.apply(offered)?.type).toBe('offered')
    expect(store.apply(offered)).toBeUndefined()
    store.apply(event(2, { type: 'withdrawn', interaction: 'int_1', offer: 1 }))
    expect(store.apply(offered)).toBeUndefined()
    expect(store.offers.size).toBe(0)
    expect(store.apply(event(3, { type: 'offered', interaction: interaction(2), offer: 2 }))?.type).toBe('offered')
  })

  it('says who took an offer that rang here, and nothing when it was me', () => {
    const store = new Store('agt_me')
    store.apply(event(1, { type: 'offered', interaction: interaction(1), offer: 1 }))
    expect(store.apply(event(2, { type: 'withdrawn', interaction: 'int_1', offer: 1, taken_by: 'agt_ben' }))).toMatchObject({ type: 'taken', by: 'agt_ben' })
    store.apply(event(3, { type: 'offered', interaction: interaction(2), offer: 2 }))
    expect(store.apply(event(4, { type: 'withdrawn', interaction: 'int_1', offer: 2, taken_by: 'agt_me' }))).toBeUndefined()
  })

  it('keeps the greater version, so a delivery state never goes backwards', () => {
    const store = new Store('agt_me')
    store.applyMessage(message('msg_1', '2026-11-26T08:00:00Z', { version: 3, state: 'read' }))
    store.applyMessage(message('msg_1', '2026-11-26T08:00:00Z', { version: 2, state: 'sent' }))
    expect(store.thread('int_1').map((it) => it.state)).toEqual(['read'])
  })

  it('takes the whole text of a message where an event had only its beginning', () => {
    const store = new Store('agt_me')
    store.applyMessage(message('msg_1', '2026-11-26T08:00:00Z', { cut: true, content: { type: 'text', body: 'begin' } }))
    store.applyMessage(message('msg_1', '2026-11-26T08:00:00Z', { content: { type: 'text', body: 'beginning' } }))
    store.applyMessage(message('msg_1', '2026-11-26T08:00:00Z', { cut: true, content: { type: 'text', body: 'begin' } }))
    expect(store.thread('int_1')[0]?.content).toEqual({ type: 'text', body: 'beginning' })
  })

  it('puts a message that came late in its place', () => {
    const store = new Store('agt_me')
    for (const [id, at] of [['c', '08:00:02Z'], ['a', '08:00:00.5Z'], ['b', '08:00:01Z']]) store.applyMessage(message(id!, `2026-11-26T${at}`))
    expect(store.thread('int_1').map((it) => it.id)).toEqual(['a', 'b', 'c'])
  })

  it.each(['withheld', 'deleted'])('takes an interaction off the screen that is %s', (type) => {
    const store = new Store('agt_me')
    store.apply(event(1, { type: 'interaction', interaction: interaction(1, 'agt_me') }))
    store.apply(event(2, { type: 'message', message: message('msg_1', '2026-11-26T08:00:00Z') }))
    store.apply(event(3, { type, interaction: 'int_1' }))
    expect([store.mine(), store.thread('int_1')]).toEqual([[], []])
  })

  it('puts a conversation first in which this agent has just written, of which no other event tells', () => {
    const store = new Store('agt_me')
    for (const [id, at] of [['int_1', '08:00:00.5Z'], ['int_2', '08:00:00Z']]) store.applyInteraction({ ...interaction(1, 'agt_me'), id, last_message_at: `2026-11-26T${at}` } as never)
    expect(store.mine().map((it) => it.id)).toEqual(['int_1', 'int_2'])
    store.applyMessage({ ...message('a', '2026-11-26T08:00:01Z', { author: { kind: 'agent', agent: 'agt_me' } }), interaction: 'int_2' } as never)
    store.applyMessage(message('b', '2026-11-26T08:00:02Z', { content: { type: 'note', body: 'b' } }))
    expect(store.mine().map((it) => it.id)).toEqual(['int_2', 'int_1'])
  })

  it('tells of each of this agent\'s messages, also of one of which no more than its place is known', () => {
    const told: (string | undefined | null)[] = []
    const store = new Store('agt_me', undefined, (message) => void told.push(message.client_id))
    const own = (id: string, at: string, agent = 'agt_me') => message(id, at, { client_id: `client of ${id}`, author: { kind: 'agent', agent } })
    store.applyMessage(message('a', '2026-11-26T08:00:05Z'))
    store.begin('int_1', store.thread('int_1')[0])
    store.applyMessage(own('b', '2026-11-26T08:00:00Z'))
    store.apply(event(1, { type: 'message', message: own('c', '2026-11-26T08:00:06Z') }))
    store.apply(event(2, { type: 'message_state', message: { ...own('c', '2026-11-26T08:00:06Z'), version: 2 } }))
    // Somebody else may choose the same id.
    store.applyMessage(own('d', '2026-11-26T08:00:07Z', 'agt_ben'))
    expect(told).toEqual(['client of b', 'client of c', 'client of c'])
    expect(['b', 'c', 'd'].map((id) => store.has('int_1', `client of ${id}`))).toEqual([false, true, false])
  })

  it('lets no answer from before a snapshot bring back what went', () => {
    const store = new Store('agt_me')
    const mine = interaction(1, 'agt_me') as never
    store.applyInteraction(mine)
    const asked = store.epoch
    store.replace({ seq: 9, interactions: [], offers: [], presence: { state: 'ready', capacity: 5, load: 0 } })
    store.applyInteraction(mine, asked)
    expect(store.mine()).toEqual([])
    // It may be mine again, says an answer that was asked for since.
    store.applyInteraction(mine)
    expect(store.mine()).toHaveLength(1)
  })

  it('ignores events of types that a later version adds', () => {
    expect(new Store('agt_me').apply(event(1, { type: 'configuration' }))).toBeUndefined()
  })
})

describe('the window', () => {
  it('ends 24 hours after the last message of the customer, whatever else happened since', () => {
    const thread = [
      message('a', '2026-11-26T08:00:00Z'),
      message('b', '2026-11-26T09:00:00Z', { content: { type: 'reaction', emoji: '👍', message: 'x' } }),
      message('c', '2026-11-26T10:00:00Z', { author: { kind: 'agent', agent: 'agt_me' } })
    ]
    expect(windowUntil(thread)).toBe(Date.parse('2026-11-27T08:00:00Z'))
    expect(windowUntil(thread.slice(2))).toBeUndefined()
  })
})
