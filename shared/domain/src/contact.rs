//! Contacts: customers, shared by all accounts, known by one or more addresses.
//!
//! WhatsApp may show a customer by phone number, by a user id that one business issued, or by both. A phone number is
//! the same contact for every account. Whatever else shows that two contacts are one customer ties them for the
//! accounts of one business with the provider: the one whose proven request showed it. No data moves. A supervisor
//! may tie contacts for all accounts, and may cut a tie; a pair that was cut is never tied again by itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::business::Business;
use crate::details::{Details, MOST_BYTES};
use crate::effect::Effect;
use crate::ids::{AccountId, ContactId, JobId, ListId};
use crate::inbound::ProfileName;
use crate::values::Address;

/// The most contacts and addresses of one customer. The transaction that ties them writes each, and DynamoDB takes
/// 100 actions. Nobody has that many; more than these are somebody's attempt.
const MOST: usize = 40;

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
    /// The phone numbers, the first one first; and user ids from before they were told apart by business.
    pub addresses: Vec<Address>,
    /// The user ids that businesses issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_ids: Vec<UserId>,
    /// Who chose the name. Contacts of the form before this one don't say it; their name may be a person's, so it
    /// stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<NamedBy>,
    /// What people on our side have noted.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
    /// Why this contact and others, or this contact and its further addresses, are one customer; and the ties that a
    /// supervisor cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ties: Vec<Tie>,
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
    /// Newer contacts of the same customer for every account.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub linked: BTreeSet<ContactId>,
    /// The older contact of the same customer for every account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_to: Option<ContactId>,
    /// Whether the customer is blocked: what the customer writes is kept, rings nowhere and gets no answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// The job that erases the customer. Nothing about the customer is left here, and no address leads here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<JobId>,
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
    /// Takes over what a newer contact of the same customer says and this one doesn't.
    fn take_over(&mut self, newer: &Self) {
        if self.name.is_none() {
            (self.name, self.named_by) = (newer.name.clone(), newer.named_by);
        }
        // What does not fit stays with the newer contact alone.
        let details = self.details.or(&newer.details);
        if details.size() <= MOST_BYTES {
            self.details = details;
        }
        self.lists.extend(newer.lists.iter().cloned());
        self.blocked |= newer.blocked;
    }

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

/// A customer's id at a business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserId {
    /// The business that issued it.
    pub business: Business,
    /// The id (BSUID). It has the form of an address, so that it never reaches a log.
    pub id: Address,
}

/// Who chose a contact's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// The customer, in WhatsApp. Later profiles replace it.
    Profile,
    /// A person on our side. It stays.
    Person,
}

/// Why two things are one customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tie {
    /// The other contact, which has the same tie; or an address of this contact.
    #[serde(flatten)]
    pub to: Tied,
    /// The business for whose accounts it holds; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Business>,
    /// Where it came from.
    pub origin: Origin,
    /// Set once a supervisor cut it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// The other end of a tie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Tied {
    /// Another contact.
    Contact {
        /// Its id.
        contact: ContactId,
    },
    /// An address of this contact.
    Address {
        /// The address.
        #[serde(flatten)]
        place: Place,
    },
}

/// Where a tie came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// It is older than the record of origins. It holds as it did then.
    Before,
    /// A proven request showed it.
    Event {
        /// The account whose request it was.
        account: AccountId,
        /// The event's id.
        event: String,
        /// When it arrived.
        at: Timestamp,
    },
    /// A supervisor confirmed it.
    Person {
        /// The supervisor.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// The cut of a tie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The supervisor.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An address where it leads somewhere. A user id leads to a customer of the business that issued it only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The address.
    pub address: Address,
    /// The business of a user id; `None` for a phone number, and for a user id of the form before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<Business>,
}

impl Place {
    /// The place of an address that an account of `business` sees.
    pub fn of(address: &Address, business: &Business) -> Self {
        Self { address: address.clone(), business: address.phone().is_none().then(|| business.clone()) }
    }

    /// The place of an address before user ids were told apart.
    pub fn before(address: &Address) -> Self {
        Self { address: address.clone(), business: None }
    }

    /// The form in keys: `phone:+39…`, `bsuid@META#1:IT.…`, or `bsuid:IT.…` as before.
    pub fn key(&self) -> String {
        match (&self.address, &self.business) {
            (Address::Bsuid(id), Some(business)) => format!("bsuid@{}:{id}", business.as_str()),
            (address, _) => address.key(),
        }
    }
}

impl Contact {
    /// A contact that is on no list and has no name.
    pub fn known_by(id: ContactId, created_at: Timestamp, places: impl IntoIterator<Item = Place>) -> Self {
        let mut contact = Self {
            id,
            lists: BTreeSet::new(),
            name: None,
            username: None,
            addresses: Vec::new(),
            user_ids: Vec::new(),
            named_by: None,
            details: Details::default(),
            ties: Vec::new(),
            marketing: BTreeMap::new(),
            created_at,
            version: 1,
            linked: BTreeSet::new(),
            linked_to: None,
            blocked: false,
            erased: None,
        };
        places.into_iter().for_each(|place| contact.gain(place));
        contact
    }

    /// The contact without anything about the customer, until the job that erases the customer deletes it.
    pub fn erased_by(&self, job: &JobId) -> Self {
        let empty = Self::known_by(self.id.clone(), self.created_at, []);
        Self { version: self.version + 1, erased: Some(job.clone()), ..empty }
    }

    /// The addresses that lead here.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let addresses = self.addresses.iter().map(Place::before);
        addresses.chain(self.user_ids.iter().map(|UserId { business, id }| Place { address: id.clone(), business: Some(business.clone()) }))
    }

    /// The addresses that an account of `business` can write to: phone numbers first.
    pub fn reached_at(&self, business: &Business) -> impl Iterator<Item = &Address> {
        let issued = self.user_ids.iter().filter(move |known| known.business == *business).map(|known| &known.id);
        let (phones, others): (Vec<&Address>, Vec<&Address>) = self.addresses.iter().partition(|address| address.phone().is_some());
        phones.into_iter().chain(issued).chain(others)
    }

    fn gain(&mut self, Place { address, business }: Place) {
        match business {
            Some(business) => self.user_ids.push(UserId { business, id: address }),
            None => self.addresses.push(address),
        }
    }

    fn lose(&mut self, place: &Place) {
        match &place.business {
            Some(business) => self.user_ids.retain(|known| known.id != place.address || known.business != *business),
            None => self.addresses.retain(|address| *address != place.address),
        }
    }

    /// Whether profiles may still change the name.
    pub fn follows_profiles(&self) -> bool {
        self.name.is_none() || self.named_by == Some(NamedBy::Profile)
    }

    /// The contact with the name of the customer's profile, if that changes it. A name that a person may have chosen
    /// stays.
    pub fn named(&self, profile: &ProfileName) -> Option<Self> {
        let changes = self.follows_profiles() && self.name.as_ref() != Some(profile);
        changes.then(|| Self { name: Some(profile.clone()), named_by: Some(NamedBy::Profile), version: self.version + 1, ..self.clone() })
    }

    fn tied_to(&self, other: &ContactId) -> impl Iterator<Item = &Tie> {
        self.ties.iter().filter(move |tie| matches!(&tie.to, Tied::Contact { contact } if contact == other))
    }
}

/// The customer of an address, for one account.
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

    /// Whether the contact is the customer's.
    pub fn has(&self, contact: &ContactId) -> bool {
        self.owner == *contact || self.linked.contains(contact)
    }
}

/// The customer of an address, for every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The customer for accounts of businesses that are not in `at`.
    pub everywhere: Identity,
    /// The customer for the accounts of businesses that know more.
    pub at: BTreeMap<Business, Identity>,
}

impl Standing {
    /// The standing of an address of a contact without ties.
    pub fn one(owner: ContactId) -> Self {
        Self { everywhere: Identity::one(owner), at: BTreeMap::new() }
    }

    /// The customer for an account of `business`.
    pub fn at(&self, business: &Business) -> &Identity {
        self.at.get(business).unwrap_or(&self.everywhere)
    }
}

/// The changes that tie contacts and addresses to one customer, or cut them apart. They are written all or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The contacts after the change. Each must still have its previous version.
    pub contacts: Vec<Contact>,
    /// Contacts that did not exist before.
    pub added: Vec<Contact>,
    /// The contact whose new version has the effects.
    pub carrier: ContactId,
    /// The effects.
    pub effects: Vec<Effect>,
    /// Where addresses that led somewhere lead from now on.
    pub known: Vec<(Place, Standing)>,
    /// Where addresses that led nowhere lead from now on.
    pub new: Vec<(Place, Standing)>,
}

/// Addresses that one request shows to be one customer's.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The business whose request it is.
    pub business: &'a Business,
    /// The sender.
    pub from: &'a Place,
    /// The sender's other addresses.
    pub others: &'a [Place],
    /// The request.
    pub origin: &'a Origin,
    /// Now.
    pub now: Timestamp,
}

/// Contacts, with all others that are tied to any of them.
#[derive(Debug, Clone)]
pub struct People(BTreeMap<ContactId, Contact>);

impl People {
    /// `contacts` must be whole: with each contact all those that [`People::next_to`] it.
    pub fn of(contacts: BTreeMap<ContactId, Contact>) -> Self {
        let mut people = Self(contacts);
        // Links of the form before have no ties.
        let linked = people.0.values().filter_map(|contact| Some((contact.id.clone(), contact.linked_to.clone()?)));
        for (newer, owner) in linked.collect::<Vec<_>>() {
            if people.0.contains_key(&owner) && !people.identity(&newer, None).has(&owner) {
                people.tie(&newer, &owner, None, &Origin::Before);
            }
        }
        people
    }

    /// The contacts that `contact` is or was linked with.
    pub fn next_to(contact: &Contact) -> impl Iterator<Item = &ContactId> {
        let tied = contact.ties.iter().filter(|tie| tie.cut.is_none()).filter_map(|tie| match &tie.to {
            Tied::Contact { contact } => Some(contact),
            Tied::Address { .. } => None,
        });
        contact.linked.iter().chain(&contact.linked_to).chain(tied)
    }

    /// All of them.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.0.values()
    }

    /// One of the contacts.
    pub fn get(&self, contact: &ContactId) -> Option<&Contact> {
        self.0.get(contact)
    }

    /// The contact that has an address.
    pub fn home(&self, place: &Place) -> Option<&ContactId> {
        self.0.values().find(|contact| contact.places().any(|known| known == *place)).map(|contact| &contact.id)
    }

    /// The customer who has a contact: for the accounts of `business`, or for all accounts.
    pub fn identity(&self, contact: &ContactId, business: Option<&Business>) -> Identity {
        let mut found = BTreeSet::from([contact.clone()]);
        let mut next = vec![contact.clone()];
        let holds = |tie: &Tie| tie.cut.is_none() && (tie.holds.is_none() || tie.holds.as_ref() == business);
        while let Some(one) = next.pop() {
            for other in self.0.values().filter(|other| other.id != one) {
                let ties = || self.0.get(&one).into_iter().flat_map(|one| one.tied_to(&other.id)).chain(other.tied_to(&one));
                if !found.contains(&other.id) && ties().any(holds) {
                    found.insert(other.id.clone());
                    next.push(other.id.clone());
                }
            }
        }
        let owner = found.pop_first().unwrap_or_else(|| contact.clone());
        Identity { owner, linked: found }
    }

    /// The customer who has a contact, for every account.
    fn standing(&self, contact: &ContactId) -> Standing {
        let everywhere = self.identity(contact, None);
        let businesses: BTreeSet<&Business> =
            self.0.values().flat_map(|contact| &contact.ties).filter_map(|tie| tie.holds.as_ref()).collect();
        let at = businesses.into_iter().map(|business| (business.clone(), self.identity(contact, Some(business))));
        Standing { at: at.filter(|(_, identity)| *identity != everywhere).collect(), everywhere }
    }

    fn tie(&mut self, one: &ContactId, other: &ContactId, holds: Option<&Business>, origin: &Origin) {
        for (end, to) in [(one, other), (other, one)] {
            let tie = Tie { to: Tied::Contact { contact: to.clone() }, holds: holds.cloned(), origin: origin.clone(), cut: None };
            if let Some(contact) = self.0.get_mut(end).filter(|contact| !contact.ties.contains(&tie)) {
                contact.ties.push(tie);
            }
        }
    }

    /// Whether a request may make one customer of two: no supervisor separated any two of their contacts, and there
    /// are not too many.
    fn may_join(&self, one: &ContactId, other: &ContactId, business: &Business) -> bool {
        let (one, other) = (self.identity(one, Some(business)), self.identity(other, Some(business)));
        let cut = |a: &ContactId, b: &ContactId| self.0.get(a).is_some_and(|a| a.tied_to(b).any(|tie| tie.cut.is_some()));
        let separated = one.contacts().any(|a| other.contacts().any(|b| cut(a, b) || cut(b, a)));
        !separated && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.0.len() + self.0.values().map(|contact| contact.places().count()).sum::<usize>() >= MOST
    }

    /// Ties what one request shows to be one customer. `new_id` gives the ids of contacts that are added. Returns the
    /// sender, who is `None` if none of the addresses leads to one of these contacts, and what changes.
    ///
    /// A number that leads nowhere gets a contact of its own, since it must lead to the same contact for the accounts
    /// of other businesses too, where the request proves nothing. A user id joins the sender's contact.
    pub fn join(mut self, seen: &Seen<'_>, mut new_id: impl FnMut() -> ContactId) -> (Option<Identity>, Option<Link>) {
        let all = || std::iter::once(seen.from).chain(seen.others);
        let Some(anchor) = all().find_map(|place| self.home(place)).cloned() else { return (None, None) };
        let (mut touched, mut fresh, mut added, mut joined) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), false);
        for place in all() {
            match self.home(place).cloned() {
                Some(home) if self.identity(&anchor, Some(seen.business)).has(&home) => {}
                Some(home) => {
                    if self.may_join(&anchor, &home, seen.business) {
                        self.tie(&anchor, &home, Some(seen.business), seen.origin);
                        joined = true;
                        touched.extend([anchor.clone(), home]);
                    }
                }
                None if self.is_full() => {}
                None => {
                    fresh.insert(place.clone());
                    touched.insert(anchor.clone());
                    if place.business.is_none() {
                        let id = new_id();
                        self.0.insert(id.clone(), Contact::known_by(id.clone(), seen.now, [place.clone()]));
                        self.tie(&anchor, &id, Some(seen.business), seen.origin);
                        added.insert(id);
                    } else if let Some(contact) = self.0.get_mut(&anchor) {
                        contact.gain(place.clone());
                        contact.ties.push(Tie::of_address(place, seen.origin));
                    }
                }
            }
        }
        let identity = self.home(seen.from).map(|home| self.identity(home, Some(seen.business)));
        if touched.is_empty() {
            return (identity, None);
        }
        let affected =
            touched.iter().flat_map(|contact| self.identity(contact, Some(seen.business)).contacts().cloned().collect::<Vec<_>>());
        let affected: BTreeSet<ContactId> = affected.collect();
        let unify = Effect::Unify { contact: anchor.clone(), business: Some(seen.business.clone()) };
        let effects = if joined { vec![unify] } else { Vec::new() };
        (identity, Some(self.written(&affected, &added, &fresh, anchor, effects)))
    }

    /// Gives the sender's contact a place for an address that already leads to it: a user id from before user ids
    /// were told apart, seen by an account of `business`.
    pub fn adopt(mut self, known: &Place, place: &Place) -> Option<Link> {
        let home = self.home(known)?.clone();
        self.0.get_mut(&home)?.gain(place.clone());
        let affected = self.identity(&home, place.business.as_ref()).contacts().cloned().collect();
        Some(self.written(&affected, &BTreeSet::new(), &BTreeSet::from([place.clone()]), home, Vec::new()))
    }

    /// Makes one customer of two contacts for all accounts, even if they were cut apart. `None` if they are. The older
    /// contact, which stands for the customer, takes over what only a newer one says.
    pub fn confirm(mut self, one: &ContactId, other: &ContactId, origin: &Origin) -> Option<Link> {
        if !self.0.contains_key(one) || !self.0.contains_key(other) || self.identity(one, None).has(other) || self.is_full() {
            return None;
        }
        for (end, to) in [(one, other), (other, one)] {
            let cut = |tie: &Tie| tie.cut.is_some() && matches!(&tie.to, Tied::Contact { contact } if contact == to);
            self.0.get_mut(end)?.ties.retain(|tie| !cut(tie));
        }
        self.tie(one, other, None, origin);
        let Identity { owner, linked } = self.identity(one, None);
        let newer: Vec<Contact> = linked.iter().filter_map(|id| self.0.get(id).cloned()).collect();
        if let Some(owner) = self.0.get_mut(&owner) {
            newer.iter().for_each(|newer| owner.take_over(newer));
        }
        let effects = vec![Effect::Unify { contact: one.clone(), business: None }];
        Some(self.written_all(&BTreeSet::new(), one.clone(), effects))
    }

    /// Records who confirmed that two contacts are one customer, where nobody knows why they are. `None` if that is
    /// known, or if they are not tied.
    pub fn explain(mut self, one: &ContactId, other: &ContactId, origin: &Origin) -> Option<Link> {
        let mut any = false;
        for (end, to) in [(one, other), (other, one)] {
            let ties = self.0.get_mut(end)?.ties.iter_mut().filter(|tie| tie.cut.is_none() && tie.origin == Origin::Before);
            for tie in ties.filter(|tie| matches!(&tie.to, Tied::Contact { contact } if contact == to)) {
                tie.origin = origin.clone();
                any = true;
            }
        }
        any.then(|| self.written_all(&BTreeSet::new(), one.clone(), Vec::new()))
    }

    /// Cuts a contact and another apart, or a contact and one of its addresses, which then gets a contact of its own
    /// (`new_id`). `None` if they are not tied, or if it is the contact's only address.
    pub fn part(mut self, contact: &ContactId, from: &Tied, cut: &Cut, new_id: ContactId) -> Option<Link> {
        let mut added = BTreeSet::new();
        let other = match from {
            Tied::Contact { contact: other } => {
                let mut any = false;
                for (end, to) in [(contact, other), (other, contact)] {
                    let ties = self.0.get_mut(end)?.ties.iter_mut().filter(|tie| tie.cut.is_none());
                    for tie in ties.filter(|tie| matches!(&tie.to, Tied::Contact { contact } if contact == to)) {
                        tie.cut = Some(cut.clone());
                        any = true;
                    }
                }
                if !any {
                    return None;
                }
                other.clone()
            }
            Tied::Address { place } => {
                let own = self.0.get_mut(contact)?;
                if own.places().count() < 2 || !own.places().any(|known| known == *place) {
                    return None;
                }
                own.lose(place);
                let tie = own.ties.iter().position(|tie| matches!(&tie.to, Tied::Address { place: known } if known == place));
                let origin = tie.map_or(Origin::Before, |index| own.ties.remove(index).origin);
                let moved = Contact::known_by(new_id.clone(), cut.at, [place.clone()]);
                self.0.insert(new_id.clone(), moved);
                for (end, to) in [(contact, &new_id), (&new_id, contact)] {
                    let to = Tied::Contact { contact: to.clone() };
                    self.0.get_mut(end)?.ties.push(Tie { to, holds: None, origin: origin.clone(), cut: Some(cut.clone()) });
                }
                added.insert(new_id.clone());
                new_id
            }
        };
        let effects = [contact, &other].map(|contact| Effect::Unify { contact: contact.clone(), business: None });
        Some(self.written_all(&added, contact.clone(), effects.into()))
    }

    fn written_all(self, added: &BTreeSet<ContactId>, carrier: ContactId, effects: Vec<Effect>) -> Link {
        let all = self.0.keys().cloned().collect();
        self.written(&all, added, &BTreeSet::new(), carrier, effects)
    }

    /// The change of the `affected` contacts, some of which are `added`. Their addresses lead to what they now are;
    /// the `fresh` ones led nowhere before.
    fn written(
        mut self,
        affected: &BTreeSet<ContactId>,
        added: &BTreeSet<ContactId>,
        fresh: &BTreeSet<Place>,
        carrier: ContactId,
        effects: Vec<Effect>,
    ) -> Link {
        let mut link = Link { contacts: Vec::new(), added: Vec::new(), carrier, effects, known: Vec::new(), new: Vec::new() };
        for id in affected {
            let (everywhere, standing) = (self.identity(id, None), self.standing(id));
            let Some(contact) = self.0.get_mut(id) else { continue };
            (contact.linked, contact.linked_to) =
                if everywhere.owner == *id { (everywhere.linked, None) } else { (BTreeSet::new(), Some(everywhere.owner)) };
            for place in contact.places() {
                let leads = if fresh.contains(&place) { &mut link.new } else { &mut link.known };
                leads.push((place, standing.clone()));
            }
            if added.contains(id) {
                link.added.push(contact.clone());
            } else {
                contact.version += 1;
                link.contacts.push(contact.clone());
            }
        }
        link
    }
}

impl Tie {
    /// The tie of a contact to an address that a request showed with another.
    pub fn of_address(place: &Place, origin: &Origin) -> Self {
        Self { to: Tied::Address { place: place.clone() }, holds: place.business.clone(), origin: origin.clone(), cut: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::E164;
    use ulid::Ulid;

    fn id(number: u128) -> ContactId {
        ContactId::from_ulid(Ulid::from_parts(1, number))
    }

    fn business(name: &str) -> Business {
        serde_json::from_value(name.into()).unwrap()
    }

    fn phone(number: u64) -> Place {
        Place::before(&Address::Phone(E164::parse(&format!("+39{number:09}")).unwrap()))
    }

    fn user(business: &Business, id: &str) -> Place {
        Place::of(&Address::Bsuid(id.into()), business)
    }

    fn contact(number: u128, places: &[Place]) -> Contact {
        Contact::known_by(id(number), Timestamp::UNIX_EPOCH, places.iter().cloned())
    }

    fn people(contacts: impl IntoIterator<Item = Contact>) -> People {
        People::of(contacts.into_iter().map(|contact| (contact.id.clone(), contact)).collect())
    }

    fn origin(event: &str) -> Origin {
        Origin::Event { account: AccountId::from_ulid(Ulid(1)), event: event.to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    /// What the stored contacts are after a link.
    fn after(link: &Link) -> Vec<Contact> {
        link.contacts.iter().chain(&link.added).cloned().collect()
    }

    fn join(people: People, business: &Business, from: &Place, others: &[Place]) -> (Option<Identity>, Option<Link>) {
        let (mut next, origin) = (100, origin("SM1"));
        let seen = Seen { business, from, others, origin: &origin, now: Timestamp::UNIX_EPOCH };
        people.join(&seen, || {
            next += 1;
            id(next)
        })
    }

    fn cut() -> Cut {
        Cut { by: "agt_1".into(), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn what_a_request_shows_holds_for_its_business_alone() {
        let (own, foreign) = (business("META#1"), business("META#2"));
        let (one, other) = (contact(1, &[phone(1)]), contact(2, &[phone(2)]));
        let (identity, link) = join(people([one, other]), &own, &phone(2), &[phone(1)]);
        let both = Identity { owner: id(1), linked: BTreeSet::from([id(2)]) };
        assert_eq!(identity, Some(both.clone()));
        let link = link.unwrap();
        for (number, (place, standing)) in (1..).zip(&link.known) {
            assert_eq!((place, standing.at(&own), standing.at(&foreign)), (&phone(number), &both, &Identity::one(id(number.into()))));
        }
        assert!(link.contacts.iter().all(|contact| contact.version == 2 && contact.linked.is_empty() && contact.linked_to.is_none()));
        assert!(matches!(&link.effects[..], [Effect::Unify { business: Some(business), .. }] if *business == own));
        // Again it changes nothing.
        let (identity, again) = join(people(after(&link)), &own, &phone(1), &[phone(2)]);
        assert_eq!((identity, again), (Some(both), None));
    }

    #[test]
    fn a_new_number_has_a_contact_of_its_own_and_a_new_user_id_does_not() {
        let (own, foreign) = (business("META#1"), business("META#2"));
        let known = contact(1, &[user(&own, "IT.1")]);
        let (identity, link) = join(people([known]), &own, &phone(1), &[user(&own, "IT.1"), user(&own, "IT.2")]);
        assert_eq!(identity, Some(Identity { owner: id(1), linked: BTreeSet::from([id(101)]) }));
        let link = link.unwrap();
        assert_eq!((link.added.len(), link.contacts[0].user_ids.len(), link.effects.len()), (1, 2, 0), "there is nothing to merge");
        let leads: BTreeMap<_, _> = link.known.iter().chain(&link.new).cloned().collect();
        assert_eq!(leads[&phone(1)].at(&foreign), &Identity::one(id(101)));
        assert_eq!(leads[&user(&own, "IT.2")].at(&own).owner, id(1));
        // The same text is another customer elsewhere.
        assert_ne!(user(&own, "IT.1").key(), user(&foreign, "IT.1").key());
    }

    #[test]
    fn links_in_any_order_arrive_at_the_same_customer() {
        let own = business("META#1");
        let places = [phone(1), phone(2), phone(3)];
        for (first, second) in [((0, 1), (1, 2)), ((1, 2), (0, 1)), ((0, 2), (2, 1))] {
            let all = || (1..).zip(&places).map(|(number, place)| contact(number, std::slice::from_ref(place)));
            let (_, link) = join(people(all()), &own, &places[first.0], &[places[first.1].clone()]);
            let linked = after(&link.unwrap());
            let rest = all().filter(|contact| linked.iter().all(|linked| linked.id != contact.id));
            let (identity, _) = join(people(linked.iter().cloned().chain(rest)), &own, &places[second.0], &[places[second.1].clone()]);
            assert_eq!(identity, Some(Identity { owner: id(1), linked: BTreeSet::from([id(2), id(3)]) }));
        }
    }

    #[test]
    fn a_pair_that_was_cut_is_never_tied_again_by_itself_not_even_through_a_third() {
        let own = business("META#1");
        let start = [contact(1, &[phone(1)]), contact(2, &[phone(2)]), contact(3, &[phone(3)])];
        let third = start[2].clone();
        let (_, link) = join(people(start), &own, &phone(1), &[phone(2)]);
        let from = Tied::Contact { contact: id(2) };
        let parted = people(after(&link.unwrap())).part(&id(1), &from, &cut(), id(9)).unwrap();
        assert!(parted.known.iter().all(|(_, standing)| standing.at(&own).linked.is_empty() && standing.at.is_empty()));
        assert_eq!(parted.effects.len(), 2);
        let (identity, again) = join(people(after(&parted)), &own, &phone(1), &[phone(2)]);
        assert_eq!((identity, again), (Some(Identity::one(id(1))), None));
        let (_, through) = join(people(after(&parted).into_iter().chain([third])), &own, &phone(3), &[phone(2), phone(1)]);
        let leads: BTreeMap<_, _> = through.unwrap().known.into_iter().collect();
        assert!(!leads[&phone(3)].at(&own).has(&id(1)) || !leads[&phone(3)].at(&own).has(&id(2)));
        // A supervisor may change his mind.
        let by = Origin::Person { by: "agt_1".into(), at: Timestamp::UNIX_EPOCH };
        let confirmed = people(after(&parted)).confirm(&id(1), &id(2), &by).unwrap();
        assert!(confirmed.known.iter().all(|(_, standing)| standing.everywhere.linked.len() == 1));
        assert_eq!(confirmed.contacts[1].linked_to, Some(id(1)));
        assert_eq!(people(after(&confirmed)).confirm(&id(2), &id(1), &by), None);
    }

    #[test]
    fn an_address_that_came_with_a_link_moves_to_a_contact_of_its_own_and_stays_there() {
        let own = business("META#1");
        let (_, link) = join(people([contact(1, &[phone(1)])]), &own, &phone(1), &[user(&own, "IT.1")]);
        let linked = after(&link.unwrap());
        let from = Tied::Address { place: user(&own, "IT.1") };
        let parted = people(linked.clone()).part(&id(1), &from, &cut(), id(9)).unwrap();
        assert_eq!((parted.contacts[0].user_ids.len(), parted.added[0].user_ids.len()), (0, 1));
        let (identity, again) = join(people(after(&parted)), &own, &phone(1), &[user(&own, "IT.1")]);
        assert_eq!((identity, again), (Some(Identity::one(id(1))), None));
        // The last address stays.
        let last = Tied::Address { place: phone(1) };
        assert_eq!(people(after(&parted)).part(&id(1), &last, &cut(), id(8)), None);
    }

    #[test]
    fn the_older_contact_takes_over_what_only_the_newer_one_says() {
        let words = |first: Option<&str>, email: &str| Details {
            first_name: first.map(str::to_owned),
            email: Some(email.to_owned()),
            ..Details::default()
        };
        let list = |number| ListId::from_ulid(Ulid(number));
        let older = Contact { details: words(None, "old@example.com"), lists: [list(1)].into(), ..contact(1, &[phone(1)]) };
        let newer = Contact {
            name: Some(ProfileName("Zoë".into())),
            named_by: Some(NamedBy::Person),
            details: words(Some("Zoë"), "new@example.com"),
            lists: [list(2)].into(),
            blocked: true,
            ..contact(2, &[phone(2)])
        };
        // Whichever of the two is named first.
        for (one, other) in [(1, 2), (2, 1)] {
            let link = people([older.clone(), newer.clone()]).confirm(&id(one), &id(other), &origin("SM1")).unwrap();
            let owner = link.contacts.iter().find(|contact| contact.id == id(1)).unwrap();
            assert_eq!((&owner.details, &owner.lists), (&words(Some("Zoë"), "old@example.com"), &[list(1), list(2)].into()));
            assert_eq!((owner.follows_profiles(), owner.blocked), (false, true));
        }
        let long = Details { company: Some("x".repeat(MOST_BYTES)), ..Details::default() };
        let full = Contact { details: long.clone(), ..contact(1, &[phone(1)]) };
        let link = people([full, newer]).confirm(&id(1), &id(2), &origin("SM1")).unwrap();
        assert_eq!(link.contacts[0].details, long);
    }

    #[test]
    fn links_of_the_form_before_hold_everywhere_and_can_be_cut() {
        let stored = |number: u64, rest: serde_json::Value| {
            let mut stored = serde_json::json!({"id": id(number.into()), "list": ListId::from_ulid(Ulid::nil()), "created_at": "1970-01-01T00:00:00Z",
                "addresses": [phone(number).address], "version": 3});
            stored.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            serde_json::from_value::<Contact>(stored).unwrap()
        };
        let old = [stored(1, serde_json::json!({"linked": [id(2)]})), stored(2, serde_json::json!({"linked_to": id(1)}))];
        let all = people(old.clone());
        assert_eq!(all.identity(&id(2), Some(&business("META#9"))), Identity { owner: id(1), linked: BTreeSet::from([id(2)]) });
        let parted = all.part(&id(2), &Tied::Contact { contact: id(1) }, &cut(), id(9)).unwrap();
        assert!(parted.contacts.iter().all(|contact| contact.linked.is_empty() && contact.linked_to.is_none() && contact.version == 4));
        assert!(parted.contacts.iter().all(|contact| contact.ties[0].origin == Origin::Before && contact.ties[0].cut.is_some()));
        // A supervisor who confirms one widens nothing: it holds everywhere already.
        let confirmed = Origin::Person { by: "agt_1".into(), at: Timestamp::UNIX_EPOCH };
        let explained = people(old.clone()).explain(&id(2), &id(1), &confirmed).unwrap();
        assert!(explained.contacts.iter().all(|contact| contact.ties.len() == 1 && contact.ties[0].origin == confirmed));
        assert_eq!((explained.contacts[0].linked.len(), explained.effects), (1, Vec::new()));
        assert_eq!(people(explained.contacts).explain(&id(1), &id(2), &confirmed), None, "it is known now");
        // A name of that form may be a person's.
        let named = Contact { name: Some(ProfileName("Zoë".into())), ..old[0].clone() };
        assert_eq!((named.named(&ProfileName("Z".into())), old[0].named(&ProfileName("Z".into())).is_some()), (None, true));
    }

    #[test]
    fn a_contact_is_stored_with_its_ties_and_read_again() {
        let own = business("META#1");
        let (_, link) = join(people([contact(1, &[phone(1)])]), &own, &phone(1), &[user(&own, "IT.1"), phone(2)]);
        for contact in after(&link.unwrap()) {
            let stored = serde_json::to_value(&contact).unwrap();
            assert_eq!(serde_json::from_value::<Contact>(stored).unwrap(), contact);
        }
    }

    #[test]
    fn a_contact_of_the_form_before_is_on_its_one_list() {
        let contact = Contact { lists: BTreeSet::from([ListId::from_ulid(Ulid::nil())]), ..contact(1, &[phone(1)]) };
        let mut stored = serde_json::to_value(&contact).unwrap();
        assert_eq!(serde_json::from_value::<Contact>(stored.clone()).unwrap(), contact);
        let lists = stored.as_object_mut().unwrap().remove("lists").unwrap();
        stored["list"] = lists[0].clone();
        assert_eq!(serde_json::from_value::<Contact>(stored).unwrap(), contact);
    }

    #[test]
    fn nobody_has_hundreds_of_addresses() {
        let own = business("META#1");
        let mut all = vec![contact(1, &[phone(1)])];
        for number in 2..200 {
            let origin = origin("SM1");
            let (from, others) = (phone(1), [phone(number)]);
            let seen = Seen { business: &own, from: &from, others: &others, origin: &origin, now: Timestamp::UNIX_EPOCH };
            if let (_, Some(link)) = people(all.clone()).join(&seen, || id(number.into())) {
                all = after(&link);
                assert!(link.contacts.len() + link.added.len() + link.known.len() + link.new.len() <= 100);
            }
        }
        assert!(all.len() < MOST);
    }

    #[test]
    fn the_latest_word_about_marketing_counts_for_its_account_only() {
        let (own, other) = (AccountId::from_ulid(Ulid::from_parts(1, 1)), AccountId::from_ulid(Ulid::from_parts(1, 2)));
        let word = |stopped, second| Marketing { stopped, at: Timestamp::from_second(second).unwrap() };
        let contact = contact(1, &[phone(1)]);
        assert!(!contact.refuses_marketing(&own));
        let stopped = contact.with_marketing(&own, word(true, 2)).unwrap();
        assert_eq!((stopped.refuses_marketing(&own), stopped.refuses_marketing(&other), stopped.version), (true, false, 2));
        assert_eq!(stopped.with_marketing(&own, word(false, 1)), None);
        assert_eq!(stopped.with_marketing(&own, word(true, 2)), None);
        assert!(!stopped.with_marketing(&own, word(false, 3)).unwrap().refuses_marketing(&own));
    }
}
