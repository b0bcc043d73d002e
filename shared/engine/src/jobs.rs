//! The bodies of the queues.

use domain::effect::{Audience, InteractionKey, MessageKey, Target, Timer};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId};
use domain::inbound::InboundEvent;
use domain::news::News;
use domain::plan::WebhookUrl;
use domain::queue::MissedLimit;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// On `timers`: tell an interaction something when the time has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wakeup", rename_all = "snake_case")]
pub enum Wakeup {
    /// A wait is over at `at`.
    Timer {
        /// Which interaction.
        #[serde(flatten)]
        interaction: InteractionKey,
        /// The deadline.
        at: Timestamp,
        /// Which wait.
        which: Timer,
    },
    /// An agent let an offer ring.
    Missed {
        /// The effect's id: it counts once.
        id: String,
        /// Who.
        agent: AgentId,
        /// How many may be missed in a row.
        limit: MissedLimit,
    },
    /// A person's contacts were linked: of two open interactions on one account make one.
    Unify {
        /// The owner of them.
        contact: ContactId,
    },
    /// An agent's connection was lost a while ago: who has none since then is logged out.
    Lost {
        /// Who.
        agent: AgentId,
        /// Which connection; forgotten, if it was not.
        connection: String,
        /// When: a later loss has a wake-up of its own.
        at: Timestamp,
    },
    /// The queues or accounts of an agent were changed a while ago: what was decided by an older configuration since is looked at once more.
    Reconfigured {
        /// Whose.
        agent: AgentId,
    },
    /// An agent stopped taking offers.
    Withdraw {
        /// Which interaction rang there.
        interaction: InteractionId,
        /// Who.
        agent: AgentId,
    },
}

impl Wakeup {
    /// A lost connection is a logout after so many seconds: a page that is loaded again, or a train in a tunnel, is back by then.
    pub const GRACE_SECONDS: u32 = 30;
}

/// On `assign.fifo`, group = target: decide again who is offered what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssignJob {
    /// For whom.
    pub target: Target,
    /// Because the configuration changed: what is cached of it must not decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconfigured: bool,
    /// Because something changed in another queue of the same agents ([`Reach::Near`](crate::Reach::Near)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub related: bool,
}

/// On `outbound.fifo`, group = conversation: send a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendJob {
    /// Which one.
    pub message: MessageKey,
}

/// On `media`: copy an attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaJob {
    /// Of which message.
    pub message: MessageKey,
    /// Its place.
    pub index: usize,
}

/// On `archive`: write the transcript and the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchiveJob {
    /// Of which interaction.
    pub interaction: InteractionKey,
}

/// On `push.fifo`, group = conversation or agent: append an event to the feeds of agents and send it to their sockets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushJob {
    /// The effect's id: a repetition changes nothing.
    pub id: String,
    /// Whose feeds.
    pub to: Audience,
    /// The account, for offers to a queue: only its agents are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What they are told; `push` makes the view of it. The version before wrote the view itself, as `event`.
    pub news: News,
}

/// On `webhook`: ask another system on behalf of a step of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookJob {
    /// The effect's id, which the other system sees too: it may know a repetition by it.
    pub id: String,
    /// On behalf of which interaction.
    pub interaction: InteractionKey,
    /// The wait that the answer ends.
    pub wait: u64,
    /// Which system.
    pub url: WebhookUrl,
    /// Until when an answer means anything.
    pub until: Timestamp,
}

/// On `inbound.fifo`, group = [`InboundEvent::group`]: the deduplication id that receive and the event's own stream record share, so that whichever
/// comes second changes nothing.
pub fn inbound_dedup(event: &InboundEvent) -> String {
    format!("{}#{}", event.account, event.id)
}
