import { createApp } from 'vue'
import { createRouter, createWebHistory } from 'vue-router'
import App from './App.vue'
import { use } from './i18n'
import { applyPreferences } from './ui/preferences'
import { applyTheme } from './ui/theme'
import { ROUTES } from './routes'
import './style.css'

const router = createRouter({
  // The page says where the console is.
  history: createWebHistory(new URL(document.baseURI).pathname),
  routes: ROUTES
})

applyTheme()
applyPreferences()
// Without its language's texts the desk is English, and works.
void use().catch(() => use('en')).then(() => createApp(App).use(router).mount('#app'))
