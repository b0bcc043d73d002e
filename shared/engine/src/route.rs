//! A provider's event finds its interaction.

use std::collections::BTreeSet;

use domain::account::Account;
use domain::contact::{Contact, Identity};
use domain::decide::{self, Context, Event, Opening};
use domain::effect::{Effect, InteractionKey};
use domain::ids::{ContactId, InteractionId, MessageId};
use domain::inbound::{InboundEvent, InboundKind, InboundMessage};
use domain::message::{Attachment, Author, Copy, Message};
use jiff::Timestamp;

use crate::identity::Identified;
use crate::interactions::replies;
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Routes an event: a message joins or opens an interaction, a status moves its message on, an annotation changes one. Repetitions change nothing.
    ///
    /// # Errors
    /// [`EngineError::NotYet`] when what it is about may come in a moment. When a port fails or rivals win every attempt; calling again is safe.
    pub async fn route(&self, event: &InboundEvent) -> Result<(), EngineError> {
        match &event.kind {
            InboundKind::Message(message) => self.route_message(event, message).await,
            InboundKind::Status(status) => self.route_status(event, status).await,
            InboundKind::Annotation(annotation) => self.route_annotation(event, annotation).await,
            // Kept with its raw body; there is nothing to route.
            InboundKind::Other { .. } => Ok(self.store.settle(event).await?),
        }
    }

    async fn route_message(&self, event: &InboundEvent, inbound: &InboundMessage) -> Result<(), EngineError> {
        let account = self.directory.account(&event.account).await?.ok_or_else(|| EngineError::NoAccount(event.account.clone()))?;
        for attempt in 1..=ATTEMPTS {
            let seen: Vec<_> = std::iter::once(&inbound.from).chain(&inbound.alias).collect();
            let person = match self.identify(&seen, attempt > 1).await? {
                Identified::Known(person) => Some(person),
                Identified::New => None,
                Identified::Conflict => {
                    self.world.pause(attempt).await;
                    continue;
                }
            };
            let commit = self.joined(event, inbound, &account, person).await?;
            match self.store.commit(commit).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// What the message makes of the conversation that it found.
    async fn joined(
        &self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        person: Option<Identity>,
    ) -> Result<Commit, EngineError> {
        let now = self.world.now();
        let (contact, conversation) = match &person {
            Some(person) => self.conversation_with(&account.id, person).await?,
            None => (ContactId::from_ulid(self.world.ulid()), Conversation::default()),
        };
        let new = person.is_none().then(|| Contact {
            id: contact.clone(),
            lists: BTreeSet::new(),
            name: inbound.profile_name.clone(),
            username: inbound.username.clone(),
            addresses: std::iter::once(&inbound.from).chain(&inbound.alias).cloned().collect(),
            created_at: now,
            version: 1,
            linked: BTreeSet::new(),
            linked_to: None,
        });
        let answers = match &inbound.reply_to {
            Some(answered) => self.store.message_by_provider_id(&account.id, answered).await?.map(|key| key.message),
            None => None,
        };
        let at = to_millisecond(inbound.sent_at.unwrap_or(event.received_at));
        let message = MessageId::from_ulid(self.world.ulid());
        let received = Event::MessageReceived { message: message.clone(), at };
        let needs = decide::needs(&received, conversation.open.as_ref());
        let facts = self.gather(account, &needs, conversation.open.as_ref(), now).await?;
        let context = Context { heard: Some(&inbound.content), ..facts.context(account, conversation.last_inbound_at, now) };
        let welcome = conversation.open.is_some() || self.is_welcome(account, person.as_ref()).await?;
        // What people here call the customer says more than what the customer does.
        let owner = match &person {
            Some(person) if conversation.open.is_none() => self.store.contact(&person.owner).await?,
            _ => None,
        };
        let saved = owner.as_ref().and_then(|owner| owner.name.clone());
        let listed = if welcome { self.unlisted(owner, account).await? } else { None };
        let opening = || Opening {
            id: InteractionId::from_ulid(self.world.ulid()),
            contact: contact.clone(),
            address: inbound.from.clone(),
            customer_name: saved.clone().or_else(|| inbound.profile_name.clone()),
            welcome,
        };
        let (before, decision) = match conversation.open {
            Some(open) => match decide::decide(&open, received, &context) {
                Ok(decision) => (Some(open), decision),
                // The pointer said open: whatever was read in between, a new one is right, and the transaction proves it.
                Err(_) => (None, decide::open(opening(), message.clone(), at, &context)),
            },
            None => (None, decide::open(opening(), message.clone(), at, &context)),
        };
        // Who is not welcome is known from now on, but on no list until a whitelist lets the customer in.
        let lists = if welcome { BTreeSet::from([account.list.clone()]) } else { BTreeSet::new() };
        let new = new.map(|contact| Contact { lists, ..contact });
        let replies = replies(&decision);
        let mut effects = decision.message_effects;
        effects.extend((0..inbound.attachments.len()).map(|index| Effect::CopyMedia { index }));
        let message = Message {
            id: message,
            interaction: decision.interaction.id.clone(),
            version: 1,
            at,
            provider_id: Some(inbound.provider_id.clone()),
            author: Author::Customer,
            content: inbound.content.clone(),
            attachments: inbound
                .attachments
                .iter()
                .map(|attachment| Attachment {
                    source: attachment.source.clone(),
                    content_type: attachment.content_type.clone(),
                    name: attachment.name.clone(),
                    kind: attachment.kind,
                    sha256: attachment.sha256.clone(),
                    copy: Copy::Pending,
                })
                .collect(),
            reply_to: inbound.reply_to.clone(),
            answers,
            forwarded: inbound.forwarded,
            referral: inbound.referral.clone(),
            reactions: Vec::new(),
            edits: Vec::new(),
            deleted_at: None,
            delivery: None,
        };
        // Nobody may have linked the contact, and opened an interaction with the other one, since it was read.
        let identity = person.filter(|_| before.is_none()).map(|person| (inbound.from.clone(), person));
        Ok(Commit {
            before,
            after: decision.interaction,
            effects: decision.effects,
            history: decision.history,
            messages: std::iter::once((message, effects)).chain(replies).collect(),
            contact: new,
            listed,
            identity,
            last_inbound_at: conversation.last_inbound_at.is_none_or(|last| last < at).then_some(at),
            mark: mark_of(event),
            membership: None,
            presence_revision: None,
            cursor: None,
            merged: None,
        })
    }

    /// Whoever was turned away by a whitelist is known and on no list. When an interaction is opened with such a person after all, the contact is saved where
    /// new ones are: as it is then; `None` for who is on a list.
    pub(crate) async fn unlisted(&self, owner: Option<Contact>, account: &Account) -> Result<Option<Contact>, EngineError> {
        let Some(owner) = owner.filter(|owner| owner.lists.is_empty()) else { return Ok(None) };
        for linked in &owner.linked {
            if self.store.contact(linked).await?.is_some_and(|linked| !linked.lists.is_empty()) {
                return Ok(None);
            }
        }
        Ok(Some(Contact { lists: BTreeSet::from([account.list.clone()]), version: owner.version + 1, ..owner }))
    }

    /// Whether the account talks to a person: unless it has a whitelist that is in force and none of the person's contacts is on one of its lists.
    async fn is_welcome(&self, account: &Account, person: Option<&Identity>) -> Result<bool, EngineError> {
        let Some(whitelist) = account.settings.whitelist.as_ref().filter(|whitelist| whitelist.enabled) else { return Ok(true) };
        for contact in person.into_iter().flat_map(Identity::contacts) {
            let contact = self.store.contact(contact).await?;
            if contact.is_some_and(|contact| whitelist.lists.iter().any(|list| contact.lists.contains(list))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the interaction of a command lies.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it is nowhere.
    pub async fn locate(&self, id: &InteractionId) -> Result<InteractionKey, EngineError> {
        self.store.locate(id).await?.ok_or(EngineError::NotFound)
    }
}

/// What makes an event count once.
pub(crate) fn mark_of(event: &InboundEvent) -> Idempotency {
    Idempotency::Event { account: event.account.clone(), id: event.id.clone() }
}

/// The precision of a message's key, so that message and key agree.
pub(crate) fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
