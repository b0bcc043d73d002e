import { describe, expect, it } from 'vitest'
import { Drafts, merged, type Draft, type Kept } from '../src/core/drafts'

/** Windows of one browser: they keep in one place, and tell each other. */
function windows(count: number) {
  const world = { now: 1_000_000_000, kept: undefined as Kept | undefined, saves: [] as (() => void)[], told: 0, left: undefined as Kept | undefined, broken: false }
  const all: Drafts[] = []
  for (let at = 0; at < count; at += 1) {
    all.push(new Drafts('agt_1', {
      update: async (change) => {
        if (world.broken) throw new Error('the page is gone')
        world.kept = change(world.kept)
      },
      leave: (kept) => void (world.left = kept),
      tell: (changed) => { world.told += 1; for (const other of all) if (other !== all[at]) other.take(structuredClone(changed)) },
      timer(run) {
        world.saves.push(run)
        return () => void world.saves.splice(world.saves.indexOf(run), 1)
      },
      now: () => (world.now += 1)
    }))
  }
  const write = (at: number, id: string, change: Partial<Draft>) => {
    Object.assign(all[at]!.of(id), change)
    all[at]!.touched(id)
  }
  const pause = () => { for (const run of world.saves.splice(0)) run() }
  return { world, all, write, pause }
}

describe('drafts', () => {
  it('are the same in all windows, and no window wipes those of another', () => {
    const { world, all, write, pause } = windows(2)
    write(0, 'int_1', { text: 'Your parcel' })
    pause()
    write(1, 'int_2', { text: 'A note', mode: 'note' })
    pause()
    expect(all.map((it) => [it.of('int_1').text, it.of('int_2').text, it.of('int_2').mode])).toEqual(Array(2).fill(['Your parcel', 'A note', 'note']))
    expect(world.kept?.kept.map(([id]) => id).sort()).toEqual(['int_1', 'int_2'])
  })

  it('are not told back by the window that hears of them', () => {
    const { world, all, write, pause } = windows(2)
    write(0, 'int_1', { text: 'Your parcel', translation: { of: 'Your parcel', text: 'Il pacco', to: 'it' } })
    pause()
    all[1]!.touched('int_1')
    pause()
    expect(world.told).toBe(1)
    expect(all[1]!.of('int_1').translation?.text).toBe('Il pacco')
  })

  it('are kept to their last letter when the page ends, also while they are being kept', async () => {
    const { world, all, write, pause } = windows(2)
    write(0, 'int_1', { text: 'Half a word' })
    all[0]!.leave()
    expect(world.left?.kept.map(([id, draft]) => [id, draft.text])).toEqual([['int_1', 'Half a word']])
    expect(all[1]!.of('int_1').text).toBe('Half a word')
    await Promise.resolve()
    // It was kept, so there is nothing to add.
    world.left = undefined
    all[0]!.leave()
    expect(world.left).toBeUndefined()
    world.broken = true
    write(0, 'int_1', { text: 'Half a word more' })
    pause()
    await Promise.resolve()
    all[0]!.leave()
    expect(world.left).toMatchObject({ agent: 'agt_1', kept: [['int_1', { text: 'Half a word more' }]] })
  })

  it('end everywhere when one window sends them', () => {
    const { world, all, write, pause } = windows(2)
    write(0, 'int_1', { text: 'Sent soon', replyTo: 'msg_1' })
    pause()
    write(1, 'int_1', { text: '', replyTo: undefined })
    pause()
    expect([all[0]!.of('int_1').text, all[0]!.of('int_1').replyTo, world.kept?.kept]).toEqual(['', undefined, []])
  })

  it('go on in the conversation of which theirs becomes a part', () => {
    const { world, all, write, pause } = windows(1)
    write(0, 'int_2', { text: 'One moment' })
    all[0]!.move('int_2', 'int_1')
    pause()
    expect(world.kept?.kept.map(([id, draft]) => [id, draft.text])).toEqual([['int_1', 'One moment']])
  })

  it('keep the later words of two windows', () => {
    const { all, write, pause } = windows(2)
    write(0, 'int_1', { text: 'earlier' })
    write(1, 'int_1', { text: 'later' })
    pause()
    expect(all.map((it) => it.of('int_1').text)).toEqual(['later', 'later'])
  })

  it('leave nothing behind when they are cleared, whatever the screen does afterwards', () => {
    const { world, all, write, pause } = windows(1)
    write(0, 'int_1', { text: 'Half a sentence' })
    all[0]!.clear()
    write(0, 'int_1', { text: '' })
    write(0, 'int_2', { text: 'late' })
    all[0]!.leave()
    pause()
    expect([world.kept, world.left]).toEqual([undefined, undefined])
  })

  it('stay for seven days, and for one agent', () => {
    const day = 86_400_000
    const draft = (at: number): Draft => ({ text: 'hello', mode: 'message', at })
    const found: Kept = { agent: 'agt_1', kept: [['int_old', draft(0)], ['int_1', draft(6 * day)]] }
    expect(merged(found, 'agt_1', [], 8 * day).kept.map(([id]) => id)).toEqual(['int_1'])
    expect(merged(found, 'agt_2', [], 8 * day)).toEqual({ agent: 'agt_2', kept: [] })
  })
})
