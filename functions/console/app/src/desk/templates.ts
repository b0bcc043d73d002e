/** Approved templates: what each asks of whoever sends it, how it then reads, and the message that carries it. */
import type { NewMessage } from '../api'
import type { Template } from '../api/admin'

export type NewTemplate = NonNullable<NewMessage['template']>
type Parts = Template['parts']
type Part = Pick<Parts, 'header' | 'parameters' | 'buttons'>
/** What was filled in, by the place: `body.0`, `header.url`, `card.1.button.0`. */
export type Values = Record<string, string>

/** Something that a person fills in. */
export interface Slot {
  place: string
  as: 'text' | 'file' | 'number' | 'time'
  /** What it is called: the name of a parameter, or a word of the console. */
  word: 'parameter' | 'headerText' | 'headerFile' | 'latitude' | 'longitude' | 'button' | 'offer'
  name?: string
  /** The card of a carousel, from 1. */
  card?: number
}

function slotsOf(part: Part, prefix: string, card?: number): Slot[] {
  const slots: Slot[] = []
  const { header } = part
  if (header?.type === 'text') {
    if (header.parameters?.length) slots.push({ place: `${prefix}header.text`, as: 'text', word: 'headerText', card })
  } else if (header?.type === 'location') {
    for (const word of ['latitude', 'longitude'] as const) slots.push({ place: `${prefix}header.${word}`, as: 'number', word, card })
  } else if (header) slots.push({ place: `${prefix}header.url`, as: 'file', word: 'headerFile', card })
  part.parameters?.forEach((name, at) => slots.push({ place: `${prefix}body.${at}`, as: 'text', word: 'parameter', name, card }))
  for (const button of part.buttons ?? []) {
    if (button.required && button.type) slots.push({ place: `${prefix}button.${button.index}`, as: 'text', word: 'button', name: button.text ?? String(button.index + 1), card })
  }
  return slots
}

/** All that has to be filled in. */
export function slots({ parts }: Template): Slot[] {
  const cards = (parts.cards ?? []).flatMap((card, at) => slotsOf(card, `card.${at}.`, at + 1))
  return [...slotsOf(parts, ''), ...cards, ...(parts.offer_ends_at ? [{ place: 'offer', as: 'time', word: 'offer' } as const] : [])]
}

/** The place of an uploaded file that stands for an address. */
export const uploadOf = (place: string) => place.replace(/url$/, 'attachment')
const valueAt = (values: Values, place: string) => values[place]?.trim() ?? ''
export const isFilled = (slot: Slot, values: Values) => valueAt(values, slot.place) !== '' || (slot.as === 'file' && !!values[uploadOf(slot.place)])
/** Providers refuse a parameter with line breaks, tabs or more than four blanks in a row. */
export const isRefused = (value: string | undefined) => /[\n\r\t]| {5}/.test(value ?? '')

/** A text with what was filled in; what is missing stays a placeholder. */
function filled(text: string, names: string[] | undefined, value: (at: number) => string): string {
  return text.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (whole, name: string) => {
    const at = names?.indexOf(name) ?? -1
    return (at >= 0 && value(at)) || whole
  })
}

/** How the message reads. */
export function preview({ parts, body }: Template, values: Values): { header?: string; body: string; footer?: string; buttons: string[] } {
  return {
    header: parts.header?.text && filled(parts.header.text, parts.header.parameters, () => valueAt(values, 'header.text')),
    body: filled(parts.text ?? body, parts.parameters, (at) => valueAt(values, `body.${at}`)),
    footer: parts.footer,
    buttons: (parts.buttons ?? []).map((button) => button.text ?? '').filter(Boolean)
  }
}

function partOf(part: Part, format: Parts['format'], values: Values, prefix: string): Pick<NewTemplate, 'header' | 'body' | 'buttons'> {
  const made: Pick<NewTemplate, 'header' | 'body' | 'buttons'> = {}
  const value = (place: string) => valueAt(values, `${prefix}${place}`)
  const { header, parameters } = part
  if (header?.type === 'text') {
    if (header.parameters?.length) made.header = { type: 'text', text: value('header.text'), ...(format === 'named' ? { name: header.parameters[0] } : {}) }
  } else if (header?.type === 'location') {
    made.header = { type: 'location', latitude: Number(value('header.latitude')), longitude: Number(value('header.longitude')) }
  } else if (header) {
    const attachment = value('header.attachment')
    made.header = { type: header.type, ...(attachment ? { attachment } : { url: value('header.url') }) }
  }
  // Twilio's variables are numbers that count from 1, or have names.
  const inOrder = format === 'positional' || (format !== 'named' && parameters?.every((name, at) => name === String(at + 1)))
  if (parameters?.length) made.body = parameters.map((name, at) => (inOrder ? value(`body.${at}`) : { name, text: value(`body.${at}`) }))
  const buttons = (part.buttons ?? []).filter((button) => button.required && button.type)
  if (buttons.length) made.buttons = buttons.map((button) => ({ index: button.index, type: button.type!, value: value(`button.${button.index}`) }))
  return made
}

/** The message. */
export function templateOf(template: Template, values: Values): NewTemplate {
  const { parts } = template
  const cards = (parts.cards ?? []).map((card, at) => partOf(card, parts.format, values, `card.${at}.`))
  return {
    name: template.name,
    ...(template.language ? { language: template.language } : {}),
    ...partOf(parts, parts.format, values, ''),
    ...(cards.length ? { cards } : {}),
    ...(parts.offer_ends_at ? { offer_ends_at: new Date(values.offer ?? '').toISOString() } : {})
  }
}

/** A template of a provider that lists none: its name, its language, and its parameters in order, one a line. */
export function templateByHand(name: string, language: string, lines: string): NewTemplate {
  const body = lines.split('\n').map((line) => line.trim()).filter(Boolean)
  return { name: name.trim(), ...(language.trim() ? { language: language.trim() } : {}), ...(body.length ? { body } : {}) }
}
