//! The history of an interaction: one entry for every decision.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::Role;
use crate::effect::{Audience, Target};
use crate::ids::{AgentId, AiAgentId, InteractionId, MessageId, QueueId};
use crate::insights::{Sentiment, Summary};
use crate::interaction::Stage;
use crate::language::Language;
use crate::message::{Author, Decided, Message};
use crate::priority::Priority;
use crate::tag::Tag;
use crate::variables::VariableName;

/// One decision about an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEntry {
    /// The time of the decision.
    pub at: Timestamp,
    /// The version of the interaction that the decision made.
    pub version: u64,
    /// The role that the agent who acted had at that time. Absent if it was no agent's action, for messages that
    /// agents sent in the role of an agent, and in entries of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The decision's kind, with the facts that explain it.
    #[serde(flatten)]
    pub fact: Fact,
}

/// The entry that a message stands for: it went to the open tab of the interaction's agent, or its agent sent it, and
/// nothing else happened.
pub fn entry_of(message: &Message) -> Option<HistoryEntry> {
    let Decided { at, version } = message.decided?;
    let id = message.id.clone();
    let fact = match &message.author {
        Author::Customer => Fact::MessageReceived { message: id, delivered: true },
        Author::Agent { agent } => Fact::MessageSent { message: id, agent: agent.clone() },
        Author::System | Author::Ai { .. } => return None,
    };
    Some(HistoryEntry { at, version, role: None, fact })
}

impl HistoryEntry {
    /// Whether this message, with its [`Decided`], stands for the entry, if the decision has no other. A message says
    /// who sent it, but not in which role, so a supervisor's message stands for nothing.
    pub fn is_told_by(&self, message: &Message) -> bool {
        let told = matches!(self.fact, Fact::MessageReceived { delivered: true, .. } | Fact::MessageSent { .. });
        let plain = Self { role: self.role.filter(|role| *role > Role::Agent), ..self.clone() };
        told && entry_of(message) == Some(plain)
    }
}

/// Whoever caused a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor<'a> {
    /// The customer.
    Customer,
    /// An agent of whatever role.
    Agent(&'a AgentId),
    /// The service itself: the plan, a timer, a change of the configuration.
    System,
}

impl Fact {
    /// Whoever caused the decision.
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::Opened | Self::MessageReceived { .. } => Actor::Customer,
            Self::Started { agent, .. }
            | Self::CloseRequested { agent, .. }
            | Self::CloseForgotten { agent }
            | Self::NoteAdded { agent, .. }
            | Self::Retagged { agent, .. }
            | Self::AiSwitched { agent, .. }
            | Self::LanguageChosen { agent, .. }
            | Self::MessageSent { agent, .. }
            | Self::Rejected { agent }
            | Self::Accepted { agent, .. }
            | Self::Transferred { agent, .. }
            | Self::Picked { agent }
            | Self::Reassigned { by: agent, .. }
            | Self::Archived { agent }
            | Self::Reopened { agent }
            | Self::ReopenedFor { by: agent, .. }
            | Self::TabOpened { agent }
            | Self::TabClosed { agent }
            | Self::Closed { agent: Some(agent), .. }
            | Self::InsightsMade { agent: Some(agent), .. }
            | Self::VideoStarted { agent, .. }
            | Self::TranscriptRequested { agent } => Actor::Agent(agent),
            Self::NotWhitelisted
            | Self::Blocked
            | Self::Replied { .. }
            | Self::AccountInactive
            | Self::PlanStarted { .. }
            | Self::StepDone { .. }
            | Self::LoopCut { .. }
            | Self::WebhookAnswered { .. }
            | Self::WebhookFailed { .. }
            | Self::AiAnswered { .. }
            | Self::AiOvertaken { .. }
            | Self::AiEscalated { .. }
            | Self::WaitStarted { .. }
            | Self::StageSkipped { .. }
            | Self::WaitEnded { .. }
            | Self::Offered { .. }
            | Self::OfferMissed { .. }
            | Self::OfferWithdrawn { .. }
            | Self::Returned { .. }
            | Self::AgentLeft { .. }
            | Self::Unassigned { .. }
            | Self::Closed { agent: None, .. }
            | Self::InsightsMade { agent: None, .. }
            | Self::Noted { .. }
            | Self::Merged { .. }
            | Self::Absorbed { .. } => Actor::System,
        }
    }
}

/// The entries and those that messages stand for, in the order of the decisions.
pub fn whole(mut entries: Vec<HistoryEntry>, told: impl IntoIterator<Item = HistoryEntry>) -> Vec<HistoryEntry> {
    entries.extend(told);
    // The entries of one decision stay in their order.
    entries.sort_by_key(|entry| entry.version);
    entries
}

/// A decision, with the facts that explain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The customer's first message opened the interaction.
    Opened,
    /// An agent opened the interaction by writing to the customer.
    Started {
        /// The agent who wrote.
        agent: AgentId,
        /// The agent's first message.
        message: MessageId,
    },
    /// The contact is on none of the lists on the account's whitelist.
    NotWhitelisted,
    /// The customer is blocked.
    Blocked,
    /// A contact who is not on the whitelist got the automatic reply, if one could go out.
    Replied {
        /// The reply's message, or the reason why none went out.
        did: Did,
    },
    /// The interaction's agent asked to close it and must still give a disposition.
    CloseRequested {
        /// The agent who asked.
        agent: AgentId,
        /// The pause that the agent is on until the disposition is given.
        pause: String,
    },
    /// The interaction's agent went on with it after asking to close it. No disposition is due any more.
    CloseForgotten {
        /// The agent who went on.
        agent: AgentId,
    },
    /// Somebody wrote a note for colleagues.
    NoteAdded {
        /// The note's message.
        message: MessageId,
        /// The author of the note.
        agent: AgentId,
    },
    /// Somebody changed the interaction's tags.
    Retagged {
        /// The person who changed them.
        agent: AgentId,
        /// Tags that were added.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<Tag>,
        /// Tags that were removed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<Tag>,
    },
    /// Somebody switched an AI agent on or off for the interaction.
    AiSwitched {
        /// The person who did so.
        agent: AgentId,
        /// The AI agent that answers from now on; `None` when it was switched off.
        ai_agent: Option<AiAgentId>,
    },
    /// An AI agent answered the customer.
    AiAnswered {
        /// The AI agent.
        ai_agent: AiAgentId,
        /// The answer's message.
        message: MessageId,
    },
    /// The customer wrote while the model thought. Its answer is dropped, and all messages are answered at once.
    AiOvertaken {
        /// The AI agent.
        ai_agent: AiAgentId,
    },
    /// An AI agent handed the customer over to people. The plan goes on.
    AiEscalated {
        /// The AI agent.
        ai_agent: AiAgentId,
        /// The reason.
        why: Escalated,
        /// Why, in the model's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Said>,
    },
    /// Somebody chose the customer's language.
    LanguageChosen {
        /// The person who did so.
        agent: AgentId,
        /// The language; `None` when it was left to detection again.
        language: Option<Language>,
    },
    /// Insights were made.
    InsightsMade {
        /// The person who asked for them; `None`: they were made at closing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
        /// The AI agent that made them.
        ai_agent: AiAgentId,
        /// The customer's mood.
        sentiment: Sentiment,
        /// What the conversation was about.
        summary: Summary,
    },
    /// An agent started a video call. The customer got the link with a message.
    VideoStarted {
        /// The agent.
        agent: AgentId,
        /// The message with the customer's link.
        message: MessageId,
    },
    /// A message from the customer arrived.
    MessageReceived {
        /// The message.
        message: MessageId,
        /// Whether the message went to the open tab of the interaction's agent.
        delivered: bool,
    },
    /// An agent wrote to the customer.
    MessageSent {
        /// The message.
        message: MessageId,
        /// The agent who wrote.
        agent: AgentId,
    },
    /// The account is switched off, so nothing is routed.
    AccountInactive,
    /// A run of the action plan began.
    PlanStarted {
        /// The version of the plan.
        plan: u64,
    },
    /// The plan carried out a step that waits for nobody.
    StepDone {
        /// The place of the step, from 0.
        index: usize,
        /// The result of the step.
        did: Did,
    },
    /// The plan looped without end or ran too many steps. The rest of the run was left out.
    LoopCut {
        /// The place, from 0, of the step at which the run stopped.
        index: usize,
    },
    /// Another system answered a webhook step of the plan.
    WebhookAnswered {
        /// The place of the step, from 0.
        index: usize,
        /// The variables that the answer set.
        set: Vec<VariableName>,
        /// The variables for which the interaction had no room.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        no_room: Vec<VariableName>,
    },
    /// Another system did not answer a webhook step of the plan. The plan goes on.
    WebhookFailed {
        /// The place of the step, from 0.
        index: usize,
        /// The reason.
        why: WebhookFailure,
    },
    /// A wait began.
    WaitStarted {
        /// The stage that the interaction waits on.
        stage: Stage,
        /// The queue that is asked to take it, if the wait is for one queue. Behind an exhausted plan there is none,
        /// nor in entries of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<QueueId>,
        /// The deadline of the wait; `None` when it has none.
        until: Option<Timestamp>,
    },
    /// A stage was skipped.
    StageSkipped {
        /// The stage that was skipped.
        stage: Stage,
        /// The reason.
        why: Skip,
    },
    /// A wait ended before anybody accepted.
    WaitEnded {
        /// The stage that the interaction waited on.
        stage: Stage,
        /// The reason.
        why: WaitEnd,
        /// For each agent who could have been rung, the reason why not. Filled in when the wait timed out while
        /// nobody was being rung.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    /// An offer was made.
    Offered {
        /// The queue, agent or account for which the offer was made.
        target: Target,
        /// The agents who see the offer.
        audience: Audience,
        /// The deadline of the offer; `None` when it has none.
        until: Option<Timestamp>,
        /// For a queue that rings all members at once: the agents who could take the offer at that moment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rung: Vec<AgentId>,
        /// The agents who were passed over, with the reasons.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    /// Nobody answered an offer in time.
    OfferMissed {
        /// The agents who saw the offer.
        audience: Audience,
    },
    /// An offer was withdrawn because its agent paused, logged out, has no free slot any more, or was removed from
    /// the queue or the account.
    OfferWithdrawn {
        /// The agent whose offer was withdrawn.
        agent: AgentId,
    },
    /// An agent rejected an offer.
    Rejected {
        /// The agent who rejected it.
        agent: AgentId,
    },
    /// An agent accepted the interaction.
    Accepted {
        /// The agent who accepted it.
        agent: AgentId,
        /// The queue through which the agent accepted; `None` when it was no queue's offer.
        queue: Option<QueueId>,
        /// The agent who had the interaction before.
        previous: Option<AgentId>,
    },
    /// The interaction's agent started a transfer.
    Transferred {
        /// The agent who transfers the interaction.
        agent: AgentId,
        /// The queue or agent to which the interaction is transferred.
        to: Target,
    },
    /// Nobody accepted the transfer. The interaction stays with its agent and is marked unread.
    Returned {
        /// The agent who still has the interaction.
        agent: AgentId,
    },
    /// An agent took the interaction without an offer.
    Picked {
        /// The agent who took it.
        agent: AgentId,
    },
    /// A supervisor gave the interaction to an agent.
    Reassigned {
        /// The supervisor.
        by: AgentId,
        /// The agent who has the interaction now.
        to: AgentId,
        /// The agent who had it before.
        previous: Option<AgentId>,
    },
    /// The closed interaction was hidden from lists.
    Archived {
        /// The person who archived it.
        agent: AgentId,
    },
    /// The closed interaction was opened again.
    Reopened {
        /// The agent who reopened it and has it now.
        agent: AgentId,
    },
    /// A supervisor opened the closed interaction again, for an agent or for whomever the plan finds.
    ReopenedFor {
        /// The supervisor.
        by: AgentId,
        /// The agent who has it now; `None`: the plan began.
        to: Option<AgentId>,
    },
    /// The interaction's agent was removed from the account. The interaction goes on without that agent.
    AgentLeft {
        /// The agent who was removed.
        agent: AgentId,
    },
    /// The agent lost the interaction because the plan began again.
    Unassigned {
        /// The agent who lost it.
        agent: AgentId,
    },
    /// The interaction's agent opened the tab.
    TabOpened {
        /// The agent who opened it.
        agent: AgentId,
    },
    /// The interaction's agent closed the tab.
    TabClosed {
        /// The agent who closed it.
        agent: AgentId,
    },
    /// The interaction was closed.
    Closed {
        /// The person who closed it; `None` when the service closed it.
        agent: Option<AgentId>,
        /// The disposition, if one was given.
        disposition: Option<String>,
    },
    /// A message that nobody has to answer joined the thread. It is a report from the provider about the customer,
    /// or a reaction to a message that is not known here.
    Noted {
        /// The message.
        message: MessageId,
    },
    /// The customer turned out to be the same person as another contact, who has an older open interaction. This
    /// interaction was merged into that one.
    Merged {
        /// The older interaction, which goes on.
        into: InteractionId,
    },
    /// A newer interaction of the same person was merged into this one.
    Absorbed {
        /// The newer interaction.
        interaction: InteractionId,
        /// Whether the newer interaction had a message that nobody had answered.
        unanswered: bool,
        /// Whether an agent had written to the customer there. Entries of earlier versions don't tell.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        answered: bool,
    },
    /// Somebody asked for a transcript.
    TranscriptRequested {
        /// The person who asked.
        agent: AgentId,
    },
}

/// The result of a step that waits for nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Did {
    /// The step sent an automatic reply.
    AutoReply {
        /// The reply's message.
        message: MessageId,
    },
    /// The step did not send its automatic reply.
    NoReply {
        /// The reason.
        why: NoReply,
    },
    /// The step closed the interaction.
    Close,
    /// The step tagged the interaction.
    Tag {
        /// The tag.
        tag: Tag,
        /// Whether the interaction had room for the tag.
        room: bool,
    },
    /// The step gave the interaction a priority.
    Priority {
        /// The new priority.
        priority: Priority,
    },
    /// The step set a variable.
    Set {
        /// The name of the variable.
        variable: VariableName,
        /// Whether the interaction had room for the variable.
        room: bool,
    },
    /// The step checked a condition.
    GotoIf {
        /// Whether the condition held.
        held: bool,
        /// The place of the step that followed, from 0.
        to: usize,
    },
    /// The step jumped to another step.
    Goto {
        /// The place of the step that followed, from 0.
        to: usize,
    },
    /// The step handed the conversation to an AI agent. In entries of earlier versions no AI agent answered.
    Assistant {
        /// The AI agent.
        ai_agent: AiAgentId,
    },
    /// The step does nothing.
    Noop,
}

/// The reason why an automatic reply did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NoReply {
    /// The reply already went out on this interaction.
    SaidAlready,
    /// The reply is for the first message only.
    NotTheFirstMessage,
    /// The 24-hour service window is over.
    WindowExpired,
    /// The reply's text is empty once the variables are filled in.
    Empty,
    /// The plan already sent as many replies as may go out at the same moment.
    TooMany,
}

/// The reason why a webhook step got no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WebhookFailure {
    /// The other system did not answer in time.
    TimedOut,
    /// The other system could not be reached, or its address is not allowed.
    Unreachable,
    /// The other system answered with a status other than 2xx.
    Refused,
    /// The answer does not have the expected form.
    Unreadable,
}

/// The reason why an AI agent handed a customer over to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiEscalated))]
#[serde(rename_all = "snake_case")]
pub enum Escalated {
    /// The model decided it.
    Model,
    /// The customer asked for a person with one of the AI agent's phrases.
    Phrase,
    /// The answer did not come in time.
    Late,
    /// The model or its knowledge base failed, or refused the key.
    Failed,
    /// The model, its service or its guardrail refused to answer.
    Refused,
    /// The answer was empty, cut off, too long or unreadable.
    Unusable,
    /// The answer was what was said before.
    Repeated,
    /// The customer wrote nothing that a model can read.
    Unreadable,
    /// It has answered as often in a row, or in an hour, as it may.
    Limit,
    /// The customer went on writing while the model thought.
    Overtaken,
    /// The 24-hour service window is over.
    WindowExpired,
    /// The AI agent was deleted.
    Gone,
}

/// A model's words. They repeat what customers wrote, so they never reach a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(transparent)]
pub struct Said(pub String);

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Said(…)")
    }
}

/// An agent who was not offered an interaction, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PassedOver {
    /// The agent.
    pub agent: AgentId,
    /// The reason.
    pub why: NotOffered,
}

/// The reason why an agent was not offered an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotOffered {
    /// The agent is logged out.
    LoggedOut,
    /// The agent is on a pause.
    Paused,
    /// The agent has no free slot: open interactions and ringing offers fill the capacity.
    NoFreeSlot,
    /// The agent already rejected the interaction.
    Rejected,
    /// The agent is a member of the queue, but is not assigned to the account.
    NotOfAccount,
    /// The agent let the interaction ring a moment ago, after the plan had run out.
    Missed,
    /// The agent's last free slot is for an interaction that comes first in another queue.
    NeededElsewhere,
    /// The agent is available, but it was another agent's turn.
    NotItsTurn,
}

/// The reason why a stage was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The interaction's agent did not accept it through a queue.
    NoQueue,
    /// The agent is no longer a member of the queue, or the queue was deleted.
    LeftQueue,
    /// The agent was removed from the account.
    LeftAccount,
    /// The queue of the step was deleted.
    QueueGone,
    /// The step runs only within an interval that does not match now.
    OutsideInterval,
    /// The step runs only outside an interval that matches now.
    WithinInterval,
    /// The interval of the step was deleted.
    IntervalGone,
    /// A person has had the interaction, so only people switch an AI agent on.
    PersonHadIt,
    /// An AI agent has handed the customer's message over to people.
    HandedOver,
    /// An AI agent has reached a limit in this interaction, so only people switch one on.
    UsedUp,
}

/// The reason why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// The deadline passed.
    TimedOut,
    /// Every agent who was asked rejected the interaction.
    EverybodyRejected,
    /// A new message restarted the routing.
    NewMessage,
    /// The account was switched on.
    AccountActivated,
    /// The interaction's agent opened the tab.
    TabOpened,
    /// The other system answered, or the request to it failed. Or an AI agent was switched on.
    Settled,
}
