/** Metadata as a person reads and writes it. */
export const metadataShown = (value: unknown): string => {
  if (typeof value === 'string') return value
  return value && Object.keys(value).length ? JSON.stringify(value, null, 2) : ''
}
