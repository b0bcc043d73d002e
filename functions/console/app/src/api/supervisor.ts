/** The operations of the supervisors' API that the console calls, one line each. */
import { supervisorOperation as op } from './client'
import type { components } from './supervisor.gen'

type Schemas = components['schemas']
export type Listed = Schemas['ListEntry']
export type Job = Schemas['JobView']
export type SearchField = Schemas['SearchField']
export type Previewed = Schemas['Previewed']
export type HistoryEntry = Schemas['HistoryEntry']
export type Hold = Schemas['Hold']
export type LogEntry = Schemas['LogEntry']
export type Oversight = Schemas['Oversight']
export type SavedSearch = Schemas['SavedSearch']
export type Retention = Schemas['Retention']
export type All = Schemas['MatchingSelection']
export type AgentNow = Schemas['AgentNow']

export const interactions = op('get', '/interactions')
export const search = op('post', '/search')
export const searchFields = op('get', '/search/fields')
export const exportCsv = op('post', '/exports')
export const previewDeletion = op('post', '/deletions/preview')
export const orderDeletion = op('post', '/deletions')
export const importUpload = op('post', '/imports/uploads')
export const importContacts = op('post', '/imports')
export const jobs = op('get', '/jobs')
export const job = op('get', '/jobs/{id}')
export const cancelJob = op('delete', '/jobs/{id}')
export const jobFile = op('get', '/jobs/{id}/file')
export const interaction = op('get', '/interactions/{id}')
export const deleteInteraction = op('delete', '/interactions/{id}')
export const watch = op('put', '/interactions/{id}/watch')
export const unwatch = op('delete', '/interactions/{id}/watch')
export const history = op('get', '/interactions/{id}/history')
export const reassign = op('post', '/interactions/{id}/reassign')
export const reopen = op('post', '/interactions/{id}/reopen')
export const transcript = op('get', '/interactions/{id}/transcript')
export const makeTranscript = op('post', '/interactions/{id}/transcript')
export const log = op('get', '/interactions/{id}/log')
export const logs = op('get', '/logs')
export const hold = op('get', '/interactions/{id}/hold')
export const putHold = op('put', '/interactions/{id}/hold')
export const endHold = op('delete', '/interactions/{id}/hold')
export const contactHold = op('get', '/contacts/{id}/hold')
export const putContactHold = op('put', '/contacts/{id}/hold')
export const endContactHold = op('delete', '/contacts/{id}/hold')
export const oversight = op('get', '/oversight')
export const setPresence = op('put', '/agents/{id}/presence')
export const previewMatching = op('post', '/deletions/preview/matching')
export const searches = op('get', '/searches')
export const saveSearch = op('put', '/searches/{name}')
export const deleteSearch = op('delete', '/searches/{name}')
export const erase = op('post', '/contacts/{id}/erase')
export const retention = op('get', '/retention')
export const putRetention = op('put', '/retention')
export const previewRetention = op('post', '/retention/preview')
