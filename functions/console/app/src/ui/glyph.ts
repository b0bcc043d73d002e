/**
 * An icon as one path. A thread draws three of them a message while somebody scrolls, and a component for each would
 * take longer than the message itself.
 */
import type { FunctionalComponent, VNode } from 'vue'
import type { LucideProps } from 'lucide-vue-next'

type Part = [tag: string, values: Record<string, string>]

/** The parts of which Lucide's icons here are made: paths, circles and lines. */
export function path([tag, it]: Part): string {
  if (tag === 'circle') {
    const r = Number(it.r)
    return `M${Number(it.cx) - r} ${it.cy}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`
  }
  if (tag === 'line') return `M${it.x1} ${it.y1}L${it.x2} ${it.y2}`
  if (tag !== 'path') throw new Error(`an icon with a ${tag}`)
  // A path that begins relative begins at the origin, and not where the one before it has ended.
  return it.d!.startsWith('m') ? `M0 0${it.d}` : it.d!
}

/** The path of an icon, to be drawn in a `svg.glyph`. */
export function glyph(icon: FunctionalComponent<LucideProps>): string {
  const drawn = (icon as unknown as (props: object, context: object) => VNode)({}, { slots: {}, attrs: {} })
  return (drawn.props!.iconNode as Part[]).map(path).join('')
}
