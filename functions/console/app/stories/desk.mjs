/**
 * The desk, played in a browser against `cargo local`: Anna logs in, is offered a conversation, accepts, answers, sees
 * that it was read, adds a note and closes. Every screen is checked by axe, in light and dark, and nothing may break
 * the pages' policy. `node stories/desk.mjs`, with CHROMIUM; SHOTS=folder keeps pictures.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'

const endpoints = JSON.parse(readFileSync(new URL('../../../../.local/endpoints.json', import.meta.url), 'utf8'))
const shots = process.env.SHOTS
const PATIENCE = 20_000

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--autoplay-policy=user-gesture-required'] })
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: process.env.LOCALE ?? 'en-GB', reducedMotion: 'reduce' })
context.setDefaultTimeout(PATIENCE)
const page = await context.newPage()
const complaints = []
page.on('console', (message) => { if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`) })
page.on('pageerror', (error) => complaints.push(String(error)))

async function picture(name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` })
}

/** No finding of axe in light and in dark. */
async function accessible(name) {
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    const { violations } = await new AxeBuilder({ page }).analyze()
    const found = violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.target).join(' ')}`)
    assert.deepEqual(found, [], `${name}, ${theme}`)
    await picture(`${name}-${theme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
}

/** The provider's answer to a customer's message of the demo's Meta account. */
async function customerWrites(text, name) {
  const account = '106540352242922'
  const url = `${endpoints.provider_stub}/_standin/messages?provider=META&account=${account}`
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ from: customer, text, name }) })
  assert.ok(answer.ok, `${answer.status} ${await answer.text()}`)
}
/** Somebody new with each run. */
const customer = `+39333${String(Date.now()).slice(-7)}`
const button = (name, options = {}) => page.getByRole('button', { name, exact: true, ...options })

/** What an administrator has configured, unless an earlier story did. */
async function configured(path, body) {
  const headers = { Authorization: `Bearer ${endpoints.tokens.admin}`, 'Content-Type': 'application/json' }
  const answer = await fetch(`${endpoints.admin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.ok(answer.ok || answer.status === 409 || answer.status === 422, `${path}: ${answer.status} ${await answer.text()}`)
}

try {
  await configured('/dispositions', { name: 'Complaint/Delivery/Late' })
  await configured('/dispositions', { name: 'Sold/Online' })
  await configured('/tags', { tag: 'refund' })
  await configured('/canned-answers', { title: 'Opening hours', text: 'We are open from 9 to 18.' })
  await configured('/pauses', { name: 'Lunch' })
  await page.goto(`${endpoints.console}/desk`)
  await accessible('login')
  // Another language is another file, which its people load.
  const italian = await browser.newPage({ locale: 'it-IT' })
  await italian.goto(`${endpoints.console}/login`)
  await italian.getByRole('button', { name: 'Accedi', exact: true }).waitFor()
  await italian.close()
  await button('Log in').click()
  await page.getByRole('button', { name: /^anna/ }).click()
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  // The login left nothing that a script could take.
  assert.equal(await page.evaluate(() => document.cookie), '')
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))
  assert.ok(!kept.includes('ey'), kept)
  const start = button('Start work')
  if (await start.isVisible()) await start.click()
  await button('Presence: Ready').waitFor()
  await accessible('empty')

  const text = `<img src=x onerror=alert(1)> Where is my parcel? ${Date.now()}`
  await customerWrites(text, 'Zoë <b>Rossi</b>')
  const offer = page.getByRole('article').first()
  await offer.waitFor()
  await accessible('offer')
  await offer.getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  await thread.getByText(text).waitFor()

  const answer = `It is on its way ${Date.now()}`
  const field = page.getByRole('textbox')
  await field.fill(answer)
  await field.press('Enter')
  const sent = thread.getByRole('listitem').filter({ hasText: answer })
  await sent.getByText('read', { exact: true }).waitFor()
  assert.equal(await sent.count(), 1, 'shown once')

  await page.keyboard.press('Alt+KeyM')
  await field.fill('Asked for a refund twice')
  await field.press('Enter')
  await thread.getByText('only colleagues see this').waitFor()
  await page.keyboard.press('Alt+KeyM')
  // A draft outlives the page.
  await field.fill('Not sent yet')
  await page.waitForTimeout(500)
  await page.reload()
  await thread.getByText(answer).waitFor()
  assert.equal(await field.inputValue(), 'Not sent yet')
  await field.fill('')
  await accessible('conversation')
  if (shots) {
    for (const [width, height] of [[1024, 768], [390, 844]]) {
      await page.setViewportSize({ width, height })
      await picture(`conversation-${width}`)
    }
    await page.setViewportSize({ width: 1440, height: 900 })
  }

  // Canned answers, by "/" and the keyboard.
  await field.fill('/opening')
  await page.getByRole('option', { name: /Opening hours/ }).waitFor()
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
  await page.getByRole('dialog').getByRole('combobox').fill('late')
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
  // Without a session the first answer is 401, which browsers write down; the stand-in has no icon.
  assert.deepEqual(complaints.filter((text) => !/session\/token|favicon/.test(text)), [])
  console.log('The story of the desk holds.')
} catch (error) {
  await picture('failed')
  console.error(complaints.join('\n'))
  throw error
} finally {
  await browser.close()
}
