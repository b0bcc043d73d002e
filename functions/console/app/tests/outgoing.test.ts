import { describe, expect, it } from 'vitest'
import { LONGEST_CAPTION, messagesOf } from '../src/core/outgoing'

const answer = { id: 'can_1', name: 'prices.pdf', silent: false }

describe('what an agent has written', () => {
  it('is one message, with what it answers and what the agent wrote before it was translated', () => {
    expect(messagesOf('Hello', undefined, undefined, 'msg_1')).toEqual([{ text: 'Hello', reply_to: 'msg_1' }])
    expect(messagesOf('Hello', { text: ' Olá ', to: 'pt' })).toEqual([{ text: 'Olá', original: { text: 'Hello', translated_to: 'pt' } }])
  })

  it('is the caption of a canned answer’s file, also when nothing is left of the text', () => {
    expect(messagesOf('Our prices', undefined, answer, 'msg_1')).toEqual([{ canned_answer: 'can_1', caption: 'Our prices', reply_to: 'msg_1' }])
    expect(messagesOf('', undefined, answer)).toEqual([{ canned_answer: 'can_1', caption: '' }])
    expect(messagesOf('Prices', { text: 'Preços', to: 'pt' }, answer)).toEqual([{ canned_answer: 'can_1', caption: 'Preços', original: { text: 'Prices', translated_to: 'pt' } }])
  })

  it('follows the file where it is no caption: with a sound, or if it is too long', () => {
    const [file, text] = messagesOf('Listen', undefined, { ...answer, silent: true }, 'msg_1')
    expect([file, text]).toEqual([{ canned_answer: 'can_1', caption: '', reply_to: 'msg_1' }, { text: 'Listen' }])
    // Characters count as WhatsApp counts them.
    expect(messagesOf('😀'.repeat(LONGEST_CAPTION), undefined, answer)).toHaveLength(1)
    expect(messagesOf('x'.repeat(LONGEST_CAPTION + 1), undefined, answer)).toHaveLength(2)
    expect(messagesOf('', undefined, { ...answer, silent: true })).toHaveLength(1)
  })
})
