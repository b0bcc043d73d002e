//! The steps of a job: take its lease, work for a minute, save the place after each unit, send the job on.
//!
//! Whatever dies in between, somebody goes on where the place was saved last: the message comes again, or the sweep
//! finds the job.

use std::future::Future;

use cloud::aws::CallError;
use domain::ids::JobId;
use domain::job::{Counts, File, Job, LEASE, Lease, MOST_FAILURES, Place, State};
use engine::jobs::JobStep;
use engine::ports::{Committed, PortError, World};
use jiff::{SignedDuration, Timestamp};

/// How long a step works before it lets others go on: long enough that the messages between steps cost nothing, and
/// short enough that a function that is stopped for a deployment loses little.
const WORKS: SignedDuration = SignedDuration::from_secs(60);

/// How often a save is tried if somebody asks to cancel the job at the same instant.
const ATTEMPTS: u32 = 5;

/// The longest delay of a message, in seconds.
const LONGEST_DELAY: u32 = 900;

/// How long a queue hides a message at most, in seconds.
const LONGEST_HIDDEN: u32 = 43_200;

/// The place where jobs are kept, and their queue.
pub(crate) trait Jobs: Sync {
    /// A job.
    fn job(&self, id: &JobId) -> impl Future<Output = Result<Option<Job>, PortError>> + Send;
    /// Replaces the version before.
    fn save(&self, job: &Job) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Sends a step, to come after so many seconds.
    fn send(&self, step: &JobStep, delay_seconds: u32) -> impl Future<Output = Result<(), PortError>> + Send;
    /// The jobs that have not ended.
    fn unfinished(&self) -> impl Future<Output = Result<Vec<JobId>, PortError>> + Send;
}

/// The work of jobs.
pub(crate) trait Work: Sync {
    /// Does the unit at the job's place. Doing it again changes nothing. A job that is cancelled winds up what it has
    /// begun.
    fn unit(&self, job: &Job) -> impl Future<Output = Result<Unit, WorkError>> + Send;
}

/// What a unit has done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    pub(crate) counts: Counts,
    pub(crate) place: Place,
    pub(crate) then: Then,
}

/// What follows a unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// The next unit.
    More,
    /// The next unit, at this time.
    Later(Timestamp),
    /// Nothing: the job is done, with this file.
    Done(Option<File>),
    /// Nothing: the job can't be done, for this reason, in words for the person who ordered it.
    Failed(String),
    /// Nothing: the job was cancelled, and what it had begun is wound up.
    Stopped,
}

/// Why a unit was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Bucket(#[from] CallError),
    /// A fault of the program.
    #[error("the file could not be written")]
    Form,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There is no such job, or it is over, or another message leads it.
    Nothing,
    /// Its time has not come, or somebody works on it. It may be tried again after so many seconds.
    Wait(u32),
    /// It goes on with another message.
    SentOn,
    /// It has ended.
    Final(State),
}

/// A step that failed: the job goes on with the same message after so many seconds.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Failed {
    pub(crate) wait: u32,
    reason: WorkError,
}

impl From<PortError> for Failed {
    fn from(error: PortError) -> Self {
        Self { wait: wait(1), reason: error.into() }
    }
}

/// Carries out jobs.
pub(crate) struct Steps<J, U, W> {
    pub(crate) jobs: J,
    pub(crate) work: U,
    pub(crate) world: W,
}

impl<J: Jobs, U: Work, W: World> Steps<J, U, W> {
    /// Carries out a step. `holder` names this delivery of its message.
    pub(crate) async fn step(&self, step: &JobStep, holder: &str) -> Result<Ended, Failed> {
        let Some(mut job) = self.jobs.job(&step.job).await? else { return Ok(Ended::Nothing) };
        let now = self.world.now();
        if job.state.is_final() || job.turn != step.turn {
            return Ok(Ended::Nothing);
        }
        let busy = job.lease.as_ref().map(|lease| lease.until).filter(|until| *until > now);
        if let Some(at) = busy.or(job.resumes_at).filter(|at| *at > now) {
            return Ok(Ended::Wait(seconds_until(at, now)));
        }
        (job.state, job.resumes_at) = (State::Running, None);
        job.lease = Some(self.lease(holder));
        if !self.save(&mut job, holder).await? {
            return Ok(Ended::Wait(1));
        }
        let until = now.saturating_add(WORKS).unwrap_or(Timestamp::MAX);
        loop {
            let unit = match self.work.unit(&job).await {
                Ok(unit) => unit,
                Err(reason) => return self.failed(job, holder, reason).await,
            };
            let now = self.world.now();
            (job.counts, job.place, job.failures) = (unit.counts, unit.place, 0);
            let delay = match unit.then {
                Then::Done(file) => {
                    job.file = file;
                    job.end(State::Done, now);
                    None
                }
                Then::Failed(problem) => {
                    job.problem = Some(problem);
                    job.end(State::Failed, now);
                    None
                }
                Then::Stopped => {
                    job.end(State::Cancelled, now);
                    None
                }
                Then::Later(at) => {
                    job.resumes_at = Some(at);
                    Some(seconds_until(at, now).min(LONGEST_DELAY))
                }
                Then::More if now >= until => Some(0),
                Then::More => {
                    job.lease = Some(self.lease(holder));
                    None
                }
            };
            if delay.is_some() {
                job.lease = None;
                job.turn += 1;
            }
            if !self.save(&mut job, holder).await? {
                return Ok(Ended::Nothing);
            }
            if let Some(delay) = delay {
                self.jobs.send(&JobStep { job: job.id, turn: job.turn }, delay).await?;
                return Ok(Ended::SentOn);
            }
            if job.state.is_final() {
                return Ok(Ended::Final(job.state));
            }
        }
    }

    /// Sends forgotten jobs on: their message was lost, or ended in the dead-letter queue. Returns how many there
    /// were.
    pub(crate) async fn sweep(&self) -> Result<usize, PortError> {
        let mut forgotten = 0;
        for id in self.jobs.unfinished().await? {
            let Some(job) = self.jobs.job(&id).await? else { continue };
            if job.is_forgotten(self.world.now()) {
                tracing::warn!(event = "job.forgotten", job = %id);
                self.jobs.send(&JobStep { job: id, turn: job.turn }, 0).await?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    fn lease(&self, holder: &str) -> Lease {
        Lease { holder: holder.to_owned(), until: self.world.now().saturating_add(LEASE).unwrap_or(Timestamp::MAX) }
    }

    /// Saves the job. False if somebody else has it.
    async fn save(&self, job: &mut Job, holder: &str) -> Result<bool, PortError> {
        let taken = job.lease.is_some() && job.state == State::Running;
        job.updated_at = self.world.now();
        for attempt in 1..=ATTEMPTS {
            let next = Job { version: job.version + 1, ..job.clone() };
            match self.jobs.save(&next).await? {
                Committed::Done => {
                    *job = next;
                    return Ok(true);
                }
                _ => {
                    let Some(there) = self.jobs.job(&job.id).await? else { return Ok(false) };
                    let own = there.lease.as_ref().is_some_and(|lease| lease.holder == holder);
                    let free = taken && there.turn == job.turn && !there.is_held(job.updated_at) && !there.state.is_final();
                    if !own && !free {
                        return Ok(false);
                    }
                    // Somebody asked to cancel it. What is done in this unit is done.
                    (job.version, job.cancelled) = (there.version, there.cancelled);
                    self.world.pause(attempt).await;
                }
            }
        }
        Ok(false)
    }

    /// Notes a failure. After too many in a row the job is given up.
    async fn failed(&self, mut job: Job, holder: &str, reason: WorkError) -> Result<Ended, Failed> {
        job.failures += 1;
        if job.failures >= MOST_FAILURES {
            tracing::error!(event = "job.given_up", job = %job.id, %reason);
            job.problem = Some(format!("It failed {MOST_FAILURES} times in a row. The log of the function worker says why."));
            job.end(State::Failed, self.world.now());
            self.save(&mut job, holder).await?;
            return Ok(Ended::Final(State::Failed));
        }
        let wait = wait(job.failures);
        job.lease = None;
        if let Err(error) = self.save(&mut job, holder).await {
            // The lease runs out by itself.
            tracing::warn!(event = "job.not_saved", job = %job.id, %error);
        }
        Err(Failed { wait, reason })
    }
}

/// The delay after so many failures in a row, in seconds: 2, 4, up to ten minutes.
fn wait(failures: u32) -> u32 {
    2_u32.saturating_pow(failures).min(600)
}

/// Rounded up, so that a message does not come early.
fn seconds_until(at: Timestamp, now: Timestamp) -> u32 {
    let left = at.duration_since(now).as_millis().max(0) + 999;
    u32::try_from(left / 1_000).unwrap_or(u32::MAX).clamp(1, LONGEST_HIDDEN)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::Mutex;

    use domain::agent::Role;
    use domain::job::{FORGOTTEN, Orderer, Task};
    use engine::memory::VirtualWorld;
    use ulid::Ulid;

    use super::*;

    /// What happens at one of the calls of a test.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fault {
        /// The process dies before the call.
        DiesBefore,
        /// The process dies after the call: it was done, and nobody hears of it.
        DiesAfter,
        /// The call fails, and the process lives on.
        Fails,
    }

    /// Jobs, a queue and work in memory. The call with the number `at` goes wrong.
    struct Fakes {
        world: VirtualWorld,
        jobs: Mutex<BTreeMap<JobId, Job>>,
        queue: Mutex<VecDeque<JobStep>>,
        /// How often each unit was done.
        done: Mutex<BTreeMap<u64, u32>>,
        calls: Mutex<u32>,
        at: u32,
        fault: Fault,
        dead: Mutex<bool>,
        /// Somebody asks to cancel the job during this unit.
        cancel_at: Option<u64>,
    }

    const UNITS: u64 = 7;

    fn id() -> JobId {
        JobId::from_ulid(Ulid::from_parts(1, 1))
    }

    impl Fakes {
        fn new(at: u32, fault: Fault) -> Self {
            let world = VirtualWorld::new(Timestamp::UNIX_EPOCH, 1);
            let by = Orderer { who: "agt_1".to_owned(), role: Role::Supervisor };
            let job = Job::new(id(), Task::ExportInteractions { raw: false }, by, UNITS, world.now());
            Self {
                world,
                jobs: Mutex::new(BTreeMap::from([(id(), job)])),
                queue: Mutex::new(VecDeque::from([JobStep { job: id(), turn: 0 }])),
                done: Mutex::default(),
                calls: Mutex::default(),
                at,
                fault,
                dead: Mutex::default(),
                cancel_at: None,
            }
        }

        fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T, PortError> {
            let broken = || PortError { operation: "test", reason: "broken".to_owned() };
            if *self.dead.lock().unwrap() {
                return Err(broken());
            }
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            if *calls != self.at {
                return Ok(call());
            }
            *self.dead.lock().unwrap() = self.fault != Fault::Fails;
            if self.fault == Fault::DiesAfter {
                call();
            }
            Err(broken())
        }

        fn the_job(&self) -> Job {
            self.jobs.lock().unwrap()[&id()].clone()
        }

        fn steps(&self) -> Steps<&Self, &Self, VirtualWorld> {
            Steps { jobs: self, work: self, world: self.world.clone() }
        }

        /// Delivers messages until the job has ended: those of the dead come again after the visibility timeout, and
        /// the sweep comes when nothing is left in the queue.
        async fn play(&self) {
            for delivery in 0..60 {
                if self.the_job().state.is_final() {
                    return;
                }
                let Some(step) = self.queue.lock().unwrap().pop_front() else {
                    self.world.advance(FORGOTTEN + SignedDuration::from_secs(1));
                    self.steps().sweep().await.unwrap();
                    continue;
                };
                let outcome = self.steps().step(&step, &format!("{delivery}")).await;
                if std::mem::take(&mut *self.dead.lock().unwrap()) {
                    self.queue.lock().unwrap().push_back(step);
                    self.world.advance(SignedDuration::from_secs(900));
                    continue;
                }
                match outcome {
                    Ok(Ended::Wait(seconds)) => {
                        self.queue.lock().unwrap().push_back(step);
                        self.world.advance(SignedDuration::from_secs(i64::from(seconds)));
                    }
                    Err(Failed { wait, .. }) => {
                        self.queue.lock().unwrap().push_back(step);
                        self.world.advance(SignedDuration::from_secs(i64::from(wait)));
                    }
                    Ok(_) => {}
                }
            }
            panic!("the job is stuck: {:?}", self.the_job());
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

        async fn send(&self, step: &JobStep, delay_seconds: u32) -> Result<(), PortError> {
            self.call(|| {
                self.world.advance(SignedDuration::from_secs(i64::from(delay_seconds)));
                self.queue.lock().unwrap().push_back(step.clone());
            })
        }

        async fn unfinished(&self) -> Result<Vec<JobId>, PortError> {
            Ok(self.jobs.lock().unwrap().values().filter(|job| !job.state.is_final()).map(|job| job.id.clone()).collect())
        }
    }

    impl Work for &Fakes {
        /// Each unit takes 25 s, so that a step has three. Before the last one the job waits for a quarter of an hour.
        async fn unit(&self, job: &Job) -> Result<Unit, WorkError> {
            let Job { counts, place, .. } = job.clone();
            let index = place.index;
            if job.cancelled {
                return Ok(Unit { counts, place, then: Then::Stopped });
            }
            self.call(|| *self.done.lock().unwrap().entry(index).or_default() += 1)?;
            self.world.advance(SignedDuration::from_secs(25));
            if self.cancel_at == Some(index) {
                let mut jobs = self.jobs.lock().unwrap();
                let there = jobs.get_mut(&id()).unwrap();
                (there.cancelled, there.version) = (true, there.version + 1);
            }
            let counts = Counts { done: counts.done + 1, ..counts };
            let place = Place { index: index + 1, ..place };
            let then = match UNITS - place.index {
                0 => Then::Done(Some(File { key: "exports/x".to_owned(), size: 1 })),
                1 => Then::Later(self.world.now() + SignedDuration::from_mins(15)),
                _ => Then::More,
            };
            Ok(Unit { counts, place, then })
        }
    }

    #[tokio::test]
    async fn a_job_killed_at_any_step_ends_the_same() {
        let whole = Fakes::new(0, Fault::Fails);
        whole.play().await;
        let calls = *whole.calls.lock().unwrap();
        assert!(calls > 20, "{calls}");
        for (at, fault) in (1..=calls).flat_map(|at| [Fault::DiesBefore, Fault::DiesAfter, Fault::Fails].map(|fault| (at, fault))) {
            let fakes = Fakes::new(at, fault);
            fakes.play().await;
            let job = fakes.the_job();
            let result = |job: &Job| (job.state, job.counts, job.place.clone(), job.file.clone(), job.lease.clone(), job.problem.clone());
            assert_eq!(result(&job), result(&whole.the_job()), "{fault:?} at {at}");
            let done = fakes.done.lock().unwrap();
            assert_eq!(done.keys().copied().collect::<Vec<_>>(), (0..UNITS).collect::<Vec<_>>(), "{fault:?} at {at}");
            // Only the unit that was cut off is done again.
            assert!(done.values().sum::<u32>() <= u32::try_from(UNITS).unwrap() + 1, "{fault:?} at {at}: {done:?}");
        }
    }

    #[tokio::test]
    async fn a_step_ends_after_a_minute_and_sends_the_job_on_once() {
        let fakes = Fakes::new(0, Fault::Fails);
        let first = JobStep { job: id(), turn: 0 };
        assert_eq!(fakes.steps().step(&first, "a").await.unwrap(), Ended::SentOn);
        assert_eq!(fakes.the_job().counts.done, 3);
        assert_eq!(fakes.queue.lock().unwrap().back(), Some(&JobStep { job: id(), turn: 1 }));
        // The same message comes once more.
        assert_eq!(fakes.steps().step(&first, "b").await.unwrap(), Ended::Nothing);
        assert_eq!(fakes.the_job().counts.done, 3);
    }

    #[tokio::test]
    async fn whoever_meets_a_held_lease_waits_for_its_end() {
        let fakes = Fakes::new(0, Fault::Fails);
        fakes.jobs.lock().unwrap().get_mut(&id()).unwrap().lease = Some(fakes.steps().lease("other"));
        let wait = fakes.steps().step(&JobStep { job: id(), turn: 0 }, "a").await.unwrap();
        assert_eq!(wait, Ended::Wait(u32::try_from(LEASE.as_secs()).unwrap()));
        assert!(fakes.done.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_job_ends_after_the_unit_under_way() {
        let fakes = Fakes { cancel_at: Some(1), ..Fakes::new(0, Fault::Fails) };
        fakes.play().await;
        let job = fakes.the_job();
        assert_eq!((job.state, job.counts.done), (State::Cancelled, 2));
        // Nothing is left to cancel after the last unit.
        let late = Fakes { cancel_at: Some(UNITS - 1), ..Fakes::new(0, Fault::Fails) };
        late.play().await;
        assert_eq!(late.the_job().state, State::Done);
    }

    #[tokio::test]
    async fn a_job_that_fails_too_often_in_a_row_is_given_up_and_says_so() {
        struct Never;
        impl Work for Never {
            async fn unit(&self, _: &Job) -> Result<Unit, WorkError> {
                Err(WorkError::Form)
            }
        }
        let fakes = Fakes::new(0, Fault::Fails);
        let steps = Steps { jobs: &fakes, work: Never, world: fakes.world.clone() };
        for failure in 1..MOST_FAILURES {
            let failed = steps.step(&JobStep { job: id(), turn: 0 }, "a").await.unwrap_err();
            assert_eq!(failed.wait, wait(failure));
        }
        assert_eq!(steps.step(&JobStep { job: id(), turn: 0 }, "a").await.unwrap(), Ended::Final(State::Failed));
        assert!(fakes.the_job().problem.unwrap().contains("20 times"));
        let outage: u32 = (1..MOST_FAILURES).map(wait).sum();
        assert!((7_000..7_400).contains(&outage), "{outage} s");
    }
}
