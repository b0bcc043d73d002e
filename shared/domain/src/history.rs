//! Why an interaction is where it is: one entry for every decision.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, Target};
use crate::ids::{AgentId, AiAgentId, InteractionId, MessageId, QueueId};
use crate::interaction::Stage;
use crate::priority::Priority;
use crate::tag::Tag;
use crate::variables::VariableName;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The first message opened the interaction.
    Opened,
    /// An agent opened it by writing to the customer.
    Started {
        /// Who.
        agent: AgentId,
        /// With which message.
        message: MessageId,
    },
    /// The contact is on none of the lists whose contacts the account talks to.
    NotWhitelisted,
    /// Such a contact was answered automatically.
    Replied {
        /// With which message, or why not.
        did: Did,
    },
    /// Its agent asked to close it, and owes the disposition.
    CloseRequested {
        /// Who.
        agent: AgentId,
        /// On which pause the agent is until it is given.
        pause: String,
    },
    /// Its agent went on with it: no disposition is owed.
    CloseForgotten {
        /// Who.
        agent: AgentId,
    },
    /// Somebody wrote a note for colleagues.
    NoteAdded {
        /// Which message.
        message: MessageId,
        /// Who.
        agent: AgentId,
    },
    /// Somebody changed its tags.
    Retagged {
        /// Who.
        agent: AgentId,
        /// Those that it has now and had not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<Tag>,
        /// Those that it has no more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<Tag>,
    },
    /// Somebody had an AI agent answer, or stopped it.
    AiSwitched {
        /// Who.
        agent: AgentId,
        /// Which AI agent answers from now on; `None`: none.
        ai_agent: Option<AiAgentId>,
    },
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
    /// A step that waits for nobody was carried out.
    StepDone {
        /// Its place, from 0.
        index: usize,
        /// What it did.
        did: Did,
    },
    /// The plan went round without end, or for too long: the rest of the run was left out.
    LoopCut {
        /// The step that was not entered any more.
        index: usize,
    },
    /// Another system answered a step of the plan.
    WebhookAnswered {
        /// The step's place, from 0.
        index: usize,
        /// The variables that it set.
        set: Vec<VariableName>,
        /// The variables for which there was no room.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        no_room: Vec<VariableName>,
    },
    /// Another system did not answer a step of the plan; the plan goes on.
    WebhookFailed {
        /// The step's place, from 0.
        index: usize,
        /// Why.
        why: WebhookFailure,
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
        /// When the time was over and nobody was being rung: why none of those who could have been.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    /// An offer was made.
    Offered {
        /// On behalf of.
        target: Target,
        /// To whom.
        audience: Audience,
        /// Until when.
        until: Option<Timestamp>,
        /// Who of a queue that rings at all could take it then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rung: Vec<AgentId>,
        /// Who was passed over, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    /// Nobody answered an offer in time.
    OfferMissed {
        /// To whom it was made.
        audience: Audience,
    },
    /// An offer was withdrawn because its agent paused, logged out, has no free slot any more, or was taken off the queue or the account.
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
    /// Its agent hands it over.
    Transferred {
        /// Who.
        agent: AgentId,
        /// To whom.
        to: Target,
    },
    /// Nobody took it over: it is its agent's again, unread.
    Returned {
        /// Whose.
        agent: AgentId,
    },
    /// An agent took it without an offer.
    Picked {
        /// Who.
        agent: AgentId,
    },
    /// A supervisor gave it to an agent.
    Reassigned {
        /// Who did.
        by: AgentId,
        /// To whom.
        to: AgentId,
        /// Whose it was before.
        previous: Option<AgentId>,
    },
    /// It was hidden from lists.
    Archived {
        /// By whom.
        agent: AgentId,
    },
    /// It was opened again.
    Reopened {
        /// By whom, who has it now.
        agent: AgentId,
    },
    /// Its agent was taken off the account: it goes on without that agent.
    AgentLeft {
        /// Who.
        agent: AgentId,
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

/// What a step did that waits for nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Did {
    /// It answered by itself.
    AutoReply {
        /// With which message.
        message: MessageId,
    },
    /// It would have answered by itself.
    NoReply {
        /// Why it did not.
        why: NoReply,
    },
    /// It closed the interaction.
    Close,
    /// It tagged the interaction.
    Tag {
        /// Which tag.
        tag: Tag,
        /// Whether there was room for it.
        room: bool,
    },
    /// It gave the interaction a priority.
    Priority {
        /// Which one.
        priority: Priority,
    },
    /// It set a variable.
    Set {
        /// Which one.
        variable: VariableName,
        /// Whether there was room for it.
        room: bool,
    },
    /// It looked at a condition.
    GotoIf {
        /// Whether it held.
        held: bool,
        /// Where the plan went on.
        to: usize,
    },
    /// It jumped.
    Goto {
        /// Where to.
        to: usize,
    },
    /// It handed the conversation to an AI agent.
    Assistant {
        /// Which one.
        ai_agent: AiAgentId,
    },
    /// Nothing.
    Noop,
}

/// Why an automatic reply did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NoReply {
    /// It went out on this interaction already.
    SaidAlready,
    /// It is for the first message only.
    NotTheFirstMessage,
    /// The 24-hour service window is over.
    WindowExpired,
    /// Nothing is left of it when everything is filled in.
    Empty,
    /// So many went out in this instant that nobody would read one more.
    TooMany,
}

/// Why another system set nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WebhookFailure {
    /// Nothing came in time.
    TimedOut,
    /// It could not be reached, or may not be.
    Unreachable,
    /// It answered with another status than 2xx.
    Refused,
    /// Its answer is not what was asked for.
    Unreadable,
}

/// Why a candidate was not offered an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PassedOver {
    /// Who.
    pub agent: AgentId,
    /// Why.
    pub why: NotOffered,
}

/// Why an agent was not offered an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Let it ring a moment ago, after the plan had run out.
    Missed,
    /// Its last free slot is for what comes first in another queue.
    NeededElsewhere,
    /// Available, but it was another's turn.
    NotItsTurn,
}

/// Why a stage was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// The step is for another time.
    OutsideInterval,
    /// The step is for any time but this one.
    WithinInterval,
    /// The interval of the step is gone.
    IntervalGone,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// What was asked of another system is settled.
    Settled,
}
