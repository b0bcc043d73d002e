/**
 * Supervise, played against `cargo local`: a supervisor filters the conversations. `node stories/supervise.mjs`; see
 * kit/story.mjs.
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
})
