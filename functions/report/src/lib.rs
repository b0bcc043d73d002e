//! The Lambda `report`: counts what happened to interactions, and adds it up by quarter-hours.
//!
//! | input | result |
//! |---|---|
//! | on `report`: a version of an interaction | its facts are kept, and a job is sent that adds up their quarter-hour 75 s later |
//! | on `report`: what an agent is up to | a line of the agent's timeline |
//! | on `rollup.fifo`: a quarter-hour of an account | its tallies are replaced by those that follow from its facts |
//! | the same again, late, or in another order | the same |
//! | a version or a message that was deleted | nothing is kept, but its quarter-hour is added up: a try that died may have kept it |
//! | a failing table or queue | the job comes again after 1 s and more |
//! | a body that can't be parsed | the dead-letter queue, after the queue's tries |

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::function;
use cloud::queues::{Queue, SendOptions};
use engine::jobs::{ReportJob, RollupJob};
use engine::reports;
use lambda_runtime::{Error, LambdaEvent};
use store::{Derived, Interactions};

/// The function's clients.
struct Function {
    interactions: Interactions,
    derived: Derived,
    versions: Queue,
    quarters: Queue,
}

/// Keeps the facts of versions.
struct Counter<'a>(&'a Function);

/// Adds up quarter-hours.
struct Adder<'a>(&'a Function);

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        Ok(Self {
            interactions: Interactions::from_env(aws, env)?,
            derived: Derived::from_env(aws, env)?,
            versions: Queue::from_env(aws, env, "REPORT_QUEUE_URL")?,
            quarters: Queue::from_env(aws, env, "ROLLUP_QUEUE_URL")?,
        })
    }

    async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let batch = event.payload;
        Ok(match adds_up(&batch) {
            true => batch::consume(&Adder(self), batch).await,
            false => batch::consume(&Counter(self), batch).await,
        })
    }
}

/// Whether a batch is of the queue of quarter-hours. All its records are of one queue.
fn adds_up(batch: &SqsEvent) -> bool {
    let source = batch.records.first().and_then(|record| record.event_source_arn.as_deref());
    source.is_some_and(|source| source.ends_with(".fifo"))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    tracing::error!(event = "report.failed", %error);
    Failure::Retry
}

impl Consumer for Counter<'_> {
    type Job = ReportJob;

    fn queue(&self) -> &Queue {
        &self.0.versions
    }

    async fn consume(&self, job: ReportJob, _: Delivery) -> Result<(), Failure> {
        let Function { interactions, derived, quarters, .. } = self.0;
        for job in reports::carry_out(interactions, derived, &job).await.map_err(failed)? {
            // After the facts were kept: a job that is dropped for an earlier one of the same minute finds them
            // counted.
            let options = SendOptions::fifo(job.group(), job.dedup(cloud::time::now()));
            quarters.send(&job, options).await.map_err(failed)?;
        }
        Ok(())
    }
}

impl Consumer for Adder<'_> {
    type Job = RollupJob;

    fn queue(&self) -> &Queue {
        &self.0.quarters
    }

    async fn consume(&self, RollupJob { account, quarter }: RollupJob, _: Delivery) -> Result<(), Failure> {
        reports::roll_up(&self.0.derived, &account, quarter).await.map_err(failed)
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
    use super::*;

    #[test]
    fn a_batch_is_told_apart_by_its_queue() {
        let of = |queue: &str| {
            let batch = serde_json::json!({ "Records": [{ "eventSourceARN": format!("arn:aws:sqs:eu-south-1:1:{queue}"), "attributes": {}, "messageAttributes": {} }] });
            adds_up(&serde_json::from_value(batch).unwrap())
        };
        assert!(of("dev-RollupQueue-A.fifo") && !of("dev-ReportQueue-A"));
    }
}
