//! The Lambda `assign`: the only place that decides which agents get which offers. It makes one decision at a time
//! for each target (the message group of `assign.fifo`).
//!
//! | input | result |
//! |---|---|
//! | a wake for a queue, an agent or an account | the interactions that wait there are offered, the longest wait first |
//! | a wake for an agent who became available | offers to all members of a queue ring there too; the agent's queues and accounts are woken |
//! | a wake for an agent whose queues or accounts changed | the same; interactions and offers of those that the agent left go on without the agent |
//! | more than 15 s of work, or a wake late in its batch | the rest goes on in the next invocation, where this one ended |
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
use engine::{Engine, EngineError, Released, Swept, Woken};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use store::{Configuration, Interactions, OwedWakes};

/// A newer change may still be sending its own wakes. No request runs longer than this.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(60);

/// How many interactions are read at once for an agent who joins their offers.
const AT_ONCE: usize = 16;

struct Assign {
    engine: Engine<Interactions, Configuration, System>,
    wakes: Queue,
    push: Queue,
    timers: Queue,
}

/// The message group of the rests of sweeps.
const SWEEP: &str = "sweep";

/// A batch of wakes, or the schedule's tick. An event that is neither is an error: taken for a tick, the records of a
/// batch would be lost in silence.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Wakes(SqsEvent),
    Sweep {
        #[serde(rename = "detail-type")]
        _kind: serde::de::IgnoredAny,
    },
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
            Input::Sweep { .. } => {
                self.sweep(&event.context.request_id).await?;
                Ok(SqsBatchResponse::default())
            }
        }
    }

    async fn wake(&self, job: &AssignJob, delivery: &Delivery) -> Result<(), Failed> {
        if job.reconfigured {
            self.engine.directory.forget();
        }
        if let Some(agent) = job.reconfigured_agent() {
            let Released { interactions, unseen, unfinished } = self.engine.release(agent).await?;
            tracing::info!(event = "assign.released", agent = %agent, interactions, unseen = unseen.len(), unfinished);
            self.withdraw(agent, &unseen, delivery).await?;
            if unfinished {
                return self.send(vec![job.clone()], delivery).await;
            }
            let again = Wakeup::Reconfigured { agent: agent.clone() };
            self.timers.send(&again, SendOptions::delayed(Wakeup::LOOKED_AT_AGAIN_SECONDS)).await?;
        }
        let woken = self.engine.wake_after(&job.target, job.reach(), job.after.as_ref()).await?;
        tracing::info!(
            event = "assign.woken",
            target = job.target.key(),
            rung = woken.rung,
            joined = woken.joined.len(),
            also = woken.also.len(),
            related = woken.related.len()
        );
        self.join(&job.target, &woken, delivery).await?;
        self.send(job.then(&woken), delivery).await
    }

    /// Sends the jobs that follow from a job.
    async fn send(&self, jobs: Vec<AssignJob>, Delivery { message_id, receive_count, .. }: &Delivery) -> Result<(), Failed> {
        // A job that is delivered again leads to others: under the ids of the first attempt, the queue would drop
        // them as repetitions.
        let ids = |(index, job)| wake_of(job, &format!("{message_id}-{receive_count}-{index}"));
        Ok(self.wakes.send_batch(jobs.into_iter().enumerate().map(ids)).await?)
    }

    /// Tells an agent who became available about the offers that already ring at all members of a queue.
    async fn join(&self, target: &Target, woken: &Woken, wake: &Delivery) -> Result<(), Failed> {
        let Target::Agent(agent) = target else { return Ok(()) };
        let jobs = stream::iter(&woken.joined).map(|row| self.joins(agent, row, wake));
        let jobs: Vec<Option<_>> = jobs.buffered(AT_ONCE).try_collect().await?;
        Ok(self.push.send_batch(jobs.into_iter().flatten()).await?)
    }

    async fn joins(&self, agent: &AgentId, row: &WaitingRow, wake: &Delivery) -> Result<Option<(PushJob, SendOptions)>, Failed> {
        let Some(Offer { id: offer, until, .. }) = row.offer.clone() else { return Ok(None) };
        let key = &row.interaction;
        let Some(interaction) = self.engine.store.interaction(key).await.map_err(EngineError::from)? else { return Ok(None) };
        let notification = self.engine.notification(&interaction).await?;
        let job = PushJob {
            id: format!("{}-{}", wake.message_id, key.interaction),
            // A wake that is delivered again sends the same id.
            committed_at: wake.sent_at,
            to: Audience::Agents(vec![agent.clone()]).into(),
            account: None,
            news: News::Offered { interaction: Box::new(interaction), offer, until, notification },
        };
        let options = SendOptions::fifo(key.conversation.group(), job.id.clone());
        Ok(Some((job, options)))
    }

    /// Withdraws the offers that ring at a queue or an account from an agent who was taken off it.
    async fn withdraw(&self, agent: &AgentId, rows: &[WaitingRow], wake: &Delivery) -> Result<(), Failed> {
        let jobs = rows.iter().filter_map(|WaitingRow { interaction: key, offer, .. }| {
            let job = PushJob {
                id: format!("{}-{}-gone", wake.message_id, key.interaction),
                committed_at: wake.sent_at,
                to: Audience::Agents(vec![agent.clone()]).into(),
                account: None,
                news: News::Withdrawn { interaction: key.interaction.clone(), offer: offer.as_ref()?.id, taken_by: None },
            };
            let options = SendOptions::fifo(key.conversation.group(), job.id.clone());
            Some((job, options))
        });
        Ok(self.push.send_batch(jobs).await?)
    }

    /// Sends the wakes that are known to be owed, then searches for lost ones. A failure of one does not stop the
    /// other.
    async fn sweep(&self, id: &str) -> Result<(), Failed> {
        let paid = self.pay(id).await;
        self.sweep_after(None, id).await.and(paid)
    }

    /// Wakes the targets behind `after` for which something waits. What there is no time for is left to another job.
    async fn sweep_after(&self, after: Option<&Target>, id: &str) -> Result<(), Failed> {
        let Swept { targets, until } = self.engine.waiting_targets(after).await?;
        tracing::info!(event = "assign.swept", targets = targets.len(), unfinished = until.is_some());
        let jobs = targets.into_iter().map(AssignJob::wake).chain(until.map(AssignJob::rest_of_sweep));
        let ids = |(index, job)| wake_of(job, &format!("sweep-{id}-{index}"));
        Ok(self.wakes.send_batch(jobs.enumerate().map(ids)).await?)
    }

    /// Sends the wakes that configuration changes still owe, and tells the screens that show them.
    async fn pay(&self, id: &str) -> Result<(), Failed> {
        let before = cloud::ids::first_ulid_of(self.engine.world.now() - UNDER_WAY);
        for OwedWakes { id: owed, targets, screens } in
            self.engine.directory.owed_wakes(&before.to_string()).await.map_err(EngineError::from)?
        {
            tracing::warn!(event = "assign.owed", targets = targets.len());
            let wakes = targets.into_iter().enumerate();
            let wakes = wakes.map(|(index, target)| wake_of(AssignJob::reconfigured(target), &format!("owed-{id}-{owed}-{index}")));
            self.wakes.send_batch(wakes).await?;
            if let Some(screens) = screens {
                let job = PushJob::configuration(&owed, screens);
                let options = SendOptions::fifo(PushJob::CONFIGURATION, job.id.clone());
                self.push.send(&job, options).await?;
            }
            self.engine.directory.wakes_sent(&owed).await.map_err(EngineError::from)?;
        }
        Ok(())
    }
}

fn wake_of(job: AssignJob, id: &str) -> (AssignJob, SendOptions) {
    // The rest of a sweep does not hold up the wakes of the target that it begins behind.
    let group = if job.sweep { SWEEP } else { job.target.key() };
    let options = SendOptions::fifo(group, id);
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
        let done = match job.sweep {
            true => self.sweep_after(Some(&job.target), &format!("{}-{}", delivery.message_id, delivery.receive_count)).await,
            false => self.wake(&job, &delivery).await,
        };
        done.map_err(|error| {
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
        assert!(matches!(serde_json::from_str(tick).unwrap(), Input::Sweep { .. }));
        assert!(matches!(serde_json::from_str(r#"{"Records":[]}"#).unwrap(), Input::Wakes(_)));
        assert!(serde_json::from_str::<Input>(r#"{"Records":[{"body":7}]}"#).is_err(), "its records would be lost");
    }
}
