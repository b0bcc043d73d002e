/** The value of a field in words: for comparisons. */
import { t } from '../../i18n'
import type { Field } from './fields'
import type { Options } from './options'
import { isEmpty } from './paths'

export function shown(field: Field, value: unknown, options: Options): string {
  if (field.as === 'switch') return value ? t('yes') : t('no')
  if (isEmpty(value)) return '–'
  switch (field.as) {
    case 'choice': {
      const found = field.options.find((option) => option.value === value)
      return found ? t(found.label) : String(value)
    }
    case 'one': return options.nameOf(field.of, value)
    case 'many': return (value as unknown[]).map((id) => options.nameOf(field.of, id)).join(', ')
    case 'texts': return (value as string[]).join(', ')
    case 'secret': return '••••••'
    case 'own': return field.shown(value)
    default: return String(value)
  }
}
