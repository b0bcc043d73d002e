/**
 * The desk, played in a browser against `cargo local`: Anna logs in, is offered a conversation, accepts, answers, sees
 * that it was read, adds a note and closes. Every screen is checked by axe, in light and dark, and nothing may break
 * the pages' policy. `node stories/desk.mjs`; see kit/story.mjs.
 *
 * Of the ten stories of the console:
 * 2 text, every delivery state · "Each delivery state"; failure and again · "The provider reports a failure"; note,
 *   canned, reply, file · each under its name (reaction and template are in writing.mjs)
 */
import assert from 'node:assert/strict'
import { ask, configured, customerWrites, endpoints, goes, known, meets, nothingOpen, reports, story } from './kit/story.mjs'

/** Somebody new with each run. */
const customer = `+39333${String(Date.now()).slice(-7)}`

await story('the desk', async ({ browser, page, accessible, button, logIn, after }) => {
  await configured('/dispositions', { name: 'Complaint/Delivery/Late', description: 'By a day or more' })
  await configured('/dispositions', { name: 'Sold/Online' })
  await configured('/tags', { tag: 'refund' })
  await configured('/canned-answers', { title: 'Opening hours', text: 'We are open from 9 to 18.' })
  await configured('/pauses', { name: 'Lunch' })
  await nothingOpen()
  await page.goto(`${endpoints.console}/desk`)
  // Another language is another file, which its people load.
  const italian = await browser.newPage({ locale: 'it-IT' })
  await italian.goto(`${endpoints.console}/login`)
  await italian.getByRole('button', { name: 'Accedi', exact: true }).waitFor()
  await italian.close()
  await known()
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  // The login left nothing that a script could take.
  assert.equal(await page.evaluate(() => document.cookie), '')
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))
  assert.ok(!kept.includes('ey'), kept)
  const start = button('Start work')
  if (await start.isVisible()) await start.click()
  await button('Presence: Ready').waitFor()
  await accessible('empty', '/desk')
  await page.getByRole('button', { name: /notification/i }).click()
  await accessible('notifications')
  await page.keyboard.press('Escape')

  // A window in which nothing happens asks for what waits, every ten seconds, and for nothing else. Elsewhere than on
  // the desk, and unseen, it asks for nothing.
  // All of it within the four minutes after which the feed asks through its socket what got lost.
  const elsewhere = await browser.newContext({ locale: 'en-GB' })
  await elsewhere.clock.install()
  const idle = await elsewhere.newPage()
  await idle.goto(`${endpoints.console}/desk`)
  await idle.getByRole('button', { name: 'Log in', exact: true }).click()
  await idle.getByRole('button', { name: /^anna/ }).click()
  await idle.getByRole('button', { name: 'Presence: Ready', exact: true }).waitFor()
  await idle.waitForLoadState('networkidle')
  await idle.clock.pauseAt(Date.now() + 1000)
  await idle.waitForLoadState('networkidle')
  const requests = []
  idle.on('request', (request) => { if (request.resourceType() === 'fetch') requests.push(new URL(request.url())) })
  await idle.clock.runFor(60_000)
  const { queues } = await ask('agents.anna', 'GET', 'api', '/me')
  const waits = ({ pathname }) => /\/agent\/(queues|interactions\/waiting)$/.test(pathname)
  assert.deepEqual(requests.filter((it) => !waits(it)).map(String), [])
  // However many accounts she has.
  assert.equal(requests.length, 6 * (queues.length ? 2 : 1))
  await goes(idle, '/preferences')
  requests.length = 0
  await idle.clock.runFor(60_000)
  assert.deepEqual(requests.map(String), [])
  await goes(idle, '/desk')
  await idle.clock.runFor(1000)
  await idle.evaluate(() => {
    Object.defineProperty(document, 'hidden', { get: () => true })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  requests.length = 0
  await idle.clock.runFor(60_000)
  assert.deepEqual(requests.map(String), [])
  await elsewhere.close()

  const text = `<img src=x onerror=alert(1)> Where is my parcel? ${Date.now()}`
  const name = `Zoë <b>${customer.slice(-5)}</b>`
  await customerWrites(customer, text, name)
  const offer = page.getByRole('article').filter({ hasText: name })
  await offer.waitFor()
  await accessible('offer')
  await offer.getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  await thread.getByText(text).waitFor()

  // Each delivery state is shown: the provider's reports go one after the other.
  await reports(0)
  after(() => reports())
  const answer = `It is on its way ${Date.now()}`
  const field = page.getByRole('textbox')
  await field.fill(answer)
  await field.press('Enter')
  const sent = thread.getByRole('listitem').filter({ hasText: answer })
  await sent.getByText('on its way', { exact: true }).waitFor()
  await reports(1)
  // That one is no event: the thread tells it when it is read again.
  const opened = page.url().split('/').at(-1)
  const state = async () => (await ask('agents.anna', 'GET', 'api', `/interactions/${opened}/messages?newest=true&limit=1`)).items[0].state
  while ((await state()) !== 'sent') await page.waitForTimeout(100)
  await page.reload()
  await sent.getByText('sent', { exact: true }).waitFor()
  await reports(1)
  await sent.getByText('delivered', { exact: true }).waitFor()
  await reports()
  await sent.getByText('read', { exact: true }).waitFor()
  assert.equal(await sent.count(), 1, 'shown once')

  // The provider reports a failure: its reason stands there, and the message goes out again.
  await meets({ provider: 'META', callback_error: 131026 })
  const again = `It arrives today ${Date.now()}`
  await field.fill(again)
  await field.press('Enter')
  const failed = thread.locator('.bubble.failed').filter({ hasText: again })
  await failed.getByText('Not sent: WhatsApp can’t deliver it').waitFor()
  await accessible('failed')
  await failed.getByRole('button', { name: 'Try again' }).click()
  await thread.getByRole('listitem').filter({ hasText: again }).getByText('read', { exact: true }).waitFor()

  await page.keyboard.press('Alt+KeyM')
  await field.fill('Asked for a refund twice')
  await field.press('Enter')
  await thread.getByText('only colleagues see this').waitFor()
  await page.keyboard.press('Alt+KeyM')
  // A draft outlives the page, to its last letter.
  await field.fill('Not sent yet')
  await page.reload()
  await thread.getByText(answer).waitFor()
  assert.equal(await field.inputValue(), 'Not sent yet')
  await field.fill('')
  await accessible('conversation', '/desk/:id')

  // Canned answers, by "/" and the keyboard.
  await field.fill('/opening')
  await page.getByRole('option', { name: /Opening hours/ }).first().waitFor()
  await accessible('canned')
  await field.press('Enter')
  assert.equal(await field.inputValue(), 'We are open from 9 to 18.')
  await field.fill('')

  // A reply names its message.
  const asked = thread.getByRole('listitem').filter({ hasText: text })
  await asked.hover()
  await asked.getByRole('button', { name: 'Reply' }).click()
  await field.fill('Which parcel?')
  await field.press('Enter')
  await thread.getByRole('listitem').filter({ hasText: 'Which parcel?' }).getByRole('button', { name: text }).waitFor()

  // A file that is pasted or chosen is uploaded and sent.
  await page.locator('input[type=file]').setInputFiles({ name: 'hello.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4 hello') })
  await thread.getByRole('button', { name: /hello\.pdf/ }).waitFor()
  await page.getByRole('combobox', { name: 'Add a tag' }).selectOption('refund')
  await page.getByRole('button', { name: 'Remove the tag refund' }).waitFor()

  await button('Transfer').click()
  await page.getByRole('dialog').getByRole('option', { name: /Ben/ }).waitFor()
  await accessible('transfer')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.keyboard.press('Alt+KeyW')
  await page.getByRole('dialog').getByRole('combobox').fill('delivery')
  await page.getByRole('dialog').getByText('By a day or more').first().waitFor()
  await accessible('close')
  await page.keyboard.press('Enter')
  await page.getByText('Closed: Complaint/Delivery/Late').waitFor()
  await button('Reopen').waitFor()
  await page.locator('.list').getByText(answer).waitFor({ state: 'hidden' })

  // Logout ends the session: the next visit needs a login.
  await button('Menu of Anna').click()
  await page.getByRole('menuitem', { name: 'Log out' }).click()
  await button('Log in').waitFor()
  await page.goto(`${endpoints.console}/desk`)
  await button('Log in').waitFor()
})
