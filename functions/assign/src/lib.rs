//! The Lambda `assign`: the only place that decides which agents get which offers. It makes one decision at a time
//! for each target (the message group of `assign.fifo`).
//!
//! | input | result |
//! |---|---|
//! | a wake for a queue, an agent or an account | the interactions that wait there are offered, the longest wait first |
//! | a wake for an agent who became available | offers to all members of a queue ring there too; the agent's queues and accounts are woken |
//! | a wake for an agent whose queues or accounts changed | the same; interactions and offers of those that the agent left go on without the agent |
//! | more than 15 s of work, or a wake late in its batch | the rest goes on in the next invocation |
//! | the schedule | the sweep: it wakes every target with a waiting interaction, in case a wake was lost, and every target to which a configuration change owes a wake |
//! | a failing table or queue | the wake comes again after 1 s and more, for hours |
//! | a body that can't be parsed | it is set aside after some tries; the rest goes on |

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::function;
use cloud::queues::{Queue, SendOptions};
use domain::effect::{Audience, Target};
use domain::footprint::WaitingRow;
use domain::ids::AgentId;
use domain::interaction::Offer;
use domain::news::News;
use engine::jobs::{AssignJob, PushJob, Wakeup};
use engine::ports::{Store, System, World};
use engine::{Engine, EngineError, Released, Woken};
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use store::{Configuration, Interactions, OwedWakes};

/// A newer change may still be sending its own wakes. No request runs longer than this.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(60);

struct Assign {
    engine: Engine<Interactions, Configuration, System>,
    wakes: Queue,
    push: Queue,
    timers: Queue,
}

/// A batch of wakes, or the schedule's tick.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Wakes(SqsEvent),
    Sweep(serde::de::IgnoredAny),
}

/// Why a wake could not be carried out.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Queue(#[from] cloud::queues::QueueError),
}

impl Assign {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let engine = store::open_engine(aws, env)?;
        let queue = |name| Queue::from_env(aws, env, name);
        let wakes = queue("ASSIGN_QUEUE_URL")?.setting_aside(env.required("PARKED_QUEUE_URL")?);
        Ok(Self { engine, wakes, push: queue("PUSH_QUEUE_URL")?, timers: queue("TIMERS_QUEUE_URL")? })
    }

    async fn handle(&self, event: LambdaEvent<Input>) -> Result<SqsBatchResponse, Error> {
        match event.payload {
            Input::Wakes(batch) => Ok(batch::consume(self, batch).await),
            Input::Sweep(_) => {
                self.sweep(&event.context.request_id).await?;
                Ok(SqsBatchResponse::default())
            }
        }
    }

    async fn wake(&self, job: &AssignJob, delivery: &Delivery) -> Result<(), Failed> {
        let wake_id = delivery.message_id.as_str();
        if job.reconfigured {
            self.engine.directory.forget();
        }
        if let Some(agent) = job.reconfigured_agent() {
            let Released { interactions, unseen } = self.engine.release(agent).await?;
            tracing::info!(event = "assign.released", agent = %agent, interactions, unseen = unseen.len());
            self.withdraw(agent, &unseen, wake_id).await?;
            let again = Wakeup::Reconfigured { agent: agent.clone() };
            self.timers.send(&again, SendOptions::delayed(Wakeup::LOOKED_AT_AGAIN_SECONDS)).await?;
        }
        let woken = self.engine.wake(&job.target, job.reach()).await?;
        tracing::info!(
            event = "assign.woken",
            target = job.target.key(),
            rung = woken.rung,
            joined = woken.joined.len(),
            also = woken.also.len(),
            related = woken.related.len()
        );
        self.join(&job.target, &woken, wake_id).await?;
        // A wake that is delivered again finds other targets: under the ids of the first attempt, the queue would drop
        // them as repetitions.
        let attempt = delivery.receive_count;
        let next = job.then(&woken).into_iter().enumerate();
        Ok(self.wakes.send_batch(next.map(|(index, job)| wake_of(job, &format!("{wake_id}-{attempt}-{index}")))).await?)
    }

    /// Tells an agent who became available about the offers that already ring at all members of a queue.
    async fn join(&self, target: &Target, woken: &Woken, wake_id: &str) -> Result<(), Failed> {
        let Target::Agent(agent) = target else { return Ok(()) };
        for row in &woken.joined {
            let Some(Offer { id: offer, until, .. }) = row.offer.clone() else { continue };
            let key = &row.interaction;
            let Some(interaction) = self.engine.store.interaction(key).await.map_err(EngineError::from)? else { continue };
            let notification = self.engine.notification(&interaction).await?;
            let job = PushJob {
                id: format!("{wake_id}-{}", key.interaction),
                to: Audience::Agents(vec![agent.clone()]),
                account: None,
                news: News::Offered { interaction: Box::new(interaction), offer, until, notification },
            };
            let options = SendOptions::fifo(key.conversation.group(), job.id.clone());
            self.push.send(&job, options).await?;
        }
        Ok(())
    }

    /// Withdraws the offers that ring at a queue or an account from an agent who was taken off it.
    async fn withdraw(&self, agent: &AgentId, rows: &[WaitingRow], wake_id: &str) -> Result<(), Failed> {
        for WaitingRow { interaction: key, offer, .. } in rows {
            let Some(offer) = offer else { continue };
            let job = PushJob {
                id: format!("{wake_id}-{}-gone", key.interaction),
                to: Audience::Agents(vec![agent.clone()]),
                account: None,
                news: News::Withdrawn { interaction: key.interaction.clone(), offer: offer.id, taken_by: None },
            };
            self.push.send(&job, SendOptions::fifo(key.conversation.group(), job.id.clone())).await?;
        }
        Ok(())
    }

    /// Sends the wakes that are known to be owed, then searches for lost ones. A failure of one does not stop the
    /// other.
    async fn sweep(&self, id: &str) -> Result<(), Failed> {
        let paid = self.pay(id).await;
        let targets = self.engine.waiting_targets().await?;
        tracing::info!(event = "assign.swept", targets = targets.len());
        let wakes = targets
            .into_iter()
            .enumerate()
            .map(|(index, target)| wake_of(AssignJob { target, reconfigured: false, related: false }, &format!("sweep-{id}-{index}")));
        self.wakes.send_batch(wakes).await?;
        paid
    }

    /// Sends the wakes that configuration changes still owe.
    async fn pay(&self, id: &str) -> Result<(), Failed> {
        let before = cloud::ids::first_ulid_of(self.engine.world.now() - UNDER_WAY);
        for OwedWakes { id: owed, targets } in self.engine.directory.owed_wakes(&before.to_string()).await.map_err(EngineError::from)? {
            tracing::warn!(event = "assign.owed", targets = targets.len());
            let wakes = targets.into_iter().enumerate();
            let wakes = wakes.map(|(index, target)| wake_of(AssignJob::reconfigured(target), &format!("owed-{id}-{owed}-{index}")));
            self.wakes.send_batch(wakes).await?;
            self.engine.directory.wakes_sent(&owed).await.map_err(EngineError::from)?;
        }
        Ok(())
    }
}

fn wake_of(job: AssignJob, id: &str) -> (AssignJob, SendOptions) {
    let options = SendOptions::fifo(job.target.key(), id);
    (job, options)
}

impl Consumer for Assign {
    type Job = AssignJob;

    /// A wake takes 15 s and some more, and the function has 30 s.
    const LATEST_START: Option<Duration> = Some(Duration::from_secs(10));

    fn queue(&self) -> &Queue {
        &self.wakes
    }

    async fn consume(&self, job: AssignJob, delivery: Delivery) -> Result<(), Failure> {
        self.wake(&job, &delivery).await.map_err(|error| {
            tracing::error!(event = "assign.failed", target = job.target.key(), %error);
            Failure::Retry
        })
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Assign::from_env, Assign::handle).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedules_tick_is_a_sweep_and_a_batch_is_not() {
        let tick = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#;
        assert!(matches!(serde_json::from_str(tick).unwrap(), Input::Sweep(_)));
        assert!(matches!(serde_json::from_str(r#"{"Records":[]}"#).unwrap(), Input::Wakes(_)));
    }
}
