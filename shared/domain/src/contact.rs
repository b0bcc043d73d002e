//! Contacts: customers, shared by all accounts, known by one or more addresses.
//!
//! WhatsApp may show a customer by phone number, by business-scoped user id, or by both. Contacts that turn out to
//! be one customer are linked. No data moves, but from then on every address leads to the oldest contact, which
//! names the others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::effect::Effect;
use crate::ids::{AccountId, ContactId, ListId};
use crate::inbound::ProfileName;
use crate::values::Address;

/// A customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Ours.
    pub id: ContactId,
    /// The lists that the customer is on. There are none while whitelists have always refused the customer.
    #[serde(default, alias = "list", deserialize_with = "one_or_many", skip_serializing_if = "BTreeSet::is_empty")]
    pub lists: BTreeSet<ListId>,
    /// The customer's name in WhatsApp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ProfileName>,
    /// The customer's username in WhatsApp. It can change hands, so it is shown and never matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<ProfileName>,
    /// All addresses, the first one first.
    pub addresses: Vec<Address>,
    /// What the customer said about marketing messages of each account, the latest word of each. An account that is
    /// not here was never refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marketing: BTreeMap<AccountId, Marketing>,
    /// When the customer first wrote.
    pub created_at: Timestamp,
    /// The version, which grows with every change, also of the addresses that lead here. Conditions and effects
    /// refer to it.
    #[serde(default)]
    pub version: u64,
    /// Newer contacts of the same customer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub linked: BTreeSet<ContactId>,
    /// The older contact of the same customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_to: Option<ContactId>,
}

/// A customer's word about marketing messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marketing {
    /// Whether the customer refuses them.
    pub stopped: bool,
    /// When the customer said so.
    pub at: Timestamp,
}

impl Contact {
    /// Whether the customer refuses marketing messages of an account.
    pub fn refuses_marketing(&self, account: &AccountId) -> bool {
        self.marketing.get(account).is_some_and(|word| word.stopped)
    }

    /// The contact after the customer's word about marketing messages; `None` if a later word is known, or the same.
    pub fn with_marketing(&self, account: &AccountId, word: Marketing) -> Option<Self> {
        let known = self.marketing.get(account);
        if known.is_some_and(|known| known.at >= word.at) {
            return None;
        }
        let mut after = self.clone();
        after.marketing.insert(account.clone(), word);
        after.version += 1;
        Some(after)
    }
}

/// The form before this one had one list.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<ListId>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Lists {
        One(ListId),
        Many(BTreeSet<ListId>),
    }
    Ok(match Lists::deserialize(from)? {
        Lists::One(list) => BTreeSet::from([list]),
        Lists::Many(lists) => lists,
    })
}

/// The customer of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The customer's oldest contact. New interactions are opened with it.
    pub owner: ContactId,
    /// The customer's other contacts. They may have open interactions.
    pub linked: BTreeSet<ContactId>,
}

impl Identity {
    /// A customer with one contact.
    pub fn one(owner: ContactId) -> Self {
        Self { owner, linked: BTreeSet::new() }
    }

    /// All contacts of the customer, the oldest first.
    pub fn contacts(&self) -> impl Iterator<Item = &ContactId> {
        std::iter::once(&self.owner).chain(&self.linked)
    }
}

/// The changes that link contacts and addresses to one customer. They are written all or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The contacts after the change. Each must still have its previous version.
    pub contacts: Vec<Contact>,
    /// The effects of the owner's new version.
    pub effects: Vec<Effect>,
    /// Addresses that already led to one of the contacts, and lead to the owner from now on.
    pub known: BTreeSet<Address>,
    /// Addresses that led nowhere before.
    pub new: BTreeSet<Address>,
    /// The customer.
    pub identity: Identity,
}

/// Links `contacts`, and the addresses that were seen together, to one customer. `known` are addresses that led to
/// one of the contacts, `new` those that led nowhere. `None` if they are linked already. Ids sort by age, so links
/// in any order arrive at the same owner.
pub fn link(contacts: &BTreeMap<ContactId, Contact>, known: &BTreeSet<Address>, new: &BTreeSet<Address>) -> Option<Link> {
    let owner = contacts.keys().next()?.clone();
    let linked: BTreeSet<ContactId> = contacts.keys().skip(1).cloned().collect();
    let one_already = contacts
        .values()
        .all(|contact| if contact.id == owner { contact.linked == linked } else { contact.linked_to.as_ref() == Some(&owner) });
    if one_already && new.is_empty() {
        return None;
    }
    let mut addresses: BTreeSet<Address> = contacts.values().flat_map(|contact| contact.addresses.iter().cloned()).collect();
    addresses.extend(known.iter().cloned());
    let after = contacts.values().cloned().map(|mut contact| {
        contact.version += 1;
        if contact.id == owner {
            contact.addresses.extend(new.iter().cloned());
            contact.linked.clone_from(&linked);
            contact.linked_to = None;
        } else {
            contact.linked.clear();
            contact.linked_to = Some(owner.clone());
        }
        contact
    });
    let effects = if one_already { Vec::new() } else { vec![Effect::Unify { contact: owner.clone() }] };
    Some(Link { contacts: after.collect(), effects, known: addresses, new: new.clone(), identity: Identity { owner, linked } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::E164;
    use ulid::Ulid;

    fn id(number: u128) -> ContactId {
        ContactId::from_ulid(Ulid::from_parts(1, number))
    }

    fn phone(number: u64) -> Address {
        Address::Phone(E164::parse(&format!("+39{number:09}")).unwrap())
    }

    fn contact(number: u128, address: Address) -> Contact {
        Contact {
            id: id(number),
            lists: BTreeSet::from([ListId::from_ulid(Ulid::nil())]),
            name: None,
            username: None,
            marketing: BTreeMap::new(),
            addresses: vec![address],
            created_at: Timestamp::UNIX_EPOCH,
            version: 1,
            linked: BTreeSet::new(),
            linked_to: None,
        }
    }

    fn map(contacts: impl IntoIterator<Item = Contact>) -> BTreeMap<ContactId, Contact> {
        contacts.into_iter().map(|contact| (contact.id.clone(), contact)).collect()
    }

    #[test]
    fn the_oldest_contact_owns_the_addresses_of_all() {
        let bsuid = Address::Bsuid("IT.1".into());
        let contacts = map([contact(2, phone(1)), contact(1, bsuid.clone())]);
        let link = link(&contacts, &BTreeSet::new(), &BTreeSet::from([phone(2)])).unwrap();
        assert_eq!(link.identity, Identity { owner: id(1), linked: BTreeSet::from([id(2)]) });
        assert_eq!((link.known, link.new), (BTreeSet::from([phone(1), bsuid]), BTreeSet::from([phone(2)])));
        assert_eq!(link.effects, [Effect::Unify { contact: id(1) }]);
        assert!(link.contacts.iter().all(|contact| contact.version == 2));
    }

    #[test]
    fn a_contact_of_the_form_before_is_on_its_one_list() {
        let contact = contact(1, phone(1));
        let mut stored = serde_json::to_value(&contact).unwrap();
        assert_eq!(serde_json::from_value::<Contact>(stored.clone()).unwrap(), contact);
        let lists = stored.as_object_mut().unwrap().remove("lists").unwrap();
        stored["list"] = lists[0].clone();
        assert_eq!(serde_json::from_value::<Contact>(stored).unwrap(), contact);
    }

    #[test]
    fn the_latest_word_about_marketing_counts_for_its_account_only() {
        let (own, other) = (AccountId::from_ulid(Ulid::from_parts(1, 1)), AccountId::from_ulid(Ulid::from_parts(1, 2)));
        let word = |stopped, second| Marketing { stopped, at: Timestamp::from_second(second).unwrap() };
        let contact = contact(1, phone(1));
        assert!(!contact.refuses_marketing(&own));
        let stopped = contact.with_marketing(&own, word(true, 2)).unwrap();
        assert_eq!((stopped.refuses_marketing(&own), stopped.refuses_marketing(&other), stopped.version), (true, false, 2));
        assert_eq!(stopped.with_marketing(&own, word(false, 1)), None);
        assert_eq!(stopped.with_marketing(&own, word(true, 2)), None);
        assert!(!stopped.with_marketing(&own, word(false, 3)).unwrap().refuses_marketing(&own));
    }

    #[test]
    fn linking_again_changes_nothing_and_a_third_contact_joins() {
        let contacts = map([contact(2, phone(1)), contact(3, phone(2))]);
        let first = link(&contacts, &BTreeSet::new(), &BTreeSet::new()).unwrap();
        let contacts = map(first.contacts);
        assert_eq!(link(&contacts, &BTreeSet::from([phone(1)]), &BTreeSet::new()), None);
        // An older contact takes over.
        let contacts = map(contacts.into_values().chain([contact(1, phone(3))]));
        let second = link(&contacts, &BTreeSet::new(), &BTreeSet::new()).unwrap();
        assert_eq!(second.identity, Identity { owner: id(1), linked: BTreeSet::from([id(2), id(3)]) });
        assert_eq!(second.contacts.iter().filter(|contact| contact.linked_to == Some(id(1))).count(), 2);
        assert!(link(&map(second.contacts), &BTreeSet::new(), &BTreeSet::new()).is_none());
    }

    #[test]
    fn one_more_address_of_a_contact_merges_nothing() {
        let link = link(&map([contact(1, phone(1))]), &BTreeSet::from([phone(1)]), &BTreeSet::from([phone(2)])).unwrap();
        assert_eq!((link.effects.len(), link.contacts[0].addresses.len()), (0, 2));
    }
}
