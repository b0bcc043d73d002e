/** Whether the server has another release of this page by now. It is offered, never forced: somebody may be writing. */

/** The scripts that a page names. */
export const scriptsOf = (html: string) => [...html.matchAll(/assets\/[\w.-]+\.js/g)].map(([name]) => name).sort().join()

export function releaseWatch(asks: { page: () => Promise<string | undefined>; own: string; now: () => number }) {
  /** A page that is looked at again and again asks no more often. */
  const EVERY = 10 * 60_000
  let asked = asks.now()
  return async (): Promise<boolean> => {
    if (!asks.own || asks.now() - asked < EVERY) return false
    asked = asks.now()
    const page = await asks.page().catch(() => undefined)
    const found = page === undefined ? '' : scriptsOf(page)
    return found !== '' && found !== asks.own
  }
}

/** This page's own. */
export const newRelease = () => releaseWatch({
  async page() {
    const answer = await fetch(document.baseURI, { cache: 'no-store', signal: AbortSignal.timeout(10_000) })
    return answer.ok ? await answer.text() : undefined
  },
  own: scriptsOf([...document.querySelectorAll<HTMLElement>('script[src], link[rel=modulepreload]')].map((it) => it.outerHTML).join(' ')),
  now: Date.now
})
