//! The tables, the bucket and the queue behind the worker's ports.

use cloud::aws::CallError;
use cloud::objects::Objects;
use cloud::queues::{Queue, SendOptions};
use domain::account::List;
use domain::contact::Contact;
use domain::ids::{InteractionId, JobId};
use domain::interaction::Interaction;
use domain::job::Job;
use engine::jobs::JobStep;
use engine::ports::{Committed, Directory, PortError};
use store::{Configuration, Interactions, Order, ScannedContacts};

use crate::export::{Bucket, Records};
use crate::rows::{Digest, Names};
use crate::steps::Jobs;

/// How many messages of a thread are read at once. A page has 1 MB at most anyway.
const MESSAGES: i32 = 200;

/// Jobs in the table, and their queue.
pub(crate) struct Kept {
    pub(crate) store: Interactions,
    pub(crate) queue: Queue,
}

impl Jobs for Kept {
    async fn job(&self, id: &JobId) -> Result<Option<Job>, PortError> {
        self.store.job(id).await
    }

    async fn save(&self, job: &Job) -> Result<Committed, PortError> {
        self.store.save_job(job).await
    }

    async fn send(&self, step: &JobStep, delay_seconds: u32) -> Result<(), PortError> {
        let sent = self.queue.send(step, SendOptions::delayed(delay_seconds)).await;
        sent.map_err(|error| PortError { operation: "send a step", reason: error.to_string() })
    }

    async fn unfinished(&self) -> Result<Vec<JobId>, PortError> {
        self.store.unfinished_jobs().await
    }
}

/// What exports read.
pub(crate) struct Tables {
    pub(crate) store: Interactions,
    pub(crate) configuration: Configuration,
}

impl Records for Tables {
    async fn frozen(&self, job: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
        self.store.frozen(job, part).await
    }

    async fn interactions(&self, ids: &[InteractionId]) -> Result<Vec<Interaction>, PortError> {
        self.store.interactions(ids).await
    }

    async fn digest(&self, interaction: &Interaction) -> Result<Digest, PortError> {
        let (mut digest, mut after) = (Digest::default(), None::<String>);
        loop {
            let page = self.store.thread(interaction, after.as_deref(), MESSAGES, Order::OldestFirst).await?;
            page.messages.iter().for_each(|message| digest.add(message));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(digest),
            }
        }
    }

    async fn contacts(&self, after: Option<&str>) -> Result<(Vec<Contact>, Option<String>), PortError> {
        let ScannedContacts { contacts, next } = self.store.scan_contacts(after).await?;
        Ok((contacts, next))
    }

    async fn names(&self) -> Result<Names, PortError> {
        let lists = self.configuration.all::<List>().await?;
        Ok(Names {
            accounts: self.configuration.accounts().await?,
            agents: self.configuration.agents().await?,
            queues: self.configuration.queues().await?,
            lists: lists.into_iter().map(|(list, _)| (list.id.clone(), list)).collect(),
        })
    }
}

/// Exports in the bucket.
pub(crate) struct Files(pub(crate) Objects);

const CSV: &str = "text/csv; charset=utf-8";

impl Bucket for Files {
    async fn begin(&self, key: &str) -> Result<String, CallError> {
        self.0.begin_upload(key, CSV).await
    }

    async fn part(&self, key: &str, upload: &str, number: i32, bytes: Vec<u8>) -> Result<Option<String>, CallError> {
        self.0.upload_part(key, upload, number, bytes).await
    }

    async fn complete(&self, key: &str, upload: &str, tags: &[String]) -> Result<bool, CallError> {
        self.0.complete_upload(key, upload, tags).await
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), CallError> {
        self.0.abort_upload(key, upload).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CallError> {
        self.0.put(key, bytes, CSV).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        Ok(self.0.get(key).await?.map(|object| object.bytes))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, CallError> {
        Ok(self.0.head(key).await?.map(|head| head.size))
    }

    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.0.delete(key).await
    }
}
