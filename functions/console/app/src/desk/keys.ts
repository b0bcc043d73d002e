/** Keyboard shortcuts: Alt and a key by its position. */
import type { Key } from '../i18n'
import type { Desk } from './desk'

/** What may be done with the open conversation now; `code` is the letter of its shortcut. */
export interface Act {
  code: string
  label: Key
  run: () => void
}

/** What a shortcut asks of the open conversation. */
export interface Acts {
  available(): Act[]
}

/** The letters with what they do. */
export const KEYS: [string, Key][] = [
  ['A', 'accept'], ['X', 'reject'], ['J / K', 'keyNext'], ['Q', 'keyUnread'], ['M', 'keyNote'], ['C', 'canned'], ['L', 'templateOne'],
  ['G', 'tags'], ['O', 'transfer'], ['W', 'close'], ['P', 'presence']
]
export const GLOBAL_KEYS: [string, Key][] = [['Ctrl K', 'palette'], ['Ctrl /', 'keys'], ['F6', 'keyRegion'], ['Shift F6', 'keyRegionBack'], ['Esc', 'keyEscape']]

/** Carries out a shortcut; false: it is none. */
export function act(code: string, desk: Desk, open: string | undefined, conversation: Acts | null | undefined): boolean {
  const offer = desk.offers.value[0]?.interaction.id
  const mine = desk.mine.value.map((it) => it.id)
  const step = (by: number) => {
    const at = open ? mine.indexOf(open) : -1
    const next = mine[(at + by + mine.length) % mine.length]
    if (next) void desk.openTab(next)
  }
  switch (code) {
    case 'KeyA': if (offer) void desk.accept(offer); return true
    case 'KeyX': if (offer) void desk.reject(offer); return true
    case 'KeyJ': step(1); return true
    case 'KeyK': step(-1); return true
    case 'KeyQ': {
      const unread = mine.find((id) => desk.unseen.get(id))
      if (unread) void desk.openTab(unread)
      return true
    }
    case 'KeyG': document.querySelector<HTMLElement>('[data-tags]')?.focus(); return true
    case 'KeyP': document.querySelector<HTMLElement>('.presence > .btn')?.click(); return true
    case 'KeyM': case 'KeyC': case 'KeyL': case 'KeyO': case 'KeyW':
      conversation?.available().find((it) => `Key${it.code}` === code)?.run()
      return true
    default: return false
  }
}
