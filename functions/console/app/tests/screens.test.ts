import { readFileSync, readdirSync } from 'node:fs'
import type { RouteRecordRaw } from 'vue-router'
import { expect, it, vi } from 'vitest'

interface Kit { SCREENS: string[]; shows: (screen: string, path: string) => boolean }
// The stories are plain JavaScript.
const { SCREENS, shows }: Kit = await import(/* @vite-ignore */ new URL('../stories/kit/screens.mjs', import.meta.url).href)

// What is looked at is the addresses, not the screens.
vi.mock('../src/desk/DeskView.vue', () => ({ default: {} }))
vi.mock('../src/Login.vue', () => ({ default: {} }))
vi.stubGlobal('document', { baseURI: 'https://example.com/console/', documentElement: {}, addEventListener: () => undefined, createElement: () => ({}) })
vi.stubGlobal('localStorage', { getItem: () => null })
vi.stubGlobal('navigator', { languages: ['en-GB'], language: 'en-GB' })
const { ROUTES } = await import('../src/routes')
const { KINDS } = await import('../src/configure/kinds')
const { PLACES } = await import('../src/configure/places')
const { ACCOUNT_PAGES } = await import('../src/configure/accounts/sections')

/** Those of the router, where a parameter that may be missing makes two. */
const addresses = (route: RouteRecordRaw, before = ''): string[] => {
  const path = [before, route.path].filter(Boolean).join('/')
  if (route.redirect || path.includes(':rest')) return []
  if (route.children?.length) return route.children.flatMap((child) => addresses(child, path))
  return path.endsWith('?') ? [path.replace(/\/:\w+\?$/, ''), path.slice(0, -1)] : [path]
}
/** Configure has its own: a list, and a form for each of a kind; an account has pages. */
const configured = PLACES.flatMap(({ path }) => [`/configure/${path}`, ...(KINDS.some((kind) => kind.name === path) ? [`/configure/${path}/:id`] : [])])
const accounts = ['/configure/accounts/new', ...ACCOUNT_PAGES.filter((page) => page.path !== 'general').map((page) => `/configure/accounts/:id/${page.path}`)]
const all = [...ROUTES.flatMap((route) => addresses(route)), ...configured, ...accounts]

const folder = new URL('../stories/', import.meta.url)
const stories = readdirSync(folder).filter((file) => file.endsWith('.mjs')).map((file) => readFileSync(new URL(file, folder), 'utf8'))
const named = stories.flatMap((story) => [...story.matchAll(/accessible\('[^']+', '([^']+)'\)/g)].map(([, screen]) => screen!))

it('has each screen checked by axe in a story', () => {
  expect([...new Set([...named, ...SCREENS])].sort()).toEqual([...new Set(all)].sort())
})
it('visits no screen that another story checks', () => {
  expect(SCREENS.filter((screen) => named.includes(screen))).toEqual([])
})
it('takes no other address for a screen', () => {
  expect([shows('/desk/:id', '/desk/int_1'), shows('/desk', '/desk/int_1'), shows('/desk/:id', '/desk'), shows('/configure/tags', '/configure/tags')]).toEqual([true, false, false, true])
})
