/** Every address of the console. `tests/screens.test.ts` holds the stories against them. */
import type { RouteRecordRaw } from 'vue-router'
import Login from './Login.vue'
import { PAGES, VIEWS } from './views'

export const ROUTES: RouteRecordRaw[] = [
  { path: '/login', component: Login },
  ...VIEWS.map((view) => view.route),
  ...PAGES,
  { path: '/:rest(.*)*', redirect: '/desk' }
]
