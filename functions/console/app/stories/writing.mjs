/**
 * What agents write beside texts, played against `cargo local`: reactions, approved templates with a preview, the first
 * message to a customer who is found by name or number; and a transcript. `node stories/writing.mjs`; see kit/story.mjs.
 *
 * Of the ten stories of the console: 2 reaction · "A reaction"; template · "An approved template"
 */
import assert from 'node:assert/strict'
import { administers, ask, closes, customerWrites, endpoints, story } from './kit/story.mjs'

/** Somebody new with each run. */
const customer = `+39335${String(Date.now()).slice(-7)}`
const name = `Chloé ${customer.slice(-5)}`
const stranger = `+39336${String(Date.now()).slice(-7)}`

await story('writing', async ({ page, accessible, button, logIn, expects }) => {
  const opened = () => page.url().split('/').at(-1)
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  await button('Presence: Ready').waitFor()
  await customerWrites(customer, 'Where is my parcel?', name)
  await page.getByRole('article').filter({ hasText: name }).getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  const asked = thread.getByRole('listitem').filter({ hasText: 'Where is my parcel?' })
  await asked.waitFor()

  // A reaction stands at its message, once, and is taken back there.
  await asked.getByText('Where is my parcel?').hover()
  await asked.getByRole('button', { name: 'React', exact: true }).click()
  await accessible('reacting')
  await asked.getByText('Where is my parcel?').hover()
  await asked.getByRole('button', { name: 'React with 🙏' }).click()
  const ours = asked.getByRole('button', { name: 'Take back 🙏' })
  await ours.waitFor()
  await ours.click()
  await ours.waitFor({ state: 'detached' })

  // A text that the provider would refuse for its length doesn't leave, and says by how much.
  const field = page.getByRole('textbox', { name: /^Write to/ })
  await field.fill('x'.repeat(4098))
  await page.getByRole('status').getByText('2 characters too many').waitFor()
  assert.ok(await button('Send').isDisabled())
  await accessible('too-long')
  await field.fill('')

  // An approved template is chosen, filled in, seen and sent.
  await button('Template').click()
  const dialog = page.getByRole('dialog')
  assert.ok(await dialog.getByRole('button', { name: 'Send' }).isDisabled())
  await dialog.getByRole('option', { name: /recontact_1/ }).click()
  await dialog.getByLabel('Parameter 1').fill('Chloé     Rossi')
  await dialog.getByText('A parameter has no line breaks').waitFor()
  await dialog.getByLabel('Parameter 1').fill('Chloé')
  await dialog.getByText('Buongiorno Chloé, possiamo aiutarla?').waitFor()
  await accessible('template')
  await dialog.getByRole('button', { name: 'Send' }).click()
  const sent = thread.getByRole('listitem').filter({ hasText: 'Template recontact_1: Chloé' })
  await sent.getByText('read', { exact: true }).waitFor()
  assert.equal(await sent.count(), 1, 'shown once')

  expects(/status of 404.*transcript/)
  await button(`Actions for ${name}`).click()
  await accessible('conversation-actions')
  const [html] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Transcript', exact: true }).click()])
  assert.match(html.url(), /\.zip/)
  const before = opened()
  await closes(before)
  await page.getByText(/^Closed/).first().waitFor()

  // A customer of before is found by name, and written to first.
  const find = button('Find or write to a customer')
  await find.click()
  await dialog.getByRole('searchbox').fill(name.toLowerCase())
  await page.keyboard.press('Enter')
  await dialog.getByRole('button', { name: `Write to ${name} first` }).waitFor()
  // Contacts are found first; the account comes with the customer's conversation.
  await dialog.getByText('Searching').waitFor({ state: 'detached' })
  await accessible('find')
  await dialog.getByRole('button', { name: `Write to ${name} first` }).click()
  await dialog.getByRole('option', { name: /recontact_1/ }).click()
  await dialog.getByLabel('Parameter 1').fill('Chloé')
  await accessible('write-first')
  await dialog.getByRole('button', { name: 'Send' }).click()
  await dialog.waitFor({ state: 'detached' })
  await thread.getByText('Template recontact_1: Chloé').waitFor()
  assert.notEqual(opened(), before)
  const second = opened()

  // Nobody opens a second conversation with somebody who has one.
  expects(/status of 409/)
  await find.click()
  await dialog.getByRole('searchbox').fill(`whatsapp:${customer}`)
  await dialog.getByRole('button', { name: `Write to ${customer} first` }).click()
  await dialog.getByLabel('Account').selectOption({ label: 'META1 · Demo META' })
  await dialog.getByRole('option', { name: /recontact_1/ }).click()
  await dialog.getByLabel('Parameter 1').fill('Chloé')
  await dialog.getByRole('button', { name: 'Send' }).click()
  await dialog.getByRole('alert').waitFor()
  await dialog.getByRole('button', { name: 'Open it' }).click()
  await dialog.waitFor({ state: 'detached' })
  assert.equal(opened(), second)
  await closes(second)

  // A contact who never wrote is found by name, too, once the index has it.
  const silent = `Silent ${stranger.slice(-5)}`
  const { list } = (await ask('admin', 'GET', 'admin', '/accounts?limit=100')).items.find((it) => it.key === 'META1')
  await administers('POST', '/contacts', { name: silent, phone: stranger.replace('+39336', '+39340'), lists: [list] })
  await find.click()
  await dialog.getByRole('searchbox').fill(silent.toLowerCase())
  const write = dialog.getByRole('button', { name: `Write to ${silent} first` })
  for (let tries = 0; tries < 20 && !(await write.isVisible()); tries += 1) {
    await page.keyboard.press('Enter')
    await dialog.getByText('Searching').waitFor({ state: 'detached' })
    await page.waitForTimeout(250)
  }
  await accessible('find-contact')
  await write.click()
  await dialog.getByText(`Write to ${silent} first`).waitFor()
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })

  // A number that nobody knows, on an account whose provider lists no templates.
  await find.click()
  await dialog.getByRole('searchbox').fill(stranger)
  await page.keyboard.press('Enter')
  await dialog.getByText('Nothing found').waitFor()
  await dialog.getByRole('button', { name: `Write to ${stranger} first` }).click()
  await dialog.getByLabel('Account').selectOption({ label: 'SINV2 · Demo SINCH_V2' })
  await dialog.getByText('The provider lists no templates.').waitFor()
  await dialog.getByLabel('Name or id').fill('recontact_1')
  await dialog.getByLabel('Language').fill('it')
  await dialog.getByLabel('Parameters, one a line').fill('Zoë')
  await accessible('template-by-hand')
  await dialog.getByRole('button', { name: 'Send' }).click()
  await dialog.waitFor({ state: 'detached' })
  await thread.getByText('Template recontact_1: Zoë').waitFor()
  await closes(opened())

  // All conversations of her accounts, those that are over too.
  await page.getByRole('link', { name: 'Conversations', exact: true }).click()
  await page.getByRole('row').filter({ hasText: name }).first().waitFor()
  await accessible('conversations', '/conversations')
})
