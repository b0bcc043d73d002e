//! The Lambda `dispatch`: reads the table's stream and carries committed effects to their queues. It only enqueues and schedules.
//!
//! | input | what happens |
//! |---|---|
//! | a version grew | its effects are sent, under ids that derive from item, version and index |
//! | anything else (marks, slots, restores) | nothing |
//! | a record that it can't read | it is parked in a queue of its own, the rest goes on |
//! | a queue that can't be reached | the batch fails and comes again: every effect may be carried out twice |

mod plan;

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event;
use cloud::aws::Aws;
use cloud::config::Env;
use cloud::queues::{Queue, SendOptions};
use cloud::timers::Timers;
use engine::jobs::{ArchiveJob, AssignJob, MediaJob, PushJob, SendJob, Wakeup, WebhookJob};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;

use domain::inbound::InboundEvent;
use plan::{Errand, Job, Parked};

/// Where effects go.
struct Exits {
    inbound: Queue,
    assign: Queue,
    outbound: Queue,
    media: Queue,
    archive: Queue,
    webhook: Queue,
    push: Queue,
    parked: Queue,
    timers: Timers,
}

/// The errands of one batch, by queue: within a queue in the order of the stream.
#[derive(Default)]
struct Outbox {
    inbound: Vec<(InboundEvent, SendOptions)>,
    assign: Vec<(AssignJob, SendOptions)>,
    outbound: Vec<(SendJob, SendOptions)>,
    media: Vec<(MediaJob, SendOptions)>,
    archive: Vec<(ArchiveJob, SendOptions)>,
    webhook: Vec<(WebhookJob, SendOptions)>,
    push: Vec<(PushJob, SendOptions)>,
    parked: Vec<(Parked, SendOptions)>,
    timers: Vec<(String, jiff::Timestamp, Wakeup)>,
}

impl Outbox {
    fn add(&mut self, Errand { id, group, job }: Errand) {
        let fifo = SendOptions::fifo(group, &id);
        match job {
            Job::Route(event) => self.inbound.push((*event, fifo)),
            Job::Assign(job) => self.assign.push((job, fifo)),
            Job::Send(job) => self.outbound.push((job, fifo)),
            Job::Push(job) => self.push.push((*job, fifo)),
            Job::Media(job) => self.media.push((job, SendOptions::default())),
            Job::Archive(job) => self.archive.push((job, SendOptions::default())),
            Job::Webhook(job) => self.webhook.push((*job, SendOptions::default())),
            Job::Wakeup { at, job } => self.timers.push((id, at, job)),
        }
    }
}

async fn handle(exits: Arc<Exits>, event: LambdaEvent<Event>) -> Result<(), Error> {
    let mut outbox = Outbox::default();
    for record in event.payload.records {
        match plan::errands(&record.change) {
            Ok(errands) => errands.into_iter().for_each(|errand| outbox.add(errand)),
            Err(reason) => {
                tracing::error!(event = "dispatch.parked", sequence_number = record.change.sequence_number, %reason);
                outbox.parked.push((Parked::new(&record, reason), SendOptions::default()));
            }
        }
    }
    send(&exits, outbox).await
}

async fn send(exits: &Exits, outbox: Outbox) -> Result<(), Error> {
    let now = cloud::time::now();
    let timers = async {
        for (id, at, job) in &outbox.timers {
            exits.timers.arm(id, *at, now, job).await?;
        }
        Ok::<_, Error>(())
    };
    tokio::try_join!(
        all(&exits.inbound, outbox.inbound),
        all(&exits.assign, outbox.assign),
        all(&exits.outbound, outbox.outbound),
        all(&exits.media, outbox.media),
        all(&exits.archive, outbox.archive),
        all(&exits.webhook, outbox.webhook),
        all(&exits.push, outbox.push),
        all(&exits.parked, outbox.parked),
        timers,
    )?;
    Ok(())
}

async fn all<T: Serialize>(queue: &Queue, jobs: Vec<(T, SendOptions)>) -> Result<(), Error> {
    Ok(queue.send_batch(jobs).await?)
}

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    let aws = Aws::new(&env)?;
    let queue = |name| Queue::from_env(&aws, &env, name);
    let exits = Arc::new(Exits {
        inbound: queue("INBOUND_QUEUE_URL")?,
        assign: queue("ASSIGN_QUEUE_URL")?,
        outbound: queue("OUTBOUND_QUEUE_URL")?,
        media: queue("MEDIA_QUEUE_URL")?,
        archive: queue("ARCHIVE_QUEUE_URL")?,
        webhook: queue("WEBHOOK_QUEUE_URL")?,
        push: queue("PUSH_QUEUE_URL")?,
        parked: queue("PARKED_QUEUE_URL")?,
        timers: Timers::from_env(&aws, &env)?,
    });
    lambda_runtime::run(service_fn(move |event| handle(exits.clone(), event))).await
}
