//! Erasures: everything of a customer. The order has cut all addresses off already, so whoever writes again is a new
//! contact. What is left goes as in a deletion, then the exports that may hold the customer, and at last the contacts
//! themselves.

use std::collections::BTreeSet;
use std::future::Future;

use domain::ids::{ContactId, InteractionId, JobId};
use domain::job::{Job, PART, Place, Task};
use domain::removal::SECOND_PASS;
use engine::ports::{PortError, World};
use jiff::{SignedDuration, Timestamp};

use crate::export;
use crate::removal::{Remains, Remover, Shelf, Thoroughly};
use crate::steps::{Then, Unit, WorkError};

/// How old an export may be whose file is still there: the bucket keeps it for a week, and it took a while.
const EXPORTS_KEPT: SignedDuration = SignedDuration::from_hours(9 * 24);

/// Where it says what was erased, for whoever restores a backup.
pub(crate) fn ledger(job: &JobId) -> String {
    format!("erasures/{job}.json")
}

/// The jobs and contacts, as far as erasures need them.
pub(crate) trait Traces: Sync {
    /// A page of all jobs, the newest first.
    fn jobs(&self, after: Option<&JobId>) -> impl Future<Output = Result<(Vec<Job>, Option<JobId>), PortError>> + Send;
    /// Asks a job to end early.
    fn cancel(&self, job: &JobId) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Deletes a contact. An absent one is a success.
    fn forget(&self, contact: &ContactId) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Notes in the bucket what is erased.
    fn note(&self, key: &str, job: &Job) -> impl Future<Output = Result<(), WorkError>> + Send;
}

/// Erases customers.
pub(crate) struct Eraser<'a, R, B, W, T> {
    pub(crate) remover: &'a Remover<R, B, W>,
    pub(crate) traces: &'a T,
}

impl<R: Remains, B: Shelf, W: World, T: Traces> Eraser<'_, R, B, W, T> {
    /// Does the unit at the job's place. An erasure is not cancelled: half of a customer helps nobody.
    pub(crate) async fn unit(&self, job: &Job, contacts: &[ContactId]) -> Result<Unit, WorkError> {
        let job = &Job { cancelled: false, ..job.clone() };
        if job.place == (Place { seek: job.place.seek.clone(), ..Place::default() }) {
            self.traces.note(&ledger(&job.id), job).await?;
        }
        let unit = self.remover.unit(job, Thoroughly { close: true, merged: true }).await?;
        let Unit { counts, place, then } = unit;
        let then = match then {
            Then::Later(at) => Then::Later(at),
            // An export may be under way that read the customer before the order.
            Then::Done(_) if place.round == 0 => {
                Then::Later(self.remover.world.now().saturating_add(SECOND_PASS).unwrap_or(Timestamp::MAX))
            }
            then @ (Then::More | Then::Stopped | Then::Failed(_)) => return Ok(Unit { counts, place, then }),
            Then::Done(file) => Then::Done(file),
        };
        self.delete_exports(job).await?;
        if matches!(then, Then::Done(_)) {
            for contact in contacts {
                self.traces.forget(contact).await?;
            }
        }
        Ok(Unit { counts, place: Place { round: 1, ..place }, then })
    }

    /// Deletes the files of exports that may hold the customer, and ends those that are under way.
    async fn delete_exports(&self, job: &Job) -> Result<(), WorkError> {
        let erased = self.erased(job).await?;
        let oldest = self.remover.world.now().saturating_sub(EXPORTS_KEPT).unwrap_or(Timestamp::MIN);
        let mut after = None;
        loop {
            let (jobs, next) = self.traces.jobs(after.as_ref()).await?;
            for other in jobs.iter().filter(|other| other.created_at >= oldest) {
                if !self.may_hold(other, job, &erased).await? {
                    continue;
                }
                if !other.state.is_final() {
                    self.traces.cancel(&other.id).await?;
                }
                for key in self.remover.shelf.list(&export::key(&other.id)).await? {
                    self.remover.shelf.delete(&key).await?;
                }
            }
            match next.filter(|_| jobs.last().is_some_and(|last| last.created_at >= oldest)) {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Whether the export `other` may have rows about what `job` erases.
    async fn may_hold(&self, other: &Job, job: &Job, erased: &BTreeSet<InteractionId>) -> Result<bool, PortError> {
        match &other.task {
            // Later ones find nothing of the customer.
            Task::ExportContacts { .. } => Ok(other.created_at <= job.created_at),
            Task::ExportInteractions { .. } => {
                for part in 0..=other.counts.total / PART as u64 {
                    if self.remover.remains.frozen(&other.id, part).await?.iter().any(|id| erased.contains(id)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            // The errors of an import name rows and columns, and nothing of a customer.
            Task::ImportContacts(_)
            | Task::Delete { .. }
            | Task::PreviewDeletion { .. }
            | Task::PreviewRetention { .. }
            | Task::FillLists
            | Task::FillDocuments
            | Task::Erase { .. } => Ok(false),
        }
    }

    async fn erased(&self, job: &Job) -> Result<BTreeSet<InteractionId>, PortError> {
        let mut erased = BTreeSet::new();
        for part in 0..=job.counts.total / PART as u64 {
            erased.extend(self.remover.remains.frozen(&job.id, part).await?);
        }
        Ok(erased)
    }
}
