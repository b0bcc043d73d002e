//! What happens to an interaction.

use jiff::Timestamp;

use crate::effect::{Audience, InteractionKey, Target, Timer};
use crate::history::{PassedOver, WebhookFailure};
use crate::ids::{AgentId, MessageId};
use crate::interaction::Interaction;
use crate::tag::Tag;
use crate::values::Address;
use crate::variables::VariableName;

/// What happened to an interaction that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The customer wrote.
    MessageReceived {
        /// Which message.
        message: MessageId,
        /// Its time in the thread.
        at: Timestamp,
    },
    /// Its agent writes.
    MessageSent {
        /// Who.
        agent: AgentId,
        /// Which message.
        message: MessageId,
        /// Whether it is an approved template: the one kind that may be sent outside the service window.
        template: bool,
    },
    /// Somebody writes a note for colleagues.
    NoteAdded {
        /// Who.
        by: AgentId,
        /// Which message.
        message: MessageId,
    },
    /// Somebody changes its tags.
    Retagged {
        /// Who.
        by: AgentId,
        /// Tags that it shall have.
        add: Vec<Tag>,
        /// Tags that it shall not have.
        remove: Vec<Tag>,
    },
    /// Its agent, or a supervisor, has an AI agent answer or stops it.
    AiSwitched {
        /// Who.
        by: AgentId,
        /// Whether as a supervisor, whoever has it.
        oversees: bool,
        /// Whether it answers from now on.
        on: bool,
    },
    /// Something joins the thread that nobody has to answer.
    Noted {
        /// Which message.
        message: MessageId,
        /// The customer's new address, where that is what it says.
        moved_to: Option<Address>,
    },
    /// A newer open interaction of the same person is merged into this one, in the same transaction.
    Absorb(Box<Interaction>),
    /// It is merged into an older open interaction of the same person, in the same transaction.
    MergeInto(InteractionKey),
    /// Somebody is to be rung: what `assign` chose.
    Ring(Ring),
    /// An agent accepts the offer.
    Accept {
        /// Who.
        agent: AgentId,
    },
    /// An agent rejects the offer.
    Reject {
        /// Who.
        agent: AgentId,
    },
    /// Its agent opens the tab.
    OpenTab {
        /// Who.
        agent: AgentId,
    },
    /// Its agent closes the tab.
    CloseTab {
        /// Who.
        agent: AgentId,
    },
    /// Its agent closes it.
    Close {
        /// Who.
        agent: AgentId,
        /// With which disposition.
        disposition: Option<String>,
    },
    /// A supervisor closes it, whoever has it.
    CloseForAll {
        /// Who.
        by: AgentId,
        /// With which disposition.
        disposition: Option<String>,
    },
    /// Its agent hands it over.
    Transfer {
        /// Who.
        agent: AgentId,
        /// To an agent or a queue.
        to: Target,
    },
    /// An agent takes one that nobody has.
    Pick {
        /// Who.
        agent: AgentId,
    },
    /// A supervisor gives it to an agent.
    Reassign {
        /// Who does.
        by: AgentId,
        /// To whom.
        to: AgentId,
    },
    /// It is hidden from lists.
    Archive {
        /// By whom.
        agent: AgentId,
    },
    /// It is opened again.
    Reopen {
        /// By whom, who has it then.
        agent: AgentId,
    },
    /// An agent asks for the transcript as it stands.
    RequestTranscript {
        /// Who.
        agent: AgentId,
    },
    /// A wait is over.
    Timer(Timer),
    /// An agent paused, logged out, took the last free slot, or was taken off the queue or the account: what rings there alone rings on elsewhere.
    AgentUnavailable {
        /// Who.
        agent: AgentId,
    },
    /// Its agent was taken off the account.
    AgentLeft {
        /// Who.
        agent: AgentId,
    },
    /// The account was switched off.
    AccountDeactivated,
    /// The account was switched on.
    AccountActivated,
    /// The account is about to be deleted, with what is open.
    AccountLeaves,
    /// Another system answered a step of the plan, or did not.
    WebhookAnswered {
        /// The wait that asked.
        wait: u64,
        /// The variables that it sets, or why there are none.
        answer: Result<Vec<(VariableName, String)>, WebhookFailure>,
    },
}

/// Whom to ring for a waiting interaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The wait that it was chosen for.
    pub wait: u64,
    /// On whose behalf.
    pub target: Target,
    /// Whom.
    pub audience: Audience,
    /// How long; never beyond the wait.
    pub until: Option<Timestamp>,
    /// Who of a queue that rings at all could take it.
    pub rung: Vec<AgentId>,
    /// Who was passed over, and why.
    pub passed_over: Vec<PassedOver>,
}
