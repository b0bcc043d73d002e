//! A provider's event finds its interaction.

use domain::account::Account;
use domain::contact::Contact;
use domain::decide::{self, Context, Event, Opening};
use domain::effect::{Audience, ConversationKey, Effect, InteractionKey, MessageRef, Notice};
use domain::ids::{ContactId, InteractionId, MessageId};
use domain::inbound::{InboundEvent, InboundKind, InboundMessage, StatusUpdate};
use domain::message::{Attachment, Author, Copy, Delivery, Message};
use jiff::Timestamp;

use crate::interactions::replies;
use crate::ports::{Commit, Committed, Conversation, Directory, Mark, MessageCommit, NewContact, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Routes an event: a message joins or opens an interaction, a status moves its message on. Repetitions change nothing.
    ///
    /// # Errors
    /// When a port fails or rivals win every attempt; calling again is safe.
    pub async fn route(&self, event: &InboundEvent) -> Result<(), EngineError> {
        match &event.kind {
            InboundKind::Message(message) => self.route_message(event, message).await,
            InboundKind::Status(status) => self.route_status(event, status).await,
            // Kept with its raw body; there is nothing to route.
            InboundKind::Annotation(_) | InboundKind::Other { .. } => Ok(self.store.settle(event).await?),
        }
    }

    async fn route_message(&self, event: &InboundEvent, inbound: &InboundMessage) -> Result<(), EngineError> {
        let account = self.directory.account(&event.account).await?.ok_or_else(|| EngineError::NoAccount(event.account.clone()))?;
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let contact = self.contact(inbound, &account, now).await?;
            let contact_id = match &contact {
                Known::Contact(id) => id.clone(),
                Known::New(new) => new.contact.id.clone(),
            };
            let conversation = match &contact {
                Known::New(new) if new.is_new => Conversation::default(),
                Known::New(_) | Known::Contact(_) => {
                    self.store.conversation(&ConversationKey { account: account.id.clone(), contact: contact_id.clone() }).await?
                }
            };
            let commit = self.joined(event, inbound, &account, contact, contact_id, conversation, now).await?;
            match self.store.commit(commit).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// What the message makes of the conversation that it found.
    #[allow(clippy::too_many_arguments, reason = "each is one loaded fact; a struct of them would have no second user")]
    async fn joined(
        &self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        contact: Known,
        contact_id: ContactId,
        conversation: Conversation,
        now: Timestamp,
    ) -> Result<Commit, EngineError> {
        let at = to_millisecond(inbound.sent_at.unwrap_or(event.received_at));
        let message = MessageId::from_ulid(self.world.ulid());
        let facts = self.facts(account, conversation.open.as_ref()).await?;
        let holder = conversation.open.as_ref().and_then(|open| open.agent.clone());
        let presences = match holder {
            Some(agent) => self.store.presences(&[agent]).await?,
            None => Default::default(),
        };
        let context = Context {
            account,
            running_plan: facts.running_plan.as_ref(),
            queues: &facts.queues,
            intervals: &facts.intervals,
            list: facts.list.as_ref(),
            heard: Some(&inbound.content),
            presence: presences.values().next(),
            last_inbound_at: conversation.last_inbound_at,
            now,
        };
        let opening = || Opening {
            id: InteractionId::from_ulid(self.world.ulid()),
            contact: contact_id.clone(),
            address: inbound.from.clone(),
            customer_name: inbound.profile_name.clone(),
        };
        let (before, decision) = match conversation.open {
            Some(open) => match decide::decide(&open, Event::MessageReceived { message: message.clone(), at }, &context) {
                Ok(decision) => (Some(open), decision),
                // The pointer said open: whatever was read in between, a new one is right, and the transaction proves it.
                Err(_) => (None, decide::open(opening(), message.clone(), at, &context)),
            },
            None => (None, decide::open(opening(), message.clone(), at, &context)),
        };
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
            forwarded: inbound.forwarded,
            referral: inbound.referral.clone(),
            reactions: Vec::new(),
            edits: Vec::new(),
            deleted_at: None,
            delivery: None,
        };
        Ok(Commit {
            before,
            after: decision.interaction,
            effects: decision.effects,
            history: decision.history,
            messages: std::iter::once((message, effects)).chain(replies).collect(),
            contact: match contact {
                Known::New(new) => Some(new),
                Known::Contact(_) => None,
            },
            last_inbound_at: conversation.last_inbound_at.is_none_or(|last| last < at).then_some(at),
            mark: Mark::Event { account: event.account.clone(), id: event.id.clone() },
            membership: None,
            presence_revision: None,
            cursor: None,
        })
    }

    /// The contact behind a message; one that exists nowhere yet is made, to be saved with the message.
    async fn contact(&self, inbound: &InboundMessage, account: &Account, now: Timestamp) -> Result<Known, EngineError> {
        let by_from = self.store.contact_of(&inbound.from).await?;
        let by_alias = match &inbound.alias {
            Some(alias) => self.store.contact_of(alias).await?,
            None => None,
        };
        let unknown =
            |known: &Option<ContactId>, address: Option<&domain::values::Address>| known.is_none().then(|| address.cloned()).flatten();
        let addresses: Vec<_> =
            unknown(&by_from, Some(&inbound.from)).into_iter().chain(unknown(&by_alias, inbound.alias.as_ref())).collect();
        let known = by_from.or(by_alias);
        if addresses.is_empty()
            && let Some(id) = known
        {
            return Ok(Known::Contact(id));
        }
        let is_new = known.is_none();
        let contact = Contact {
            id: known.unwrap_or_else(|| ContactId::from_ulid(self.world.ulid())),
            list: account.list.clone(),
            name: inbound.profile_name.clone(),
            username: inbound.username.clone(),
            addresses: addresses.clone(),
            created_at: now,
        };
        Ok(Known::New(NewContact { contact, is_new, addresses }))
    }

    async fn route_status(&self, event: &InboundEvent, status: &StatusUpdate) -> Result<(), EngineError> {
        let referred = status.reference.clone().and_then(|reference| MessageRef(reference).key(&event.account));
        let key = match referred {
            Some(key) => Some(key),
            None => self.store.message_by_provider_id(&event.account, &status.provider_id).await?,
        };
        // A message that another system sent through the same number has no place here.
        let Some(key) = key else { return Ok(self.store.settle(event).await?) };
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let Some(before) = self.store.message(&key).await? else { return Ok(self.store.settle(event).await?) };
            let current = before.delivery.as_ref();
            if !current.is_some_and(|delivery| delivery.state.moves_to(status.state)) {
                return Ok(self.store.settle(event).await?);
            }
            let mut after = before.clone();
            after.version += 1;
            after.delivery = Some(Delivery {
                state: status.state,
                since: status.at.unwrap_or(now),
                error: status.error.clone(),
                attempts: current.map_or(0, |delivery| delivery.attempts),
            });
            let index_provider_id = after.provider_id.is_none();
            after.provider_id.get_or_insert_with(|| status.provider_id.clone());
            let commit = MessageCommit {
                key: key.clone(),
                before: before.version,
                effects: told_author(&after),
                after,
                mark: Mark::Event { account: event.account.clone(), id: event.id.clone() },
                index_provider_id,
            };
            match self.store.commit_message(commit).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Where the interaction of a command lies.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it is nowhere.
    pub async fn locate(&self, id: &InteractionId) -> Result<InteractionKey, EngineError> {
        self.store.locate(id).await?.ok_or(EngineError::NotFound)
    }
}

/// The precision of a message's key, so that message and key agree.
pub(crate) fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// The author of a message learns how far it has got.
pub(crate) fn told_author(message: &Message) -> Vec<Effect> {
    match &message.author {
        Author::Agent { agent } => vec![Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::MessageState }],
        Author::Customer | Author::System => Vec::new(),
    }
}

/// A contact, known or to be saved.
enum Known {
    Contact(ContactId),
    New(NewContact),
}
