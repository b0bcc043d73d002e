/** A plan in lines, for comparisons. */
import { t } from '../../i18n'
import { useOptions } from '../kit/options'
import type { Doc } from '../kit/paths'
import { stepOf } from './kinds'

export function planShown(value: unknown): string {
  const options = useOptions()
  return (Array.isArray(value) ? (value as Doc[]) : []).map((step, place) => {
    const kind = stepOf(step.step)
    const jumps = [step.to, step.then, step.else].filter((jump) => jump !== undefined).map((jump) => (typeof jump === 'number' ? jump + 1 : String(jump)))
    const words = [kind ? t(kind.label) : String(step.step), kind?.summary(step, options), ...jumps.map((jump) => `→ ${jump}`)]
    return `${place + 1}. ${words.filter(Boolean).join(' ')}`
  }).join('\n') || '–'
}
