//! The engine: it loads, decides and commits every change of an interaction or a message.
//!
//! The engine owns the ports that it needs ([`ports`]). `store` implements them on DynamoDB. The module `memory`, a
//! feature for tests, implements them in memory. [`jobs`] are the bodies of the queues.

pub mod errands;
pub mod jobs;
#[cfg(feature = "memory")]
pub mod memory;
pub mod ports;
pub mod reports;
pub mod stream;

mod annotations;
mod assign;
mod claim;
mod elsewhere;
mod gather;
mod identity;
mod interactions;
mod messages;
mod missed;
mod names;
mod presence;
mod rehearse;
mod route;
mod start;
mod unify;
mod watch;

use domain::decide::Refusal;
use domain::ids::AccountId;

pub use assign::{Reach, Swept, Woken};
pub use interactions::{Basis, Sending, Told};
pub use messages::{Claim, Sent};
pub use missed::MISSED_TOO_MANY;
pub use names::names;
pub use presence::Released;
pub use rehearse::{Customer, Met, Trial};
pub use start::{Start, Started};
pub use watch::{followers, watching};

/// Attempts at one change before the caller gets it back (the queue, or the client with 503). A conversation never
/// has that many rivals.
const ATTEMPTS: u32 = 10;

/// The engine with its ports.
#[derive(Debug, Clone)]
pub struct Engine<S, D, W> {
    /// The store of interactions and everything that belongs to them.
    pub store: S,
    /// The configuration.
    pub directory: D,
    /// The clock and the source of ids.
    pub world: W,
}

impl<S: ports::Store, D: ports::Directory, W: ports::World> Engine<S, D, W> {
    /// Writes a change of an interaction, with what it tells triggers. All changes go through here.
    async fn commit(&self, commit: ports::Commit) -> Result<ports::Committed, ports::PortError> {
        let triggers = self.directory.triggers().await?;
        self.store.commit(commit.telling(&triggers, self.world.now())).await
    }
}

/// The reason why a change could not be made. Refusals are values ([`Told::Refused`]), not errors.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] ports::PortError),
    /// The account does not exist, or no longer exists.
    #[error("no account {0}")]
    NoAccount(AccountId),
    /// Rivals won every attempt.
    #[error("still in conflict after {ATTEMPTS} attempts")]
    Busy,
    /// The subject of an event is not there yet. It may arrive in a moment.
    #[error("it refers to something that is not there yet")]
    NotYet,
    /// The subject of a command does not exist.
    #[error("not found")]
    NotFound,
}

/// Whether a refusal leaves nothing to do, so that the caller treats the event as done.
pub fn is_settled(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Stale | Refusal::AlreadyYours | Refusal::NothingToDo)
}
