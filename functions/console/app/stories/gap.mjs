/**
 * A lost connection, played against `cargo local`: the socket is cut while 500 events happen to Anna's conversations,
 * and the screen ends as that of a window that was opened just now. Then events are gone before they were read. Nobody
 * waits for the five minutes; what happens in them is what counts. `node stories/gap.mjs`; see kit/story.mjs.
 *
 * Of the ten stories of the console, 4: 500 events, same screen as a fresh one · "Cut"; expired feed · "Cut again"
 */
import assert from 'node:assert/strict'
import { ask, closes, configured, countsTones, customersWrite, cutsLines, endpoints, expires, keepsLines, repeats, nothingOpen, story } from './kit/story.mjs'

/** Somebody new with each run. */
const run = String(Date.now()).slice(-6)
const customers = ['1', '2', '3', '4'].map((n) => ({ from: `+39338${run}${n}`, name: `Gap ${run}${n}` }))
const [first, second, leaves, comes] = customers
const MISSED = 500

await story('a lost connection', async ({ context, page, accessible, button, logIn, worksElsewhere, expects }) => {
  expects(/ERR_INTERNET_DISCONNECTED/)
  await configured('/tags', { tag: 'refund' })
  await countsTones(context)
  await keepsLines(context)
  /** What the page asks for: snapshots and events. */
  let asked = []
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url())
    if (/\/agent\/interactions$/.test(pathname)) asked.push('snapshot')
    if (/\/agent\/events$/.test(pathname) && searchParams.get('limit') !== '1') asked.push('events')
  })
  await nothingOpen()
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  // On another machine, Anna stays at work: without any connection she would be logged out.
  await worksElsewhere('anna')
  const me = (await ask('agents.anna', 'GET', 'api', '/me')).id
  const mine = async () => (await ask('agents.anna', 'GET', 'api', '/interactions'))
  const last = async () => (await ask('agents.anna', 'GET', 'api', `/events?after=${Number.MAX_SAFE_INTEGER}&limit=1`)).last
  /** Waits for what the functions have still to do. */
  async function until(holds, what) {
    for (const end = Date.now() + 120_000; !(await holds()); ) {
      assert.ok(Date.now() < end, what)
      await page.waitForTimeout(250)
    }
  }
  const quiet = async () => {
    let before
    await until(async () => {
      const now = await last()
      const still = now === before
      before = now
      if (!still) await page.waitForTimeout(1500)
      return still
    }, 'nothing happens any more')
  }
  /** Anna takes a conversation, here or on another machine. */
  async function takes(customer) {
    let offered
    await until(async () => (offered = (await mine()).offers.find((it) => it.customer_name === customer.name)), `${customer.name} is offered`)
    await ask('agents.anna', 'POST', 'api', `/interactions/${offered.id}/accept`)
    return offered.id
  }
  const row = (page, { name }) => page.locator('.list').getByRole('button').filter({ hasText: name })
  const ids = new Map()
  await customersWrite([first, second, leaves].map((it) => ({ ...it, text: 'Where is my parcel?' })))
  for (const it of [first, second, leaves]) ids.set(it, await takes(it))
  await page.getByRole('heading', { name: 'Mine · 3' }).waitFor({ timeout: 120_000 })
  // A tab for each; the last one is in front.
  for (const it of [leaves, second, first]) await row(page, it).click()
  const thread = page.getByRole('log')
  await thread.getByText('Where is my parcel?').waitFor()
  await quiet()

  /** Everything that a screen says of what is there. */
  const shown = (page) => page.evaluate(() => {
    const texts = (selector) => [...document.querySelectorAll(selector)].filter((it) => it.checkVisibility()).map((it) => it.innerText.replace(/\s+/g, ' ').trim())
    const log = document.querySelector('[role=log]')
    const inView = (it) => it.getBoundingClientRect().bottom > log.getBoundingClientRect().top
    return {
      list: texts('.list .row, .list h2, .list .offer'),
      head: texts('.main .head'),
      presence: texts('.presence'),
      bars: texts('.bar'),
      title: document.title,
      thread: [...log.querySelectorAll('.bubble, .system, .day')].filter(inView).map((it) => it.innerText.replace(/\s+/g, ' ').trim())
    }
  })
  /** The page shows what a window shows that was opened just now. */
  async function sameAsFresh() {
    await quiet()
    const fresh = await context.newPage()
    // The list is drawn from the list: the thread that is open is the only one that is read.
    const threads = new Set()
    fresh.on('request', (request) => threads.add(/interactions\/(\w+)\/messages$/.exec(new URL(request.url()).pathname)?.[1]))
    await fresh.goto(page.url())
    await fresh.getByRole('log').locator('.bubble').last().waitFor()
    await fresh.waitForLoadState('networkidle')
    // A gesture in each: whether the sound is on is no difference that counts.
    for (const it of [page, fresh]) await it.getByRole('heading', { name: /^Mine/ }).click()
    let [there, here] = []
    for (let tries = 0; tries < 40; tries += 1) {
      [there, here] = [await shown(fresh), await shown(page)]
      if (JSON.stringify(there) === JSON.stringify(here)) break
      await page.waitForTimeout(250)
    }
    assert.deepEqual(here, there)
    threads.delete(undefined)
    assert.deepEqual([...threads], [page.url().split('/').at(-1)])
    assert.ok(here.thread.length > 5 && here.list.length > 2, JSON.stringify(here))
    await fresh.close()
    return here
  }
  async function cut() {
    await context.setOffline(true)
    await cutsLines(page)
    await page.getByText(/^No connection since/).waitFor()
    asked = []
  }
  async function back() {
    await context.setOffline(false)
    await page.getByText(/^No connection since/).waitFor({ state: 'detached' })
  }

  // Cut. Customers write, Anna answers on another machine, one conversation ends, another one begins.
  await cut()
  await accessible('no-connection')
  const start = await last()
  const answers = async (id, text) => ask('agents.anna', 'POST', 'api', `/interactions/${id}/messages`, { text })
  await ask('agents.anna', 'POST', 'api', `/interactions/${ids.get(first)}/tags`, { add: ['refund'] })
  await closes(ids.get(leaves))
  await customersWrite([{ ...comes, text: 'Is anybody there?' }])
  ids.set(comes, await takes(comes))
  await customersWrite([first, second, comes].flatMap((it) => Array.from({ length: 3 }, (_, at) => ({ ...it, text: `Question ${at}` }))))
  for (const it of [first, second, comes]) await answers(ids.get(it), 'It is on its way')
  await until(async () => (await mine()).interactions.length === 3 && (await last()) >= start + 15, 'all of it is told')
  await quiet()
  // A busy day, without its minutes: most of the events come again and again.
  const told = await last()
  await repeats(me, start + 1, told, Math.max(0, MISSED - (told - start)))
  const missed = (await last()) - start
  assert.ok(missed >= MISSED, `${missed}`)
  assert.ok(await row(page, leaves).isVisible(), 'nothing of it is known yet')
  const heard = await page.evaluate(() => window.tones)
  await back()
  await row(page, comes).waitFor()
  await row(page, leaves).waitFor({ state: 'detached' })
  assert.equal(await page.evaluate(() => window.tones), heard, 'what was offered and accepted meanwhile makes no sound')
  await sameAsFresh()
  const pages = asked.filter((it) => it === 'events').length
  assert.ok(pages <= 2 + missed / 500 && !asked.includes('snapshot'), `${missed} events: ${asked}`)

  // Cut again. What was missed is gone before it is read: everything is read anew.
  await cut()
  const known = await last()
  await customersWrite([first, second].map((it) => ({ ...it, text: 'Are you still there?' })))
  await closes(ids.get(comes))
  // What a window counts as unseen is its own; whoever answers has seen it all.
  await until(async () => (await last()) >= known + 3, 'they are told')
  for (const it of [second, first]) await answers(ids.get(it), 'Yes, I am')
  await quiet()
  // All but the last ones.
  assert.ok((await expires(me, known + 1, (await last()) - 2)) > 1)
  await back()
  await row(page, comes).waitFor({ state: 'detached' })
  await thread.getByText('Yes, I am').waitFor()
  await sameAsFresh()
  assert.ok(asked.includes('snapshot'), `${asked}`)
  // And what comes from now on comes as ever.
  await customersWrite([{ ...first, text: 'Good to know' }])
  await thread.getByText('Good to know').waitFor()

  // Where one reads stays, whatever happens elsewhere or below; and it is found again after another tab.
  await page.setViewportSize({ width: 780, height: 500 })
  const place = () => thread.evaluate((it) => Math.round(it.scrollTop))
  await thread.press('Home')
  await page.waitForFunction(() => document.querySelector('[role=log]').scrollTop === 0)
  await thread.evaluate((it) => (it.scrollTop = 90))
  const tones = await page.evaluate(() => window.tones)
  await customersWrite([{ ...second, text: 'And mine?' }])
  const tab = (it) => page.locator('.tab').getByRole('button', { name: new RegExp(it.name) }).first()
  await tab(second).getByRole('img', { name: /unread/ }).waitFor()
  await customersWrite([{ ...first, text: 'Thank you' }])
  await button('1 new message ↓').waitFor()
  assert.equal(await place(), 90)
  assert.equal(await page.evaluate(() => window.tones), tones + 1, 'a tone for what is out of view')
  const line = () => thread.evaluate((it) => [...it.querySelectorAll('.bubble')].find((bubble) => bubble.getBoundingClientRect().top >= it.getBoundingClientRect().top).innerText)
  const before = await line()
  // Tabs that have no room are in a menu, too.
  await page.getByRole('button', { name: /^All \d tabs$/ }).click()
  await accessible('tabs')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: /^All \d tabs$/ }).click()
  await page.getByRole('menuitemradio', { name: new RegExp(second.name) }).click()
  await thread.getByText('And mine?').waitFor()
  await page.getByRole('button', { name: /^All \d tabs$/ }).click()
  await page.getByRole('menuitemradio', { name: new RegExp(first.name) }).click()
  await page.waitForURL(`**/desk/${ids.get(first)}`)
  await page.waitForFunction(() => document.querySelector('[role=log]').scrollTop > 0)
  assert.equal(await line(), before)
  await thread.press('End')
  await thread.getByText('Thank you').waitFor()
  await page.getByRole('button', { name: `Actions for ${first.name}` }).click()
  await page.getByRole('menuitem', { name: 'To the first message' }).click()
  await thread.getByText('Where is my parcel?').waitFor()
  await page.waitForFunction(() => document.querySelector('[role=log]').scrollTop === 0)
  // A reload keeps tabs, presence and place.
  await page.reload()
  for (const it of [first, second]) await tab(it).waitFor()
  await button('Presence: Ready').waitFor()
  await thread.getByText('Thank you').waitFor()
  for (const it of [first, second]) await closes(ids.get(it))
})
