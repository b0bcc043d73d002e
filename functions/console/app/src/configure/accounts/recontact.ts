/** The recontact template of an account. */
export interface Recontact {
  name: string
  language?: string
  header?: { type: string; text?: string; url?: string; [more: string]: unknown } | null
  parameters?: unknown[]
  buttons?: { index: number; type: string; value: string }[]
  cards?: unknown[]
}

/** A parameter is a text, or an object with its value under its type. */
export const parameterText = (parameter: unknown): string | undefined => {
  if (typeof parameter === 'string') return parameter
  const text = (parameter as { text?: unknown } | undefined)?.text
  return typeof text === 'string' ? text : undefined
}

export function recontactShown(value: unknown): string {
  const it = value as Recontact | undefined
  if (!it) return '–'
  return [it.name, it.language, ...(it.parameters ?? []).map((one) => parameterText(one) ?? JSON.stringify(one))].filter(Boolean).join('\n')
}
