/** Links between contacts, in words. */
import { reactive } from 'vue'
import * as admin from '../../api/admin'
import type { Contact, ContactLink } from '../../api/admin'
import { t } from '../../i18n'
import { caller } from '../kit/caller'

export const origin = (link: ContactLink) =>
  link.origin === 'request' ? t('linkByRequest') : link.origin === 'confirmed' ? t('linkByPerson') : t('linkFromBefore')

export const reach = (link: ContactLink) => (link.everywhere ? t('linkEverywhere') : t('linkSomewhere', { count: link.accounts?.length ?? 0 }))

/** A contact as people know it: its name and its first address. */
export function contactShown({ name, username, phones, user_ids }: Contact): string {
  const address = phones[0] ?? user_ids[0]
  return [name ?? username, address].filter(Boolean).join(' · ')
}

/** Contacts that links name by their id, each read once; until then, and where it can't be read, its id. */
export function useContactNames() {
  const names = reactive(new Map<string, string>())
  async function read(id: string) {
    if (names.has(id)) return
    names.set(id, '…')
    const found = await admin.getContact(caller, { path: { id } }).catch(() => undefined)
    names.set(id, (found && contactShown(found)) || id)
  }
  return { read: (ids: (string | null | undefined)[]) => { for (const id of ids) if (id) void read(id) }, nameOf: (id: string) => names.get(id) ?? id }
}
