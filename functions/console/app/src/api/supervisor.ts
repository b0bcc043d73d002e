/** The operations of the supervisors' API that the console calls, one line each. */
import { supervisorOperation as op } from './client'
import type { components } from './supervisor.gen'

type Schemas = components['schemas']
export type Listed = Schemas['ListEntry']

export const interactions = op('get', '/interactions')
