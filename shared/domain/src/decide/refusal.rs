//! Why nothing happens.

use jiff::Timestamp;

use crate::ids::{AgentId, InteractionId};
use crate::tag::Tag;

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What the event refers to is over: a timer too late, an offer for a wait that ended. Nothing is owed to anybody.
    #[error("it refers to something that is over")]
    Stale,
    /// A timer came before its deadline.
    #[error("it is not due before {0}")]
    Early(Timestamp),
    /// The agent has it already.
    #[error("you have this interaction already")]
    AlreadyYours,
    /// The offer was taken, expired or was never made to this agent.
    #[error("the offer is gone")]
    OfferGone {
        /// Who has the interaction.
        owner: Option<AgentId>,
    },
    /// The interaction belongs to somebody else, or nobody.
    #[error("this interaction is not yours")]
    NotYours {
        /// Who has it.
        owner: Option<AgentId>,
    },
    /// It is closed.
    #[error("the interaction is closed")]
    Closed,
    /// The agent must be ready; to open a tab or to go on with what waits for the agent, logged in.
    #[error("you must be ready to accept, and logged in to go on")]
    NotReady,
    /// The agent has no free slot.
    #[error("you hold as many interactions as your capacity allows")]
    AtCapacity,
    /// The agent is not of the account, or not of the queue.
    #[error("you are not a member of this account or queue")]
    NotAMember,
    /// Closing needs a disposition.
    #[error("a disposition is mandatory")]
    DispositionRequired,
    /// The account does not know this disposition.
    #[error("no such disposition")]
    UnknownDisposition,
    /// It is so already.
    #[error("it is so already")]
    NothingToDo,
    /// There is no room for more tags.
    #[error("an interaction has at most {most} tags", most = Tag::MOST)]
    TooManyTags,
    /// The account has no AI agent that could answer.
    #[error("the account has no AI agent that answers customers")]
    NoAiAgent,
    /// It was based on an older version.
    #[error("the interaction changed since it was read")]
    Changed,
    /// The account does not hand interactions over in that way.
    #[error("transfers of this kind are switched off")]
    TransferOff,
    /// The customer has not written yet: there is nothing to hand over.
    #[error("the customer has not written yet")]
    NothingFromCustomer,
    /// It is being handed over already.
    #[error("it is being transferred already")]
    TransferUnderway,
    /// There is no such agent of the account or no such queue, or it is the agent who has it.
    #[error("it can't be given to this agent or queue")]
    NoSuchTarget,
    /// The account is switched off.
    #[error("the account is switched off")]
    AccountInactive,
    /// Only what is closed can be archived or opened again.
    #[error("the interaction is open")]
    StillOpen,
    /// It went on in an older one of the same person.
    #[error("it went on in another interaction")]
    MergedAway {
        /// In which.
        into: InteractionId,
    },
    /// The customer has another open interaction on the account.
    #[error("the customer has another open interaction")]
    OtherOpen {
        /// Which.
        interaction: InteractionId,
    },
    /// The 24-hour service window is over.
    #[error("the 24-hour service window is over; only an approved template may be sent")]
    WindowExpired,
}
