//! The events of an interaction.

use jiff::Timestamp;

use super::ai::{AiAnswer, AiEscalation};
use super::opening::CustomerName;
use crate::effect::{Audience, InteractionKey, Target, Timer};
use crate::history::{PassedOver, WebhookFailure};
use crate::ids::{AgentId, AiAgentId, MessageId};
use crate::insights::{Sentiment, Summary};
use crate::interaction::Interaction;
use crate::language::Language;
use crate::tag::Tag;
use crate::values::Address;
use crate::variables::VariableName;

/// An event of an existing interaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The customer wrote.
    MessageReceived {
        /// The message.
        message: MessageId,
        /// Its time in the thread.
        at: Timestamp,
        /// The address that it came from.
        from: Address,
        /// What the customer is called from now on, if that changes.
        name: Option<CustomerName>,
    },
    /// Its agent writes.
    MessageSent {
        /// The agent.
        agent: AgentId,
        /// The message.
        message: MessageId,
        /// Whether it is an approved template: the one kind that may be sent outside the service window.
        template: bool,
    },
    /// Its agent starts a video call: the message has the customer's link.
    VideoStarted {
        /// The agent.
        agent: AgentId,
        /// The message.
        message: MessageId,
    },
    /// An agent or a supervisor writes an internal note.
    NoteAdded {
        /// The agent.
        by: AgentId,
        /// The message.
        message: MessageId,
    },
    /// An agent or a supervisor changes its tags.
    Retagged {
        /// The agent.
        by: AgentId,
        /// The tags to add.
        add: Vec<Tag>,
        /// The tags to remove.
        remove: Vec<Tag>,
    },
    /// Its agent, or a supervisor, switches an AI agent on or off.
    AiSwitched {
        /// The agent.
        by: AgentId,
        /// Whether the caller acts as a supervisor, even if another agent has it.
        oversees: bool,
        /// Whether the AI agent answers from now on.
        on: bool,
    },
    /// Its agent, or a supervisor, says which language the customer speaks.
    LanguageChosen {
        /// The agent.
        by: AgentId,
        /// Whether the caller acts as a supervisor, even if another agent has it.
        oversees: bool,
        /// The language; `None` leaves it to detection again.
        language: Option<Language>,
    },
    /// A translation told which language the customer writes.
    LanguageDetected {
        /// The language.
        language: Language,
    },
    /// A model told the customer's mood and what the conversation was about.
    InsightsMade {
        /// Why they were made.
        cause: InsightsCause,
        /// The AI agent.
        ai_agent: AiAgentId,
        /// The customer's mood.
        sentiment: Sentiment,
        /// What the conversation was about.
        summary: Summary,
    },
    /// A line that needs no answer joins the thread.
    Noted {
        /// The message.
        message: MessageId,
        /// The provider's time of what it says.
        at: Timestamp,
        /// The customer's new address, if the line reports one.
        moved_to: Option<Address>,
        /// The line, if it is a claim without proof. A thread tells each once.
        claim: Option<String>,
    },
    /// Its address is no longer the customer's, since a supervisor separated two customers.
    Readdressed {
        /// An address of the customer's.
        address: Address,
    },
    /// A message that was written outside this deployment joins the thread, open or closed.
    Overheard {
        /// The message.
        message: MessageId,
        /// Whether a closed interaction's files are made again.
        archive: bool,
    },
    /// A newer open interaction of the same customer is merged into this one, in the same transaction.
    Absorb(Box<Interaction>),
    /// It is merged into an older open interaction of the same customer, in the same transaction.
    MergeInto(InteractionKey),
    /// `assign` chose agents to ring.
    Ring(Ring),
    /// An agent accepts the offer.
    Accept {
        /// The agent.
        agent: AgentId,
    },
    /// An agent rejects the offer.
    Reject {
        /// The agent.
        agent: AgentId,
    },
    /// Its agent opens the tab.
    OpenTab {
        /// The agent.
        agent: AgentId,
    },
    /// Its agent closes the tab.
    CloseTab {
        /// The agent.
        agent: AgentId,
    },
    /// Its agent closes it.
    Close {
        /// The agent.
        agent: AgentId,
        /// The disposition.
        disposition: Option<String>,
    },
    /// A supervisor closes it, whichever agent has it.
    CloseForAll {
        /// The agent.
        by: AgentId,
        /// The disposition.
        disposition: Option<String>,
    },
    /// Its agent hands it over.
    Transfer {
        /// The agent.
        agent: AgentId,
        /// To an agent or a queue.
        to: Target,
    },
    /// An agent takes an interaction that has no agent.
    Pick {
        /// The agent.
        agent: AgentId,
    },
    /// A supervisor gives it to an agent.
    Reassign {
        /// The supervisor.
        by: AgentId,
        /// The agent who gets it.
        to: AgentId,
    },
    /// It is hidden from lists.
    Archive {
        /// The agent.
        agent: AgentId,
    },
    /// It is reopened.
    Reopen {
        /// The agent, who then has it.
        agent: AgentId,
    },
    /// A supervisor reopens it for another agent, or for whomever the plan finds.
    ReopenFor {
        /// The supervisor.
        by: AgentId,
        /// The agent who gets it; `None`: the plan begins.
        to: Option<AgentId>,
    },
    /// A supervisor begins to watch it, or goes on for longer.
    Watch {
        /// The supervisor.
        by: AgentId,
    },
    /// A supervisor watches it no more.
    Unwatch {
        /// The supervisor.
        by: AgentId,
    },
    /// An agent asks for the present transcript.
    RequestTranscript {
        /// The agent.
        agent: AgentId,
    },
    /// A wait is over.
    Timer(Timer),
    /// An agent paused, logged out, filled the last slot, or was taken off the queue or the account. An offer at
    /// this agent alone moves on.
    AgentUnavailable {
        /// The agent.
        agent: AgentId,
    },
    /// Its agent was taken off the account.
    AgentLeft {
        /// The agent.
        agent: AgentId,
    },
    /// The account was switched off.
    AccountDeactivated,
    /// The account was switched on.
    AccountActivated,
    /// The account is about to be deleted, with its open interactions.
    AccountLeaves,
    /// A supervisor deletes it although it is open.
    Removed,
    /// The AI agent's model is about to be asked. Nobody asks it twice for the same wait.
    AiClaims {
        /// The wait in which an answer is owed.
        wait: u64,
    },
    /// The AI agent's model answered.
    AiAnswered {
        /// The wait in which the answer is owed.
        wait: u64,
        /// The answer.
        answer: Box<AiAnswer>,
    },
    /// The AI agent wants a person, or its model failed.
    AiEscalates {
        /// The wait in which an answer is owed.
        wait: u64,
        /// Why.
        escalation: Box<AiEscalation>,
    },
    /// Another system answered a Webhook step, or did not.
    WebhookAnswered {
        /// The wait of the step.
        wait: u64,
        /// The variables that the answer sets, or why there are none.
        answer: Result<Vec<(VariableName, String)>, WebhookFailure>,
    },
}

/// Why insights are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsightsCause {
    /// An agent or a supervisor asked for them.
    Asked(AgentId),
    /// The interaction closed at this time. Insights of an earlier closing are stale once it was reopened.
    Closed(Timestamp),
}

/// A choice of agents to ring for a waiting interaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The wait that the choice is for.
    pub wait: u64,
    /// The target that rings.
    pub target: Target,
    /// The agents.
    pub audience: Audience,
    /// Until when; never beyond the wait.
    pub until: Option<Timestamp>,
    /// The agents of a `beepall` queue who could take it.
    pub rung: Vec<AgentId>,
    /// The agents who were passed over, and why.
    pub passed_over: Vec<PassedOver>,
}
