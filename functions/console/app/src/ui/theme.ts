/** Light, dark, or what the system says. */
import { ref } from 'vue'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]
export const THEME_NAMES = { system: 'themeSystem', light: 'themeLight', dark: 'themeDark' } as const
const known = (word: string | null): Theme => THEMES.find((theme) => theme === word) ?? 'system'
export const theme = ref<Theme>(known(localStorage.getItem('theme')))

export function applyTheme(wish: Theme = theme.value) {
  theme.value = wish
  if (wish === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = wish
  localStorage.setItem('theme', wish)
}
