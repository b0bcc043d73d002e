import { expect, it, vi } from 'vitest'
import type { PlanRun, RunLine } from '../src/api/admin'
import { endShown, runShown, variablesOf } from '../src/configure/plan/run'

const at = '2026-02-03T09:00:00Z'
const plan = [
  { step: 'goto_if', condition: 'lang = "it"', then: 1 }, { step: 'queue', queue: 'que_1', timeout: 30 }, { step: 'webhook', url: 'https://crm.example.com/' },
  { step: 'assistant', ai_agent: 'aia_1' }
]
const name = (id: string | null | undefined) => ({ que_1: 'Support', agt_1: 'Anna', agt_2: 'Ben', aia_1: 'Ada', int_1: 'Office' })[String(id)] ?? '?'
const shown = (lines: Partial<RunLine>[]) => runShown({ lines: lines.map((line) => ({ at, ...line })) } as PlanRun, plan, name)
const step = (index: number, stage: 'step' | 'webhook' = 'step') => ({ stage, index, plan: 1 })

it('tells each line of a run with what explains it', () => {
  vi.stubGlobal('navigator', { languages: ['en-GB'] })
  const told = shown([
    { fact: 'opened' }, { fact: 'message_received', message: 'msg_1', delivered: false }, { fact: 'plan_started', plan: 1 },
    { fact: 'step_done', index: 0, did: { step: 'goto_if', held: false, to: 1 }, compared: [{ name: 'variables.lang', value: '' }, { name: 'time.hour', value: '9' }] },
    { fact: 'stage_skipped', stage: step(0), why: 'outside_interval', interval: 'int_1' },
    {
      fact: 'wait_started', stage: step(1), queue: 'que_1', until: at,
      asked: [{ target: { kind: 'queue', id: 'que_1' }, strategy: 'beepall', available: ['agt_1'], passed_over: [{ agent: 'agt_2', why: 'paused' }], notification: 'Ada writes' }]
    },
    { fact: 'wait_ended', stage: step(1), why: 'timed_out' },
    { fact: 'wait_started', stage: step(2, 'webhook'), until: at, url: 'https://crm.example.com/' },
    { fact: 'wait_ended', stage: step(2, 'webhook'), why: 'timed_out' }, { fact: 'wait_ended', stage: step(2, 'webhook'), why: 'settled' },
    { fact: 'wait_started', stage: step(3), until: at },
    { fact: 'step_done', index: 0, did: { step: 'auto_reply', message: 'msg_2' }, text: 'Hello Ada' }
  ] as Partial<RunLine>[])
  expect(told.map((it) => it.text.replace(/\d\d:\d\d:\d\d/, 'TIME'))).toEqual([
    'The customer wrote.', 'Step 1: the condition did not hold; on to step 2.', 'Skipped: step 1, outside its interval.', 'Step 2: offered to Support until TIME.',
    'Nobody answered.', 'Step 3: another system would be called, and its answer awaited until TIME.', 'No answer came in time.', 'Step 4: Ada has the conversation. If it does not answer, the plan goes on at TIME.',
    'Step 1: an automatic reply was sent.'
  ])
  expect(told[1]!.more).toEqual(['variables.lang is empty', 'time.hour is “9”'])
  expect(told[2]!.more).toEqual(['Interval: Office'])
  expect(told[3]!.more).toEqual(['Available now: Anna. Not available: Ben (paused).', 'Agents read: “Ada writes”'])
  expect(told[5]!.more).toEqual(['Address: https://crm.example.com/'])
  expect(told.at(-1)!.reply).toBe('Hello Ada')
})

it('tells how a run ends', () => {
  const ends = (ending: PlanRun['ending']) => endShown({ ending } as PlanRun, name)
  expect(ends({ how: 'closed', disposition: 'Spam' })).toBe('The conversation ends closed as Spam.')
  expect(ends({ how: 'closed' })).toBe('The conversation ends closed.')
  expect(ends({ how: 'waits', targets: [{ kind: 'queue', id: 'que_1' }] })).toBe('The conversation then waits without an end for: Support.')
})

it('reads variables line by line, and says when a line is none', () => {
  expect(variablesOf(' lang = it \n\ntier=gold = or more')).toEqual({ lang: 'it', tier: 'gold = or more' })
  expect(variablesOf('')).toEqual({})
  expect([variablesOf('lang: it'), variablesOf('lang = it\nx'), variablesOf('9 = 1')]).toEqual([undefined, undefined, undefined])
})
