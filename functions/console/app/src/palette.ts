/** Everything that the palette finds: places, conversations, what may be done with the open one, presence, looks. */
import type { Router } from 'vue-router'
import { GROUPS } from './configure/places'
import type { Desk } from './desk/desk'
import { LANGUAGES, choose, t, type Key, type Language } from './i18n'
import { shortcut } from './ui/preferences'
import { THEMES, THEME_NAMES, applyTheme } from './ui/theme'
import { atLeast, viewsOf } from './views'

export interface Command {
  id: string
  text: string
  hint?: string
  run: () => unknown
}

const SUPERVISED: [string, Key][] = [['/supervise', 'realtime'], ['/supervise/interactions', 'interactions'], ['/supervise/reports', 'reports'], ['/supervise/logs', 'logs'], ['/supervise/jobs', 'jobs']]

/** Looks for a customer on the desk. */
export async function findCustomer(desk: Desk, router: Router, words: string) {
  await router.push(desk.open.value ? `/desk/${desk.open.value}` : '/desk')
  desk.finding.value = words
}

export function commands(desk: Desk, router: Router, open: { keys: () => void }): Command[] {
  const found: Command[] = []
  const add = (id: string, text: string, run: () => unknown, hint?: string) => found.push({ id, text, hint, run })
  const views = viewsOf(desk.me)
  const acts = desk.acts.value
  for (const { interaction } of desk.offers.value) {
    add(`accept-${interaction.id}`, t('acceptNamed', { name: desk.nameOf(interaction) }), () => desk.accept(interaction.id), shortcut('A'))
    add(`reject-${interaction.id}`, t('rejectNamed', { name: desk.nameOf(interaction) }), () => desk.reject(interaction.id), shortcut('X'))
  }
  if (acts) {
    for (const act of acts.available()) add(`act-${act.code}`, t(act.label), act.run, shortcut(act.code))
  }
  const key = (account: string) => desk.account(account)?.key
  const onDesk = views.some((view) => view.path === '/desk')
  if (onDesk) {
    for (const it of desk.mine.value) add(it.id, desk.nameOf(it), async () => { await router.push(`/desk/${it.id}`); await desk.openTab(it.id) }, key(it.account))
    for (const it of desk.waiting.value) add(it.id, desk.nameOf(it), () => router.push(`/desk/${it.id}`), t('waiting'))
    add('find', t('findCustomer'), () => findCustomer(desk, router, ''))
  }
  if (desk.me.whatsapp) {
    const state = desk.presence.value?.state
    if (state !== 'ready') add('ready', state === 'logged_out' ? t('startWork') : t('ready'), () => desk.setPresence('ready'), t('presence'))
    for (const reason of desk.me.pauses.length ? desk.me.pauses : [t('paused')]) add(`pause-${reason}`, t('pauseFor', { reason }), () => desk.setPresence('paused', reason), t('presence'))
    if (state !== 'logged_out') add('off', t('stopWork'), () => desk.setPresence('logged_out'), t('presence'))
  }
  for (const view of views) {
    const within = view.path === '/supervise' ? SUPERVISED : view.path === '/configure' ? [] : ([[view.path, view.label]] as [string, Key][])
    for (const [path, label] of within) add(path, t(label), () => router.push(path), view.label === label ? undefined : t(view.label))
    if (view.path !== '/configure') continue
    for (const { path, label, reads } of GROUPS.flatMap((group) => group.entries)) {
      if (atLeast(desk.me.role, reads)) add(`/configure/${path}`, t(label), () => router.push(`/configure/${path}`), t(view.label))
    }
    if (atLeast(desk.me.role, 'admin')) {
      add('connect', t('connectNumber'), () => router.push('/configure/accounts/new'), t(view.label))
      for (const it of desk.me.accounts) add(it.id, `${it.name} (${it.key})`, () => router.push(`/configure/accounts/${it.id}`), t('accountName'))
    }
  }
  for (const theme of THEMES) add(`theme-${theme}`, t(THEME_NAMES[theme]), () => applyTheme(theme), t('theme'))
  for (const [tag, name] of Object.entries(LANGUAGES)) add(`language-${tag}`, name, () => choose(tag as Language), t('language'))
  add('preferences', t('preferences'), () => router.push('/preferences'))
  if (desk.me.whatsapp) add('news', t('news'), () => router.push('/notifications'))
  add('keys', t('keys'), open.keys, 'Ctrl /')
  add('logout', t('logout'), () => desk.leave())
  return found
}
