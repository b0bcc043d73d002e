//! What was read in a webhook, or found at a provider, is stored and enqueued.

use std::collections::HashSet;

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::queues::{Queue, QueueError, SendOptions};
use domain::inbound::{InboundEvent, InboundKind};
use engine::jobs::inbound_dedup;
use engine::ports::PortError;
use futures_util::{StreamExt, stream};
use providers::Parsed;
use store::{Interactions, Received};

/// Writes under way at once: a request of 1,000 events, at some milliseconds each, is stored in a fraction of a second.
const WRITES: usize = 32;

/// Stores events and enqueues them.
#[derive(Debug, Clone)]
pub struct Ingest {
    interactions: Interactions,
    inbound: Queue,
}

/// What became of the events of a request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Stored now.
    pub new: usize,
    /// Stored before.
    pub repeated: usize,
}

/// Some events are not certain to be kept: the provider must come again. The others are.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The table failed.
    #[error("it could not be stored; please come again")]
    Port(#[from] PortError),
    /// The queue failed.
    #[error("it could not be enqueued; please come again")]
    Queue(#[from] QueueError),
}

impl Ingest {
    /// Over its table and its queue.
    pub fn new(interactions: Interactions, inbound: Queue) -> Self {
        Self { interactions, inbound }
    }

    /// Reads `INTERACTIONS_TABLE`, `CONFIG_TABLE` and `INBOUND_QUEUE_URL`.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let interactions = Interactions::new(aws.dynamodb(), env.required("INTERACTIONS_TABLE")?, env.required("CONFIG_TABLE")?);
        Ok(Self::new(interactions, Queue::from_env(aws, env, "INBOUND_QUEUE_URL")?))
    }

    /// Stores the events of one request, each for itself, then enqueues them, each customer's in order. Repetitions are enqueued too: that completes what a
    /// crashed first attempt left undone. When one can't be stored, later ones of the same customer are not enqueued here, so that they can't overtake it;
    /// all others are.
    ///
    /// # Errors
    /// The first failure, after everything that could be done was.
    pub async fn keep(&self, events: &[Parsed]) -> Result<Kept, IngestError> {
        let puts: Vec<_> = events.iter().map(|parsed| self.interactions.receive(&parsed.event, &parsed.raw)).collect();
        let puts: Vec<Result<Received, PortError>> = stream::iter(puts).buffered(WRITES).collect().await;
        let mut kept = Kept::default();
        let mut failure = None;
        let mut held_back = HashSet::new();
        let mut jobs: Vec<(&InboundEvent, SendOptions)> = Vec::new();
        for (parsed, put) in events.iter().zip(puts) {
            let group = parsed.event.group();
            match put {
                Ok(Received::New) => kept.new += 1,
                Ok(Received::Repeated) => kept.repeated += 1,
                Err(error) => {
                    failure.get_or_insert(error);
                    held_back.insert(group);
                    continue;
                }
            }
            let routed = !matches!(parsed.event.kind, InboundKind::Other { .. });
            if routed && !held_back.contains(&group) {
                jobs.push((&parsed.event, SendOptions::fifo(group, inbound_dedup(&parsed.event))));
            }
        }
        match jobs.pop() {
            Some((event, options)) if jobs.is_empty() => self.inbound.send(event, options).await?,
            Some(last) => self.inbound.send_batch(jobs.into_iter().chain([last])).await?,
            None => {}
        }
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(kept),
        }
    }
}
