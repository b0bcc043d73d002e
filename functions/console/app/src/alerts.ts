/** What the providers call their alerts, in the person's language. */
import { t, type Key } from './i18n'

const NAMES: Record<string, Key> = {
  account_alerts: 'alertAccountLimits', account_review_update: 'alertReview', account_settings_update: 'alertSettings', account_update: 'alertAccount', business_capability_update: 'alertCapability',
  business_status_update: 'alertBusiness', message_template_components_update: 'alertTemplateParts', message_template_quality_update: 'alertTemplateQuality', message_template_status_update: 'alertTemplateStatus',
  partner_solutions: 'alertPartner', payment_configuration_update: 'alertPayment', phone_number_name_update: 'alertNumberName', phone_number_quality_update: 'alertNumberQuality', security: 'alertSecurity',
  template_category_update: 'alertTemplateCategory', channel_event_notification: 'alertChannel', errors: 'alertErrors', history: 'alertHistory'
}

/** The provider's own word for what happened stays as it is: its documents explain it. */
export function alertNamed(name: string, event?: string | null): string {
  const known = NAMES[name]
  return [known ? t(known) : name.replaceAll('_', ' '), event && `(${event})`].filter(Boolean).join(' ')
}
