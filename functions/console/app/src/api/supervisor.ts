/** The operations of the supervisors' API that the console calls, one line each. */
import { supervisorOperation as op } from './client'
import type { components } from './supervisor.gen'

type Schemas = components['schemas']
export type Listed = Schemas['ListEntry']
export type Job = Schemas['JobView']
export type SearchField = Schemas['SearchField']
export type Previewed = Schemas['Previewed']

export const interactions = op('get', '/interactions')
export const search = op('post', '/search')
export const searchFields = op('get', '/search/fields')
export const exportCsv = op('post', '/exports')
export const previewDeletion = op('post', '/deletions/preview')
export const orderDeletion = op('post', '/deletions')
export const jobs = op('get', '/jobs')
export const job = op('get', '/jobs/{id}')
export const cancelJob = op('delete', '/jobs/{id}')
export const jobFile = op('get', '/jobs/{id}/file')
