/** Links between contacts, in words. */
import type { ContactLink } from '../../api/admin'
import { t } from '../../i18n'

export const origin = (link: ContactLink) =>
  link.origin === 'request' ? t('linkByRequest') : link.origin === 'confirmed' ? t('linkByPerson') : t('linkFromBefore')

export const reach = (link: ContactLink) => (link.everywhere ? t('linkEverywhere') : t('linkSomewhere', { count: link.accounts?.length ?? 0 }))
