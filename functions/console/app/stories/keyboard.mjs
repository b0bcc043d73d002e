/**
 * A day at the desk without a mouse, played against `cargo local`: the palette, the keys, F6 between the parts of the
 * screen. `node stories/keyboard.mjs`; see kit/story.mjs.
 *
 * Of the ten stories of the console, the part of 10 that plays 1 to 3 by keyboard:
 * 1 sound unlocked · "The first key"; rejected, accepted · "One is rejected"
 * 2 text, reply, reaction, canned, file, template, note · each under its name; failure and again · "One fails"
 * 3 window expires while typing, draft kept, recontact sent · "The other customer's 24 hours"
 */
import assert from 'node:assert/strict'
import { administers, ask, configured, customerWrites, customersWrite, endpoints, known, meets, nothingOpen, story } from './kit/story.mjs'

/** Somebody new with each run. */
const run = String(Date.now()).slice(-6)
const [customer, late, rejected] = ['1', '2', '3'].map((n) => ({ from: `+39337${run}${n}`, name: `Ada ${run}${n}` }))
const { from, name } = customer
/** Long enough to accept and to begin a sentence, and over before the rest is played. */
const WINDOW_LEFT = 20_000

await story('the keyboard', async ({ page, accessible, button, logIn, expects, after }) => {
  // An agent's own message makes a new version, on which the closing is repeated.
  expects(/status of 409.*close/)
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve())
  const type = (text) => page.keyboard.type(text)
  // From the beginning: a browser that is asked for it together with the key shows its own window now and then.
  const chooser = new Promise((resolve) => page.once('filechooser', resolve))
  const dialog = page.getByRole('dialog')
  /** Goes on until this has the focus, as people do who have no mouse. */
  async function goTo(name, key = 'Tab') {
    for (let steps = 0; steps < 80; steps += 1) {
      await press(key)
      const named = () => {
        const it = document.activeElement
        return (it?.getAttribute('aria-label') ?? it?.textContent ?? '').trim()
      }
      if ((await page.evaluate(named)).startsWith(name)) return
    }
    assert.fail(`${name} is not reached by ${key}`)
  }

  await configured('/pauses', { name: 'Lunch' })
  await configured('/dispositions', { name: 'Sold/Online' })
  await configured('/canned-answers', { title: 'Opening hours', text: 'We are open from 9 to 18.' })
  const account = (await ask('admin', 'GET', 'admin', '/accounts?limit=100')).items.find((it) => it.key === 'META1')
  const { version } = await administers('PATCH', `/accounts/${account.id}`, { settings: { recontact: { name: 'recontact_1', language: 'it', parameters: ['there'] } } }, account.version)
  after(() => administers('PATCH', `/accounts/${account.id}`, { settings: { recontact: null } }, version))
  await known()
  await nothingOpen()
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  await button('Presence: Ready').waitFor()

  // The first key unlocks the sound.
  await page.reload()
  await page.getByText('Sound is off').waitFor()
  await press('Control+KeyK')
  await page.getByText('Sound is off').waitFor({ state: 'detached' })
  await accessible('palette')
  await type('pause')
  await press('Enter')
  await page.getByRole('button', { name: /^Presence: (?!Ready)/ }).waitFor()
  await press('Control+KeyK')
  await type('ready')
  await press('Enter')
  await button('Presence: Ready').waitFor()

  // One is rejected, one accepted.
  const offer = (it) => page.getByRole('article').filter({ hasText: it.name })
  await customersWrite([{ ...rejected, text: 'Hello?' }])
  await offer(rejected).waitFor()
  await press('Alt+KeyX')
  await offer(rejected).waitFor({ state: 'detached' })
  await nothingOpen()
  await customersWrite([{ ...late, text: 'Are you there?', at: Date.now() - 24 * 3_600_000 + WINDOW_LEFT }])
  await offer(late).waitFor()
  await press('Alt+KeyA')
  const thread = page.getByRole('log')
  await thread.getByText('Are you there?').waitFor()
  const field = page.getByRole('textbox', { name: /^Write to/ })
  await field.waitFor()
  const isIn = (place) => page.waitForFunction((place) => document.querySelector(place)?.contains(document.activeElement), place)
  await isIn('.composer')
  await type('Yes, and your')

  await customerWrites(from, 'Where is my parcel?', name)
  await offer(customer).waitFor()
  await press('Control+KeyK')
  await type(`accept ${name}`)
  await press('Enter')
  await thread.getByText('Where is my parcel?').waitFor()
  await isIn('.composer')
  const said = (text) => thread.getByRole('listitem').filter({ hasText: text })
  const isRead = (text) => said(text).getByText('read', { exact: true }).waitFor()
  await type('It is on its way')
  await press('Enter')
  await isRead('It is on its way')

  // F6 goes around, Shift+F6 back.
  for (const place of ['.side', 'header.top', '.list', '.composer']) {
    await press('F6')
    await isIn(place)
  }
  await press('Shift+F6')
  await isIn('.list')
  await press('F6')

  await press('Control+Slash')
  await dialog.getByText('Next part of the screen').waitFor()
  await accessible('keys')
  await press('Escape')
  await dialog.waitFor({ state: 'detached' })
  await isIn('.composer')

  // A reaction, and a reply.
  await goTo('React', 'Shift+Tab')
  await press('Enter')
  await goTo('React with 🙏', 'Shift+Tab')
  await press('Enter')
  await thread.getByRole('button', { name: 'Take back 🙏' }).waitFor()
  // The button that was pressed is gone; the keyboard goes on beside it.
  await goTo('Reply')
  await press('Enter')
  await isIn('.composer')
  await type('Which parcel?')
  await press('Enter')
  await said('Which parcel?').getByRole('button', { name: 'Where is my parcel?' }).waitFor()

  // A canned answer, a note, a file.
  await press('Alt+KeyC')
  await type('opening')
  await page.getByRole('option', { name: /Opening hours/ }).first().waitFor()
  await press('Enter', 'Enter')
  await isRead('We are open from 9 to 18.')
  await press('Alt+KeyM')
  await type('Asked twice')
  await press('Enter')
  await said('Asked twice').getByText('only colleagues see this').waitFor()
  await press('Alt+KeyM')
  await goTo('Attach')
  await press('Enter')
  const opened = await Promise.race([chooser, page.waitForTimeout(20_000)])
  assert.ok(opened, 'no window for files opens')
  await opened.setFiles({ name: 'hello.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4 hello') })
  await thread.getByRole('button', { name: /hello\.pdf/ }).waitFor()
  await press('Escape')
  await isIn('.composer')

  await press('Alt+KeyL')
  await dialog.getByRole('option', { name: /recontact_1/ }).waitFor()
  await type('recon')
  await press('Enter')
  await type('Ada')
  await press('Enter')
  await dialog.waitFor({ state: 'detached' })
  await isRead('Template recontact_1: Ada')
  await press('Alt+KeyP')
  await page.getByRole('menu').waitFor()
  await press('Escape')

  // One fails, and is sent again.
  await press('Escape')
  await isIn('.composer')
  await type('This one fails')
  await meets({ provider: 'META', callback_error: 131026 })
  await press('Enter')
  await thread.locator('.bubble.failed').filter({ hasText: 'This one fails' }).waitFor()
  await goTo('Try again', 'Shift+Tab')
  await press('Enter')
  await isRead('This one fails')

  // The other customer's 24 hours have ended meanwhile. What was written stays, and the recontact template is sent.
  await press('Alt+KeyJ')
  await thread.getByText('Are you there?').waitFor()
  await page.locator('.head').getByText('Free replies have ended').waitFor()
  await isIn('.composer')
  await press('End')
  await type(' parcel too')
  await press('Enter')
  assert.equal(await field.inputValue(), 'Yes, and your parcel too')
  await goTo('Send the recontact template', 'Shift+Tab')
  await press('Enter')
  await isRead('recontact_1')
  assert.equal(await field.inputValue(), 'Yes, and your parcel too', 'the draft stays')

  for (let left = 2; left > 0; left -= 1) {
    await press('Control+KeyK')
    await type('close')
    await press('Enter')
    await dialog.getByRole('heading', { name: /^Close/ }).waitFor()
    await press('ArrowDown', 'Enter')
    await page.getByText(/^Closed/).first().waitFor()
    assert.ok(await button('Reopen').isVisible())
    if (left > 1) await press('Alt+KeyJ')
  }

  // Whoever is not among the open conversations is looked for from the palette.
  await press('Control+KeyK')
  await type(name)
  await press('Enter')
  await dialog.getByRole('button', { name: `Open ${name}` }).waitFor()
  await press('Escape')
})
