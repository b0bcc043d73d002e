//! The retention time: once a day it orders the deletion of what was closed longer ago.

use std::collections::BTreeMap;
use std::future::Future;

use domain::agent::Role;
use domain::ids::{AccountId, JobId};
use domain::job::{Job, Orderer, Place, Task};
use domain::retention::Retention;
use domain::seek::{Matching, Seek};
use engine::jobs::JobStep;
use engine::ports::{Committed, PortError, World};
use jiff::Timestamp;
use ulid::Ulid;

use crate::steps::Jobs;

/// Who orders, as jobs tell it.
pub(crate) const RETENTION: &str = "retention";

/// The milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// What the retention time needs to know.
pub(crate) trait Settings: Sync {
    /// The retention time.
    fn retention(&self) -> impl Future<Output = Result<Retention, PortError>> + Send;
    /// All accounts, those that were deleted too.
    fn all_accounts(&self) -> impl Future<Output = Result<Vec<AccountId>, PortError>> + Send;
    /// Writes a new job.
    fn add(&self, job: &Job) -> impl Future<Output = Result<Committed, PortError>> + Send;
}

/// Orders what the retention time wants.
pub(crate) struct Keeping<J, S, W> {
    pub(crate) jobs: J,
    pub(crate) settings: S,
    pub(crate) world: W,
}

impl<J: Jobs, S: Settings, W: World> Keeping<J, S, W> {
    /// Orders the day's deletion, unless it was ordered or nothing is to be deleted. Its id is the day's, so that it
    /// is ordered once, whoever sweeps. True if it was ordered now.
    pub(crate) async fn order(&self) -> Result<bool, PortError> {
        let now = self.world.now();
        let id = of_day(now);
        if self.jobs.job(&id).await?.is_some() {
            return Ok(false);
        }
        let retention = self.settings.retention().await?;
        if retention == Retention::default() {
            return Ok(false);
        }
        let before: BTreeMap<AccountId, Timestamp> = retention.cutoffs(self.settings.all_accounts().await?, now);
        if before.is_empty() {
            return Ok(false);
        }
        let by = Orderer { who: RETENTION.to_owned(), role: Role::Owner };
        let mut job = Job::new(id, Task::Delete { close: false }, by, 0, now);
        job.place = Place { seek: Some(Seek::of(Matching::Closed { before })), ..Place::default() };
        if self.settings.add(&job).await? != Committed::Done {
            return Ok(false);
        }
        tracing::info!(event = "retention.ordered", job = %job.id);
        // If it is lost, the next sweeps find the job.
        self.jobs.send(&JobStep { job: job.id, turn: job.turn }, 0).await?;
        Ok(true)
    }
}

/// The id of the job of a day (UTC).
fn of_day(now: Timestamp) -> JobId {
    let begins = now.as_millisecond().max(0) / DAY * DAY;
    JobId::from_ulid(Ulid::from_parts(u64::try_from(begins).unwrap_or_default(), 0))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use engine::memory::VirtualWorld;
    use jiff::SignedDuration;

    use super::*;

    struct Fakes {
        world: VirtualWorld,
        retention: Retention,
        jobs: Mutex<Vec<Job>>,
        sent: Mutex<u32>,
    }

    fn account(number: u128) -> AccountId {
        AccountId::from_ulid(Ulid(number))
    }

    impl Jobs for &Fakes {
        async fn job(&self, id: &JobId) -> Result<Option<Job>, PortError> {
            Ok(self.jobs.lock().unwrap().iter().find(|job| job.id == *id).cloned())
        }

        async fn save(&self, _: &Job) -> Result<Committed, PortError> {
            Ok(Committed::Conflict)
        }

        async fn send(&self, _: &JobStep, _: u32) -> Result<(), PortError> {
            *self.sent.lock().unwrap() += 1;
            Ok(())
        }

        async fn unfinished(&self) -> Result<Vec<JobId>, PortError> {
            Ok(Vec::new())
        }
    }

    impl Settings for &Fakes {
        async fn retention(&self) -> Result<Retention, PortError> {
            Ok(self.retention.clone())
        }

        async fn all_accounts(&self) -> Result<Vec<AccountId>, PortError> {
            Ok(vec![account(1), account(2)])
        }

        async fn add(&self, job: &Job) -> Result<Committed, PortError> {
            self.jobs.lock().unwrap().push(job.clone());
            Ok(Committed::Done)
        }
    }

    #[tokio::test]
    async fn a_deletion_is_ordered_once_a_day_and_none_where_everything_is_kept() {
        let now: Timestamp = "2026-03-31T23:50:00Z".parse().unwrap();
        let of = |retention| Fakes { world: VirtualWorld::new(now, 1), retention, jobs: Mutex::default(), sent: Mutex::default() };
        let ordered = async |fakes: &Fakes| Keeping { jobs: fakes, settings: fakes, world: fakes.world.clone() }.order().await.unwrap();
        let fakes = of(Retention { days: Some(30), accounts: [(account(1), None)].into() });
        assert!(ordered(&fakes).await);
        assert!(!ordered(&fakes).await, "again on the same day");
        fakes.world.advance(SignedDuration::from_mins(10));
        assert!(ordered(&fakes).await, "the next day");
        let jobs = fakes.jobs.lock().unwrap().clone();
        let matching = jobs[0].place.seek.clone().unwrap().matching;
        assert_eq!(matching, Some(Matching::Closed { before: [(account(2), "2026-03-01T23:50:00Z".parse().unwrap())].into() }));
        assert_eq!((jobs.len(), *fakes.sent.lock().unwrap(), jobs[0].by.who.as_str()), (2, 2, RETENTION));
        for off in [Retention::default(), Retention { days: None, accounts: [(account(1), None)].into() }] {
            assert!(!ordered(&of(off)).await);
        }
    }
}
