/** A phone number as people type or paste it, in the form of the APIs (E.164); undefined: it is none. */
export function phoneOf(typed: string): string | undefined {
  const bare = typed.trim().replace(/^whatsapp:/i, '').replace(/[\s().\/-]/g, '').replace(/^00/, '+')
  // The shortest numbers of the plan have seven digits with their country, the longest fifteen.
  return /^\+[1-9]\d{6,14}$/.test(bare) ? bare : undefined
}
