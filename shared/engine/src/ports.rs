//! What the engine needs from outside.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use audit::Entry;
use domain::account::{Account, List};
use domain::agent::{Agent, Presence};
use domain::catalog::Pause;
use domain::contact::{Contact, Identity, Link};
pub use domain::decide::Membership;
use domain::decide::{Decision, Reply};
use domain::effect::{ConversationKey, Effect, InteractionKey, MessageKey, Target};
use domain::footprint::WaitingRow;
use domain::history::HistoryEntry;
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, IntervalId, ListId, PauseId, QueueId};
use domain::inbound::InboundEvent;
use domain::interaction::Interaction;
use domain::interval::Interval;
use domain::message::{Author, Content, Message};
use domain::plan::ActionPlan;
use domain::queue::Queue;
use domain::values::Address;
use jiff::Timestamp;
use ulid::Ulid;

/// A port failed: the answer is lost, or the other side refused for a reason that is not a lost race. Trying again is safe.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {reason}")]
pub struct PortError {
    /// What was tried.
    pub operation: &'static str,
    /// What the other side said, without bodies.
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

/// The configuration; may be seconds old.
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
    /// Some intervals; what is not there is left out.
    fn intervals(&self, ids: &[IntervalId]) -> impl Future<Output = Result<BTreeMap<IntervalId, Interval>, PortError>> + Send;
    /// A contact list.
    fn list(&self, id: &ListId) -> impl Future<Output = Result<Option<List>, PortError>> + Send;
    /// The names of the dispositions of all accounts.
    fn dispositions(&self) -> impl Future<Output = Result<Arc<Vec<String>>, PortError>> + Send;
    /// A pause.
    fn pause(&self, id: &PauseId) -> impl Future<Output = Result<Option<Pause>, PortError>> + Send;
    /// A plan that an account had before.
    fn plan(&self, account: &AccountId, version: u64) -> impl Future<Output = Result<Option<ActionPlan>, PortError>> + Send;
}

/// What lies at the head of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The open interaction.
    pub open: Option<Interaction>,
    /// The provider's time of the customer's latest message.
    pub last_inbound_at: Option<Timestamp>,
}

/// Interactions and what belongs to them. Reads are consistent, unless they say otherwise.
pub trait Store: Send + Sync {
    /// Whom an address belongs to. Unless it is to be `fresh` it may be a minute old: somebody who opens an interaction has it checked by the transaction
    /// ([`Commit::identity`]).
    fn contact_of(&self, address: &Address, fresh: bool) -> impl Future<Output = Result<Option<Identity>, PortError>> + Send;
    /// One contact.
    fn contact(&self, id: &ContactId) -> impl Future<Output = Result<Option<Contact>, PortError>> + Send;
    /// Writes what makes contacts and addresses one person, all or nothing.
    fn link(&self, link: &Link) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// The open interaction of a conversation and the conversation's head, in one read.
    fn conversation(&self, key: &ConversationKey) -> impl Future<Output = Result<Conversation, PortError>> + Send;
    /// Where an interaction lies.
    fn locate(&self, id: &InteractionId) -> impl Future<Output = Result<Option<InteractionKey>, PortError>> + Send;
    /// One interaction.
    fn interaction(&self, key: &InteractionKey) -> impl Future<Output = Result<Option<Interaction>, PortError>> + Send;
    /// The open interactions of an account, newest first: up to `limit` of those that are older than `before`. Unlike other reads it may be a moment behind: one
    /// that was just opened may be missing, one that was just closed may be there.
    fn open_interactions(
        &self,
        account: &AccountId,
        before: Option<&InteractionId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<InteractionKey>, PortError>> + Send;
    /// One message.
    fn message(&self, key: &MessageKey) -> impl Future<Output = Result<Option<Message>, PortError>> + Send;
    /// The message that the provider knows by `provider_id`.
    fn message_by_provider_id(
        &self,
        account: &AccountId,
        provider_id: &str,
    ) -> impl Future<Output = Result<Option<MessageKey>, PortError>> + Send;
    /// The presence of some agents; who never had one is left out.
    fn presences(&self, agents: &[AgentId]) -> impl Future<Output = Result<BTreeMap<AgentId, Presence>, PortError>> + Send;
    /// What waits for a target, the longest wait first.
    fn waiting(&self, target: &Target) -> impl Future<Output = Result<Vec<WaitingRow>, PortError>> + Send;
    /// Whether anything waits for a target.
    fn anything_waits(&self, target: &Target) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Who of a target was engaged last.
    fn cursor(&self, target: &Target) -> impl Future<Output = Result<Option<AgentId>, PortError>> + Send;
    /// Writes a change of an interaction, all or nothing.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Writes a change of a message, all or nothing.
    fn commit_message(&self, commit: MessageCommit) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Writes a change of state of a presence, if it has still the version before and the revision that was read; the revision grows.
    fn commit_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
    ) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// The same with an entry of the audit trail, all or nothing: the presence was chosen by somebody else.
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

/// What makes a command idempotent: recorded by its commit, found by a repetition.
#[derive(Debug, Clone, PartialEq)]
pub enum Idempotency {
    /// Its guard is the version that it refers to: timers, rings.
    Guarded,
    /// A webhook's event: marked as routed, once.
    Event {
        /// The account.
        account: AccountId,
        /// The event's id.
        id: String,
    },
    /// A command of the API.
    Command {
        /// Unique for the caller and the command.
        id: String,
    },
}

impl Idempotency {
    /// What makes a webhook's event count once.
    pub fn of(event: &InboundEvent) -> Self {
        Self::Event { account: event.account.clone(), id: event.id.clone() }
    }
}

/// A change of an interaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// As it was when it was decided on; `None` when it is opened.
    pub before: Option<Interaction>,
    /// As it shall be.
    pub after: Interaction,
    /// What that causes.
    pub effects: Vec<Effect>,
    /// Why.
    pub history: Vec<HistoryEntry>,
    /// The messages that come with it, and what each causes.
    pub messages: Vec<(Message, Vec<Effect>)>,
    /// A contact seen for the first time; its addresses lead to it from now on.
    pub contact: Option<Contact>,
    /// A contact that is put on a list, in the place of its version before.
    pub listed: Option<Contact>,
    /// For one that is opened: whom the address belongs to must be as it was read, and none of the person's contacts may have an open interaction on the
    /// account.
    pub identity: Option<(Address, Identity)>,
    /// The provider's time of the customer's latest message, where it moves.
    pub last_inbound_at: Option<Timestamp>,
    /// What makes it idempotent.
    pub mark: Idempotency,
    /// Membership that must hold when it is written.
    pub membership: Option<Membership>,
    /// For a ring at one agent: the presence must be as it was when it was decided on.
    pub presence_revision: Option<(AgentId, u64)>,
    /// Who of a target was engaged last from now on.
    pub cursor: Option<(Target, AgentId)>,
    /// A change of another interaction in the same transaction: the one that is merged into this one. Of it only the interaction, its effects and its history
    /// are written.
    pub merged: Option<Box<Commit>>,
}

impl Commit {
    /// What a decision makes of an interaction, with its automatic replies. What else is written with it stands in the other fields.
    pub fn of(before: Option<Interaction>, decision: Decision, mark: Idempotency) -> Self {
        let Decision { interaction, effects, replies, history, presence_revision, .. } = decision;
        let reply = |Reply { id, at, text }| {
            let message = Message::new(id, interaction.id.clone(), at, Author::System, Content::Text { body: text });
            (message.queued(at), Vec::new())
        };
        Self {
            messages: replies.into_iter().map(reply).collect(),
            before,
            after: interaction,
            effects,
            history,
            contact: None,
            listed: None,
            identity: None,
            last_inbound_at: None,
            mark,
            membership: None,
            presence_revision,
            cursor: None,
            merged: None,
        }
    }

    /// With the message that came with the event, in front of the replies to it.
    #[must_use]
    pub fn with(mut self, message: Message, effects: Vec<Effect>) -> Self {
        self.messages.insert(0, (message, effects));
        self
    }

    /// What a repetition of its command is answered with: the message that an agent wrote by it, else the interaction; the one that it opened, if it did.
    pub fn made(&self) -> &str {
        let written = self.messages.iter().find(|(message, _)| matches!(message.author, Author::Agent { .. }));
        match (&self.mark, written.filter(|_| self.before.is_some())) {
            (Idempotency::Command { .. }, Some((message, _))) => message.id.as_str(),
            _ => self.after.id.as_str(),
        }
    }
}

/// A change of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageCommit {
    /// Where it lies.
    pub key: MessageKey,
    /// Its version when it was decided on.
    pub before: u64,
    /// As it shall be.
    pub after: Message,
    /// What that causes.
    pub effects: Vec<Effect>,
    /// What makes it idempotent.
    pub mark: Idempotency,
    /// Whether the provider's id leads to it from now on.
    pub index_provider_id: bool,
}

impl MessageCommit {
    /// A change of the message at `key` from its version `before`, which guards against repetition.
    pub fn of(key: &MessageKey, before: u64, after: Message, effects: Vec<Effect>) -> Self {
        Self { key: key.clone(), before, after, effects, mark: Idempotency::Guarded, index_provider_id: false }
    }
}

/// What became of a commit. A lost race is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Written.
    Done,
    /// Somebody else changed something that it rests on: load and decide again.
    Conflict,
    /// Its mark is there already: an earlier attempt was written.
    AlreadyDone,
    /// The agent has no free slot any more, or is no longer there.
    AtCapacity,
    /// The agent is no longer of the account or the queue.
    NotAMember,
}

impl Committed {
    /// What losing against all of `lost` amounts to; `None` when nothing was lost. That it was done before says more than any other lost condition: those
    /// then fail because it was done.
    pub fn of_lost(lost: &[Committed]) -> Option<Committed> {
        let order = [Committed::AlreadyDone, Committed::NotAMember, Committed::AtCapacity, Committed::Conflict];
        order.into_iter().find(|meaning| lost.contains(meaning))
    }
}

/// The real clock and random ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl World for System {
    /// To the millisecond, as everything is stored.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn ulid(&self) -> Ulid {
        Ulid::generate()
    }

    /// 5 ms doubled with each attempt to 160 ms, of which a random part, so that rivals part ways.
    async fn pause(&self, attempt: u32) {
        let most = 5_u64 << attempt.min(5);
        let random = (Ulid::generate().0 & 0xff) as u64;
        tokio::time::sleep(std::time::Duration::from_millis(most / 2 + most * random / 512)).await;
    }
}
