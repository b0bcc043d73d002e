//! The Lambda `route`: applies events of `inbound.fifo` and wake-ups of `timers` to their interaction.
//!
//! | input | result |
//! |---|---|
//! | an event | it joins or opens an interaction, moves its message on, or changes it |
//! | an event that is too long for the queue | it is read from the table first |
//! | an event about a message that is not there yet | it comes again, for some minutes; then it becomes a note in the thread, or nothing |
//! | a repeated event | nothing: a message left its provider id, other events are marked, a status moves nothing on |
//! | a timer that is due | it is applied to its interaction; a timer of a wait that is over changes nothing |
//! | a timer of an account that was deleted | nothing |
//! | a timer that comes early | it is held if it is due within a second, otherwise armed again |
//! | a failing table | the job comes again after 1 s and more, for hours |
//! | an account that does not exist, a body that can't be parsed | it is set aside after some tries; the rest goes on |

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cloud::aws::Aws;
use cloud::batch::{self, Failure};
use cloud::config::Env;
use cloud::function;
use cloud::queues::{Queue, SendOptions};
use cloud::timers::{Arrival, again, arrival};
use domain::agent::{Presence, PresenceState};
use domain::decide::{Event, Refusal};
use domain::effect::{InteractionKey, Timer};
use domain::ids::AgentId;
use domain::inbound::{InboundEvent, InboundKind};
use engine::jobs::Wakeup;
use engine::ports::{Idempotency, PortError, Store, System, World};
use engine::{Engine, EngineError, Told};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use store::{Configuration, Interactions};

/// The delays, in seconds, of an event whose message is not there yet. Most messages are there after the first
/// delay. Together the delays outlast the engine's patience (150 s), so a fifth try settles the event.
const WAITS: [u32; 4] = [5, 15, 45, 90];

fn wait(received: u32) -> u32 {
    let place = usize::try_from(received.saturating_sub(1)).unwrap_or(usize::MAX);
    WAITS.get(place).or(WAITS.last()).copied().unwrap_or_default()
}

/// The name of wake-ups in logs.
const TIMERS: &str = "timers";

struct Route {
    engine: Engine<Interactions, Configuration, System>,
    inbound: Queue,
    timers: Queue,
}

impl Route {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let engine = store::open_engine(aws, env)?;
        let parked = env.required("PARKED_QUEUE_URL")?;
        let queue = |name| Queue::from_env(aws, env, name).map(|queue| queue.setting_aside(parked));
        Ok(Self { engine, inbound: queue("INBOUND_QUEUE_URL")?, timers: queue("TIMERS_QUEUE_URL")? })
    }

    /// Events and wake-ups come on separate queues, told apart by name.
    async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let batch = event.payload;
        let of_timers = batch.records.iter().any(|record| record.event_source_arn.as_deref().is_some_and(|arn| !arn.ends_with(".fifo")));
        Ok(if of_timers {
            batch::each(batch, &self.timers, |wakeup, delivery| self.wakeup(wakeup, delivery.receive_count)).await
        } else {
            batch::each(batch, &self.inbound, |event, delivery| self.event(event, delivery.receive_count)).await
        })
    }

    async fn event(&self, event: InboundEvent, received: u32) -> Result<(), Failure> {
        let result = self.routed(&event).await;
        self.done(event.account.as_str(), result, received)
    }

    /// Routes an event, which is read from the table if it was too long for the queue.
    async fn routed(&self, event: &InboundEvent) -> Result<(), EngineError> {
        if event.kind != InboundKind::Stored {
            return self.engine.route(event).await;
        }
        let stored = self.engine.store.stored_event(&event.account, &event.id).await?.ok_or(EngineError::NotFound)?;
        self.engine.route(&stored).await
    }

    async fn wakeup(&self, wakeup: Wakeup, received: u32) -> Result<(), Failure> {
        let result = match &wakeup {
            Wakeup::Timer { interaction, at, which } => self.timer(&wakeup, interaction, *at, which).await,
            Wakeup::Missed { id, agent, limit } => self.engine.missed(agent, *limit, Idempotency::Command { id: id.clone() }).await,
            Wakeup::Lost { agent, connection, at } => self.lost(agent, connection, *at).await,
            Wakeup::Reconfigured { agent } => {
                self.engine.directory.forget();
                match self.engine.release(agent).await {
                    Ok(released) if released.unfinished => self.arm(&wakeup, self.engine.world.now()).await,
                    result => result.map(drop),
                }
            }
            Wakeup::Unify { contact, business } => self.engine.unify(contact, business.as_ref()).await,
            Wakeup::Withdraw { interaction, agent } => match self.engine.locate(interaction).await {
                Ok(key) => self.tell(&key, Event::AgentUnavailable { agent: agent.clone() }).await.map(|_| ()),
                Err(error) => Err(error),
            },
        };
        self.done(TIMERS, result, received)
    }

    async fn timer(&self, wakeup: &Wakeup, key: &InteractionKey, at: Timestamp, which: &Timer) -> Result<(), EngineError> {
        match arrival(at, self.engine.world.now()) {
            Arrival::Due => {}
            Arrival::Hold(left) => tokio::time::sleep(left).await,
            Arrival::Early => return self.arm(wakeup, at).await,
        }
        match self.tell(key, Event::Timer(which.clone())).await? {
            // The deadline was moved, or the clocks of two machines differ. The timer comes again at the right
            // time.
            Told::Refused(Refusal::Early(at), _) => self.arm(wakeup, at).await,
            _ => Ok(()),
        }
    }

    /// Logs out an agent who has had no connection since the lost one.
    async fn lost(&self, agent: &AgentId, connection: &str, at: Timestamp) -> Result<(), EngineError> {
        let (store, now) = (&self.engine.store, self.engine.world.now());
        store.disconnect(agent, connection).await?;
        if !store.is_gone(agent, at, now).await? {
            return Ok(());
        }
        let presence = store.presences(std::slice::from_ref(agent)).await?.remove(agent);
        let Some(presence) = presence.filter(Presence::logged_in) else { return Ok(()) };
        // An agent who logged in again meanwhile is present, with or without a connection.
        if presence.logged_in_at.is_some_and(|login| login > at) {
            return Ok(());
        }
        tracing::info!(event = "route.connection_lost", %agent);
        let mark = Idempotency::Command { id: format!("lost-{agent}-{}", at.as_millisecond()) };
        self.engine.set_presence(agent, PresenceState::LoggedOut, mark).await.map(drop)
    }

    /// Sends the wake-up again, as late as SQS can, until its time has come.
    async fn arm(&self, wakeup: &Wakeup, at: Timestamp) -> Result<(), EngineError> {
        let sent = self.timers.send(wakeup, SendOptions::delayed(again(at, self.engine.world.now()))).await;
        sent.map_err(|error| EngineError::Port(PortError { operation: "arm", reason: error.to_string() }))
    }

    async fn tell(&self, key: &InteractionKey, event: Event) -> Result<Told, EngineError> {
        self.engine.tell(key, event, Idempotency::Guarded).await
    }

    /// Settles jobs whose subject is gone. Any other failure is tried again.
    fn done(&self, subject: &str, result: Result<(), EngineError>, received: u32) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            // A deleted account has nothing open, so its timers have nothing to do.
            Err(EngineError::NoAccount(_)) if subject == TIMERS => {
                tracing::info!(event = "route.account_gone", subject);
                Ok(())
            }
            Err(EngineError::NotFound) => {
                tracing::warn!(event = "route.gone", subject);
                Ok(())
            }
            Err(EngineError::NotYet) => {
                tracing::info!(event = "route.not_yet", subject, received);
                Err(Failure::RetryAfter(wait(received)))
            }
            Err(error @ (EngineError::Port(_) | EngineError::Busy)) => {
                tracing::error!(event = "route.failed", subject, received, %error);
                Err(Failure::Retry)
            }
            Err(error @ EngineError::NoAccount(_)) => {
                tracing::error!(event = "route.no_account", subject, received, %error);
                Err(Failure::Hopeless)
            }
        }
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Route::from_env, Route::handle).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_waits_longer_for_its_message_each_time_and_outlasts_the_engines_patience() {
        assert_eq!([1, 2, 3, 4, 5, 99].map(wait), [5, 15, 45, 90, 90, 90]);
        assert_eq!(wait(0), 5);
        assert!(WAITS.iter().sum::<u32>() > 150);
    }
}
