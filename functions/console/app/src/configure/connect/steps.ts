/** The steps of connecting a number, and the one at which each finding is mended. */
import type { Key } from '../../i18n'

export const STEPS = ['provider', 'credentials', 'number', 'webhook', 'check', 'agents', 'active'] as const
export type Step = (typeof STEPS)[number]

export const TITLES: Record<Step, Key> = {
  provider: 'connectProvider', credentials: 'connectCredentials', number: 'connectNumberStep', webhook: 'connectWebhook', check: 'connectCheck',
  agents: 'connectAgents', active: 'connectActive'
}

/** A finding of the check is mended where its values were entered. */
export const MENDS: Record<string, { step: Step; label: Key }> = {
  credentials: { step: 'credentials', label: 'mendCredentials' },
  number: { step: 'number', label: 'mendNumber' },
  webhook: { step: 'webhook', label: 'mendWebhook' },
  origin: { step: 'credentials', label: 'mendOrigin' }
}

/** The step of a field that was refused. */
export function stepOfField(field: string): Step {
  if (field === 'provider.phone_number_id') return 'number'
  return field.startsWith('provider') ? 'credentials' : field.startsWith('agents') || field.startsWith('plan') ? 'agents' : 'number'
}
