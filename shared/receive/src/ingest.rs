//! Stores and enqueues events that come from a webhook or were found at a provider.

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

/// Concurrent writes. A request of 1,000 events, at some milliseconds each, is stored in a fraction of a second.
const WRITES: usize = 32;

/// Stores events and enqueues them.
#[derive(Debug, Clone)]
pub struct Ingest {
    interactions: Interactions,
    inbound: Queue,
}

/// How many events of a request were stored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Events that were stored now.
    pub new: usize,
    /// Events that had been stored before.
    pub repeated: usize,
}

/// Some events may not be stored, so the provider must send the request again. All others are stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The table failed.
    #[error("the event could not be stored; please try again")]
    Port(#[from] PortError),
    /// The queue failed.
    #[error("the event could not be enqueued; please try again")]
    Queue(#[from] QueueError),
}

impl Ingest {
    /// Stores in this table and enqueues to this queue.
    pub fn new(interactions: Interactions, inbound: Queue) -> Self {
        Self { interactions, inbound }
    }

    /// Reads `INTERACTIONS_TABLE`, `CONFIG_TABLE` and `INBOUND_QUEUE_URL`.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self::new(Interactions::from_env(aws, env)?, Queue::from_env(aws, env, "INBOUND_QUEUE_URL")?))
    }

    /// Stores the events of one request, each by itself, then enqueues them in order for each customer. A repetition
    /// is enqueued too until it was routed, in case the first attempt crashed in between. If an event can't be stored, later events of
    /// the same customer are not enqueued, so that they can't overtake it. All other events are.
    ///
    /// # Errors
    /// The first failure. By then all other events are stored and enqueued.
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
                Ok(Received::Repeated { routed }) => {
                    kept.repeated += 1;
                    if routed {
                        continue;
                    }
                }
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

    /// Like [`Self::keep`], for events of which nearly all were routed long ago: a read first, at a tenth of a
    /// write's price, leaves those out.
    ///
    /// # Errors
    /// The table can't be read; otherwise as [`Self::keep`].
    pub async fn keep_unrouted(&self, mut events: Vec<Parsed>) -> Result<Kept, IngestError> {
        let routed = self.interactions.routed(events.iter().map(|parsed| &parsed.event)).await?;
        let found = events.len();
        events.retain(|Parsed { event, .. }| !routed.contains(&(event.account.clone(), event.id.clone())));
        let kept = self.keep(&events).await?;
        Ok(Kept { repeated: kept.repeated + found - events.len(), ..kept })
    }
}
