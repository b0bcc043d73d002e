/** The kinds of resources that the administrators' API offers: what each consists of, and the calls for it. */
import * as admin from '../../api/admin'
import type { Caller } from '../../api/client'
import { t, type Key } from '../../i18n'
import { providerOf } from '../accounts/providers'
import { accountSections } from '../accounts/sections'
import { caller } from '../kit/caller'
import type { Choice, Kind, KindName, Paged } from '../kit/fields'
import { lasting } from '../../supervise/report'
import { useOptions } from '../kit/options'
import type { Doc } from '../kit/paths'
import AgentPlaces from './AgentPlaces.vue'
import AiAgentTools from './AiAgentTools.vue'
import AnswerFile from './AnswerFile.vue'
import ContactFieldsInput from './ContactFieldsInput.vue'
import ContactLinks from './ContactLinks.vue'
import EventsInput from './EventsInput.vue'
import GuardrailInput from './GuardrailInput.vue'
import HolidaysInput from './HolidaysInput.vue'
import KnowledgeBaseInput from './KnowledgeBaseInput.vue'
import KnowledgeTextsInput from './KnowledgeTextsInput.vue'
import RangesInput from './RangesInput.vue'
import ServiceLevelInput from './ServiceLevelInput.vue'
import TokenPriceInput from './TokenPriceInput.vue'
import TriggerTools from './TriggerTools.vue'
import { baseShown, guardrailShown, textsShown } from './knowledge'
import { tokenPriceShown } from './money'
import { holidaysShown, rangesShown } from './times'
import { eventsShown } from './triggers'

type Operation = (caller: Caller, sent?: never) => Promise<unknown>
const call = (operation: Operation, sent: object) => operation(caller, sent as never)

/** The calls of a kind. Each operation is typed where it is declared; here they only have to be the same five. */
const calls = (list: Operation, get: Operation, create: Operation, patch: Operation, remove?: Operation) => ({
  list: async (query: object) => (await call(list, { query })) as Paged,
  get: async (id: string) => (await call(get, { path: { id } })) as Doc,
  create: async (body: Doc) => (await call(create, { body })) as Doc,
  patch: async (id: string, version: number, body: Doc) => (await call(patch, { path: { id }, version, body })) as Doc,
  remove: remove && (async (id: string, version: number) => await call(remove, { path: { id }, version }))
})

export const ROLES: Choice[] = [
  { value: 'agent', label: 'roleAgent', help: 'roleAgentHelp' },
  { value: 'supervisor', label: 'roleSupervisor', help: 'roleSupervisorHelp' },
  { value: 'admin', label: 'roleAdmin', help: 'roleAdminHelp' },
  { value: 'owner', label: 'roleOwner', help: 'roleOwnerHelp' }
]
export const STRATEGIES: Choice[] = [
  { value: 'beepall', label: 'strategyAll', help: 'strategyAllHelp' },
  { value: 'rrmemory', label: 'strategyRound', help: 'strategyRoundHelp' },
  { value: 'least_recent', label: 'strategyLeast', help: 'strategyLeastHelp' }
]
export const MODEL_PROVIDERS: Choice[] = [
  { value: 'BEDROCK', label: 'aiBedrock', help: 'aiBedrockHelp' },
  { value: 'OPENAI_COMPATIBLE', label: 'aiCompatible', help: 'aiCompatibleHelp' }
]
const word = (choices: Choice[], value: unknown) => {
  const found = choices.find((choice) => choice.value === value)
  return found ? t(found.label) : String(value ?? '')
}
const list = (value: unknown) => (Array.isArray(value) ? value : [])
const named = (doc: Doc) => String(doc.name ?? '')
const yes = (value: unknown) => (value ? t('yes') : t('no'))

const kinds: Kind[] = [
  {
    name: 'accounts', title: 'accounts', one: 'accountName', add: 'connectNumber', intro: 'accountsIntro', reads: 'admin', writes: 'admin',
    label: named,
    columns: [
      { label: 'accountKey', text: (doc) => String(doc.key) },
      { label: 'phone', text: (doc) => String(doc.phone), wide: true },
      { label: 'provider', text: (doc) => providerOf((doc.provider as Doc).type)?.name ?? String((doc.provider as Doc).type), wide: true },
      { label: 'accountState', text: (doc) => (doc.active ? t('active') : t('inactive')) },
      { label: 'agents', text: (doc) => String(list(doc.agents).length), num: true, wide: true }
    ],
    sections: accountSections,
    ...calls(admin.listAccounts, admin.getAccount, admin.createAccount, admin.patchAccount)
  },
  {
    name: 'agents', title: 'agents', one: 'oneAgent', add: 'agentAdd', intro: 'agentsIntro', reads: 'supervisor', writes: 'admin',
    label: named,
    columns: [
      { label: 'role', text: (doc) => word(ROLES, doc.role) },
      { label: 'whatsapp', text: (doc) => yes(doc.whatsapp) },
      { label: 'capacity', text: (doc) => String(doc.capacity), num: true, wide: true }
    ],
    sections: [
      {
        name: 'person', title: 'person', fields: [
          { path: 'name', label: 'name', as: 'text', required: true },
          { path: 'email', label: 'agentEmail', help: 'agentEmailHelp', as: 'email', only: 'new' },
          { path: 'subject', label: 'agentSubject', help: 'agentSubjectHelp', as: 'text', only: 'new' },
          { path: 'subject', label: 'agentSubject', help: 'agentSubjectOld', as: 'text', only: 'old', required: true },
          { path: 'role', label: 'role', help: 'roleHelp', as: 'choice', options: ROLES, radio: true, default: 'agent' }
        ]
      },
      {
        name: 'work', title: 'work', fields: [
          { path: 'whatsapp', label: 'agentWhatsapp', help: 'agentWhatsappHelp', as: 'switch', default: true },
          { path: 'capacity', label: 'capacity', help: 'capacityHelp', as: 'number', min: 1, max: 100, required: true, default: 5 }
        ]
      }
    ],
    more: AgentPlaces,
    ...calls(admin.agents, admin.getAgent, admin.createAgent, admin.patchAgent, admin.deleteAgent)
  },
  {
    name: 'ai-agents', title: 'aiAgents', one: 'aiAgent', add: 'aiAgentAdd', intro: 'aiAgentsIntro', reads: 'supervisor', writes: 'admin',
    label: named,
    columns: [
      { label: 'aiProvider', text: (doc) => word(MODEL_PROVIDERS, doc.provider), wide: true },
      { label: 'aiModel', text: (doc) => String(doc.model) }
    ],
    sections: [
      {
        name: 'model', title: 'aiAgent', fields: [
          { path: 'name', label: 'name', as: 'text', required: true },
          { path: 'provider', label: 'aiProvider', as: 'choice', options: MODEL_PROVIDERS, radio: true, default: 'BEDROCK' },
          { path: 'model', label: 'aiModel', help: 'aiModelHelp', as: 'text', required: true },
          { path: 'region', label: 'aiRegion', help: 'aiRegionHelp', as: 'text' },
          { path: 'base_url', label: 'aiBaseUrl', help: 'aiBaseUrlHelp', as: 'text' },
          { path: 'max_tokens', label: 'aiMaxTokens', help: 'aiMaxTokensHelp', as: 'number', min: 16, max: 8_192, required: true, default: 800 },
          { path: 'temperature', label: 'aiTemperature', help: 'aiTemperatureHelp', as: 'number', min: 0, max: 1, step: 0.1 },
          { path: 'guardrail', label: 'guardrail', help: 'guardrailHelp', as: 'own', input: GuardrailInput, shown: guardrailShown },
          { path: 'price', label: 'aiPrice', help: 'aiPriceHelp', as: 'own', input: TokenPriceInput, shown: tokenPriceShown }
        ]
      },
      {
        name: 'instructions', title: 'aiInstructions', fields: [
          { path: 'instructions', label: 'aiInstructions', help: 'aiInstructionsHelp', as: 'lines', required: true },
          { path: 'language', label: 'aiLanguage', help: 'aiLanguageHelp', as: 'text' }
        ]
      },
      {
        name: 'knowledge', title: 'knowledge', help: 'knowledgeHelp', fields: [
          { path: 'knowledge.texts', label: 'knowledgeTexts', as: 'own', input: KnowledgeTextsInput, shown: textsShown },
          { path: 'knowledge.base', label: 'knowledgeBase', help: 'knowledgeBaseHelp', as: 'own', input: KnowledgeBaseInput, shown: baseShown }
        ]
      },
      {
        name: 'customers', title: 'aiCustomers', fields: [
          { path: 'disclosure', label: 'aiDisclosure', help: 'aiDisclosureHelp', as: 'lines' },
          { path: 'escalation.phrases', label: 'aiPhrases', help: 'aiPhrasesHelp', as: 'texts' },
          { path: 'escalation.message', label: 'aiHandover', help: 'aiHandoverHelp', as: 'lines' }
        ]
      },
      {
        name: 'limits', title: 'aiLimits', help: 'aiLimitsHelp', fields: [
          { path: 'limits.in_a_row', label: 'aiInARow', help: 'aiInARowHelp', as: 'number', min: 1, max: 100, required: true, default: 20 },
          { path: 'limits.an_hour', label: 'aiAnHour', help: 'aiAnHourHelp', as: 'number', min: 1, max: 600, required: true, default: 60 },
          { path: 'limits.dropped', label: 'aiDropped', help: 'aiDroppedHelp', as: 'number', min: 0, max: 10, required: true, default: 3 },
          { path: 'limits.seconds', label: 'aiSeconds', help: 'aiSecondsHelp', as: 'number', min: 5, max: 50, unit: 'seconds', required: true, default: 50 }
        ]
      }
    ],
    more: AiAgentTools,
    ...calls(admin.listAiAgents, admin.getAiAgent, admin.createAiAgent, admin.patchAiAgent, admin.deleteAiAgent)
  },
  {
    name: 'queues', title: 'queues', one: 'oneQueue', add: 'queueAdd', intro: 'queuesIntro', reads: 'supervisor', writes: 'admin',
    label: named,
    columns: [
      { label: 'queueStrategy', text: (doc) => word(STRATEGIES, doc.strategy), wide: true },
      { label: 'members', text: (doc) => String(list(doc.members).length), num: true },
      { label: 'weight', text: (doc) => String(doc.weight), num: true, wide: true }
    ],
    sections: [
      {
        name: 'ringing', title: 'ringing', fields: [
          { path: 'name', label: 'name', help: 'queueNameHelp', as: 'text', required: true },
          { path: 'strategy', label: 'queueStrategy', as: 'choice', options: STRATEGIES, radio: true, default: 'beepall' },
          { path: 'agent_timeout', label: 'agentTimeout', help: 'agentTimeoutHelp', as: 'number', min: 1, max: 2_147_483, unit: 'seconds', required: true, default: 15 },
          { path: 'weight', label: 'weight', help: 'weightHelp', as: 'number', min: 0, max: 10, required: true, default: 0 },
          { path: 'pause_after_missed', label: 'pauseAfterMissed', help: 'pauseAfterMissedHelp', as: 'number', min: 1, max: 100, unit: 'missedOffers' },
          { path: 'service_level', label: 'serviceLevel', help: 'serviceLevelHelp', as: 'own', input: ServiceLevelInput, shown: (value) => lasting(Number(value ?? 60)) }
        ]
      },
      {
        name: 'members', title: 'members', help: 'membersHelp', fields: [
          { path: 'members', label: 'members', as: 'many', of: 'agents', ordered: true }
        ]
      }
    ],
    ...calls(admin.queues, admin.getQueue, admin.createQueue, admin.patchQueue, admin.deleteQueue)
  },
  {
    name: 'lists', title: 'lists', one: 'listName', add: 'listAdd', intro: 'listsIntro', reads: 'supervisor', writes: 'admin',
    label: named, columns: [], sections: [nameOnly('listName')],
    ...calls(admin.listLists, admin.getList, admin.createList, admin.patchList, admin.deleteList)
  },
  {
    name: 'intervals', title: 'intervals', one: 'oneInterval', add: 'intervalAdd', intro: 'intervalsIntro', reads: 'admin', writes: 'admin',
    label: named,
    columns: [
      { label: 'timeZone', text: (doc) => String(doc.time_zone), wide: true },
      { label: 'ranges', text: (doc) => rangesShown(doc.ranges) }
    ],
    sections: [
      {
        name: 'when', title: 'oneInterval', fields: [
          { path: 'name', label: 'name', as: 'text', required: true },
          { path: 'time_zone', label: 'timeZone', help: 'timeZoneHelp', as: 'zone', required: true, default: Intl.DateTimeFormat().resolvedOptions().timeZone },
          { path: 'ranges', label: 'ranges', help: 'rangesHelp', as: 'own', input: RangesInput, shown: rangesShown }
        ]
      },
      {
        name: 'holidays', title: 'holidays', help: 'holidaysHelp', fields: [
          { path: 'holidays', label: 'holidays', as: 'own', input: HolidaysInput, shown: holidaysShown }
        ]
      }
    ],
    ...calls(admin.listIntervals, admin.getInterval, admin.createInterval, admin.patchInterval, admin.deleteInterval)
  },
  {
    name: 'pauses', title: 'pauses', one: 'pause', add: 'pauseAdd', intro: 'pausesIntro', reads: 'supervisor', writes: 'admin',
    label: named, columns: [], sections: [nameOnly('pause')],
    ...calls(admin.listPauses, admin.getPause, admin.createPause, admin.patchPause, admin.deletePause)
  },
  {
    name: 'dispositions', title: 'dispositions', one: 'disposition', add: 'dispositionAdd', intro: 'dispositionsIntro', reads: 'supervisor', writes: 'supervisor',
    label: (doc) => named(doc).replaceAll('/', ' / '),
    columns: [{ label: 'description', text: (doc) => String(doc.description ?? ''), wide: true }],
    sections: [
      {
        name: 'disposition', title: 'disposition', fields: [
          { path: 'name', label: 'name', help: 'dispositionHelp', as: 'text', required: true },
          { path: 'description', label: 'description', help: 'dispositionDescriptionHelp', as: 'text' }
        ]
      }
    ],
    ...calls(admin.listDispositions, admin.getDisposition, admin.createDisposition, admin.patchDisposition, admin.deleteDisposition)
  },
  {
    name: 'tags', title: 'tags', one: 'oneTag', add: 'tagAdd', intro: 'tagsIntro', reads: 'supervisor', writes: 'supervisor',
    label: (doc) => String(doc.tag ?? ''), columns: [],
    sections: [{ name: 'tag', title: 'oneTag', fields: [{ path: 'tag', label: 'name', as: 'text', required: true }] }],
    ...calls(admin.listTags, admin.getTag, admin.createTag, admin.patchTag, admin.deleteTag)
  },
  {
    name: 'answers', title: 'canned', one: 'oneAnswer', add: 'answerAdd', intro: 'answersIntro', reads: 'supervisor', writes: 'supervisor',
    label: (doc) => String(doc.title ?? ''),
    searches: true,
    columns: [
      { label: 'answerText', text: (doc) => short(String(doc.text ?? '')), wide: true },
      { label: 'accountName', text: (doc) => (doc.account ? useOptions().nameOf('accounts', doc.account) : t('allAccounts')) }
    ],
    sections: [
      {
        name: 'answer', title: 'oneAnswer', fields: [
          { path: 'title', label: 'answerTitle', help: 'answerTitleHelp', as: 'text', required: true },
          { path: 'text', label: 'answerText', help: 'answerTextHelp', as: 'template', required: true },
          { path: 'account', label: 'accountName', help: 'answerAccountHelp', as: 'one', of: 'accounts', none: 'allAccounts' }
        ]
      }
    ],
    more: AnswerFile,
    ...calls(admin.listCannedAnswers, admin.getCannedAnswer, admin.createCannedAnswer, admin.patchCannedAnswer, admin.deleteCannedAnswer)
  },
  {
    name: 'contacts', title: 'contacts', one: 'contact', add: 'contactAdd', intro: 'contactsIntro', reads: 'supervisor', writes: 'supervisor', removes: 'admin',
    label: (doc) => String(doc.name ?? doc.username ?? (doc.phones as string[] | undefined)?.[0] ?? t('customer')),
    columns: [],
    sections: [
      {
        name: 'contact', title: 'contact', fields: [
          { path: 'name', label: 'name', help: 'contactNameHelp', as: 'text' },
          { path: 'phone', label: 'phone', help: 'phoneHelp', as: 'text', only: 'new' },
          { path: 'user_id', label: 'userId', help: 'userIdHelp', as: 'text', only: 'new' },
          { path: 'account', label: 'accountName', help: 'contactAccountHelp', as: 'one', of: 'accounts', none: 'noneChosen', only: 'new' },
          { path: 'lists', label: 'lists', as: 'many', of: 'lists' },
          { path: 'blocked', label: 'contactBlocked', help: 'contactBlockedHelp', as: 'switch', default: false }
        ]
      },
      {
        name: 'details', title: 'details', fields: [
          { path: 'first_name', label: 'firstName', as: 'text' },
          { path: 'last_name', label: 'lastName', as: 'text' },
          { path: 'email', label: 'email', as: 'email' },
          { path: 'company', label: 'company', as: 'text' },
          { path: 'fields', label: 'contactFields', as: 'own', input: ContactFieldsInput, shown: (value) => Object.values((value ?? {}) as Doc).join(', ') || '–' }
        ]
      }
    ],
    more: ContactLinks,
    ...calls(admin.findContacts, admin.getContact, admin.createContact, admin.patchContact, admin.deleteContact)
  },
  {
    name: 'contact-fields', title: 'contactFields', one: 'contactField', add: 'contactFieldAdd', intro: 'contactFieldsIntro', reads: 'supervisor', writes: 'admin',
    label: named, columns: [], sections: [nameOnly('contactField')],
    ...calls(admin.listContactFields, admin.getContactField, admin.createContactField, admin.patchContactField, admin.deleteContactField)
  },
  {
    name: 'triggers', title: 'triggers', one: 'oneTrigger', add: 'triggerAdd', intro: 'triggersIntro', reads: 'admin', writes: 'admin',
    label: named,
    columns: [
      { label: 'triggerEvents', text: (doc) => eventsShown(doc.events), wide: true },
      { label: 'triggerState', text: (doc) => (doc.active ? t('active') : doc.disabled ? t('triggerDisabled') : t('inactive')) }
    ],
    sections: [
      {
        name: 'trigger', title: 'oneTrigger', fields: [
          { path: 'name', label: 'name', as: 'text', required: true },
          { path: 'description', label: 'triggerDescription', as: 'text' },
          { path: 'active', label: 'triggerActive', help: 'triggerActiveHelp', as: 'switch', default: true },
          { path: 'url', label: 'triggerUrl', help: 'triggerUrlHelp', as: 'text', required: true },
          { path: 'events', label: 'triggerEvents', as: 'own', input: EventsInput, shown: eventsShown, required: true },
          { path: 'accounts', label: 'accounts', help: 'triggerAccountsHelp', as: 'many', of: 'accounts' },
          { path: 'search.zone', label: 'timeZone', help: 'triggerZoneHelp', as: 'zone', default: 'UTC' }
        ]
      }
    ],
    more: TriggerTools,
    ...calls(admin.listTriggers, admin.getTrigger, admin.createTrigger, admin.patchTrigger, admin.deleteTrigger)
  }
]

function nameOnly(title: Key) {
  return { name: 'name', title, fields: [{ path: 'name', label: 'name' as const, as: 'text' as const, required: true }] }
}

const short = (text: string) => (text.length > 80 ? `${text.slice(0, 79)}…` : text)

export const KINDS = kinds
export const kindOf = (name: KindName): Kind => kinds.find((kind) => kind.name === name)!
