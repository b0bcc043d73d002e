//! Jobs: work of supervisors that takes longer than a request.
//!
//! A job goes on in steps of about a minute. Whoever works on it holds its lease, and after each unit of work its
//! place is saved on condition that nobody else has saved it. A unit may be done twice and changes nothing then.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::Role;
use crate::ids::{ContactId, JobId};
use crate::import::Import;
use crate::retention::Retention;
use crate::seek::Seek;

/// How long a lease is held without being saved again: longer than a function lives, so that a lease that has run
/// out belongs to nobody who is still at work.
pub const LEASE: SignedDuration = SignedDuration::from_secs(180);

/// How often in a row a job may fail before it is given up. The waits grow to ten minutes, so that is an outage of
/// two hours.
pub const MOST_FAILURES: u32 = 20;

/// How long a job can be looked at: a quarter, as long as alerts.
pub const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A job is taken for forgotten when nobody has touched it for this long: its message was lost. Two leases, so that
/// somebody whose clock is late is not disturbed.
pub const FORGOTTEN: SignedDuration = SignedDuration::from_secs(360);

/// How long the preview of a deletion can be ordered: as long as a person looks at it, and no longer, since the
/// interactions go on.
pub const PREVIEW_KEPT: SignedDuration = SignedDuration::from_hours(1);

/// The most ids of one part of a job. An id has 30 bytes, so a part stays below the 400 KB of an item.
pub const PART: usize = 5_000;

/// Work that takes longer than a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id, which also tells when it was ordered.
    pub id: JobId,
    /// What it does.
    pub task: Task,
    /// The person who ordered it.
    pub by: Orderer,
    /// Where it stands.
    pub state: State,
    /// What is done of it.
    pub counts: Counts,
    /// Where the next unit begins.
    #[serde(default)]
    pub place: Place,
    /// Whether somebody asked to end it early.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Whoever works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The number of its next message. A message with another number is a repetition.
    #[serde(default)]
    pub turn: u64,
    /// It goes on at this time, not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<Timestamp>,
    /// How often in a row it has failed.
    #[serde(default)]
    pub failures: u32,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it was saved last.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it failed, in words for the person who ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The file that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// The version, which grows with every save.
    pub version: u64,
}

/// What a job does. Its interactions are frozen in parts of [`PART`] ids: with its order, or by itself first
/// ([`Place::seek`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Writes interactions as CSV.
    ExportInteractions {
        /// Whether cells that a spreadsheet takes for a formula stay as they are.
        raw: bool,
    },
    /// Deletes interactions.
    Delete {
        /// Whether open ones are closed first. Otherwise they are left out.
        close: bool,
    },
    /// Makes contacts of a CSV file.
    ImportContacts(Box<Import>),
    /// Writes all contacts as CSV.
    ExportContacts {
        /// The same.
        raw: bool,
    },
    /// Finds what a deletion would delete, and freezes it.
    PreviewDeletion {
        /// The id of the deletion, under which the ids are frozen.
        token: JobId,
    },
    /// Counts what a retention time would delete.
    PreviewRetention {
        /// The retention time.
        retention: Retention,
    },
    /// Erases a customer: all interactions, exports that may hold them, and the contacts.
    Erase {
        /// The customer's contacts.
        contacts: Vec<ContactId>,
    },
    /// Gives interactions of a version before the lists the rows by which lists and searches find them.
    FillLists,
    /// Gives interactions that closed in a version before the documents those by which searches for a text leave them
    /// out.
    FillDocuments,
}

/// The person who ordered a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orderer {
    /// The agent's id, or the `sub` of the token if there is no agent record.
    pub who: String,
    /// The role that the person had.
    pub role: Role,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobState))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its first step.
    Queued,
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It was given up; `problem` says why.
    Failed,
    /// Somebody ended it early. What it had done stays done.
    Cancelled,
}

impl State {
    /// Whether the job has ended.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Done | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobCounts))]
pub struct Counts {
    /// What there is to do, as far as it is known.
    pub total: u64,
    /// What is done.
    pub done: u64,
    /// What was left out, because it no longer exists or may not be touched.
    pub skipped: u64,
}

/// The place in a job's work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// How many of the frozen ids are behind it.
    pub index: u64,
    /// Where a walk through a table goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The pass: 0, then 1 for what came late.
    #[serde(skip_serializing_if = "is_zero")]
    pub round: u32,
    /// Whether agents' feeds may show what is deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_feeds: bool,
    /// The upload under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// The search for its interactions, of a job that was ordered for all that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seek: Option<Seek>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A file that is uploaded in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The bucket's id of the upload.
    pub id: String,
    /// The tags of the parts that are there, in order.
    pub tags: Vec<String>,
    /// The bytes of these parts.
    pub size: u64,
    /// The object with what is too short for a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
}

/// The right to work on a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whoever has it: one delivery of one message.
    pub holder: String,
    /// Until when, unless it is saved again.
    pub until: Timestamp,
}

/// A job's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its key in the bucket.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}

impl Job {
    /// A job that begins.
    pub fn new(id: JobId, task: Task, by: Orderer, total: u64, now: Timestamp) -> Self {
        Self {
            id,
            task,
            by,
            state: State::Queued,
            counts: Counts { total, ..Counts::default() },
            place: Place::default(),
            cancelled: false,
            lease: None,
            turn: 0,
            resumes_at: None,
            failures: 0,
            created_at: now,
            updated_at: now,
            finished_at: None,
            problem: None,
            file: None,
            version: 1,
        }
    }

    /// Whether somebody works on it.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until > now)
    }

    /// Whether its message must have been lost: it should go on, and nobody has touched it for long.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        let due = self.resumes_at.map_or(self.updated_at, |at| at.max(self.updated_at));
        !self.state.is_final() && !self.is_held(now) && now.duration_since(due) > FORGOTTEN
    }

    /// Ends it.
    pub fn end(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
        self.lease = None;
        self.resumes_at = None;
        if let Some(seek) = &mut self.place.seek {
            // It may name a customer.
            seek.matching = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Filter, Span};
    use crate::seek::Matching;
    use ulid::Ulid;

    fn job() -> Job {
        let by = Orderer { who: "agt_1".to_owned(), role: Role::Supervisor };
        Job::new(JobId::from_ulid(Ulid::from_parts(1, 1)), Task::ExportInteractions { raw: false }, by, 3, Timestamp::UNIX_EPOCH)
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_job_is_forgotten_when_nobody_has_touched_it_since_it_was_due() {
        let forgotten = FORGOTTEN.as_secs() + 1;
        assert!(!job().is_forgotten(after(forgotten - 1)) && job().is_forgotten(after(forgotten)));
        let waiting = Job { resumes_at: Some(after(900)), ..job() };
        assert!(!waiting.is_forgotten(after(900 + forgotten - 1)) && waiting.is_forgotten(after(900 + forgotten)));
        let held = Job { lease: Some(Lease { holder: "a".to_owned(), until: after(forgotten + 1) }), ..job() };
        assert!(!held.is_forgotten(after(forgotten)));
        let mut ended = job();
        ended.end(State::Done, after(1));
        assert!(!ended.is_forgotten(after(forgotten)));
    }

    #[test]
    fn a_job_that_has_ended_forgets_what_it_looked_for() {
        let matching = Matching::List { account: None, filter: Filter::default(), span: Span::default() };
        let mut seeking = Job { place: Place { seek: Some(Seek::of(matching)), ..Place::default() }, ..job() };
        assert_eq!(serde_json::from_str::<Job>(&serde_json::to_string(&seeking).unwrap()).unwrap(), seeking);
        seeking.end(State::Failed, after(1));
        assert_eq!(seeking.place.seek.unwrap().matching, None);
    }

    #[test]
    fn a_job_as_the_first_version_wrote_it_is_read() {
        let stored = r#"{"id": "job_00000000010000000000000001", "task": {"kind": "export_interactions", "raw": false},
            "by": {"who": "agt_1", "role": "supervisor"}, "state": "queued", "counts": {"total": 3, "done": 0, "skipped": 0},
            "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z", "version": 1}"#;
        assert_eq!(serde_json::from_str::<Job>(stored).unwrap(), job());
    }
}
