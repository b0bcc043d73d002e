//! The Lambda `archive`: writes an interaction's transcript and log to the bucket.
//!
//! | case | result |
//! |---|---|
//! | a closed interaction | its transcripts, its log and its document are written, and replace earlier ones |
//! | an open interaction, for a snapshot | the same without the log |
//! | an interaction that changes meanwhile | it is written again |
//! | attachments of more than 200 MB together, or a copy that is gone | they are left out, and the transcript says so |
//! | a failing table or bucket | it is tried again after 10 s and more, then goes to the dead-letter queue |
//! | an interaction that is gone | nothing |
//! | a body that can't be read | the dead-letter queue, after the queue's tries |

mod archivist;
mod pack;

use cloud::aws::{Aws, CallError};
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::objects::Objects;
use cloud::queues::Queue;
use domain::effect::InteractionKey;
use domain::history::HistoryEntry;
use domain::ids::InteractionId;
use domain::interaction::Interaction;
use domain::message::Message;
use domain::search::Document;
use engine::jobs::ArchiveJob;
use engine::ports::{PortError, Store};
use lambda_runtime::Error;
use store::{Configuration, Documents, Interactions};
use tokio::sync::Semaphore;

use archivist::{Archivist, Bucket, Records};

/// How many interactions are in memory at the same time. The zip of one may take most of the memory.
const AT_ONCE: usize = 1;

/// The delay before the second try, in seconds. Each further delay is four times as long. With the queue's thirty
/// tries that makes a day.
const FIRST_WAIT: u32 = 10;

/// The longest delay, in seconds.
const LONGEST_WAIT: u32 = 3_600;

struct Table(Interactions, Documents);

impl Records for Table {
    async fn interaction(&self, key: &InteractionKey) -> Result<Option<Interaction>, PortError> {
        self.0.interaction(key).await
    }

    async fn thread(&self, interaction: &Interaction) -> Result<(Vec<Message>, Vec<HistoryEntry>), PortError> {
        self.0.told_thread(interaction).await
    }

    async fn thread_lately(&self, interaction: &Interaction) -> Result<(Vec<Message>, Vec<HistoryEntry>), PortError> {
        self.0.told_thread_lately(interaction).await
    }

    async fn history(&self, key: &InteractionKey, told: Vec<HistoryEntry>) -> Result<Vec<HistoryEntry>, PortError> {
        self.0.history_beside(key, told).await
    }

    async fn put_document(&self, document: &Document) -> Result<(), PortError> {
        self.1.put(document).await
    }

    async fn delete_document(&self, interaction: &InteractionId) -> Result<(), PortError> {
        self.1.delete(interaction).await
    }
}

struct Files(Objects);

impl Bucket for Files {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        Ok(self.0.get(key).await?.map(|object| object.bytes))
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), CallError> {
        self.0.put(key, bytes, content_type).await
    }

    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.0.delete(key).await
    }
}

struct Function {
    archivist: Archivist<Table, Configuration, Files>,
    queue: Queue,
    at_once: Semaphore,
}

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let archivist = Archivist {
            records: Table(Interactions::from_env(aws, env)?, Documents::new(aws.dynamodb(), env.required("DERIVED_TABLE")?)),
            directory: Configuration::from_env(aws, env)?,
            bucket: Files(Objects::from_env(aws, env)?),
        };
        Ok(Self { archivist, queue: Queue::from_env(aws, env, "ARCHIVE_QUEUE_URL")?, at_once: Semaphore::new(AT_ONCE) })
    }
}

impl Consumer for Function {
    type Job = ArchiveJob;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, job: ArchiveJob, delivery: Delivery) -> Result<(), Failure> {
        // The semaphore is never closed. Without a permit, at worst memory gets tight.
        let _permit = self.at_once.acquire().await;
        let interaction = &job.interaction.interaction;
        match self.archivist.archive(&job.interaction).await {
            Ok(written) => {
                tracing::info!(event = "archive.done", %interaction, ?written);
                Ok(())
            }
            Err(error) => {
                tracing::error!(event = "archive.error", %interaction, receive_count = delivery.receive_count, %error);
                Err(Failure::RetryAfter(wait(delivery.receive_count)))
            }
        }
    }
}

/// The delay after the try `received`, in seconds.
fn wait(received: u32) -> u32 {
    4_u32.saturating_pow(received.saturating_sub(1)).saturating_mul(FIRST_WAIT).min(LONGEST_WAIT)
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Function::from_env).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_further_apart_each_time() {
        assert_eq!([1, 2, 3, 4, 5, 99].map(wait), [10, 40, 160, 640, 2_560, 3_600]);
        assert_eq!(wait(0), 10);
        assert!((1..30).map(wait).sum::<u32>() > 24 * 3_600);
    }
}
