//! Merges two open interactions of one customer on one account, and parts customers who were linked.

use domain::account::Account;
use domain::business::Business;
use domain::contact::{Identity, Place};
use domain::decide::{self, Event};
use domain::effect::ConversationKey;
use domain::ids::ContactId;
use domain::interaction::Interaction;
use jiff::Timestamp;

use crate::ports::{Commit, Committed, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Ensures that a customer whose contacts were linked has at most one open interaction on each account of
    /// `business` (`None`: on every account). The newer one is merged into the older, in one transaction. No new one
    /// can be opened in between, because opening requires that none of the customer's contacts has one.
    ///
    /// If contacts were cut apart, an open interaction whose address is another customer's now gets one of its own
    /// contact, so that its agent's next answer goes there.
    ///
    /// # Errors
    /// A port fails, or rivals win every attempt. It is safe to call again.
    pub async fn unify(&self, contact: &ContactId, business: Option<&Business>) -> Result<(), EngineError> {
        let Some(contact) = self.store.contact(contact).await? else { return Ok(()) };
        for account in self.directory.accounts().await?.iter() {
            let of = Business::of(account);
            if business.is_none_or(|business| *business == of) {
                let person = self.person(&contact, &of).await?;
                self.unify_on(account, &person).await?;
                self.readdress(account, &of, &person).await?;
            }
        }
        Ok(())
    }

    /// Turns open interactions away from addresses that are another customer's.
    async fn readdress(&self, account: &Account, business: &Business, person: &Identity) -> Result<(), EngineError> {
        for contact in person.contacts() {
            let key = ConversationKey { account: account.id.clone(), contact: contact.clone() };
            let Some(open) = self.store.conversation(&key).await?.open else { continue };
            let leads = self.store.contact_of(&Place::of(&open.address, business), business, true).await?;
            if leads.is_none_or(|leads| leads.has(contact)) {
                continue;
            }
            let own = self.store.contact(contact).await?;
            if let Some(address) = own.as_ref().and_then(|own| own.reached_at(business).next()) {
                let event = Event::Readdressed { address: address.clone() };
                self.tell_if_there(&open.key(), event).await?;
            }
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
                && self.commit(commit).await? == Committed::Done
            {
                continue;
            }
            attempt += 1;
            self.world.pause(attempt).await;
        }
        Err(EngineError::Busy)
    }

    /// The change of both; `None` if one of them has changed.
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
        let absorbed = decide::decide(&older, absorb, &facts.context(account, last_inbound_at, now));
        let facts = self.gather(account, &decide::needs(&merge, Some(&newer)), Some(&newer), now).await?;
        let merged = decide::decide(&newer, merge, &facts.context(account, last_inbound_at, now));
        let (Ok(absorbed), Ok(merged)) = (absorbed, merged) else { return Ok(None) };
        Ok(Some(Commit {
            // The service window belongs to the customer, so it goes on with the older one.
            last_inbound_at: newer_inbound_at.filter(|newer| older_inbound_at.is_none_or(|older| older < *newer)),
            merged: Some(Box::new(Commit::of(Some(newer), merged, Idempotency::Guarded))),
            ..Commit::of(Some(older), absorbed, Idempotency::Guarded)
        }))
    }
}
