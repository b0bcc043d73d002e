import { readFileSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'

const src = new URL('../src/', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, src), 'utf8')
const components = readdirSync(src, { recursive: true }).map((it) => String(it).replaceAll('\\', '/')).filter((path) => path.endsWith('.vue'))
const words = (text: string, pattern: RegExp) => new Set([...text.matchAll(pattern)].map(([, word]) => word!))
/** The classes that a template names, those of `:class` among them. */
const classesOf = (path: string) => {
  const template = read(path).split('<template>').slice(1).join('')
  return words([...template.matchAll(/class="([^"]*)"/g)].map(([, names]) => names!.replace(/\b[\w.]+(?= \?)|\?\.|\w+\.\w+/g, '')).join(' '), /([a-z][\w-]*)/gi)
}
/** What the selectors of a file begin with. */
function begins(css: string): string[] {
  const rules = read(css).replace(/\/\*.*?\*\//gs, '').replace(/@[^{]*\{/g, '')
  return [...rules.matchAll(/([^{}]+)\{/g)].flatMap(([, selectors]) => selectors!.split(/,(?![^(]*\))/)).map((it) => it.trim().split(/[\s>+~]/)[0]!).filter(Boolean)
}
/** The styles of a view, and who has them: they stay when somebody goes on to another view. */
const VIEWS = [
  { css: 'supervise/supervise.css', has: /^(supervise|configure)\/|^desk\/ConversationsView/ },
  { css: 'configure/configure.css', has: /^configure\// }
]

/** Parents whose children belong to the view alone. */
const ALLOWED = new Set(['.side'])

it.each(VIEWS)('lets $css change no other view', ({ css, has }) => {
  const elsewhere = new Set(components.filter((path) => !has.test(path)).flatMap((path) => [...classesOf(path)]))
  const reaches = begins(css).filter((first) => {
    const classes = [...words(first, /\.([\w-]+)/g)]
    return classes.every((name) => elsewhere.has(name))
  })
  expect(reaches.filter((first) => !ALLOWED.has(first))).toEqual([])
})

it('gives the desk no class that only another view has styles for', () => {
  const styled = (css: string) => words(read(css), /\.([a-z][\w-]*)/gi)
  const own = styled('style.css')
  const others = new Set(VIEWS.flatMap(({ css }) => begins(css)).flatMap((first) => [...words(first, /\.([a-z][\w-]*)/gi)]))
  const desk = components.filter((path) => !VIEWS.some(({ has }) => has.test(path)))
  expect(desk.flatMap((path) => [...classesOf(path)].filter((name) => others.has(name) && !own.has(name)).map((name) => `${path}: ${name}`))).toEqual([])
})

it('lets what scrolls hold all of its content', () => {
  // Else a hidden heading far down in it, which has a place of its own, makes the whole page longer: two scrollbars.
  const rules = ['style.css', ...VIEWS.map(({ css }) => css)].flatMap((css) => [...read(css).replace(/\/\*.*?\*\//gs, '').matchAll(/([^{}]+)\{([^{}]*)\}/g)])
  const with_ = (style: RegExp) => rules.filter(([, , styles]) => style.test(styles!)).flatMap(([, selectors]) => selectors!.split(',').map((it) => it.trim().split(/[\s>+~]+/).at(-1)!))
  const placed = new Set(with_(/position: (relative|absolute|fixed|sticky)/))
  const scrolls = with_(/overflow(-[xy])?: auto/)
  expect(scrolls.length).toBeGreaterThan(10)
  expect(scrolls.filter((it) => !placed.has(it) && it !== 'dialog')).toEqual([])
})
