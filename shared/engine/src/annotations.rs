//! Events about messages and customers: reactions, edits, deletions, moves, and reports on sent messages.
//!
//! None of them opens an interaction, rings, marks unread, or touches a timer.

use domain::contact::Marketing;
use domain::decide::{self, Event, Refusal};
use domain::effect::{MessageKey, MessageRef};
use domain::ids::MessageId;
use domain::inbound::{Annotated, Annotation, InboundEvent, StatusUpdate};
use domain::interaction::Interaction;
use domain::message::{Author, Content, Delivery, Message};
use domain::values::{Address, to_millisecond};
use jiff::SignedDuration;

use crate::claim::Claim;
use crate::identity::{Identified, origin};
use crate::ports::{Commit, Committed, Directory, Idempotency, MessageCommit, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// How long an event waits for the message that it is about. The message comes through another queue, or the
/// provider's answer to its send is still being written. That takes seconds, and this covers a crash and the next
/// attempt. A message that is unknown after that belongs to another system with the same number, or to the time
/// before this deployment. The tries of `route` end a little later.
const PATIENCE: SignedDuration = SignedDuration::from_secs(150);

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    pub(crate) async fn route_annotation(&self, event: &InboundEvent, annotation: &Annotation) -> Result<(), EngineError> {
        let line = |body: &str| Content::System { body: body.to_owned() };
        match &annotation.what {
            Annotated::Reaction { message, .. } | Annotated::Edited { message, .. } | Annotated::Deleted { message } => {
                match self.store.message_by_provider_id(&event.account, message).await? {
                    Some(key) => self.annotate(event, annotation, &key).await,
                    None if self.is_young(event) => Err(EngineError::NotYet),
                    None => self.stray(event, annotation).await,
                }
            }
            Annotated::Moved { to, body } if event.proven == Some(false) => {
                let addresses: Vec<Address> = annotation.alias.iter().chain(&annotation.also).chain([to]).cloned().collect();
                let claimed = Claim { addresses: &addresses, name: None }.line().unwrap_or_default();
                let line = format!("{claimed} ({body})");
                self.noted(event, annotation, None, Author::System, Content::System { body: line.clone() }, Some(line)).await
            }
            Annotated::Moved { to, body } => self.noted(event, annotation, Some(to), Author::System, line(body), None).await,
            Annotated::Marketing { stopped, body } => self.preferred(event, annotation, *stopped, body).await,
            Annotated::System { body } => self.noted(event, annotation, None, Author::System, line(body), None).await,
        }
    }

    fn is_young(&self, event: &InboundEvent) -> bool {
        self.world.now().duration_since(event.received_at) < PATIENCE
    }

    /// Changes the message that the annotation is about. Whoever does that is the message's customer, under whatever
    /// address.
    async fn annotate(&self, event: &InboundEvent, annotation: &Annotation, key: &MessageKey) -> Result<(), EngineError> {
        if let Some(message) = self.store.message(key).await? {
            let addresses = std::iter::once(&annotation.from).chain(&annotation.alias).chain(&annotation.also);
            self.shows_customer(event, key, message.to.as_ref().or(message.from.as_ref()), &addresses.cloned().collect::<Vec<_>>()).await?;
        }
        let at = to_millisecond(annotation.sent_at.unwrap_or(event.received_at));
        for attempt in 1..=ATTEMPTS {
            let Some(before) = self.store.message(key).await? else { break };
            let mut after = before.clone();
            let changed = match &annotation.what {
                Annotated::Reaction { emoji, .. } => after.reacted(emoji.as_ref().map(|emoji| emoji.0.as_str()), at),
                Annotated::Edited { content, cut, .. } => after.edited_to(content.clone(), *cut, at),
                Annotated::Deleted { .. } => after.deleted(at),
                Annotated::Moved { .. } | Annotated::Marketing { .. } | Annotated::System { .. } => false,
            };
            if !changed {
                break;
            }
            after.version += 1;
            after.came_with(&event.id);
            // The interaction may be gone, and its messages about to go.
            let Some(effects) = self.changed_in_thread(key).await? else { break };
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

    /// Handles an annotation without its message. A reaction still tells the agent something; an edit or a deletion
    /// of a message that was never shown does not.
    async fn stray(&self, event: &InboundEvent, annotation: &Annotation) -> Result<(), EngineError> {
        match &annotation.what {
            Annotated::Reaction { message, emoji: Some(emoji) } => {
                let content = Content::Reaction { message: message.clone(), emoji: emoji.0.clone() };
                self.noted(event, annotation, None, Author::Customer, content, None).await
            }
            _ => Ok(self.store.settle(event).await?),
        }
    }

    /// Notes on the contact that the customer refuses marketing messages of this account, or takes that back, and adds
    /// a line to the thread. Without proof it is the line alone: anybody could silence a business at its customers.
    async fn preferred(&self, event: &InboundEvent, annotation: &Annotation, stopped: bool, body: &str) -> Result<(), EngineError> {
        let line = Content::System { body: body.to_owned() };
        let Some(origin) = origin(event) else {
            return self.noted(event, annotation, None, Author::System, line, Some(body.to_owned())).await;
        };
        let account = self.directory.account(&event.account).await?.ok_or_else(|| EngineError::NoAccount(event.account.clone()))?;
        let others: Vec<Address> = annotation.alias.iter().chain(&annotation.also).cloned().collect();
        let word = Marketing { stopped, at: to_millisecond(annotation.sent_at.unwrap_or(event.received_at)) };
        for attempt in 1..=ATTEMPTS {
            match self.identify(&account, &annotation.from, Some((&others[..], &origin)), attempt > 1).await? {
                Identified::Known(person) => {
                    let owner = self.store.contact(&person.owner).await?;
                    let Some(after) = owner.and_then(|owner| owner.with_marketing(&event.account, word.clone())) else { break };
                    if self.store.commit_contact(&after, &Idempotency::Guarded).await? == Committed::Done {
                        break;
                    }
                }
                // Nobody here has written to this customer, or will without looking at what the customer answers.
                Identified::New => return Ok(self.store.settle(event).await?),
                Identified::Conflict => {}
            }
            if attempt == ATTEMPTS {
                return Err(EngineError::Busy);
            }
            self.world.pause(attempt).await;
        }
        self.noted(event, annotation, None, Author::System, line, None).await
    }

    /// Adds a line to the thread of the open interaction, if there is one. A customer who moved stays the same
    /// customer at the new address.
    async fn noted(
        &self,
        event: &InboundEvent,
        annotation: &Annotation,
        moved_to: Option<&Address>,
        author: Author,
        content: Content,
        claim: Option<String>,
    ) -> Result<(), EngineError> {
        let account = self.directory.account(&event.account).await?.ok_or_else(|| EngineError::NoAccount(event.account.clone()))?;
        let others: Vec<Address> = annotation.alias.iter().chain(&annotation.also).chain(moved_to).cloned().collect();
        let origin = origin(event);
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let shown = origin.as_ref().map(|origin| (&others[..], origin));
            let mut found = self.identify(&account, &annotation.from, shown, attempt > 1).await?;
            // Without proof the line goes to whoever is named first.
            for other in others.iter().filter(|_| claim.is_some()) {
                if matches!(found, Identified::New) {
                    found = self.identify(&account, other, None, attempt > 1).await?;
                }
            }
            let person = match found {
                Identified::Known(person) => person,
                // Nobody knows either address. The message that shows one of them may be about to be routed, and
                // only this event tells that the other one is the same customer's.
                Identified::New if moved_to.is_some() && origin.is_some() && self.is_young(event) => return Err(EngineError::NotYet),
                Identified::New => return Ok(self.store.settle(event).await?),
                Identified::Conflict => {
                    self.world.pause(attempt).await;
                    continue;
                }
            };
            let (_, conversation) = self.conversation_with(&account.id, &person).await?;
            let Some(open) = conversation.open else { return Ok(self.store.settle(event).await?) };
            let id = MessageId::from_ulid(self.world.ulid());
            let at = to_millisecond(annotation.sent_at.unwrap_or(event.received_at));
            // Without proof, or after a supervisor separated the two, the other address is somebody else's.
            let moved_to = match moved_to.filter(|_| origin.is_some()) {
                Some(to) if self.leads_to(&account, to, &person).await? => Some(to.clone()),
                _ => None,
            };
            let noted = Event::Noted { message: id.clone(), at, moved_to, claim: claim.clone() };
            let facts = self.gather(&account, &decide::needs(&noted, Some(&open)), Some(&open), now).await?;
            let context = facts.context(&account, conversation.last_inbound_at, now);
            let decision = decide::decide(&open, noted, &context);
            if matches!(decision, Err(Refusal::NothingToDo)) {
                return Ok(self.store.settle(event).await?);
            }
            if let Ok(mut decision) = decision {
                let mut message = Message {
                    provider_id: Some(annotation.provider_id.clone()),
                    ..Message::new(id, open.id.clone(), at, author.clone(), content.clone())
                };
                message.came_with(&event.id);
                let effects = std::mem::take(&mut decision.message_effects);
                let commit = Commit::of(Some(open), decision, Idempotency::of(event)).with(message, effects);
                match self.commit(commit).await? {
                    Committed::Done | Committed::AlreadyDone => return Ok(()),
                    Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => {}
                }
            }
            self.world.pause(attempt).await;
        }
        Err(EngineError::Busy)
    }

    /// A report on a message, or what a customer does to it, comes from the message's customer. `known` is the
    /// customer's address as the message has it. The addresses under which the customer shows up may be others: then
    /// they are linked. Without proof, the thread tells it.
    async fn shows_customer(
        &self,
        event: &InboundEvent,
        key: &MessageKey,
        known: Option<&Address>,
        shown: &[Address],
    ) -> Result<(), EngineError> {
        let Some(known) = known.filter(|known| shown.iter().any(|address| address != *known)) else { return Ok(()) };
        let Some(account) = self.directory.account(&event.account).await? else { return Ok(()) };
        if let Some(origin) = origin(event) {
            for attempt in 1..=ATTEMPTS {
                match self.identify(&account, known, Some((shown, &origin)), attempt > 1).await? {
                    Identified::Known(_) | Identified::New => return Ok(()),
                    Identified::Conflict => self.world.pause(attempt).await,
                }
            }
            return Err(EngineError::Busy);
        }
        if event.proven.is_none() {
            return Ok(());
        }
        let claimed: Vec<Address> = shown.iter().filter(|address| *address != known).cloned().collect();
        let claim = Claim { addresses: &claimed, name: None };
        let Some(line) = claim.line() else { return Ok(()) };
        let Some(open) = self.store.interaction(&key.interaction).await?.filter(Interaction::is_open) else { return Ok(()) };
        let (id, now) = (MessageId::from_ulid(self.world.ulid()), self.world.now());
        let noted = Event::Noted { message: id.clone(), at: now, moved_to: None, claim: Some(line.clone()) };
        let facts = self.gather(&account, &decide::needs(&noted, Some(&open)), Some(&open), now).await?;
        let Ok(mut decision) = decide::decide(&open, noted, &facts.context(&account, None, now)) else { return Ok(()) };
        let message = Message::new(id, open.id.clone(), now, Author::System, Content::System { body: line });
        let effects = std::mem::take(&mut decision.message_effects);
        // A rival's change makes the line wait for the next report, which claims the same.
        self.commit(Commit::of(Some(open), decision, Idempotency::Guarded).with(message, effects)).await?;
        Ok(())
    }

    /// Moves a message on. Nothing marks the report as done: it changes a message only forwards, so a repetition
    /// changes nothing.
    pub(crate) async fn route_status(&self, event: &InboundEvent, status: &StatusUpdate) -> Result<(), EngineError> {
        let referred = status.reference.clone().and_then(|reference| MessageRef(reference).key(&event.account));
        let key = match referred {
            Some(key) => Some(key),
            None => self.store.message_by_provider_id(&event.account, &status.provider_id).await?,
        };
        let Some(key) = key else {
            // The report may have overtaken our own record of the send. A report with a foreign reference is about
            // a message that another system sent through the same number.
            let waits = status.reference.is_none() && self.is_young(event);
            return if waits { Err(EngineError::NotYet) } else { Ok(()) };
        };
        let mut looked = status.recipients.is_empty();
        for attempt in 1..=ATTEMPTS {
            // It only moves forwards: a state that is too old already is reached, and one that is too early loses.
            let read = if attempt == 1 { self.message_lately(&key).await? } else { self.store.message(&key).await? };
            let Some(before) = read else {
                // It was deleted. An earlier attempt may have led the id to it, or a sender that died in between.
                return Ok(self.store.forget_provider_id(&key, &status.provider_id).await?);
            };
            // First, so that a process that dies in between does it when the report comes again.
            if !std::mem::replace(&mut looked, true) {
                self.shows_customer(event, &key, before.to.as_ref(), &status.recipients).await?;
            }
            let Some(after) = self.reported(&before, status) else { return Ok(()) };
            // As with the provider's answer, the id leads to the message before the message names it.
            let named = before.provider_id.is_some() || self.indexed(&key, &status.provider_id).await?;
            if named && self.write_delivery(&key, &before, after).await? == Committed::Done {
                return Ok(());
            }
            self.world.pause(attempt).await;
        }
        Err(EngineError::Busy)
    }

    /// The message after a report; `None` if the report neither moves it on, nor tells its id or its price. An id
    /// that leads to a message must be named by it, or it would stay when the message is deleted.
    fn reported(&self, before: &Message, status: &StatusUpdate) -> Option<Message> {
        let current = before.delivery.as_ref()?;
        let charge = status.charge.map_or(before.charge, |charge| Some(charge.or(before.charge)));
        let delivery = match current.state.moves_to(status.state) {
            true => Delivery {
                state: status.state,
                since: status.at.unwrap_or_else(|| self.world.now()),
                error: status.error.clone(),
                attempts: current.attempts,
                claim: None,
            },
            false if before.provider_id.is_some() && charge == before.charge => return None,
            false => current.clone(),
        };
        let provider_id = before.provider_id.clone().or_else(|| Some(status.provider_id.clone()));
        Some(Message { version: before.version + 1, provider_id, delivery: Some(delivery), charge, ..before.clone() })
    }
}
