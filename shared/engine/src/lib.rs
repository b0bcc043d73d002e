//! Load, decide, commit: the one way in which interactions and messages change.
//!
//! The engine owns the ports that it needs ([`ports`]). `store` implements them on DynamoDB; the module `memory`, a feature for tests, implements them in
//! memory. [`jobs`] are the bodies of the queues.

pub mod errands;
pub mod jobs;
#[cfg(feature = "memory")]
pub mod memory;
pub mod ports;
pub mod stream;

mod annotations;
mod assign;
mod gather;
mod identity;
mod interactions;
mod messages;
mod missed;
mod presence;
mod route;
mod start;
mod unify;

use domain::decide::Refusal;
use domain::ids::AccountId;

pub use assign::{Reach, Woken};
pub use interactions::{Sending, Told};
pub use messages::{Claim, Sent};
pub use missed::MISSED_TOO_MANY;
pub use presence::Released;
pub use start::{Start, Started};

/// Attempts at one change before it is given back to the caller (the queue, or the client with 503): far more than rivals that a conversation ever has.
const ATTEMPTS: u32 = 10;

/// The engine over its ports.
#[derive(Debug, Clone)]
pub struct Engine<S, D, W> {
    /// Interactions and what belongs to them.
    pub store: S,
    /// The configuration.
    pub directory: D,
    /// Clock and ids.
    pub world: W,
}

/// Why a change could not be made. Refusals are values ([`Told::Refused`]), not errors.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] ports::PortError),
    /// The account is not there (any more).
    #[error("no account {0}")]
    NoAccount(AccountId),
    /// Rivals won every attempt.
    #[error("still in conflict after {ATTEMPTS} attempts")]
    Busy,
    /// What an event is about is not there yet: it may come in a moment.
    #[error("it refers to something that is not there yet")]
    NotYet,
    /// What a command refers to is not there.
    #[error("not found")]
    NotFound,
}

/// Whether a refusal leaves nothing to do: the caller treats it as done.
pub fn is_settled(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Stale | Refusal::AlreadyYours | Refusal::NothingToDo)
}
