//! The Lambda `dispatch`: reads the table's stream and sends committed effects to their queues. It only enqueues
//! and schedules.
//!
//! | input | result |
//! |---|---|
//! | an item with a new version | the version's effects are sent, under ids that derive from item, version and index |
//! | anything else (marks, slots, restores) | nothing |
//! | an unreadable record | it is parked in a separate queue; the rest goes on |
//! | an effect that its queue refuses for its content | the same for its record; the other effects go on |
//! | a timer that the scheduler refuses | it goes through the queue of timers in steps of 15 minutes |
//! | an unreachable queue | everything else is sent; the batch fails and comes again, since every effect may be carried out twice |

mod errands;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use cloud::aws::Aws;
use cloud::config::Env;
use cloud::function;
use cloud::queues::{Queue, Refused, SendOptions};
use cloud::telemetry::{self, Metric};
use cloud::timers::Timers;
use engine::errands::{Errand, Job};
use engine::jobs::{ArchiveJob, AssignJob, AssistJob, MediaJob, PushJob, ReportJob, SendJob, TriggerJob, Wakeup, WebhookJob};
use futures_util::{StreamExt as _, stream};
use lambda_runtime::{Error, LambdaEvent};
use serde::Serialize;

use domain::inbound::InboundEvent;
use errands::Parked;

/// The queues of the effects.
struct Exits {
    inbound: Queue,
    assign: Queue,
    outbound: Queue,
    media: Queue,
    archive: Queue,
    assist: Queue,
    webhook: Queue,
    trigger: Queue,
    report: Queue,
    push: Queue,
    parked: Queue,
    timers: Timers,
}

impl Exits {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let queue = |name| Queue::from_env(aws, env, name);
        Ok(Self {
            inbound: queue("INBOUND_QUEUE_URL")?,
            assign: queue("ASSIGN_QUEUE_URL")?,
            outbound: queue("OUTBOUND_QUEUE_URL")?,
            media: queue("MEDIA_QUEUE_URL")?,
            archive: queue("ARCHIVE_QUEUE_URL")?,
            assist: queue("ASSIST_QUEUE_URL")?,
            webhook: queue("WEBHOOK_QUEUE_URL")?,
            trigger: queue("TRIGGER_QUEUE_URL")?,
            report: queue("REPORT_QUEUE_URL")?,
            push: queue("PUSH_QUEUE_URL")?,
            parked: queue("PARKED_QUEUE_URL")?,
            timers: Timers::from_env(aws, env)?,
        })
    }
}

/// The jobs for one queue, in the order of the stream.
struct Jobs<T> {
    jobs: Vec<(T, SendOptions)>,
    /// The record of each job, by its place in the batch.
    records: Vec<usize>,
}

impl<T> Default for Jobs<T> {
    fn default() -> Self {
        Self { jobs: Vec::new(), records: Vec::new() }
    }
}

impl<T> Jobs<T> {
    fn push(&mut self, record: usize, job: T, options: SendOptions) {
        self.jobs.push((job, options));
        self.records.push(record);
    }
}

/// The errands of one batch, by queue, in the order of the stream within each queue.
#[derive(Default)]
struct Outbox {
    inbound: Jobs<InboundEvent>,
    assign: Jobs<AssignJob>,
    outbound: Jobs<SendJob>,
    media: Jobs<MediaJob>,
    archive: Jobs<ArchiveJob>,
    assist: Jobs<AssistJob>,
    webhook: Jobs<WebhookJob>,
    trigger: Jobs<TriggerJob>,
    report: Jobs<ReportJob>,
    push: Jobs<PushJob>,
    timers: Vec<(String, jiff::Timestamp, Wakeup)>,
}

impl Outbox {
    fn add(&mut self, record: usize, Errand { id, group, job }: Errand) {
        let options = group.map_or_else(SendOptions::default, |group| SendOptions::fifo(group, &id));
        match job {
            Job::Route(event) => self.inbound.push(record, *event, options),
            Job::Assign(job) => self.assign.push(record, job, options),
            Job::Send(job) => self.outbound.push(record, job, options),
            Job::Push(job) => self.push.push(record, *job, options),
            Job::Media(job) => self.media.push(record, job, options),
            Job::Archive(job) => self.archive.push(record, job, options),
            Job::Assist(job) => self.assist.push(record, job, options),
            Job::Webhook(job) => self.webhook.push(record, *job, options),
            Job::Trigger(job) => self.trigger.push(record, *job, options),
            Job::Report(job) => self.report.push(record, job, options),
            Job::Wakeup { at, job } => self.timers.push((id, at, job)),
        }
    }
}

/// A record that must be parked, and why.
#[derive(Debug, PartialEq, Eq)]
struct Stuck {
    /// Its place in the batch.
    record: usize,
    reason: String,
}

/// How many timers are armed at once. A batch has a hundred records with a timer each, or a few more. If the scheduler
/// answers none of them within its 3 s, all of them are on the queue after 20 s, and the function has 60 s.
const TIMERS_AT_ONCE: usize = 16;

/// What the metric of failed records calls the stream.
const STREAM: &str = "stream";

async fn handle(exits: &Exits, event: LambdaEvent<Event>) -> Result<(), Error> {
    let records = event.payload.records;
    let outcome = carry_out(exits, &records).await;
    if outcome.is_err() {
        // The whole batch comes again.
        telemetry::count(Metric::FailedItems, STREAM, records.len());
    }
    outcome
}

async fn carry_out(exits: &Exits, records: &[EventRecord]) -> Result<(), Error> {
    let (outbox, mut stuck) = read(records);
    stuck.extend(send(exits, outbox).await?);
    // Parked last: a batch that comes again for another reason would park them each time.
    park(&exits.parked, records, &stuck).await
}

fn read(records: &[EventRecord]) -> (Outbox, Vec<Stuck>) {
    let mut outbox = Outbox::default();
    let mut stuck = Vec::new();
    for (place, record) in records.iter().enumerate() {
        match errands::errands(&record.change) {
            Ok(errands) => errands.into_iter().for_each(|errand| outbox.add(place, errand)),
            Err(reason) => stuck.push(Stuck { record: place, reason: reason.to_string() }),
        }
    }
    (outbox, stuck)
}

/// Sends everything that can be sent, and returns the records of jobs that a queue refused for their content. The
/// first error is returned at the end: giving up at once would leave calls to the other queues in mid-flight.
async fn send(exits: &Exits, outbox: Outbox) -> Result<Vec<Stuck>, Error> {
    let now = cloud::time::now();
    let timers = async {
        let armed = stream::iter(&outbox.timers).map(|(id, at, job)| exits.timers.arm(id, *at, now, job));
        let armed: Vec<_> = armed.buffer_unordered(TIMERS_AT_ONCE).collect().await;
        armed.into_iter().find_map(Result::err).map_or(Ok(Vec::new()), |error| Err(Error::from(error)))
    };
    let outcomes = tokio::join!(
        all(&exits.inbound, outbox.inbound),
        all(&exits.assign, outbox.assign),
        all(&exits.outbound, outbox.outbound),
        all(&exits.media, outbox.media),
        all(&exits.archive, outbox.archive),
        all(&exits.assist, outbox.assist),
        all(&exits.webhook, outbox.webhook),
        all(&exits.trigger, outbox.trigger),
        all(&exits.report, outbox.report),
        all(&exits.push, outbox.push),
        timers,
    );
    let (inbound, assign, outbound, media, archive, assist, webhook, trigger, report, push, timers) = outcomes;
    let mut stuck = Vec::new();
    for outcome in [inbound, assign, outbound, media, archive, assist, webhook, trigger, report, push, timers] {
        stuck.extend(outcome?);
    }
    Ok(stuck)
}

async fn all<T: Serialize>(queue: &Queue, Jobs { jobs, records }: Jobs<T>) -> Result<Vec<Stuck>, Error> {
    Ok(stuck(&records, queue.send_each(jobs).await?))
}

/// The records of refused jobs.
fn stuck(records: &[usize], refused: Vec<Refused>) -> Vec<Stuck> {
    let of = |Refused { index, code }| {
        let record = *records.get(index)?;
        Some(Stuck { record, reason: format!("an effect was refused by its queue: {code}") })
    };
    refused.into_iter().filter_map(of).collect()
}

async fn park(queue: &Queue, records: &[EventRecord], stuck: &[Stuck]) -> Result<(), Error> {
    let mut parked = Vec::new();
    for Stuck { record, reason } in stuck {
        let Some(record) = records.get(*record) else { continue };
        tracing::error!(event = "dispatch.parked", sequence_number = record.change.sequence_number, %reason);
        parked.push((Parked::new(record, reason), SendOptions::default()));
    }
    Ok(queue.send_batch(parked).await?)
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Exits::from_env, handle).await
}

#[cfg(test)]
mod tests {
    use domain::effect::Target;
    use domain::ids::AgentId;

    use super::*;

    /// Records of the stream with the same valid event each. Those that are marked have an unknown form.
    fn records(unreadable: &[bool]) -> Vec<EventRecord> {
        let image = |unreadable: bool| if unreadable { serde_json::json!({ "version": { "S": "x" } }) } else { serde_json::json!({}) };
        let record = |(place, unreadable): (usize, &bool)| {
            serde_json::from_value(serde_json::json!({
                "eventID": place.to_string(),
                "eventName": "INSERT",
                "awsRegion": "eu-south-1",
                "dynamodb": {
                    "Keys": { "pk": { "S": "EVT#acc#1" }, "sk": { "S": "EVT" } },
                    "NewImage": image(*unreadable),
                    "SequenceNumber": place.to_string(),
                    "SizeBytes": 1,
                },
            }))
            .unwrap()
        };
        unreadable.iter().enumerate().map(record).collect()
    }

    #[test]
    fn an_unreadable_record_is_parked_alone() {
        let (_, stuck) = read(&records(&[false, true, false]));
        assert_eq!(stuck.iter().map(|stuck| stuck.record).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_refused_job_leads_back_to_its_record() {
        let mut outbox = Outbox::default();
        for record in [0, 2, 2, 5] {
            let target = Target::Agent(AgentId::from_ulid(ulid::Ulid::from_parts(1, 1)));
            outbox.add(record, Errand::assign("id".to_owned(), AssignJob::wake(target)));
        }
        let refused = Refused { index: 2, code: "InvalidMessageContents".to_owned() };
        let expected = Stuck { record: 2, reason: "an effect was refused by its queue: InvalidMessageContents".to_owned() };
        assert_eq!(stuck(&outbox.assign.records, vec![refused]), [expected]);
    }
}
