/** What an AI agent knows, as the form shows it. */
import { t } from '../../i18n'

export interface KnowledgeText { title: string; text: string }
export interface KnowledgeBase { id: string; results?: number }
export interface Guardrail { id: string; version: string }

/** The API's limit for all texts together. */
export const LONGEST_TEXTS = 30_000

/** As the API counts: an emoji is one character, and blanks around a text are none. */
export const charactersOf = (texts: KnowledgeText[]) => texts.reduce((sum, { text }) => sum + [...text.trim()].length, 0)

export const textsShown = (value: unknown) => (Array.isArray(value) ? (value as KnowledgeText[]).map(({ title }) => title).join(', ') : '')
export const baseShown = (value: unknown) => {
  const base = value as KnowledgeBase | undefined
  return base?.id ? t('knowledgeBaseShown', { id: base.id, results: base.results ?? 5 }) : ''
}
export const guardrailShown = (value: unknown) => {
  const guardrail = value as Guardrail | undefined
  return guardrail?.id ? `${guardrail.id} (${guardrail.version})` : ''
}
