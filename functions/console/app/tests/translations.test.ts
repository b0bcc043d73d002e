import { beforeEach, expect, it, vi } from 'vitest'
import type { Message } from '../src/api'
import { Problem } from '../src/api/client'
import { Store } from '../src/core/store'
import { isTranslatable, makeTranslations, type TranslationPorts } from '../src/desk/translations'

const IN_ITALIAN = { text: 'Ciao!', language: 'it', from: 'pt', by: 'AWS' } as const
const message = (id: string, body: string, more: Partial<Message> = {}): Message =>
  ({ id, interaction: 'int_1', at: '2026-01-01T10:00:00Z', author: { kind: 'customer' }, content: { type: 'text', body }, version: 1, ...more }) as Message

let store: Store
let problems: Map<string, string>
const busy = new Set<string>()
const ports = { translate: vi.fn(), draft: vi.fn(), refresh: vi.fn(), say: vi.fn(), sayProblem: vi.fn() }
const made = () => makeTranslations(store, ports as unknown as TranslationPorts, { busy, problems })
beforeEach(() => {
  vi.resetAllMocks()
  busy.clear()
  problems = new Map()
  store = new Store('agt_1')
  for (const it of [message('msg_1', 'Olá!'), message('msg_2', 'ok')]) store.applyMessage(it)
})

it('shows each message’s translation, or why there is none', async () => {
  ports.translate.mockResolvedValue({ items: [{ message: 'msg_1', translation: IN_ITALIAN }, { message: 'msg_2', problem: { type: '/problems/language-unclear', title: 'x', status: 422 } }], language: 'pt' })
  await made().translate('int_1')
  expect(ports.translate).toHaveBeenCalledWith('int_1', undefined)
  expect(store.thread('int_1').map((it) => it.translation?.text)).toEqual(['Ciao!', undefined])
  expect(problems.get('msg_2')).toMatch(/not clear/)
  // The customer's language has become known.
  expect(ports.refresh).toHaveBeenCalledWith('int_1')
})

it('puts no translation under words that were edited meanwhile', async () => {
  ports.translate.mockImplementation(async () => {
    store.applyMessage(message('msg_1', 'Olá, tudo bem?', { version: 2 }))
    return { items: [{ message: 'msg_1', translation: IN_ITALIAN }] }
  })
  await made().translate('int_1', 'msg_1')
  expect(store.thread('int_1')[0]).toMatchObject({ content: { body: 'Olá, tudo bem?' } })
  expect(store.thread('int_1')[0]!.translation).toBeUndefined()
})

it('asks once for the same thing, and may be asked again after a failure', async () => {
  let fail: (error: unknown) => void = () => {}
  ports.translate.mockImplementationOnce(() => new Promise((_, reject) => (fail = reject)))
  const translations = made()
  const first = translations.translate('int_1', 'msg_1')
  await translations.translate('int_1', 'msg_1')
  expect(ports.translate).toHaveBeenCalledTimes(1)
  fail(new Problem(409, 'translation-off', 'off'))
  await first
  expect(ports.sayProblem).toHaveBeenCalledOnce()
  ports.translate.mockResolvedValue({ items: [] })
  await translations.translate('int_1', 'msg_1')
  expect(ports.translate).toHaveBeenCalledTimes(2)
})

it('gives a draft with the text that it is of, so that other words drop it', async () => {
  ports.draft.mockResolvedValue({ text: 'Chega amanhã.', original: { text: 'Arriva domani.', translated_to: 'pt' } })
  expect(await made().draft('int_1', 'Arriva domani.')).toEqual({ of: 'Arriva domani.', text: 'Chega amanhã.', to: 'pt' })
  ports.draft.mockRejectedValue(new Problem(422, 'language-unknown', 'unknown'))
  expect(await made().draft('int_1', 'Arriva domani.')).toBeUndefined()
  expect(ports.sayProblem).toHaveBeenCalledOnce()
})

it('offers a translation where the account translates and a customer has words', () => {
  const offered = (it: Message, language: string | null = 'it') => isTranslatable(it, language)
  expect(offered(message('msg_1', 'Olá!'))).toBe(true)
  expect(offered(message('msg_1', 'Olá!'), null)).toBe(false)
  expect(offered(message('msg_1', 'Olá!', { translation: IN_ITALIAN }))).toBe(false)
  expect(offered(message('msg_1', 'Olá!', { translation: IN_ITALIAN }), 'en')).toBe(true)
  expect(offered(message('msg_1', ' '))).toBe(false)
  expect(offered(message('msg_1', 'Olá!', { deleted_at: '2026-01-01T10:00:00Z' }))).toBe(false)
  expect(offered(message('msg_1', 'Ciao', { author: { kind: 'agent', agent: 'agt_1' } }))).toBe(false)
  expect(offered(message('msg_1', '', { content: { type: 'media', caption: 'A caixa' } }))).toBe(true)
})
