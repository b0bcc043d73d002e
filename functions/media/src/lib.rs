//! The Lambda `media`: copies customers' attachments to the deployment's bucket, separately from their messages.
//!
//! | case | result |
//! |---|---|
//! | a file | it is checked and stored under `media/{account}/{interaction}/{message}/{index}`; the message says where, and how large a picture is or how long a recording plays |
//! | a large picture (JPEG, PNG, WebP) | a thumbnail is stored beside it, under its key with `.thumbnail` |
//! | a picture that can't be made small, a thumbnail that can't be stored | the picture has no thumbnail, for good |
//! | a file that is too large for WhatsApp, empty, or a program that claims to be a picture | given up; the message says why |
//! | 404, 429, 5xx, no answer, failing storage | it is tried again (below), then given up; the message says why |
//! | 401, 403 | the secret is read again, or a new token requested, once; then as above |
//! | a hash other than the declared one | fetched again, twice; then stored as it came |
//! | 410, an address in a private network, any other answer | given up; the message says why |
//! | an attachment that is copied or given up already | nothing |
//! | a message that was deleted meanwhile | its copy and the thumbnail are deleted |
//! | a body that can't be read | the dead-letter queue, after the queue's tries |
//!
//! Tries come after 5 s, 1, 5 and 15 minutes, 1 and 3 hours, then every 6 hours for as long as the provider keeps the
//! file, a week at most.

mod content;
mod copier;
#[cfg(test)]
mod tests;
mod thumbnail;

use client::{Client, Web};
use cloud::aws::{Aws, CallError};
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::egress::{self, Egress, EgressError, Fetched};
use cloud::objects::Objects;
use cloud::queues::Queue;
use cloud::secrets::AccountSecrets;
use cloud::telemetry::{self, Metric};
use domain::account::Credentials;
use engine::jobs::MediaJob;
use engine::ports::System;
use lambda_runtime::Error;
use store::{Configuration, Interactions};
use tokio::sync::Semaphore;

use copier::{Bucket, Copier, Source};

/// How many files are in memory at the same time. A growing buffer takes up to twice its content, and
/// the function's 1024 MB hold two of the largest files. A picture that is decoded takes about as much as the largest
/// file ([`thumbnail`]).
const AT_ONCE: usize = 2;

struct Strangers(Egress);

impl Source for Strangers {
    async fn get(&self, url: &str, credentials: Option<&egress::Credentials>, limit: u64) -> Result<Fetched, EgressError> {
        self.0.get(url, credentials, limit).await
    }
}

struct Copies(Objects);

impl Bucket for Copies {
    async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), CallError> {
        self.0.put(key, bytes, content_type).await
    }

    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.0.delete(key).await
    }
}

struct Function {
    copier: Copier<Interactions, Configuration, System, Web, AccountSecrets<Credentials>, Strangers, Copies>,
    queue: Queue,
    at_once: Semaphore,
}

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let copier = Copier {
            engine: store::open_engine(aws, env)?,
            source: Strangers(Egress::from_env(env)?),
            bucket: Copies(Objects::from_env(aws, env)?),
            client: Client::from_env(aws, env)?,
            count: |outcome| telemetry::count(Metric::MediaCopies, outcome, 1),
        };
        Ok(Self { copier, queue: Queue::from_env(aws, env, "MEDIA_QUEUE_URL")?, at_once: Semaphore::new(AT_ONCE) })
    }
}

impl Consumer for Function {
    type Job = MediaJob;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, job: MediaJob, delivery: Delivery) -> Result<(), Failure> {
        // The semaphore is never closed. Without a permit, at worst memory gets tight.
        let _permit = self.at_once.acquire().await;
        self.copier.handle(&job, delivery.receive_count).await
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Function::from_env).await
}
