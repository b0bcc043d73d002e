/**
 * A day at the desk without a mouse, played against `cargo local`: the palette, the keys, F6 between the parts of the
 * screen. `node stories/keyboard.mjs`; see kit/story.mjs.
 */
import assert from 'node:assert/strict'
import { ask, customerWrites, endpoints, story } from './kit/story.mjs'

/** Somebody new with each run. */
const customer = `+39337${String(Date.now()).slice(-7)}`
const name = `Ada ${customer.slice(-5)}`

await story('the keyboard', async ({ page, accessible, button, logIn, expects }) => {
  // An agent's own message makes a new version, on which the closing is repeated.
  expects(/status of 409.*close/)
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve())
  const type = (text) => page.keyboard.type(text)
  const dialog = page.getByRole('dialog')
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  await button('Presence: Ready').waitFor()
  await press('Control+KeyK')
  await accessible('palette')
  await type('pause')
  await press('Enter')
  await page.getByRole('button', { name: /^Presence: (?!Ready)/ }).waitFor()
  await press('Control+KeyK')
  await type('ready')
  await press('Enter')
  await button('Presence: Ready').waitFor()

  await customerWrites(customer, 'Where is my parcel?', name)
  await page.getByRole('article').filter({ hasText: name }).waitFor()
  await press('Control+KeyK')
  await type(`accept ${name}`)
  await press('Enter')
  const thread = page.getByRole('log')
  await thread.getByText('Where is my parcel?').waitFor()
  const field = page.getByRole('textbox', { name: /^Write to/ })
  await field.waitFor()
  const isIn = (place) => page.waitForFunction((place) => document.querySelector(place)?.contains(document.activeElement), place)
  await isIn('.composer')
  await type('It is on its way')
  await press('Enter')
  await thread.getByRole('listitem').filter({ hasText: 'It is on its way' }).getByText('read', { exact: true }).waitFor()

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

  await press('Alt+KeyL')
  await dialog.getByRole('option', { name: /recontact_1/ }).waitFor()
  await type('recon')
  await press('Enter')
  await type('Ada')
  await press('Enter')
  await dialog.waitFor({ state: 'detached' })
  await thread.getByRole('listitem').filter({ hasText: 'Template recontact_1: Ada' }).getByText('read', { exact: true }).waitFor()
  await press('Alt+KeyP')
  await page.getByRole('menu').waitFor()
  await press('Escape')

  await press('Control+KeyK')
  await type('close')
  await press('Enter')
  await dialog.getByRole('heading', { name: /^Close/ }).waitFor()
  await press('ArrowDown', 'Enter')
  await page.getByText(/^Closed/).first().waitFor()
  assert.ok(await button('Reopen').isVisible())

  // Whoever is not among the open conversations is looked for from the palette.
  await press('Control+KeyK')
  await type(name)
  await press('Enter')
  await dialog.getByRole('button', { name: `Open ${name}` }).waitFor()
  await press('Escape')
})
