/** What messages say in the agents' language, and drafts in the customer's. */
import type { Message } from '../api'
import type { Outcome } from '../api/assist'
import { Problem } from '../api/client'
import type { DraftTranslation } from '../core/drafts'
import type { Store } from '../core/store'
import { t } from '../i18n'
import { saidOf } from '../problems'

export interface TranslationPorts {
  translate(id: string, messages?: string[]): Promise<{ items: Outcome[]; language?: string | null }>
  draft(id: string, text: string): Promise<{ text: string; original: { translated_to: string } }>
  refresh(id: string): void
  say(text: string): void
  sayProblem(error: unknown): void
}

/** Whether a customer's message has words that are not translated yet. */
export const isTranslatable = (message: Message, language: string | null | undefined): boolean => {
  if (!language || message.author.kind !== 'customer' || message.deleted_at || message.translation?.language === language) return false
  const content = message.content
  const text = content.type === 'text' ? content.body : content.type === 'media' ? content.caption : content.type === 'button' ? content.text : ''
  return text.trim() !== ''
}

/** `busy`: ids of interactions and messages that are being translated. `problems`: why a message has no translation. */
export function makeTranslations(store: Store, ports: TranslationPorts, { busy, problems }: { busy: Set<string>; problems: Map<string, string> }) {
  /** Translates one message, or the customer's latest ones. */
  async function translate(id: string, message?: string) {
    const asked = message ?? id
    if (busy.has(asked)) return
    busy.add(asked)
    const versions = new Map([...(store.threads.get(id)?.values() ?? [])].map((it) => [it.id, it.version]))
    try {
      const { items, language } = await ports.translate(id, message ? [message] : undefined)
      for (const it of items) {
        if (it.translation) store.translate(id, it.message, versions.get(it.message), it.translation)
        if (it.problem) problems.set(it.message, saidOf(it.problem.type) ?? it.problem.detail ?? it.problem.title)
        else problems.delete(it.message)
      }
      if (language !== store.interactions.get(id)?.language) ports.refresh(id)
      if (message === undefined) ports.say(t('translatedCount', { count: items.filter((it) => it.translation).length }))
    } catch (error) {
      ports.sayProblem(error)
    } finally {
      busy.delete(asked)
    }
  }

  /** What a draft says in the customer's language. Nothing is sent. */
  async function draft(id: string, text: string): Promise<DraftTranslation | undefined> {
    try {
      const made = await ports.draft(id, text)
      return { of: text, text: made.text, to: made.original.translated_to }
    } catch (error) {
      // A field's own words are about a request that nobody wrote.
      ports.sayProblem(error instanceof Problem && error.status === 413 ? new Problem(413, 'text-too-long', error.title) : error)
      return undefined
    }
  }

  return { busy, problems, translate, draft }
}
