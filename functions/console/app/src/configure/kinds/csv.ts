/** The first rows of a CSV file, as far as choosing its columns needs them; the import itself reads the file. */

/** Headings fit into this; a longer first row is none. */
const LOOK = 64 * 1024

/** The text of a file's beginning: UTF-8, UTF-16 with its mark, or else Windows-1252. `cut`: the file goes on. */
export function decode(bytes: Uint8Array, cut = false): string {
  const marked = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined
  if (marked) return new TextDecoder(marked).decode(bytes)
  try {
    // A character that is cut at the end is no fault of the file.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut })
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

/** The cells of the rows, parted by what parts the first row most often. */
export function rows(text: string, most: number): string[][] {
  const first = text.replace(/"[^"]*"/g, '').split(/\r?\n/, 1)[0] ?? ''
  const by = [',', ';', '\t'].reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best))
  const found: string[][] = [['']]
  let quoted = false
  for (let at = 0; at < text.length && found.length <= most; at += 1) {
    const row = found.at(-1)!
    const char = text[at]!
    if (quoted && char === '"' && text[at + 1] === '"') [row[row.length - 1], at] = [`${row.at(-1)}"`, at + 1]
    else if (char === '"') quoted = !quoted
    else if (!quoted && char === by) row.push('')
    else if (!quoted && char === '\n') found.push([''])
    else if (quoted || char !== '\r') row[row.length - 1] += char
  }
  return found.slice(0, most).filter((row) => row.some(Boolean))
}

export async function look(file: Blob): Promise<{ headings: string[]; example: string[] }> {
  const [headings = [], example = []] = rows(decode(new Uint8Array(await file.slice(0, LOOK).arrayBuffer()), file.size > LOOK), 2)
  return { headings: headings.map((cell) => cell.trim()), example }
}

/** Words of headings, English and Italian, that tell a column. */
const WORDS = {
  phone: /^(phone|phone number|mobile|cell|tel|telefono|cellulare|numero di telefono)\b/i, user_id: /^(user.?id|bsuid)$/i, name: /^(name|full name|nome completo|display name)$/i,
  first_name: /^(first.?name|given name|nome)$/i, last_name: /^(last.?name|surname|family name|cognome)$/i, email: /^(e-?mail)/i, company: /^(company|azienda|organi[sz]ation)$/i, lists: /^(lists?|liste)$/i
} as const
export type Target = keyof typeof WORDS
export const TARGETS = Object.keys(WORDS) as Target[]

/** The column for each target, and for each defined field, as far as headings tell it. */
export function guess(headings: string[], fields: { id: string; text: string }[]): Record<string, string> {
  const found: Record<string, string> = {}
  const free = new Set(headings.filter(Boolean))
  const take = (target: string, heading: string | undefined) => {
    if (!heading) return
    found[target] = heading
    free.delete(heading)
  }
  for (const target of TARGETS) take(target, [...free].find((heading) => WORDS[target].test(heading)))
  for (const field of fields) take(field.id, [...free].find((heading) => heading.toLowerCase() === field.text.toLowerCase()))
  return found
}
