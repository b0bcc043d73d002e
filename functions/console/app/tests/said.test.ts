/** What the services say has words of its own: read from their sources, so that a new word is not forgotten here. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { alertNamed } from '../src/alerts'
import { reasonOf } from '../src/configure/kinds/imported'
import { kindOf } from '../src/desk/words'
import { choose } from '../src/i18n'
import { saidOf } from '../src/problems'
import { refusal, type Refusal } from '../src/refusals'
import { problemOf } from '../src/supervise/failures'

const source = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8')
const all = (text: string, expression: RegExp) => [...text.matchAll(expression)].map(([, found]) => found!)

beforeAll(async () => {
  vi.stubGlobal('navigator', { languages: ['it-IT'] })
  vi.stubGlobal('localStorage', { setItem: () => undefined })
  vi.stubGlobal('document', { documentElement: {} })
  await choose('it')
})

describe('in Italian', () => {
  const conditions = all(source('shared/domain/src/condition.rs').split('#[cfg(test)]')[0]!, /\.expected\(\s*"([^"]+)"/g).map((end) => `expected ${end}`)
  const templates = all(source('shared/domain/src/text_template.rs').split('#[cfg(test)]')[0]!, /(?:tag, "|reason = ")([^"]+)"/g)
  // Those of the crate that renders them.
  const rendered = ['disconnected closing tag', 'unclosed group', "expected '{{/a}}', but found {{/b}}"]
  it('each fault of a condition and of a text with variables is told', () => {
    expect([conditions.length > 8, templates.length > 2]).toEqual([true, true])
    for (const end of [...conditions, ...templates, ...rendered]) {
      const said = refusal({ field: 'plan[0].text', code: 'wrong-template', message: `at character 7: ${end}` } as Refusal)
      expect([end, said]).toEqual([end, expect.stringMatching(/^Al carattere 7: (?!non si può)/)])
    }
    expect(refusal({ field: 'text', code: 'wrong-template', message: 'at character 7: something new' } as Refusal)).toBe('Al carattere 7: non si può leggere.')
  })
  it('each reason of a refused row is told', () => {
    const codes = all(source('functions/worker/src/import/reason.rs'), /=> "([a-z-]+)",/g)
    expect(codes.length).toBe(14)
    for (const code of codes) expect([code, reasonOf(['5', 'Telefono', 'English words', code])]).not.toEqual([code, 'English words'])
    expect(reasonOf(['5', 'Telefono', 'repeats row 3', 'repeats'])).toBe('Ripete la riga 3.')
    // Of a later version, and of a file of an earlier one.
    expect([reasonOf(['5', 'x', 'is odd', 'brand-new']), reasonOf(['5', 'x', 'is odd'])]).toEqual(['is odd', 'is odd'])
  })
  it('each problem of a whole file is told', () => {
    const table = source('functions/worker/src/import/table.rs').split('#[cfg(test)]')[0]!
    const said = [...all(table, /Err\((?:format!\()?"((?:[^"\\]|\\.)+)"/g), ...all(table, /\|\| "([^"]+)"/g), ...all(source('functions/worker/src/import/mod.rs'), /Err\("([A-Za-z][^"]+)"\.to_owned/g)]
    expect(said.length).toBeGreaterThan(10)
    for (const text of said) {
      const filled = text.replaceAll('\\"', '"').replace('{}', '7').replace('{}', 'why').replace('{heading}', 'Mail').replace(/\{[A-Z_]+\}/, '500')
      expect([text, problemOf(filled)]).not.toEqual([text, filled])
    }
    expect([problemOf('columns.email: the file has no column "Mail".'), problemOf('Something else.')]).toEqual(['Il file non ha la colonna “Mail”.', 'Something else.'])
  })
  it('each kind of problem is told', () => {
    const files = ['functions/assist-api/src/error.rs', 'functions/agent-api/src/problem.rs', 'functions/supervisor-api/src/error.rs', 'functions/admin-api/src/error.rs', 'shared/desk/src/error.rs']
    const kinds = files.flatMap((file) => all(source(file).split('#[cfg(test)]')[0]!, /"([a-z]+(?:-[a-z]+)+)",\s*"[A-Z]/g))
    expect(kinds.length).toBeGreaterThan(60)
    // What only Configure is told has its words there.
    const configure = source('functions/console/app/src/configure/kit/caller.ts')
    expect(kinds.filter((kind) => !saidOf(kind) && !configure.includes(`'${kind}': '`))).toEqual([])
  })
  it('each alert is named', () => {
    const [, list] = /const ALERTS[^=]+= \[([^\]]+)\]/.exec(source('shared/providers/src/meta/webhook.rs'))!
    const names = [...all(list!, /"(\w+)"/g), 'channel_event_notification', 'errors', 'history']
    expect(names.length).toBe(18)
    for (const name of names) expect(alertNamed(name)).not.toBe(name.replaceAll('_', ' '))
    expect([alertNamed('phone_number_quality_update', 'FLAGGED'), alertNamed('brand_new')]).toEqual(['la qualità del numero (FLAGGED)', 'brand new'])
  })
  it('a file is called what it is', () => {
    const kinds = all(/enum AttachmentKind \{([^}]+)\}/.exec(source('shared/domain/src/message.rs'))![1]!, /^ {4}(\w+),/gm).map((kind) => kind.toLowerCase())
    expect(kinds.map(kindOf)).toEqual(['Foto', 'Video', 'Audio', 'Messaggio vocale', 'Documento', 'Sticker'])
    expect(kindOf(undefined)).toBe('File')
  })
})
