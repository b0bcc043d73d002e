/**
 * Plays the screens for the pictures of the documentation, with customers who have names: `.ci/pictures` tells how. The
 * pictures go to the folder SHOTS, named and made small as they are committed.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { administers, ask, configured, customersWrite, customerWrites, endpoints, story } from '../stories/kit/story.mjs'
import { small } from '../stories/kit/png.mjs'

const folder = process.env.SHOTS ?? new URL('../../../../docs/pictures/', import.meta.url).pathname
mkdirSync(folder, { recursive: true })
/** Somebody new with each run. */
const run = String(Date.now()).slice(-6)
const [zoe, ugo, amelie] = [`+39333${run}1`, `+39333${run}2`, `+33612${run}`]

/** A photograph of a parcel, drawn. */
const parcel = `<svg xmlns="http://www.w3.org/2000/svg" width="440" height="300"><rect width="440" height="300" fill="#d8d2c6"/><path d="M60 110 220 60 380 110 380 230 220 280 60 230z" fill="#b98c5a"/><path d="M60 110 220 160 380 110 220 60z" fill="#cfa370"/><path d="M220 160V280L380 230V110z" fill="#a67a4b"/><path d="M140 85 300 135V255" fill="none" stroke="#e9dcc4" stroke-width="18"/><path d="M250 175l40 22-26 14 34 26" fill="none" stroke="#5b3f22" stroke-width="6"/></svg>`

await story('the pictures', async ({ browser, page, button, logIn, expects }) => {
  // An agent's own message makes a new version, on which the closing is repeated; the file of refused rows may be late.
  expects(/status of 40[49]/)
  async function picture(name) {
    await page.mouse.move(720, 4)
    await page.waitForTimeout(400)
    writeFileSync(`${folder}/${name}.png`, small(await page.screenshot()))
  }
  const drawn = await browser.newPage({ viewport: { width: 440, height: 300 } })
  await drawn.setContent(`<body style="margin:0">${parcel}</body>`)
  const photo = await drawn.screenshot()
  await drawn.close()

  for (const name of ['Complaint/Delivery/Late', 'Complaint/Delivery/Damaged', 'Sold/Online']) await configured('/dispositions', { name })
  for (const tag of ['refund', 'vip']) await configured('/tags', { tag })
  await configured('/pauses', { name: 'Lunch' })
  await configured('/contact-fields', { name: 'Customer number' })
  // Ben is not at work: what Anna does not take waits.
  for (const person of ['anna', 'ben']) await ask(`agents.${person}`, 'PUT', 'api', '/presence', { state: 'logged_out' })
  // What an earlier run has left would wait in the pictures.
  const { items: left } = await ask('supervisor', 'GET', 'supervisor', '/interactions?status=open&limit=100')
  for (const it of left) await ask('supervisor', 'POST', 'supervisor', `/interactions/${it.id}/close`, { disposition: 'Sold/Online' })

  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await button('Start work').click()
  await button('Presence: Ready').waitFor()
  const offer = (name) => page.getByRole('article').filter({ hasText: `META · Support: ${name}` }).first()
  const accept = async (name) => await offer(name).getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  const field = page.getByRole('textbox', { name: /^Write to|^A note/ })
  const says = async (text) => {
    await field.fill(text)
    await field.press('Enter')
    await thread.getByText(text).waitFor()
  }
  const read = () => thread.getByText('read', { exact: true }).last().waitFor()

  // A conversation of before.
  await customerWrites(zoe, 'Do you have it in blue?', 'Zoë Rossi')
  await accept('Zoë Rossi')
  await thread.getByText('Do you have it').waitFor()
  await says('Yes, and it is in stock.')
  await read()
  await button('Close …').click()
  await page.getByRole('dialog').getByRole('combobox').fill('sold')
  await page.keyboard.press('Enter')
  await page.getByText('Closed: Sold/Online').waitFor()
  await page.getByRole('button', { name: /^Close the tab of/ }).click()

  await customerWrites(amelie, 'Bonjour, je voudrais changer mon adresse.', 'Amélie Laurent')
  await offer('Amélie Laurent').getByRole('button', { name: 'Reject' }).click()
  await page.locator('.waiting').filter({ hasText: 'Amélie Laurent' }).first().waitFor()

  await customerWrites(zoe, 'Good morning, my order 4471 arrived damaged.', 'Zoë Rossi')
  await accept('Zoë Rossi')
  await thread.getByText('my order 4471').waitFor()
  await says('Good morning Zoë, I am sorry to hear that. Could you send a photo?')
  await read()
  await page.keyboard.press('Alt+KeyM')
  await says('Asked for a refund twice last month.')
  await page.keyboard.press('Alt+KeyM')
  await customersWrite([{ from: zoe, name: 'Zoë Rossi', file: { name: 'parcel.png', type: 'image/png', bytes: photo } }])
  await thread.locator('.media img').waitFor()
  await says('Thank you. The refund is on its way.')
  await read()
  await page.getByRole('combobox', { name: 'Add a tag' }).selectOption('refund')
  await page.getByRole('button', { name: 'Remove the tag refund' }).waitFor()
  await customerWrites(zoe, 'Great, and where is my other parcel?', 'Zoë Rossi')
  await thread.getByText('Great, and where').waitFor()
  await customerWrites(ugo, 'Is my order ready?', 'Ugo Bianchi')
  await offer('Ugo Bianchi').waitFor()
  await picture('desk')

  await accept('Ugo Bianchi')
  await thread.getByText('Is my order ready?').waitFor()
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  await page.keyboard.press('Control+KeyK')
  await page.getByRole('dialog').getByRole('combobox').fill('pause')
  await picture('palette')
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  await page.keyboard.press('Escape')
  await page.keyboard.press('Alt+KeyL')
  await page.getByRole('dialog').getByRole('option', { name: /recontact_1/ }).click()
  await page.keyboard.press('Enter')
  await page.keyboard.type('Ugo')
  await picture('template')
  await page.keyboard.press('Escape')
  await button('Menu of Anna').click()
  await page.getByRole('menuitem', { name: 'Preferences' }).click()
  await page.getByRole('heading', { name: 'Preferences' }).waitFor()
  await picture('preferences')
  // Ugo still rings in nobody's ears: the pictures of Supervise show who is at work.
  await ask('agents.ben', 'PUT', 'api', '/presence', { state: 'paused', reason: 'Lunch' })

  await page.context().clearCookies()
  await page.goto(`${endpoints.console}/supervise`)
  await logIn('owner')
  await page.getByRole('table', { name: 'Agents' }).getByRole('row').filter({ hasText: 'Anna' }).waitFor()
  await picture('now')
  const search = { match: 'all', conditions: [{ field: 'status', operator: 'equals', value: 'closed' }, { field: 'contact_name', operator: 'contains', value: 'ro' }] }
  await page.goto(`${endpoints.console}/supervise/interactions?search=${encodeURIComponent(JSON.stringify(search))}`)
  await page.getByRole('row').nth(5).waitFor()
  await page.locator('.looked progress').waitFor({ state: 'detached' })
  await picture('search')
  const { items: accounts } = await administers('GET', '/accounts')
  const { id } = accounts.find((it) => it.provider.type === 'META')
  await page.goto(`${endpoints.console}/configure/accounts/${id}/actions`)
  await page.locator('[data-step]').first().waitFor()
  await picture('plan')
  await page.goto(`${endpoints.console}/configure/import`)
  const csv = `Phone;First name;Last name;Customer number\r\n334${run}7;Zoë;Rossi;4711\r\n12;Ugo;Bianchi;4712\r\n335${run}8;Amélie;Laurent;4713\r\n`
  await page.getByLabel('File').setInputFiles({ name: 'contacts.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
  await page.getByLabel('Country of numbers without +').selectOption('IT')
  await button('Try it').click()
  await page.getByRole('heading', { name: 'Rows that were refused' }).waitFor()
  await page.getByRole('row').filter({ hasText: 'Phone' }).waitFor()
  await page.getByRole('heading', { name: 'Rows that were refused' }).scrollIntoViewIfNeeded()
  await picture('import')
})
