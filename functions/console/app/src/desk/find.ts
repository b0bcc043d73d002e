/** A phone number as people type or paste it, in the form of the APIs (E.164); undefined: it is none. */
export function phoneOf(typed: string): string | undefined {
  const bare = typed.trim().replace(/^whatsapp:/i, '').replace(/[\s().\/-]/g, '').replace(/^00/, '+')
  // The shortest numbers of the plan have seven digits with their country, the longest fifteen.
  return /^\+[1-9]\d{6,14}$/.test(bare) ? bare : undefined
}

/** What finds a contact: a whole address does so at once; the index of names follows within seconds. */
export function contactQuery(typed: string) {
  // A user id begins with a country's letters: `IT.1349…`.
  if (/^[A-Za-z]{2}\./.test(typed)) return { user_id: typed }
  const phone = phoneOf(typed)
  return phone ? { phone } : { q: typed }
}

/** What the search of contacts is asked for; undefined: it wants two letters, or three digits. */
export function queryOf(typed: string): string | undefined {
  const phone = phoneOf(typed)
  if (phone) return phone
  const [letters, digits] = [typed.replace(/[^\p{L}]/gu, ''), typed.replace(/\D/g, '')]
  return letters.length >= 2 || digits.length >= 3 ? typed.trim() : undefined
}
