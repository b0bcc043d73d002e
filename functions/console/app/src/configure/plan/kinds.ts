/** The kinds of steps, and the fields of each. */
import type { Key } from '../../i18n'
import type { Field } from '../kit/fields'
import type { Options } from '../kit/options'
import type { Doc } from '../kit/paths'
import { t } from '../../i18n'
import ConditionInput from './ConditionInput.vue'
import type { JumpName } from './steps'

export interface StepKind {
  step: string
  label: Key
  help: Key
  fields: Field[]
  jumps?: { name: JumpName; label: Key; required?: boolean }[]
  /** What one line says of it. */
  summary: (step: Doc, options: Options) => string
}

const timeout: Field = { path: 'timeout', label: 'stepTimeout', as: 'number', min: 1, max: 2_147_483, unit: 'seconds', required: true, default: 30 }
const text = (value: unknown) => String(value ?? '')
const lasting = (step: Doc) => t('secondsShown', { count: Number(step.timeout ?? 30) })

export const STEPS: StepKind[] = [
  {
    step: 'queue', label: 'stepQueue', help: 'stepQueueHelp',
    fields: [{ path: 'queue', label: 'oneQueue', as: 'one', of: 'queues', required: true }, timeout],
    summary: (step, options) => `${step.queue ? options.nameOf('queues', step.queue) : '–'}, ${lasting(step)}`
  },
  {
    step: 'agent', label: 'stepAgent', help: 'stepAgentHelp',
    fields: [{ path: 'agent', label: 'oneAgent', as: 'one', of: 'agents', required: true }, timeout],
    summary: (step, options) => `${step.agent ? options.nameOf('agents', step.agent) : '–'}, ${lasting(step)}`
  },
  {
    step: 'auto_reply', label: 'stepReply', help: 'stepReplyHelp',
    fields: [
      { path: 'text', label: 'answerText', as: 'template', required: true },
      {
        path: 'when', label: 'stepWhen', as: 'choice', required: true, default: 'once', options: [
          { value: 'once', label: 'whenOnce' }, { value: 'first_message', label: 'whenFirst' }, { value: 'always', label: 'whenAlways' }
        ]
      }
    ],
    summary: (step) => text(step.text)
  },
  {
    step: 'close', label: 'stepClose', help: 'stepCloseHelp',
    fields: [{ path: 'disposition', label: 'disposition', help: 'stepDispositionHelp', as: 'text', suggest: 'dispositions' }],
    summary: (step) => text(step.disposition).replaceAll('/', ' / ')
  },
  {
    step: 'tag', label: 'stepTag', help: 'stepTagHelp',
    fields: [{ path: 'tag', label: 'oneTag', as: 'text', suggest: 'tags', required: true }],
    summary: (step) => text(step.tag)
  },
  {
    step: 'priority', label: 'stepPriority', help: 'stepPriorityHelp',
    fields: [{ path: 'priority', label: 'priority', as: 'number', min: 0, max: 9, required: true }],
    summary: (step) => text(step.priority)
  },
  {
    step: 'set', label: 'stepSet', help: 'stepSetHelp',
    fields: [
      { path: 'variable', label: 'variable', help: 'variableHelp', as: 'text', required: true },
      { path: 'value', label: 'variableValue', as: 'text' }
    ],
    summary: (step) => `${text(step.variable)} = ${text(step.value)}`
  },
  {
    step: 'goto_if', label: 'stepGotoIf', help: 'stepGotoIfHelp',
    fields: [{ path: 'condition', label: 'condition', help: 'conditionHelp', as: 'own', input: ConditionInput, shown: text, required: true }],
    jumps: [{ name: 'then', label: 'jumpThen', required: true }, { name: 'else', label: 'jumpElse' }],
    summary: (step) => text(step.condition)
  },
  {
    step: 'goto', label: 'stepGoto', help: 'stepGotoHelp', fields: [], jumps: [{ name: 'to', label: 'jumpTo', required: true }], summary: () => ''
  },
  {
    step: 'webhook', label: 'stepWebhook', help: 'stepWebhookHelp',
    fields: [{ path: 'url', label: 'webhookUrl', help: 'webhookUrlHelp', as: 'text', required: true }],
    summary: (step) => text(step.url)
  },
  {
    step: 'assistant', label: 'stepAssistant', help: 'stepAssistantHelp',
    fields: [{ path: 'ai_agent', label: 'aiAgent', as: 'one', of: 'ai-agents', required: true }],
    summary: (step, options) => options.nameOf('ai-agents', step.ai_agent)
  },
  {
    step: 'noop', label: 'stepNoop', help: 'stepNoopHelp',
    fields: [{ path: 'comment', label: 'comment', as: 'lines' }],
    summary: (step) => text(step.comment)
  }
]
export const stepOf = (step: unknown) => STEPS.find((kind) => kind.step === step)
