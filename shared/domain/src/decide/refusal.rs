//! The reasons why an event changes nothing.

use jiff::Timestamp;

use crate::ids::{AgentId, InteractionId};
use crate::interaction::Watcher;
use crate::tag::Tag;

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The event refers to something that is over: a late timer, an offer for a wait that ended. Nothing is left to
    /// do.
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
        /// The agent who has the interaction.
        owner: Option<AgentId>,
    },
    /// The interaction has another agent, or none.
    #[error("this interaction is not yours")]
    NotYours {
        /// The agent who has it.
        owner: Option<AgentId>,
    },
    /// It is closed.
    #[error("the interaction is closed")]
    Closed,
    /// The agent must be ready; to open a tab, or to go on with an interaction that waits for the agent, logged in.
    #[error("you must be ready to accept, and logged in to go on")]
    NotReady,
    /// The agent has no free slot.
    #[error("you hold as many interactions as your capacity allows")]
    AtCapacity,
    /// The agent is not on the account, or not in the queue.
    #[error("you are not a member of this account or queue")]
    NotAMember,
    /// Closing needs a disposition.
    #[error("a disposition is mandatory")]
    DispositionRequired,
    /// The account does not know this disposition.
    #[error("no such disposition")]
    UnknownDisposition,
    /// The interaction is in this state already.
    #[error("it is so already")]
    NothingToDo,
    /// There is no room for more tags.
    #[error("an interaction has at most {most} tags", most = Tag::MOST)]
    TooManyTags,
    /// The account has no AI agent that could answer.
    #[error("the account has no AI agent that answers customers")]
    NoAiAgent,
    /// The command was based on an older version.
    #[error("the interaction changed since it was read")]
    Changed,
    /// The account does not allow this kind of transfer.
    #[error("transfers of this kind are switched off")]
    TransferOff,
    /// The customer has not written yet, so there is nothing to transfer.
    #[error("the customer has not written yet")]
    NothingFromCustomer,
    /// It is being transferred already.
    #[error("it is being transferred already")]
    TransferUnderway,
    /// The account has no such agent, the queue does not exist, or the agent has it already.
    #[error("it can't be given to this agent or queue")]
    NoSuchTarget,
    /// The account is switched off.
    #[error("the account is switched off")]
    AccountInactive,
    /// Only a closed interaction can be archived or reopened.
    #[error("the interaction is open")]
    StillOpen,
    /// It went on in an older interaction of the same customer.
    #[error("it went on in another interaction")]
    MergedAway {
        /// The older interaction.
        into: InteractionId,
    },
    /// The customer has another open interaction on the account.
    #[error("the customer has another open interaction")]
    OtherOpen {
        /// The other interaction.
        interaction: InteractionId,
    },
    /// As many supervisors watch it as may at once.
    #[error("{most} supervisors watch it already", most = Watcher::MOST)]
    TooManyWatchers,
    /// The command's `Idempotency-Key` came before, with another body.
    #[error("this key came before with another body; a new command needs a new key")]
    KeyReused,
    /// The customer is blocked.
    #[error("the customer is blocked; a supervisor can end that")]
    CustomerBlocked,
    /// The 24-hour service window is over.
    #[error("the 24-hour service window is over; only an approved template may be sent")]
    WindowExpired,
}
