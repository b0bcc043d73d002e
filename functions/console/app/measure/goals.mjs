/**
 * Measures the goals of the console in a Chromium, and prints them as a table: `CHROMIUM=… node measure/goals.mjs`, after
 * `cargo console`. The browser's part alone is measured against measure/server.mjs, with the CPU slowed four times; the
 * way from a webhook to the screen against a `cargo local` that is up in this folder (left out where none is). Each is
 * measured several times, in pages of their own, and the median counts. In brackets stands how long the page itself has
 * worked. On a machine that has other work, `chrt -r 1 node measure/goals.mjs` lets the browser go before the rest, and
 * the line about the machine tells by how much it is slower than at other times. Names measure some of them only: `rows
 * offer open missed heap webhook`.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { chromium } from 'playwright-core'
import { interaction, message, serve } from './server.mjs'

const app = new URL('../', import.meta.url)
const RUNS = Number(process.env.RUNS ?? 5)
const wanted = process.argv.slice(2)
const measures = (name) => wanted.length === 0 || wanted.includes(name)
const rows = []
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]
const median = (values) => quantile(values, 0.5)
const ms = (value) => `${Math.round(value)} ms`
function tell(what, goal, found, met) {
  rows.push(`| ${what} | ${goal} | ${found} | ${met ? 'yes' : 'no'} |`)
  console.error(`${what}: ${found}`)
}
async function repeated(measure) {
  const found = []
  for (let run = 0; run < RUNS; run += 1) found.push(await measure())
  return found
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
/** What a page itself measures with: no question of this script's takes part of its time. */
function instruments() {
  /** Calls back after the first picture in which `seen` is true. */
  window.whenPainted = (seen, then) => {
    const look = () => {
      if (!seen()) return
      watch.disconnect()
      requestAnimationFrame(() => setTimeout(() => then(performance.timeOrigin + performance.now())))
    }
    const watch = new MutationObserver(look)
    watch.observe(document, { childList: true, subtree: true, characterData: true })
    look()
  }
}
async function pageOf(slowed = 4) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' })
  const page = await context.newPage()
  await page.addInitScript(instruments)
  const devtools = await context.newCDPSession(page)
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
  /** Milliseconds that the page's main thread has worked: what it takes however busy the machine is otherwise. */
  const worked = async () => (await devtools.send('Performance.getMetrics')).metrics.find((it) => it.name === 'TaskDuration').value * 1000
  const open = async (url) => {
    await page.goto(`${url}/console/desk`)
    await page.getByRole('heading', { name: /^Mine/ }).waitFor()
    // Every thread of the list is there.
    await page.waitForLoadState('networkidle')
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: slowed })
  }
  return { page, devtools, context, worked, open }
}

// ---- The machine, and how fast it is at the moment.
{
  const { page, context } = await pageOf()
  const times = []
  for (let turn = 0; turn < 5; turn += 1) times.push(await page.evaluate(() => {
    const begun = performance.now()
    let sum = 0
    for (let n = 0; n < 2e8; n += 1) sum = (sum + n * 31) | 0
    return performance.now() - begun + (sum & 0)
  }))
  await context.close()
  const [{ model }, count] = [cpus()[0], cpus().length]
  console.log(`${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, ${count} × ${model}, Chromium ${browser.version()}, Node ${process.versions.node}; load ${loadavg()[0].toFixed(1)}; 200 million additions take ${ms(Math.min(...times))}.\n`)
}

// ---- What a first visit loads.
{
  const index = readFileSync(new URL('dist/index.html', app), 'utf8')
  const scripts = [...index.matchAll(/assets\/[^"]+\.js/g)].map(([file]) => statSync(new URL(`dist/${file}.gz`, app)).size)
  const size = scripts.reduce((sum, one) => sum + one, 0)
  tell('desk, first load, scripts gzipped', '≤ 150 KB', `${Math.round(size / 1000)} KB`, size <= 150_000)
}

// ---- 100 rows, not slowed down: from the answer to what can be used.
if (measures('rows')) {
  const server = await serve({ interactions: Array.from({ length: 100 }, (_, n) => interaction(n)), messages: 3 })
  const times = await repeated(async () => {
    const { page, context } = await pageOf()
    // Free for a click.
    await page.addInitScript(() => window.whenPainted(() => document.querySelectorAll('.list .row').length >= 100, (at) => (window.usable = at - performance.timeOrigin)))
    await page.goto(`${server.url}/console/desk`)
    await page.waitForFunction(() => window.usable)
    const time = await page.evaluate(() => window.usable - performance.getEntriesByType('resource').find((it) => it.name.endsWith('/agent/interactions')).responseEnd)
    await context.close()
    return time
  })
  server.close()
  tell('100 rows, usable after the answer', '≤ 100 ms', ms(median(times)), median(times) <= 100)
}

// ---- From a frame of the socket to the picture.
if (measures('offer')) {
  const server = await serve({})
  const { page, context, worked, open } = await pageOf()
  await open(server.url)
  const times = []
  const begun = await worked()
  for (let n = 0; n < 40; n += 1) {
    const offered = interaction(500 + n, { agent: null, offer: { id: 1, until: new Date(Date.now() + 60_000).toISOString() } })
    await page.evaluate((name) => window.whenPainted(() => document.querySelector('.offer')?.textContent.includes(name), (at) => (window.shown = at)), offered.customer_name)
    const before = Date.now()
    server.emit({ type: 'offered', interaction: offered, offer: 1, until: offered.offer.until, notification: { text: offered.customer_name, sound: false } })
    const shown = await page.waitForFunction(() => window.shown)
    times.push((await shown.jsonValue()) - before)
    await page.evaluate(() => (window.shown = undefined))
    server.emit({ type: 'withdrawn', interaction: offered.id, offer: 1 })
    await page.locator('.offer').waitFor({ state: 'detached' })
  }
  const each = ((await worked()) - begun) / times.length
  await context.close()
  server.close()
  const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)]
  tell('frame → offer painted', 'p50 ≤ 30 ms, p95 ≤ 60', `${ms(p50)}, ${ms(p95)} (${ms(each)} each, with its withdrawal)`, p50 <= 30 && p95 <= 60)
}

// ---- A thread of 10,000 messages.
if (measures('open')) {
  const server = await serve({ interactions: [interaction(1), interaction(2)], messages: 10_000 })
  const found = await repeated(async () => {
    const { page, context, worked, open } = await pageOf()
    await open(server.url)
    const opened = []
    for (const n of [1, 2]) {
      await page.evaluate((of) => {
        window.opened = undefined
        addEventListener('click', (event) => {
          const shown = () => [...document.querySelectorAll(`.bubble[id^="msg_${of}"] .text`)].some((it) => it.textContent.includes('Message 9999'))
          window.whenPainted(shown, (at) => (window.opened = at - performance.timeOrigin - event.timeStamp))
        }, { capture: true, once: true })
      }, String(n).padStart(6, '0'))
      await page.locator('.list .row').filter({ hasText: `Customer ${n}` }).click()
      opened.push(await (await page.waitForFunction(() => window.opened)).jsonValue())
      // What is read beside it, and the sound of the first gesture.
      await page.waitForTimeout(1000)
    }
    const before = await worked()
    const frames = await page.evaluate(() => new Promise((resolve) => {
      const [box, found] = [document.querySelector('[role=log]'), []]
      let [last, top] = [undefined, box.scrollTop]
      function step(now) {
        if (last !== undefined) found.push(now - last)
        last = now
        if (found.length === 300) return resolve(found)
        // As fast as a wheel that is turned without a pause. Pages that are put before it move it down.
        top = Math.max(top, box.scrollTop) - 120
        box.scrollTop = top
        requestAnimationFrame(step)
      }
      requestAnimationFrame(step)
    }))
    const each = ((await worked()) - before) / frames.length
    await context.close()
    return { opened, p95: quantile(frames, 0.95), each }
  })
  server.close()
  const [first, other] = [0, 1].map((at) => median(found.map((it) => it.opened[at])))
  tell('10,000 messages: opened (the first, another)', '≤ 300 ms', `${ms(first)}, ${ms(other)}`, Math.max(first, other) <= 300)
  const p95 = median(found.map((it) => it.p95))
  tell('10,000 messages: a frame of scrolling, p95', '≤ 35 ms', `${ms(p95)} (${ms(median(found.map((it) => it.each)))} each)`, p95 <= 35)
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
if (measures('missed')) {
  const found = await repeated(async () => {
    const server = await serve({ interactions: Array.from({ length: 20 }, (_, n) => interaction(n)), messages: 50 })
    const { page, context, worked, open } = await pageOf()
    await open(server.url)
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
        if (/\/events\?/.test(String(url))) window.first ??= performance.timeOrigin + performance.now()
        return answer
      }
      window.whenPainted(() => document.querySelector('.presence')?.textContent.includes('The last of the missed'), (at) => (window.done = at))
    })
    server.cut(false)
    const before = await worked()
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await page.waitForFunction(() => window.done)
    const work = (await worked()) - before
    const { time, pictures } = await page.evaluate(() => ({ time: window.done - window.first, pictures: window.pictures }))
    await context.close()
    server.close()
    return { time, work, pictures }
  })
  const [time, pictures] = [median(found.map((it) => it.time)), Math.max(...found.map((it) => it.pictures))]
  tell('2,000 missed events applied', '≤ 300 ms, one picture', `${ms(time)} (${ms(median(found.map((it) => it.work)))}), ${pictures}`, time <= 300 && pictures <= 1)
}

// ---- What is left in memory of 20,000 events.
if (measures('heap')) {
  const server = await serve({ interactions: Array.from({ length: 100 }, (_, n) => interaction(n)), messages: 100 })
  const { page, devtools, context, open } = await pageOf(1)
  await open(server.url)
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
if (measures('webhook') && existsSync(new URL('../../../.local/endpoints.json', app))) {
  const { ask, closes, customersWrite, endpoints } = await import('../stories/kit/story.mjs')
  const context = await browser.newContext({ locale: 'en-GB' })
  const page = await context.newPage()
  await page.addInitScript(instruments)
  await page.goto(`${endpoints.console}/desk`)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.getByRole('button', { name: /^anna/ }).click()
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  const times = []
  // The first ones start the functions.
  for (let n = -3; n < 20; n += 1) {
    const [from, name] = [`+39332${String(Date.now()).slice(-7)}`, `Goal ${Date.now()}`]
    await page.evaluate((name) => {
      window.shown = undefined
      window.whenPainted(() => [...document.querySelectorAll('.offer')].some((it) => it.textContent.includes(name)), (at) => (window.shown = at))
    }, name)
    const before = Date.now()
    await customersWrite([{ from, name, text: 'Hello' }])
    const shown = await (await page.waitForFunction(() => window.shown)).jsonValue()
    if (n >= 0) times.push(shown - before)
    // The one before is still shown until this one is.
    const earlier = page.url()
    await page.locator('.offer').filter({ hasText: name }).getByRole('button', { name: 'Accept' }).click()
    await page.waitForURL((url) => /\/desk\/int_/.test(url.href) && url.href !== earlier)
    await closes(page.url().split('/').at(-1))
    await page.getByText(/^Closed/).first().waitFor()
  }
  await context.close()
  const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)]
  tell('webhook → offer painted, on the local engine', 'p50 ≤ 700 ms, p95 ≤ 1 s', `${ms(p50)}, ${ms(p95)}`, p50 <= 700 && p95 <= 1000)
} else if (measures('webhook')) {
  console.error('webhook → offer painted: left out, no cargo local is up')
}

await browser.close()
console.log(['| | goal | measured | met |', '|---|---|---|---|', ...rows].join('\n'))
