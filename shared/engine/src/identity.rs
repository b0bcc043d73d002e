//! Who a customer is, and what to do when two turn out to be one.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::contact::{Identity, link};
use domain::decide::{self, Event};
use domain::effect::ConversationKey;
use domain::ids::{AccountId, ContactId};
use domain::interaction::Interaction;
use domain::values::Address;
use jiff::Timestamp;

use crate::interactions::Extra;
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, PortError, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// Whose some addresses are.
pub(crate) enum Identified {
    /// Nobody's yet.
    New,
    /// This person's.
    Known(Identity),
    /// Somebody else is linking them: look again.
    Conflict,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Whose `seen` are, all of one customer. Addresses that nobody had go to whoever has the others; when several have them, these are one person from now
    /// on.
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
            // What was read of the addresses was old: they are one person already.
            None => {
                let mut all = contacts.into_keys();
                Ok(all.next().map_or(Identified::New, |owner| Identified::Known(Identity { owner, linked: all.collect() })))
            }
        }
    }

    /// The conversation that a person's message belongs to: where an interaction is open, the oldest one; else the owner's.
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

    /// Sees to it that a person whose contacts were linked has at most one open interaction on each account: the newer is merged into the older, in one
    /// transaction. No new one can come in between, for opening one rests on none of the person's contacts having one.
    ///
    /// # Errors
    /// When a port fails or rivals win every attempt; calling again is safe.
    pub async fn unify(&self, contact: &ContactId) -> Result<(), EngineError> {
        let mut id = contact.clone();
        let person = loop {
            let Some(contact) = self.store.contact(&id).await? else { return Ok(()) };
            match contact.linked_to {
                Some(owner) => id = owner,
                None => break Identity { owner: id, linked: contact.linked },
            }
        };
        for account in self.directory.accounts().await?.iter() {
            self.unify_on(account, &person).await?;
        }
        Ok(())
    }

    async fn unify_on(&self, account: &Account, person: &Identity) -> Result<(), EngineError> {
        let mut attempt = 0;
        while attempt < ATTEMPTS {
            let mut open: Vec<(Interaction, Option<Timestamp>)> = Vec::new();
            for contact in person.contacts() {
                let key = ConversationKey { account: account.id.clone(), contact: contact.clone() };
                let conversation = self.store.conversation(&key).await?;
                open.extend(conversation.open.map(|open| (open, conversation.last_inbound_at)));
            }
            open.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
            let mut open = open.into_iter();
            let (Some(older), Some(newer)) = (open.next(), open.next()) else { return Ok(()) };
            if let Some(commit) = self.merger(account, older, newer).await?
                && self.store.commit(commit).await? == Committed::Done
            {
                continue;
            }
            attempt += 1;
            self.world.pause(attempt).await;
        }
        Err(EngineError::Busy)
    }

    /// The change of both; `None` when one of them is no longer what it was.
    async fn merger(
        &self,
        account: &Account,
        (older, older_inbound_at): (Interaction, Option<Timestamp>),
        (newer, newer_inbound_at): (Interaction, Option<Timestamp>),
    ) -> Result<Option<Commit>, EngineError> {
        let now = self.world.now();
        let (absorb, merge) = (Event::Absorb(Box::new(newer.clone())), Event::MergeInto(older.key()));
        let last_inbound_at = older_inbound_at.max(newer_inbound_at);
        let facts = self.gather(account, &decide::needs(&absorb, Some(&older)), Some(&older), now).await?;
        let absorbed = decide::decide(&older, absorb.clone(), &facts.context(account, last_inbound_at, now));
        let facts = self.gather(account, &decide::needs(&merge, Some(&newer)), Some(&newer), now).await?;
        let merged = decide::decide(&newer, merge.clone(), &facts.context(account, last_inbound_at, now));
        let (Ok(absorbed), Ok(merged)) = (absorbed, merged) else { return Ok(None) };
        let extra = Extra::default();
        let mut commit = self.commit_of(older, absorbed, &absorb, &Idempotency::Guarded, &extra, now);
        // The service window is the person's: it goes on with the older one.
        commit.last_inbound_at = newer_inbound_at.filter(|newer| older_inbound_at.is_none_or(|older| older < *newer));
        commit.merged = Some(Box::new(self.commit_of(newer, merged, &merge, &Idempotency::Guarded, &extra, now)));
        Ok(Some(commit))
    }
}
