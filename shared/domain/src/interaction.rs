//! One conversation from first message to close.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, ConversationKey, InteractionKey, Target};
use crate::ids::{AccountId, AgentId, AiAgentId, ContactId, InteractionId, QueueId};
use crate::inbound::ProfileName;
use crate::message::Content;
use crate::priority::Priority;
use crate::tag::Tag;
use crate::values::Address;
use crate::variables::Variables;

/// One conversation. As an item it stays under 4 KB: the thread and the history lie beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// Ours.
    pub id: InteractionId,
    /// Of which account.
    pub account: AccountId,
    /// With whom.
    pub contact: ContactId,
    /// Where answers go.
    pub address: Address,
    /// What the customer called themselves when it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<ProfileName>,
    /// Grows by one with every commit: conditions, effects and timers refer to it.
    pub version: u64,
    /// Open or closed.
    pub status: Status,
    /// Never changes.
    pub opened_at: Timestamp,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Whether it is closed and hidden from lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// With which disposition it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// At most one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The queue through which the agent accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_via: Option<QueueId>,
    /// Whether its agent has the tab open.
    #[serde(default)]
    pub tab_open: bool,
    /// When it was opened; a tab does not outlive its agent's logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tab_opened_at: Option<Timestamp>,
    /// Whether something came that its agent has not seen.
    #[serde(default)]
    pub unread: bool,
    /// Its agent asked to close it, and owes the disposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUp>,
    /// Whether an agent wrote first and the customer has not written yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_sided: bool,
    /// What is under way to get it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// The arrival of the oldest message that nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_since: Option<Timestamp>,
    /// The queues that the plan tried in this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<QueueId>,
    /// The latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<LastMessage>,
    /// The inactivity timer.
    #[serde(default, skip_serializing_if = "Inactivity::is_idle")]
    pub inactivity: Inactivity,
    /// What the plan and the agents marked it with, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Among those that wait: the higher is served first.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// What the plan and the systems that it asked have set.
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// The AI agent that the plan handed it to; a person who accepts ends that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiAgentId>,
    /// The latest run of the plan.
    #[serde(default, skip_serializing_if = "Run::is_none")]
    pub run: Run,
    /// Newer interactions of the same person that were merged into this one, the oldest first: their messages belong to its thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<InteractionKey>,
    /// The older interaction that this one was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<InteractionKey>,
}

/// Where the latest run of the action plan stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Which run it is, from 1; 0 while there was none. An agent who dealt with the first message without one counts as one.
    pub number: u32,
    /// How many steps it has entered.
    pub entered: u16,
    /// The automatic replies that went out on this interaction already, by [`TextTemplate::fingerprint`](crate::text_template::TextTemplate::fingerprint).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replied: Vec<u32>,
    /// The beginning of the customer's latest message, kept only while a plan asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Heard>,
}

impl Run {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a plan's conditions see of the customer's latest message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The kind of its content, e.g. `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The beginning of its text: at most [`Heard::MOST`] bytes, so that the item stays small.
    pub text: String,
}

impl Heard {
    /// What is kept of a message.
    pub fn of(content: &Content) -> Self {
        let mut text = content.readable();
        let end = (0..=text.len().min(Self::MOST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        Self { kind: content.kind().to_owned(), text }
    }

    /// Bytes of text that are kept: enough for a keyword or a choice.
    pub const MOST: usize = 256;
}

/// What customers write never reaches a log.
impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// From the request to close until the disposition is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrapUp {
    /// Who owes it.
    pub agent: AgentId,
    /// On which pause the agent is until then.
    pub pause: String,
    /// Since when.
    pub since: Timestamp,
}

/// Open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Under way.
    Open,
    /// Over.
    Closed,
}

/// The latest message of an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    /// When, by the thread's clock.
    pub at: Timestamp,
    /// Whether the customer wrote it.
    pub from_customer: bool,
}

/// A wait for somebody to accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The version with which it began.
    pub id: u64,
    /// On what.
    pub stage: Stage,
    /// Who is asked; empty while it is its own agent, who is asked directly.
    pub targets: Vec<Target>,
    /// The deadline; `None`: until somebody takes it.
    pub until: Option<Timestamp>,
    /// Who said no during this wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<AgentId>,
    /// Who let it ring after the plan had run out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    /// The offer that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

/// An offer that its agent let ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Who.
    pub agent: AgentId,
    /// When it stopped ringing.
    pub at: Timestamp,
}

impl Missed {
    /// How long somebody who let an interaction ring is left alone with it. Somebody who sits there but looks elsewhere is not rung at every agent timeout,
    /// and nobody waits much longer than this because the only agent went for a coffee.
    pub const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(5);
}

/// What an interaction waits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Its own agent, who was not there when a message came.
    AssignedAgent,
    /// The queue through which that agent accepted.
    AssignedQueue,
    /// A step of the action plan.
    Step {
        /// Its place, from 0.
        index: usize,
        /// The version of the plan that runs.
        plan: u64,
    },
    /// The answer of another system that a step of the action plan asked.
    Webhook {
        /// The step's place, from 0.
        index: usize,
        /// The version of the plan that runs.
        plan: u64,
    },
    /// Somebody else to whom its agent hands it over; until then the agent keeps it.
    Transfer,
    /// The plan has run out: anybody who becomes available.
    Exhausted,
    /// The account is switched off.
    Inactive,
}

impl Stage {
    /// The stage's name, without its place in a plan.
    pub fn name(&self) -> &'static str {
        match self {
            Stage::AssignedAgent => "assigned_agent",
            Stage::AssignedQueue => "assigned_queue",
            Stage::Step { .. } => "step",
            Stage::Webhook { .. } => "webhook",
            Stage::Transfer => "transfer",
            Stage::Exhausted => "exhausted",
            Stage::Inactive => "inactive",
        }
    }
}

/// An interaction shown to one or more agents, waiting to be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The version with which it was made.
    pub id: u64,
    /// On whose behalf.
    pub target: Target,
    /// Who sees it.
    pub audience: Audience,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// The inactivity timer: re-armed lazily, so that there is one timer an interaction and not one a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inactivity {
    /// When the interaction closes by itself; `None` while the customer has the last word.
    pub deadline: Option<Timestamp>,
    /// The version that armed the timer which is under way.
    pub armed: Option<u64>,
}

impl Inactivity {
    fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

impl Interaction {
    /// Its partition.
    pub fn conversation(&self) -> ConversationKey {
        ConversationKey { account: self.account.clone(), contact: self.contact.clone() }
    }

    /// Where it lies.
    pub fn key(&self) -> InteractionKey {
        InteractionKey { conversation: self.conversation(), interaction: self.id.clone() }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.status == Status::Open
    }

    /// The offer that stands.
    pub fn offer(&self) -> Option<&Offer> {
        self.wait.as_ref()?.offer.as_ref()
    }
}
