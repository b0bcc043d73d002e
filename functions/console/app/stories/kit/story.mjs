/**
 * What all stories need: a browser against `cargo local`, a look by axe in light and dark, and the word of everything
 * that broke the pages' policy. With CHROMIUM; SHOTS=folder keeps pictures; LOCALE=it-IT plays another language.
 */
import assert from 'node:assert/strict'
import { createHash, createHmac, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'
import { shows } from './screens.mjs'

/** Those of the `cargo local` that is up, or of the file that ENDPOINTS names. */
const ups = process.env.ENDPOINTS ?? new URL('../../../../../.local/endpoints.json', import.meta.url)
export const endpoints = JSON.parse(readFileSync(ups, 'utf8'))
const shots = process.env.SHOTS
/** A machine that builds something else meanwhile needs more. */
const PATIENCE = Number(process.env.PATIENCE ?? 20_000)

/** Milliseconds for which a process may keep what it has read of the configuration. */
const KNOWN = 5_000
let changed = 0
/** Waits until every process knows what a story has configured; at once, where nothing is new. */
export const known = () => new Promise((resolve) => setTimeout(resolve, Math.max(0, changed + KNOWN - Date.now())))

/** An administrator's call. What an earlier story has made already may be refused. */
export async function configured(path, body) {
  const headers = { Authorization: `Bearer ${endpoints.tokens.admin}`, 'Content-Type': 'application/json' }
  const answer = await fetch(`${endpoints.admin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.ok(answer.ok || answer.status === 409 || answer.status === 422, `${path}: ${answer.status} ${await answer.text()}`)
  if (answer.ok) changed = Date.now()
}

/** An administrator's call that has to work, such as of somebody else at another screen. */
export async function administers(method, path, body, version) {
  const headers = { Authorization: `Bearer ${endpoints.tokens.admin}`, 'Content-Type': 'application/json' }
  if (version !== undefined) headers['If-Match'] = `"${version}"`
  const answer = await fetch(`${endpoints.admin}${path}`, { method, headers, body: body && JSON.stringify(body) })
  const said = await answer.text()
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${said}`)
  if (method !== 'GET') changed = Date.now()
  return said ? JSON.parse(said) : undefined
}

/** A call of an API as one of the demo's people: `ask('agents.anna', 'PUT', 'api', '/presence', {…})`. */
export async function ask(person, method, api, path, body) {
  const token = person.split('.').reduce((found, key) => found[key], endpoints.tokens)
  const base = api === 'supervisor' ? endpoints.api.replace(/agent$/, 'supervisor') : endpoints[api]
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  const answer = await fetch(`${base}${path}`, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) })
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`)
  return answer.status === 204 ? undefined : answer.json()
}

/** Closes an interaction of Anna, or of somebody else, with the first disposition that its account has. */
export async function closes(id, person = 'agents.anna') {
  const [{ accounts }, { account }] = await Promise.all([ask(person, 'GET', 'api', '/me'), ask(person, 'GET', 'api', `/interactions/${id}`)])
  const disposition = accounts.find((it) => it.id === account)?.dispositions[0] ?? 'Done'
  await ask(person, 'POST', 'api', `/interactions/${id}/close`, { disposition })
}

/** A command for the stand-in of the providers. */
async function standIn(path, body) {
  const answer = await fetch(`${endpoints.provider_stub}/_standin/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`)
}
/** Closes all conversations that other stories have left, so that nothing else rings, waits or counts. */
export async function nothingOpen() {
  const [{ accounts }, { items }] = await Promise.all([ask('supervisor', 'GET', 'api', '/me'), ask('supervisor', 'GET', 'supervisor', '/interactions?status=open&limit=100')])
  const disposition = (it) => accounts.find((account) => account.id === it.account)?.dispositions[0] ?? 'Done'
  await Promise.all(items.map((it) => ask('supervisor', 'POST', 'supervisor', `/interactions/${it.id}/close`, { disposition: disposition(it) })))
}

/** What the next request to a provider or a model meets: `{ provider: 'META', callback_error: 131026 }`. */
export const meets = (fault) => standIn('next', fault)
/** So many delivery states go out, and the others wait; without a number, all go. */
export const reports = (count) => standIn('callbacks', count === undefined ? {} : { reports: count })

/** A customer of the demo's Meta account writes, or of its Kaleyra account, where an AI agent answers. */
export async function customerWrites(customer, text, name, key = 'META1') {
  const account = { META1: 'META&account=106540352242922', KALEY: `KALEYRA&account=${endpoints.secrets.KALEY.account_sid}` }[key]
  await standIn(`messages?provider=${account}`, { from: customer, text, name })
}

/**
 * Customers write to the demo's Meta account, all in one webhook: what the stand-in's own command can't do. `from` is a
 * number, `user` a user id, one of them or both; `at` is the time of writing; `file` has a name, a type and bytes.
 */
export async function customersWrite(messages) {
  const account = endpoints.secrets.META1
  const digits = (it) => it.from?.replace('+', '')
  const content = async ({ text, file }) => {
    if (!file) return { type: 'text', text: { body: text } }
    const url = `${endpoints.provider_stub}/_standin/media?provider=META&account=${account.phone_number_id}&name=${encodeURIComponent(file.name)}`
    const { id } = await (await fetch(url, { method: 'POST', headers: { 'Content-Type': file.type }, body: file.bytes })).json()
    const [top] = file.type.split('/')
    const kind = file.type === 'image/webp' ? 'sticker' : ['image', 'audio', 'video'].includes(top) ? top : 'document'
    const sha256 = createHash('sha256').update(file.bytes).digest('base64')
    return { type: kind, [kind]: { id, mime_type: file.type, sha256, ...(kind === 'document' ? { filename: file.name } : kind === 'audio' ? { voice: true } : {}) } }
  }
  const value = {
    messaging_product: 'whatsapp',
    metadata: { display_phone_number: account.phone.replace('+', ''), phone_number_id: account.phone_number_id },
    contacts: messages.map((it) => ({ profile: { name: it.name }, wa_id: digits(it), user_id: it.user })),
    messages: await Promise.all(messages.map(async (it) => ({
      from: digits(it), from_user_id: it.user, id: `wamid.${randomUUID()}`, timestamp: String(Math.floor((it.at ?? Date.now()) / 1000)), ...(await content(it))
    })))
  }
  const body = JSON.stringify({ object: 'whatsapp_business_account', entry: [{ id: account.account_sid, changes: [{ field: 'messages', value }] }] })
  const signature = `sha256=${createHmac('sha256', account.app_secret).update(body).digest('hex')}`
  const answer = await fetch(endpoints.receive.META1, { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Hub-Signature-256': signature }, body })
  assert.ok(answer.ok, `${answer.status} ${await answer.text()}`)
}

/** Asks the engine's DynamoDB. It takes the account from the key's id and checks no signature. */
async function dynamo(operation, body) {
  const key = `000000000001/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`
  const headers = { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `DynamoDB_20120810.${operation}`, Authorization: `AWS4-HMAC-SHA256 Credential=${key}` }
  const answer = await fetch(endpoints.engine, { method: 'POST', headers, body: JSON.stringify(body) })
  const said = await answer.text()
  assert.ok(answer.ok, `${operation}: ${answer.status} ${said}`)
  return JSON.parse(said)
}

const numbered = (seq) => `EVENT#${String(seq).padStart(12, '0')}`
/** The events of an agent's feed between two numbers, as the table has them, and the table's name. */
async function eventsOf(agent, from, to) {
  const { TableNames } = await dynamo('ListTables', {})
  const TableName = TableNames.find((name) => name.includes('InteractionsTable'))
  const values = { ':feed': { S: `FEED#${agent}` }, ':from': { S: numbered(from) }, ':to': { S: numbered(to) } }
  const { Items } = await dynamo('Query', { TableName, KeyConditionExpression: 'pk = :feed AND sk BETWEEN :from AND :to', ExpressionAttributeValues: values })
  return { TableName, Items }
}

/** Takes events out of an agent's feed, as the table does after seven days. */
export async function expires(agent, from, to) {
  const { TableName, Items } = await eventsOf(agent, from, to)
  for (const { pk, sk } of Items) await dynamo('DeleteItem', { TableName, Key: { pk, sk } })
  return Items.length
}

/** Repeats events of an agent's feed at its end, in any order: they say nothing new. */
export async function repeats(agent, from, to, count) {
  const { TableName, Items } = await eventsOf(agent, from, to)
  const all = Items.filter((it) => ['message', 'message_state', 'interaction'].includes(it.data.M.type.S))
  assert.ok(all.length > 0)
  for (let at = 0; at < count; at += 1) {
    const Item = { ...all[(at * 7) % all.length], sk: { S: numbered(to + 1 + at) } }
    await dynamo('PutItem', { TableName, Item, ConditionExpression: 'attribute_not_exists(sk)' })
  }
}

/** Goes to a screen as a link does it: loading the application anew takes a second. */
export const goes = (page, path) => page.evaluate((to) => document.querySelector('#app').__vue_app__.config.globalProperties.$router.push(to), path)

/** Each window counts its tones, in `window.tones`. */
export const countsTones = (context) => context.addInitScript(() => {
  window.tones = 0
  const make = AudioContext.prototype.createOscillator
  AudioContext.prototype.createOscillator = function () { window.tones += 1; return make.call(this) }
})

/** Each window keeps its sockets, for `cutsLines`. */
export const keepsLines = (context) => context.addInitScript(() => {
  window.lines = []
  const Line = window.WebSocket
  window.WebSocket = class extends Line {
    constructor(...all) {
      super(...all)
      window.lines.push(this)
    }
  }
})
export const cutsLines = (page) => page.evaluate(() => { for (const line of window.lines) line.close() })

/** Plays a story. What `play` gets: the page, and helpers on it. */
export async function story(title, play) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--autoplay-policy=user-gesture-required'] })
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: process.env.LOCALE ?? 'en-GB', reducedMotion: 'reduce' })
  context.setDefaultTimeout(PATIENCE)
  const page = await context.newPage()
  const complaints = []
  /** What makes things again as other stories expect them, however this one ends. */
  const undoing = []
  // Without a session the first answer is 401, which browsers write down; the stand-in has no icon.
  const expected = [/session\/token/, /favicon/]
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`) })
  page.on('pageerror', (error) => complaints.push(String(error)))

  const unexpected = () => complaints.filter((text) => !expected.some((words) => words.test(text)))
  async function picture(name) {
    if (shots) await page.screenshot({ path: `${shots}/${name}.png` })
  }
  /**
   * No finding of axe in light and in dark; pictures of the usual widths. `screen` is the address that is seen to be
   * checked, such as `/desk/:id`: written out, because a test reads it.
   */
  async function accessible(name, screen) {
    if (screen) assert.ok(shows(screen, page.url().split('?')[0].slice(endpoints.console.length)), `${page.url()} is not ${screen}`)
    for (const theme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
      // There are no frames, for which it would open another page each time.
      // WCAG 2.2 wants targets of 24 px, which axe looks at when it is told to.
      const axe = new AxeBuilder({ page }).setLegacyMode().options({ rules: { 'target-size': { enabled: true } } })
      // Of all rules these look at colours; the others said the same in light.
      if (theme === 'dark') axe.withRules(['color-contrast', 'link-in-text-block'])
      const { violations } = await axe.analyze()
      const found = violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.target).join(' ')}`)
      assert.deepEqual(found, [], `${name}, ${theme}`)
      await picture(`${name}-${theme}`)
    }
    await page.emulateMedia({ colorScheme: 'light' })
    if (!shots) return
    const usual = page.viewportSize()
    for (const [width, height] of [[1024, 768], [390, 844]]) {
      await page.setViewportSize({ width, height })
      await picture(`${name}-${width}`)
    }
    await page.setViewportSize(usual)
  }
  const button = (name, options = {}) => page.getByRole('button', { name, exact: true, ...options })
  /** Logs in as one of the demo's people, from the page that is open. */
  async function logIn(person) {
    await button('Log in').click()
    await page.getByRole('button', { name: new RegExp(`^${person}`) }).click()
  }
  /** Lets one of the demo's agents be ready, with a desk that is open on another machine. */
  async function worksElsewhere(agent) {
    await ask(`agents.${agent}`, 'PUT', 'api', '/presence', { state: 'ready' })
    const elsewhere = await (await browser.newContext({ locale: 'en-GB' })).newPage()
    await elsewhere.goto(`${endpoints.console}/desk`)
    await elsewhere.getByRole('button', { name: 'Log in', exact: true }).click()
    await elsewhere.getByRole('button', { name: new RegExp(`^${agent}`) }).click()
    await elsewhere.getByRole('button', { name: 'Presence: Ready', exact: true }).waitFor()
    return elsewhere
  }
  try {
    await play({ browser, context, page, picture, accessible, button, logIn, worksElsewhere, expects: (words) => expected.push(words), after: (undo) => undoing.push(undo) })
    assert.deepEqual(unexpected(), [])
    console.log(`The story of ${title} holds.`)
  } catch (error) {
    await picture('failed')
    console.error(unexpected().join('\n'))
    throw error
  } finally {
    for (const undo of undoing.reverse()) await undo()
    await browser.close()
    // The next story meets an account as it is now, and not as a process remembers it.
    await known()
  }
}
