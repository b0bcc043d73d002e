//! Why an interaction is where it is: one entry for every decision.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, Target};
use crate::ids::{AgentId, InteractionId, MessageId, QueueId};
use crate::interaction::Stage;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// The version of the interaction that it made.
    pub version: u64,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The first message opened the interaction.
    Opened,
    /// A customer's message arrived.
    MessageReceived {
        /// Which.
        message: MessageId,
        /// Whether it went to its agent's open tab.
        delivered: bool,
    },
    /// An agent wrote.
    MessageSent {
        /// Which.
        message: MessageId,
        /// Who.
        agent: AgentId,
    },
    /// The account is switched off: nothing is routed.
    AccountInactive,
    /// The action plan began.
    PlanStarted {
        /// Which version of the plan.
        plan: u64,
    },
    /// A wait began.
    WaitStarted {
        /// On what.
        stage: Stage,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// A stage was left out.
    StageSkipped {
        /// Which.
        stage: Stage,
        /// Why.
        why: Skip,
    },
    /// A wait ended without anybody accepting.
    WaitEnded {
        /// On what.
        stage: Stage,
        /// Why.
        why: WaitEnd,
    },
    /// An offer was made.
    Offered {
        /// On behalf of.
        target: Target,
        /// To whom.
        audience: Audience,
        /// Until when.
        until: Option<Timestamp>,
        /// Who was passed over, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    /// Nobody answered an offer in time.
    OfferMissed {
        /// To whom it was made.
        audience: Audience,
    },
    /// An offer was withdrawn because its agent paused or logged out.
    OfferWithdrawn {
        /// Who.
        agent: AgentId,
    },
    /// An agent rejected.
    Rejected {
        /// Who.
        agent: AgentId,
    },
    /// An agent accepted.
    Accepted {
        /// Who.
        agent: AgentId,
        /// Through which queue.
        queue: Option<QueueId>,
        /// Whose it was before.
        previous: Option<AgentId>,
    },
    /// The agent lost the interaction because the plan began again.
    Unassigned {
        /// Who.
        agent: AgentId,
    },
    /// Its agent opened the tab.
    TabOpened {
        /// Who.
        agent: AgentId,
    },
    /// Its agent closed the tab.
    TabClosed {
        /// Who.
        agent: AgentId,
    },
    /// It was closed.
    Closed {
        /// By whom; `None`: by the system.
        agent: Option<AgentId>,
        /// With which disposition.
        disposition: Option<String>,
    },
    /// Something joined the thread that nobody has to answer: what the provider reports about the customer, a reaction to a message that is not here.
    Noted {
        /// Which message.
        message: MessageId,
    },
    /// The customer turned out to be another contact's, who has an older open interaction: this one went on there.
    Merged {
        /// Into which.
        into: InteractionId,
    },
    /// A newer interaction of the same person was merged into this one.
    Absorbed {
        /// Which.
        interaction: InteractionId,
        /// Whether it had a message that nobody had answered.
        unanswered: bool,
    },
    /// A transcript was asked for.
    TranscriptRequested {
        /// By whom.
        agent: AgentId,
    },
}

/// Why a candidate was not offered an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Who.
    pub agent: AgentId,
    /// Why.
    pub why: NotOffered,
}

/// Why an agent was not offered an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotOffered {
    /// Not logged in.
    LoggedOut,
    /// On pause.
    Paused,
    /// Holds, or is rung by, as many as allowed.
    NoFreeSlot,
    /// Already said no.
    Rejected,
    /// A member of the queue, but not of the account.
    NotOfAccount,
    /// Available, but it was another's turn.
    NotItsTurn,
}

/// Why a stage was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The agent has not accepted it through a queue.
    NoQueue,
    /// The agent has left the queue, or the queue is gone.
    LeftQueue,
    /// The agent has left the account.
    LeftAccount,
    /// The queue of the step is gone.
    QueueGone,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// The time was over.
    TimedOut,
    /// Everybody who was asked said no.
    EverybodyRejected,
    /// A new message began it anew.
    NewMessage,
    /// The account was switched on.
    AccountActivated,
    /// Its agent opened the tab.
    TabOpened,
}
