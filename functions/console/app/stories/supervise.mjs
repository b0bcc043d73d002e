/**
 * Supervise, played against `cargo local`: a supervisor filters and searches the conversations, exports and deletes.
 * `node stories/supervise.mjs`; see kit/story.mjs.
 */
import assert from 'node:assert/strict'
import { customerWrites, endpoints, story } from './kit/story.mjs'

/** Somebody new with each run. */
const customer = `+39333${String(Date.now()).slice(-7)}`
const name = `Zoë <b>${customer.slice(-4)}</b>`

await story('Supervise', async ({ page, accessible, button, logIn, expects }) => {
  await customerWrites(customer, 'Where is my parcel?', name)
  await page.goto(`${endpoints.console}/supervise/interactions`)
  await logIn('supervisor')
  const row = page.getByRole('row').filter({ hasText: name })
  await row.waitFor()
  await accessible('interactions')

  // The filters are in the address: a link and "back" show the same list.
  await page.getByRole('combobox', { name: 'State' }).selectOption('closed')
  await row.waitFor({ state: 'detached' })
  assert.match(page.url(), /\?status=closed$/)
  await page.goBack()
  await row.waitFor()
  await page.getByLabel('Opened to').fill('2020-01-01')
  await page.getByText('No conversation matches these filters.').waitFor()
  await accessible('interactions-empty')
  await page.reload()
  await page.getByText('No conversation matches these filters.').waitFor()
  await button('Clear the filters').first().click()
  await row.waitFor()

  // A list that can't be read says so, and is read again.
  expects(/status of 503/)
  await page.route('**/supervisor/interactions?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"type":"/problems/unavailable","title":"Unavailable","status":503}' }))
  await button('Refresh').click()
  await page.getByText('Reading failed.').waitFor()
  assert.ok(await row.isVisible(), 'the last rows stay')
  await accessible('interactions-old')
  await page.unroute('**/supervisor/interactions?*')
  await button('Try again').click()
  await page.getByText('Reading failed.').waitFor({ state: 'detached' })

  // A search: a condition is added, switched off, edited, removed. It lives in the address, beside the filters.
  await page.getByRole('combobox', { name: 'State' }).selectOption('closed')
  await button('Advanced search').click()
  await page.getByLabel('Field').selectOption('contact_name')
  await page.getByLabel('Comparison').selectOption('equals')
  await page.getByLabel('Value').fill('nobody has this name')
  await page.keyboard.press('Enter')
  await page.getByText('No conversation matches this search.').waitFor()
  await accessible('search-none')
  await page.getByRole('button', { name: /^Leave out for now: Contact’s name/ }).click()
  await row.waitFor()
  await page.getByRole('button', { name: /^Leave out for now: Contact’s name/ }).click()
  await page.getByRole('button', { name: /^Edit: Contact’s name/ }).click()
  await page.getByLabel('Value').fill(name.toUpperCase())
  await button('Apply').click()
  await row.waitFor()
  assert.equal(await page.getByRole('row').count(), 2, 'the head and one conversation')
  await page.reload()
  await row.waitFor()
  await accessible('search')
  await button('Add a condition').click()
  await page.getByLabel('Field').selectOption('variables.')
  await page.getByLabel('Name of the variable').fill('no name')
  await page.getByLabel('Value').fill('x')
  expects(/status of 422/)
  await page.getByLabel('Value').press('Enter')
  await page.getByRole('alert').first().waitFor()
  await accessible('search-fault')
  await page.getByRole('button', { name: /^Remove: Variable/ }).click()
  await row.waitFor()

  // What is selected stays so over searches; it is exported, and deleted after its number was typed.
  await row.getByRole('checkbox').check()
  await button('End the search').click()
  assert.match(page.url(), /\?status=closed$/)
  await page.getByText('1 selected').waitFor()
  await page.getByRole('row').nth(1).getByRole('checkbox').check()
  await button('Export as CSV').click()
  await accessible('selection')
  const [saved] = await Promise.all([page.waitForEvent('download'), button('Download').click()])
  assert.match(saved.url(), /exports/)
  await button('Dismiss').click()
  await page.getByRole('row').nth(1).getByRole('checkbox').uncheck()
  await button('Delete …').click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('0 conversations will be deleted.').waitFor()
  await dialog.getByRole('checkbox').check()
  assert.ok(await dialog.getByRole('button', { name: 'Delete' }).isDisabled())
  await accessible('delete')
  await dialog.getByLabel('Type 1 to confirm').fill('1')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await page.getByText('A second look follows').waitFor()
  await page.getByRole('combobox', { name: 'State' }).selectOption('')
  await row.waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'Jobs' }).click()
  await page.getByText('CSV of conversations').first().waitFor()
  await accessible('jobs')
})
