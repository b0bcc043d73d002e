//! Identifies customers.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::business::Business;
use domain::contact::{Contact, Identity, Origin, People, Place, Seen};
use domain::effect::ConversationKey;
use domain::ids::{AccountId, ContactId, InteractionId};
use domain::inbound::InboundEvent;
use domain::interaction::Interaction;
use domain::values::Address;

use crate::ports::{Committed, Conversation, Directory, Owned, PortError, Store, World};
use crate::{Engine, EngineError};

/// The owner of some addresses.
pub(crate) enum Identified {
    /// The addresses lead nowhere yet.
    New,
    /// The sender's address belongs to this customer.
    Known(Identity),
    /// Another process is linking them: look again.
    Conflict,
}

/// Where an address leads.
enum Found {
    /// Nowhere.
    Nowhere,
    /// To this customer.
    Known(Identity),
    /// Another process is changing that: look again.
    Conflict,
}

/// The origin of what an event shows; `None` if the event proves nothing.
pub(crate) fn origin(event: &InboundEvent) -> Option<Origin> {
    event.is_proven().then(|| Origin::Event { account: event.account.clone(), event: event.id.clone(), at: event.received_at })
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Finds the owner of `from` for an account. `shown` are the customer's other addresses with their proof. New
    /// ones are added, and if they lead to other contacts, those are linked from now on, for the accounts of this
    /// account's business.
    pub(crate) async fn identify(
        &self,
        account: &Account,
        from: &Address,
        shown: Option<(&[Address], &Origin)>,
        fresh: bool,
    ) -> Result<Identified, EngineError> {
        let business = Business::of(account);
        let own = match self.find(account, &business, from, fresh).await? {
            Found::Conflict => return Ok(Identified::Conflict),
            Found::Known(own) => Some(own),
            Found::Nowhere => None,
        };
        let Some((others, origin)) = shown.filter(|(others, _)| others.iter().any(|other| other != from)) else {
            return Ok(own.map_or(Identified::New, Identified::Known));
        };
        let mut found = Vec::new();
        for other in others.iter().filter(|other| *other != from) {
            found.push(match self.find(account, &business, other, fresh).await? {
                Found::Conflict => return Ok(Identified::Conflict),
                Found::Known(other) => Some(other),
                Found::Nowhere => None,
            });
        }
        match &own {
            Some(own) if found.iter().all(|other| other.as_ref() == Some(own)) => return Ok(Identified::Known(own.clone())),
            None if found.iter().all(Option::is_none) => return Ok(Identified::New),
            _ => {}
        }
        let people = self.people(found.iter().chain([&own]).flatten().flat_map(Identity::contacts).cloned().collect()).await?;
        let place = Place::of(from, &business);
        let others: Vec<Place> = others.iter().map(|other| Place::of(other, &business)).collect();
        let seen = Seen { business: &business, from: &place, others: &others, origin, now: self.world.now() };
        let (identity, link) = people.join(&seen, || ContactId::from_ulid(self.world.ulid()));
        match link {
            Some(link) if self.store.link(&link).await? != Committed::Done => Ok(Identified::Conflict),
            // Without a link, the addresses that were read were out of date, or a supervisor separated them.
            Some(_) | None => Ok(identity.map_or(Identified::New, Identified::Known)),
        }
    }

    /// The customer of an address for an account. A user id from before user ids were told apart by business is the
    /// customer's at the business on whose accounts the customer used it.
    async fn find(&self, account: &Account, business: &Business, address: &Address, fresh: bool) -> Result<Found, EngineError> {
        let place = Place::of(address, business);
        if let Some(person) = self.store.contact_of(&place, business, fresh).await? {
            return Ok(Found::Known(person));
        }
        if address.phone().is_some() {
            return Ok(Found::Nowhere);
        }
        let alone = Business::alone(&account.id);
        let mut known = None;
        if alone != *business {
            // The account named its business only later.
            let earlier = Place::of(address, &alone);
            known = self.store.contact_of(&earlier, business, true).await?.map(|person| (earlier, person));
        }
        if known.is_none() {
            let before = Place::before(address);
            if let Some(person) = self.store.contact_of(&before, business, true).await?
                && self.has_written(business, &person).await?
            {
                known = Some((before, person));
            }
        }
        let Some((known, person)) = known else { return Ok(Found::Nowhere) };
        let people = self.people(person.contacts().cloned().collect()).await?;
        let Some(link) = people.adopt(&known, &place) else { return Ok(Found::Known(person)) };
        Ok(match self.store.link(&link).await? {
            Committed::Done => Found::Known(person),
            _ => Found::Conflict,
        })
    }

    /// Whether an address leads to this customer for an account.
    pub(crate) async fn leads_to(&self, account: &Account, address: &Address, person: &Identity) -> Result<bool, EngineError> {
        let business = Business::of(account);
        let leads = self.store.contact_of(&Place::of(address, &business), &business, true).await?;
        Ok(leads.is_some_and(|leads| leads == *person))
    }

    /// Whether the customer has a conversation on an account of a business.
    async fn has_written(&self, business: &Business, person: &Identity) -> Result<bool, EngineError> {
        for account in self.directory.accounts().await?.iter().filter(|account| Business::of(account) == *business) {
            for contact in person.contacts() {
                let key = ConversationKey { account: account.id.clone(), contact: contact.clone() };
                if self.store.conversation(&key).await? != Conversation::default() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Some contacts, with all that are tied to them anywhere.
    ///
    /// # Errors
    /// One of them does not exist, or a port fails.
    pub async fn people(&self, mut ids: BTreeSet<ContactId>) -> Result<People, EngineError> {
        let mut contacts: BTreeMap<ContactId, Contact> = BTreeMap::new();
        while let Some(id) = ids.pop_first() {
            if contacts.contains_key(&id) {
                continue;
            }
            let contact = self.store.contact(&id).await?;
            let contact =
                contact.ok_or_else(|| PortError { operation: "link", reason: format!("something leads to {id}, which is not there") })?;
            ids.extend(People::next_to(&contact).cloned());
            contacts.insert(id, contact);
        }
        Ok(People::of(contacts))
    }

    /// The customer of a contact, for an account of `business`: what any of its addresses leads to.
    ///
    /// # Errors
    /// A port fails.
    pub async fn person(&self, contact: &Contact, business: &Business) -> Result<Identity, EngineError> {
        for place in contact.places() {
            if let Some(person) = self.store.contact_of(&place, business, true).await? {
                return Ok(person);
            }
        }
        Ok(Identity::one(contact.id.clone()))
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
    /// customer's contacts has an open interaction; or the interaction that is open. If the address is somebody
    /// else's by now, the interaction gets another one of its customer.
    pub(crate) async fn alone(
        &self,
        account: &Account,
        closed: &mut Interaction,
    ) -> Result<Result<Option<Owned>, InteractionId>, EngineError> {
        let business = Business::of(account);
        let mut owned = None;
        if let Found::Known(person) = self.find(account, &business, &closed.address, true).await? {
            owned = Some((closed.address.clone(), person)).filter(|(_, person)| person.has(&closed.contact));
        }
        if owned.is_none()
            && let Some(contact) = self.store.contact(&closed.contact).await?
            && let Some(address) = contact.reached_at(&business).next()
        {
            closed.address = address.clone();
            owned = Some((address.clone(), self.person(&contact, &business).await?));
        }
        let Some((address, person)) = owned else { return Ok(Ok(None)) };
        let (_, conversation) = self.conversation_with(&closed.account, &person).await?;
        let own = self.store.conversation(&closed.conversation()).await?;
        match conversation.open.or(own.open) {
            Some(other) if other.id != closed.id => Ok(Err(other.id)),
            _ => Ok(Ok(Some(Owned { place: Place::of(&address, &business), business, person }))),
        }
    }

    /// A contact whom a whitelist turned away is known but on no list. If an interaction is opened with this
    /// contact after all, the contact joins the list of new contacts. Returns the contact with that list; `None`
    /// for a contact on a list.
    pub(crate) async fn unlisted(
        &self,
        owner: Option<Contact>,
        person: Option<&Identity>,
        account: &Account,
    ) -> Result<Option<Contact>, EngineError> {
        let Some(owner) = owner.filter(|owner| owner.lists.is_empty()) else { return Ok(None) };
        for linked in person.into_iter().flat_map(|person| &person.linked) {
            if self.store.contact(linked).await?.is_some_and(|linked| !linked.lists.is_empty()) {
                return Ok(None);
            }
        }
        Ok(Some(Contact { lists: BTreeSet::from([account.list.clone()]), version: owner.version + 1, ..owner }))
    }

    /// Whether a customer is blocked: the owner's contact says so, or one that is linked with it.
    pub(crate) async fn is_blocked(&self, owner: Option<&Contact>, person: Option<&Identity>) -> Result<bool, EngineError> {
        if owner.is_some_and(|owner| owner.blocked) {
            return Ok(true);
        }
        for linked in person.into_iter().flat_map(|person| &person.linked) {
            if self.store.contact(linked).await?.is_some_and(|linked| linked.blocked) {
                return Ok(true);
            }
        }
        Ok(false)
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
