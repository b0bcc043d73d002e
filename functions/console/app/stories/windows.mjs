/**
 * What must not be lost or sent twice, played against `cargo local`: the window of 24 hours ends while Anna types; an
 * answer gets lost; she has two windows open. And what customers send never becomes more than text and files.
 * `node stories/windows.mjs`; see kit/story.mjs.
 *
 * Of the ten stories of the console:
 * 1 sound locked and unlocked · "A second window"; 5 two windows: one ring · there, one draft · "One draft"
 * 5 answer lost: one message · "The answer to a message gets lost", "and so does the page"; 3 all of it · "The customer's 24 hours end"
 * 10 the policy never violated · "Hostile names", and what each story listens for
 */
import assert from 'node:assert/strict'
import { administers, ask, closes, countsTones, customersWrite, cutsLines, endpoints, keepsLines, nothingOpen, story } from './kit/story.mjs'

/** Somebody new with each run. */
const run = String(Date.now()).slice(-6)
const [customer, late] = ['1', '2'].map((n) => ({ from: `+39339${run}${n}`, name: `Window ${run}${n}` }))
/** What the provider was given to send to a customer. */
async function sentTo(phone) {
  const { sent } = await (await fetch(`${endpoints.provider_stub}/_standin/sent`)).json()
  return sent.filter((it) => it.to.replace('+', '') === phone.replace('+', ''))
}

await story('windows', async ({ context, page, accessible, button, logIn, expects, after }) => {
  expects(/ERR_FAILED/)
  await countsTones(context)
  await keepsLines(context)
  await nothingOpen()
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  await button('Presence: Ready').waitFor()
  const account = (await ask('admin', 'GET', 'admin', '/accounts?limit=100')).items.find((it) => it.key === 'META1')
  // The desk is told of it, and reads it without a reload.
  const read = page.waitForResponse((answer) => /\/agent\/me$/.test(new URL(answer.url()).pathname))
  await administers('PATCH', `/accounts/${account.id}`, { settings: { recontact: { name: 'recontact_1', language: 'it', parameters: ['there'] } } }, account.version)
  after(async () => {
    const { version } = await ask('admin', 'GET', 'admin', `/accounts/${account.id}`)
    await administers('PATCH', `/accounts/${account.id}`, { settings: { recontact: null } }, version)
  })
  await read

  // A second window, which nobody has touched yet. One of the two rings, and it is the one that may.
  const second = await context.newPage()
  await second.goto(`${endpoints.console}/desk`)
  await second.getByRole('button', { name: 'Presence: Ready', exact: true }).waitFor()
  await page.getByRole('heading', { name: /^Mine/ }).click()
  await second.getByText('Sound is off').waitFor()
  await customersWrite([{ ...customer, text: 'Where is my parcel?' }])
  const offer = (page) => page.getByRole('article').filter({ hasText: customer.name })
  await Promise.all([page, second].map((page) => offer(page).waitFor()))
  await page.waitForFunction(() => window.tones > 0)
  await second.getByRole('heading', { name: /^Mine/ }).click()
  await second.getByText('Sound is off').waitFor({ state: 'detached' })
  const rung = await page.evaluate(() => window.tones)
  await page.waitForFunction((rung) => window.tones > rung, rung)
  assert.equal(await second.evaluate(() => window.tones), 0, 'one window rings')
  await offer(second).getByRole('button', { name: 'Accept' }).click()
  await offer(page).waitFor({ state: 'detached' })
  const thread = page.getByRole('log')
  const row = page.locator('.list').getByRole('button').filter({ hasText: customer.name })
  await row.click()
  await thread.getByText('Where is my parcel?').waitFor()
  const [field, field2] = [page, second].map((page) => page.getByRole('textbox', { name: /^Write to/ }))

  // One draft in two windows; no window wipes what the other keeps.
  await field.fill('Half a sente')
  await second.waitForFunction(() => document.querySelector('.composer textarea').value === 'Half a sente')
  await field2.fill('Half a sentence')
  await page.waitForFunction(() => document.querySelector('.composer textarea').value === 'Half a sentence')
  await second.reload()
  await second.waitForFunction(() => document.querySelector('.composer textarea')?.value === 'Half a sentence')

  // The answer to a message gets lost, and the other window is loaded anew meanwhile. The event tells that it arrived:
  // it is sent once, and not for one picture it stands there twice, or not at all once it did.
  const id = page.url().split('/').at(-1)
  const said = (page, text) => page.getByRole('log').getByRole('listitem').filter({ hasText: text })
  let losses = 0
  const loses = (arrives) => async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    losses += 1
    if (arrives) await route.fetch()
    return route.abort()
  }
  await page.route('**/interactions/*/messages', loses(true))
  await page.evaluate(() => {
    window.pictures = []
    const look = () => {
      window.pictures.push([...document.querySelectorAll('[role=log] li')].filter((it) => it.innerText.includes('It is on its way')).length)
      requestAnimationFrame(look)
    }
    look()
  })
  await field.fill('It is on its way')
  await field.press('Enter')
  await second.waitForFunction(() => document.querySelector('.composer textarea').value === '')
  await second.reload()
  for (const page of [second, context.pages()[0]]) await said(page, 'It is on its way').getByText('read', { exact: true }).waitFor()
  for (const page of [second, context.pages()[0]]) assert.equal(await said(page, 'It is on its way').count(), 1, 'shown once')
  const pictures = await page.evaluate(() => window.pictures.join(''))
  assert.match(pictures, /^0*1+$/, 'shown once, all the time')
  assert.ok(losses > 0)
  await page.unroute('**/interactions/*/messages')

  // The answer gets lost, and so does the page. The thread shows that it arrived: nobody is asked, nobody sends again.
  losses = 0
  await page.route('**/interactions/*/messages', loses(true))
  // Nothing tells of it before the page is gone.
  await page.route('**/tickets', (route) => route.abort())
  await cutsLines(page)
  await field.fill('It arrives today')
  await field.press('Enter')
  while (losses === 0) await page.waitForTimeout(50)
  page.once('dialog', (dialog) => dialog.accept())
  await page.unroute('**/tickets')
  await page.reload()
  await said(page, 'It arrives today').getByText('read', { exact: true }).waitFor()
  assert.deepEqual([await said(page, 'It arrives today').count(), await thread.locator('.bubble.failed').count()], [1, 0], 'shown once')
  await page.unroute('**/interactions/*/messages')

  // The request itself gets lost, and so does the page: a person decides, with the same key.
  losses = 0
  await page.route('**/interactions/*/messages', loses(false))
  await field.fill('Or today')
  await field.press('Enter')
  while (losses === 0) await page.waitForTimeout(50)
  page.once('dialog', (dialog) => dialog.accept())
  await page.reload()
  const unsure = thread.locator('.bubble.failed').filter({ hasText: 'Or today' })
  await unsure.waitFor()
  await accessible('unsure')
  await page.unroute('**/interactions/*/messages')
  await unsure.getByRole('button', { name: 'Try again' }).click()
  await unsure.waitFor({ state: 'detached' })
  await said(page, 'Or today').getByText('read', { exact: true }).waitFor()
  assert.equal(await said(page, 'Or today').count(), 1, 'shown once')
  const texts = (await sentTo(customer.from)).map((it) => it.body)
  assert.deepEqual(texts.filter((text) => /way|today/.test(text)), ['It is on its way', 'It arrives today', 'Or today'], 'sent once each')

  // Hostile names, texts and files stay names, texts and files.
  const script = '<script>document.title = "taken"</script>'
  const files = [
    { name: '<img src=x onerror="document.title=1">.html', type: 'text/html', bytes: Buffer.from(`<!doctype html><title>x</title>${script}`) },
    { name: 'drawing.svg', type: 'image/svg+xml', bytes: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1"><script>document.title="taken"</script></svg>') }
  ]
  await customersWrite([{ ...customer, text: `${script} javascript:alert(1) https://example.com/"onclick="alert(1)` }, ...files.map((file) => ({ ...customer, file }))])
  await thread.getByText(script).waitFor()
  await thread.getByText(files[0].name).waitFor()
  // It comes without a name, and browsers refuse it as an image: it stays a file.
  await thread.getByRole('button', { name: /^File/ }).waitFor()
  const link = thread.getByRole('link', { name: 'https://example.com/' })
  assert.equal(await link.getAttribute('href'), 'https://example.com/')
  const made = await page.evaluate(() => document.querySelectorAll('[role=log] :is(script, iframe, object, embed, [onload], [onerror], [onclick], a[href^=javascript])').length)
  assert.equal(made, 0)
  // A file is saved, and runs nothing; only images are shown, as images.
  const { items } = await ask('agents.anna', 'GET', 'api', `/interactions/${id}/messages?newest=true`)
  const attached = items.filter((it) => it.attachments?.length)
  assert.equal(attached.length, files.length)
  for (const { id: message } of attached) {
    const { url } = await ask('agents.anna', 'GET', 'api', `/interactions/${id}/messages/${message}/attachments/0`)
    assert.match((await fetch(url)).headers.get('content-disposition') ?? '', /^attachment/)
  }
  assert.ok(!(await page.title()).includes('taken'))

  // A picture that comes late moves nothing: its place was kept.
  let [held, letGo] = [0]
  const later = new Promise((resolve) => (letGo = resolve))
  await page.route('**/*', async (route) => {
    if (route.request().resourceType() === 'image') await ((held += 1), later)
    return route.continue()
  })
  await customersWrite([{ ...customer, file: { name: 'parcel.png', type: 'image/png', bytes: await page.screenshot({ clip: { x: 0, y: 0, width: 300, height: 800 } }) } }])
  const picture = thread.locator('.media').last()
  await picture.locator('img').waitFor({ state: 'attached' })
  while (held === 0) await page.waitForTimeout(50)
  const place = await picture.boundingBox()
  letGo()
  await page.waitForFunction(() => [...document.querySelectorAll('[role=log] .media img')].at(-1)?.naturalWidth === 300)
  assert.deepEqual(await picture.boundingBox(), place)
  await page.unroute('**/*')
  await closes(id)
  await second.close()

  // The customer's 24 hours end while Anna types. The draft stays, and the recontact template is sent.
  await customersWrite([{ ...late, text: 'Are you there?', at: Date.now() - 24 * 3_600_000 + 25_000 }])
  await page.getByRole('article').filter({ hasText: late.name }).getByRole('button', { name: 'Accept' }).click()
  await thread.getByText('Are you there?').waitFor()
  await field.fill('Yes, and your')
  const over = page.locator('.head').getByText('Free replies have ended')
  await over.waitFor({ timeout: 40_000 })
  await accessible('window-over')
  await field.press('End')
  await page.keyboard.type(' parcel too')
  await field.press('Enter')
  assert.equal(await field.inputValue(), 'Yes, and your parcel too')
  assert.deepEqual(await sentTo(late.from), [])
  await page.locator('.composer .over').getByRole('button').last().click()
  await said(page, 'recontact_1').getByText('read', { exact: true }).waitFor()
  assert.equal((await sentTo(late.from)).length, 1)
  assert.equal(await field.inputValue(), 'Yes, and your parcel too', 'the draft stays')
  // The customer answers, and the draft can be sent.
  await customersWrite([{ ...late, text: 'Finally' }])
  await thread.getByText('Finally').waitFor()
  await field.press('Enter')
  await said(page, 'Yes, and your parcel too').getByText('read', { exact: true }).waitFor()
  await closes(page.url().split('/').at(-1))
})
