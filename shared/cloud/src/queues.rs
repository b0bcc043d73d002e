//! Sending to SQS.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, SendMessageBatchRequestEntry};
use serde::Serialize;

use crate::aws::{Aws, CallError};
use crate::batch::{Envelope, Source};
use crate::config::{ConfigError, Env};

/// SQS takes ten entries a batch.
const BATCH: usize = 10;
/// SQS takes 1 MiB a batch in all; local engines and older queues take 256 KiB, and our jobs are small.
const BATCH_BYTES: usize = 256 * 1024;
/// How often an entry that SQS did not take is sent again before the call is given up: a throttle passes in that many.
const BATCH_ATTEMPTS: u32 = 3;
/// How often a body that can't be parsed is tried before it is set aside: a deployment that brings the reader it needs may be under way.
const POISON_TRIES: u32 = 5;
/// SQS's longest visibility timeout: 12 hours.
const MAX_VISIBILITY: u32 = 43_200;

/// Why a queue did not take something. Never carries what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The job has no JSON form: a fault of the program.
    #[error("the job has no JSON form")]
    Encode,
    /// The call failed; sending again is safe with the same deduplication id.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Some entries of a batch were not taken, also when sent again.
    #[error("{count} entries were not taken: {code}")]
    NotTaken {
        /// How many.
        count: usize,
        /// SQS's code for the first.
        code: String,
    },
}

/// How a job is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Message group: required by FIFO queues.
    pub group: Option<String>,
    /// Deduplication id (FIFO queues only): the same id within 5 minutes is taken once.
    pub dedup: Option<String>,
    /// Seconds before the job can be received, 0 to 900 (standard queues only).
    pub delay_seconds: Option<u32>,
}

impl SendOptions {
    /// For a FIFO queue.
    pub fn fifo(group: impl Into<String>, dedup: impl Into<String>) -> Self {
        Self { group: Some(group.into()), dedup: Some(dedup.into()), delay_seconds: None }
    }

    /// For a standard queue, after a delay.
    pub fn delayed(seconds: u32) -> Self {
        Self { delay_seconds: Some(seconds), ..Self::default() }
    }
}

/// A queue that jobs are sent to, each in an [`Envelope`].
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
    /// Where bodies that can't be parsed go, if not to the dead-letter queue by the queue's own redrive.
    aside: Option<Arc<str>>,
}

struct Entry {
    body: String,
    options: SendOptions,
    attempts: u32,
}

impl Queue {
    /// The queue at `url`.
    pub fn new(client: Client, url: impl Into<Arc<str>>) -> Self {
        Self { client, url: url.into(), aside: None }
    }

    /// The queue whose URL the variable `name` holds.
    pub fn from_env(aws: &Aws, env: &Env, name: &'static str) -> Result<Self, ConfigError> {
        Ok(Self::new(aws.sqs(), env.required(name)?))
    }

    /// The same queue, with bodies that can't be parsed set aside at `parked` after a few tries. For a queue whose messages may wait by visibility and
    /// so be received very often: its redrive would let a poisoned body block its group for days.
    #[must_use]
    pub fn setting_aside(mut self, parked: impl Into<Arc<str>>) -> Self {
        self.aside = Some(parked.into());
        self
    }

    /// Whether it keeps the order of groups.
    pub fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// Sends one job.
    pub async fn send(&self, job: &impl Serialize, options: SendOptions) -> Result<(), QueueError> {
        self.client
            .send_message()
            .queue_url(&*self.url)
            .message_body(encode(job)?)
            .set_message_group_id(options.group)
            .set_message_deduplication_id(options.dedup)
            .set_delay_seconds(options.delay_seconds.map(delay))
            .send()
            .await
            .map_err(|error| CallError::of("sqs", &error))?;
        Ok(())
    }

    /// Sends jobs, in order within each group: entries that SQS doesn't take are sent again before later ones of their group.
    pub async fn send_batch<T: Serialize>(&self, jobs: impl IntoIterator<Item = (T, SendOptions)>) -> Result<(), QueueError> {
        let mut pending = VecDeque::new();
        for (job, options) in jobs {
            pending.push_back(Entry { body: encode(&job)?, options, attempts: 0 });
        }
        while !pending.is_empty() {
            let round = take_round(&mut pending, self.is_fifo());
            self.send_round(round, &mut pending).await?;
        }
        Ok(())
    }

    async fn send_round(&self, round: Vec<Entry>, pending: &mut VecDeque<Entry>) -> Result<(), QueueError> {
        let mut request = self.client.send_message_batch().queue_url(&*self.url);
        for (index, entry) in round.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&entry.body)
                .set_message_group_id(entry.options.group.clone())
                .set_message_deduplication_id(entry.options.dedup.clone())
                .set_delay_seconds(entry.options.delay_seconds.map(delay))
                .build()
                .map_err(|_| QueueError::Encode)?;
            request = request.entries(entry);
        }
        let answer = request.send().await.map_err(|error| CallError::of("sqs", &error))?;
        let Some(first) = answer.failed().first() else { return Ok(()) };
        let not_taken = QueueError::NotTaken { count: answer.failed().len(), code: first.code().to_owned() };
        let failed: HashSet<&str> = answer.failed().iter().map(|failure| failure.id()).collect();
        let senders_fault = answer.failed().iter().any(|failure| failure.sender_fault());
        for (index, mut entry) in round.into_iter().enumerate().rev() {
            if failed.contains(index.to_string().as_str()) {
                entry.attempts += 1;
                if senders_fault || entry.attempts >= BATCH_ATTEMPTS {
                    return Err(not_taken);
                }
                pending.push_front(entry);
            }
        }
        Ok(())
    }

    /// Makes received messages invisible for `seconds` from now, 0 to 43200 (more is cut to that).
    pub async fn change_visibility(&self, receipt_handles: &[&str], seconds: u32) -> Result<(), QueueError> {
        let timeout = i32::try_from(seconds.min(MAX_VISIBILITY)).unwrap_or(i32::MAX);
        for chunk in receipt_handles.chunks(BATCH) {
            let mut request = self.client.change_message_visibility_batch().queue_url(&*self.url);
            for (index, handle) in chunk.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(*handle)
                    .visibility_timeout(timeout)
                    .build()
                    .map_err(|_| QueueError::Encode)?;
                request = request.entries(entry);
            }
            let answer = request.send().await.map_err(|error| CallError::of("sqs", &error))?;
            if let Some(first) = answer.failed().first() {
                return Err(QueueError::NotTaken { count: answer.failed().len(), code: first.code().to_owned() });
            }
        }
        Ok(())
    }
}

impl Source for Queue {
    fn is_fifo(&self) -> bool {
        Queue::is_fifo(self)
    }

    async fn hide(&self, receipt_handles: &[&str], seconds: u32) -> Result<(), QueueError> {
        self.change_visibility(receipt_handles, seconds).await
    }

    async fn set_aside(&self, body: &str, receive_count: u32) -> bool {
        let Some(parked) = self.aside.as_deref().filter(|_| receive_count >= POISON_TRIES) else { return false };
        match self.client.send_message().queue_url(parked).message_body(body).send().await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(event = "batch.not_set_aside", error = %CallError::of("sqs", &error));
                false
            }
        }
    }
}

/// The next entries that may go together: on a FIFO queue one of each group, so that a failed one can't be overtaken by a later one of its group.
fn take_round(pending: &mut VecDeque<Entry>, fifo: bool) -> Vec<Entry> {
    let mut round: Vec<Entry> = Vec::new();
    let mut kept = VecDeque::new();
    let mut groups = HashSet::new();
    let mut bytes = 0;
    while let Some(entry) = pending.pop_front() {
        let first_of_group = groups.insert(entry.options.group.clone()) || !fifo;
        let fits = round.is_empty() || (round.len() < BATCH && bytes + entry.body.len() <= BATCH_BYTES);
        if first_of_group && fits {
            bytes += entry.body.len();
            round.push(entry);
        } else {
            kept.push_back(entry);
        }
    }
    *pending = kept;
    round
}

fn encode(job: &impl Serialize) -> Result<String, QueueError> {
    serde_json::to_string(&Envelope::new(job)).map_err(|_| QueueError::Encode)
}

/// SQS's longest delay is 900 s.
fn delay(seconds: u32) -> i32 {
    i32::try_from(seconds.min(900)).unwrap_or(900)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, &str)]) -> VecDeque<Entry> {
        list.iter().map(|(group, body)| Entry { body: (*body).into(), options: SendOptions::fifo(*group, *body), attempts: 0 }).collect()
    }

    fn bodies(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.body.as_str()).collect()
    }

    #[test]
    fn a_round_of_a_fifo_queue_has_one_entry_of_each_group() {
        let mut pending = entries(&[("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")]);
        assert_eq!(bodies(&take_round(&mut pending, true)), ["1", "3"]);
        assert_eq!(bodies(&take_round(&mut pending, true)), ["2"]);
        assert_eq!(bodies(&take_round(&mut pending, true)), ["4"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_round_has_ten_entries_and_256_kib_at_most() {
        let many: Vec<(&str, &str)> = vec![("a", "x"); 12];
        let mut pending = entries(&many);
        assert_eq!((take_round(&mut pending, false).len(), pending.len()), (10, 2));
        let big = "x".repeat(BATCH_BYTES - 1);
        let mut pending = entries(&[("a", &big), ("b", "22"), ("c", "3")]);
        assert_eq!(take_round(&mut pending, false).len(), 2);
        assert_eq!(bodies(&take_round(&mut pending, false)), ["22"]);
        let mut pending = entries(&[("a", &"x".repeat(BATCH_BYTES + 1))]);
        assert_eq!(take_round(&mut pending, false).len(), 1, "one that is too large goes alone, and SQS says so");
    }

    #[test]
    fn a_later_entry_of_a_group_does_not_overtake_one_that_did_not_fit() {
        let big = "x".repeat(BATCH_BYTES);
        let mut pending = entries(&[("a", "1"), ("b", &big), ("b", "3")]);
        assert_eq!(bodies(&take_round(&mut pending, true)), ["1"]);
        assert_eq!(take_round(&mut pending, true)[0].body.len(), BATCH_BYTES);
        assert_eq!(bodies(&take_round(&mut pending, true)), ["3"]);
    }
}
