//! Jobs of supervisors, and the ids that are frozen for them.

use std::collections::HashMap;

use audit::Entry;
use domain::ids::{InteractionId, JobId};
use domain::job::{self, Job};
use engine::ports::{Committed, PortError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codec::{Item, PortResult, data_item, failed, from_data, item, n, s, text, to_attribute, undecodable};
use crate::commit::committed;
use crate::interactions::{Interactions, expires};
use crate::keys;
use crate::table::Put;
use crate::transaction::Expression;

/// How many jobs that have not ended are looked at in one sweep. A sweep comes every few minutes.
const SWEPT: i32 = 1_000;

/// How often a request to cancel is tried while the job saves its place.
const CANCELS: u32 = 10;

/// The count of a selection that was frozen before anything is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// How many ids were frozen.
    pub total: u64,
    /// Until when it can be ordered.
    pub expires_at: Timestamp,
}

impl Interactions {
    /// Keeps what a preview has counted, under the id of the job that it may become.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put_preview(&self, id: &JobId, preview: &Preview) -> PortResult<()> {
        let mut stored = data_item(keys::preview(id), preview)?;
        stored.insert("expires_at".to_owned(), n(preview.expires_at.as_second()));
        self.table.put(stored).await
    }

    /// What a preview has counted.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn preview(&self, id: &JobId) -> PortResult<Option<Preview>> {
        self.table.get(keys::preview(id)).await?.as_ref().map(from_data).transpose()
    }

    /// Writes a new job with its entry of the audit trail, unless it changes nothing and hands nothing out. Its
    /// message is sent afterwards; if it is not, the sweep finds the job.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn add_job(&self, job: &Job, entry: Option<&Entry>) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        transaction.put_new(job_item(job)?, Committed::AlreadyDone);
        transaction.put_new(item(keys::unfinished(&job.id)), Committed::AlreadyDone);
        transaction.audit(&self.config_table, entry)?;
        committed(transaction).await
    }

    /// A job.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn job(&self, id: &JobId) -> PortResult<Option<Job>> {
        self.table.get(keys::job(id)).await?.as_ref().map(from_data).transpose()
    }

    /// A page of all jobs, the newest first, from behind `after` on, and the `after` of the next page.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn jobs(&self, after: Option<&JobId>, limit: i32) -> PortResult<(Vec<Job>, Option<JobId>)> {
        let place = |id: &JobId| HashMap::from([("pk".to_owned(), s(keys::JOBS)), ("sk".to_owned(), s(id.as_str()))]);
        let query = self.table.query().scan_index_forward(false).limit(limit);
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s(keys::JOBS));
        let answer = query.set_exclusive_start_key(after.map(place)).send().await.map_err(failed("Query"))?;
        let jobs: Vec<Job> = answer.items.unwrap_or_default().iter().map(from_data).collect::<PortResult<_>>()?;
        let next = answer.last_evaluated_key.and(jobs.last().map(|last| last.id.clone()));
        Ok((jobs, next))
    }

    /// Replaces the version before. It is a conflict if somebody saved the job meanwhile.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn save_job(&self, job: &Job) -> PortResult<Committed> {
        let unchanged = Expression::version(job.version - 1);
        if job.state.is_final() {
            let mut transaction = self.table.transaction();
            transaction.put(job_item(job)?, Some(unchanged), Committed::Conflict);
            transaction.delete(keys::unfinished(&job.id), None, Committed::Conflict);
            return committed(transaction).await;
        }
        // The client repeats a write whose answer it misses, and may meet itself.
        let own = |there: &Item| from_data::<Job>(there).is_ok_and(|there| there == *job);
        Ok(match self.table.put_if(job_item(job)?, unchanged).await? {
            Put::Done => Committed::Done,
            Put::Lost(there) if there.as_ref().is_some_and(own) => Committed::Done,
            Put::Lost(_) | Put::Rival => Committed::Conflict,
        })
    }

    /// Asks a job to end early, unless it has ended. `None`: there is no such job.
    ///
    /// # Errors
    /// The table can't be read or written, or the job saves its place at every attempt.
    pub async fn cancel_job(&self, id: &JobId) -> PortResult<Option<Job>> {
        for _ in 0..CANCELS {
            let Some(job) = self.job(id).await? else { return Ok(None) };
            if job.state.is_final() || job.cancelled {
                return Ok(Some(job));
            }
            let cancelled = Job { cancelled: true, version: job.version + 1, ..job };
            if self.save_job(&cancelled).await? == Committed::Done {
                return Ok(Some(cancelled));
            }
        }
        Err(PortError { operation: "cancel", reason: format!("still in conflict after {CANCELS} attempts") })
    }

    /// The jobs that have not ended, the oldest first.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn unfinished_jobs(&self) -> PortResult<Vec<JobId>> {
        // The sweep comes again, and reads each job that it finds as it is.
        let query = self.table.query().consistent_read(false).limit(SWEPT).key_condition_expression("pk = :pk");
        let query = query.expression_attribute_values(":pk", s(keys::UNFINISHED));
        let items = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        Ok(items.iter().filter_map(|item| text(item, "sk")?.parse().ok()).collect())
    }

    /// Freezes the ids of a job that is about to be written. Twice changes nothing.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn freeze(&self, id: &JobId, ids: &[InteractionId], now: Timestamp) -> PortResult<()> {
        for (number, part) in (0..).zip(ids.chunks(job::PART)) {
            self.freeze_part(id, number, part, now).await?;
        }
        Ok(())
    }

    /// Freezes one part of a job's ids, counted from 0. It replaces the part that is there.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn freeze_part(&self, id: &JobId, number: u64, ids: &[InteractionId], now: Timestamp) -> PortResult<()> {
        let mut frozen = item(keys::job_part(id, number));
        frozen.insert("ids".to_owned(), to_attribute(&ids)?);
        frozen.insert("expires_at".to_owned(), expires(now, job::KEPT));
        self.table.put(frozen).await
    }

    /// A part of a job's ids, counted from 0. A part behind the last one is empty.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn frozen(&self, id: &JobId, part: u64) -> PortResult<Vec<InteractionId>> {
        let Some(frozen) = self.table.get(keys::job_part(id, part)).await? else { return Ok(Vec::new()) };
        let ids = frozen.get("ids").and_then(|ids| ids.as_l().ok()).ok_or_else(|| undecodable("a job's part"))?;
        let ids = ids.iter().map(|id| id.as_s().ok()?.parse().ok());
        ids.collect::<Option<_>>().ok_or_else(|| undecodable("a job's part"))
    }
}

pub(crate) fn job_item(job: &Job) -> PortResult<Item> {
    let mut stored = data_item(keys::job(&job.id), job)?;
    stored.insert("version".to_owned(), n(job.version));
    stored.insert("expires_at".to_owned(), expires(job.created_at, job::KEPT));
    Ok(stored)
}
