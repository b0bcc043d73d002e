//! The migration to the lists: interactions of a version before them get the rows by which lists and searches find
//! them. The sweep orders one job for it, which reads the table once. Until it is done, an interaction without a row
//! joins the lists with its next change.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::agent::Role;
use domain::interaction::Interaction;
use domain::job::{Job, Orderer, Place, State, Task};
use domain::migration::Migration;
use engine::jobs::JobStep;
use engine::ports::{Committed, PortError, World};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use store::Unlisted;

use crate::steps::{Jobs, Then, Unit, WorkError};

/// Who orders, as jobs tell it.
pub(crate) const UPGRADE: &str = "upgrade";

/// The job begins so long after the first sweep that knows of it. CloudFormation replaces the functions one by one,
/// which takes minutes, and one of the version before could still write interactions without rows.
const BEGINS_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// A job that was given up or cancelled is ordered again after this. It goes on at its place.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// How long a unit works before its place is saved: a killed one repeats no more.
const FILLS: SignedDuration = SignedDuration::from_secs(10);

/// A part of the table is a megabyte: 128 read units, of one partition in the main. Eight a second are a third of the
/// 3,000 that a partition has, so that messages go on. 12 GB, a million interactions, then take half an hour.
const BETWEEN_PARTS: Duration = Duration::from_millis(125);

/// How many interactions get their rows at once, with a rest after that: 100 a second, each for 3 to 6 write units
/// with its rows in the indexes. That is half of the 1,000 that a partition has. A million takes three hours.
const AT_ONCE: usize = 10;

/// The rest after these.
const BETWEEN_WRITES: Duration = Duration::from_millis(100);

/// The table of interactions.
pub(crate) trait Table: Sync {
    /// A part of the table, from the beginning or from the `next` of another part on.
    fn unlisted(&self, after: Option<&str>) -> impl Future<Output = Result<Unlisted, PortError>> + Send;
    /// Gives an interaction its row, unless it has one or was changed since.
    fn list_late(&self, interaction: &Interaction) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Does nothing for a while.
    fn rest(&self, how_long: Duration) -> impl Future<Output = ()> + Send;
}

/// What is known of the migration.
pub(crate) trait Progress: Sync {
    /// Where it stands, with a version.
    fn migration(&self) -> impl Future<Output = Result<Option<(Migration, u64)>, PortError>> + Send;
    /// Replaces the version before. False if somebody else has.
    fn note(&self, migration: &Migration, before: u64) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Writes a new job.
    fn add(&self, job: &Job) -> impl Future<Output = Result<Committed, PortError>> + Send;
}

/// Does the job.
pub(crate) struct Filler<T, W> {
    pub(crate) table: T,
    pub(crate) world: W,
}

impl<T: Table, W: World> Filler<T, W> {
    /// Does the unit at the job's place.
    pub(crate) async fn unit(&self, job: &Job) -> Result<Unit, WorkError> {
        let Job { mut counts, mut place, .. } = job.clone();
        if job.cancelled {
            return Ok(Unit { counts, place, then: Then::Stopped });
        }
        let until = self.world.now().saturating_add(FILLS).unwrap_or(Timestamp::MAX);
        loop {
            let part = self.table.unlisted(place.after.as_deref()).await?;
            for id in &part.unreadable {
                // Nothing else can read it either.
                tracing::warn!(event = "lists.unreadable", interaction = %id);
                counts.skipped += 1;
            }
            for interactions in part.interactions.chunks(AT_ONCE) {
                let listed = try_join_all(interactions.iter().map(|interaction| self.table.list_late(interaction))).await?;
                counts.done += listed.into_iter().map(u64::from).sum::<u64>();
                self.table.rest(BETWEEN_WRITES).await;
            }
            counts.total = counts.done + counts.skipped;
            place.after = part.next;
            if place.after.is_none() {
                return Ok(Unit { counts, place, then: Then::Done(None) });
            }
            self.table.rest(BETWEEN_PARTS).await;
            if self.world.now() >= until {
                return Ok(Unit { counts, place, then: Then::More });
            }
        }
    }
}

/// Orders the job.
pub(crate) struct Filling<J, P, W> {
    pub(crate) jobs: J,
    pub(crate) progress: P,
    pub(crate) world: W,
    /// Whether this process knows that the migration is done. From then on a sweep asks nothing.
    pub(crate) ended: AtomicBool,
}

impl<J: Jobs, P: Progress, W: World> Filling<J, P, W> {
    /// Orders the job, unless it is under way, done, or not due. True if it was ordered now.
    pub(crate) async fn order(&self) -> Result<bool, PortError> {
        if self.ended.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let now = self.world.now();
        let in_time = |wait| now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let Some((migration, version)) = self.progress.migration().await? else {
            self.progress.note(&Migration::due(in_time(BEGINS_AFTER)), 0).await?;
            return Ok(false);
        };
        if migration.ended_at.is_some() {
            self.ended.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        if now < migration.due_at {
            return Ok(false);
        }
        let Some(job) = self.jobs.job(&migration.job()).await? else {
            let by = Orderer { who: UPGRADE.to_owned(), role: Role::Owner };
            let mut job = Job::new(migration.job(), Task::FillLists, by, 0, now);
            job.place = Place { after: migration.from.clone(), ..Place::default() };
            if self.progress.add(&job).await? != Committed::Done {
                return Ok(false);
            }
            tracing::info!(event = "lists.filling", job = %job.id);
            // If it is lost, the next sweeps find the job.
            self.jobs.send(&JobStep { job: job.id, turn: job.turn }, 0).await?;
            return Ok(true);
        };
        let next = match job.state {
            State::Queued | State::Running => return Ok(false),
            State::Done => Migration { ended_at: Some(now), ..migration },
            State::Failed | State::Cancelled => Migration { due_at: in_time(AGAIN_AFTER), from: job.place.after, ..migration },
        };
        self.progress.note(&next, version).await?;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Mutex;

    use domain::fixtures;
    use domain::ids::{InteractionId, JobId};
    use domain::interaction::Status;
    use domain::job::{KEPT, MOST_FAILURES};
    use engine::memory::VirtualWorld;
    use ulid::Ulid;

    use super::*;
    use crate::steps::{Ended, Steps, Work};

    /// How many interactions a part of the table has here.
    const PART: usize = 3;

    /// A table with a job's items beside it. The call with the number `fails_at` fails: before it is done, or after.
    struct Fakes {
        world: VirtualWorld,
        /// The interactions, and whether each has a row.
        table: Mutex<BTreeMap<InteractionId, (Interaction, bool)>>,
        migration: Mutex<Option<(Migration, u64)>>,
        jobs: Mutex<BTreeMap<JobId, Job>>,
        /// The messages that were not lost.
        queue: Mutex<Vec<JobStep>>,
        calls: Mutex<u32>,
        fails_at: Option<(u32, bool)>,
        /// An interaction that somebody changes between its read and its write.
        changing: Option<InteractionId>,
        broken: bool,
        /// How many times slower than its rests the table is.
        slow: i32,
    }

    fn interaction(number: u128) -> Interaction {
        Interaction {
            id: InteractionId::from_ulid(Ulid::from_parts(1, number)),
            ..fixtures::interaction(Status::Closed, Timestamp::UNIX_EPOCH)
        }
    }

    impl Fakes {
        /// Every fourth of `count` interactions has a row already.
        fn new(count: u128) -> Self {
            let all = (0..count).map(interaction).zip((0..count).map(|number| number % 4 == 3));
            Self {
                world: VirtualWorld::new("2026-12-01T00:00:00Z".parse().unwrap(), 1),
                table: Mutex::new(all.map(|(interaction, listed)| (interaction.id.clone(), (interaction, listed))).collect()),
                migration: Mutex::default(),
                jobs: Mutex::default(),
                queue: Mutex::default(),
                calls: Mutex::default(),
                fails_at: None,
                changing: None,
                broken: false,
                slow: 1,
            }
        }

        fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T, PortError> {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            let broken = || PortError { operation: "test", reason: "broken".to_owned() };
            match self.fails_at {
                Some((at, done)) if at == *calls => {
                    if done {
                        call();
                    }
                    Err(broken())
                }
                _ => Ok(call()),
            }
        }

        fn filling(&self) -> Filling<&Self, &Self, VirtualWorld> {
            Filling { jobs: self, progress: self, world: self.world.clone(), ended: AtomicBool::new(false) }
        }

        fn steps(&self) -> Steps<&Self, Filler<&Self, VirtualWorld>, VirtualWorld> {
            Steps { jobs: self, work: Filler { table: self, world: self.world.clone() }, world: self.world.clone() }
        }

        /// A sweep every five minutes, and the messages that come until the next one, for so many hours.
        async fn play(&self, hours: i64) {
            let filling = self.filling();
            let mut delivery = 0;
            for _ in 0..hours * 12 {
                drop(self.steps().sweep().await);
                drop(filling.order().await);
                for _ in 0..30 {
                    let Some(step) = self.queue.lock().unwrap().pop() else { break };
                    delivery += 1;
                    match self.steps().step(&step, &delivery.to_string()).await {
                        Ok(Ended::Wait(_)) | Err(_) => {
                            self.queue.lock().unwrap().push(step);
                            break;
                        }
                        Ok(Ended::Nothing | Ended::SentOn | Ended::Final(_)) => {}
                    }
                }
                self.world.advance(SignedDuration::from_mins(5));
            }
        }

        fn without_row(&self) -> BTreeSet<InteractionId> {
            let table = self.table.lock().unwrap();
            table.iter().filter(|(_, (_, listed))| !listed).map(|(id, _)| id.clone()).collect()
        }

        fn ended(&self) -> bool {
            self.migration.lock().unwrap().as_ref().is_some_and(|(migration, _)| migration.ended_at.is_some())
        }
    }

    impl Work for Filler<&Fakes, VirtualWorld> {
        async fn unit(&self, job: &Job) -> Result<Unit, WorkError> {
            Filler::unit(self, job).await
        }
    }

    impl Table for &Fakes {
        async fn unlisted(&self, after: Option<&str>) -> Result<Unlisted, PortError> {
            if self.broken {
                return Err(PortError { operation: "test", reason: "broken".to_owned() });
            }
            self.call(|| {
                let table = self.table.lock().unwrap();
                let part: Vec<_> = table.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after)).take(PART).collect();
                let next = part.last().map(|(id, _)| id.to_string()).filter(|_| part.len() == PART);
                let unlisted = part.into_iter().filter(|(_, (_, listed))| !listed).map(|(_, (interaction, _))| interaction.clone());
                Unlisted { interactions: unlisted.collect(), unreadable: Vec::new(), next }
            })
        }

        async fn list_late(&self, interaction: &Interaction) -> Result<bool, PortError> {
            self.call(|| {
                let mut table = self.table.lock().unwrap();
                let Some((there, listed)) = table.get_mut(&interaction.id) else { return false };
                if self.changing.as_ref() == Some(&interaction.id) {
                    (there.version, *listed) = (there.version + 1, true);
                }
                let unchanged = !*listed && there.version == interaction.version;
                *listed |= unchanged;
                unchanged
            })
        }

        async fn rest(&self, how_long: Duration) {
            self.world.advance(SignedDuration::try_from(how_long).unwrap() * self.slow);
        }
    }

    impl Progress for &Fakes {
        async fn migration(&self) -> Result<Option<(Migration, u64)>, PortError> {
            self.call(|| self.migration.lock().unwrap().clone())
        }

        async fn note(&self, migration: &Migration, before: u64) -> Result<bool, PortError> {
            self.call(|| {
                let mut there = self.migration.lock().unwrap();
                let unchanged = there.as_ref().map_or(0, |(_, version)| *version) == before;
                if unchanged {
                    *there = Some((migration.clone(), before + 1));
                }
                unchanged
            })
        }

        async fn add(&self, job: &Job) -> Result<Committed, PortError> {
            self.call(|| {
                let mut jobs = self.jobs.lock().unwrap();
                if jobs.contains_key(&job.id) {
                    return Committed::AlreadyDone;
                }
                jobs.insert(job.id.clone(), job.clone());
                Committed::Done
            })
        }
    }

    impl Jobs for &Fakes {
        async fn job(&self, id: &JobId) -> Result<Option<Job>, PortError> {
            self.call(|| self.jobs.lock().unwrap().get(id).cloned())
        }

        async fn save(&self, job: &Job) -> Result<Committed, PortError> {
            self.call(|| {
                let mut jobs = self.jobs.lock().unwrap();
                if jobs[&job.id].version + 1 != job.version {
                    return Committed::Conflict;
                }
                jobs.insert(job.id.clone(), job.clone());
                Committed::Done
            })
        }

        async fn send(&self, step: &JobStep, _: u32) -> Result<(), PortError> {
            self.call(|| self.queue.lock().unwrap().push(step.clone()))
        }

        async fn unfinished(&self) -> Result<Vec<JobId>, PortError> {
            self.call(|| self.jobs.lock().unwrap().values().filter(|job| !job.state.is_final()).map(|job| job.id.clone()).collect())
        }
    }

    #[tokio::test]
    async fn an_hour_after_the_upgrade_one_job_gives_rows_to_all_and_then_nothing_is_asked_any_more() {
        let fakes = Fakes::new(400);
        fakes.play(1).await;
        assert_eq!((fakes.without_row().len(), fakes.jobs.lock().unwrap().len()), (300, 0), "functions of the version before write on");
        fakes.play(2).await;
        assert_eq!((fakes.without_row().len(), fakes.ended()), (0, true));
        let jobs: Vec<Job> = fakes.jobs.lock().unwrap().values().cloned().collect();
        assert_eq!((jobs.len(), jobs[0].counts.done, jobs[0].by.who.as_str()), (1, 300, UPGRADE));
        let filling = fakes.filling();
        assert!(!filling.order().await.unwrap());
        let calls = *fakes.calls.lock().unwrap();
        assert!(!filling.order().await.unwrap());
        assert_eq!(*fakes.calls.lock().unwrap(), calls, "the process knows that it is done");
    }

    #[tokio::test]
    async fn a_migration_that_is_killed_at_any_call_ends_the_same() {
        let whole = Fakes::new(40);
        whole.play(4).await;
        assert!(whole.ended() && whole.without_row().is_empty());
        let calls = *whole.calls.lock().unwrap();
        assert!(calls > 100, "{calls}");
        for fails_at in (1..=calls).flat_map(|at| [(at, false), (at, true)]) {
            let fakes = Fakes { fails_at: Some(fails_at), ..Fakes::new(40) };
            fakes.play(5).await;
            assert!(fakes.without_row().is_empty() && fakes.ended(), "{fails_at:?}");
            assert_eq!(fakes.jobs.lock().unwrap().len(), 1, "{fails_at:?}");
            assert_eq!(*fakes.table.lock().unwrap(), *whole.table.lock().unwrap(), "{fails_at:?}");
        }
    }

    #[tokio::test]
    async fn a_migration_of_several_units_that_is_killed_at_any_call_ends_the_same() {
        // A part takes seven seconds, so a unit has two of the thirteen.
        let slow = || Fakes { slow: 32, ..Fakes::new(40) };
        let whole = slow();
        whole.play(4).await;
        assert!(whole.ended() && whole.without_row().is_empty());
        let of_whole = whole.jobs.lock().unwrap().values().next().unwrap().clone();
        // Each unit saves its place, and so does a step that begins; the second one does after a minute.
        assert!(of_whole.turn >= 1 && of_whole.version > 7, "several units: {of_whole:?}");
        let calls = *whole.calls.lock().unwrap();
        for fails_at in (1..=calls).flat_map(|at| [(at, false), (at, true)]) {
            let fakes = Fakes { fails_at: Some(fails_at), ..slow() };
            fakes.play(5).await;
            assert!(fakes.ended(), "{fails_at:?}");
            assert_eq!(*fakes.table.lock().unwrap(), *whole.table.lock().unwrap(), "{fails_at:?}");
            let jobs = fakes.jobs.lock().unwrap();
            let job = jobs.values().next().unwrap();
            // What an attempt did before it was killed, the next one finds done, and does not count.
            let lost = of_whole.counts.done - job.counts.done;
            assert!(jobs.len() == 1 && job.state == State::Done && lost <= 2 * PART as u64, "{fails_at:?}: {job:?}");
        }
    }

    #[tokio::test]
    async fn a_job_that_was_cancelled_or_given_up_is_ordered_again_a_day_later_and_goes_on_at_its_place() {
        let fakes = Fakes::new(4_000);
        fakes.play(1).await;
        let filling = fakes.filling();
        assert!(filling.order().await.unwrap() && !filling.order().await.unwrap(), "once");
        let step = fakes.queue.lock().unwrap().pop().unwrap();
        fakes.steps().step(&step, "first").await.unwrap();
        let first = fakes.without_row();
        assert!((1_000..2_900).contains(&first.len()), "half of it is done: {}", first.len());
        {
            let mut jobs = fakes.jobs.lock().unwrap();
            let job = jobs.get_mut(&step.job).unwrap();
            (job.cancelled, job.version) = (true, job.version + 1);
        }
        fakes.play(23).await;
        assert_eq!(fakes.without_row(), first, "it was cancelled");
        // Those behind the place are not looked at again.
        let (behind, (one, listed)) = fakes.table.lock().unwrap().first_key_value().map(|(id, one)| (id.clone(), one.clone())).unwrap();
        assert!(listed);
        fakes.table.lock().unwrap().insert(behind.clone(), (one, false));
        fakes.play(3).await;
        assert_eq!((fakes.without_row(), fakes.ended()), ([behind].into(), true));
        assert_eq!(fakes.jobs.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_table_that_fails_for_hours_is_tried_again_until_it_does_not() {
        let mut fakes = Fakes { broken: true, ..Fakes::new(10) };
        fakes.play(20).await;
        let failed = fakes.jobs.lock().unwrap().values().next().unwrap().clone();
        assert_eq!((failed.state, failed.failures), (State::Failed, MOST_FAILURES));
        fakes.broken = false;
        fakes.play(30).await;
        assert!(fakes.without_row().is_empty() && fakes.ended());
    }

    #[tokio::test]
    async fn an_interaction_that_changes_between_read_and_write_is_left_to_that_change() {
        let changing = interaction(5);
        let fakes = Fakes { changing: Some(changing.id.clone()), ..Fakes::new(10) };
        fakes.play(4).await;
        assert!(fakes.ended() && fakes.without_row().is_empty());
        assert_eq!(fakes.table.lock().unwrap()[&changing.id].0.version, changing.version + 1);
        assert_eq!(fakes.jobs.lock().unwrap().values().next().unwrap().counts.done, 7, "eight had no row");
    }

    #[tokio::test]
    async fn a_job_that_was_forgotten_with_its_quarter_is_ordered_anew() {
        let fakes = Fakes::new(10);
        fakes.play(1).await;
        assert!(fakes.filling().order().await.unwrap());
        // The function was stopped for so long that the job's item is gone.
        fakes.queue.lock().unwrap().clear();
        fakes.jobs.lock().unwrap().clear();
        fakes.world.advance(KEPT);
        fakes.play(1).await;
        assert!(fakes.without_row().is_empty() && fakes.ended());
    }
}
