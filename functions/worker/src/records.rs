//! The tables, the bucket and the queue behind the worker's ports.

use std::collections::BTreeSet;
use std::time::Duration;

use audit::Entry;
use cloud::aws::CallError;
use cloud::objects::Objects;
use cloud::queues::{Queue, SendOptions};
use domain::account::{DeletedAccount, List};
use domain::contact::Contact;
use domain::decide::{Event, Refusal};
use domain::details::ContactField;
use domain::effect::InteractionKey;
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, JobId};
use domain::interaction::Interaction;
use domain::job::{Job, Task};
use domain::migration::{Migration, Upgrade};
use domain::removal::Gone;
use domain::retention::Retention;
use engine::jobs::JobStep;
use engine::ports::{Committed, Directory, Idempotency, PortError, Store, System, World};
use engine::{Engine, EngineError, Told};
use store::{Configuration, Documented, Entombed, Erasure, Interactions, Order, Preview, ScannedContacts, ScannedInteractions};
use views::AgentEvent;

use crate::eraser::Traces;
use crate::export::{Bucket, Records};
use crate::filling::{Given, Progress, Table};
use crate::finder::Selections;
use crate::removal::{Remains, Shelf};
use crate::retention::Settings;
use crate::rows::{Digest, Names};
use crate::steps::{Jobs, WorkError};

/// How many messages of a thread are read at once. A page has 1 MB at most anyway.
const MESSAGES: i32 = 200;

/// How many jobs are read at once: an item has a kilobyte.
const JOBS: i32 = 100;

/// Jobs in the table, and their queue.
#[derive(Clone)]
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

/// What jobs read and write.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) engine: Engine<Interactions, Configuration, System>,
}

impl Records for Tables {
    async fn frozen(&self, job: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
        self.engine.store.frozen(job, part).await
    }

    async fn interactions(&self, ids: &[InteractionId]) -> Result<Vec<Interaction>, PortError> {
        self.engine.store.interactions(ids).await
    }

    async fn digest(&self, interaction: &Interaction) -> Result<Digest, PortError> {
        let summary = self.engine.store.summary(interaction).await?;
        let (mut digest, mut after) = (Digest::with(summary), None::<String>);
        loop {
            let page = self.engine.store.thread(interaction, after.as_deref(), MESSAGES, Order::OldestFirst).await?;
            page.messages.iter().for_each(|message| digest.add(message));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(digest),
            }
        }
    }

    async fn contacts(&self, after: Option<&str>) -> Result<(Vec<Contact>, Option<String>), PortError> {
        let ScannedContacts { mut contacts, next } = self.engine.store.scan_contacts(after).await?;
        contacts.retain(|contact| contact.erased.is_none());
        Ok((contacts, next))
    }

    async fn names(&self) -> Result<Names, PortError> {
        let lists = self.engine.directory.all::<List>().await?;
        let fields = self.engine.directory.all::<ContactField>().await?;
        Ok(Names {
            accounts: self.engine.directory.accounts().await?,
            agents: self.engine.directory.agents().await?,
            queues: self.engine.directory.queues().await?,
            lists: lists.into_iter().map(|(list, _)| (list.id.clone(), list)).collect(),
            fields: fields.into_iter().map(|(field, _)| (field.id.clone(), field)).collect(),
        })
    }
}

impl Selections for Tables {
    async fn accounts(&self) -> Result<Vec<AccountId>, PortError> {
        let deleted = self.engine.directory.all::<DeletedAccount>().await?;
        let there = self.engine.directory.accounts().await?;
        let all = there.iter().map(|account| account.id.clone()).chain(deleted.into_iter().map(|(deleted, _)| deleted.id));
        Ok(all.collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn names(&self) -> Result<domain::search::Names, PortError> {
        let deleted = self.engine.directory.all::<DeletedAccount>().await?;
        search::names(&self.engine.directory, &deleted.into_iter().map(|(deleted, _)| deleted).collect::<Vec<_>>()).await
    }

    async fn frozen(&self, job: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
        self.engine.store.frozen(job, part).await
    }

    async fn of_contacts(
        &self,
        account: &AccountId,
        contacts: &[ContactId],
        before: Option<&InteractionId>,
        most: usize,
    ) -> Result<(Vec<Interaction>, Option<InteractionId>), PortError> {
        self.engine.store.of_contacts(account, contacts, before, most).await
    }

    async fn freeze(&self, job: &JobId, part: u64, ids: &[InteractionId]) -> Result<(), PortError> {
        self.engine.store.freeze_part(job, part, ids, self.engine.world.now()).await
    }

    async fn keep_preview(&self, token: &JobId, preview: &Preview) -> Result<(), PortError> {
        self.engine.store.put_preview(token, preview).await
    }
}

impl Settings for Tables {
    async fn retention(&self) -> Result<Retention, PortError> {
        self.engine.directory.singleton_lately().await
    }

    async fn all_accounts(&self) -> Result<Vec<AccountId>, PortError> {
        Selections::accounts(self).await
    }

    async fn add(&self, job: &Job) -> Result<Committed, PortError> {
        self.engine.store.add_job(job, None).await
    }
}

impl Table for Tables {
    async fn lacking(&self, of: Upgrade, after: Option<&str>) -> Result<ScannedInteractions, PortError> {
        match of {
            Upgrade::Lists => self.engine.store.scan_unlisted(after).await,
            Upgrade::Documents => self.engine.store.scan_undocumented(after).await,
        }
    }

    async fn give(&self, of: Upgrade, interaction: &Interaction) -> Result<Given, PortError> {
        Ok(match of {
            Upgrade::Lists if self.engine.store.list_late(interaction).await? => Given::Now,
            Upgrade::Lists => Given::Not,
            Upgrade::Documents => match self.engine.store.document_late(interaction).await? {
                Documented::Now => Given::Now,
                Documented::Not => Given::Not,
                Documented::Unreadable => Given::Unreadable,
            },
        })
    }

    async fn rest(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
    }
}

impl Progress for Tables {
    async fn migration(&self, of: Upgrade) -> Result<Option<(Migration, u64)>, PortError> {
        self.engine.directory.migration(of).await
    }

    async fn note(&self, of: Upgrade, migration: &Migration, before: u64) -> Result<bool, PortError> {
        self.engine.directory.put_migration(of, migration, before).await
    }

    async fn add(&self, job: &Job, entry: &Entry) -> Result<Committed, PortError> {
        self.engine.store.add_job(job, Some(entry)).await
    }
}

impl Remains for Tables {
    async fn frozen(&self, job: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
        self.engine.store.frozen(job, part).await
    }

    async fn interaction(&self, id: &InteractionId) -> Result<Option<Interaction>, PortError> {
        match self.engine.store.locate(id).await? {
            Some(key) => self.engine.store.interaction(&key).await,
            None => Ok(None),
        }
    }

    async fn gone(&self, id: &InteractionId) -> Result<Option<Gone>, PortError> {
        self.engine.store.gone(id).await
    }

    async fn customer(&self, interaction: &Interaction) -> Result<Vec<ContactId>, PortError> {
        self.engine.customer(interaction).await
    }

    async fn is_held(&self, interaction: &Interaction, customer: &[ContactId]) -> Result<bool, PortError> {
        self.engine.store.is_held(interaction, customer).await
    }

    async fn close(&self, key: &InteractionKey) -> Result<bool, PortError> {
        match self.engine.tell(key, Event::Removed, Idempotency::Guarded).await {
            Ok(Told::Changed { .. } | Told::AlreadyDone(_) | Told::Refused(Refusal::Closed, _)) | Err(EngineError::NotFound) => Ok(true),
            Ok(Told::Refused(..)) | Err(EngineError::NoAccount(_)) => Ok(false),
            Err(EngineError::Port(error)) => Err(error),
            Err(error @ (EngineError::Busy | EngineError::NotYet)) => Err(PortError { operation: "close", reason: error.to_string() }),
        }
    }

    async fn entomb(&self, interaction: &Interaction, customer: &[ContactId]) -> Result<Entombed, PortError> {
        self.engine.store.entomb(interaction, customer, None, self.engine.world.now()).await
    }

    async fn purge(&self, gone: &Gone) -> Result<(), PortError> {
        self.engine.store.purge(gone).await
    }

    async fn agents(&self) -> Result<Vec<AgentId>, PortError> {
        Ok(self.engine.directory.agents().await?.keys().cloned().collect())
    }

    async fn scrub(&self, agent: &AgentId) -> Result<(), PortError> {
        self.engine.store.scrub::<AgentEvent>(agent).await.map(drop)
    }
}

/// What else an erasure reaches.
pub(crate) struct Rest {
    pub(crate) store: Interactions,
    pub(crate) files: Files,
}

impl Traces for Rest {
    async fn jobs(&self, after: Option<&JobId>) -> Result<(Vec<Job>, Option<JobId>), PortError> {
        self.store.jobs(after, JOBS).await
    }

    async fn cancel(&self, job: &JobId) -> Result<(), PortError> {
        self.store.cancel_job(job).await.map(drop)
    }

    async fn forget(&self, contact: &ContactId) -> Result<(), PortError> {
        self.store.forget_contact(contact).await
    }

    async fn note(&self, key: &str, job: &Job) -> Result<(), WorkError> {
        let Task::Erase { contacts } = &job.task else { return Ok(()) };
        let erasure = Erasure { contacts: contacts.clone(), at: job.created_at, by: job.by.who.clone() };
        let bytes = serde_json::to_vec(&erasure).map_err(|_| WorkError::Form)?;
        Ok(self.files.0.put(key, bytes, "application/json").await?)
    }
}

/// The bucket.
#[derive(Clone)]
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

impl Shelf for Files {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        self.0.all_under(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.0.delete(key).await
    }
}
