/** Why rows of an import were refused, in the person's language. */
import { t, type Key } from '../../i18n'

const REASONS: Record<string, Key> = {
  'not-a-phone': 'importNotAPhone', 'no-country': 'importNoCountry', 'not-a-user-id': 'importNotAUserId', required: 'importNoAddress', empty: 'refusedRequired', 'several-lines': 'importSeveralLines', 'too-long': 'refusedTooLong',
  'not-an-email': 'refusedEmail', 'no-such-list': 'importNoList', 'too-much': 'importTooMuch', repeats: 'importRepeats', 'two-contacts': 'importTwoContacts', known: 'importIsKnown', erased: 'importErased'
}

/** Of a line of the job's file: its row, column, reason and code. A code of a later version says what the file says. */
export function reasonOf([, , reason = '', code = '']: string[]): string {
  const known = REASONS[code]
  return known ? t(known, { row: /\d+$/.exec(reason)?.[0] ?? '?' }) : reason
}
