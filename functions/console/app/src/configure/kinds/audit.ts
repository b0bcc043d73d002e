/** A difference of the audit trail, in words. */
import type { AuditChange } from '../../api/admin'
import { t } from '../../i18n'

const text = (value: unknown) => (value === undefined || value === null ? '–' : typeof value === 'string' ? `“${value}”` : JSON.stringify(value))

export function change(one: AuditChange): string {
  if (one.changed) return t('auditHidden')
  const lists = [...(one.added ?? []).map((it) => `+ ${text(it)}`), ...(one.removed ?? []).map((it) => `− ${text(it)}`)]
  return lists.length ? lists.join(', ') : `${text(one.before)} → ${text(one.after)}`
}
