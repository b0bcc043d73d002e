/**
 * The screens on which no other story has anything to do, looked at by axe in light and dark against `cargo local`, as
 * the owner. `node stories/screens.mjs`; see kit/story.mjs and kit/screens.mjs. Of the ten stories of the console, a
 * part of 10: axe without findings, every screen.
 */
import assert from 'node:assert/strict'
import { administers, configured, endpoints, goes, story } from './kit/story.mjs'
import { SCREENS } from './kit/screens.mjs'

/** What is there after a click only. */
const MORE = { '/configure/prices': ['Add a price'] }

await story('the other screens', async ({ page, accessible, button, logIn }) => {
  // A list with nothing in it has less to look at.
  await configured('/pauses', { name: 'Lunch' })
  await configured('/tags', { tag: 'refund' })
  await configured('/dispositions', { name: 'Sold/Online' })
  await configured('/canned-answers', { title: 'Opening hours', text: 'We are open from 9 to 18.' })
  await configured('/contact-fields', { name: 'Customer number' })
  if ((await administers('GET', '/triggers?limit=1')).items.length === 0) await administers('POST', '/triggers', { name: 'Many wait', active: false, url: 'https://example.com/hook', events: ['interaction.opened'] })
  const first = async (kind) => (await administers('GET', `/${kind === 'answers' ? 'canned-answers' : kind}?limit=1`)).items[0].id

  await page.goto(`${endpoints.console}/login`)
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor()
  await accessible('login', '/login')
  // Whoever may change everything has the most to look at.
  await logIn('owner')
  await page.locator('main').first().waitFor()
  for (const screen of SCREENS) {
    const path = screen.includes(':id') ? screen.replace(':id', await first(screen.split('/')[2])) : screen
    await goes(page, path)
    await page.locator('main h2').first().waitFor()
    await page.waitForFunction(() => !document.querySelector('main :is(.skeleton, [aria-busy=true])'))
    for (const name of MORE[screen] ?? []) await button(name).click()
    assert.equal(await page.getByRole('main').getByText('This does not exist').count(), 0, path)
    await accessible(screen.slice(1).replaceAll('/', '-').replace(':', ''), screen)
  }
})
