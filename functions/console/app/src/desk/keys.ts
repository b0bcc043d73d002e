/** Keyboard shortcuts: Alt and a key by its position. */
import type { Desk } from './desk'

/** What a shortcut asks of the open conversation. */
export interface Acts {
  toggleNote(): void
  canned(): void
  transfer(): void
  close(): void
}

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
    case 'KeyM': conversation?.toggleNote(); return true
    case 'KeyC': conversation?.canned(); return true
    case 'KeyO': conversation?.transfer(); return true
    case 'KeyW': conversation?.close(); return true
    default: return false
  }
}
