//! The Lambda `route`: events of `inbound.fifo` and wake-ups of `timers` meet their interaction.
//!
//! | input | what happens |
//! |---|---|
//! | an event | it joins or opens an interaction, or moves its message on |
//! | the same event again | nothing: its item is marked |
//! | a timer that is due | it is told; one that refers to something that is over changes nothing |
//! | a timer that comes early | held when it is due within a second, else armed again |
//! | a body that can't be parsed | the dead-letter queue, after the retries; the rest goes on |

use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use cloud::aws::Aws;
use cloud::batch::{self, Failure};
use cloud::config::Env;
use cloud::queues::{Queue, SendOptions};
use cloud::timers::{Arrival, arrival};
use domain::decide::{Event, Refusal};
use domain::effect::{InteractionKey, Timer};
use domain::inbound::InboundEvent;
use engine::jobs::Wakeup;
use engine::ports::{Mark, PortError, System, World};
use engine::{Engine, EngineError, Told};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use store::{Configuration, Interactions};

/// SQS's longest delay, in seconds. Schedules wake two minutes before their deadline, so one delay covers the rest.
const LONGEST_DELAY: i64 = 900;

struct Route {
    engine: Engine<Interactions, Configuration, System>,
    inbound: Queue,
    timers: Queue,
}

impl Route {
    async fn event(&self, event: InboundEvent) -> Result<(), Failure> {
        let result = self.engine.route(&event).await;
        self.done(event.account.as_str(), result)
    }

    async fn wakeup(&self, wakeup: Wakeup) -> Result<(), Failure> {
        let result = match &wakeup {
            Wakeup::Timer { interaction, at, which } => self.timer(&wakeup, interaction, *at, which).await,
            Wakeup::Missed { id, agent, limit } => self.engine.missed(agent, *limit, Mark::Command { id: id.clone() }).await,
            Wakeup::Withdraw { interaction, agent } => match self.engine.locate(interaction).await {
                Ok(key) => self.tell(&key, Event::AgentUnavailable { agent: agent.clone() }).await.map(|_| ()),
                Err(error) => Err(error),
            },
        };
        self.done("timers", result)
    }

    async fn timer(&self, wakeup: &Wakeup, key: &InteractionKey, at: Timestamp, which: &Timer) -> Result<(), EngineError> {
        match arrival(at, self.engine.world.now()) {
            Arrival::Due => {}
            Arrival::Hold(left) => tokio::time::sleep(left).await,
            Arrival::Early => return self.arm(wakeup, at).await,
        }
        match self.tell(key, Event::Timer(which.clone())).await? {
            // The deadline was moved, or the clocks of two machines differ: it comes again when the time has come.
            Told::Refused(Refusal::Early(at), _) => self.arm(wakeup, at).await,
            _ => Ok(()),
        }
    }

    /// Lets the wake-up come again, as late as SQS can, until its time has come.
    async fn arm(&self, wakeup: &Wakeup, at: Timestamp) -> Result<(), EngineError> {
        let left = at.duration_since(self.engine.world.now()).as_secs().clamp(0, LONGEST_DELAY);
        let sent = self.timers.send(wakeup, SendOptions::delayed(u32::try_from(left).unwrap_or(0))).await;
        sent.map_err(|error| EngineError::Port(PortError { operation: "arm", reason: error.to_string() }))
    }

    async fn tell(&self, key: &InteractionKey, event: Event) -> Result<Told, EngineError> {
        self.engine.tell(key, event, Mark::Guarded).await
    }

    /// What is gone is settled; anything else is tried again, and ends in the dead-letter queue if it never works.
    fn done(&self, subject: &str, result: Result<(), EngineError>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(EngineError::NotFound) => {
                tracing::warn!(event = "route.gone", subject);
                Ok(())
            }
            Err(error @ (EngineError::Port(_) | EngineError::Busy | EngineError::NoAccount(_))) => {
                tracing::error!(event = "route.failed", subject, %error);
                Err(Failure::Retry)
            }
        }
    }
}

/// Events and wake-ups come on queues of their own; their names tell which.
async fn handle(route: Arc<Route>, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    let batch = event.payload;
    let of_timers = batch.records.iter().any(|record| record.event_source_arn.as_deref().is_some_and(|arn| !arn.ends_with(".fifo")));
    Ok(if of_timers {
        batch::each(batch, &route.timers, |wakeup: Wakeup, _| {
            let route = route.clone();
            async move { route.wakeup(wakeup).await }
        })
        .await
    } else {
        batch::each(batch, &route.inbound, |event: InboundEvent, _| {
            let route = route.clone();
            async move { route.event(event).await }
        })
        .await
    })
}

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    let aws = Aws::new(&env)?;
    let config_table = env.required("CONFIG_TABLE")?;
    let store = Interactions::new(aws.dynamodb(), env.required("INTERACTIONS_TABLE")?, config_table);
    let engine = Engine { store, directory: Configuration::new(aws.dynamodb(), config_table), world: System };
    let queue = |name| Queue::from_env(&aws, &env, name);
    let route = Arc::new(Route { engine, inbound: queue("INBOUND_QUEUE_URL")?, timers: queue("TIMERS_QUEUE_URL")? });
    lambda_runtime::run(service_fn(move |event| handle(route.clone(), event))).await
}
