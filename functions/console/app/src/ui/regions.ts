/** F6 goes from one part of the screen to the next, Shift+F6 back. */
const REGIONS = 'header.top, .list, .main, .side, nav.sub, .screen, .page, .cnav, .cmain'
const FOCUSABLE = 'a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), [tabindex="0"]'

const isShown = (element: HTMLElement) => element.checkVisibility({ visibilityProperty: true })

/** The place after `at` of `count` places, `by` steps on; from nowhere the first or the last. */
export const next = (count: number, at: number, by: 1 | -1) => (at < 0 ? (by > 0 ? 0 : count - 1) : (at + by + count) % count)

export function goOn(by: 1 | -1) {
  // A dialog is a screen of its own.
  if (document.querySelector('dialog[open]')) return
  const all = [...document.querySelectorAll<HTMLElement>(REGIONS)].filter((region) => isShown(region))
  // A region inside another one is left out: `.main` of the desk is in no other.
  const outer = all.filter((region) => !all.some((other) => other !== region && other.contains(region)))
  if (outer.length === 0) return
  const to = outer[next(outer.length, outer.findIndex((region) => region.contains(document.activeElement)), by)]!
  // Where people write first, then what can be pressed first.
  const first = [...to.querySelectorAll<HTMLElement>('textarea:not(:disabled)'), ...to.querySelectorAll<HTMLElement>(FOCUSABLE)].find(isShown)
  if (first) return first.focus()
  to.tabIndex = -1
  to.focus()
}
