/** The provider types as people know them, their fields, and what to do in each provider's own console. */
import type { FieldView } from '../../api/admin'
import { current, t, type Key } from '../../i18n'
import type { Field } from '../kit/fields'

interface Words {
  label: Key
  help?: Key
}
export interface ProviderWords {
  type: string
  name: string
  about: Key
  /** Where a region's base URL is the usual one. */
  base?: string
  fields: Record<string, Words>
  /** The field that each number has of its own, even with the credentials of another account. */
  number?: string
  /** What to do by hand, step by step. */
  guide: Key[]
  /** The webhook can be set from here. */
  registers?: boolean
  /** What has to be done by hand before or after that. */
  besides?: Key[]
}

const base: Words = { label: 'fieldBaseUrl', help: 'fieldBaseUrlHelp' }
const guards: Record<string, Words> = {
  callback_header: { label: 'fieldCallbackHeader', help: 'fieldCallbackHeaderHelp' },
  callback_header_value: { label: 'fieldCallbackHeaderValue' },
  callback_user: { label: 'fieldCallbackUser', help: 'fieldCallbackUserHelp' },
  callback_password: { label: 'fieldCallbackPassword' },
  callback_token: { label: 'fieldCallbackToken', help: 'fieldCallbackTokenHelp' }
}

export const PROVIDERS: ProviderWords[] = [
  {
    type: 'TWILIO', name: 'Twilio', about: 'aboutTwilio',
    fields: { account_sid: { label: 'fieldAccountSid', help: 'fieldTwilioSidHelp' }, auth_token: { label: 'fieldAuthToken', help: 'fieldTwilioTokenHelp' } },
    guide: ['guideTwilio1', 'guideTwilio2', 'guideTwilio3']
  },
  {
    type: 'META', name: 'Meta (Cloud API)', about: 'aboutMeta', registers: true, number: 'phone_number_id',
    fields: {
      account_sid: { label: 'fieldWabaId', help: 'fieldWabaIdHelp' },
      auth_token: { label: 'fieldMetaToken', help: 'fieldMetaTokenHelp' },
      app_id: { label: 'fieldAppId', help: 'fieldAppIdHelp' },
      phone_number_id: { label: 'fieldPhoneNumberId', help: 'fieldPhoneNumberIdHelp' },
      app_secret: { label: 'fieldAppSecret', help: 'fieldAppSecretHelp' },
      verify_token: { label: 'fieldVerifyToken', help: 'fieldGenerated' }
    },
    guide: ['guideMeta1', 'guideMeta2', 'guideMeta3', 'guideMeta4'],
    besides: ['guideMeta3', 'guideMeta4']
  },
  {
    type: 'SINCH_V2', name: 'Sinch Conversation API', about: 'aboutSinchV2', registers: true, number: 'app_id', base: 'https://eu.conversation.api.sinch.com',
    fields: {
      base_url: base,
      project_id: { label: 'fieldProjectId', help: 'fieldProjectIdHelp' },
      app_id: { label: 'fieldAppId', help: 'fieldSinchAppHelp' },
      key_id: { label: 'fieldKeyId', help: 'fieldKeyIdHelp' },
      key_secret: { label: 'fieldKeySecret', help: 'fieldKeySecretHelp' },
      webhook_secret: { label: 'fieldWebhookSecret', help: 'fieldGenerated' }
    },
    guide: ['guideSinchV21', 'guideSinchV22'],
    besides: ['guideSinchV22']
  },
  {
    type: 'SINCH', name: 'Sinch', about: 'aboutSinch', base: 'https://eu1.whatsapp.api.sinch.com',
    fields: {
      base_url: base,
      account_sid: { label: 'fieldBotId' },
      authorization_token: { label: 'fieldBotToken' },
      callback_secret: { label: 'fieldCallbackSecret', help: 'fieldCallbackSecretHelp' },
      ...guards
    },
    guide: ['guideSinch1', 'guideSinch2', 'guideGuard']
  },
  {
    type: 'KALEYRA', name: 'Kaleyra', about: 'aboutKaleyra', base: 'https://api.eu.kaleyra.io',
    fields: {
      base_url: base,
      waba_id: { label: 'fieldWabaId', help: 'fieldKaleyraWabaHelp' },
      account_sid: { label: 'fieldAccountSid' },
      api_key: { label: 'fieldApiKey' },
      ...guards
    },
    guide: ['guideKaleyra1', 'guideKaleyra2', 'guideKaleyra3', 'guideGuard']
  }
]
export const providerOf = (type: unknown) => PROVIDERS.find((provider) => provider.type === type)

/** How a value looks, in the person's language. */
function shapeShown(shape: string | null | undefined): string | undefined {
  const [, most] = /^1 to (\d+) letters, digits, - or _$/.exec(shape ?? '') ?? []
  if (most) return t('shapeId', { most })
  return current() === 'en' ? (shape ?? undefined) : undefined
}

/**
 * The form's fields of a provider type. Those that the API knows and this file doesn't have the API's own words, so that
 * a new field is there at once.
 */
export function fieldsOf(type: string, known: FieldView[], made: boolean): Field[] {
  const words = providerOf(type)
  const fields = known.map((field): Field => {
    const own = words?.fields[field.name]
    const said = {
      path: `provider.${field.name}`,
      label: own?.label ?? ('provider' as const),
      words: own ? undefined : field.description,
      help: own?.help,
      helpWords: own?.help ? undefined : shapeShown(field.shape),
      // A stored secret stays unless another one is typed.
      required: field.required && (!field.secret || !made)
    }
    return field.secret ? { ...said, as: 'secret', stored: made ? (field.required ? 'yes' : 'maybe') : undefined } : { ...said, as: 'text' }
  })
  return [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)]
}
