//! What an upgrade fills: interactions of a version before the lists get the rows by which lists and searches find
//! them, and then those that closed before the documents get the documents by which searches for a text leave them
//! out. The sweep orders one job for each, which reads the table once. Until it is done, an interaction without a row
//! joins the lists with its next change, and of one without a document the thread is read.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audit::{Action, By, Change, Entry, Subject};
use domain::agent::Role;
use domain::interaction::Interaction;
use domain::job::{Job, Orderer, Place, State};
use domain::migration::{Migration, Upgrade};
use engine::jobs::JobStep;
use engine::ports::{Committed, PortError, World};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use store::ScannedInteractions;

use crate::steps::{Jobs, Then, Unit, WorkError};

/// Who orders, as jobs tell it.
pub(crate) const UPGRADE: &str = "upgrade";

/// The job begins so long after the first sweep that knows of it. CloudFormation replaces the functions one by one,
/// which takes minutes, and one of the version before could still write interactions without rows or documents.
const BEGINS_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// A job that was given up or cancelled is ordered again after this. It goes on at its place.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// How long a unit works before its place is saved: a killed one repeats no more.
const FILLS: SignedDuration = SignedDuration::from_secs(10);

/// A part of the table is a megabyte: 128 read units, of one partition in the main. Eight a second are a third of the
/// 3,000 that a partition has, so that messages go on. 12 GB, a million interactions, then take half an hour.
const BETWEEN_PARTS: Duration = Duration::from_millis(125);

/// How many interactions are filled at once, with a rest after that: 100 a second, each for 3 to 6 write units with
/// its rows in the indexes, or some 4 read units for its thread and 8 write units for its document, which has a
/// partition of its own. That is half of the 1,000 writes that a partition has. A million takes three hours.
const AT_ONCE: usize = 10;

/// The rest after these.
const BETWEEN_WRITES: Duration = Duration::from_millis(100);

/// The table of interactions.
pub(crate) trait Table: Sync {
    /// A part of the table with the interactions in it that lack what the upgrade gives, from the beginning or from
    /// the `next` of another part on.
    fn lacking(&self, of: Upgrade, after: Option<&str>) -> impl Future<Output = Result<ScannedInteractions, PortError>> + Send;
    /// Gives an interaction what it lacks, unless it has it by now or needs it no more.
    fn give(&self, of: Upgrade, interaction: &Interaction) -> impl Future<Output = Result<Given, PortError>> + Send;
    /// Does nothing for a while.
    fn rest(&self, how_long: Duration) -> impl Future<Output = ()> + Send;
}

/// What became of an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// It got what it lacked.
    Now,
    /// It has it already, or needs it no more.
    Not,
    /// It can't get it: a message can't be read.
    Unreadable,
}

/// What is known of the migrations.
pub(crate) trait Progress: Sync {
    /// Where one stands, with a version.
    fn migration(&self, of: Upgrade) -> impl Future<Output = Result<Option<(Migration, u64)>, PortError>> + Send;
    /// Replaces the version before. False if somebody else has.
    fn note(&self, of: Upgrade, migration: &Migration, before: u64) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Writes a new job, with its entry of the audit trail.
    fn add(&self, job: &Job, entry: &Entry) -> impl Future<Output = Result<Committed, PortError>> + Send;
}

/// Does the job.
pub(crate) struct Filler<T, W> {
    pub(crate) table: T,
    pub(crate) world: W,
}

impl<T: Table, W: World> Filler<T, W> {
    /// Does the unit at the job's place.
    pub(crate) async fn unit(&self, job: &Job, of: Upgrade) -> Result<Unit, WorkError> {
        let Job { mut counts, mut place, .. } = job.clone();
        if job.cancelled {
            return Ok(Unit { counts, place, then: Then::Stopped });
        }
        let until = self.world.now().saturating_add(FILLS).unwrap_or(Timestamp::MAX);
        loop {
            let part = self.table.lacking(of, place.after.as_deref()).await?;
            for id in &part.unreadable {
                counts.skipped += unreadable(of, id);
            }
            for interactions in part.interactions.chunks(AT_ONCE) {
                let given = try_join_all(interactions.iter().map(|interaction| self.table.give(of, interaction))).await?;
                for (interaction, given) in interactions.iter().zip(given) {
                    match given {
                        Given::Now => counts.done += 1,
                        Given::Not => {}
                        Given::Unreadable => counts.skipped += unreadable(of, interaction.id.as_str()),
                    }
                }
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

/// Tells of one that can't be read. Nothing else can read it either.
fn unreadable(of: Upgrade, interaction: &str) -> u64 {
    tracing::warn!(event = "filling.unreadable", of = of.name(), %interaction);
    1
}

/// Orders the jobs.
pub(crate) struct Filling<J, P, W> {
    pub(crate) jobs: J,
    pub(crate) progress: P,
    pub(crate) world: W,
    /// How many of the migrations this process knows to be done. From the last one on a sweep asks nothing.
    pub(crate) ended: AtomicUsize,
}

impl<J: Jobs, P: Progress, W: World> Filling<J, P, W> {
    /// Orders the job of the first migration that is not done, unless it is under way or not due. True if it was
    /// ordered now.
    pub(crate) async fn order(&self) -> Result<bool, PortError> {
        for (place, of) in Upgrade::ALL.into_iter().enumerate().skip(self.ended.load(Ordering::Relaxed)) {
            match self.order_one(of).await? {
                Stands::Done => self.ended.store(place + 1, Ordering::Relaxed),
                Stands::Open => return Ok(false),
                Stands::Ordered => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn order_one(&self, of: Upgrade) -> Result<Stands, PortError> {
        let now = self.world.now();
        let in_time = |wait| now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let Some((migration, version)) = self.progress.migration(of).await? else {
            self.progress.note(of, &Migration::due(in_time(BEGINS_AFTER)), 0).await?;
            return Ok(Stands::Open);
        };
        if migration.ended_at.is_some() {
            return Ok(Stands::Done);
        }
        if now < migration.due_at {
            return Ok(Stands::Open);
        }
        let id = migration.job(of);
        let Some(job) = self.jobs.job(&id).await? else {
            let by = Orderer { who: UPGRADE.to_owned(), role: Role::Owner };
            let mut job = Job::new(id, of.task(), by, 0, now);
            job.place = Place { after: migration.from.clone(), ..Place::default() };
            if self.progress.add(&job, &self.entry(&job, of)).await? != Committed::Done {
                return Ok(Stands::Open);
            }
            tracing::info!(event = "filling.ordered", of = of.name(), job = %job.id);
            // If it is lost, the next sweeps find the job.
            self.jobs.send(&JobStep { job: job.id, turn: job.turn }, 0).await?;
            return Ok(Stands::Ordered);
        };
        let next = match job.state {
            State::Queued | State::Running => return Ok(Stands::Open),
            State::Done => Migration { ended_at: Some(now), ..migration },
            State::Failed | State::Cancelled => Migration { due_at: in_time(AGAIN_AFTER), from: job.place.after, ..migration },
        };
        self.progress.note(of, &next, version).await?;
        Ok(Stands::Open)
    }

    /// The entry of the audit trail. The service itself is its author.
    fn entry(&self, job: &Job, of: Upgrade) -> Entry {
        let subject = Subject { kind: "job", id: job.id.as_str(), versions: (None, Some(job.version)) };
        let fills = Change { after: Some(of.name().into()), ..Change::at("fills") };
        Entry::new(self.world.ulid(), By::service(), Action::Created, subject, vec![fills])
    }
}

/// Where a migration stands after a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Open,
    Ordered,
    Done,
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
        /// The interactions, and what each has.
        table: Mutex<BTreeMap<InteractionId, (Interaction, BTreeSet<Upgrade>)>>,
        migrations: Mutex<BTreeMap<Upgrade, (Migration, u64)>>,
        jobs: Mutex<BTreeMap<JobId, Job>>,
        audit: Mutex<Vec<Entry>>,
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
        /// Every fourth of `count` interactions has a row already, and every fifth a document.
        fn new(count: u128) -> Self {
            let has = |number| {
                let has = [(Upgrade::Lists, number % 4 == 3), (Upgrade::Documents, number % 5 == 4)];
                has.into_iter().filter_map(|(of, has)| has.then_some(of)).collect()
            };
            let all = (0..count).map(|number| (interaction(number), has(number)));
            Self {
                world: VirtualWorld::new("2026-12-01T00:00:00Z".parse().unwrap(), 1),
                table: Mutex::new(all.map(|(interaction, has)| (interaction.id.clone(), (interaction, has))).collect()),
                migrations: Mutex::default(),
                jobs: Mutex::default(),
                audit: Mutex::default(),
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
            Filling { jobs: self, progress: self, world: self.world.clone(), ended: AtomicUsize::new(0) }
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

        fn without(&self, of: Upgrade) -> BTreeSet<InteractionId> {
            let table = self.table.lock().unwrap();
            table.iter().filter(|(_, (_, has))| !has.contains(&of)).map(|(id, _)| id.clone()).collect()
        }

        fn without_row(&self) -> BTreeSet<InteractionId> {
            self.without(Upgrade::Lists)
        }

        /// Whether a migration is done.
        fn has_ended(&self, of: Upgrade) -> bool {
            self.migrations.lock().unwrap().get(&of).is_some_and(|(migration, _)| migration.ended_at.is_some())
        }

        /// Whether all are done, and nothing lacks anything.
        fn ended(&self) -> bool {
            Upgrade::ALL.into_iter().all(|of| self.has_ended(of) && self.without(of).is_empty())
        }

        fn kinds(&self) -> Vec<Upgrade> {
            let of = |job: &Job| Upgrade::ALL.into_iter().find(|of| of.task() == job.task).unwrap();
            self.jobs.lock().unwrap().values().map(of).collect()
        }
    }

    impl Work for Filler<&Fakes, VirtualWorld> {
        async fn unit(&self, job: &Job) -> Result<Unit, WorkError> {
            let of = Upgrade::ALL.into_iter().find(|of| of.task() == job.task).unwrap();
            Filler::unit(self, job, of).await
        }
    }

    impl Table for &Fakes {
        async fn lacking(&self, of: Upgrade, after: Option<&str>) -> Result<ScannedInteractions, PortError> {
            if self.broken {
                return Err(PortError { operation: "test", reason: "broken".to_owned() });
            }
            self.call(|| {
                let table = self.table.lock().unwrap();
                let part: Vec<_> = table.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after)).take(PART).collect();
                let next = part.last().map(|(id, _)| id.to_string()).filter(|_| part.len() == PART);
                let lacking = part.into_iter().filter(|(_, (_, has))| !has.contains(&of)).map(|(_, (interaction, _))| interaction.clone());
                ScannedInteractions { interactions: lacking.collect(), unreadable: Vec::new(), next }
            })
        }

        async fn give(&self, of: Upgrade, interaction: &Interaction) -> Result<Given, PortError> {
            self.call(|| {
                let mut table = self.table.lock().unwrap();
                let Some((there, has)) = table.get_mut(&interaction.id) else { return Given::Not };
                if self.changing.as_ref() == Some(&interaction.id) && has.insert(of) {
                    there.version += 1;
                }
                match there.version == interaction.version && has.insert(of) {
                    true => Given::Now,
                    false => Given::Not,
                }
            })
        }

        async fn rest(&self, how_long: Duration) {
            self.world.advance(SignedDuration::try_from(how_long).unwrap() * self.slow);
        }
    }

    impl Progress for &Fakes {
        async fn migration(&self, of: Upgrade) -> Result<Option<(Migration, u64)>, PortError> {
            self.call(|| self.migrations.lock().unwrap().get(&of).cloned())
        }

        async fn note(&self, of: Upgrade, migration: &Migration, before: u64) -> Result<bool, PortError> {
            self.call(|| {
                let mut there = self.migrations.lock().unwrap();
                let unchanged = there.get(&of).map_or(0, |(_, version)| *version) == before;
                if unchanged {
                    there.insert(of, (migration.clone(), before + 1));
                }
                unchanged
            })
        }

        async fn add(&self, job: &Job, entry: &Entry) -> Result<Committed, PortError> {
            self.call(|| {
                let mut jobs = self.jobs.lock().unwrap();
                if jobs.contains_key(&job.id) {
                    return Committed::AlreadyDone;
                }
                jobs.insert(job.id.clone(), job.clone());
                self.audit.lock().unwrap().push(entry.clone());
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
        fakes.play(1).await;
        let jobs = || fakes.jobs.lock().unwrap().values().cloned().collect::<Vec<Job>>();
        assert_eq!((fakes.without_row().len(), fakes.has_ended(Upgrade::Lists), fakes.without(Upgrade::Documents).len()), (0, true, 320));
        assert_eq!((jobs().len(), jobs()[0].counts.done, jobs()[0].by.who.as_str()), (1, 300, UPGRADE));
        // Then the documents, an hour after that was found.
        fakes.play(2).await;
        assert!(fakes.ended());
        assert_eq!((fakes.kinds(), jobs()[1].counts.done), (Upgrade::ALL.to_vec(), 320));
        let audit = fakes.audit.lock().unwrap().clone();
        let told: Vec<_> = audit.iter().map(|entry| (entry.who.as_str(), entry.action, entry.of.as_str())).collect();
        assert_eq!(told, [0, 1].map(|place| ("service", Action::Created, audit[place].of.as_str())));
        assert!(audit.iter().zip(jobs()).all(|(entry, job)| entry.of == job.id.as_str()), "one entry a job");
        let filling = fakes.filling();
        assert!(!filling.order().await.unwrap());
        let calls = *fakes.calls.lock().unwrap();
        assert!(!filling.order().await.unwrap());
        assert_eq!(*fakes.calls.lock().unwrap(), calls, "the process knows that all is done");
    }

    #[tokio::test]
    async fn a_migration_that_is_killed_at_any_call_ends_the_same() {
        let whole = Fakes::new(40);
        whole.play(6).await;
        assert!(whole.ended());
        let calls = *whole.calls.lock().unwrap();
        assert!(calls > 100, "{calls}");
        for fails_at in (1..=calls).flat_map(|at| [(at, false), (at, true)]) {
            let fakes = Fakes { fails_at: Some(fails_at), ..Fakes::new(40) };
            fakes.play(7).await;
            assert!(fakes.ended(), "{fails_at:?}");
            assert_eq!((fakes.kinds(), fakes.audit.lock().unwrap().len()), (Upgrade::ALL.to_vec(), 2), "{fails_at:?}");
            assert_eq!(*fakes.table.lock().unwrap(), *whole.table.lock().unwrap(), "{fails_at:?}");
        }
    }

    #[tokio::test]
    async fn a_migration_of_several_units_that_is_killed_at_any_call_ends_the_same() {
        // A part takes seven seconds, so a unit has two of the thirteen.
        let slow = || Fakes { slow: 32, ..Fakes::new(40) };
        let whole = slow();
        whole.play(6).await;
        assert!(whole.ended());
        let of_whole: Vec<Job> = whole.jobs.lock().unwrap().values().cloned().collect();
        // Each unit saves its place, and so does a step that begins; the second one does after a minute.
        assert!(of_whole.iter().all(|job| job.turn >= 1 && job.version > 7), "several units: {of_whole:?}");
        let calls = *whole.calls.lock().unwrap();
        for fails_at in (1..=calls).flat_map(|at| [(at, false), (at, true)]) {
            let fakes = Fakes { fails_at: Some(fails_at), ..slow() };
            fakes.play(7).await;
            assert!(fakes.ended(), "{fails_at:?}");
            assert_eq!(*fakes.table.lock().unwrap(), *whole.table.lock().unwrap(), "{fails_at:?}");
            assert_eq!(fakes.kinds(), Upgrade::ALL, "{fails_at:?}");
            for (job, of_whole) in fakes.jobs.lock().unwrap().values().zip(&of_whole) {
                // What an attempt did before it was killed, the next one finds done, and does not count.
                let lost = of_whole.counts.done - job.counts.done;
                assert!(job.state == State::Done && lost <= 2 * PART as u64, "{fails_at:?}: {job:?}");
            }
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
        let behind = fakes.table.lock().unwrap().keys().next().unwrap().clone();
        assert!(fakes.table.lock().unwrap().get_mut(&behind).unwrap().1.remove(&Upgrade::Lists));
        fakes.play(3).await;
        assert_eq!((fakes.without_row(), fakes.has_ended(Upgrade::Lists)), ([behind].into(), true));
        assert_eq!(fakes.kinds()[..2], [Upgrade::Lists; 2]);
    }

    #[tokio::test]
    async fn a_table_that_fails_for_hours_is_tried_again_until_it_does_not() {
        let mut fakes = Fakes { broken: true, ..Fakes::new(10) };
        fakes.play(20).await;
        let failed = fakes.jobs.lock().unwrap().values().next().unwrap().clone();
        assert_eq!((failed.state, failed.failures), (State::Failed, MOST_FAILURES));
        fakes.broken = false;
        fakes.play(30).await;
        assert!(fakes.ended());
    }

    #[tokio::test]
    async fn an_interaction_that_changes_between_read_and_write_is_left_to_that_change() {
        let changing = interaction(5);
        let fakes = Fakes { changing: Some(changing.id.clone()), ..Fakes::new(10) };
        fakes.play(6).await;
        assert!(fakes.ended());
        assert_eq!(fakes.table.lock().unwrap()[&changing.id].0.version, changing.version + 2);
        let done: Vec<u64> = fakes.jobs.lock().unwrap().values().map(|job| job.counts.done).collect();
        assert_eq!(done, [7, 7], "eight had no row, and eight no document");
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
        fakes.play(3).await;
        assert!(fakes.ended());
    }
}
