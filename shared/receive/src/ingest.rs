//! Stores and enqueues events that come from a webhook or were found at a provider.

use std::borrow::Cow;
use std::collections::HashSet;

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::queues::{Queue, QueueError, SendOptions};
use domain::inbound::{InboundEvent, InboundKind};
use engine::jobs::inbound_dedup;
use engine::ports::PortError;
use futures_util::future::join;
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

/// How many events of a request were kept. Statuses always count as new.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Events that were stored or enqueued now.
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

    /// Keeps the events of one request: statuses in the queue, all others in the table and in the queue.
    ///
    /// # Errors
    /// The first failure. By then all other events are stored and enqueued.
    pub async fn keep(&self, events: &[Parsed]) -> Result<Kept, IngestError> {
        let (statuses, others): (Vec<&Parsed>, Vec<&Parsed>) =
            events.iter().partition(|parsed| matches!(parsed.event.kind, InboundKind::Status(_)));
        // A failure of one kind keeps nothing from the other.
        let (statuses, others) = join(self.enqueue_statuses(&statuses), self.enqueue_and_store(&others)).await;
        let (statuses, others) = (statuses?, others?);
        Ok(Kept { new: statuses.new + others.new, repeated: statuses.repeated + others.repeated })
    }

    /// Enqueues statuses. They move a message only forwards, in any order and however often they come, so nothing
    /// needs to be remembered of them. Those that the queue does not take are stored, and the table's stream sends
    /// them.
    async fn enqueue_statuses(&self, statuses: &[&Parsed]) -> Result<Kept, IngestError> {
        let fits = |parsed: &&Parsed| matches!(parsed.event.queued(), Cow::Borrowed(_));
        let (short, mut left): (Vec<&Parsed>, Vec<&Parsed>) = statuses.iter().copied().partition(fits);
        if let Err(error) = self.enqueue(short.iter().map(|parsed| queued(parsed)).collect()).await {
            tracing::warn!(event = "receive.statuses_stored", %error, statuses = short.len());
            left.extend(short);
        }
        self.put(left.into_iter().map(|parsed| (parsed, false))).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        // Nothing tells whether one came before.
        Ok(Kept { new: statuses.len(), repeated: 0 })
    }

    /// Enqueues and stores events.
    ///
    /// A customer's message is enqueued first and stored then: once the queue has it, it will be routed, whatever
    /// happens here. If the queue refuses it, it is stored with the effect that enqueues it later. Everything else is
    /// stored first, since `route` reads or marks what is stored. If an event can't be stored, later events of the
    /// same customer are not enqueued here, so that they can't overtake it.
    async fn enqueue_and_store(&self, events: &[&Parsed]) -> Result<Kept, IngestError> {
        let mut kept = Kept::default();
        let mut failure = None;
        let first = events.iter().copied().filter(|parsed| !goes_first(&parsed.event));
        let mut stored = self.put(first.map(|parsed| (parsed, false))).await.into_iter();
        let mut held_back = HashSet::new();
        let mut jobs: Vec<(Cow<'_, InboundEvent>, SendOptions)> = Vec::new();
        // Messages, each with whether it is on its way to the queue.
        let mut messages: Vec<(&Parsed, bool)> = Vec::new();
        for parsed in events.iter().copied() {
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
                jobs.push(queued(parsed));
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

/// An event's job, with its group and its id.
fn queued(Parsed { event, .. }: &Parsed) -> (Cow<'_, InboundEvent>, SendOptions) {
    (event.queued(), SendOptions::fifo(event.group(), inbound_dedup(event)))
}

#[cfg(test)]
mod tests {
    use cloud::testing::Stub;
    use domain::inbound::StatusUpdate;
    use domain::message::DeliveryState;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn status(number: u32, reference: String) -> Parsed {
        let update = StatusUpdate {
            provider_id: format!("SM{number}"),
            reference: Some(reference),
            state: DeliveryState::Delivered,
            error: None,
            at: None,
            recipients: Vec::new(),
            charge: None,
        };
        let account = domain::fixtures::account().id;
        let event = InboundEvent::new(account, format!("SM{number}#delivered"), Timestamp::UNIX_EPOCH, InboundKind::Status(update));
        Parsed { event, raw: String::new(), number: None }
    }

    /// A table and a queue that answer, or refuse.
    async fn ingest(table: bool, queue: bool) -> (Stub, Ingest) {
        let stub = Stub::start(move |call| {
            let well = if call.operation.starts_with("AmazonSQS") { queue } else { table };
            let answer = match call.operation.as_str() {
                "AmazonSQS.SendMessageBatch" => json!({ "Successful": [], "Failed": [] }),
                "AmazonSQS.SendMessage" => json!({ "MessageId": "1", "MD5OfMessageBody": "" }),
                _ => json!({}),
            };
            Some(if well { (200, answer.to_string()) } else { (400, json!({ "__type": "AccessDenied" }).to_string()) })
        })
        .await;
        let interactions = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let env = Env::from_pairs([("INBOUND_QUEUE_URL", "http://127.0.0.1/inbound.fifo")]);
        let queue = Queue::from_env(&stub.aws, &env, "INBOUND_QUEUE_URL").unwrap();
        let ingest = Ingest::new(interactions, queue);
        (stub, ingest)
    }

    async fn calls(table: bool, queue: bool, statuses: &[Parsed]) -> (bool, Vec<String>) {
        let (stub, ingest) = ingest(table, queue).await;
        let kept = ingest.keep(statuses).await;
        let names = stub.calls().into_iter().map(|call| call.operation.rsplit('.').next().unwrap().to_owned());
        (kept.is_ok(), names.collect())
    }

    #[tokio::test]
    async fn a_webhook_of_statuses_makes_one_call() {
        let statuses: Vec<Parsed> = (0..10).map(|number| status(number, "r".to_owned())).collect();
        for (statuses, call) in [(&statuses[..1], "SendMessage"), (&statuses[..], "SendMessageBatch")] {
            assert_eq!(calls(true, true, statuses).await, (true, vec![call.to_owned()]));
        }
    }

    /// A customer's message.
    fn message() -> Parsed {
        let at = Timestamp::UNIX_EPOCH;
        let from = domain::fixtures::interaction(domain::interaction::Status::Open, at).address;
        let said = json!({ "provider_id": "SM1", "from": from, "content": domain::fixtures::message(at).content });
        let said = InboundKind::Message(serde_json::from_value(said).unwrap());
        let event = InboundEvent::new(domain::fixtures::account().id, "SM1".to_owned(), at, said);
        Parsed { event, raw: String::new(), number: None }
    }

    #[tokio::test]
    async fn a_message_is_in_the_queue_before_it_is_stored_and_a_failure_of_either_is_an_error() {
        let both = vec!["SendMessage".to_owned(), "PutItem".to_owned()];
        assert_eq!(calls(true, true, &[message()]).await, (true, both.clone()));
        assert_eq!(calls(false, true, &[message()]).await, (false, both.clone()));
        assert_eq!(calls(true, false, &[message()]).await, (false, both));
        // What the queue did not take is stored with the effect that enqueues it; what it took needs none.
        for (queue, effects) in [(true, json!(null)), (false, json!("route"))] {
            let (stub, ingest) = ingest(true, queue).await;
            ingest.keep(&[message()]).await.ok();
            let put = stub.calls().pop().unwrap().body;
            assert_eq!(put["Item"]["effects"]["L"][0]["M"]["effect"]["S"], effects);
        }
    }

    #[tokio::test]
    async fn a_status_that_the_queue_does_not_take_is_stored_with_its_effect_and_one_that_nothing_takes_is_an_error() {
        let statuses = [status(1, "r".to_owned())];
        let both = vec!["SendMessage".to_owned(), "PutItem".to_owned()];
        assert_eq!(calls(true, false, &statuses).await, (true, both.clone()));
        assert_eq!(calls(false, false, &statuses).await, (false, both));
        // Longer than the queue takes.
        let long = [status(2, "r".repeat(200_000))];
        assert_eq!(calls(false, true, &long).await, (false, vec!["PutItem".to_owned()]));
        let (stub, ingest) = ingest(true, false).await;
        for statuses in [&statuses, &long] {
            ingest.keep(statuses).await.unwrap();
            let put = stub.calls().pop().unwrap().body;
            assert_eq!(put["Item"]["effects"]["L"][0]["M"]["effect"]["S"], "route");
        }
    }
}
