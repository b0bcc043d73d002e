//! Sends to SQS.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry,
};
use serde::Serialize;

use crate::aws::{Aws, CallError};

use crate::config::{ConfigError, Env};
use crate::envelope::Envelope;

/// The most entries of a batch in SQS.
const BATCH: usize = 10;
/// The most bytes of a batch. SQS accepts 1 MiB, but local engines and older queues accept 256 KiB, and our jobs
/// are small.
const BATCH_BYTES: usize = 256 * 1024;
/// How often an entry that SQS did not accept is sent before the call is given up. A throttle passes in that many
/// tries.
const BATCH_ATTEMPTS: u32 = 3;
/// SQS's longest visibility timeout: 12 hours.
const MAX_VISIBILITY: u32 = 43_200;

/// Why a queue did not accept a job. The error never carries the job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The job has no JSON form: a fault of the program.
    #[error("the job has no JSON form")]
    Encode,
    /// The call failed. It is safe to send again with the same deduplication id.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Some entries of a batch were not accepted, even when sent again.
    #[error("{count} entries were not taken: {code}")]
    NotTaken {
        /// How many entries.
        count: usize,
        /// SQS's code for the first.
        code: String,
    },
}

/// A job that can never be sent. It is the job's fault, not the queue's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place among the jobs, from 0.
    pub index: usize,
    /// SQS's code, or why it was not sent at all.
    pub code: String,
}

/// The options of a send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Message group: required by FIFO queues.
    pub group: Option<String>,
    /// Deduplication id (FIFO queues only): the same id within 5 minutes is accepted once.
    pub dedup: Option<String>,
    /// Seconds before the job can be received, 0 to 900 (standard queues only).
    pub delay_seconds: Option<u32>,
}

impl SendOptions {
    /// The options for a FIFO queue.
    pub fn fifo(group: impl Into<String>, dedup: impl Into<String>) -> Self {
        Self { group: Some(group.into()), dedup: Some(dedup.into()), delay_seconds: None }
    }

    /// The options for a standard queue, with a delay.
    pub fn delayed(seconds: u32) -> Self {
        Self { delay_seconds: Some(seconds), ..Self::default() }
    }
}

/// A queue for jobs, each in an [`Envelope`].
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
    /// What metrics call it.
    name: Arc<str>,
    /// The queue for records that can never work, if they don't go to the dead-letter queue by the queue's own
    /// redrive.
    aside: Option<Arc<str>>,
}

struct Entry {
    /// Its place among the jobs.
    index: usize,
    body: String,
    options: SendOptions,
    attempts: u32,
}

impl Queue {
    /// The queue whose URL the variable holds. Metrics name it after the variable: `INBOUND_QUEUE_URL` is `inbound`.
    pub fn from_env(aws: &Aws, env: &Env, variable: &'static str) -> Result<Self, ConfigError> {
        let name = variable.trim_end_matches("_QUEUE_URL").to_ascii_lowercase().into();
        Ok(Self { client: aws.sqs(), url: env.required(variable)?.into(), name, aside: None })
    }

    /// The queue's name in metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same queue, with records that can never work set aside at `parked` after a few tries. This is for a
    /// queue whose records may come back very often: its redrive would let a poisoned one block its group for
    /// hours.
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

    /// Sends jobs, in order within each group: entries that SQS doesn't accept are sent again before later ones of
    /// their group.
    pub async fn send_batch<T: Serialize>(&self, jobs: impl IntoIterator<Item = (T, SendOptions)>) -> Result<(), QueueError> {
        let refused = self.send_each(jobs).await?;
        match refused.first() {
            Some(first) => Err(QueueError::NotTaken { count: refused.len(), code: first.code.clone() }),
            None => Ok(()),
        }
    }

    /// Sends jobs like [`send_batch`](Self::send_batch), but a job that SQS refuses for its content does not hold
    /// up the others. It is returned, so that the caller can set it aside.
    pub async fn send_each<T: Serialize>(&self, jobs: impl IntoIterator<Item = (T, SendOptions)>) -> Result<Vec<Refused>, QueueError> {
        let mut pending = VecDeque::new();
        let mut refused = Vec::new();
        for (index, (job, options)) in jobs.into_iter().enumerate() {
            match encode(&job) {
                Ok(body) => pending.push_back(Entry { index, body, options, attempts: 0 }),
                Err(error) => refused.push(Refused { index, code: error.to_string() }),
            }
        }
        while !pending.is_empty() {
            let round = take_round(&mut pending, self.is_fifo());
            refused.extend(self.send_round(round, &mut pending).await?);
        }
        Ok(refused)
    }

    async fn send_round(&self, round: Vec<Entry>, pending: &mut VecDeque<Entry>) -> Result<Vec<Refused>, QueueError> {
        let mut request = self.client.send_message_batch().queue_url(&*self.url);
        for (id, entry) in round.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .message_body(&entry.body)
                .set_message_group_id(entry.options.group.clone())
                .set_message_deduplication_id(entry.options.dedup.clone())
                .set_delay_seconds(entry.options.delay_seconds.map(delay))
                .build()
                .map_err(|_| QueueError::Encode)?;
            request = request.entries(entry);
        }
        match request.send().await {
            Ok(answer) => settle(round, answer.failed(), pending),
            Err(error) => match (CallError::of("sqs", &error), round.as_slice()) {
                // The entry is alone in its request, so the refusal is about it.
                (CallError::Refused { code, .. }, [entry]) if is_about_contents(&code) => Ok(vec![Refused { index: entry.index, code }]),
                (error, _) => Err(error.into()),
            },
        }
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

    /// Sends a received body to the parked queue, with the attributes `queue` and, if it has one, `group`, so that
    /// people can send it again. `None` if there is no such queue.
    pub(crate) async fn park(&self, body: &str, group: Option<&str>) -> Option<Result<(), QueueError>> {
        let parked = self.aside.as_deref()?;
        let mut request = self.client.send_message().queue_url(parked).message_body(body);
        for (name, value) in [("queue", Some(&*self.url)), ("group", group)] {
            let Some(value) = value else { continue };
            match MessageAttributeValue::builder().data_type("String").string_value(value).build() {
                Ok(value) => request = request.message_attributes(name, value),
                Err(_) => return Some(Err(QueueError::Encode)),
            }
        }
        Some(request.send().await.map(drop).map_err(|error| CallError::of("sqs", &error).into()))
    }
}

/// Evaluates the answer to a round. Returns the entries that SQS refuses for their content. Other failed entries
/// are sent again, before anything else of their group.
fn settle(round: Vec<Entry>, failed: &[BatchResultErrorEntry], pending: &mut VecDeque<Entry>) -> Result<Vec<Refused>, QueueError> {
    let mut refused = Vec::new();
    for (id, mut entry) in round.into_iter().enumerate().rev() {
        let Some(failure) = failed.iter().find(|failure| failure.id() == id.to_string()) else { continue };
        let code = failure.code().to_owned();
        entry.attempts += 1;
        if failure.sender_fault() && !code.contains("Throttl") {
            refused.push(Refused { index: entry.index, code });
        } else if entry.attempts >= BATCH_ATTEMPTS {
            return Err(QueueError::NotTaken { count: failed.len(), code });
        } else {
            pending.push_front(entry);
        }
    }
    refused.reverse();
    Ok(refused)
}

/// Whether a code says that a whole request was refused for its content. Some carry a prefix
/// (`AWS.SimpleQueueService.`).
fn is_about_contents(code: &str) -> bool {
    matches!(code.rsplit('.').next(), Some("InvalidMessageContents" | "BatchRequestTooLong"))
}

/// The next entries that may go together. On a FIFO queue that is one of each group, so that a later one of its
/// group can't overtake a failed one.
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

/// The body of a job. SQS refuses characters that XML can't hold. JSON itself escapes those below a space, but
/// leaves U+FFFE and U+FFFF, which a customer may write. Like any character beyond ASCII they only occur within a
/// string, where an escape means the same.
pub(crate) fn encode(job: &impl Serialize) -> Result<String, QueueError> {
    let body = serde_json::to_string(&Envelope::new(job)).map_err(|_| QueueError::Encode)?;
    if !body.contains(['\u{fffe}', '\u{ffff}']) {
        return Ok(body);
    }
    Ok(body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
}

/// SQS's longest delay is 900 s.
fn delay(seconds: u32) -> i32 {
    i32::try_from(seconds.min(900)).unwrap_or(900)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, &str)]) -> VecDeque<Entry> {
        let entry = |(index, (group, body)): (usize, &(&str, &str))| Entry {
            index,
            body: (*body).into(),
            options: SendOptions::fifo(*group, *body),
            attempts: 0,
        };
        list.iter().enumerate().map(entry).collect()
    }

    fn failure(id: &str, senders: bool, code: &str) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).sender_fault(senders).code(code).build().unwrap()
    }

    #[test]
    fn every_character_that_a_customer_may_write_fits_into_a_queue_and_comes_back() {
        // SQS: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.
        let fits = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let body = encode(&all).unwrap();
        assert_eq!(body.chars().find(|c| !fits(*c)), None);
        assert_eq!(Envelope::<String>::parse(&body), Ok(all));
        let text = "\\\u{fffe}\\ufffe\"\u{ffff}\u{7f}\u{0}";
        assert_eq!(Envelope::<String>::parse(&encode(&text).unwrap()), Ok(text.to_owned()));
    }

    #[test]
    fn a_job_that_is_refused_for_its_content_is_returned_and_the_others_go_on() {
        let mut pending = entries(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]);
        let round = take_round(&mut pending, true);
        let failed = [failure("1", true, "InvalidMessageContents"), failure("2", false, "ServiceUnavailable")];
        let refused = settle(round, &failed, &mut pending).unwrap();
        assert_eq!(refused, [Refused { index: 1, code: "InvalidMessageContents".to_owned() }]);
        assert_eq!(bodies(pending.make_contiguous()), ["4", "3"]);
    }

    #[test]
    fn an_entry_that_is_not_accepted_is_sent_again_before_the_next_and_given_up_in_the_end() {
        let mut pending = entries(&[("a", "1"), ("a", "2")]);
        for attempt in 1..=BATCH_ATTEMPTS {
            let round = take_round(&mut pending, true);
            assert_eq!(bodies(&round), ["1"]);
            let settled = settle(round, &[failure("0", true, "ThrottlingException")], &mut pending);
            let expected = if attempt < BATCH_ATTEMPTS { Ok(Vec::new()) } else { Err(not_taken("ThrottlingException")) };
            assert_eq!(settled, expected);
        }
    }

    fn not_taken(code: &str) -> QueueError {
        QueueError::NotTaken { count: 1, code: code.to_owned() }
    }

    #[test]
    fn a_refusal_of_a_whole_request_is_about_its_contents_or_about_the_queue() {
        assert!(is_about_contents("InvalidMessageContents"));
        assert!(is_about_contents("AWS.SimpleQueueService.BatchRequestTooLong"));
        assert!(!is_about_contents("ThrottlingException") && !is_about_contents("AccessDenied"));
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
        assert_eq!(take_round(&mut pending, false).len(), 1, "an entry that is too large goes alone, and SQS says so");
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
