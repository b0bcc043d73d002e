/** The fields of an account, by section. */
import PlanInput from '../plan/PlanInput.vue'
import { planShown } from '../plan/shown'
import type { Choice, Field, Section } from '../kit/fields'
import type { Key } from '../../i18n'
import { languageName } from '../../desk/languages'
import LanguageInput from './LanguageInput.vue'
import MetadataInput from './MetadataInput.vue'
import RecontactInput from './RecontactInput.vue'
import { metadataShown } from './metadata'
import { recontactShown } from './recontact'

export const STYLES: Choice[] = [
  { value: 'neutral', label: 'styleNeutral' }, { value: 'info', label: 'styleInfo' }, { value: 'success', label: 'styleSuccess' },
  { value: 'warning', label: 'styleWarning' }, { value: 'danger', label: 'styleDanger' }
]
const TRANSLATORS: Choice[] = [{ value: 'AWS', label: 'translatorAws', help: 'translatorAwsHelp' }, { value: 'GOOGLE', label: 'translatorGoogle', help: 'translatorGoogleHelp' }]
/** A wait in seconds. The most is what a scheduler can wait. */
const seconds = { as: 'number', min: 1, max: 2_147_483, unit: 'seconds', required: true } as const
const transfer = (to: 'agent' | 'queue'): Field[] => [
  { path: `settings.transfer_to_${to}.enabled`, label: to === 'agent' ? 'transferToAgent' : 'transferToQueue', as: 'switch', default: true },
  { path: `settings.transfer_to_${to}.timeout`, label: to === 'agent' ? 'transferAgentTimeout' : 'transferQueueTimeout', ...seconds, default: 30 }
]

const sections = {
  general: {
    name: 'general', title: 'accountName', fields: [
      { path: 'name', label: 'name', help: 'accountNameHelp', as: 'text', required: true },
      { path: 'key', label: 'accountKey', help: 'accountKeyHelp', as: 'text', required: true },
      { path: 'list', label: 'listName', help: 'accountListHelp', as: 'one', of: 'lists', required: true },
      { path: 'description', label: 'description', help: 'descriptionHelp', as: 'lines' },
      { path: 'active', label: 'active', help: 'activeHelp', as: 'switch', default: true }
    ]
  },
  waits: {
    name: 'waits', title: 'waits', help: 'waitsHelp', fields: [
      { path: 'settings.wait_for_assigned_agent', label: 'waitAgent', help: 'waitAgentHelp', ...seconds, default: 10 },
      { path: 'settings.wait_for_assigned_queue', label: 'waitQueue', help: 'waitQueueHelp', ...seconds, default: 10 },
      { path: 'settings.inactivity_timeout', label: 'inactivity', help: 'inactivityHelp', as: 'number', min: 1, max: 525_600, unit: 'minutesUnit' },
      { path: 'settings.time_zone', label: 'timeZone', help: 'accountZoneHelp', as: 'zone', required: true, default: 'UTC' }
    ]
  },
  notifications: {
    name: 'notifications', title: 'notifications', help: 'notificationsHelp', fields: [
      { path: 'settings.notification.sound', label: 'notifySound', as: 'switch', default: true },
      { path: 'settings.notification.shake', label: 'notifyShake', as: 'switch', default: false },
      { path: 'settings.notification.style', label: 'notifyStyle', help: 'notifyStyleHelp', as: 'choice', options: STYLES, default: 'neutral', required: true },
      { path: 'settings.notification.template', label: 'notifyTemplate', help: 'notifyTemplateHelp', as: 'template', required: true }
    ]
  },
  transfer: { name: 'transfer', title: 'transfers', help: 'transferHelp', fields: [...transfer('agent'), ...transfer('queue')] },
  dispositions: {
    name: 'dispositions', title: 'dispositions', fields: [
      { path: 'settings.mandatory_disposition', label: 'mandatoryDisposition', help: 'mandatoryDispositionHelp', as: 'switch', default: false },
      { path: 'settings.disposition_pause', label: 'dispositionPause', help: 'dispositionPauseHelp', as: 'one', of: 'pauses', none: 'noneChosen' },
      { path: 'settings.dispositions', label: 'dispositionsOfAccount', help: 'dispositionHelp', as: 'texts' }
    ]
  },
  recontact: {
    name: 'recontact', title: 'recontactTitle', help: 'recontactHelp', fields: [
      { path: 'settings.recontact', label: 'recontactTemplate', as: 'own', input: RecontactInput, shown: recontactShown }
    ]
  },
  translation: {
    name: 'translation', title: 'translation', help: 'translationHelp', fields: [
      { path: 'settings.translation.enabled', label: 'translationOn', as: 'switch', default: false },
      { path: 'settings.translation.provider', label: 'translator', as: 'choice', options: TRANSLATORS, radio: true, default: 'AWS' },
      { path: 'settings.translation.language', label: 'agentsLanguage', help: 'agentsLanguageHelp', as: 'own', input: LanguageInput, required: true, shown: (value) => (value ? languageName(String(value)) : '–') }
    ]
  },
  video: {
    name: 'video', title: 'videoCalls', help: 'videoCallsHelp', fields: [
      { path: 'settings.video.enabled', label: 'videoOn', as: 'switch', default: false },
      { path: 'settings.video.topic', label: 'videoTopic', help: 'videoTopicHelp', as: 'text', required: true },
      { path: 'settings.video.note', label: 'videoNote', help: 'videoNoteHelp', as: 'text' },
      { path: 'settings.video.metadata', label: 'videoMetadata', help: 'videoMetadataHelp', as: 'own', input: MetadataInput, shown: metadataShown }
    ]
  },
  agents: {
    name: 'agents', title: 'agents', help: 'accountAgentsHelp', fields: [{ path: 'agents', label: 'agents', as: 'many', of: 'agents' }]
  },
  ai: {
    name: 'ai', title: 'aiAgents', fields: [
      { path: 'settings.assistant', label: 'aiAssistant', help: 'aiAssistantHelp', as: 'one', of: 'ai-agents', none: 'noneChosen' },
      { path: 'settings.insights.ai_agent', label: 'insightsAgent', help: 'insightsAgentHelp', as: 'one', of: 'ai-agents', none: 'noneChosen' },
      { path: 'settings.insights.at_closing', label: 'insightsAtClosing', help: 'insightsAtClosingHelp', as: 'switch', default: false },
      { path: 'answering_ai_agent', label: 'aiAnswering', help: 'aiAnsweringHelp', as: 'one', of: 'ai-agents', none: 'noneChosen' }
    ]
  },
  whitelist: {
    name: 'whitelist', title: 'whitelist', help: 'whitelistHelp', fields: [
      { path: 'settings.whitelist.enabled', label: 'whitelistOn', as: 'switch', default: false },
      { path: 'settings.whitelist.lists', label: 'lists', as: 'many', of: 'lists' },
      { path: 'settings.whitelist.reply', label: 'whitelistReply', help: 'whitelistReplyHelp', as: 'template' }
    ]
  },
  proxy: {
    name: 'proxy', title: 'proxy', help: 'proxyHelp', fields: [{ path: 'domain', label: 'domain', help: 'domainHelp', as: 'text' }]
  },
  actions: {
    name: 'actions', title: 'plan', help: 'planHelp', fields: [{ path: 'plan', label: 'planSteps', as: 'own', input: PlanInput, shown: planShown }]
  }
} satisfies Record<string, Section>

export type SectionName = keyof typeof sections
export const SECTIONS: Record<SectionName, Section> = sections
export const accountSections: Section[] = Object.values(sections)

/** The pages of an account, each at an address of its own, and the sections on them. */
export const ACCOUNT_PAGES: { path: string; label: Key; forms: SectionName[] }[] = [
  { path: 'general', label: 'general', forms: ['general', 'waits'] },
  { path: 'connection', label: 'connection', forms: [] },
  { path: 'agents', label: 'agents', forms: ['agents'] },
  { path: 'actions', label: 'plan', forms: ['actions'] },
  { path: 'notifications', label: 'notifications', forms: ['notifications'] },
  { path: 'transfer', label: 'transfers', forms: ['transfer'] },
  { path: 'dispositions', label: 'dispositions', forms: ['dispositions'] },
  { path: 'recontact', label: 'recontactTitle', forms: ['recontact'] },
  { path: 'answers', label: 'canned', forms: [] },
  { path: 'translation', label: 'translation', forms: ['translation'] },
  { path: 'ai', label: 'aiAgents', forms: ['ai'] },
  { path: 'video', label: 'videoCalls', forms: ['video'] },
  { path: 'whitelist', label: 'whitelist', forms: ['whitelist'] },
  { path: 'proxy', label: 'proxy', forms: ['proxy'] },
  { path: 'tools', label: 'tools', forms: [] }
]
