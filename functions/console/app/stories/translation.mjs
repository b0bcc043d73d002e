/**
 * Translation, played against `cargo local`: an administrator switches it on, with and without a key; an agent has a
 * message and the thread translated, sees what a draft says in the customer's language, sends it, and sets the language.
 * `node stories/translation.mjs`; see kit/story.mjs.
 */
import assert from 'node:assert/strict'
import { administers, ask, closes, customerWrites, endpoints, story } from './kit/story.mjs'

/** Somebody new with each run. */
const customer = `+35191${String(Date.now()).slice(-7)}`
const name = `Inês ${customer.slice(-4)}`

await story('translation', async ({ page, accessible, button, logIn, expects }) => {
  const { items } = await administers('GET', '/accounts')
  const { id } = items.find((account) => account.provider.type === 'META')
  const off = async () => {
    const now = await administers('GET', `/accounts/${id}`)
    await administers('PATCH', `/accounts/${id}`, { settings: { translation: null } }, now.version)
  }
  await off()
  await page.goto(`${endpoints.console}/configure/accounts/${id}/translation`)
  await logIn('admin')
  await page.getByRole('switch', { name: 'Agents may translate' }).click()
  await button('Save').click()
  await page.getByText('This must be filled in.').waitFor()
  await page.getByRole('combobox', { name: 'The agents’ language' }).selectOption('it')
  await page.getByRole('radio', { name: /^Google/ }).click()
  await button('Save').click()
  await page.getByText('Nothing is translated until Google’s key is set.').first().waitFor()
  expects(/status of 422/)
  await page.getByLabel('New key').fill('a key')
  await button('Set the key').click()
  await page.getByText('1 to 200 letters, digits and signs, without blanks.').waitFor()
  await accessible('translation-settings', '/configure/accounts/:id/translation')
  await page.getByLabel('New key').fill('AIzaStandInKeyOfTheLocalRun000000000000')
  await button('Set the key').click()
  await page.getByText('A key was set: Today.').waitFor()
  await page.getByText('Nothing is translated until Google’s key is set.').waitFor({ state: 'detached' })
  page.once('dialog', (dialog) => dialog.accept())
  await button('Remove the key').click()
  await page.getByText('Nothing is translated until Google’s key is set.').first().waitFor()
  await page.getByRole('radio', { name: /^Amazon/ }).click()
  await button('Save').click()
  await page.getByLabel('New key').waitFor({ state: 'detached' })
  assert.deepEqual((await administers('GET', `/accounts/${id}`)).settings.translation, { enabled: true, provider: 'AWS', language: 'it' })
  await button('Menu of admin').click()
  await page.getByRole('menuitem', { name: 'Log out' }).click()

  // Functions that run already know the settings within five seconds.
  await page.waitForTimeout(6_000)
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  await button('Presence: Ready').waitFor()
  await customerWrites(customer, 'Olá, a minha encomenda ainda não chegou.', name)
  const offer = page.getByRole('article').filter({ hasText: name })
  await offer.getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  const first = thread.getByRole('listitem').filter({ hasText: 'encomenda' })
  await first.getByRole('button', { name: 'Translate' }).click()
  await first.getByText('Buongiorno, il mio pacco non è ancora arrivato.').waitFor()
  await first.getByText('Translated from Portuguese by Amazon Translate').waitFor()
  const language = page.getByRole('combobox', { name: 'The customer’s language' })
  await page.waitForFunction((select) => select.value === 'pt', await language.elementHandle())

  // What one message lacks keeps no other from its translation.
  await customerWrites(customer, 'Quando chega o meu pedido?', name)
  await thread.getByText('Quando chega o meu pedido?').waitFor()
  await button('Translate the thread').click()
  await thread.getByText('Quando arriva il mio ordine?').waitFor()
  assert.ok(await button('Translate the thread').isDisabled(), 'nothing is left to translate')

  // A draft is seen before it is sent; other words want another translation.
  const field = page.getByRole('textbox', { name: `Write to ${name} … ( / for canned answers )` })
  await field.fill('Grazie mille!')
  await button('Translate into Portuguese').click()
  const preview = page.getByRole('textbox', { name: 'This is sent, in Portuguese' })
  assert.equal(await preview.inputValue(), 'Muito obrigado!')
  await field.fill('Arriva domani mattina.')
  await preview.waitFor({ state: 'detached' })
  await button('Translate into Portuguese').click()
  await preview.waitFor()
  await accessible('translation-draft')
  await button('Send the translation').click()
  const sent = thread.getByRole('listitem').filter({ hasText: 'Chega amanhã de manhã.' })
  await sent.getByText('Written in Italian').waitFor()
  await sent.getByText('Arriva domani mattina.').waitFor()
  await sent.getByText('read', { exact: true }).waitFor()
  assert.equal(await sent.count(), 1, 'shown once')
  assert.equal(await field.inputValue(), '')
  await accessible('translation')

  await language.selectOption('es')
  await button('Translate into Spanish').waitFor()
  const open = page.url().split('/').at(-1)
  assert.equal((await ask('agents.anna', 'GET', 'api', `/interactions/${open}`)).language, 'es')
  // Where the account translates no more, the desk learns it by itself, and nothing that was typed is lost.
  await field.fill('Ciao!')
  await off()
  await button('Translate into Spanish').waitFor({ state: 'detached' })
  assert.equal(await field.inputValue(), 'Ciao!')
  await closes(open)
})
