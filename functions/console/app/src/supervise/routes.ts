/** The routes of Supervise. Their screens are in files of their own, which agents never load. */
import type { RouteRecordRaw } from 'vue-router'

export const supervise: RouteRecordRaw = {
  path: '/supervise',
  component: () => import('./SuperviseView.vue'),
  children: [
    { path: '', component: () => import('./RealtimeView.vue') },
    { path: 'interactions', component: () => import('./InteractionsView.vue') },
    { path: 'interactions/:id', component: () => import('./SpyView.vue') },
    { path: 'reports', component: () => import('./ReportsView.vue') },
    { path: 'logs', component: () => import('./LogsView.vue') },
    { path: 'jobs', component: () => import('./JobsView.vue') }
  ]
}
