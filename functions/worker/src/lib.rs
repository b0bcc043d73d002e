//! The Lambda `worker`: carries out the jobs of supervisors.
//!
//! | input | result |
//! |---|---|
//! | a step of a job | the job's lease is taken; it goes on for a minute, then with another message |
//! | a step of a job that somebody works on, or whose time has not come | it comes again then |
//! | a repeated step, or one of a job that has ended | nothing |
//! | a failing table or bucket | the step comes again after 2 s and more; after 20 failures in a row the job has failed |
//! | the schedule | the sweep: a job that nobody has touched for minutes is sent on, since its message was lost; once a day, a deletion of what is kept no longer; once an upgrade, rows and documents for interactions without them |
//! | a body that can't be parsed | the dead-letter queue, after the queue's tries |
//!
//! `steps` leads every job, and a module for each kind does its units. `finder` finds the interactions of those that
//! were ordered for all that match.

mod eraser;
mod export;
mod filling;
mod finder;
mod import;
mod records;
mod removal;
mod retention;
mod rows;
mod steps;

use std::sync::atomic::AtomicUsize;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::function;
use cloud::objects::Objects;
use cloud::queues::Queue;
use domain::job::{Job, Task};
use domain::migration::Upgrade;
use engine::jobs::JobStep;
use engine::ports::System;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;

use eraser::Eraser;
use export::Exporter;
use filling::{Filler, Filling};
use finder::Finder;
use import::Importer;
use records::{Files, Kept, Rest, Tables};
use removal::{Remover, Thoroughly};
use retention::Keeping;
use steps::{Ended, Steps, Then, Unit, Work, WorkError};
use store::Interactions;

/// The work of each kind of job.
struct Works {
    finder: Finder<Interactions, Tables, System>,
    exporter: Exporter<Tables, Files, System>,
    remover: Remover<Tables, Files, System>,
    rest: Rest,
    importer: Importer<Tables, Files>,
    filler: Filler<Tables, System>,
}

impl Work for Works {
    // Each is boxed: together they would be a future of many kilobytes on the stack.
    async fn unit(&self, job: &Job) -> Result<Unit, WorkError> {
        if let Some(matching) = job.place.seek.as_ref().and_then(|seek| seek.matching.as_ref()) {
            return Box::pin(self.finder.unit(job, matching)).await;
        }
        match &job.task {
            Task::ExportInteractions { .. } | Task::ExportContacts { .. } => Box::pin(self.exporter.unit(job)).await,
            Task::Delete { close } => Box::pin(self.remover.unit(job, Thoroughly { close: *close, merged: false })).await,
            Task::Erase { contacts } => Box::pin(Eraser { remover: &self.remover, traces: &self.rest }.unit(job, contacts)).await,
            // It has found everything.
            Task::PreviewDeletion { .. } | Task::PreviewRetention { .. } => {
                Ok(Unit { counts: job.counts, place: job.place.clone(), then: Then::Done(None) })
            }
            Task::ImportContacts(import) => Box::pin(self.importer.unit(job, import)).await,
            Task::FillLists => Box::pin(self.filler.unit(job, Upgrade::Lists)).await,
            Task::FillDocuments => Box::pin(self.filler.unit(job, Upgrade::Documents)).await,
        }
    }
}

/// The function.
pub struct Worker {
    steps: Steps<Kept, Works, System>,
    keeping: Keeping<Kept, Tables, System>,
    filling: Filling<Kept, Tables, System>,
    queue: Queue,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// A batch of steps, or the schedule's tick. An event that is neither is an error: taken for a tick, the records of a
/// batch would be lost in silence.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Steps(SqsEvent),
    Sweep {
        #[serde(rename = "detail-type")]
        _kind: serde::de::IgnoredAny,
    },
}

impl Worker {
    /// Wires the clients from the environment: the tables, the bucket and the queue of jobs.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let engine = store::open_engine(aws, env)?;
        let store = engine.store.clone();
        let queue = Queue::from_env(aws, env, "JOBS_QUEUE_URL")?;
        let (tables, files) = (Tables { engine }, Files(Objects::from_env(aws, env)?));
        let remover = Remover { remains: tables.clone(), shelf: files.clone(), world: System };
        let importer = Importer::new(tables.clone(), files.clone());
        let rest = Rest { store: store.clone(), files: files.clone() };
        let kept = Kept { store: store.clone(), queue: queue.clone() };
        let keeping = Keeping { jobs: kept.clone(), settings: tables.clone(), world: System };
        let filling = Filling { jobs: kept.clone(), progress: tables.clone(), world: System, ended: AtomicUsize::new(0) };
        let filler = Filler { table: tables.clone(), world: System };
        let finder = Finder { lists: store.clone(), selections: tables.clone(), world: System };
        let works = Works { finder, exporter: Exporter::new(tables, files, System), remover, rest, importer, filler };
        Ok(Self { steps: Steps { jobs: kept, work: works, world: System }, keeping, filling, queue })
    }

    async fn handle(&self, event: LambdaEvent<Input>) -> Result<SqsBatchResponse, Error> {
        match event.payload {
            Input::Steps(batch) => Ok(batch::consume(self, batch).await),
            Input::Sweep { .. } => {
                self.sweep().await?;
                Ok(SqsBatchResponse::default())
            }
        }
    }

    /// Sends forgotten jobs on, orders the deletion of what is kept no longer, once a day, and the job that an upgrade
    /// needs. Returns how many jobs were forgotten.
    ///
    /// # Errors
    /// The table can't be read, or the queue not be reached.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let forgotten = self.steps.sweep().await?;
        let ordered = self.keeping.order().await?;
        let filling = self.filling.order().await?;
        tracing::info!(event = "job.swept", forgotten, ordered, filling);
        Ok(forgotten)
    }

    /// Carries out a step. `holder` names this delivery of its message.
    ///
    /// # Errors
    /// It comes again later.
    pub async fn step(&self, step: &JobStep, holder: &str) -> Result<(), Failure> {
        let job = &step.job;
        match self.steps.step(step, holder).await {
            Ok(Ended::Wait(seconds)) => Err(Failure::Wait(seconds)),
            Ok(ended) => {
                tracing::info!(event = "job.step", %job, turn = step.turn, ?ended);
                Ok(())
            }
            Err(error) => {
                tracing::error!(event = "job.failed", %job, turn = step.turn, wait_seconds = error.wait, %error);
                Err(Failure::RetryAfter(error.wait))
            }
        }
    }
}

impl Consumer for Worker {
    type Job = JobStep;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, step: JobStep, delivery: Delivery) -> Result<(), Failure> {
        self.step(&step, &format!("{}-{}", delivery.message_id, delivery.receive_count)).await
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Worker::from_env, Worker::handle).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedules_tick_is_a_sweep_and_a_batch_is_not() {
        let tick = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#;
        assert!(matches!(serde_json::from_str(tick).unwrap(), Input::Sweep { .. }));
        assert!(matches!(serde_json::from_str(r#"{"Records":[]}"#).unwrap(), Input::Steps(_)));
        assert!(serde_json::from_str::<Input>(r#"{"Records":[{"body":7}]}"#).is_err(), "its records would be lost");
    }
}
