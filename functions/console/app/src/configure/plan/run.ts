/** A rehearsed run of a plan in sentences: those of a history, and what a history leaves out. */
import type { PlanRun, RunLine } from '../../api/admin'
import type { HistoryEntry } from '../../api/supervisor'
import { WHY } from '../../desk/words'
import { second, t } from '../../i18n'
import { line as told } from '../../supervise/history'
import type { Doc } from '../kit/paths'

export type Name = (id: string | null | undefined) => string
type Target = NonNullable<RunLine['asked']>[number]['target']

export interface Told {
  at: string
  /** What happens. */
  text: string
  /** What explains it. */
  more: string[]
  /** The text that the customer gets. */
  reply?: string
}

/** A line may begin with what was done. */
const capital = (text: string) => text.charAt(0).toLocaleUpperCase() + text.slice(1)
/** What opens each run says nothing of the plan, nor does the end of a wait that an answer has ended. */
const isSilent = (line: RunLine) => line.fact === 'message_received' || line.fact === 'plan_started' || (line.fact === 'wait_ended' && line.why === 'settled')

export function runShown(run: PlanRun, plan: Doc[], name: Name): Told[] {
  return run.lines.filter((line) => !isSilent(line)).map((line) => ({
    at: line.at, text: capital(sentence(line, plan, name)), more: more(line, name), reply: line.text ?? undefined
  }))
}

function sentence(line: RunLine, plan: Doc[], name: Name): string {
  if (line.fact === 'wait_started' && (line.stage.stage === 'step' || line.stage.stage === 'webhook')) {
    const step = plan[line.stage.index]
    const until = line.until ? second(line.until) : ''
    const words = { step: line.stage.index + 1, name: name(String(step?.queue ?? step?.agent ?? step?.ai_agent ?? '')), until }
    if (line.stage.stage === 'webhook') return t('runCalls', words)
    return t(step?.step === 'assistant' ? 'runAssistant' : 'runOffers', words)
  }
  if (line.fact === 'wait_ended') return t(line.stage.stage === 'webhook' ? 'runNoAnswer' : 'runNobody')
  return told(line as HistoryEntry, name)
}

function more(line: RunLine, name: Name): string[] {
  const all: string[] = []
  if (line.interval) all.push(t('runInterval', { name: name(line.interval) }))
  for (const it of line.compared ?? []) all.push(it.value === '' ? t('runEmpty', { name: it.name }) : t('runValue', { name: it.name, value: it.value }))
  if (line.value) all.push(t('runSet', { value: line.value }))
  if (line.url) all.push(t('runUrl', { url: line.url }))
  for (const it of line.asked ?? []) {
    const over = it.passed_over.map((one) => `${name(one.agent)} (${t(WHY[one.why] ?? 'notAvailable')})`).join(', ')
    all.push([it.available.length ? t('runAvailable', { names: it.available.map(name).join(', ') }) : t('runNobodyNow'), over && t('runOver', { names: over })].filter(Boolean).join(' '))
    all.push(t('runNotification', { text: it.notification }))
  }
  return all
}

export const targetShown = (target: Target, name: Name) => (target.kind === 'account' ? t('everybody') : name(target.id))

/** How it ends. */
export function endShown(run: PlanRun, name: Name): string {
  if (run.ending.how === 'closed') return run.ending.disposition ? t('runClosedAs', { name: run.ending.disposition }) : t('runClosed')
  return t('runWaits', { names: run.ending.targets.map((target) => targetShown(target, name)).join(', ') })
}

/** Variables as they are typed: one a line, `name = value`. Nothing where a line is none. */
export function variablesOf(text: string): Record<string, string> | undefined {
  const lines = text.split('\n').map((line) => line.trim()).filter(Boolean).map((line) => /^([A-Za-z]\w{0,31})\s*=\s*(.*)$/.exec(line))
  return lines.every((found) => found) ? Object.fromEntries(lines.map((found) => [found![1]!, found![2]!])) : undefined
}
