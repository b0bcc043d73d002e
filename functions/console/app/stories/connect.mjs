/**
 * Connecting a number of each provider, with a wrong credential first and no account until it is right, played against
 * `cargo local`. `node stories/connect.mjs`; see kit/story.mjs. Of the ten stories of the console, 9: connect a number of
 * each provider.
 */
import assert from 'node:assert/strict'
import { administers, endpoints, story } from './kit/story.mjs'

const run = String(Date.now()).slice(-3)
const secrets = endpoints.secrets
/** What a person types: the labels of the form with the values of the demo's account, and which one is wrong at first. */
const NUMBERS = [
  {
    demo: 'DEMO1', name: /^Twilio/, wrong: 'Auth token', lists: true, strange: '+15550001111',
    fields: { 'Account SID': secrets.DEMO1.account_sid, 'Auth token': secrets.DEMO1.auth_token }
  },
  {
    demo: 'META1', name: /^Meta/, wrong: 'Access token', lists: true, registers: true,
    fields: { 'App ID': secrets.META1.app_id, 'Access token': secrets.META1.auth_token, 'App secret': secrets.META1.app_secret },
    optional: { 'WhatsApp Business Account ID': secrets.META1.account_sid }
  },
  {
    demo: 'SINV2', name: /^Sinch Conversation/, wrong: 'Key secret', registers: true,
    fields: {
      'Base URL of the region': secrets.SINV2.base_url, 'Project ID': secrets.SINV2.project_id, 'App ID': secrets.SINV2.app_id,
      'Key ID': secrets.SINV2.key_id, 'Key secret': secrets.SINV2.key_secret
    }
  },
  {
    demo: 'SINC1', name: /^Sinch\b(?! Conv)/, wrong: 'Authorization token of the bot', untold: true,
    fields: {
      'Base URL of the region': secrets.SINC1.base_url, 'Bot ID (account SID)': secrets.SINC1.account_sid,
      'Authorization token of the bot': secrets.SINC1.authorization_token
    }
  },
  {
    demo: 'KALEY', name: /^Kaleyra/, wrong: 'API key', untold: true,
    fields: {
      'Base URL of the region': secrets.KALEY.base_url, 'WhatsApp Business Account ID': secrets.KALEY.waba_id,
      'Account SID': secrets.KALEY.account_sid, 'API key': secrets.KALEY.api_key
    }
  }
]

await story('connecting numbers', async ({ page, accessible, button, logIn, expects }) => {
  expects(/status of (409|422)/)
  const { items: demos } = await administers('GET', '/accounts')
  const step = (name) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { name }) })
  const goOn = () => button('Continue').click()
  await page.goto(`${endpoints.console}/configure/accounts`)
  await logIn('admin')
  await page.getByRole('link', { name: 'Connect a number' }).click()

  for (const it of NUMBERS) {
    const key = `${it.demo.slice(0, 2)}${run}`
    const look = (name) => (it.demo === 'META1' || it.demo === 'KALEY' ? accessible(`connect-${it.demo}-${name}`) : undefined)
    await page.goto(`${endpoints.console}/configure/accounts/new`)
    await page.getByRole('radio', { name: it.name }).check()
    await look('provider')
    await goOn()
    await page.getByRole('heading', { name: /Credentials/ }).waitFor()
    // What is missing is said at its field.
    const right = it.fields[it.wrong]
    await page.getByLabel(it.wrong, { exact: true }).fill('')
    await goOn()
    await page.getByText('This must be filled in.').first().waitFor()
    for (const [label, value] of Object.entries(it.fields)) await page.getByLabel(label, { exact: true }).fill(value)
    if (it.optional) {
      await page.getByText('Optional fields').click()
      for (const [label, value] of Object.entries(it.optional)) await page.getByLabel(label).fill(value)
    }
    await page.getByLabel(it.wrong, { exact: true }).fill('wrong')
    await look('credentials')
    await goOn()
    // The provider says so at once, and no account has been made of it.
    await page.getByRole('alert').getByText('The provider refuses the credentials.').waitFor()
    await look('refused')
    assert.deepEqual((await administers('GET', '/accounts')).items.map(({ key }) => key), demos.map((demo) => demo.key))
    await page.getByLabel(it.wrong, { exact: true }).fill(right)
    await goOn()
    if (it.lists) {
      await page.getByRole('combobox', { name: 'Numbers of the provider account' }).selectOption(secrets[it.demo].phone)
    } else {
      await page.getByText('This provider lists no numbers').waitFor()
      await page.getByLabel('Phone').fill(`whatsapp:${secrets[it.demo].phone}`)
    }
    await page.getByLabel('Name').fill(`Shop ${key}`)
    if (it.strange) {
      // A number of somebody else is found before the account is made, too.
      const phone = await page.getByLabel('Phone').inputValue()
      await page.getByLabel('Phone').fill(it.strange)
      await page.getByLabel('Key').fill(key)
      await page.getByRole('combobox', { name: 'List' }).selectOption({ index: 1 })
      await button('Save and continue').click()
      await page.getByText('does not have this number').waitFor()
      await button('Save all the same').waitFor()
      await accessible('connect-strange', '/configure/accounts/new')
      await page.getByLabel('Phone').fill(phone)
    }
    await page.getByLabel('Key').fill(it.demo)
    await page.getByRole('combobox', { name: 'List' }).selectOption({ index: 1 })
    await button('Save and continue').click()
    await page.getByText('Another account has this key.').waitFor()
    await look('number')
    await page.getByLabel('Key').fill(key)
    await button('Save and continue').click()
    await page.waitForURL(/account=acc_/)
    const id = new URL(page.url()).searchParams.get('account')
    const made = await administers('GET', `/accounts/${id}`)
    assert.deepEqual([made.active, made.phone, made.key], [false, secrets[it.demo].phone, key])
    // A reload goes on where it was.
    await page.reload()
    await page.getByText(made.receive_url).waitFor()
    await look('webhook')
    if (it.registers) {
      await button('Set it at the provider').click()
      await page.getByText('The provider now sends its messages here.').waitFor()
    }
    await goOn()
    if (it.untold) {
      // These providers do not tell where their messages go.
      await step(/Check/).getByText('does not tell').first().waitFor()
    } else if (!it.registers) {
      await page.getByText('does not send its messages to the Receive URL yet').waitFor()
      await button('Go to the Receive URL').click()
      await goOn()
    }
    await step(/Check/).getByRole('button', { name: /^Continue/ }).waitFor()
    await page.getByText('✓ in order').first().waitFor()
    await look('checked')
    await step(/Check/).getByRole('button', { name: /^Continue/ }).click()
    // Somebody has to answer.
    await goOn()
    await page.getByText('Choose at least one agent').waitFor()
    await page.getByRole('combobox', { name: 'Add to: Agents' }).selectOption({ label: 'Anna' })
    await page.getByRole('combobox', { name: 'Offer new conversations to' }).selectOption({ label: 'Support' })
    await look('agents')
    await goOn()
    await button('Switch it on').click()
    await page.getByText(`Shop ${key} is connected`).waitFor()
    await look('active')
    const active = await administers('GET', `/accounts/${id}`)
    assert.deepEqual([active.active, active.agents.length, active.plan[0].step], [true, 1, 'queue'])

    // The demo's number gets its messages back.
    if (it.registers) await administers('POST', `/accounts/${demos.find((demo) => demo.key === it.demo).id}/webhook`)
    await administers('DELETE', `/accounts/${id}?confirm=${key}&close=true`, undefined, active.version)
  }

  // A further number of a provider account needs no credentials of its own.
  const key = `FU${run}`
  await page.goto(`${endpoints.console}/configure/accounts/new`)
  await page.getByRole('radio', { name: /^Meta/ }).check()
  await goOn()
  await page.getByRole('radio', { name: 'Take those of an account that is there' }).check()
  await goOn()
  await page.getByText('This must be filled in.').waitFor()
  await page.getByRole('combobox', { name: 'Account' }).selectOption({ label: 'Demo META (META1)' })
  await accessible('connect-further', '/configure/accounts/new')
  await goOn()
  await page.getByRole('combobox', { name: 'Numbers of the provider account' }).selectOption(secrets.META1.phone)
  await page.getByLabel('Name').fill(`Further ${key}`)
  await page.getByLabel('Key').fill(key)
  await page.getByRole('combobox', { name: 'List' }).selectOption({ index: 1 })
  await button('Save and continue').click()
  await page.waitForURL(/account=acc_/)
  const id = new URL(page.url()).searchParams.get('account')
  const made = await administers('GET', `/accounts/${id}`)
  assert.equal(made.provider.app_id, secrets.META1.app_id)
  await goOn()
  await step(/Check/).getByText('in order').first().waitFor()
  await administers('DELETE', `/accounts/${id}?confirm=${key}`, undefined, made.version)
})
