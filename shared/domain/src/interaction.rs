//! One conversation from first message to close.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, ConversationKey, InteractionKey, Target};
use crate::ids::{AccountId, AgentId, ContactId, InteractionId, QueueId};
use crate::inbound::ProfileName;
use crate::values::Address;

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
    /// Whether something came that its agent has not seen.
    #[serde(default)]
    pub unread: bool,
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
    /// Newer interactions of the same person that were merged into this one, the oldest first: their messages belong to its thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<InteractionKey>,
    /// The older interaction that this one was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<InteractionKey>,
}

/// Open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The offer that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

/// What an interaction waits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The plan has run out: anybody who becomes available.
    Exhausted,
    /// The account is switched off.
    Inactive,
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
