import { describe, expect, it } from 'vitest'
import type { Message } from '../src/api'
import type { Template } from '../src/api/admin'
import { phoneOf } from '../src/desk/find'
import { isFilled, isRefused, preview, slots, templateByHand, templateOf, type Values } from '../src/desk/templates'
import { gist, ourReactions, standsAtItsMessage } from '../src/desk/words'

const template = (parts: Partial<Template['parts']>, more: Partial<Template> = {}): Template =>
  ({ name: 'order', title: 'Order', language: 'it', status: 'approved', body: parts.text ?? '', parts: { format: 'positional', ...parts }, ...more }) as Template

describe('a template', () => {
  it('asks for each of its parts, and for nothing that it leaves out', () => {
    const found = slots(template({
      header: { type: 'image' }, parameters: ['1', '2'], offer_ends_at: true,
      buttons: [{ index: 0, type: 'url', required: true, text: 'Track' }, { index: 1, type: 'quick_reply', text: 'Stop' }, { index: 2, text: 'Call' }],
      cards: [{ header: { type: 'text', text: 'Hi' }, parameters: ['1'] }, { header: { type: 'video' } }]
    }))
    expect(found.map((slot) => slot.place)).toEqual(['header.url', 'body.0', 'body.1', 'button.0', 'card.0.body.0', 'card.1.header.url', 'offer'])
  })

  it('becomes the message that the API wants, in each format of parameters', () => {
    const values: Values = { 'body.0': ' Zoë ', 'body.1': '4711' }
    const body = (format: Template['parts']['format'], parameters: string[]) => templateOf(template({ format, parameters }), values).body
    expect(body('positional', ['1', '2'])).toEqual(['Zoë', '4711'])
    expect(body('named', ['first_name', 'number'])).toEqual([{ name: 'first_name', text: 'Zoë' }, { name: 'number', text: '4711' }])
    expect(body('variables', ['1', '2'])).toEqual(['Zoë', '4711'])
    expect(body('variables', ['1', 'total'])).toEqual([{ name: '1', text: 'Zoë' }, { name: 'total', text: '4711' }])
    expect(templateOf(template({}, { language: '' }), {})).toEqual({ name: 'order' })
  })

  it('carries headers, buttons and cards', () => {
    const made = templateOf(template({
      format: 'named', header: { type: 'text', text: 'Hi {{first_name}}', parameters: ['first_name'] },
      buttons: [{ index: 1, type: 'url', required: true, url: 'https://shop.example.com/{{1}}' }],
      cards: [{ header: { type: 'image' } }, { header: { type: 'location' } }]
    }), { 'header.text': 'Zoë', 'button.1': 'orders/42', 'card.0.header.attachment': 'upl_1', 'card.1.header.latitude': '45.4', 'card.1.header.longitude': '9.2' })
    expect(made).toEqual({
      name: 'order', language: 'it', header: { type: 'text', text: 'Zoë', name: 'first_name' }, buttons: [{ index: 1, type: 'url', value: 'orders/42' }],
      cards: [{ header: { type: 'image', attachment: 'upl_1' } }, { header: { type: 'location', latitude: 45.4, longitude: 9.2 } }]
    })
  })

  it('shows what the customer will read, with placeholders for what is missing', () => {
    const it = template({ text: 'Hello {{1}}, {{ 2 }} arrives {{3}}.', parameters: ['1', '2'], footer: 'The shop', buttons: [{ index: 0, text: 'Track' }] })
    expect(preview(it, { 'body.0': 'Zoë' })).toEqual({ header: undefined, body: 'Hello Zoë, {{ 2 }} arrives {{3}}.', footer: 'The shop', buttons: ['Track'] })
  })

  it('is whole with an uploaded file in place of an address, and refuses what providers refuse', () => {
    const [slot] = slots(template({ header: { type: 'image' } }))
    expect([isFilled(slot!, {}), isFilled(slot!, { 'header.url': ' ' }), isFilled(slot!, { 'header.attachment': 'upl_1' })]).toEqual([false, false, true])
    expect(['a    b', 'a     b', 'a\nb', 'a\tb', undefined].map(isRefused)).toEqual([false, true, true, true, false])
  })

  it('is typed by hand where the provider lists none', () => {
    expect(templateByHand(' hello ', '', ' Zoë \n\n4711')).toEqual({ name: 'hello', body: ['Zoë', '4711'] })
  })
})

const message = (id: string, content: object, more: object = {}) => ({ id, content, author: { kind: 'agent', agent: 'agt_1' }, ...more }) as unknown as Message
const reaction = (id: string, emoji: string, more: object = {}) => message(id, { type: 'reaction', emoji, message: 'wamid.1' }, { reply_to: 'msg_1', ...more })

it('shows our latest reaction at its message, and none that was taken back', () => {
  expect(ourReactions([reaction('msg_2', '👍'), reaction('msg_3', '🙏')])).toEqual(new Map([['msg_1', '🙏']]))
  expect(ourReactions([reaction('msg_2', '👍'), reaction('msg_3', '')]).size).toBe(0)
})

it('loses no reaction: one that did not arrive, or is about an unknown message, is a line of the thread', () => {
  expect(standsAtItsMessage(reaction('msg_2', '👍'))).toBe(true)
  expect(standsAtItsMessage(reaction('msg_2', '👍', { state: 'failed' }))).toBe(false)
  expect(standsAtItsMessage(reaction('msg_2', '👍', { author: { kind: 'customer' }, reply_to: undefined }))).toBe(false)
  expect(ourReactions([reaction('msg_2', '👍', { state: 'failed' })]).size).toBe(0)
})

it('tells of a sent template by its name and parameters', () => {
  const body = ['Zoë', { name: 'total', currency: { code: 'EUR', amount_1000: 1, fallback: '12,34 €' } }, { date_time: { fallback: '31 gennaio' } }]
  expect(gist(message('msg_1', { type: 'template', name: 'order', body }))).toBe('Template order: Zoë · 12,34 € · 31 gennaio')
  expect(gist(message('msg_1', { type: 'template', name: 'order' }))).toBe('Template order')
})

it('reads phone numbers as people type them', () => {
  expect(['+39 333 123-4567', 'whatsapp:+393331234567', '0039 (333) 1234567'].map(phoneOf)).toEqual(Array(3).fill('+393331234567'))
  expect(['333 1234567', '+12345', 'Zoë', '', `+${'1'.repeat(16)}`].map(phoneOf)).toEqual(Array(5).fill(undefined))
})
