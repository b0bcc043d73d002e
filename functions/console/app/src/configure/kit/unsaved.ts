/** Forms with changes that are not saved: leaving asks first. */
import { onBeforeUnmount, watchEffect } from 'vue'
import { t } from '../../i18n'

const dirty = new Set<symbol>()
addEventListener('beforeunload', (event) => { if (dirty.size > 0) event.preventDefault() })

export function useUnsaved(isDirty: () => boolean) {
  const me = Symbol()
  watchEffect(() => { isDirty() ? dirty.add(me) : dirty.delete(me) })
  onBeforeUnmount(() => dirty.delete(me))
  return { done: () => dirty.delete(me) }
}

/** Whether the screen may be left. */
export const mayLeave = () => dirty.size === 0 || confirm(t('leaveUnsaved'))
