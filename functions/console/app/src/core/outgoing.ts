/** The messages that become of what an agent has written. */
import type { NewMessage } from '../api'

/** The canned answer whose file goes with the text. */
export interface AnswerWithFile {
  id: string
  name: string
  /** The provider takes no caption with it, e.g. with a sound. */
  silent: boolean
}

/** WhatsApp's longest caption. */
export const LONGEST_CAPTION = 1024

/**
 * One message; or the file of a canned answer and then its text, where the text can't be the file's caption.
 * `translation` is what the customer reads in place of the text.
 */
export function messagesOf(text: string, translation?: { text: string; to: string }, answer?: AnswerWithFile, reply_to?: string): NewMessage[] {
  const words = translation ? translation.text.trim() : text
  const original = translation && { text, translated_to: translation.to }
  if (!answer) return [{ text: words, original, reply_to }]
  const file = { canned_answer: answer.id, reply_to }
  const apart = answer.silent || [...words].length > LONGEST_CAPTION
  if (!apart) return [{ ...file, caption: words, original }]
  return [{ ...file, caption: '' }, ...(words ? [{ text: words, original }] : [])]
}
