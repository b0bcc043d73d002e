//! Stores and enqueues events that come from a webhook or were found at a provider.

use std::borrow::Cow;
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

impl Kept {
    /// Counts an event, and tells whether it was routed before.
    fn count(&mut self, received: &Received) -> bool {
        match received {
            Received::New => self.new += 1,
            Received::Repeated { .. } => self.repeated += 1,
        }
        *received == Received::Repeated { routed: true }
    }
}

/// Some events may not be stored or enqueued, so the provider must send the request again. All others are.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The table failed.
    #[error("the event could not be stored; please try again")]
    Port(#[from] PortError),
    /// The queue failed. What is stored is enqueued a moment later, also if the provider never sends it again.
    #[error("the event could not be enqueued; please try again")]
    Queue(#[from] QueueError),
}

/// Whether an event is enqueued before it is stored. Only a customer's message is recognised by what it leaves when it
/// is routed, and only a short one is not read from the table.
fn goes_first(event: &InboundEvent) -> bool {
    matches!((&event.kind, event.queued()), (InboundKind::Message(_), Cow::Borrowed(_)))
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

    /// Stores and enqueues the events of one request.
    ///
    /// A customer's message is enqueued first and stored then: once the queue has it, it will be routed, whatever
    /// happens here. If the queue refuses it, it is stored with the effect that enqueues it later. Everything else is
    /// stored first, since `route` reads or marks what is stored. If an event can't be stored, later events of the same
    /// customer are not enqueued here, so that they can't overtake it.
    ///
    /// # Errors
    /// The first failure. By then all other events are stored and enqueued.
    pub async fn keep(&self, events: &[Parsed]) -> Result<Kept, IngestError> {
        let mut kept = Kept::default();
        let mut failure = None;
        let mut stored =
            self.put(events.iter().filter(|parsed| !goes_first(&parsed.event)).map(|parsed| (parsed, false))).await.into_iter();
        let mut held_back = HashSet::new();
        let mut jobs: Vec<(Cow<'_, InboundEvent>, SendOptions)> = Vec::new();
        // Messages, each with whether it is on its way to the queue.
        let mut messages: Vec<(&Parsed, bool)> = Vec::new();
        for parsed in events {
            let group = parsed.event.group();
            let goes_first = goes_first(&parsed.event);
            if !goes_first {
                match stored.next() {
                    Some(Ok(received)) if !kept.count(&received) => {}
                    Some(Err(error)) => {
                        failure.get_or_insert(error);
                        held_back.insert(group);
                        continue;
                    }
                    // It was routed before.
                    Some(Ok(_)) | None => continue,
                }
            }
            let routed = !matches!(parsed.event.kind, InboundKind::Other { .. });
            let enqueued = routed && !held_back.contains(&group);
            if goes_first {
                messages.push((parsed, enqueued));
            }
            if enqueued {
                jobs.push((parsed.event.queued(), SendOptions::fifo(group, inbound_dedup(&parsed.event))));
            }
        }
        let sent = self.enqueue(jobs).await;
        for received in self.put(messages.into_iter().map(|(parsed, enqueued)| (parsed, enqueued && sent.is_ok()))).await {
            match received {
                Ok(received) => drop(kept.count(&received)),
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(sent.map(|()| kept)?),
        }
    }

    /// Stores events, each by itself, with whether it is enqueued already.
    async fn put<'a>(&self, events: impl Iterator<Item = (&'a Parsed, bool)>) -> Vec<Result<Received, PortError>> {
        let puts: Vec<_> = events.map(|(Parsed { event, raw, .. }, enqueued)| self.interactions.receive(event, raw, enqueued)).collect();
        stream::iter(puts).buffered(WRITES).collect().await
    }

    async fn enqueue(&self, mut jobs: Vec<(Cow<'_, InboundEvent>, SendOptions)>) -> Result<(), QueueError> {
        match jobs.pop() {
            Some((event, options)) if jobs.is_empty() => self.inbound.send(&*event, options).await,
            Some(last) => self.inbound.send_batch(jobs.into_iter().chain([last])).await,
            None => Ok(()),
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
