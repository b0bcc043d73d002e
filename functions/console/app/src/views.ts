/** The views of the console. A view is a line here: its routes are loaded when somebody goes there. */
import type { RouteRecordRaw } from 'vue-router'
import type { Me } from './api'
import type { Key } from './i18n'
import DeskView from './desk/DeskView.vue'
import { supervise } from './supervise/routes'

export type Role = Me['role']
/** Each may do what those before it may. */
const ROLES: Role[] = ['agent', 'supervisor', 'admin', 'owner']
export const atLeast = (role: Role, least: Role) => ROLES.indexOf(role) >= ROLES.indexOf(least)

export interface View {
  label: Key
  /** Others never see it. */
  least: Role
  /** Those above have a view that does more. */
  most?: Role
  path: string
  route: RouteRecordRaw
}

export const VIEWS: View[] = [
  { label: 'desk', least: 'agent', path: '/desk', route: { path: '/desk/:id?', component: DeskView, name: 'desk' } },
  { label: 'interactions', least: 'agent', most: 'agent', path: '/conversations', route: { path: '/conversations', component: () => import('./desk/ConversationsView.vue') } },
  { label: 'supervise', least: 'supervisor', path: '/supervise', route: supervise },
  { label: 'configure', least: 'supervisor', path: '/configure', route: { path: '/configure/:rest(.*)*', component: () => import('./configure/ConfigureView.vue') } }
]

/** Pages that everybody has, beside the views. */
export const PAGES: RouteRecordRaw[] = [
  { path: '/notifications', component: () => import('./NotificationsView.vue') },
  { path: '/preferences', component: () => import('./PreferencesView.vue') }
]

/** The views of a person. A desk without WhatsApp has nothing to do: only who has no other view sees it. */
export const viewsOf = (me: Pick<Me, 'role' | 'whatsapp'>) =>
  VIEWS.filter((view) => atLeast(me.role, view.least) && (!view.most || atLeast(view.most, me.role)) && (view.path !== '/desk' || me.whatsapp || me.role === 'agent'))

/** The view that an address belongs to. */
export const viewOf = (path: string) => VIEWS.find((view) => path === view.path || path.startsWith(`${view.path}/`))
