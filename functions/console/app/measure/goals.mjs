/**
 * Measures the goals of the console in a Chromium, and prints them as a table: `CHROMIUM=… node measure/goals.mjs`, after
 * `cargo console`. The browser's part alone is measured against measure/server.mjs, with the CPU slowed four times; the
 * way from a webhook to the screen against a `cargo local` that is up in this folder (left out where none is). On a machine
 * that has other work, look at the time that the page itself has worked, in brackets.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { interaction, message, serve } from './server.mjs'

const app = new URL('../', import.meta.url)
const rows = []
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]
const ms = (value) => `${Math.round(value)} ms`
function tell(what, goal, found, met) {
  rows.push(`| ${what} | ${goal} | ${found} | ${met ? 'yes' : 'no'} |`)
  console.error(`${what}: ${found}`)
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
async function open(url, slowed = 4) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' })
  const page = await context.newPage()
  const devtools = await context.newCDPSession(page)
  await page.goto(`${url}/console/desk`)
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: slowed })
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
  /** Milliseconds that the page's main thread has worked: what it takes however busy the machine is otherwise. */
  const worked = async () => (await devtools.send('Performance.getMetrics')).metrics.find((it) => it.name === 'TaskDuration').value * 1000
  return { page, devtools, context, worked }
}
/** The time after the first picture in which an element has the text. */
const painted = (page, selector, text) => page.evaluate(([selector, text]) => new Promise((resolve) => {
  const look = () => {
    if (![...document.querySelectorAll(selector)].some((it) => it.textContent.includes(text))) return
    watch.disconnect()
    requestAnimationFrame(() => setTimeout(() => resolve(Date.now())))
  }
  const watch = new MutationObserver(look)
  watch.observe(document, { childList: true, subtree: true, characterData: true })
  look()
}), [selector, text])

// ---- What a first visit loads.
{
  const index = readFileSync(new URL('dist/index.html', app), 'utf8')
  const scripts = [...index.matchAll(/assets\/[^"]+\.js/g)].map(([file]) => statSync(new URL(`dist/${file}.gz`, app)).size)
  const size = scripts.reduce((sum, one) => sum + one, 0)
  tell('desk, first load, scripts gzipped', '≤ 150 KB', `${Math.round(size / 1000)} KB`, size <= 150_000)
}

// ---- 100 rows, not slowed down: from the answer to what can be used.
{
  const server = await serve({ interactions: Array.from({ length: 100 }, (_, n) => interaction(n)), messages: 3 })
  const times = []
  for (let turn = 0; turn < 5; turn += 1) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' })
    const page = await context.newPage()
    await page.addInitScript(() => {
      const watch = new MutationObserver(() => {
        if (document.querySelectorAll('.list .row').length < 100) return
        watch.disconnect()
        // Free for a click.
        requestAnimationFrame(() => setTimeout(() => (window.usable = performance.now())))
      })
      watch.observe(document, { childList: true, subtree: true })
    })
    await page.goto(`${server.url}/console/desk`)
    await page.waitForFunction(() => window.usable)
    times.push(await page.evaluate(() => window.usable - performance.getEntriesByType('resource').find((it) => it.name.endsWith('/agent/interactions')).responseEnd))
    await context.close()
  }
  server.close()
  tell('100 rows, usable after the answer', '≤ 100 ms', ms(quantile(times, 0.5)), quantile(times, 0.5) <= 100)
}

// ---- From a frame of the socket to the picture.
{
  const server = await serve({})
  const { page, context, worked } = await open(server.url)
  const times = []
  let work = 0
  for (let n = 0; n < 40; n += 1) {
    const offered = interaction(500 + n, { agent: null, offer: { id: 1, until: new Date(Date.now() + 60_000).toISOString() } })
    const shown = painted(page, '.offer', offered.customer_name)
    const [before, begun] = [Date.now(), await worked()]
    server.emit({ type: 'offered', interaction: offered, offer: 1, until: offered.offer.until, notification: { text: offered.customer_name, sound: false } })
    times.push((await shown) - before)
    work += (await worked()) - begun
    server.emit({ type: 'withdrawn', interaction: offered.id, offer: 1 })
    await page.locator('.offer').waitFor({ state: 'detached' })
  }
  await context.close()
  server.close()
  const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)]
  tell('frame → offer painted', 'p50 ≤ 30 ms, p95 ≤ 60', `${ms(p50)}, ${ms(p95)} (${ms(work / times.length)} each)`, p50 <= 30 && p95 <= 60)
}

// ---- A thread of 10,000 messages.
{
  const server = await serve({ interactions: [interaction(1), interaction(2)], messages: 10_000 })
  const { page, context, worked } = await open(server.url)
  const [times, works] = [[], []]
  for (const n of [1, 2]) {
    const opened = painted(page, `.bubble[id^="msg_${String(n).padStart(6, '0')}"] .text`, 'Message 9999')
    const [before, work] = [Date.now(), await worked()]
    await page.locator('.list .row').filter({ hasText: `Customer ${n}` }).click()
    times.push((await opened) - before)
    works.push((await worked()) - work)
  }
  const scrolled = await worked()
  const frames = await page.evaluate(() => new Promise((resolve) => {
    const [box, found] = [document.querySelector('[role=log]'), []]
    let last
    function step(now) {
      if (last !== undefined) found.push(now - last)
      last = now
      if (found.length === 300) return resolve(found)
      // As fast as a wheel that is turned without a pause.
      box.scrollTop -= 120
      requestAnimationFrame(step)
    }
    requestAnimationFrame(step)
  }))
  const each = ((await worked()) - scrolled) / frames.length
  await context.close()
  server.close()
  tell('10,000 messages: opened', '≤ 300 ms', `${ms(Math.max(...times))} (${ms(Math.max(...works))})`, Math.max(...times) <= 300)
  tell('10,000 messages: a frame of scrolling, p95', '≤ 35 ms', `${ms(quantile(frames, 0.95))} (${ms(each)} each)`, quantile(frames, 0.95) <= 35)
}

/** What happens on a busy day, in turn: messages, their states, changes of the conversations. */
function happens(server, count, begin) {
  const all = server.state.interactions
  for (let n = begin; n < begin + count; n += 1) {
    const it = all[n % all.length]
    if (n % 3 === 0) server.emit({ type: 'message', message: message(it.id, 1000 + n) })
    else if (n % 3 === 1) server.emit({ type: 'message_state', message: message(it.id, 1000 + n - 1, { version: 2, state: 'read' }) })
    else server.emit({ type: 'interaction', interaction: Object.assign(it, { version: it.version + 1, last_message_at: new Date().toISOString() }) })
  }
}

// ---- 2,000 events that were missed.
{
  const server = await serve({ interactions: Array.from({ length: 20 }, (_, n) => interaction(n)), messages: 50 })
  const { page, context, worked } = await open(server.url)
  // Every thread of the list is there.
  await page.waitForLoadState('networkidle')
  server.cut(true)
  await page.getByText(/^No connection since/).waitFor()
  happens(server, 2000, 0)
  server.emit({ type: 'presence', state: 'paused', reason: 'The last of the missed' })
  // From the first of them on; each picture in which the list has changed counts.
  await page.evaluate(() => {
    window.pictures = 0
    let asked = false
    const list = new MutationObserver(() => {
      if (asked) return
      asked = true
      requestAnimationFrame(() => { asked = false; window.pictures += 1 })
    })
    list.observe(document.querySelector('.list'), { childList: true, subtree: true, characterData: true })
    const read = window.fetch
    window.fetch = async (url, ...more) => {
      const answer = await read(url, ...more)
      if (/\/events\?/.test(String(url))) window.first ??= Date.now()
      return answer
    }
  })
  const done = painted(page, '.presence', 'The last of the missed')
  server.cut(false)
  const work = await worked()
  await page.evaluate(() => dispatchEvent(new Event('online')))
  const end = await done
  const busy = (await worked()) - work
  const [first, pictures] = await page.evaluate(() => [window.first, window.pictures])
  await context.close()
  server.close()
  tell('2,000 missed events applied', '≤ 300 ms, one picture', `${ms(end - first)} (${ms(busy)}), ${pictures}`, end - first <= 300 && pictures <= 1)
}

// ---- What is left in memory of 20,000 events.
{
  const server = await serve({ interactions: Array.from({ length: 100 }, (_, n) => interaction(n)), messages: 100 })
  const { page, devtools, context } = await open(server.url, 1)
  await page.waitForLoadState('networkidle')
  const heap = async () => {
    for (let turn = 0; turn < 3; turn += 1) await devtools.send('HeapProfiler.collectGarbage')
    return (await devtools.send('Runtime.getHeapUsage')).usedSize
  }
  const before = await heap()
  for (let n = 0; n < 20_000; n += 500) {
    happens(server, 500, n)
    server.emit({ type: 'presence', state: 'paused', reason: `After ${n}` })
    await page.locator('.presence').getByText(`After ${n}`, { exact: true }).waitFor()
  }
  const after = await heap()
  await context.close()
  server.close()
  const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
  tell('heap after 20,000 events', '≤ 1.5 ×', `${(after / before).toFixed(2)} × (${mb(before)} → ${mb(after)})`, after / before <= 1.5)
}

// ---- From a webhook to the picture, through everything.
if (existsSync(new URL('../../../.local/endpoints.json', app))) {
  const { ask, closes, customersWrite, endpoints } = await import('../stories/kit/story.mjs')
  const page = await (await browser.newContext({ locale: 'en-GB' })).newPage()
  await page.goto(`${endpoints.console}/desk`)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.getByRole('button', { name: /^anna/ }).click()
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  const times = []
  for (let n = 0; n < 20; n += 1) {
    const [from, name] = [`+39332${String(Date.now()).slice(-7)}`, `Goal ${Date.now()}`]
    const shown = painted(page, '.offer', name)
    const before = Date.now()
    await customersWrite([{ from, name, text: 'Hello' }])
    times.push((await shown) - before)
    await page.locator('.offer').filter({ hasText: name }).getByRole('button', { name: 'Accept' }).click()
    await page.waitForURL(/\/desk\/int_/)
    await closes(page.url().split('/').at(-1))
    await page.goto(`${endpoints.console}/desk`)
    await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  }
  const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)]
  tell('webhook → offer painted', 'p50 ≤ 700 ms, p95 ≤ 1 s', `${ms(p50)}, ${ms(p95)}`, p50 <= 700 && p95 <= 1000)
} else {
  console.error('webhook → offer painted: left out, no cargo local is up')
}

await browser.close()
console.log(['| | goal | measured | met |', '|---|---|---|---|', ...rows].join('\n'))
