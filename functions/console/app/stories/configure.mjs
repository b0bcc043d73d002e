/**
 * Configure, played against `cargo local`: an administrator makes, changes, loses a race for and deletes what there is to
 * configure. `node stories/configure.mjs`; see kit/story.mjs.
 */
import assert from 'node:assert/strict'
import { administers, endpoints, story } from './kit/story.mjs'

/** New names with each run. */
const run = String(Date.now()).slice(-6)

await story('Configure', async ({ page, context, accessible, button, logIn, expects }) => {
  // Refusals are what this story is about.
  expects(/status of (409|412|422|503)/)
  expects(/ERR_INTERNET_DISCONNECTED/)
  const open = (path) => page.goto(`${endpoints.console}/configure/${path}`)
  const saved = () => page.getByText('Saved.', { exact: true }).last().waitFor()
  // Where there is nothing yet, a sentence says what it is for.
  await page.route('**/admin/queues?*', (route) => route.fulfill({ json: { items: [] } }))
  await open('queues')
  await logIn('admin')
  await page.getByText('A queue is a group of agents').waitFor()
  await accessible('configure-empty')
  await page.unroute('**/admin/queues?*')
  await page.getByRole('link', { name: 'New queue' }).click()
  await page.getByRole('heading', { name: 'New queue' }).waitFor()

  // What is missing is said at its field, which gets the focus.
  await button('Create').click()
  await page.getByText('This must be filled in.').waitFor()
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-invalid')), 'true')
  await accessible('configure-new')
  await page.keyboard.type(`Sales ${run}`)
  await page.getByRole('radio', { name: /In turn/ }).check()
  await page.getByRole('combobox', { name: 'Add to: Members' }).selectOption({ label: 'Ben' })
  await page.getByRole('combobox', { name: 'Add to: Members' }).selectOption({ label: 'Anna' })
  await button('Move up: Anna').click()
  await button('Create').click()
  await page.getByRole('heading', { name: `Sales ${run}` }).waitFor()
  const id = page.url().split('/').at(-1)
  const queue = await administers('GET', `/queues/${id}`)
  const { items: agents } = await administers('GET', '/agents?limit=100')
  const named = (name) => agents.find((agent) => agent.name === name).id
  assert.deepEqual([queue.strategy, queue.members], ['rrmemory', [named('Anna'), named('Ben')]])

  // One save bar a section. A value that the form knows to be wrong is not sent.
  await page.getByLabel('Weight').fill('11')
  await button('Save').click()
  await page.getByText('A whole number from 0 to 10.').waitFor()
  await page.getByLabel('Weight').fill('7')
  // Somebody else changes other fields: both changes hold.
  await administers('PATCH', `/queues/${id}`, { agent_timeout: 33 }, queue.version)
  await button('Save').click()
  await saved()
  assert.equal(await page.getByLabel('Ring one agent for').inputValue(), '33')
  // Somebody else changes the same field: both versions are shown.
  const { version } = await administers('GET', `/queues/${id}`)
  await administers('PATCH', `/queues/${id}`, { weight: 2 }, version)
  await page.getByLabel('Weight').fill('9')
  await button('Save').click()
  const clash = page.getByRole('dialog')
  await clash.getByRole('row', { name: 'Weight 9 2' }).waitFor()
  await accessible('configure-clash')
  await clash.getByRole('button', { name: 'Save mine' }).click()
  await clash.waitFor({ state: 'detached' })
  await saved()
  assert.equal((await administers('GET', `/queues/${id}`)).weight, 9)

  // Leaving asks while something is not saved.
  await page.getByLabel('Weight').fill('1')
  page.once('dialog', (dialog) => dialog.dismiss())
  await page.getByRole('link', { name: 'Pauses' }).click()
  assert.match(page.url(), /queues/)
  await button('Undo changes').click()
  await button('Undo changes').waitFor({ state: 'detached' })
  await accessible('configure-queue')

  // The list: search, the address that keeps it, deletion.
  await page.getByRole('link', { name: 'Queues' }).first().click()
  await page.getByRole('searchbox').fill(run)
  await page.getByText('1 shown').waitFor()
  await page.waitForURL(/\?q=/)
  await page.reload()
  await page.getByText('1 shown').waitFor()
  await page.getByRole('link', { name: `Sales ${run}` }).click()
  await button('Delete').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await page.getByText('Deleted.').waitFor()
  // What is in use stays, and says where.
  await page.getByRole('link', { name: 'Lists', exact: true }).click()
  await page.getByRole('link', { name: 'Customers', exact: true }).first().click()
  await button('Delete').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByText('It is still in use.').waitFor()
  await page.getByRole('dialog').getByRole('listitem').first().waitFor()
  await accessible('configure-in-use')
  await page.keyboard.press('Escape')

  // A refusal of the API stands at its field too.
  await open('tags/new')
  await page.getByLabel('Name').fill('x'.repeat(33))
  await button('Create').click()
  await page.locator('.cfield .wrong').waitFor()
  await open('intervals/new')
  await page.getByLabel('Name').fill(`Office hours ${run}`)
  await button('Add hours').click()
  await page.getByRole('checkbox', { name: 'Sat' }).check()
  await page.getByLabel('Add to: Holidays').fill('2026-12-25')
  await button('Add').click()
  await accessible('configure-interval')
  await button('Create').click()
  await page.getByRole('heading', { name: `Office hours ${run}` }).waitFor()
  const [range] = (await administers('GET', `/intervals/${page.url().split('/').at(-1)}`)).ranges
  assert.deepEqual([range.from, range.to, range.weekdays.length], ['09:00', '18:00', 6])

  // A text with variables is checked while it is typed.
  await open('answers/new')
  await page.getByLabel('Title').fill(`Greeting ${run}`)
  await page.getByLabel('Text').fill('Hello {{contact.name')
  await page.getByText('this variable is never closed').waitFor()
  await page.getByLabel('Text').fill('Hello ')
  await page.getByRole('combobox', { name: 'Insert a variable' }).selectOption('contact.name')
  assert.equal(await page.getByLabel('Text').inputValue(), 'Hello {{contact.name}}')
  await button('Create').click()
  await page.getByRole('heading', { name: `Greeting ${run}` }).waitFor()

  await open('contacts/new')
  const phone = `+39347${run}0`
  await page.getByLabel(/^Name/).fill('Zoë <img src=x onerror=alert(1)>')
  await page.getByLabel('Phone').fill(phone)
  await button('Create').click()
  await page.getByRole('heading', { name: 'Addresses' }).waitFor()
  await page.getByText('No links.').waitFor()
  await accessible('configure-contact')
  await open(`contacts?q=${encodeURIComponent(phone)}`)
  await page.getByRole('link', { name: 'Zoë <img' }).waitFor()
  await accessible('configure-contacts')
  await open('links')
  await page.getByRole('heading', { name: 'Links to review' }).waitFor()
  await open('audit')
  await page.getByRole('combobox', { name: 'Kind' }).selectOption('queue')
  await page.getByText(/deleted/).first().waitFor()
  await accessible('configure-audit')

  // Without a connection the last rows stay, with their age; then they are read by themselves.
  await page.getByRole('link', { name: 'Agents', exact: true }).click()
  await page.getByRole('link', { name: 'Anna' }).waitFor()
  await accessible('configure-agents')
  await page.getByRole('link', { name: 'Tags' }).click()
  await page.getByRole('heading', { name: 'Tags' }).waitFor()
  await context.setOffline(true)
  await page.getByRole('link', { name: 'Agents', exact: true }).click()
  await page.getByText(/^As of/).waitFor()
  await page.getByRole('link', { name: 'Anna' }).waitFor()
  await accessible('configure-offline')
  await page.getByRole('link', { name: 'Pauses' }).click()
  await page.getByRole('alert').getByText('The connection failed.').waitFor()
  await accessible('configure-failed')
  await context.setOffline(false)
  await page.getByRole('alert').waitFor({ state: 'detached' })

  // A supervisor sees less, and reads some of it only.
  const other = await page.context().browser().newContext({ locale: 'en-GB' })
  const second = await other.newPage()
  await second.goto(`${endpoints.console}/configure/queues`)
  await second.getByRole('button', { name: 'Log in' }).click()
  await second.getByRole('button', { name: /^supervisor/ }).click()
  await second.getByRole('heading', { name: 'Queues' }).waitFor()
  assert.equal(await second.getByRole('link', { name: 'Audit' }).count(), 0)
  assert.equal(await second.getByRole('link', { name: 'New queue' }).count(), 0)
  await second.getByRole('link', { name: 'Dispositions' }).click()
  await second.getByRole('link', { name: 'New disposition' }).waitFor()
  await second.getByRole('combobox', { name: 'Account' }).selectOption({ index: 1 })
  const own = `Own/${run}`
  await second.getByRole('textbox', { name: 'Add to: Dispositions' }).fill(own)
  await second.keyboard.press('Enter')
  await second.getByRole('button', { name: 'Save' }).click()
  await second.getByText('Saved.').waitFor()
  await other.close()
})
