/** A phone number as people type or paste it, in the form of the APIs (E.164); undefined: it is none. */
export function phoneOf(typed: string): string | undefined {
  const bare = typed.trim().replace(/^whatsapp:/i, '').replace(/[\s().\/-]/g, '').replace(/^00/, '+')
  // The shortest numbers of the plan have seven digits with their country, the longest fifteen.
  return /^\+[1-9]\d{6,14}$/.test(bare) ? bare : undefined
}

/** What the search of contacts is asked for; undefined: it wants two letters, or three digits. */
export function queryOf(typed: string): string | undefined {
  const phone = phoneOf(typed)
  if (phone) return phone
  const [letters, digits] = [typed.replace(/[^\p{L}]/gu, ''), typed.replace(/\D/g, '')]
  return letters.length >= 2 || digits.length >= 3 ? typed.trim() : undefined
}
