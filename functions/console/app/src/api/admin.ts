/** The operations of the administrators' API that the console calls, one line each. */
import { adminOperation as op } from './client'
import type { components } from './admin.gen'

type Schemas = components['schemas']
export type Agent = Schemas['Agent']
export type Queue = Schemas['Queue']

export const agents = op('get', '/agents')
export const queues = op('get', '/queues')
