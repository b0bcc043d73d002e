//! Identifies customers.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::contact::{Contact, Identity, link};
use domain::effect::ConversationKey;
use domain::ids::{AccountId, ContactId, InteractionId};
use domain::interaction::Interaction;
use domain::values::Address;

use crate::ports::{Committed, Conversation, Directory, PortError, Store, World};
use crate::{Engine, EngineError};

/// The owner of some addresses.
pub(crate) enum Identified {
    /// The addresses lead nowhere yet.
    New,
    /// The addresses belong to this customer.
    Known(Identity),
    /// Another process is linking them: look again.
    Conflict,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Finds the owner of `seen`, the addresses of one customer. New addresses are added to the contact of the
    /// others. If the others lead to several contacts, those are linked from now on.
    pub(crate) async fn identify(&self, seen: &[&Address], fresh: bool) -> Result<Identified, EngineError> {
        let (mut known, mut new) = (BTreeSet::new(), BTreeSet::new());
        let mut found: Vec<Identity> = Vec::new();
        for address in seen {
            match self.store.contact_of(address, fresh).await? {
                Some(identity) => {
                    known.insert((*address).clone());
                    found.push(identity);
                }
                None => drop(new.insert((*address).clone())),
            }
        }
        match found.as_slice() {
            [] => Ok(Identified::New),
            [first, others @ ..] if new.is_empty() && others.iter().all(|other| other == first) => Ok(Identified::Known(first.clone())),
            found => self.link(found.iter().flat_map(Identity::contacts).cloned().collect(), &known, &new).await,
        }
    }

    async fn link(
        &self,
        mut ids: BTreeSet<ContactId>,
        known: &BTreeSet<Address>,
        new: &BTreeSet<Address>,
    ) -> Result<Identified, EngineError> {
        let mut contacts = BTreeMap::new();
        while let Some(id) = ids.pop_first() {
            if contacts.contains_key(&id) {
                continue;
            }
            let contact = self.store.contact(&id).await?;
            let contact =
                contact.ok_or_else(|| PortError { operation: "link", reason: format!("an address leads to {id}, which is not there") })?;
            ids.extend(contact.linked.iter().chain(&contact.linked_to).cloned());
            contacts.insert(id, contact);
        }
        match link(&contacts, known, new) {
            Some(link) => match self.store.link(&link).await? {
                Committed::Done => Ok(Identified::Known(link.identity)),
                _ => Ok(Identified::Conflict),
            },
            // The addresses that were read were out of date: they are linked already.
            None => {
                let mut all = contacts.into_keys();
                Ok(all.next().map_or(Identified::New, |owner| Identified::Known(Identity { owner, linked: all.collect() })))
            }
        }
    }

    /// The conversation of a customer's message: the oldest one with an open interaction, otherwise the owner's.
    pub(crate) async fn conversation_with(&self, account: &AccountId, person: &Identity) -> Result<(ContactId, Conversation), EngineError> {
        let mut chosen: Option<(ContactId, Conversation)> = None;
        for contact in person.contacts() {
            let conversation = self.store.conversation(&ConversationKey { account: account.clone(), contact: contact.clone() }).await?;
            let older =
                |other: &Interaction| chosen.as_ref().and_then(|(_, chosen)| chosen.open.as_ref()).is_none_or(|open| other.id < open.id);
            if chosen.is_none() || conversation.open.as_ref().is_some_and(older) {
                chosen = Some((contact.clone(), conversation));
            }
        }
        Ok(chosen.unwrap_or_else(|| (person.owner.clone(), Conversation::default())))
    }

    /// The data for reopening a closed interaction: the owner of the customer's address, to check that none of the
    /// customer's contacts has an open interaction; or the interaction that is open.
    pub(crate) async fn alone(&self, closed: &Interaction) -> Result<Result<Option<(Address, Identity)>, InteractionId>, EngineError> {
        let Some(person) = self.store.contact_of(&closed.address, true).await? else { return Ok(Ok(None)) };
        let (_, conversation) = self.conversation_with(&closed.account, &person).await?;
        let own = self.store.conversation(&closed.conversation()).await?;
        match conversation.open.or(own.open) {
            Some(other) if other.id != closed.id => Ok(Err(other.id)),
            _ => Ok(Ok(Some((closed.address.clone(), person)))),
        }
    }

    /// A contact whom a whitelist turned away is known but on no list. If an interaction is opened with this
    /// contact after all, the contact joins the list of new contacts. Returns the contact with that list; `None`
    /// for a contact on a list.
    pub(crate) async fn unlisted(&self, owner: Option<Contact>, account: &Account) -> Result<Option<Contact>, EngineError> {
        let Some(owner) = owner.filter(|owner| owner.lists.is_empty()) else { return Ok(None) };
        for linked in &owner.linked {
            if self.store.contact(linked).await?.is_some_and(|linked| !linked.lists.is_empty()) {
                return Ok(None);
            }
        }
        Ok(Some(Contact { lists: BTreeSet::from([account.list.clone()]), version: owner.version + 1, ..owner }))
    }

    /// Whether the account serves a customer: it has no whitelist in force, or one of the customer's contacts is on
    /// one of its lists.
    pub(crate) async fn is_welcome(&self, account: &Account, person: Option<&Identity>) -> Result<bool, EngineError> {
        let Some(whitelist) = account.settings.whitelist.as_ref().filter(|whitelist| whitelist.enabled) else { return Ok(true) };
        for contact in person.into_iter().flat_map(Identity::contacts) {
            let contact = self.store.contact(contact).await?;
            if contact.is_some_and(|contact| whitelist.lists.iter().any(|list| contact.lists.contains(list))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
