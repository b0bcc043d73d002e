//! Work that an upgrade needs once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::ids::JobId;

/// Where a migration stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// When its next job may begin, or when its latest one was to begin.
    pub due_at: Timestamp,
    /// The place at which that job goes on, if an earlier one was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it was found to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Migration {
    /// One whose first job is due at `at`.
    pub fn due(at: Timestamp) -> Self {
        Self { due_at: at, from: None, ended_at: None }
    }

    /// The id of the job that was due, so that it is ordered once, whoever orders it.
    pub fn job(&self) -> JobId {
        // Jobs of a retention time have the number 0, those of people random ones.
        JobId::from_ulid(Ulid::from_parts(u64::try_from(self.due_at.as_millisecond()).unwrap_or_default(), 1))
    }
}
