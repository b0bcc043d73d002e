/** Offers, told by the system while nobody sees the page. */
export interface Notice {
  close(): void
}
export interface Screen {
  /** Whether this window's page is in view. */
  isSeen(): boolean
  show(id: string, title: string): Notice | undefined
}

export class Notices {
  private readonly shown = new Map<string, Notice>()

  constructor(private readonly screen: Screen) {}

  /** The offers that ring now. One is told once; what is over, or seen, disappears. */
  update(offers: { id: string; title: string }[]) {
    const seen = this.screen.isSeen()
    for (const [id, notice] of this.shown) {
      if (!seen && offers.some((offer) => offer.id === id)) continue
      notice.close()
      this.shown.delete(id)
    }
    if (seen) return
    for (const { id, title } of offers) {
      if (this.shown.has(id)) continue
      const notice = this.screen.show(id, title)
      if (notice) this.shown.set(id, notice)
    }
  }
}

/** The system's own, where the person has allowed them. Several windows show one: it has the offer's name. */
export function systemScreen(wanted: () => boolean, go: () => void): Screen {
  return {
    isSeen: () => !document.hidden,
    show(id, title) {
      if (!wanted() || !('Notification' in window) || Notification.permission !== 'granted') return undefined
      try {
        const notice = new Notification(title, { tag: id, icon: document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href, silent: true })
        notice.onclick = () => {
          window.focus()
          go()
          notice.close()
        }
        return notice
      } catch {
        // A browser that has them in service workers only.
        return undefined
      }
    }
  }
}

/** Asked in a gesture, once: who has answered is not asked again by the browser. */
export function askForNotices(wanted: boolean) {
  if (wanted && 'Notification' in window && Notification.permission === 'default') void Notification.requestPermission().catch(() => undefined)
}
