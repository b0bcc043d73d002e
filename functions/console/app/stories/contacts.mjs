/**
 * Contacts, played against `cargo local`: a supervisor imports a CSV file after a try, finds one of its contacts by number
 * and by name, looks through a list, and changes the details, a defined field among them. `node stories/contacts.mjs`;
 * see kit/story.mjs. Of the ten stories of the console, 9: CSV import.
 */
import assert from 'node:assert/strict'
import { administers, configured, endpoints, story } from './kit/story.mjs'

const run = String(Date.now()).slice(-6)
const phone = `+39334${run}7`

await story('contacts', async ({ page, accessible, button, logIn, expects }) => {
  await configured('/contact-fields', { name: 'Customer number' })
  await page.goto(`${endpoints.console}/configure/import`)
  await logIn('supervisor')
  // A file that can't be imported at all says why.
  await page.getByLabel('File').first().setInputFiles({ name: 'twice.csv', mimeType: 'text/csv', buffer: Buffer.from('Phone;Phone\r\n3341234567;\r\n') })
  await button('Try it').click()
  await page.getByRole('alert').getByText('The file has several columns “Phone”.').waitFor()
  const csv = `Phone;First name;Last name;Customer number;Note\r\n334${run}7;Zoë;Rossi${run};4711;vip\r\n12;Ugo;Bianchi;4712;\r\n`
  await page.getByLabel('File').first().setInputFiles({ name: 'contacts.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
  const column = (name) => page.getByLabel(`${name}: column`)
  await column('Phone').waitFor()
  assert.equal(await column('Phone').inputValue(), 'Phone')
  assert.equal(await column('Customer number').inputValue(), 'Customer number')
  await page.getByLabel('Country of numbers without +').selectOption('IT')
  await button('Try it').click()
  await page.getByText('1 row would be imported, 1 not.').waitFor()
  await page.getByRole('heading', { name: 'Rows that were refused' }).waitFor()
  await page.getByRole('row').filter({ hasText: 'Phone' }).getByText('This is no phone number of that country.').waitFor()
  await accessible('import', '/configure/import')
  expects(/status of 404/)
  await button('Import now').click()
  await page.getByText('1 contact is there as the file says').waitFor()

  await page.goto(`${endpoints.console}/configure/contacts?q=${encodeURIComponent(phone)}`)
  await page.getByRole('link', { name: `Zoë Rossi${run}` }).click()
  const number = page.getByLabel('Customer number')
  await number.waitFor()
  assert.equal(await number.inputValue(), '4711')
  await number.fill('4713')
  await page.getByLabel('Company').fill('Rossi & figli')
  await accessible('contact', '/configure/contacts/:id')
  await button('Save').click()
  await page.getByText('Saved.', { exact: true }).waitFor()
  const { items: [contact] } = await administers('GET', `/contacts?phone=${encodeURIComponent(phone)}`)
  assert.deepEqual([Object.values(contact.fields), contact.company, contact.first_name], [['4713'], 'Rossi & figli', 'Zoë'])
  // By a part of the name: the index follows within seconds. A search, a list, and what can't be looked for.
  await page.goto(`${endpoints.console}/configure/contacts`)
  const [field, found] = [page.getByRole('searchbox'), page.getByRole('link', { name: `Zoë Rossi${run}` })]
  await found.waitFor()
  await accessible('contacts', '/configure/contacts')
  await field.fill(`rossi${run.slice(0, 4)}`)
  await field.press('Enter')
  await found.waitFor()
  assert.equal(await page.getByRole('row').count(), 2, 'the head and one contact')
  await field.fill('nobody has this name')
  await field.press('Enter')
  await page.getByText('Nobody has this name, number or id.').waitFor()
  await accessible('contacts-none')
  expects(/status of 422/)
  await field.fill('z')
  await field.press('Enter')
  await page.getByRole('alert').waitFor()
  await accessible('contacts-wrong')
  expects(/status of 503/)
  await page.route('**/admin/contacts?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"type":"/problems/unavailable","title":"Unavailable","status":503}' }))
  const lists = page.getByRole('combobox', { name: 'List of contacts' })
  await lists.selectOption({ index: 1 })
  await page.getByRole('alert').getByRole('button', { name: 'Try again' }).waitFor()
  await accessible('contacts-failed')
  await page.unroute('**/admin/contacts?*')
  await button('Try again').click()
  await page.getByRole('row').nth(1).waitFor()
  assert.match(page.url(), /\?list=lst_/)
  await page.goBack()
  await page.getByRole('alert').waitFor()
  await page.goto(`${endpoints.console}/configure/contacts/${contact.id}`)
  await number.waitFor()
  // Only administrators delete, and define fields.
  assert.equal(await button('Delete').count(), 0)
  await page.getByRole('link', { name: 'Defined fields' }).click()
  await page.getByRole('link', { name: 'Customer number' }).waitFor()
  await accessible('contact-fields', '/configure/contact-fields')
})
