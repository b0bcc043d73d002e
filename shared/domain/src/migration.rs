//! Work that an upgrade needs once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::ids::JobId;
use crate::job::Task;

/// What an upgrade fills. Each has one job, and the next one begins when the one before is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upgrade {
    /// Rows of interactions of a version before the lists.
    Lists,
    /// Documents of interactions that closed in a version before the documents.
    Documents,
}

impl Upgrade {
    /// All, in their order.
    pub const ALL: [Self; 2] = [Self::Lists, Self::Documents];

    /// Its name in the table and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lists => "lists",
            Self::Documents => "documents",
        }
    }

    /// The work of its job.
    pub fn task(self) -> Task {
        match self {
            Self::Lists => Task::FillLists,
            Self::Documents => Task::FillDocuments,
        }
    }

    /// Tells its jobs from other jobs of the same millisecond. Those of a retention time have the number 0, those of
    /// people random ones.
    fn number(self) -> u128 {
        match self {
            Self::Lists => 1,
            Self::Documents => 2,
        }
    }
}

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
    pub fn job(&self, of: Upgrade) -> JobId {
        JobId::from_ulid(Ulid::from_parts(u64::try_from(self.due_at.as_millisecond()).unwrap_or_default(), of.number()))
    }
}
