/** The preferences of this browser, bound to the screen and kept. */
import { reactive, watch } from 'vue'
import { letterOf, parsed, type Action, type Preferences } from '../core/preferences'

const PLACE = 'preferences'
export const preferences = reactive<Preferences>(parsed(null))

/** Reads what was chosen before; from then on each choice holds at once, in all windows. */
export function applyPreferences() {
  const dress = () => { document.documentElement.classList.toggle('comfortable', preferences.comfortable) }
  Object.assign(preferences, parsed(localStorage.getItem(PLACE)))
  dress()
  watch(preferences, () => {
    dress()
    localStorage.setItem(PLACE, JSON.stringify(preferences))
  })
  addEventListener('storage', (event) => { if (event.key === PLACE) Object.assign(preferences, parsed(event.newValue)) })
}

/** `Alt A`, or what this person has chosen for it. */
export const shortcut = (action: string) => `Alt ${letterOf(preferences.letters, action as Action)}`
