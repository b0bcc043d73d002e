import { readFileSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'

const SHARED = 'the desk’s screens, which Supervise shows too, call that of the agents’ API'
/** Operations that the console does not call, and why. */
const LEFT_OUT: Record<string, Record<string, string>> = {
  agent: {
    'get /agents/{id}/presence': 'for supervisors',
    'put /agents/{id}/presence': 'for supervisors',
    'get /accounts/{id}/interactions': 'those who wait on all accounts come in one call',
    'post /interactions/{id}/reassign': 'Supervise calls that of the supervisors’ API',
    'get /search/fields': 'agents search by name and number, without choosing fields'
  },
  supervisor: {
    'get /agents/{id}/presence': 'the picture of oversight has all presences',
    'get /interactions/{id}/messages': SHARED,
    'get /interactions/{id}/messages/{message}/attachments/{index}': SHARED,
    'get /interactions/{id}/attachments': SHARED,
    'post /interactions/{id}/notes': SHARED,
    'post /interactions/{id}/tags': SHARED,
    'post /interactions/{id}/close': SHARED,
    'post /interactions/{id}/archive': SHARED,
    'put /interactions/{id}/ai': SHARED,
    'put /interactions/{id}/language': SHARED
  },
  admin: {
    // A form sends what a person has changed, and nothing else.
    ...Object.fromEntries(['accounts', 'agents', 'ai-agents', 'canned-answers', 'contact-fields', 'contacts', 'dispositions', 'intervals', 'lists', 'pauses', 'queues', 'tags', 'triggers']
      .map((kind) => [`put /${kind}/{id}`, 'forms send merge patches'])),
    'post /templates/dry-run': 'faults are found while one types, without a request for each pause, and *Try it* of a plan shows the texts',
    'get /accounts/{id}/webhook': 'the account itself has the Receive URL, and the console has the steps in the person’s language',
    'put /accounts/{id}/whitelist/{list}': 'the section saves all lists at once, with their reply',
    'delete /accounts/{id}/whitelist/{list}': 'the section saves all lists at once, with their reply'
  }
}
/** The operations of each API are in a file of `src/api`. */
const FILES: Record<string, string> = { agent: 'index.ts', supervisor: 'supervisor.ts', assist: 'assist.ts', admin: 'admin.ts' }

const app = new URL('../', import.meta.url)
const read = (file: string) => readFileSync(new URL(file, app), 'utf8')
const sources = readdirSync(new URL('src', app), { recursive: true, encoding: 'utf8' })
const screens = sources.filter((file) => /\.(vue|ts)$/.test(file) && !file.startsWith('api/')).map((file) => read(`src/${file}`)).join('\n')

it.each(Object.keys(FILES))('calls every operation of the API %s, but for those that are left out on purpose', (api) => {
  const description = JSON.parse(read(`../../../docs/openapi/${api}.json`))
  const all = Object.entries<object>(description.paths).flatMap(([path, item]) =>
    Object.keys(item).filter((method) => ['get', 'post', 'put', 'patch', 'delete'].includes(method)).map((method) => `${method} ${path}`))
  const source = read(`src/api/${FILES[api]}`)
  const called = [...source.matchAll(/op\('(\w+)', '([^']+)'\)/g)].map(([, method, path]) => `${method} ${path}`)
  expect([...called, ...Object.keys(LEFT_OUT[api] ?? {})].sort()).toEqual(all.sort())
  // Each is used, too: a line alone reaches nothing.
  const names = [...source.matchAll(/export const (\w+) = op/g)].map(([, name]) => name!)
  expect(names.filter((name) => !new RegExp(`(api|admin|assist)\\.${name}\\b`).test(screens))).toEqual([])
})
