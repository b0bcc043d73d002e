//! Messages that were written outside this deployment: what the business says on the same number in its phone app or
//! in another system, and the chats from before the number was connected.
//!
//! They join the thread, so that nobody answers twice. They open nothing, ring nowhere and mark nothing unread. They
//! don't count as an answer either: nobody here has read what the customer wrote.

use domain::account::Account;
use domain::business::Business;
use domain::contact::{Contact, Identity, NamedBy, Place, Tie};
use domain::decide::{self, CustomerName, Decision, Event, Opening, Welcome};
use domain::effect::{ConversationKey, Effect, InteractionKey, MessageKey};
use domain::ids::{AccountId, ContactId, InteractionId, MessageId};
use domain::inbound::{Elsewhere, InboundAttachment, InboundEvent};
use domain::interaction::Interaction;
use domain::message::{Author, Content, Message, Origin};
use domain::values::{Address, to_millisecond};
use jiff::Timestamp;
use ulid::Ulid;

use crate::identity::{Identified, origin};
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, MessageCommit, Owned, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Adds the message to the open interaction, else to the latest closed one. What was written before the number
    /// was connected, or before the customer had any interaction, goes into one that is closed from the beginning.
    pub(crate) async fn route_elsewhere(&self, event: &InboundEvent, said: &Elsewhere) -> Result<(), EngineError> {
        if let Some(key) = self.store.message_by_provider_id(&event.account, &said.provider_id).await? {
            return self.complete(event, said, &key).await;
        }
        let account = self.directory.account(&event.account).await?.ok_or_else(|| EngineError::NoAccount(event.account.clone()))?;
        let others: Vec<Address> = said.alias.iter().cloned().collect();
        let origin = origin(event);
        for attempt in 1..=ATTEMPTS {
            let person =
                match self.identify(&account, &said.customer, origin.as_ref().map(|origin| (&others[..], origin)), attempt > 1).await? {
                    Identified::Known(person) => Some(person),
                    Identified::New => None,
                    Identified::Conflict => {
                        self.world.pause(attempt).await;
                        continue;
                    }
                };
            let commit = self.overheard(event, said, &account, person).await?;
            match self.commit(commit).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    async fn overheard(
        &self,
        event: &InboundEvent,
        said: &Elsewhere,
        account: &Account,
        person: Option<Identity>,
    ) -> Result<Commit, EngineError> {
        let (now, id) = (self.world.now(), MessageId::from_ulid(self.world.ulid()));
        let at = to_millisecond(said.sent_at.unwrap_or(event.received_at));
        let (contact, conversation) = match &person {
            Some(person) => self.conversation_with(&account.id, person).await?,
            None => (ContactId::from_ulid(self.world.ulid()), Conversation::default()),
        };
        let joined = match said.origin {
            Some(Origin::History) => None,
            _ => conversation.open.or(conversation.latest),
        };
        let (before, mut decision) = match joined {
            Some(joined) => {
                let decision = self.joins(account, &joined, &id, said, now).await?;
                (Some(joined), decision)
            }
            None => self.set_aside(event, account, &contact, &id, said, at).await?,
        };
        let message = Message {
            provider_id: Some(said.provider_id.clone()),
            from: said.from_customer.then(|| said.customer.clone()),
            attachments: said.attachments.iter().map(InboundAttachment::to_be_copied).collect(),
            reply_to: said.reply_to.clone(),
            words: said.words.clone(),
            cut: said.cut,
            origin: said.origin,
            unproven: event.is_unproven(),
            ..Message::new(id, decision.interaction.id.clone(), at, author_of(said), said.content.clone())
        };
        let mut message = message;
        message.came_with(&event.id);
        let mut effects = std::mem::take(&mut decision.message_effects);
        effects.extend((0..message.attachments.len()).map(|index| Effect::CopyMedia { index }));
        let new = match &person {
            Some(_) => None,
            None => Some(self.stranger(event, account, contact, said, now).await?),
        };
        // The address may be remembered from before its customer was erased: nothing new is made for that one.
        let business = Business::of(account);
        let owned = |person| Owned { place: Place::of(&said.customer, &business), business: business.clone(), person };
        let identity = person.filter(|_| before.is_none()).map(owned);
        let commit = Commit { contact: new, identity, ..Commit::of(before, decision, Idempotency::of(event)) };
        Ok(commit.with(message, effects))
    }

    async fn joins(
        &self,
        account: &Account,
        joined: &Interaction,
        message: &MessageId,
        said: &Elsewhere,
        now: Timestamp,
    ) -> Result<Decision, EngineError> {
        // A sync of months brings thousands of messages. Their thread's files are made on request.
        let event = Event::Overheard { message: message.clone(), archive: said.origin != Some(Origin::History) };
        let facts = self.gather(account, &decide::needs(&event, Some(joined)), Some(joined), now).await?;
        // Overhearing is never refused.
        decide::decide(joined, event, &facts.context(account, None, now)).map_err(|_| EngineError::Busy)
    }

    /// The interaction that was closed from the beginning. Each conversation has at most one: its id follows from the
    /// account and the contact, and from how many were deleted before it. The id of a deleted one is not used again
    /// while anything late may still be deleted under it.
    async fn set_aside(
        &self,
        event: &InboundEvent,
        account: &Account,
        contact: &ContactId,
        message: &MessageId,
        said: &Elsewhere,
        at: Timestamp,
    ) -> Result<(Option<Interaction>, Decision), EngineError> {
        let now = self.world.now();
        let mut deleted = 0;
        let known = loop {
            let conversation = ConversationKey { account: account.id.clone(), contact: contact.clone() };
            let key = InteractionKey { conversation, interaction: aside_of(&account.id, contact, deleted) };
            match self.store.interaction(&key).await? {
                None if self.store.was_deleted(&key.interaction).await? => deleted += 1,
                known => break known,
            }
        };
        if let Some(known) = known {
            let decision = self.joins(account, &known, message, said, now).await?;
            return Ok((Some(known), decision));
        }
        let opening = Opening {
            id: aside_of(&account.id, contact, deleted),
            contact: contact.clone(),
            address: said.customer.clone(),
            name: CustomerName { name: said.profile_name.clone().filter(|_| event.is_proven()), kept: false },
            welcome: Welcome::Served,
        };
        let facts = self.gather(account, &decide::Needs::default(), None, now).await?;
        let context = facts.context(account, None, now);
        Ok((None, decide::aside(opening, message.clone(), at, &context)))
    }

    /// The contact of somebody who has not written here. A whitelist keeps such a contact off the lists, as it does
    /// with everybody whom it doesn't know.
    async fn stranger(
        &self,
        event: &InboundEvent,
        account: &Account,
        id: ContactId,
        said: &Elsewhere,
        now: Timestamp,
    ) -> Result<Contact, EngineError> {
        let welcome = self.is_welcome(account, None).await?;
        let (business, origin) = (Business::of(account), origin(event));
        let place = Place::of(&said.customer, &business);
        // Without proof it is one address without a name.
        let alias = said.alias.as_ref().map(|alias| Place::of(alias, &business)).filter(|_| origin.is_some());
        let name = said.profile_name.clone().filter(|_| origin.is_some());
        let contact = Contact::known_by(id, now, std::iter::once(place).chain(alias.clone()));
        Ok(Contact {
            lists: welcome.then(|| account.list.clone()).into_iter().collect(),
            named_by: name.as_ref().map(|_| NamedBy::Profile),
            name,
            ties: alias.iter().zip(&origin).map(|(alias, origin)| Tie::of_address(alias, origin)).collect(),
            ..contact
        })
    }

    /// The message is here already: it is one of ours, or it came before. The history announces files first, and
    /// tells later what they are.
    async fn complete(&self, event: &InboundEvent, said: &Elsewhere, key: &MessageKey) -> Result<(), EngineError> {
        let is_placeholder = |content: &Content| matches!(content, Content::Unsupported { kind, .. } if kind == Elsewhere::PLACEHOLDER);
        for attempt in 1..=ATTEMPTS {
            let known = self.store.message(key).await?.filter(|known| is_placeholder(&known.content));
            let Some(before) = known.filter(|_| !is_placeholder(&said.content)) else { break };
            let mut after = before.clone();
            after.version += 1;
            after.content = said.content.clone();
            after.unproven |= event.is_unproven();
            after.came_with(&event.id);
            after.attachments = said.attachments.iter().map(InboundAttachment::to_be_copied).collect();
            let effects = (0..after.attachments.len()).map(|index| Effect::CopyMedia { index }).collect();
            let commit = MessageCommit { mark: Idempotency::of(event), ..MessageCommit::of(key, before.version, after, effects) };
            match self.store.commit_message(commit).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
            if attempt == ATTEMPTS {
                return Err(EngineError::Busy);
            }
        }
        Ok(self.store.settle(event).await?)
    }
}

fn author_of(said: &Elsewhere) -> Author {
    if said.from_customer { Author::Customer } else { Author::System }
}

/// The id of a conversation's interaction that was closed from the beginning, after so many that were `deleted`: as
/// old as the contact, and with the random parts of both ids, so that no other id is the same.
fn aside_of(account: &AccountId, contact: &ContactId, deleted: u128) -> InteractionId {
    let ulid = |id: &str, prefix: &str| Ulid::from_string(id.strip_prefix(prefix).unwrap_or_default()).unwrap_or_default();
    let (account, contact) = (ulid(account.as_str(), AccountId::PREFIX), ulid(contact.as_str(), ContactId::PREFIX));
    InteractionId::from_ulid(Ulid::from_parts(contact.timestamp_ms(), contact.random() ^ account.random() ^ deleted))
}
