/**
 * The operations of the agents' API that the console calls, one line each; supervisor.ts, admin.ts and assist.ts have those of the
 * other APIs. tests/operations.test.ts holds them against the APIs' own lists.
 */
import { agentOperation as op } from './client'
import type { components } from './agent.gen'

type Schemas = components['schemas']
export type Interaction = Schemas['InteractionView']
export type Message = Schemas['MessageView']
export type Offered = Schemas['Offered']
export type Entry = Schemas['FeedEntry']
export type Presence = Schemas['PresenceView']
export type Me = Schemas['Me']
export type Account = Schemas['MyAccount']
export type Contact = Schemas['ContactView']
export type Colleagues = Schemas['Colleagues']
export type Answer = Schemas['AnswerView']
export type Attachment = Schemas['AttachmentView']
export type AttachmentLinks = Schemas['AttachmentLinks']
export type HistoryEntry = Schemas['HistoryEntry']
export type Notifications = Schemas['Notifications']
export type Notified = Schemas['Notified']
export type FoundContact = Schemas['FoundContact']
export type Listed = Schemas['ListEntry']
export type Waiting = Schemas['Waiting']
export type NewMessage = Schemas['NewMessage']

export const me = op('get', '/me')
export const presence = op('get', '/presence')
export const setPresence = op('put', '/presence')
export const mine = op('get', '/interactions')
export const all = op('get', '/interactions/all')
export const waiting = op('get', '/interactions/waiting')
export const interaction = op('get', '/interactions/{id}')
export const ofQueues = op('get', '/queues')
export const startConversation = op('post', '/accounts/{id}/conversations')
export const search = op('post', '/search')
export const findContacts = op('get', '/contacts')
export const colleagues = op('get', '/accounts/{id}/colleagues')
export const cannedAnswers = op('get', '/accounts/{id}/canned-answers')
export const answerFile = op('get', '/accounts/{id}/canned-answers/{answer}/attachment')
export const messages = op('get', '/interactions/{id}/messages')
export const send = op('post', '/interactions/{id}/messages')
export const note = op('post', '/interactions/{id}/notes')
export const attachment = op('get', '/interactions/{id}/messages/{message}/attachments/{index}')
export const attachments = op('get', '/interactions/{id}/attachments')
export const upload = op('post', '/interactions/{id}/attachments')
export const history = op('get', '/interactions/{id}/history')
export const contact = op('get', '/interactions/{id}/contact')
export const past = op('get', '/interactions/{id}/past')
export const transcript = op('get', '/interactions/{id}/transcript')
export const makeTranscript = op('post', '/interactions/{id}/transcript')
export const accept = op('post', '/interactions/{id}/accept')
export const reject = op('post', '/interactions/{id}/reject')
export const pick = op('post', '/interactions/{id}/pick')
export const openTab = op('put', '/interactions/{id}/tab')
export const closeTab = op('delete', '/interactions/{id}/tab')
export const setLanguage = op('put', '/interactions/{id}/language')
export const switchAi = op('put', '/interactions/{id}/ai')
export const retag = op('post', '/interactions/{id}/tags')
export const transfer = op('post', '/interactions/{id}/transfer')
export const close = op('post', '/interactions/{id}/close')
export const archive = op('post', '/interactions/{id}/archive')
export const reopen = op('post', '/interactions/{id}/reopen')
export const events = op('get', '/events')
export const ticket = op('post', '/tickets')
export const notifications = op('get', '/notifications')
export const readNotifications = op('post', '/notifications/read')
export const readNotification = op('post', '/notifications/{id}/read')
