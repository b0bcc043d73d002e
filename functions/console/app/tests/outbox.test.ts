import { describe, expect, it } from 'vitest'
import { Problem } from '../src/api/client'
import type { Message } from '../src/api'
import { Outbox, type Row } from '../src/core/outbox'

const network = new Problem(0, 'network', 'The connection failed')

/** An outbox whose API does what the test says, one word for each try. */
function outboxWith(answers: (Problem | 'ok')[]) {
  const [tries, arrived, kept]: [Row[], Set<string>, Map<string, Row>] = [[], new Set(), new Map()]
  let now = 0
  const confirmed: string[] = []
  const outbox = new Outbox({
    async send(row) {
      tries.push(row)
      const answer = answers.shift() ?? 'ok'
      // The API carries out a key once, also when its answer is lost.
      if (answer === 'ok' || answer.status === 0) arrived.add(row.key)
      if (answer !== 'ok') throw answer
      return message(row.key, row.interaction)
    },
    sent: (row) => void confirmed.push(row.key),
    keep: (row) => void kept.set(row.key, row),
    drop: (key) => void kept.delete(key),
    timer(run, ms) {
      now += ms
      queueMicrotask(run)
      return () => undefined
    },
    now: () => now
  })
  const settle = async () => { for (let n = 0; n < 400; n += 1) await Promise.resolve() }
  const message = (client_id: string, interaction = 'int_1') => ({ id: `msg_${client_id}`, client_id, interaction }) as Message
  const write = (key: string, interaction = 'int_1') => outbox.add({ key, interaction, kind: 'message', body: { text: key } })
  return { outbox, tries, arrived, kept, confirmed, settle, write, message }
}

describe('the outbox', () => {
  it('sends a message whose answer was lost once more with the same key, so it arrives once', async () => {
    const it_ = outboxWith([network, new Problem(503, '', 'busy'), 'ok'])
    it_.write('k1')
    await it_.settle()
    expect(it_.tries.map((row) => row.key)).toEqual(['k1', 'k1', 'k1'])
    expect([[...it_.arrived], it_.confirmed, it_.outbox.isEmpty]).toEqual([['k1'], ['k1'], true])
  })

  it('moves what was not confirmed with a conversation that becomes a part of another, and sends it there never again', async () => {
    const merged = new Problem(409, 'merged', 'merged')
    const answers: (Problem | 'ok')[] = Array(40).fill(network)
    const it_ = outboxWith(answers)
    it_.write('k1')
    await it_.settle()
    answers.splice(0, 40, merged)
    it_.outbox.move('int_1', 'int_2')
    // One that was on its way finds out by its answer.
    it_.write('k2')
    await it_.settle()
    expect(it_.outbox.of('int_2').map(({ key, state, moved }) => [key, state, moved])).toEqual([['k1', 'unsure', true], ['k2', 'refused', true]])
    expect([...it_.kept.values()].map((row) => row.interaction)).toEqual(['int_2', 'int_2'])
    const tries = it_.tries.length
    it_.outbox.again('k1')
    await it_.settle()
    expect(it_.tries.length).toBe(tries)
    // It had arrived: the other thread has it now.
    it_.outbox.confirm(it_.message('k1', 'int_2'))
    expect(it_.outbox.of('int_2').map((row) => row.key)).toEqual(['k2'])
  })

  it('sends the messages of a conversation in their order', async () => {
    const it_ = outboxWith([network, network])
    for (const key of ['k1', 'k2', 'k3']) it_.write(key)
    await it_.settle()
    expect(it_.confirmed).toEqual(['k1', 'k2', 'k3'])
  })

  it('leaves the decision to a person after two minutes', async () => {
    const it_ = outboxWith(Array(40).fill(network))
    it_.write('k1')
    await it_.settle()
    expect(it_.outbox.of('int_1').map((row) => row.state)).toEqual(['unsure'])
    const tries = it_.tries.length
    it_.outbox.again('k1')
    await Promise.resolve()
    expect(it_.tries.slice(tries).map((row) => row.key)).toEqual(['k1'])
  })

  it('keeps a refused message with its reason, and sends the next one', async () => {
    const it_ = outboxWith([new Problem(409, 'window-expired', 'The window is closed'), 'ok'])
    it_.write('k1')
    it_.write('k2')
    await it_.settle()
    expect(it_.outbox.of('int_1').map((row) => [row.key, row.state, row.problem?.kind])).toEqual([['k1', 'refused', 'window-expired']])
    expect(it_.confirmed).toEqual(['k2'])
  })

  it('asks a person about rows of an earlier page, and never sends them by itself', async () => {
    const it_ = outboxWith([])
    it_.outbox.restore([{ key: 'k0', interaction: 'int_1', kind: 'message', body: { text: 'hello' }, at: 0, state: 'sending' }])
    await it_.settle()
    expect([it_.tries.length, it_.outbox.of('int_1')[0]?.state]).toEqual([0, 'unsure'])
  })

  it('keeps every row until it is confirmed', async () => {
    const it_ = outboxWith([network])
    it_.write('k1')
    expect([...it_.kept.keys()]).toEqual(['k1'])
    await it_.settle()
    expect(it_.kept.size).toEqual(0)
  })

  it('gives each message its key, in the body that comes again', async () => {
    const it_ = outboxWith([network])
    it_.write('k1')
    await it_.settle()
    expect(it_.tries.map((row) => row.body)).toEqual(Array(2).fill({ text: 'k1', client_id: 'k1' }))
  })

  it('takes a message whose answer was lost for sent when anything tells of it, and sends the next one at once', async () => {
    const it_ = outboxWith(Array(9).fill(network))
    it_.write('k1')
    it_.write('k2')
    await Promise.resolve()
    it_.outbox.confirm(it_.message('k1'))
    expect([it_.outbox.of('int_1').map((row) => row.key), [...it_.kept.keys()]]).toEqual([['k2'], ['k2']])
    await it_.settle()
    expect([it_.tries.filter((row) => row.key === 'k1').length, it_.outbox.isEmpty]).toEqual([1, true])
  })

  it('waits for no answer to what is there, and takes the answer all the same', async () => {
    let answer = (_: Message) => {}
    const [sent, asked]: [string[], string[]] = [[], []]
    const outbox = new Outbox({
      send: (row) => (asked.push(row.key), new Promise<Message>((resolve) => (answer = resolve))),
      sent: (row) => void sent.push(row.key),
      keep: () => undefined, drop: () => undefined, timer: () => () => undefined, now: () => 0
    })
    for (const key of ['k1', 'k2']) outbox.add({ key, interaction: 'int_1', kind: 'message', body: { text: key } })
    const first = answer
    outbox.confirm({ client_id: 'k1', interaction: 'int_1' } as Message)
    for (let n = 0; n < 9; n += 1) await Promise.resolve()
    expect([asked, sent]).toEqual([['k1', 'k2'], []])
    first({} as Message)
    for (let n = 0; n < 9; n += 1) await Promise.resolve()
    expect(sent).toEqual(['k1'])
  })

  it.each([0, 1, 2, 3, 4, 5])('brings no row back that is confirmed %i turns after its request failed', async (turns) => {
    let fail = (_: Problem) => {}
    const outbox = new Outbox({
      send: () => new Promise((_, reject) => (fail = reject)),
      sent: () => undefined, keep: () => undefined, drop: () => undefined, timer: () => () => undefined, now: () => 0
    })
    outbox.add({ key: 'k1', interaction: 'int_1', kind: 'message', body: { text: 'hello' } })
    fail(new Problem(409, 'window-expired', ''))
    for (let n = 0; n < turns; n += 1) await Promise.resolve()
    outbox.confirm({ client_id: 'k1', interaction: 'int_1' } as Message)
    for (let n = 0; n < 9; n += 1) await Promise.resolve()
    expect(outbox.isEmpty).toBe(true)
  })

  it('takes no other message for a row: not of another conversation, not of another client', async () => {
    const it_ = outboxWith(Array(40).fill(network))
    it_.write('k1')
    await it_.settle()
    it_.outbox.confirm(it_.message('k1', 'int_2'))
    it_.outbox.confirm(it_.message('k2'))
    it_.outbox.confirm({ id: 'msg_1', interaction: 'int_1' } as Message)
    expect(it_.outbox.of('int_1').map((row) => row.state)).toEqual(['unsure'])
    it_.outbox.confirm(it_.message('k1'))
    expect(it_.outbox.isEmpty).toBe(true)
  })
})
