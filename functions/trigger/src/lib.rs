//! The Lambda `trigger`: tells other systems what happens to interactions, with signed requests.
//!
//! | input | result |
//! |---|---|
//! | an effect of a version | the conditions of the triggers that wait for it are asked on the interaction as it was then; each that holds becomes a call |
//! | a call | the system is called; 2xx: done; 410: the trigger is switched off; anything else: it is tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h |
//! | a call whose next try is more than 15 minutes away, or whose system rests | it waits in the table |
//! | a call whose interaction or message was deleted, or whose trigger was | nothing |
//! | the schedule | the sweep: for each trigger with calls that are due, and whose system does not rest, they are made one after the other |
//! | three days of failures | the trigger is switched off; supervisors, admins and owners are notified |
//! | a failing table or queue | the job comes again after 1 s and more |
//! | a body that can't be parsed | the dead-letter queue, after the queue's tries |
//!
//! `courier` decides, over ports; this file wires it to AWS.

mod courier;
#[cfg(test)]
mod simulation;

use audit::{Action, By, Change, Entry, Subject};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::egress::Egress;
use cloud::function;
use cloud::queues::{Queue, SendOptions};
use cloud::telemetry::{self, Metric};
use domain::ids::TriggerId;
use domain::trigger::{Disabled, TriedOutcome, Trigger};
use engine::jobs::{PushJob, TriggerJob};
use engine::ports::{PortError, System};
use hooks::Called;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use store::{Configuration, Entity, Extra, Interactions, Write, Written};

use courier::{Courier, Outside};

/// How often the service tries to switch a trigger off while somebody else changes it.
const ATTEMPTS: u32 = 5;

/// The group in which what this function owes to itself keeps its order.
const GROUP: &str = "service";

/// The other systems, the queues, and the one thing that this function writes to the configuration.
#[derive(Debug)]
struct World {
    egress: Egress,
    queue: Queue,
    push: Queue,
    configuration: Configuration,
}

fn failed(operation: &'static str, error: impl std::fmt::Display) -> PortError {
    PortError { operation, reason: error.to_string() }
}

impl Outside for World {
    async fn call(&self, trigger: &Trigger, id: &str, body: Vec<u8>) -> Called {
        let called = hooks::call(&self.egress, trigger, id, body, cloud::time::now()).await;
        telemetry::count(Metric::TriggerCalls, label(called.outcome), 1);
        called
    }

    async fn send(&self, jobs: Vec<(TriggerJob, u32)>) -> Result<(), PortError> {
        let jobs = jobs.into_iter().map(|(job, seconds)| (job, SendOptions::delayed(seconds)));
        self.queue.send_batch(jobs.collect::<Vec<_>>()).await.map_err(|error| failed("send a call", error))
    }

    async fn notify(&self, job: PushJob) -> Result<(), PortError> {
        let options = SendOptions::fifo(GROUP, job.id.clone());
        self.push.send(&job, options).await.map_err(|error| failed("notify", error))
    }

    async fn disable(&self, id: &TriggerId, disabled: &Disabled) -> Result<Option<Trigger>, PortError> {
        for _ in 0..ATTEMPTS {
            let Some((before, version)) = self.configuration.get::<Trigger>(id.as_str()).await? else { return Ok(None) };
            if !before.active {
                return Ok(Some(before).filter(|before| before.disabled.is_some()));
            }
            let after = Trigger { active: false, disabled: Some(disabled.clone()), ..before.clone() };
            let entry = Extra::Audit(Box::new(entry(&after, version, disabled)));
            match self.configuration.put(&after, Write::Replace { before: &before, version }, vec![entry]).await? {
                Written::Done { .. } => {
                    tracing::warn!(event = "trigger.disabled", trigger = id.as_str(), why = ?disabled.why);
                    return Ok(Some(after));
                }
                Written::Changed | Written::Moved | Written::Taken { .. } => {}
            }
        }
        Err(failed("switch off", "somebody else changes the trigger"))
    }
}

/// What the audit trail tells of a trigger that the service switched off.
fn entry(after: &Trigger, version: u64, disabled: &Disabled) -> Entry {
    let subject = Subject { kind: Trigger::KIND, id: after.id.as_str(), versions: (Some(version), Some(version + 1)) };
    let changes = vec![
        Change { before: Some(true.into()), after: Some(false.into()), ..Change::at("active") },
        Change { after: serde_json::to_value(disabled).ok(), ..Change::at("disabled") },
    ];
    Entry::new(cloud::ids::ulid(), By::service(), Action::Changed, subject, changes)
}

fn label(outcome: TriedOutcome) -> &'static str {
    match outcome {
        TriedOutcome::Delivered => "delivered",
        TriedOutcome::Refused => "refused",
        TriedOutcome::NoAnswer => "no_answer",
        TriedOutcome::BadAddress => "bad_address",
    }
}

struct Function(Courier<Interactions, Configuration, System, World>);

/// A batch of jobs, or the schedule's tick. An event that is neither is an error: taken for a tick, the records of a
/// batch would be lost in silence.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Jobs(SqsEvent),
    Sweep {
        #[serde(rename = "detail-type")]
        _kind: serde::de::IgnoredAny,
    },
}

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let configuration = Configuration::from_env(aws, env)?;
        let outside = World {
            egress: Egress::from_env(env)?,
            queue: Queue::from_env(aws, env, "TRIGGER_QUEUE_URL")?,
            push: Queue::from_env(aws, env, "PUSH_QUEUE_URL")?,
            configuration: configuration.clone(),
        };
        Ok(Self(Courier { store: Interactions::from_env(aws, env)?, directory: configuration, world: System, outside }))
    }

    async fn handle(&self, event: LambdaEvent<Input>) -> Result<SqsBatchResponse, Error> {
        match event.payload {
            Input::Jobs(batch) => Ok(batch::consume(self, batch).await),
            Input::Sweep { .. } => {
                let due = self.0.sweep().await?;
                tracing::info!(event = "trigger.swept", due);
                Ok(SqsBatchResponse::default())
            }
        }
    }
}

impl Consumer for Function {
    type Job = TriggerJob;

    fn queue(&self) -> &Queue {
        &self.0.outside.queue
    }

    async fn consume(&self, job: TriggerJob, _: Delivery) -> Result<(), Failure> {
        self.0.carry_out(&job).await.map_err(|error| {
            tracing::error!(event = "trigger.failed", %error);
            Failure::Retry
        })
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Function::from_env, Function::handle).await
}

#[cfg(test)]
mod tests {
    use domain::fixtures;
    use domain::trigger::WhyDisabled;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_schedules_tick_is_a_sweep_and_a_batch_is_not() {
        let tick = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#;
        assert!(matches!(serde_json::from_str(tick).unwrap(), Input::Sweep { .. }));
        assert!(matches!(serde_json::from_str(r#"{"Records":[]}"#).unwrap(), Input::Jobs(_)));
        assert!(serde_json::from_str::<Input>(r#"{"Records":[{"body":7}]}"#).is_err(), "its records would be lost");
    }

    #[test]
    fn the_trail_says_that_the_service_switched_it_off_and_why_and_shows_no_key() {
        let disabled = Disabled { at: Timestamp::UNIX_EPOCH, why: WhyDisabled::Gone };
        let entry = entry(&fixtures::trigger(), 7, &disabled);
        let told = serde_json::to_value(&entry).unwrap();
        assert_eq!((&told["who"], told.get("role"), &told["version"]), (&"service".into(), None, &8.into()));
        assert_eq!(told["changes"][1]["after"]["why"], "gone");
        assert!(!told.to_string().contains("whsec_"), "{told}");
    }
}
