//! The ports of the engine.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use audit::Entry;
use domain::account::{Account, List};
use domain::agent::{Agent, Presence};
use domain::business::Business;
use domain::catalog::Pause;
use domain::commands::Keyed;
use domain::contact::{Contact, Identity, Link, Place};
pub use domain::decide::Membership;
use domain::decide::{Decision, Reply};
use domain::effect::{ConversationKey, Effect, InteractionKey, MessageKey, Target};
use domain::footprint::{SlotChange, WaitingRow, footprint, slot_changes};
use domain::history::HistoryEntry;
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, IntervalId, ListId, MessageId, PauseId, QueueId, TriggerId};
use domain::inbound::{Alert, InboundEvent};
use domain::interaction::Interaction;
use domain::interval::Interval;
use domain::message::{Author, Content, Decided, Message};
use domain::plan::ActionPlan;
use domain::queue::Queue;
use domain::report::{Dimension, Duty, Facts, Quarter, Tally, is_counted};
use domain::row::{Filter, Position, Row, Shelf, Span};
use domain::search::Document;
use domain::trigger::{Health, Tried, Trigger, TriggerCall, happened};
use jiff::Timestamp;
use ulid::Ulid;

/// A port failed: the answer is lost, or the other side refused for another reason than a lost race. It is safe to
/// try again.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {reason}")]
pub struct PortError {
    /// The operation.
    pub operation: &'static str,
    /// The other side's reason, without bodies.
    pub reason: String,
}

/// Clock and ids.
pub trait World: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// A new id.
    fn ulid(&self) -> Ulid;
    /// Waits a little before attempt number `attempt` (from 1).
    fn pause(&self, attempt: u32) -> impl Future<Output = ()> + Send;
}

/// The configuration. It may be seconds old.
pub trait Directory: Send + Sync {
    /// An account.
    fn account(&self, id: &AccountId) -> impl Future<Output = Result<Option<Arc<Account>>, PortError>> + Send;
    /// All accounts.
    fn accounts(&self) -> impl Future<Output = Result<Arc<Vec<Account>>, PortError>> + Send;
    /// A queue.
    fn queue(&self, id: &QueueId) -> impl Future<Output = Result<Option<Queue>, PortError>> + Send;
    /// All queues.
    fn queues(&self) -> impl Future<Output = Result<Arc<BTreeMap<QueueId, Queue>>, PortError>> + Send;
    /// All agents.
    fn agents(&self) -> impl Future<Output = Result<Arc<BTreeMap<AgentId, Agent>>, PortError>> + Send;
    /// Some intervals. Missing ones are left out.
    fn intervals(&self, ids: &[IntervalId]) -> impl Future<Output = Result<BTreeMap<IntervalId, Interval>, PortError>> + Send;
    /// A contact list.
    fn list(&self, id: &ListId) -> impl Future<Output = Result<Option<List>, PortError>> + Send;
    /// The names of the dispositions of all accounts.
    fn dispositions(&self) -> impl Future<Output = Result<Arc<Vec<String>>, PortError>> + Send;
    /// A pause.
    fn pause(&self, id: &PauseId) -> impl Future<Output = Result<Option<Pause>, PortError>> + Send;
    /// An earlier plan of an account.
    fn plan(&self, account: &AccountId, version: u64) -> impl Future<Output = Result<Option<ActionPlan>, PortError>> + Send;
    /// All triggers.
    fn triggers(&self) -> impl Future<Output = Result<Arc<Vec<Trigger>>, PortError>> + Send;
}

/// The head of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The open interaction.
    pub open: Option<Interaction>,
    /// The provider's time of the customer's latest message.
    pub last_inbound_at: Option<Timestamp>,
    /// The newest interaction, if none is open.
    pub latest: Option<Interaction>,
}

/// Interactions and what belongs to them. Reads are consistent, unless they say otherwise.
pub trait Store: Send + Sync {
    /// The customer of an address for the accounts of `business`. Unless `fresh`, the answer may be a minute old: a
    /// transaction that opens an interaction checks it ([`Commit::identity`]).
    fn contact_of(
        &self,
        place: &Place,
        business: &Business,
        fresh: bool,
    ) -> impl Future<Output = Result<Option<Identity>, PortError>> + Send;
    /// One contact.
    fn contact(&self, id: &ContactId) -> impl Future<Output = Result<Option<Contact>, PortError>> + Send;
    /// Writes ties of contacts and addresses, or their cut, all or nothing.
    fn link(&self, link: &Link) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// The open interaction of a conversation and the conversation's head, in one read.
    fn conversation(&self, key: &ConversationKey) -> impl Future<Output = Result<Conversation, PortError>> + Send;
    /// The key of an interaction.
    fn locate(&self, id: &InteractionId) -> impl Future<Output = Result<Option<InteractionKey>, PortError>> + Send;
    /// One interaction.
    fn interaction(&self, key: &InteractionKey) -> impl Future<Output = Result<Option<Interaction>, PortError>> + Send;
    /// Whether an interaction with this id was deleted, in the last 35 days.
    fn was_deleted(&self, id: &InteractionId) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// The open interactions of an account, newest first: up to `limit` of those that are older than `before`.
    /// Unlike other reads it may lag by a moment: an interaction that was just opened may be missing, and one that
    /// was just closed may be there.
    fn open_interactions(
        &self,
        account: &AccountId,
        before: Option<&InteractionId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<InteractionKey>, PortError>> + Send;
    /// One message.
    fn message(&self, key: &MessageKey) -> impl Future<Output = Result<Option<Message>, PortError>> + Send;
    /// One message as it is, or was a moment ago, for half the price; `None` may be as wrong. It is for a change that
    /// rests on the message's version: what was read too early loses, and reads [`Store::message`].
    fn message_lately(&self, key: &MessageKey) -> impl Future<Output = Result<Option<Message>, PortError>> + Send;
    /// The message with the provider's id `provider_id`.
    fn message_by_provider_id(
        &self,
        account: &AccountId,
        provider_id: &str,
    ) -> impl Future<Output = Result<Option<MessageKey>, PortError>> + Send;
    /// The presences of some agents. An agent who never had one is left out.
    fn presences(&self, agents: &[AgentId]) -> impl Future<Output = Result<BTreeMap<AgentId, Presence>, PortError>> + Send;
    /// The waiting rows of a target, the longest wait first.
    fn waiting(&self, target: &Target) -> impl Future<Output = Result<Vec<WaitingRow>, PortError>> + Send;
    /// The first waiting rows of a target, up to `most`, and whether there may be more.
    fn first_waiting(&self, target: &Target, most: usize) -> impl Future<Output = Result<(Vec<WaitingRow>, bool), PortError>> + Send;
    /// Whether anything waits for a target.
    fn anything_waits(&self, target: &Target) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// The same for half the price, as it was a moment ago: for a look that is repeated anyway.
    fn anything_waited(&self, target: &Target) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// The agent of a target who was engaged last.
    fn cursor(&self, target: &Target) -> impl Future<Output = Result<Option<AgentId>, PortError>> + Send;
    /// Writes a change of an interaction, all or nothing.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Writes a change of a message. Without a mark ([`Idempotency::Guarded`]) it is one plain write. The client's own
    /// repetition may meet it: then the answer is a conflict although it was written.
    fn commit_message(&self, commit: MessageCommit) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Lets a provider's id lead to a message. Twice changes nothing. If it leads to another message, that stays, and
    /// the answer is [`Committed::AlreadyDone`].
    fn index_provider_id(&self, key: &MessageKey, provider_id: &str) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Takes from a provider's id the way to a message that was deleted meanwhile. The id stays known.
    fn forget_provider_id(&self, key: &MessageKey, provider_id: &str) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Replaces a contact's previous version. It is a conflict if somebody changed it meanwhile.
    fn commit_contact(&self, contact: &Contact, mark: &Idempotency) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Keeps an alert with its account for a while, and marks its event as done. Twice changes nothing.
    fn keep_alert(&self, event: &InboundEvent, alert: &Alert) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Writes a presence's change of state, if it still has the version before and the revision that was read. The
    /// revision grows.
    fn commit_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
    ) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Writes a forced presence with its entry of the audit trail, all or nothing.
    fn commit_forced_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
        entry: &Entry,
    ) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Marks an event that needs nothing written as done.
    fn settle(&self, event: &InboundEvent) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The rows of the index of lists and what they lead to. Unlike other reads, the index may lag by a moment.
pub trait Lists: Send + Sync {
    /// Rows of a shelf, newest first.
    fn rows(&self, wanted: RowsWanted<'_>) -> impl Future<Output = Result<Rows, PortError>> + Send;
    /// The places of an account's open interactions, newest id first: up to `most` with ids before `before`.
    fn open_now(
        &self,
        account: &AccountId,
        before: Option<&InteractionId>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<InteractionKey>, PortError>> + Send;
    /// The interactions at these places, in no order. Missing ones are left out.
    fn interactions_now(&self, places: &[InteractionKey]) -> impl Future<Output = Result<Vec<Interaction>, PortError>> + Send;
    /// The whole thread of an interaction, oldest first, with the threads of those that it absorbed.
    fn thread(&self, interaction: &Interaction) -> impl Future<Output = Result<Vec<Message>, PortError>> + Send;
    /// The latest message of an interaction, as [`Interaction::last_message`] tells of it.
    fn latest_message(&self, interaction: &Interaction) -> impl Future<Output = Result<Option<Message>, PortError>> + Send;
    /// The documents of these interactions, in no order. They may lag, and any may be missing.
    fn documents(&self, interactions: &[InteractionId]) -> impl Future<Output = Result<Vec<Document>, PortError>> + Send;
}

/// The picture of what waits and who works, which the APIs share, and whose turn it is to make it.
pub trait Panel: Send + Sync {
    /// The latest turn.
    fn turn(&self) -> impl Future<Output = Result<Option<Turn>, PortError>> + Send;
    /// Takes the turn after `seen`. Only one who saw it gets it.
    fn take_turn(&self, seen: Option<&Turn>, next: &Turn) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// The picture that was made last, with the number of its turn.
    fn kept_picture(&self) -> impl Future<Output = Result<Option<(u64, Vec<u8>)>, PortError>> + Send;
    /// Keeps the picture of a turn, unless that of a later one is there.
    fn keep_picture(&self, turn: &Turn, picture: Vec<u8>) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The calls of triggers that wait for a later try, the health of the systems that they call, and the log of the
/// tries.
pub trait TriggerCalls: Send + Sync {
    /// The failures in a row of a trigger's system; `None` while it takes calls.
    fn health(&self, trigger: &TriggerId) -> impl Future<Output = Result<Option<Health>, PortError>> + Send;
    /// Keeps the failures in a row; `None` forgets them.
    fn put_health(&self, trigger: &TriggerId, health: Option<&Health>) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Keeps a call until its time. Twice changes nothing.
    fn put_due(&self, due: &DueCall) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Up to `most` of a trigger's calls whose time has come, the longest due first.
    fn due(&self, trigger: &TriggerId, now: Timestamp, most: usize) -> impl Future<Output = Result<Vec<DueCall>, PortError>> + Send;
    /// Forgets a call that was kept. An absent one is a success.
    fn drop_due(&self, due: &DueCall) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Takes the turn at a trigger's due calls until `until`. False if somebody has it.
    fn take_turn_at(&self, trigger: &TriggerId, now: Timestamp, until: Timestamp) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Gives the turn back.
    fn end_turn_at(&self, trigger: &TriggerId) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Notes a try for some days.
    fn note_try(&self, trigger: &TriggerId, tried: &Tried) -> impl Future<Output = Result<(), PortError>> + Send;
    /// The latest tries of a trigger, newest first, up to `most`.
    fn tries(&self, trigger: &TriggerId, most: usize) -> impl Future<Output = Result<Vec<Tried>, PortError>> + Send;
}

/// The histories of interactions.
pub trait Histories: Send + Sync {
    /// All of an interaction's history, oldest first, with the entries that messages stand for.
    fn whole_history(&self, interaction: &InteractionKey) -> impl Future<Output = Result<Vec<HistoryEntry>, PortError>> + Send;
    /// A message as it is now.
    fn message_now(&self, message: &MessageKey) -> impl Future<Output = Result<Option<Message>, PortError>> + Send;
    /// Whether the interaction is being deleted, or was. Before that, nothing of its history is missing.
    fn is_gone(&self, interaction: &InteractionId) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// What facts are of. None of it leads back to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactOf<'a> {
    /// A version of an interaction.
    Version(&'a InteractionId, u64),
    /// A message that reached its customer.
    Message(&'a MessageId),
    /// A call of a language model, by its id.
    Ai(&'a str),
}

/// What reports are made of: facts, and the tallies that are derived from them.
pub trait Reports: Send + Sync {
    /// Keeps facts. Twice changes nothing; others of the same take their place.
    fn put_facts(&self, account: &AccountId, of: FactOf<'_>, facts: &Facts) -> impl Future<Output = Result<(), PortError>> + Send;
    /// All facts of an account's quarter-hour, read consistently.
    fn facts(&self, account: &AccountId, quarter: Quarter) -> impl Future<Output = Result<Vec<Facts>, PortError>> + Send;
    /// Replaces a value's tally of a quarter-hour, unless the present one counts more facts.
    fn put_tally(
        &self,
        account: &AccountId,
        quarter: Quarter,
        of: (Dimension, &str),
        tally: &Tally,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Keeps a line of an agent's timeline. Twice changes nothing.
    fn put_duty(&self, agent: &AgentId, at: Timestamp, revision: u64, duty: Duty) -> impl Future<Output = Result<(), PortError>> + Send;
    /// An agent's timeline from a moment to before another, oldest line first, behind the last line before.
    fn timeline(
        &self,
        agent: &AgentId,
        span: std::ops::Range<Timestamp>,
    ) -> impl Future<Output = Result<Vec<(Timestamp, Duty)>, PortError>> + Send;
    /// The tallies of all values of a dimension, from one quarter-hour to before another, in no order.
    fn tallies(
        &self,
        account: &AccountId,
        dimension: Dimension,
        span: std::ops::Range<Quarter>,
    ) -> impl Future<Output = Result<Vec<(String, Quarter, Tally)>, PortError>> + Send;
}

/// A call of a trigger that waits for its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCall {
    /// When it is tried at the earliest, in milliseconds.
    pub at: Timestamp,
    /// The call.
    pub call: TriggerCall,
}

/// A turn at making the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its number; each one has the next.
    pub number: u64,
    /// The moment that its picture shows.
    pub as_of: Timestamp,
}

/// Which rows are asked for.
#[derive(Debug, Clone, Copy)]
pub struct RowsWanted<'a> {
    /// The shelf.
    pub shelf: &'a Shelf,
    /// The time of opening.
    pub span: Span,
    /// Only rows that come after this one, which are older.
    pub before: Option<&'a Position>,
    /// What must hold of them. Of its state, the shelf tells whether they are archived.
    pub filter: &'a Filter,
    /// How many to look at. Fewer may be looked at.
    pub most: usize,
}

/// Rows of a shelf.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Those that match, newest first.
    pub found: Vec<(InteractionKey, Position, Row)>,
    /// The last one that was looked at; `None` if nothing is left.
    pub through: Option<Position>,
    /// How many were looked at.
    pub scanned: usize,
}

/// The mark that makes a command idempotent. Its commit records it and a repetition finds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Idempotency {
    /// What the commit rests on or adds is the guard: a version (timers, rings), or the provider's id of a message.
    Guarded,
    /// A webhook's event, which is marked as routed, once.
    Event {
        /// The account.
        account: AccountId,
        /// The event's id.
        id: String,
    },
    /// A command of our own, by an id that only it has.
    Command {
        /// The id.
        id: String,
    },
    /// A command of the API with a key. An interaction may remember it instead ([`Interaction::remember`]).
    Keyed(Keyed),
}

impl Idempotency {
    /// The mark of a webhook's event.
    pub fn of(event: &InboundEvent) -> Self {
        Self::Event { account: event.account.clone(), id: event.id.clone() }
    }
}

/// A change of an interaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The interaction before the decision; `None` if it is opened.
    pub before: Option<Interaction>,
    /// The new state.
    pub after: Interaction,
    /// The effects.
    pub effects: Vec<Effect>,
    /// The history entries, which say why.
    pub history: Vec<HistoryEntry>,
    /// The messages that come with it, each with its effects.
    pub messages: Vec<(Message, Vec<Effect>)>,
    /// A new contact. Its addresses lead to it from now on.
    pub contact: Option<Contact>,
    /// Contacts that join a list or are named, and replace their previous version.
    pub changed: Vec<Contact>,
    /// For an interaction that is new: the address must belong to the customer as it was read. If it is open, none of
    /// the customer's contacts may have an open interaction on the account.
    pub identity: Option<Owned>,
    /// The provider's time of the customer's latest message, if it moves. The interaction has it too
    /// ([`Self::heard_at_head`]).
    pub last_inbound_at: Option<Timestamp>,
    /// The mark that makes it idempotent.
    pub mark: Idempotency,
    /// The membership that must hold when the commit is written.
    pub membership: Option<Membership>,
    /// For a ring at one agent: the presence must be as it was at the decision.
    pub presence_revision: Option<(AgentId, u64)>,
    /// The agent of a target who is engaged last from now on.
    pub cursor: Option<(Target, AgentId)>,
    /// What the audit trail tells of it.
    pub entry: Option<Entry>,
    /// The change of the interaction that is merged into this one, in the same transaction. Only its interaction,
    /// effects and history are written.
    pub merged: Option<Box<Commit>>,
}

/// An address and the customer whose it must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    /// The address.
    pub place: Place,
    /// The business for whose accounts.
    pub business: Business,
    /// The customer.
    pub person: Identity,
}

impl Commit {
    /// The commit of a decision about an interaction, with its automatic replies. The other fields hold further
    /// writes.
    pub fn of(before: Option<Interaction>, decision: Decision, mark: Idempotency) -> Self {
        let Decision { interaction, effects, replies, history, presence_revision, .. } = decision;
        let reply = |Reply { author, id, at, text }| {
            let message = Message::new(id, interaction.id.clone(), at, author, Content::Text { body: text });
            (message.queued(at, &interaction.address), Vec::new())
        };
        let messages = replies.into_iter().map(reply).collect();
        let mut commit = Self { messages, effects, history, mark, presence_revision, ..Self::plain(before, interaction) };
        if is_counted(&commit.history, commit.is_first_answer()) {
            commit.effects.push(Effect::Report);
        }
        commit
    }

    /// The commit that turns `before` into `after`, and nothing else.
    pub fn plain(before: Option<Interaction>, after: Interaction) -> Self {
        Self {
            before,
            after,
            effects: Vec::new(),
            history: Vec::new(),
            messages: Vec::new(),
            contact: None,
            changed: Vec::new(),
            identity: None,
            last_inbound_at: None,
            mark: Idempotency::Guarded,
            membership: None,
            presence_revision: None,
            cursor: None,
            entry: None,
            merged: None,
        }
    }

    /// Whether a person writes to the customer for the first time.
    fn is_first_answer(&self) -> bool {
        self.after.answered && !self.before.as_ref().is_some_and(|before| before.answered)
    }

    /// Adds the event's message, before the replies to it. If the message says all that the history would say, it
    /// stands for its entry. The first answer has an entry in any case: it ends the customer's first wait.
    #[must_use]
    pub fn with(mut self, mut message: Message, effects: Vec<Effect>) -> Self {
        if let [only] = self.history.as_slice() {
            let decided = Decided { at: only.at, version: only.version };
            let stands_for = Message { decided: Some(decided), ..message.clone() };
            if !self.is_first_answer() && only.is_told_by(&stands_for) {
                message = stands_for;
                self.history.clear();
            }
        }
        self.messages.insert(0, (message, effects));
        self
    }

    /// Adds the effects for the triggers that wait for what happens here, at `now`. What nobody waits for leaves no
    /// trace.
    #[must_use]
    pub fn telling(mut self, triggers: &[Trigger], now: Timestamp) -> Self {
        let messages = self.messages.iter().map(|(message, _)| message);
        let mut happened = happened(self.before.as_ref(), &self.after, &self.history, messages, now);
        happened.retain(|happened| triggers.iter().any(|trigger| trigger.waits_for(&self.after.account, happened.event)));
        if !happened.is_empty() {
            self.effects.push(Effect::Trigger { happened });
        }
        self.merged = self.merged.map(|merged| Box::new(merged.telling(triggers, now)));
        self
    }

    /// The time of the decision.
    pub fn decided_at(&self) -> Option<Timestamp> {
        let told = || self.messages.iter().find_map(|(message, _)| message.decided);
        self.history.first().map(|entry| entry.at).or_else(|| told().map(|decided| decided.at))
    }

    /// The changes to the agents' presences, of this commit and of the interaction merged into it. A transaction
    /// may touch an item only once.
    pub fn slots(&self) -> BTreeMap<AgentId, Vec<(InteractionId, SlotChange)>> {
        let mut all: BTreeMap<AgentId, Vec<(InteractionId, SlotChange)>> = BTreeMap::new();
        for commit in std::iter::once(self).chain(self.merged.as_deref()) {
            let old = commit.before.as_ref().map(footprint).unwrap_or_default();
            for (agent, change) in slot_changes(&old, &footprint(&commit.after), commit.presence_revision.as_ref()) {
                all.entry(agent).or_default().push((commit.after.id.clone(), change));
            }
        }
        all
    }

    /// The time of the customer's latest message that the conversation's head takes with this commit. An open
    /// interaction keeps that time itself, and the head follows once an hour: functions of the version before know
    /// the head alone. When the interaction opens or closes, the head is written anyway.
    pub fn heard_at_head(&self) -> Option<Timestamp> {
        let hour = |at: Timestamp| at.as_second().div_euclid(3600);
        let moved = self.last_inbound_at;
        match (&self.before, self.after.is_open()) {
            (Some(before), true) if before.is_open() => moved.filter(|at| before.heard_at.is_none_or(|known| hour(known) != hour(*at))),
            (Some(before), false) if before.is_open() => moved.max(self.after.heard_at),
            _ => moved,
        }
    }

    /// The id for the answer to a repetition of its command: the agent's message, otherwise the interaction; the
    /// new interaction if the command opened one.
    pub fn made(&self) -> &str {
        let written = self.messages.iter().find(|(message, _)| matches!(message.author, Author::Agent { .. }));
        match (&self.mark, written.filter(|_| self.before.is_some())) {
            (Idempotency::Command { .. } | Idempotency::Keyed(_), Some((message, _))) => message.id.as_str(),
            _ => self.after.id.as_str(),
        }
    }
}

/// A change of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageCommit {
    /// Its key.
    pub key: MessageKey,
    /// Its version at the decision.
    pub before: u64,
    /// The new state.
    pub after: Message,
    /// The effects.
    pub effects: Vec<Effect>,
    /// The mark that makes it idempotent.
    pub mark: Idempotency,
}

impl MessageCommit {
    /// A change of the message at `key` from its version `before`, which guards against repetition.
    pub fn of(key: &MessageKey, before: u64, after: Message, effects: Vec<Effect>) -> Self {
        Self { key: key.clone(), before, after, effects, mark: Idempotency::Guarded }
    }
}

/// The outcome of a commit. A lost race is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Written.
    Done,
    /// Something that the commit rests on has changed: load and decide again.
    Conflict,
    /// The mark exists already: an earlier attempt was written.
    AlreadyDone,
    /// The agent has no free slot any more, or no longer exists.
    AtCapacity,
    /// The agent is no longer on the account or in the queue.
    NotAMember,
}

impl Committed {
    /// The outcome of all `lost` conditions; `None` if nothing was lost. "Already done" says more than any other:
    /// the others then failed because it was done.
    pub fn of_lost(lost: &[Committed]) -> Option<Committed> {
        let order = [Committed::AlreadyDone, Committed::NotAMember, Committed::AtCapacity, Committed::Conflict];
        order.into_iter().find(|meaning| lost.contains(meaning))
    }
}

/// The real clock and random ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl World for System {
    /// To the millisecond, like all stored times.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn ulid(&self) -> Ulid {
        Ulid::generate()
    }

    /// A random part of 5 ms, doubled with each attempt up to 160 ms, so that rivals spread out.
    async fn pause(&self, attempt: u32) {
        let most = 5_u64 << attempt.min(5);
        let random = (Ulid::generate().0 & 0xff) as u64;
        tokio::time::sleep(std::time::Duration::from_millis(most / 2 + most * random / 512)).await;
    }
}
