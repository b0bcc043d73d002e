/**
 * Contacts, played against `cargo local`: a supervisor imports a CSV file after a try, finds one of its contacts and
 * changes the details, a defined field among them. `node stories/contacts.mjs`; see kit/story.mjs.
 */
import assert from 'node:assert/strict'
import { administers, configured, endpoints, story } from './kit/story.mjs'

const run = String(Date.now()).slice(-6)
const phone = `+39334${run}7`

await story('contacts', async ({ page, accessible, button, logIn, expects }) => {
  await configured('/contact-fields', { name: 'Customer number' })
  await page.goto(`${endpoints.console}/configure/import`)
  await logIn('supervisor')
  const csv = `Phone;First name;Last name;Customer number;Note\r\n334${run}7;Zoë;Rossi;4711;vip\r\n12;Ugo;Bianchi;4712;\r\n`
  await page.getByLabel('File').setInputFiles({ name: 'contacts.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
  const column = (name) => page.getByLabel(`${name}: column`)
  await column('Phone').waitFor()
  assert.equal(await column('Phone').inputValue(), 'Phone')
  assert.equal(await column('Customer number').inputValue(), 'Customer number')
  await page.getByLabel('Country of numbers without +').selectOption('IT')
  await button('Try it').click()
  await page.getByText('1 row would be imported, 1 not.').waitFor()
  await page.getByRole('heading', { name: 'Rows that were refused' }).waitFor()
  await page.getByRole('row').filter({ hasText: 'Phone' }).waitFor()
  await accessible('import')
  expects(/status of 404/)
  await button('Import now').click()
  await page.getByText('1 contact is there as the file says').waitFor()

  await page.goto(`${endpoints.console}/configure/contacts?q=${encodeURIComponent(phone)}`)
  await page.getByRole('link', { name: 'Zoë Rossi' }).click()
  const number = page.getByLabel('Customer number')
  await number.waitFor()
  assert.equal(await number.inputValue(), '4711')
  await number.fill('4713')
  await page.getByLabel('Company').fill('Rossi & figli')
  await accessible('contact')
  await button('Save').click()
  await page.getByText('Saved.', { exact: true }).waitFor()
  const { items: [contact] } = await administers('GET', `/contacts?phone=${encodeURIComponent(phone)}`)
  assert.deepEqual([Object.values(contact.fields), contact.company, contact.first_name], [['4713'], 'Rossi & figli', 'Zoë'])
  // Only administrators delete, and define fields.
  assert.equal(await button('Delete').count(), 0)
  await page.getByRole('link', { name: 'Defined fields' }).click()
  await page.getByRole('link', { name: 'Customer number' }).waitFor()
  await accessible('contact-fields')
})
