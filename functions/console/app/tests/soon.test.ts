import { expect, it } from 'vitest'
import { Soon } from '../src/core/soon'

function soonWith(chance = 0.5) {
  const timers: { run: () => void; ms: number }[] = []
  const answers: (() => void)[] = []
  let runs = 0
  const soon = new Soon({
    run: () => ((runs += 1), new Promise((resolve) => answers.push(resolve))),
    timer: (run, ms) => (timers.push({ run, ms }), () => undefined),
    random: () => chance
  })
  const settle = async () => { for (let n = 0; n < 9; n += 1) await Promise.resolve() }
  const pass = async () => { timers.splice(0).forEach(({ run }) => run()); await settle() }
  return { soon, timers, pass, answer: async () => { answers.shift()?.(); await settle() }, get runs() { return runs } }
}

it('does once what several reasons ask for, each desk at a time of its own', async () => {
  const it_ = soonWith()
  for (let n = 0; n < 3; n += 1) it_.soon.call()
  expect([it_.runs, it_.timers.map(({ ms }) => ms)]).toEqual([0, [6000]])
  await it_.pass()
  expect(it_.runs).toBe(1)
  const times = [0, 0.25, 0.999].map((chance) => { const other = soonWith(chance); other.soon.call(); return other.timers[0]!.ms })
  expect(times).toEqual([1000, 3500, 10_990])
})

it('does it once more for a reason that came while it was done, and then no more', async () => {
  const it_ = soonWith()
  it_.soon.call()
  await it_.pass()
  it_.soon.call()
  // It is being done still: that one may not know of it.
  await it_.pass()
  expect([it_.runs, it_.timers.length]).toEqual([1, 1])
  await it_.answer()
  await it_.pass()
  expect(it_.runs).toBe(2)
  await it_.answer()
  await it_.pass()
  expect(it_.runs).toBe(2)
})
