/**
 * Conversations that change hands, and sessions that end, played against `cargo local`: transfers that are taken and
 * returned, the wrap-up, archived and reopened, two conversations that turn out to be one; a forced pause; a token that
 * is renewed, a session that ends at the issuer. `node stories/handover.mjs`; see kit/story.mjs.
 *
 * Of the ten stories of the console:
 * 1 offered, both rung, accepted, the other told who · "Both are rung"
 * 1 rejected, 6 transfer returned · "Ben rejects"; 1 expired, 6 returned · "Nobody answers"
 * 6 transfer taken · "The third time"; wrap-up · "Wrap-up"; close, archive, reopen · behind it; merge · "Somebody
 *   else, it seems"
 * 7 forced pause · "A supervisor puts Anna"; token renewed · "A token"; session ended without loss · "The session
 *   ends"
 */
import assert from 'node:assert/strict'
import { administers, ask, closes, configured, countsTones, customersWrite, endpoints, known, nothingOpen, story } from './kit/story.mjs'

/** Somebody new with each run. */
const run = String(Date.now()).slice(-6)
const [customer, other, rung] = [{ from: `+39331${run}1`, name: `Hand ${run}1` }, { user: `IT.1${Date.now()}`, name: `User ${run}2` }, { from: `+39331${run}3`, name: `Ring ${run}3` }]

/** Seconds until an offer that nobody answers ends: long enough for a screen to show it. */
const UNANSWERED = 4

await story('handing over', async ({ browser, context, page, accessible, button, expects, after }) => {
  expects(/status of 401/)
  const bens = await (await browser.newContext({ locale: 'en-GB' })).newPage()
  await configured('/pauses', { name: 'After-call work' })
  await configured('/dispositions', { name: 'Sold/Online' })
  const account = (await ask('admin', 'GET', 'admin', '/accounts?limit=100')).items.find((it) => it.key === 'META1')
  const pause = (await ask('admin', 'GET', 'admin', '/pauses?limit=100')).items.find((it) => it.name === 'After-call work')
  const settings = { mandatory_disposition: true, disposition_pause: pause.id, transfer_to_agent: { timeout: UNANSWERED } }
  const { version } = await administers('PATCH', `/accounts/${account.id}`, { settings }, account.version)
  after(() => administers('PATCH', `/accounts/${account.id}`, { settings: { mandatory_disposition: false, disposition_pause: null, transfer_to_agent: { timeout: 30 } } }, version))
  const enter = async (page, person) => {
    await page.goto(`${endpoints.console}/desk`)
    await page.getByRole('button', { name: 'Log in', exact: true }).click()
    await page.getByRole('button', { name: new RegExp(`^${person}`) }).click()
    await page.getByRole('heading', { name: /^Mine/ }).waitFor()
    await ask(`agents.${person}`, 'PUT', 'api', '/presence', { state: 'ready' })
    await page.getByRole('button', { name: 'Presence: Ready', exact: true }).waitFor()
  }
  await countsTones(context)
  await nothingOpen()
  await Promise.all([enter(page, 'anna'), enter(bens, 'ben')])
  const offer = (page, name) => page.getByRole('article').filter({ hasText: name })
  const row = (page, name) => page.locator('.list').getByRole('button').filter({ hasText: name })
  const dialog = page.getByRole('dialog')

  // Both are rung. Ben accepts, and Anna is told who has it.
  await customersWrite([{ ...rung, text: 'Is anybody there?' }])
  await Promise.all([page, bens].map((it) => offer(it, rung.name).waitFor()))
  await offer(bens, rung.name).getByRole('button', { name: 'Accept' }).click()
  await page.getByText(`Ben has ${rung.name}`).waitFor()
  await offer(page, rung.name).waitFor({ state: 'detached' })
  await bens.getByRole('log').getByText('Is anybody there?').waitFor()
  await closes(bens.url().split('/').at(-1), 'agents.ben')

  await customersWrite([{ ...customer, text: 'Where is my parcel?' }])
  await offer(page, customer.name).getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  await thread.getByText('Where is my parcel?').waitFor()
  const id = page.url().split('/').at(-1)

  // Ben rejects, and it returns at once.
  await known()
  async function transfers() {
    await button('Transfer').click()
    await dialog.getByRole('option', { name: /^Ben/ }).click()
    await dialog.getByRole('button', { name: 'Transfer' }).click()
    await dialog.waitFor({ state: 'detached' })
    await offer(bens, customer.name).waitFor()
  }
  await transfers()
  await page.locator('.head .chip').getByText('Being transferred').waitFor()
  await offer(bens, customer.name).getByRole('button', { name: 'Reject' }).click()
  await page.locator('.head .chip').getByText('Being transferred').waitFor({ state: 'detached' })
  await row(page, customer.name).waitFor()
  // Nobody answers: the offer ends on Ben's screen by itself, and the conversation is Anna's again.
  await transfers()
  await offer(bens, customer.name).waitFor({ state: 'detached' })
  await page.locator('.head .chip').getByText('Being transferred').waitFor({ state: 'detached' })
  assert.equal((await ask('agents.anna', 'GET', 'api', `/interactions/${id}`)).agent, (await ask('agents.anna', 'GET', 'api', '/me')).id)
  // The third time Ben takes it.
  await transfers()
  await offer(bens, customer.name).getByRole('button', { name: 'Accept' }).click()
  await bens.getByRole('log').getByText('Where is my parcel?').waitFor()
  await row(page, customer.name).waitFor({ state: 'detached' })
  await page.getByText('With Ben').waitFor()
  await bens.close()
  await ask('agents.ben', 'POST', 'api', `/interactions/${id}/messages`, { text: 'I look into it' })
  const heard = await page.evaluate(() => window.tones)
  await ask('agents.ben', 'POST', 'api', `/interactions/${id}/transfer`, { agent: (await ask('agents.anna', 'GET', 'api', '/me')).id })
  await offer(page, customer.name).getByRole('button', { name: 'Accept' }).click()
  assert.ok((await page.evaluate(() => window.tones)) > heard, 'what comes back rings, too')
  await row(page, customer.name).waitFor()
  // All of it is there, what Ben wrote too, without a reload.
  for (const text of ['Where is my parcel?', 'I look into it']) await thread.getByText(text).waitFor()

  // Wrap-up: Anna is on the pause until the disposition is chosen.
  await page.reload()
  await button('Close …').click()
  await dialog.getByRole('button', { name: 'Choose later, on “After-call work”' }).click()
  await dialog.waitFor({ state: 'detached' })
  await button('Presence: After-call work').waitFor()
  await page.getByText(/^Wrap-up \d/).waitFor()
  await accessible('wrap-up')
  await button('Close …').click()
  await dialog.getByRole('option', { name: /Sold/ }).click()
  await dialog.getByRole('button', { name: 'Close', exact: true }).click()
  await page.getByText('Closed: Sold/Online').waitFor()
  await button('Presence: Ready').waitFor()
  await button('Archive').click()
  await page.goto(`${endpoints.console}/desk/${id}`)
  await button('Reopen').click()
  await button('Transfer').waitFor()

  // Somebody else, it seems. Then a message shows that both are one: the newer conversation becomes a part of the older,
  // and the tab follows.
  await customersWrite([{ ...other, text: 'Hello, is anybody there?' }])
  await offer(page, other.name).getByRole('button', { name: 'Accept' }).click()
  await thread.getByText('Hello, is anybody there?').waitFor()
  const newer = page.url().split('/').at(-1)
  assert.notEqual(newer, id)
  await page.getByRole('textbox').fill('One moment, please')
  await customersWrite([{ ...customer, user: other.user, text: 'It is me' }])
  await page.waitForURL(`**/desk/${id}`)
  for (const text of ['Where is my parcel?', 'Hello, is anybody there?', 'It is me']) await thread.getByText(text).waitFor()
  await page.waitForFunction(() => document.querySelector('.composer textarea')?.value === 'One moment, please')
  await row(page, other.name).waitFor({ state: 'detached' }).catch(async () => assert.equal(await page.locator('.list .row').count(), 1))

  // A supervisor puts Anna on a pause: the screen says who it was.
  const me = (await ask('agents.anna', 'GET', 'api', '/me')).id
  await ask('supervisor', 'PUT', 'supervisor', `/agents/${me}/presence`, { state: 'paused', reason: 'After-call work' })
  await button('Presence: After-call work').waitFor()
  await page.getByText(/has put you on a pause/).waitFor()
  await accessible('paused')
  await ask('supervisor', 'PUT', 'supervisor', `/agents/${me}/presence`, { state: 'logged_out' })
  await page.getByText(/logged you out/).waitFor()
  await button('Start work').click()
  await button('Presence: Ready').waitFor()

  // A token that is refused is renewed, and nobody notices.
  let [refused, renewals] = [0, 0]
  page.on('request', (request) => { if (/session\/token/.test(request.url())) renewals += 1 })
  await page.route('**/interactions/*/messages', (route) => {
    if (route.request().method() !== 'POST' || (refused += 1) > 1) return route.continue()
    return route.fulfill({ status: 401, contentType: 'application/problem+json', body: '{"type":"/problems/unauthorized","title":"Unauthorized","status":401}' })
  })
  const field = page.getByRole('textbox', { name: /^Write to/ })
  await field.press('Enter')
  const said = (text) => thread.getByRole('listitem').filter({ hasText: text })
  await said('One moment, please').getByText('read', { exact: true }).waitFor()
  assert.deepEqual([refused, renewals, await said('One moment, please').count()], [2, 1, 1])
  await page.unroute('**/interactions/*/messages')

  // The session ends at the issuer. Nothing that was written is lost.
  const session = async () => (await context.cookies()).find((it) => it.httpOnly && it.path.endsWith('/console/session'))
  const refresh = (token) => fetch(`${endpoints.provider_stub}/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'whatsapp-connector', refresh_token: token }) })
  await fetch(`${endpoints.provider_stub}/revoke`, { method: 'POST', body: new URLSearchParams({ token: (await session()).value }) })
  await page.route('**/agent/**', (route) => route.fulfill({ status: 401, contentType: 'application/problem+json', body: '{"type":"/problems/unauthorized","title":"Unauthorized","status":401}' }))
  await field.fill('Your parcel is here')
  await field.press('Enter')
  await page.getByRole('alert').getByText('Your session has ended').waitFor()
  await said('Your parcel is here').getByText('Your session has ended').waitFor()
  await field.fill('And a draft')
  await accessible('session-ended')
  await page.unroute('**/agent/**')
  // One message is not sent: leaving warns.
  const warned = page.waitForEvent('dialog').then((dialog) => [dialog.type(), dialog.accept()])
  await button('Log in').click()
  assert.equal((await warned)[0], 'beforeunload')
  await page.getByRole('button', { name: /^anna/ }).click()
  await said('Your parcel is here').getByRole('button', { name: 'Try again' }).click()
  await said('Your parcel is here').getByText('read', { exact: true }).waitFor()
  assert.equal(await said('Your parcel is here').count(), 1)
  assert.equal(await field.inputValue(), 'And a draft')
  await closes(id)

  // Logout ends the session at the issuer, too, and leaves nothing behind.
  const { value } = await session()
  await button('Menu of Anna').click()
  await page.getByRole('menuitem', { name: 'Log out' }).click()
  await button('Log in').waitFor()
  assert.equal((await refresh(value)).status, 400)
  assert.equal(await session(), undefined)
  const kept = await page.evaluate(() => new Promise((resolve) => {
    const opening = indexedDB.open('keyval-store')
    opening.onsuccess = () => {
      if (!opening.result.objectStoreNames.contains('keyval')) return resolve([])
      const all = opening.result.transaction('keyval').objectStore('keyval').getAll()
      all.onsuccess = () => resolve(all.result)
    }
  }))
  assert.deepEqual(kept, [])
})
