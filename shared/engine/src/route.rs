//! Routes a provider's event to its interaction.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::contact::{Contact, Identity};
use domain::decide::{self, Context, Decision, Event, Opening};
use domain::effect::Effect;
use domain::ids::{ContactId, InteractionId, MessageId};
use domain::inbound::{InboundAttachment, InboundEvent, InboundKind, InboundMessage, ProfileName};
use domain::interaction::Interaction;
use domain::message::{Author, Message};
use domain::values::to_millisecond;
use jiff::Timestamp;

use crate::gather::Facts;
use crate::identity::Identified;
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Routes an event: a message joins or opens an interaction, a status moves its message on, an annotation
    /// changes one. Repetitions change nothing.
    ///
    /// # Errors
    /// [`EngineError::NotYet`] if the message that it is about may come in a moment. A port fails, or rivals win
    /// every attempt. It is safe to call again.
    pub async fn route(&self, event: &InboundEvent) -> Result<(), EngineError> {
        match &event.kind {
            InboundKind::Message(message) => self.route_message(event, message).await,
            InboundKind::Status(status) => self.route_status(event, status).await,
            InboundKind::Annotation(annotation) => self.route_annotation(event, annotation).await,
            InboundKind::Elsewhere(said) => self.route_elsewhere(event, said).await,
            InboundKind::Alert(alert) => Ok(self.store.keep_alert(event, alert).await?),
            // `route` reads it from the table first.
            InboundKind::Stored => Err(EngineError::NotFound),
            // The event is stored with its raw body. There is nothing to route.
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
            let met = self.meet(event, inbound, &account, person).await?;
            let (before, decision) = met.decide(inbound, &account);
            match self.store.commit(met.assemble(event, inbound, &account, before, decision)).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Gathers the data for a message.
    async fn meet(
        &self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        person: Option<Identity>,
    ) -> Result<Met, EngineError> {
        let now = self.world.now();
        let (contact, conversation) = match &person {
            Some(person) => self.conversation_with(&account.id, person).await?,
            None => (ContactId::from_ulid(self.world.ulid()), Conversation::default()),
        };
        let answers = match &inbound.reply_to {
            Some(answered) => self.store.message_by_provider_id(&account.id, answered).await?.map(|key| key.message),
            None => None,
        };
        let at = to_millisecond(inbound.sent_at.unwrap_or(event.received_at));
        let message = MessageId::from_ulid(self.world.ulid());
        let open = conversation.open.as_ref();
        let needs = decide::needs(&Event::MessageReceived { message: message.clone(), at }, open);
        let facts = self.gather(account, &needs, open, now).await?;
        let welcome = conversation.open.is_some() || self.is_welcome(account, person.as_ref()).await?;
        let owner = match &person {
            Some(person) if conversation.open.is_none() => self.store.contact(&person.owner).await?,
            _ => None,
        };
        let saved_name = owner.as_ref().and_then(|owner| owner.name.clone());
        let listed = if welcome { self.unlisted(owner, account).await? } else { None };
        let interaction = InteractionId::from_ulid(self.world.ulid());
        Ok(Met {
            person,
            contact,
            conversation,
            saved_name,
            listed,
            welcome,
            answers,
            facts,
            received: Received { message, at },
            interaction,
            now,
        })
    }
}

/// The data for a customer's message, and the ids of the items that it may add.
struct Met {
    /// The customer; `None`: a new one.
    person: Option<Identity>,
    contact: ContactId,
    conversation: Conversation,
    /// The customer's saved name, if an interaction is to be opened.
    saved_name: Option<ProfileName>,
    /// The contact with the account's list added.
    listed: Option<Contact>,
    /// Whether the account serves the customer.
    welcome: bool,
    /// The message that this one replies to.
    answers: Option<MessageId>,
    facts: Facts,
    received: Received,
    /// The interaction, if one is opened.
    interaction: InteractionId,
    now: Timestamp,
}

/// The message in the thread.
struct Received {
    message: MessageId,
    at: Timestamp,
}

impl Met {
    /// Decides: the message joins the open interaction or opens one.
    fn decide(&self, inbound: &InboundMessage, account: &Account) -> (Option<Interaction>, Decision) {
        let Received { message, at } = &self.received;
        let last_inbound_at = self.conversation.last_inbound_at;
        let context = Context { heard: Some(&inbound.content), ..self.facts.context(account, last_inbound_at, self.now) };
        // If the conversation's head names a closed interaction, a new one is right, and the transaction checks
        // that.
        let joined = self.conversation.open.as_ref().and_then(|open| {
            let received = Event::MessageReceived { message: message.clone(), at: *at };
            Some((Some(open.clone()), decide::decide(open, received, &context).ok()?))
        });
        joined.unwrap_or_else(|| {
            let opening = Opening {
                id: self.interaction.clone(),
                contact: self.contact.clone(),
                address: inbound.from.clone(),
                // The saved name says more than the customer's own profile name.
                customer_name: self.saved_name.clone().or_else(|| inbound.profile_name.clone()),
                welcome: self.welcome,
            };
            (None, decide::open(opening, message.clone(), *at, &context))
        })
    }

    /// Assembles the writes.
    fn assemble(
        self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        before: Option<Interaction>,
        mut decision: Decision,
    ) -> Commit {
        let Received { message, at } = self.received;
        let message = Message {
            provider_id: Some(inbound.provider_id.clone()),
            attachments: inbound.attachments.iter().map(InboundAttachment::to_be_copied).collect(),
            reply_to: inbound.reply_to.clone(),
            answers: self.answers,
            forwarded: inbound.forwarded,
            referral: inbound.referral.clone(),
            product: inbound.product.clone(),
            words: inbound.words.clone(),
            cut: inbound.cut,
            ..Message::new(message, decision.interaction.id.clone(), at, Author::Customer, inbound.content.clone())
        };
        let mut effects = std::mem::take(&mut decision.message_effects);
        effects.extend((0..message.attachments.len()).map(|index| Effect::CopyMedia { index }));
        let new = self.person.is_none().then(|| Contact {
            id: self.contact,
            // A contact whom the whitelist refuses is known from now on, but on no list until a whitelist lets the
            // customer in.
            lists: self.welcome.then(|| account.list.clone()).into_iter().collect(),
            name: inbound.profile_name.clone(),
            username: inbound.username.clone(),
            marketing: BTreeMap::new(),
            addresses: std::iter::once(&inbound.from).chain(&inbound.alias).cloned().collect(),
            created_at: self.now,
            version: 1,
            linked: BTreeSet::new(),
            linked_to: None,
        });
        let commit = Commit {
            contact: new,
            listed: self.listed,
            // No other process may have linked the contact, and opened an interaction with the linked one, since it
            // was read.
            identity: self.person.filter(|_| before.is_none()).map(|person| (inbound.from.clone(), person)),
            last_inbound_at: self.conversation.last_inbound_at.is_none_or(|last| last < at).then_some(at),
            ..Commit::of(before, decision, Idempotency::of(event))
        };
        commit.with(message, effects)
    }
}
