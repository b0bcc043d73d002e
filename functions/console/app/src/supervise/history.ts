/** All of a history in sentences: what the desk says of it, and the rest. */
import type { HistoryEntry } from '../api/supervisor'
import { ESCALATED, MOODS, sentence } from '../desk/words'
import { t, type Key } from '../i18n'

type Name = (id: string | null | undefined) => string
type Stage = Extract<HistoryEntry, { fact: 'wait_started' }>['stage']
type Did = Extract<HistoryEntry, { fact: 'step_done' }>['did']

const ENDS: Record<string, Key> = {
  timed_out: 'endTimedOut', everybody_rejected: 'endRejected', new_message: 'endNewMessage', account_activated: 'endActivated', tab_opened: 'endTabOpened', settled: 'endSettled'
}
const SKIPS: Record<string, Key> = {
  no_queue: 'skipNoQueue', left_queue: 'skipLeftQueue', left_account: 'skipLeftAccount', queue_gone: 'skipQueueGone', outside_interval: 'skipOutside', within_interval: 'skipWithin', interval_gone: 'skipIntervalGone', person_had_it: 'skipPersonHadIt', handed_over: 'skipHandedOver', used_up: 'skipUsedUp'
}
const FAILS: Record<string, Key> = { timed_out: 'failTimedOut', unreachable: 'failUnreachable', refused: 'failRefused', unreadable: 'failUnreadable' }

/** A step as people count: from one. */
const nth = (index: number) => index + 1

function stage(it: Stage): string {
  switch (it.stage) {
    case 'assigned_agent': return t('stageAgent')
    case 'assigned_queue': return t('stageQueue')
    case 'transfer': return t('stageTransfer')
    case 'exhausted': return t('stageExhausted')
    case 'inactive': return t('stageInactive')
    default: return t('stageStep', { step: nth(it.index) })
  }
}

function did(it: Did, name: Name): string {
  switch (it.step) {
    case 'auto_reply': return t('didReply')
    case 'no_reply': return t('didNoReply')
    case 'close': return t('didClose')
    case 'tag': return t('didTag', { tag: it.tag })
    case 'priority': return t('didPriority', { priority: it.priority })
    case 'set': return t('didSet', { variable: it.variable })
    case 'goto_if': return t(it.held ? 'didGotoIf' : 'didGotoElse', { step: nth(it.to) })
    case 'goto': return t('didGoto', { step: nth(it.to) })
    case 'assistant': return t('didAssistant', { name: name(it.ai_agent) })
    default: return t('didNothing')
  }
}

export function line(entry: HistoryEntry, name: Name): string {
  const known = sentence(entry, name)
  if (known) return known
  switch (entry.fact) {
    case 'message_received': return t('histReceived')
    case 'message_sent': return t('histAnswered', { name: name(entry.agent) })
    case 'note_added': return t('histNote', { name: name(entry.agent) })
    case 'noted': return t('histSystemNote')
    case 'close_requested': return t('histCloseRequested', { name: name(entry.agent), pause: entry.pause })
    case 'close_forgotten': return t('histCloseForgotten', { name: name(entry.agent) })
    case 'retagged': {
      const tags = [...(entry.added ?? []).map((tag) => `+ ${tag}`), ...(entry.removed ?? []).map((tag) => `− ${tag}`)].join(', ')
      return t('histRetagged', { name: name(entry.agent), tags })
    }
    case 'ai_switched': return t(entry.ai_agent ? 'histAiOn' : 'histAiOff', { name: name(entry.agent) })
    case 'insights_made': return t('histInsights', { mood: t(MOODS[entry.sentiment]), summary: entry.summary })
    case 'video_started': return t('histVideo', { name: name(entry.agent) })
    case 'ai_answered': return t('histAiAnswered', { name: name(entry.ai_agent) })
    case 'ai_overtaken': return t('histAiOvertaken', { name: name(entry.ai_agent) })
    case 'ai_escalated': return [t('histAiEscalated', { name: name(entry.ai_agent), why: t(ESCALATED[entry.why] ?? 'escalatedFailed') }), entry.said].filter(Boolean).join(' ')
    case 'replied': return did(entry.did, name)
    case 'plan_started': return t('histPlan')
    case 'step_done': return t('histStep', { step: nth(entry.index), did: did(entry.did, name) })
    case 'webhook_answered': return t('histWebhook', { step: nth(entry.index) })
    case 'webhook_failed': return t('histWebhookFailed', { step: nth(entry.index), why: t(FAILS[entry.why] ?? 'failUnreachable') })
    case 'wait_started': return t('histWait', { stage: stage(entry.stage) })
    case 'wait_ended': return t('histWaitEnded', { stage: stage(entry.stage), why: t(ENDS[entry.why] ?? 'endSettled') })
    case 'stage_skipped': return t('histSkipped', { stage: stage(entry.stage), why: t(SKIPS[entry.why] ?? 'skipNoQueue') })
    case 'offer_withdrawn': return t('histWithdrawn', { name: name(entry.agent) })
    case 'archived': return t('histArchived', { name: name(entry.agent) })
    case 'reopened_for': return entry.to ? t('histReopenedFor', { name: name(entry.by), target: name(entry.to) }) : t('whyReopened', { name: name(entry.by) })
    case 'tab_opened': return t('histTabOpened', { name: name(entry.agent) })
    case 'tab_closed': return t('histTabClosed', { name: name(entry.agent) })
    case 'merged': return t('histMerged')
    case 'absorbed': return t('histAbsorbed')
    case 'transcript_requested': return t('histTranscript', { name: name(entry.agent) })
    // A fact that a later version adds.
    default: return entry.fact.replaceAll('_', ' ')
  }
}
