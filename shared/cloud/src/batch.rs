//! The one way in which consumers of SQS work: parse each record, handle it by itself, report the failed ones.
//!
//! What happens to a record:
//! - handled: it leaves the queue;
//! - the handler asks for a retry: it comes back, later each time, and goes to the dead-letter queue after too many
//!   tries;
//! - its body can't be read, or the handler panics or sees no hope: the same, with one log line that names the
//!   message and not its content, but a queue whose records may come back for hours sets it aside after a few
//!   tries;
//! - on a FIFO queue, the following records of the same group come back too, so that order holds.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use serde::de::DeserializeOwned;

use crate::aws::Aws;
use crate::config::Env;
use crate::envelope::Envelope;
use crate::function;
use crate::queues::{Queue, QueueError};
use crate::telemetry::{self, Metric};

/// The delivery of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// SQS's id of the message.
    pub message_id: String,
    /// The handle that changes its visibility.
    pub receipt_handle: String,
    /// How often it was received, from 1.
    pub receive_count: u32,
    /// Its message group, if it has one.
    pub group: Option<String>,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
}

/// A record is not done. The handler has logged the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A passing failure: it comes back after a delay that grows with its tries (see [`wait`]).
    Retry,
    /// The same after this many seconds, 0 to 43200.
    RetryAfter(u32),
    /// Nothing failed, but its time has not come: it comes back after this many seconds, 0 to 43200.
    Wait(u32),
    /// It fails until somebody repairs something, like a body that can't be read.
    Hopeless,
}

/// The longest delay between two tries, in seconds. After an outage nobody waits longer, and the thousand tries
/// that SQS allows last for 16 hours.
const LONGEST_WAIT: u32 = 60;

/// The delay after the try `received`, in seconds: 1, 2, 4, up to a minute. One failed call must not make a
/// customer wait for the queue's visibility timeout, which is meant for a function that died. Many tries don't help
/// a service that is down.
pub fn wait(received: u32) -> u32 {
    2_u32.saturating_pow(received.saturating_sub(1)).min(LONGEST_WAIT)
}

/// The queue of the records.
pub trait Source {
    /// Whether it keeps the order of groups.
    fn is_fifo(&self) -> bool;

    /// Makes received messages invisible for `seconds` from now.
    fn hide(&self, receipt_handles: &[&str], seconds: u32) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Counts records that failed and come back: more than 0.
    fn count_failed(&self, count: usize);

    /// Sets aside a body that can never work, if this queue's redrive would come too late. Returns whether it did.
    fn set_aside(&self, _body: &str, _delivery: &Delivery) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }
}

/// How often a record that can never work is tried before it is set aside. With the delays of [`wait`] that takes
/// four minutes, in which its group waits. A deployment with the reader that it needs may be under way.
const HOPELESS_TRIES: u32 = 10;

impl Source for Queue {
    fn is_fifo(&self) -> bool {
        Queue::is_fifo(self)
    }

    async fn hide(&self, receipt_handles: &[&str], seconds: u32) -> Result<(), QueueError> {
        self.change_visibility(receipt_handles, seconds).await
    }

    /// Lambda counts a batch with failed records as a success, and the age of a standard queue's oldest record
    /// leaves out those that came three times. This metric is what tells that records fail on every try.
    fn count_failed(&self, count: usize) {
        telemetry::count(Metric::FailedItems, self.name(), count);
    }

    async fn set_aside(&self, body: &str, Delivery { message_id, receive_count, group, .. }: &Delivery) -> bool {
        if *receive_count < HOPELESS_TRIES {
            return false;
        }
        match self.park(body, group.as_deref()).await {
            None => false,
            Some(Ok(())) => {
                tracing::error!(event = "batch.set_aside", message_id, receive_count);
                true
            }
            Some(Err(error)) => {
                tracing::error!(event = "batch.not_set_aside", message_id, %error);
                false
            }
        }
    }
}

/// Passes each record's job to `handler` and returns the failed ones. Records of a standard queue are handled
/// concurrently. On a FIFO queue, groups are handled concurrently, and each group in order, up to its first
/// failure.
pub async fn each<T, F, Fut>(event: SqsEvent, source: &impl Source, handler: F) -> SqsBatchResponse
where
    T: DeserializeOwned,
    F: Fn(T, Delivery) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let groups = group(event.records, source.is_fifo());
    let failed = join_all(groups.into_iter().map(|records| in_order(records, source, &handler))).await;
    let failures = failed.iter().filter(|group| group.failed).count();
    if failures > 0 {
        source.count_failed(failures);
    }
    let mut failed: Vec<(usize, String)> = failed.into_iter().flat_map(|group| group.back).collect();
    failed.sort();
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed.into_iter().map(|(_, id)| id));
    response
}

/// A function that consumes one queue.
pub trait Consumer {
    /// The content of the queue's records.
    type Job: DeserializeOwned;

    /// No job begins later than this after its batch came. It comes back at once and is handled in another batch.
    const LATEST_START: Option<Duration> = None;

    /// The queue.
    fn queue(&self) -> &Queue;

    /// Handles a job.
    fn consume(&self, job: Self::Job, delivery: Delivery) -> impl Future<Output = Result<(), Failure>>;
}

/// Handles a batch of the consumer's queue.
pub async fn consume<C: Consumer>(consumer: &C, batch: SqsEvent) -> SqsBatchResponse {
    let began = Instant::now();
    let response = each(batch, consumer.queue(), |job, delivery| async move {
        if C::LATEST_START.is_some_and(|latest| began.elapsed() > latest) {
            return Err(Failure::Wait(0));
        }
        consumer.consume(job, delivery).await
    });
    response.await
}

/// Runs a Lambda that does nothing but consume its queue.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run<C: Consumer>(open: impl FnOnce(&Aws, &Env) -> Result<C, Error>) -> Result<(), Error> {
    function::run(open, async |consumer: &C, event: LambdaEvent<SqsEvent>| Ok(consume(consumer, event.payload).await)).await
}

/// A record and its place in the batch.
type Record = (usize, SqsMessage);

/// The records that must be handled one after the other. A record of a FIFO queue without a group, which does not
/// exist, would share the nameless group.
fn group(records: Vec<SqsMessage>, fifo: bool) -> Vec<Vec<Record>> {
    let mut groups: Vec<(Option<String>, Vec<Record>)> = Vec::new();
    for record in records.into_iter().enumerate() {
        let name = group_of(&record.1);
        match groups.iter_mut().find(|(other, _)| fifo && *other == name) {
            Some((_, members)) => members.push(record),
            None => groups.push((name, vec![record])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn group_of(record: &SqsMessage) -> Option<String> {
    record.attributes.get("MessageGroupId").cloned()
}

/// What is left of a group.
#[derive(Default)]
struct Left {
    /// The records that come back, each with its place and its id.
    back: Vec<(usize, String)>,
    /// Whether the first of them failed. Otherwise it waits.
    failed: bool,
}

async fn in_order<T, F, Fut>(records: Vec<Record>, source: &impl Source, handler: &F) -> Left
where
    T: DeserializeOwned,
    F: Fn(T, Delivery) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    for (done, (_, record)) in records.iter().enumerate() {
        let delivery = delivery_of(record);
        let Err(failure) = one(record, &delivery, handler).await else { continue };
        let seconds = match failure {
            Failure::RetryAfter(seconds) | Failure::Wait(seconds) => seconds,
            Failure::Hopeless if source.set_aside(body_of(record), &delivery).await => continue,
            Failure::Retry | Failure::Hopeless => wait(delivery.receive_count),
        };
        let left = &records[done..];
        // The rest of the group too: while any of it is invisible, SQS delivers nothing of the group.
        let handles: Vec<&str> = left.iter().filter_map(|(_, record)| record.receipt_handle.as_deref()).collect();
        if let Err(error) = source.hide(&handles, seconds).await {
            tracing::warn!(event = "batch.visibility_not_changed", message_id = record.message_id, %error);
        }
        let back = left.iter().map(|(index, record)| (*index, record.message_id.clone().unwrap_or_default())).collect();
        return Left { back, failed: !matches!(failure, Failure::Wait(_)) };
    }
    Left::default()
}

fn body_of(record: &SqsMessage) -> &str {
    record.body.as_deref().unwrap_or_default()
}

fn delivery_of(record: &SqsMessage) -> Delivery {
    Delivery {
        message_id: record.message_id.clone().unwrap_or_default(),
        receipt_handle: record.receipt_handle.clone().unwrap_or_default(),
        receive_count: number_of(record, "ApproximateReceiveCount").unwrap_or(1),
        group: group_of(record),
        sent_at: number_of(record, "SentTimestamp").and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    }
}

fn number_of<N: std::str::FromStr>(record: &SqsMessage, attribute: &str) -> Option<N> {
    record.attributes.get(attribute)?.parse().ok()
}

async fn one<T, F, Fut>(record: &SqsMessage, delivery: &Delivery, handler: &F) -> Result<(), Failure>
where
    T: DeserializeOwned,
    F: Fn(T, Delivery) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let Delivery { message_id, receive_count, .. } = delivery;
    let job = Envelope::<T>::parse(body_of(record)).map_err(|poison| {
        tracing::error!(event = "batch.poison", message_id, receive_count, error = %poison);
        Failure::Hopeless
    })?;
    // A panic fails its own record, not the batch. Its message may quote the job, so it is not logged (see
    // `telemetry::init`).
    let outcome = AssertUnwindSafe(async { handler(job, delivery.clone()).await }).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        tracing::error!(event = "batch.panic", message_id, receive_count);
        Err(Failure::Hopeless)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct FakeQueue {
        fifo: bool,
        aside: Mutex<Vec<String>>,
        sets_aside: bool,
        hidden: Mutex<Vec<(Vec<String>, u32)>>,
        counted: Mutex<Vec<usize>>,
        broken: bool,
    }

    impl Source for FakeQueue {
        fn is_fifo(&self) -> bool {
            self.fifo
        }

        async fn hide(&self, receipt_handles: &[&str], seconds: u32) -> Result<(), QueueError> {
            self.hidden.lock().unwrap().push((receipt_handles.iter().map(|handle| (*handle).to_owned()).collect(), seconds));
            if self.broken { Err(QueueError::Encode) } else { Ok(()) }
        }

        fn count_failed(&self, count: usize) {
            self.counted.lock().unwrap().push(count);
        }

        async fn set_aside(&self, body: &str, delivery: &Delivery) -> bool {
            assert_eq!(delivery.receive_count, 3);
            self.aside.lock().unwrap().push(body.to_owned());
            self.sets_aside
        }
    }

    #[tokio::test]
    async fn a_poisoned_body_that_was_set_aside_lets_its_group_go_on() {
        let queue = FakeQueue { sets_aside: true, ..fifo() };
        let (response, seen) = run(event(&[("1", "a", "poison"), ("2", "a", &job("ok"))]), &queue).await;
        assert!(failed(&response).is_empty());
        assert_eq!(seen, ["ok"]);
        assert_eq!(*queue.aside.lock().unwrap(), ["poison"]);
    }

    #[tokio::test]
    async fn a_panic_or_a_hopeless_record_is_set_aside_like_poison_but_other_failures_are_not() {
        let queue = FakeQueue { sets_aside: true, ..fifo() };
        let records = event(&[("1", "a", &job("panic")), ("2", "a", &job("hopeless")), ("3", "a", &job("ok")), ("4", "a", &job("bad"))]);
        let (response, seen) = run(records, &queue).await;
        assert_eq!(failed(&response), ["4"]);
        assert_eq!(seen, ["panic", "hopeless", "ok", "bad"]);
        assert_eq!(*queue.aside.lock().unwrap(), [job("panic"), job("hopeless")]);
    }

    #[tokio::test]
    async fn failed_records_are_counted_once_for_a_batch_without_those_that_wait_or_follow() {
        let queue = fifo();
        let records = [("1", "a", "poison"), ("2", "a", &job("ok")), ("3", "b", &job("waits")), ("4", "c", &job("later"))];
        let (response, _) = run(event(&records), &queue).await;
        assert_eq!(failed(&response), ["1", "2", "3", "4"]);
        assert_eq!(*queue.counted.lock().unwrap(), [2]);
        assert!(queue.hidden.lock().unwrap().contains(&(vec!["handle-3".to_owned()], 5)));
    }

    #[tokio::test]
    async fn a_batch_without_failures_counts_nothing() {
        let queue = FakeQueue { sets_aside: true, ..fifo() };
        run(event(&[("1", "a", &job("ok")), ("2", "b", &job("waits")), ("3", "c", "poison")]), &queue).await;
        assert!(queue.counted.lock().unwrap().is_empty(), "what was set aside has an alarm of its own");
    }

    #[test]
    fn a_second_try_comes_after_a_second_and_a_thousand_outlast_hours() {
        assert_eq!([0, 1, 2, 3, 6, 7, 8, 1000].map(wait), [1, 1, 2, 4, 32, 60, 60, 60]);
        assert!((1..1000).map(wait).sum::<u32>() > 16 * 3600);
    }

    #[tokio::test]
    async fn a_failed_record_comes_back_later_each_time() {
        for (source, body) in [(FakeQueue::default(), job("bad")), (fifo(), job("panic")), (fifo(), "poison".to_owned())] {
            run(event(&[("1", "a", &body)]), &source).await;
            assert_eq!(*source.hidden.lock().unwrap(), [(vec!["handle-1".to_owned()], wait(3))]);
        }
    }

    fn fifo() -> FakeQueue {
        FakeQueue { fifo: true, ..FakeQueue::default() }
    }

    /// Records `(message id, group, body)`.
    fn event(records: &[(&str, &str, &str)]) -> SqsEvent {
        let records = records.iter().map(|(id, group, body)| {
            let mut record = SqsMessage::default();
            record.message_id = Some((*id).into());
            record.receipt_handle = Some(format!("handle-{id}"));
            record.body = Some((*body).into());
            record.attributes.insert("MessageGroupId".into(), (*group).into());
            record.attributes.insert("ApproximateReceiveCount".into(), "3".into());
            record.attributes.insert("SentTimestamp".into(), "1800000000123".into());
            record
        });
        let mut event = SqsEvent::default();
        event.records = records.collect();
        event
    }

    fn job(text: &str) -> String {
        serde_json::to_string(&Envelope::new(text)).unwrap()
    }

    fn failed(response: &SqsBatchResponse) -> Vec<&str> {
        response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
    }

    /// Fails as the job's text says, and records the order.
    async fn run(event: SqsEvent, source: &FakeQueue) -> (SqsBatchResponse, Vec<String>) {
        let seen = Mutex::new(Vec::new());
        let response = each(event, source, |job: String, _| {
            seen.lock().unwrap().push(job.clone());
            async move {
                tokio::task::yield_now().await;
                match job.as_str() {
                    "bad" => Err(Failure::Retry),
                    "later" => Err(Failure::RetryAfter(7)),
                    "waits" => Err(Failure::Wait(5)),
                    "hopeless" => Err(Failure::Hopeless),
                    "panic" => panic!("the job's content"),
                    _ => Ok(()),
                }
            }
        })
        .await;
        (response, seen.into_inner().unwrap())
    }

    #[tokio::test]
    async fn the_handler_sees_how_the_record_came() {
        let source = FakeQueue::default();
        let response = each(event(&[("1", "g", &job("x"))]), &source, |_: String, delivery| async move {
            let expected = Delivery {
                message_id: "1".into(),
                receipt_handle: "handle-1".into(),
                receive_count: 3,
                group: Some("g".into()),
                sent_at: Some(Timestamp::from_millisecond(1_800_000_000_123).unwrap()),
            };
            assert_eq!(delivery, expected);
            Ok(())
        })
        .await;
        assert!(failed(&response).is_empty());
    }

    #[tokio::test]
    async fn poison_on_a_standard_queue_fails_alone() {
        let records = event(&[("1", "g", &job("ok")), ("2", "g", "not json"), ("3", "g", r#"{"v":9,"job":"x"}"#), ("4", "g", &job("ok"))]);
        let (response, seen) = run(records, &FakeQueue::default()).await;
        assert_eq!(failed(&response), ["2", "3"]);
        assert_eq!(seen.len(), 2);
    }

    #[tokio::test]
    async fn a_group_stops_at_its_first_failure_and_other_groups_go_on() {
        let records = event(&[
            ("1", "a", &job("a1")),
            ("2", "b", &job("b1")),
            ("3", "a", &job("bad")),
            ("4", "b", &job("b2")),
            ("5", "a", &job("a3")),
            ("6", "a", &job("a4")),
        ]);
        let (response, seen) = run(records, &fifo()).await;
        assert_eq!(failed(&response), ["3", "5", "6"]);
        assert!(!seen.contains(&"a3".to_owned()) && seen.contains(&"b2".to_owned()));
    }

    #[tokio::test]
    async fn poison_stops_its_group_on_a_fifo_queue() {
        let records = event(&[("1", "a", "poison"), ("2", "a", &job("a2")), ("3", "b", &job("b1"))]);
        let (response, seen) = run(records, &fifo()).await;
        assert_eq!(failed(&response), ["1", "2"]);
        assert_eq!(seen, ["b1"]);
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_record_only() {
        let (response, _) = run(event(&[("1", "a", &job("panic")), ("2", "a", &job("ok"))]), &FakeQueue::default()).await;
        assert_eq!(failed(&response), ["1"]);
        let (response, seen) = run(event(&[("1", "a", &job("panic")), ("2", "a", &job("ok")), ("3", "b", &job("b"))]), &fifo()).await;
        assert_eq!(failed(&response), ["1", "2"]);
        assert!(seen.contains(&"b".to_owned()));
    }

    #[tokio::test]
    async fn a_panic_before_the_first_await_is_caught_too() {
        let source = FakeQueue::default();
        let response =
            each(event(&[("1", "a", &job("x"))]), &source, |_: String, _| -> std::future::Ready<Result<(), Failure>> { panic!("at once") })
                .await;
        assert_eq!(failed(&response), ["1"]);
    }

    #[tokio::test]
    async fn retry_after_hides_the_record_and_the_rest_of_its_group() {
        let source = fifo();
        let records = event(&[("1", "a", &job("later")), ("2", "b", &job("ok")), ("3", "a", &job("ok"))]);
        let (response, _) = run(records, &source).await;
        assert_eq!(failed(&response), ["1", "3"]);
        assert_eq!(*source.hidden.lock().unwrap(), [(vec!["handle-1".to_owned(), "handle-3".to_owned()], 7)]);
    }

    #[tokio::test]
    async fn a_record_whose_visibility_cannot_be_changed_still_comes_back() {
        let source = FakeQueue { broken: true, ..FakeQueue::default() };
        let (response, _) = run(event(&[("1", "a", &job("later"))]), &source).await;
        assert_eq!(failed(&response), ["1"]);
    }

    #[tokio::test]
    async fn records_of_a_standard_queue_run_concurrently() {
        let source = FakeQueue::default();
        let second_ran = Notify::new();
        let response = each(event(&[("1", "g", &job("first")), ("2", "g", &job("second"))]), &source, |job: String, _| {
            let second_ran = &second_ran;
            async move {
                match job.as_str() {
                    "first" => second_ran.notified().await,
                    _ => second_ran.notify_one(),
                }
                Ok(())
            }
        })
        .await;
        assert!(failed(&response).is_empty());
    }

    #[tokio::test]
    async fn records_of_one_group_run_in_order() {
        let records = event(&[("1", "a", &job("1")), ("2", "a", &job("2")), ("3", "a", &job("3"))]);
        assert_eq!(run(records, &fifo()).await.1, ["1", "2", "3"]);
    }
}
