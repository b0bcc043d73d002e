import { expect, it } from 'vitest'
import { Problem } from '../src/api/client'
import { makeWatching } from '../src/supervise/watching'

function stage() {
  const calls: string[] = []
  const timers: { run: () => void; at: number; gone?: boolean }[] = []
  let now = 0
  let refuse: Problem | undefined
  let hold: ((run: () => void) => void) | undefined
  const watching = makeWatching({
    async watch(id) {
      calls.push(`watch ${id}`)
      if (hold) await new Promise<void>((resolve) => hold!(resolve))
      if (refuse) throw refuse
      return { until: new Date(now + 4 * 3_600_000).toISOString() }
    },
    async unwatch(id) { calls.push(`unwatch ${id}`) },
    timer(run, ms) {
      const timer: (typeof timers)[number] = { run, at: now + ms }
      timers.push(timer)
      return () => (timer.gone = true)
    },
    now: () => now
  })
  return {
    watching, calls,
    refuse: (problem?: Problem) => (refuse = problem),
    holdBack: (with_: typeof hold) => (hold = with_),
    async pass(ms: number) {
      now += ms
      for (const timer of timers.filter((it) => !it.gone && it.at <= now)) { timer.gone = true; timer.run() }
      for (let turn = 0; turn < 5; turn += 1) await undefined
    }
  }
}

it('begins with looking, is renewed before its four hours are over, and ends with looking away', async () => {
  const { watching, calls, pass } = stage()
  await watching.start('int_1')
  await watching.start('int_1')
  expect([watching.state.value, calls]).toEqual(['on', ['watch int_1']])
  await pass(3 * 3_600_000)
  expect(calls.length).toBe(1)
  await pass(56 * 60_000)
  expect(calls).toEqual(['watch int_1', 'watch int_1'])
  watching.stop()
  await pass(24 * 3_600_000)
  expect(calls.slice(2)).toEqual(['unwatch int_1'])
})

it('lets go of one when another is looked at, also of one that begins late', async () => {
  const { watching, calls, holdBack } = stage()
  const answers: (() => void)[] = []
  holdBack((answer) => answers.push(answer))
  const first = watching.start('int_1')
  holdBack(undefined)
  await watching.start('int_2')
  answers[0]!()
  await first
  expect([watching.state.value, calls]).toEqual(['on', ['watch int_1', 'watch int_2', 'unwatch int_1']])
})

it('says that it is full, tries again what may pass, and watches nothing that is closed', async () => {
  const { watching, calls, refuse, pass } = stage()
  refuse(new Problem(409, 'too-many-watchers', 'Too many'))
  await watching.start('int_1')
  expect(watching.state.value).toBe('full')
  refuse(new Problem(503, 'unavailable', 'Unavailable'))
  await watching.start('int_1')
  expect(watching.state.value).toBe('broken')
  refuse()
  await pass(10_000)
  expect(watching.state.value).toBe('on')
  watching.ended()
  await pass(24 * 3_600_000)
  refuse(new Problem(409, 'closed', 'Closed'))
  await watching.start('int_1')
  expect([watching.state.value, calls.filter((call) => call.startsWith('unwatch'))]).toEqual(['off', []])
})
