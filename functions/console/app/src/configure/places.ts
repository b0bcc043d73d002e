/** What there is to configure, in groups: who answers, how conversations are found and closed, customers, the record. */
import type { Key } from '../i18n'
import type { Role } from '../views'

export interface ConfigurePlace {
  path: string
  label: Key
  /** Others never see it. */
  reads: Role
}

/** A place behind another one: nothing in the list leads there. */
export const LINKS: ConfigurePlace = { path: 'links', label: 'linksReview', reads: 'supervisor' }

export const GROUPS: { title: Key; entries: ConfigurePlace[] }[] = [
  { title: 'groupNumbers', entries: [{ path: 'accounts', label: 'accounts', reads: 'admin' }, { path: 'triggers', label: 'triggers', reads: 'admin' }] },
  {
    title: 'groupRouting', entries: [
      { path: 'agents', label: 'agents', reads: 'supervisor' },
      { path: 'ai-agents', label: 'aiAgents', reads: 'supervisor' },
      { path: 'queues', label: 'queues', reads: 'supervisor' },
      { path: 'intervals', label: 'intervals', reads: 'admin' },
      { path: 'pauses', label: 'pauses', reads: 'supervisor' }
    ]
  },
  {
    title: 'groupWork', entries: [
      { path: 'answers', label: 'canned', reads: 'supervisor' },
      { path: 'dispositions', label: 'dispositions', reads: 'supervisor' },
      { path: 'tags', label: 'tags', reads: 'supervisor' }
    ]
  },
  {
    title: 'groupCustomers', entries: [
      { path: 'contacts', label: 'contacts', reads: 'supervisor' },
      { path: 'lists', label: 'lists', reads: 'supervisor' },
      { path: 'contact-fields', label: 'contactFields', reads: 'supervisor' },
      { path: 'import', label: 'importContacts', reads: 'supervisor' }
    ]
  },
  { title: 'groupRecord', entries: [{ path: 'retention', label: 'retention', reads: 'supervisor' }, { path: 'audit', label: 'audit', reads: 'admin' }, { path: 'prices', label: 'prices', reads: 'supervisor' }, { path: 'settings', label: 'settings', reads: 'admin' }] }
]

/** Every place, in the list or behind it. */
export const PLACES: ConfigurePlace[] = [...GROUPS.flatMap((group) => group.entries), LINKS]
