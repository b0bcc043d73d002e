/**
 * Pictures, stickers, videos and voice messages of a thread, played against `cargo local`: they have their room before
 * they are loaded, and one call for all of their links. `node stories/media.mjs`; see kit/story.mjs.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ask, closes, customersWrite, endpoints, nothingOpen, story } from './kit/story.mjs'

const run = String(Date.now()).slice(-6)
const customer = { from: `+39335${run}`, name: `Media ${run}` }
const sample = (name) => readFileSync(new URL(`../../../../shared/measures/samples/${name}`, import.meta.url))

/** A photo-like picture: it has grain, so no format makes it small. */
const paint = (page, width, height, type) => page.evaluate(async ([width, height, type]) => {
  const canvas = new OffscreenCanvas(width, height)
  const on = canvas.getContext('2d')
  if (type !== 'image/webp') {
    const sky = on.createLinearGradient(0, 0, width, height)
    for (const [at, colour] of [[0, '#7fb4d8'], [0.5, '#e9d8b4'], [1, '#3d5a45']]) sky.addColorStop(at, colour)
    on.fillStyle = sky
    on.fillRect(0, 0, width, height)
  }
  on.fillStyle = '#c8553d'
  on.beginPath()
  on.arc(width / 2, height / 2, Math.min(width, height) / 3, 0, 7)
  on.fill()
  for (let n = 0; n < width * height / 40; n += 1) {
    on.fillStyle = `rgba(${n % 255}, ${(n * 7) % 255}, ${(n * 13) % 255}, 0.3)`
    if (type !== 'image/webp') on.fillRect((n * 7919) % width, (n * 104729) % height, 3, 3)
  }
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type, quality: 0.9 })).arrayBuffer())
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}, [width, height, type]).then((text) => Buffer.from(text, 'base64'))

await story('media', async ({ page, accessible, logIn, expects }) => {
  // A link that has expired.
  expects(/403/)
  await nothingOpen()
  await page.goto(`${endpoints.console}/desk`)
  await logIn('anna')
  await page.getByRole('heading', { name: /^Mine/ }).waitFor()
  await ask('agents.anna', 'PUT', 'api', '/presence', { state: 'ready' })
  await customersWrite([{ ...customer, text: 'Here are the pictures of the parcel' }])
  await page.getByRole('article').filter({ hasText: customer.name }).getByRole('button', { name: 'Accept' }).click()
  const thread = page.getByRole('log')
  await thread.getByText('Here are the pictures').waitFor()
  const id = page.url().split('/').at(-1)

  const files = [
    ['landscape.jpg', 'image/jpeg', await paint(page, 1600, 1200, 'image/jpeg')],
    ['portrait.jpg', 'image/jpeg', await paint(page, 1200, 1600, 'image/jpeg')],
    ['panorama.jpg', 'image/jpeg', await paint(page, 3000, 300, 'image/jpeg')],
    ['tiny.png', 'image/png', await paint(page, 24, 16, 'image/png')],
    // Its head says what it is, and the rest is lost.
    ['broken.jpg', 'image/jpeg', Buffer.concat([(await paint(page, 800, 600, 'image/jpeg')).subarray(0, 700), Buffer.alloc(300)])],
    ['sticker.webp', 'image/webp', await paint(page, 512, 512, 'image/webp')],
    ['video.mp4', 'video/mp4', sample('video.mp4')],
    ['voice.ogg', 'audio/ogg; codecs=opus', sample('voice.ogg')]
  ].map(([name, type, bytes]) => ({ name, type, bytes }))
  for (const file of files) {
    await customersWrite([{ ...customer, file }])
    await page.waitForTimeout(50)
  }
  const stored = async () => (await ask('agents.anna', 'GET', 'api', `/interactions/${id}/messages?newest=true`)).items.flatMap((it) => it.attachments ?? [])
  while ((await stored()).filter((it) => it.state === 'stored').length < files.length) await page.waitForTimeout(200)
  const known = await stored()
  const of = (width, height) => known.find((it) => it.width === width && it.height === height)
  for (const [width, height] of [[1600, 1200], [1200, 1600], [3000, 300], [24, 16], [512, 512]]) assert.ok(of(width, height), `${width} × ${height}`)
  assert.deepEqual(known.filter((it) => it.duration).map((it) => [it.kind, it.duration]).sort(), [['video', 2], ['voice', 3]])

  // The thread is opened anew. Its pictures come late and move nothing, and one call has all links.
  const asked = []
  page.on('request', (request) => { if (/\/attachments/.test(request.url())) asked.push(new URL(request.url()).pathname.split('/agent')[1]) })
  let letGo
  const later = new Promise((resolve) => (letGo = resolve))
  await page.route('**/*', async (route) => {
    if (route.request().resourceType() === 'image') await later
    return route.continue()
  })
  await page.reload()
  await thread.locator('.sound audio').waitFor()
  await thread.locator('.media img').nth(2).waitFor({ state: 'attached' })
  const rooms = () => page.evaluate(() => [...document.querySelectorAll('[role=log] .media')].map((it) => [it.closest('.bubble').id, `${it.clientWidth} × ${it.clientHeight}`]))
  const before = await rooms()
  assert.ok(before.length > 3)
  letGo()
  await page.waitForFunction(() => [...document.querySelectorAll('[role=log] .media img')].filter((it) => it.naturalWidth > 0).length >= 3)
  // What can't be shown becomes a file.
  await thread.getByRole('button', { name: /^File/ }).waitFor()
  const after = new Map(await rooms())
  assert.deepEqual(before.filter(([message, room]) => after.get(message) !== room).map(([, room]) => room), ['280 × 210'])
  await page.unroute('**/*')
  assert.deepEqual([...new Set(asked)], [`/interactions/${id}/attachments`], asked.join(' '))

  // How long it plays is said before it does.
  await thread.locator('.sound').getByText('0:03').waitFor()
  await thread.locator('.media .length').getByText('0:02').waitFor()

  await accessible('media', '/desk/:id')
  await thread.press('Home')
  await thread.getByText('Here are the pictures').waitFor()
  await page.waitForFunction(() => [...document.querySelectorAll('[role=log] .media img')].filter((it) => it.naturalWidth > 0).length >= 2)
  await accessible('media-top')
  // Large ones are shown small.
  const shown = await page.evaluate(() => [...document.querySelectorAll('[role=log] .media img')].map((it) => [it.naturalWidth, it.naturalHeight]))
  assert.ok(shown.some(([width, height]) => width === 320 && height === 240), JSON.stringify(shown))

  // A click shows all of it.
  await thread.getByRole('button', { name: 'Open Photo' }).first().click()
  const dialog = page.getByRole('dialog')
  await dialog.locator('img').waitFor()
  await page.waitForFunction(() => document.querySelector('dialog img')?.naturalWidth === 1600)
  await dialog.getByRole('button', { name: 'Download' }).waitFor()
  await accessible('picture')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })

  // A link that has expired is asked for again.
  let refused
  await page.route('**/*', async (route) => {
    const request = route.request()
    if (request.resourceType() !== 'image' || (refused && refused !== request.url())) return route.continue()
    refused = request.url()
    // A link that is made in the same second is the same.
    await page.waitForTimeout(1100)
    return route.fulfill({ status: 403 })
  })
  await page.reload()
  while (!refused) await page.waitForTimeout(50)
  await page.waitForFunction((refused) => {
    const shown = [...document.querySelectorAll('[role=log] .media img')].find((it) => new URL(it.src).pathname === new URL(refused).pathname)
    return shown && shown.src !== refused && shown.naturalWidth > 0
  }, refused)
  await page.unroute('**/*')
  await closes(id)
})
