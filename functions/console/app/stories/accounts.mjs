/**
 * An account, played against `cargo local`: each section saved alone, its plan edited with the keyboard, wrong credentials
 * found by the check, and its deletion. `node stories/accounts.mjs`; see kit/story.mjs. Of the ten stories of the
 * console, 9: plan edited · "The plan".
 */
import assert from 'node:assert/strict'
import { administers, endpoints, story } from './kit/story.mjs'

/** A key of five that no other run has. */
const key = `K${String(Date.now()).slice(-4)}`
const { auth_token: right, account_sid, phone } = endpoints.secrets.DEMO1

await story('an account', async ({ page, accessible, button, logIn, expects }) => {
  expects(/status of (409|412|422)/)
  const { items: lists } = await administers('GET', '/lists')
  const { items: queues } = await administers('GET', '/queues')
  const { items: agents } = await administers('GET', '/agents')
  const anna = agents.find((agent) => agent.name === 'Anna')
  const { id } = await administers('POST', '/accounts', {
    name: `Sales ${key}`, key, list: lists[0].id, phone, active: false,
    provider: { type: 'TWILIO', account_sid, auth_token: right }
  })
  const now = () => administers('GET', `/accounts/${id}`)
  const open = (section) => page.goto(`${endpoints.console}/configure/accounts/${id}/${section}`)
  const saved = () => page.getByText('Saved.', { exact: true }).last().waitFor()
  /** Saves the one section that has changes, and forgets the word of it. */
  async function save() {
    await button('Save').click()
    await saved()
    await button('Save').waitFor({ state: 'detached' })
    await button('Dismiss').first().click()
  }

  await page.goto(`${endpoints.console}/configure/accounts`)
  await logIn('admin')
  await page.getByRole('link', { name: `Sales ${key}` }).waitFor()
  await accessible('accounts', '/configure/accounts')
  await page.getByRole('link', { name: `Sales ${key}` }).click()
  await page.getByLabel('Key').fill('DEMO1')
  await button('Save').click()
  await page.getByText('Another account has this key.').waitFor()
  await page.getByLabel('Key').fill(key)
  // Nobody could answer: it can't be switched on, and the refusal says why.
  await page.getByRole('switch', { name: 'Active' }).check()
  await button('Save').click()
  await page.getByRole('alert').getByText('An active account needs at least one agent').waitFor()
  await accessible('account-general', '/configure/accounts/:id')
  await button('Undo changes').click()
  await page.getByLabel('Close after inactivity').fill('90')
  await save()
  assert.equal((await now()).settings.inactivity_timeout, 90)
  await page.getByLabel('Close after inactivity').fill('')
  await save()
  assert.equal((await now()).settings.inactivity_timeout, undefined)

  // An agent is added from the agent's own page.
  await page.goto(`${endpoints.console}/configure/agents/${anna.id}`)
  await page.getByRole('checkbox', { name: new RegExp(key) }).check()
  await saved()
  await accessible('agent', '/configure/agents/:id')
  assert.deepEqual((await now()).agents, [anna.id])
  await open('agents')
  await page.getByRole('combobox', { name: 'Add to: Agents' }).selectOption({ label: 'Ben' })
  await save()
  await accessible('account-agents', '/configure/accounts/:id/agents')

  await open('notifications')
  await page.getByRole('switch', { name: 'Shake' }).check()
  await page.getByRole('combobox', { name: 'Colour' }).selectOption('Green')
  await page.getByLabel('Text').fill('{{#queue}}{{queue.name}}')
  await page.getByText('this section has no end').waitFor()
  await accessible('account-notification', '/configure/accounts/:id/notifications')
  await page.getByLabel('Text').fill('{{contact.name}} writes')
  await save()
  const { notification } = (await now()).settings
  assert.deepEqual(notification, { sound: true, shake: true, style: 'success', template: '{{contact.name}} writes' })

  await open('transfer')
  await page.getByRole('switch', { name: 'Agents may transfer to queues' }).uncheck()
  await save()
  await open('dispositions')
  await page.getByRole('textbox', { name: 'Add to: Dispositions of this account' }).fill('a/b/c/d')
  await page.keyboard.press('Enter')
  await button('Save').click()
  await page.locator('.picks .wrong').waitFor()
  await accessible('account-dispositions', '/configure/accounts/:id/dispositions')
  await button('Remove: a/b/c/d').click()
  await page.getByRole('textbox', { name: 'Add to: Dispositions of this account' }).fill('Sold/Online')
  await button('Add').click()
  await save()

  // A whitelist needs a list.
  await open('whitelist')
  await page.getByRole('switch', { name: 'Whitelist on' }).check()
  await page.getByLabel('Reply to others').fill('We are sorry.')
  await button('Save').click()
  await page.getByText('Choose at least one list.').waitFor()
  await page.getByRole('combobox', { name: 'Add to: Lists' }).selectOption({ index: 1 })
  await accessible('account-whitelist', '/configure/accounts/:id/whitelist')
  await save()
  assert.equal((await now()).settings.whitelist.enabled, true)

  // The recontact template is one of the provider's.
  await open('recontact')
  await button('Show the provider’s templates').click()
  await page.getByRole('combobox', { name: 'Approved templates' }).selectOption({ index: 1 })
  await page.getByLabel('Parameter 1').fill('{{contact.name}}{{^contact.name}}customer{{/contact.name}}')
  await accessible('account-recontact', '/configure/accounts/:id/recontact')
  await save()
  assert.match((await now()).settings.recontact.name, /^HX/)

  // The plan: by the keyboard alone.
  await open('actions')
  await page.getByText('No steps').waitFor()
  const add = page.getByRole('combobox', { name: 'Add a step' })
  await add.selectOption('goto_if')
  await page.getByLabel('Condition', { exact: true }).fill('lang = ')
  await page.getByText('At character 8').waitFor()
  await page.getByLabel('Condition', { exact: true }).fill('lang = "it"')
  await add.selectOption('queue')
  await page.getByRole('combobox', { name: 'Queue' }).selectOption({ label: queues[0].name })
  await page.getByLabel('Label').fill('ring')
  await page.getByRole('button', { name: /Jump if/, expanded: false }).click()
  await page.getByRole('combobox', { name: 'If it holds' }).selectOption({ label: '2. Offer to a queue · ring' })
  await add.selectOption('auto_reply')
  await page.getByLabel('Text').fill('One moment, please.')
  await accessible('account-plan', '/configure/accounts/:id/actions')
  const step = page.getByRole('button', { name: /Reply automatically/, expanded: true })
  await step.focus()
  await page.keyboard.press('Alt+ArrowUp')
  await page.keyboard.press('Alt+ArrowUp')
  await page.getByText('Reply automatically is now step 1.').waitFor()
  assert.ok(await step.evaluate((it) => it === document.activeElement), 'the focus moves with the step')
  // Before it is saved it tells what would happen, and why.
  await page.getByLabel('The customer’s message').fill('Buongiorno')
  await page.keyboard.press('Enter')
  // A stranger is on no list of the whitelist. Somebody else switches it off.
  await page.getByText('The conversation ends closed as Not on the whitelist.').waitFor()
  await page.locator('.run').getByText('We are sorry.').waitFor()
  await administers('PATCH', `/accounts/${id}`, { settings: { whitelist: { enabled: false } } }, (await now()).version)
  await button('Try it').click()
  await page.locator('.run').getByText('One moment, please.').waitFor()
  await page.getByText('variables.lang is empty').waitFor()
  await page.getByText(`The conversation then waits without an end for: ${queues[0].name}`).waitFor()
  assert.deepEqual((await now()).plan, [])
  await accessible('account-plan-tried', '/configure/accounts/:id/actions')
  await page.getByText('Customer, variables and answers').click()
  await page.getByLabel('Variables at the beginning').fill('lang: it')
  await button('Try it').click()
  await page.getByText('Write one variable a line').waitFor()
  await page.getByLabel('Variables at the beginning').fill('lang = it')
  await page.getByLabel('Name of a new customer').fill('Ada Lovelace')
  await button('Try it').click()
  await page.getByText('variables.lang is “it”').waitFor()
  await accessible('account-plan-tried-more', '/configure/accounts/:id/actions')
  await save()
  assert.deepEqual((await now()).plan, [
    { step: 'auto_reply', text: 'One moment, please.', when: 'once' },
    { step: 'goto_if', condition: 'lang = "it"', then: 'ring' },
    { step: 'queue', queue: queues[0].id, timeout: 30, label: 'ring' }
  ])
  await add.selectOption('goto')
  await page.getByRole('combobox', { name: 'To', exact: true }).selectOption({ index: 1 })
  await button('Move up: 4. Jump').click()
  await page.getByText('May loop without waiting').first().waitFor()
  await accessible('account-plan-loop')
  await button('Undo changes').click()
  await add.selectOption('tag')
  await page.getByLabel('Tag', { exact: true }).fill('x'.repeat(40))
  await button('Save').click()
  await page.locator('.step .wrong').waitFor()
  await button('Undo changes').click()

  // Credentials that the provider refuses are found by the check.
  await open('connection')
  await page.getByLabel('Auth token').fill('wrong')
  await save()
  await button('Check now').click()
  await page.getByText('The provider refuses the credentials.').waitFor()
  await accessible('account-connection', '/configure/accounts/:id/connection')
  await page.getByLabel('Auth token').fill(right)
  await save()
  await button('Check again').click()
  await page.getByText('in order').first().waitFor()
  await button('Show the numbers').click()
  await page.getByText('this account').waitFor()

  await open('proxy')
  await page.getByLabel('Domain').fill('https://example.com')
  await button('Save').click()
  await page.locator('.cfield .wrong').waitFor()
  await accessible('account-proxy', '/configure/accounts/:id/proxy')
  await button('Undo changes').click()
  await open('answers')
  await page.getByRole('heading', { name: 'Canned answers' }).waitFor()

  await open('tools')
  const before = (await now()).receive_url
  page.once('dialog', (dialog) => dialog.accept())
  await button('Replace: Receive URL').click()
  await page.getByText('The previous one is valid until').waitFor()
  assert.notEqual((await now()).receive_url, before)
  await button('End the previous one').first().click()
  await page.getByText('The previous one is valid until').waitFor({ state: 'detached' })
  await accessible('account-tools', '/configure/accounts/:id/tools')
  // Of an account that stays: what is fetched becomes conversations.
  const { items: accounts } = await administers('GET', '/accounts')
  await page.goto(`${endpoints.console}/configure/accounts/${accounts.find((account) => account.key === 'DEMO1').id}/tools`)
  await button('Fetch').click()
  await page.getByText(/The provider lists \d+/).waitFor()
  await open('tools')

  await button('Delete the account').click()
  const dialog = page.getByRole('dialog')
  assert.ok(await dialog.getByRole('button', { name: 'Delete' }).isDisabled())
  await dialog.getByRole('textbox').fill(key)
  await accessible('account-delete')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await page.getByText('Deleted.').waitFor()
  await page.getByRole('link', { name: 'Connect a number' }).waitFor()
  assert.equal(await page.getByRole('link', { name: `Sales ${key}` }).count(), 0)
})
