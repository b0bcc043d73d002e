/** Languages by their BCP 47 codes, in the words of the person who reads. */
import { current } from '../i18n'

/** Those that Amazon Translate lists (November 2026); Google knows them too. */
const CODES =
  'af am ar az bg bn bs ca cs cy da de el en es es-MX et fa fa-AF fi fil fr fr-CA ga gu ha he hi hr ht hu hy id is it ja ka kk kn ko lt lv mk ml mn mr ms mt nb nl pa pl ps pt pt-PT ro ru si sk sl so sq sr sv sw ta te th tr uk ur uz vi zh zh-Hant'
    .split(' ')

export function languageName(code: string): string {
  const name = new Intl.DisplayNames([current()], { type: 'language', fallback: 'code' }).of(code) ?? code
  return name.charAt(0).toLocaleUpperCase(current()) + name.slice(1)
}

/** All to choose from, with the one that is chosen, by their names. */
export function languageChoices(chosen?: string | null): { code: string; name: string }[] {
  const codes = chosen && !CODES.includes(chosen) ? [...CODES, chosen] : CODES
  return codes.map((code) => ({ code, name: languageName(code) })).sort((a, b) => a.name.localeCompare(b.name, current()))
}
