//! Applies commands, timers and rings to their interaction.

use std::collections::{BTreeMap, BTreeSet};

use audit::{By, Entry};
use domain::account::Account;
use domain::agent::{Presence, Role};
use domain::business::Business;
use domain::catalog::CannedAnswer;
use domain::commands::Earlier;
use domain::contact::{Identity, Place};
use domain::decide::{self, Decision, Event, Refusal};
use domain::effect::{InteractionKey, Target};
use domain::ids::{AgentId, ContactId, InteractionId, MessageId};
use domain::inbound::ProfileName;
use domain::interaction::Interaction;
use domain::language::Rendering;
use domain::message::{ApprovedTemplate, Attachment, Author, Content, Message};
use domain::notification::{Notification, Values};
use domain::template::Misfit;
use domain::values::{Address, ClientId};
use jiff::Timestamp;
use ulid::Ulid;

use crate::ports::{Commit, Committed, Directory, Idempotency, PortError, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// The result of an event for an interaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The interaction changed.
    Changed {
        /// The interaction as it is now.
        interaction: Box<Interaction>,
        /// The message that came with it.
        message: Option<Box<Message>>,
    },
    /// Nothing changed: an earlier attempt of the same command did it.
    AlreadyDone(Box<Interaction>),
    /// Nothing changed, for this reason.
    Refused(Refusal, Box<Interaction>),
}

/// A message that an agent sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// Its id. The caller chooses it, so that a repetition names the same message.
    pub id: MessageId,
    /// The contents.
    pub content: Content,
    /// Its files, already in the bucket.
    pub attachments: Vec<Attachment>,
    /// The provider's id of the message that it answers.
    pub reply_to: Option<String>,
    /// Our id of the message that it answers or reacts to.
    pub answers: Option<MessageId>,
    /// The message that it repeats.
    pub again_of: Option<MessageId>,
    /// What the agent wrote, if the contents are its translation.
    pub translation: Option<Rendering>,
    /// The id that the agent's client gives it.
    pub client_id: Option<ClientId>,
}

/// What a command brings from its caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Basis {
    /// The version of the interaction that the caller has seen. If it has another by now, the command is refused as
    /// [`Refusal::Changed`].
    pub version: Option<u64>,
    /// The caller's role, which the history notes.
    pub role: Option<Role>,
}

/// Further conditions and writes of a change.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// A message that its agent writes.
    pub(crate) sending: Option<(AgentId, Sending)>,
    pub(crate) presence_revision: Option<(AgentId, u64)>,
    pub(crate) cursor: Option<(Target, AgentId)>,
    /// The version that the event is based on, and the caller's role.
    pub(crate) basis: Basis,
    /// The id of the entry in the audit trail, if the event is one that it tells of.
    pub(crate) entry: Option<Ulid>,
}

impl Sending {
    /// A message with contents only.
    pub fn new(id: MessageId, content: Content) -> Self {
        Self { id, content, attachments: Vec::new(), reply_to: None, answers: None, again_of: None, translation: None, client_id: None }
    }

    /// The message of `agent` in its stored form: a note is internal, everything else is to be sent to the
    /// customer.
    fn message(&self, interaction: &Interaction, agent: &AgentId, now: Timestamp) -> Message {
        let author = Author::Agent { agent: agent.clone() };
        let message = Message {
            attachments: self.attachments.clone(),
            reply_to: self.reply_to.clone(),
            answers: self.answers.clone(),
            again_of: self.again_of.clone(),
            translation: self.translation.clone(),
            client_id: self.client_id.clone(),
            queue: interaction.accepted_via.clone(),
            ..Message::new(self.id.clone(), interaction.id.clone(), now, author, self.content.clone())
        };
        if self.content.is_note() { message } else { message.queued(now, &interaction.address) }
    }
}

impl Extra {
    fn assemble(&self, before: Interaction, mut decision: Decision, message: Option<Message>, mark: Idempotency) -> Commit {
        let effects = std::mem::take(&mut decision.message_effects);
        let mut commit = Commit::of(Some(before), decision, mark);
        commit.cursor.clone_from(&self.cursor);
        commit.presence_revision = self.presence_revision.clone().or(commit.presence_revision);
        match message {
            Some(message) => commit.with(message, effects),
            None => commit,
        }
    }
}

/// What the interaction remembers of the command with this mark.
fn known(interaction: &Interaction, mark: &Idempotency) -> Option<Earlier> {
    match mark {
        Idempotency::Keyed(keyed) => interaction.earlier(keyed),
        Idempotency::Guarded | Idempotency::Event { .. } | Idempotency::Command { .. } => None,
    }
}

/// The mark that a commit needs. A command that the interaction remembers needs none: the commit rests on the version
/// that did not know it yet.
fn noted(after: &mut Interaction, mark: &Idempotency, message: Option<&Message>, now: Timestamp) -> Idempotency {
    match mark {
        Idempotency::Keyed(keyed) if after.remember(keyed, message.map(|message| &message.id), now) => Idempotency::Guarded,
        mark => mark.clone(),
    }
}

/// What the audit trail tells of a change: a watch that begins or ends. A watch that has ended by itself begins anew.
fn entry_of(
    id: Ulid,
    role: Role,
    event: &Event,
    before: &Interaction,
    after: &Interaction,
    presences: &BTreeMap<AgentId, Presence>,
    now: Timestamp,
) -> Option<Entry> {
    let (by, begins) = match event {
        Event::Watch { by } => (by, true),
        Event::Unwatch { by } => (by, false),
        _ => return None,
    };
    let own = before.watchers.iter().find(|watcher| watcher.agent == *by);
    let goes_on = begins && own.is_some_and(|own| !own.has_ended(presences.get(by), now));
    (!goes_on).then(|| Entry::of_watch(id, By { who: by.to_string(), role: Some(role) }, begins, after.id.as_str(), after.version))
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Applies `event` to an interaction. `mark` makes it idempotent.
    ///
    /// # Errors
    /// The interaction does not exist, a port fails, or rivals win every attempt. It is safe to call again.
    pub async fn tell(&self, key: &InteractionKey, event: Event, mark: Idempotency) -> Result<Told, EngineError> {
        self.change(key, &event, mark, Extra::default()).await
    }

    /// Like [`Engine::tell`], for one of several interactions that were found a moment ago; `None` if it was deleted
    /// since. The others need their turn nevertheless.
    pub(crate) async fn tell_if_there(&self, key: &InteractionKey, event: Event) -> Result<Option<Told>, EngineError> {
        match self.tell(key, event, Idempotency::Guarded).await {
            Ok(told) => Ok(Some(told)),
            Err(EngineError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like [`Engine::tell`], for a caller with a [`Basis`].
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn tell_based_on(&self, key: &InteractionKey, event: Event, mark: Idempotency, basis: Basis) -> Result<Told, EngineError> {
        self.change(key, &event, mark, Extra { basis, ..Extra::default() }).await
    }

    /// Begins or ends a watch. It has an entry in the audit trail, with the id `entry`; one that is renewed has none.
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn watch(
        &self,
        key: &InteractionKey,
        event: Event,
        mark: Idempotency,
        basis: Basis,
        entry: Ulid,
    ) -> Result<Told, EngineError> {
        self.change(key, &event, mark, Extra { basis, entry: Some(entry), ..Extra::default() }).await
    }

    /// Sends a message of `agent`. It is written with the state `queued`, in the same transaction as the
    /// interaction's change.
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn send(&self, key: &InteractionKey, agent: AgentId, sending: Sending, mark: Idempotency) -> Result<Told, EngineError> {
        self.send_based_on(key, agent, sending, mark, Basis::default()).await
    }

    /// Like [`Engine::send`], for a caller with a [`Basis`].
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn send_based_on(
        &self,
        key: &InteractionKey,
        agent: AgentId,
        sending: Sending,
        mark: Idempotency,
        basis: Basis,
    ) -> Result<Told, EngineError> {
        let event = Event::MessageSent { agent: agent.clone(), message: sending.id.clone(), template: sending.content.is_template() };
        self.change(key, &event, mark, Extra { sending: Some((agent, sending)), basis, ..Extra::default() }).await
    }

    /// Why `event` would be refused now, with the interaction; `None` if it would not be. Nothing changes.
    ///
    /// # Errors
    /// The interaction does not exist, or a port fails.
    pub async fn refusal_of(&self, key: &InteractionKey, event: &Event) -> Result<Option<(Refusal, Box<Interaction>)>, EngineError> {
        let account_id = &key.conversation.account;
        let account = self.directory.account(account_id).await?.ok_or_else(|| EngineError::NoAccount(account_id.clone()))?;
        let now = self.world.now();
        let (before, last_inbound_at) = self.load(key, decide::needs(event, None).service_window).await?;
        let facts = self.gather(&account, &decide::needs(event, Some(&before)), Some(&before), now).await?;
        let decided = decide::decide(&before, event.clone(), &facts.context(&account, last_inbound_at, now));
        Ok(decided.err().map(|refusal| (refusal, Box::new(before))))
    }

    /// Sends the customer's link of a video call that `agent` starts.
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn start_video(
        &self,
        key: &InteractionKey,
        agent: AgentId,
        sending: Sending,
        mark: Idempotency,
        basis: Basis,
    ) -> Result<Told, EngineError> {
        let event = Event::VideoStarted { agent: agent.clone(), message: sending.id.clone() };
        self.change(key, &event, mark, Extra { sending: Some((agent, sending)), basis, ..Extra::default() }).await
    }

    /// Adds an internal note of `by` to the thread.
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn note(
        &self,
        key: &InteractionKey,
        by: AgentId,
        id: MessageId,
        text: String,
        mark: Idempotency,
    ) -> Result<Told, EngineError> {
        let note = Sending::new(id, Content::Note { body: text });
        self.note_based_on(key, by, note, mark, Basis::default()).await
    }

    /// Adds a note whose contents are [`Content::Note`], for a caller with a [`Basis`].
    ///
    /// # Errors
    /// The same as for [`Engine::tell`].
    pub async fn note_based_on(
        &self,
        key: &InteractionKey,
        by: AgentId,
        note: Sending,
        mark: Idempotency,
        basis: Basis,
    ) -> Result<Told, EngineError> {
        let event = Event::NoteAdded { by: by.clone(), message: note.id.clone() };
        self.change(key, &event, mark, Extra { sending: Some((by, note)), basis, ..Extra::default() }).await
    }

    /// The filled-in recontact template, with which agents of `account` write to a customer whose service window is
    /// over, or the parameters that are empty for this customer; `None` if none is configured.
    ///
    /// # Errors
    /// A port fails.
    pub async fn recontact(
        &self,
        account: &Account,
        name: Option<&ProfileName>,
        address: &Address,
    ) -> Result<Option<Result<ApprovedTemplate, Vec<Misfit>>>, EngineError> {
        let Some(recontact) = &account.settings.recontact else { return Ok(None) };
        let list = self.directory.list(&account.list).await?;
        Ok(Some(recontact.filled(&Values { account, queue: None, list: list.as_ref(), name, address }.groups())))
    }

    /// The notification of the current offer of `interaction`; `None` if it has none any more.
    ///
    /// # Errors
    /// A port fails.
    pub async fn notification(&self, interaction: &Interaction) -> Result<Option<Notification>, EngineError> {
        let (Some(account), Some(offer)) = (self.directory.account(&interaction.account).await?, interaction.offer()) else {
            return Ok(None);
        };
        let queue = match &offer.target {
            Target::Queue(queue) => self.directory.queue(queue).await?,
            Target::Agent(_) | Target::Account(_) => None,
        };
        let list = self.directory.list(&account.list).await?;
        let (name, address) = (interaction.customer_name.as_ref(), &interaction.address);
        Ok(Some(Notification::of(&Values { account: &account, queue: queue.as_ref(), list: list.as_ref(), name, address })))
    }

    /// The texts of canned answers, filled in for the customer of `interaction` as from `agent`, in their order.
    ///
    /// # Errors
    /// A port fails.
    pub async fn filled(
        &self,
        account: &Account,
        interaction: &Interaction,
        agent: &str,
        answers: &[&CannedAnswer],
    ) -> Result<Vec<String>, EngineError> {
        let queue = match &interaction.accepted_via {
            Some(queue) => self.directory.queue(queue).await?,
            None => None,
        };
        let list = self.directory.list(&account.list).await?;
        let (name, address) = (interaction.customer_name.as_ref(), &interaction.address);
        let values = Values { account, queue: queue.as_ref(), list: list.as_ref(), name, address };
        Ok(answers.iter().map(|answer| answer.filled(&values, agent)).collect())
    }

    pub(crate) async fn change(&self, key: &InteractionKey, event: &Event, mark: Idempotency, extra: Extra) -> Result<Told, EngineError> {
        let account_id = &key.conversation.account;
        let account = self.directory.account(account_id).await?.ok_or_else(|| EngineError::NoAccount(account_id.clone()))?;
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let (mut before, last_inbound_at) = self.load(key, decide::needs(event, None).service_window).await?;
            if let Some(earlier) = known(&before, &mark) {
                return Ok(match earlier {
                    Earlier::Same { .. } => Told::AlreadyDone(Box::new(before)),
                    Earlier::OtherBody => Told::Refused(Refusal::KeyReused, Box::new(before)),
                });
            }
            if extra.basis.version.is_some_and(|version| version != before.version) {
                return Ok(Told::Refused(Refusal::Changed, Box::new(before)));
            }
            let needs = decide::needs(event, Some(&before));
            let alone = if needs.no_other_open { self.alone(&account, &mut before).await? } else { Ok(None) };
            let identity = match alone {
                Ok(identity) => identity,
                Err(other) => return Ok(Told::Refused(Refusal::OtherOpen { interaction: other }, Box::new(before))),
            };
            let facts = self.gather(&account, &needs, Some(&before), now).await?;
            let mut decision = match decide::decide(&before, event.clone(), &facts.context(&account, last_inbound_at, now)) {
                Ok(decision) => decision.in_role(extra.basis.role),
                Err(refusal) => return Ok(Told::Refused(refusal, Box::new(before))),
            };
            let entry = extra.entry.zip(extra.basis.role);
            let entry = entry.and_then(|(id, role)| entry_of(id, role, event, &before, &decision.interaction, facts.presences(), now));
            let message = extra.sending.as_ref().map(|(agent, sending)| sending.message(&before, agent, now));
            let mark = noted(&mut decision.interaction, &mark, message.as_ref(), now);
            let after = decision.interaction.clone();
            let commit = extra.assemble(before, decision, message.clone(), mark);
            let commit = Commit { identity, membership: needs.membership, entry, ..commit };
            let refused = |refusal| async move {
                let current = self.store.interaction(key).await?.ok_or(EngineError::NotFound)?;
                Ok(Told::Refused(refusal, Box::new(current)))
            };
            match self.commit(commit).await? {
                Committed::Done => return Ok(Told::Changed { interaction: Box::new(after), message: message.map(Box::new) }),
                Committed::AlreadyDone => {
                    let current = self.store.interaction(key).await?.ok_or(EngineError::NotFound)?;
                    return Ok(Told::AlreadyDone(Box::new(current)));
                }
                Committed::AtCapacity => return refused(Refusal::AtCapacity).await,
                Committed::NotAMember => return refused(Refusal::NotAMember).await,
                // A ring rests on a presence that was read before, so `assign` must choose again.
                Committed::Conflict if extra.presence_revision.is_some() => return refused(Refusal::Stale).await,
                Committed::Conflict => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// All contacts of an interaction's customer.
    ///
    /// # Errors
    /// A port fails.
    pub async fn customer(&self, interaction: &Interaction) -> Result<Vec<ContactId>, PortError> {
        let mut contacts = BTreeSet::from([interaction.contact.clone()]);
        if let Some(account) = self.directory.account(&interaction.account).await? {
            let business = Business::of(&account);
            let place = Place::of(&interaction.address, &business);
            let person = self.store.contact_of(&place, &business, true).await?;
            contacts.extend(person.iter().flat_map(Identity::contacts).cloned());
        }
        Ok(contacts.into_iter().collect())
    }

    /// The key of a command's interaction.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if it does not exist.
    pub async fn locate(&self, id: &InteractionId) -> Result<InteractionKey, EngineError> {
        self.store.locate(id).await?.ok_or(EngineError::NotFound)
    }
}
