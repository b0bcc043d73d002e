/** Why a job failed, in the person's language. */
import { t, type Key } from '../i18n'

/** What the jobs say, by their words: a number or a name in them is part of what is said here. */
const PROBLEMS: [words: RegExp, key: Key][] = [
  [/^The uploaded file is gone/, 'fileGone'], [/^account: it was deleted/, 'fileAccountGone'], [/^country: /, 'fileCountry'], [/^The file is longer than/, 'fileTooLong'], [/^The file is compressed/, 'filePacked'],
  [/^The file (begins as|has zero bytes)/, 'fileNoText'], [/^Row (?<row>\d+) can't be read/, 'fileRow'], [/^Row (?<row>\d+) has more than (?<most>\d+) columns/, 'fileColumns'],
  [/^The file has more than (?<most>\d+) rows/, 'fileRows'], [/^The file is empty/, 'fileEmpty'], [/: the file has several columns "(?<name>.*)"/, 'fileTwice'], [/: the file has no column "(?<name>.*)"/, 'fileNoColumn'],
  [/^It failed \d+ times in a row/, 'jobGivenUp']
]

/** Why a job failed. What no line here knows stays as it is. */
export function problemOf(text: string): string {
  for (const [words, key] of PROBLEMS) {
    const found = words.exec(text)
    if (found) return t(key, found.groups ?? {})
  }
  return text
}
