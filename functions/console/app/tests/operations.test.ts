import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

/** Operations that the desk does not call, and why. */
const LEFT_OUT: Record<string, string> = {
  'post /accounts/{id}/conversations': 'starting a conversation has no screen yet',
  'get /agents/{id}/presence': 'for supervisors',
  'put /agents/{id}/presence': 'for supervisors',
  'put /interactions/{id}/ai': 'there is no AI agent yet',
  'post /interactions/{id}/reassign': 'for supervisors',
  'get /interactions/all': 'lists and searches have no screen yet',
  'post /search': 'lists and searches have no screen yet',
  'get /search/fields': 'lists and searches have no screen yet',
  'get /interactions/{id}/transcript': 'transcripts have no screen yet',
  'post /interactions/{id}/transcript': 'transcripts have no screen yet'
}

it('calls every operation of the agents’ API, but for those that are left out on purpose', () => {
  const description = JSON.parse(readFileSync(new URL('../../../../docs/openapi/agent.json', import.meta.url), 'utf8'))
  const all = Object.entries<object>(description.paths).flatMap(([path, item]) =>
    Object.keys(item).filter((method) => ['get', 'post', 'put', 'patch', 'delete'].includes(method)).map((method) => `${method} ${path}`))
  const source = readFileSync(new URL('../src/api/index.ts', import.meta.url), 'utf8')
  const called = [...source.matchAll(/op\('(\w+)', '([^']+)'\)/g)].map(([, method, path]) => `${method} ${path}`)
  expect([...called, ...Object.keys(LEFT_OUT)].sort()).toEqual(all.sort())
  // Each is used, too: a line alone reaches nothing.
  const screens = ['desk/desk.ts', 'desk/Attached.vue', 'desk/CloseDialog.vue', 'desk/Composer.vue', 'desk/ContactPanel.vue', 'desk/Conversation.vue', 'desk/TransferDialog.vue', 'App.vue']
    .map((file) => readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8')).join('\n')
  const names = [...source.matchAll(/export const (\w+) = op/g)].map(([, name]) => name!)
  expect(names.filter((name) => !new RegExp(`api\\.${name}\\b`).test(screens))).toEqual([])
})
