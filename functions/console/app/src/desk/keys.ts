/** Keyboard shortcuts: Alt and a key by its position. */
import { actionOf, type Action, type Preferences } from '../core/preferences'
import type { Key } from '../i18n'
import type { Desk } from './desk'

/** What may be done with the open conversation now; `code` is its action. */
export interface Act {
  code: Action
  label: Key
  run: () => void
}

/** What a shortcut asks of the open conversation. */
export interface Acts {
  available(): Act[]
}

/** The actions with what they do. */
export const KEYS: [Action, Key][] = [
  ['A', 'accept'], ['X', 'reject'], ['J', 'keyNext'], ['K', 'keyPrevious'], ['Q', 'keyUnread'], ['M', 'keyNote'], ['C', 'canned'], ['L', 'templateOne'],
  ['G', 'tags'], ['O', 'transfer'], ['W', 'close'], ['P', 'presence']
]
export const GLOBAL_KEYS: [string, Key][] = [['Ctrl K', 'palette'], ['Ctrl /', 'keys'], ['F6', 'keyRegion'], ['Shift F6', 'keyRegionBack'], ['Esc', 'keyEscape']]

/** Carries out a shortcut; false: it is none. `code` is the key's place: `KeyA`. */
export function act(code: string, keys: Preferences['letters'], desk: Desk, open: string | undefined, conversation: Acts | null | undefined): boolean {
  const offer = desk.offers.value[0]?.interaction.id
  const mine = desk.mine.value.map((it) => it.id)
  const step = (by: number) => {
    const at = open ? mine.indexOf(open) : -1
    const next = mine[(at + by + mine.length) % mine.length]
    if (next) void desk.openTab(next)
  }
  const action = actionOf(keys, code.replace(/^Key/, ''))
  switch (action) {
    case 'A': if (offer) void desk.accept(offer); return true
    case 'X': if (offer) void desk.reject(offer); return true
    case 'J': step(1); return true
    case 'K': step(-1); return true
    case 'Q': {
      const unread = mine.find((id) => desk.unseen.get(id))
      if (unread) void desk.openTab(unread)
      return true
    }
    case 'G': document.querySelector<HTMLElement>('[data-tags]')?.focus(); return true
    case 'P': document.querySelector<HTMLElement>('.presence > .btn')?.click(); return true
    case 'M': case 'C': case 'L': case 'O': case 'W':
      conversation?.available().find((it) => it.code === action)?.run()
      return true
    default: return false
  }
}
