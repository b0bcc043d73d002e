//! The state of the API.

use api::{Access, Api, Caller, Error, Listed, Page};
use std::collections::BTreeSet;
use std::sync::Arc;

use client::Client;
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::egress::Egress;
use cloud::objects::Objects;
use cloud::queues::{Queue, SendOptions};
use cloud::secrets::SecretStore;
use cloud::sockets::Sockets;
use domain::account::Account;
use domain::effect::Target;
use domain::ids::AgentId;
use domain::screens::Screens;
use engine::Engine;
use engine::jobs::{AssignJob, PushJob};
use engine::ports::{System, World};
use futures_util::future::join_all;
use receive::Ingest;
use store::{Configuration, Entity, Interactions, OwedWakes, Revision, Written};

use crate::error::ApiError;
use crate::input::{Errors, KEY_TAKEN, TOPIC_TAKEN};
use crate::users::UserPool;

/// How often a change is tried while other administrators change the configuration too. At least one change succeeds
/// in each round, and this many administrators don't save within the same second. With the pauses in between, all
/// tries take at most three seconds.
pub(crate) const ATTEMPTS: u32 = 20;

/// The state of the API.
#[derive(Clone)]
pub struct App {
    /// Writes and reads the configuration and the presences of agents.
    pub engine: Engine<Interactions, Configuration, System>,
    /// The accounts' secrets.
    pub secrets: SecretStore,
    /// The accounts' keys for video calls.
    pub video_keys: SecretStore,
    /// The accounts' keys for translation.
    pub translation_keys: SecretStore,
    /// The AI agents' keys.
    pub ai_keys: SecretStore,
    /// `assign.fifo`, by which a change makes `assign` look at waiting interactions again.
    pub wakes: Queue,
    /// `push.fifo`, by which agents learn that what they see of the configuration has changed.
    pub push: Queue,
    /// The sockets of agents.
    pub sockets: Sockets,
    /// Who gets in.
    pub access: Access,
    /// The stack's own user pool, if it has one.
    pub users: Option<UserPool>,
    /// The public address of the HTTP API, scheme://host\[/prefix\].
    pub public_url: Arc<str>,
    /// Calls the providers' APIs.
    pub client: Arc<Client>,
    /// Stores messages that a provider has and this deployment lacks.
    pub ingest: Ingest,
    /// Vets the addresses that administrators choose.
    pub egress: Egress,
    /// The bucket, for the files of canned answers.
    pub objects: Objects,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("engine", &self.engine).field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Api for App {
    fn access(&self) -> &Access {
        &self.access
    }

    fn configuration(&self) -> &Configuration {
        &self.engine.directory
    }
}

impl App {
    /// Reads `CONFIG_TABLE`, `INTERACTIONS_TABLE`, `ASSIGN_QUEUE_URL`, `PUSH_QUEUE_URL`, `SECRET_PREFIX`,
    /// `TRANSLATION_KEY_PREFIX`, `AI_KEY_PREFIX`, `PUBLIC_URL`, `BUCKET`, `ROLE_SOURCE`, `WEBSOCKET_ENDPOINT`,
    /// `USER_POOL_ID` and `EGRESS_ALLOWED_ORIGINS`, and the variables of [`Access::from_env`], [`Client::from_env`]
    /// and [`Ingest::from_env`].
    ///
    /// # Errors
    /// Names the variable that is missing or can't be used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let aws = Aws::new(env)?;
        Ok(Self {
            engine: store::open_engine(&aws, env)?,
            secrets: SecretStore::from_env(&aws, env)?,
            video_keys: SecretStore::of_kind(&aws, env, "VIDEO_KEY_PREFIX")?,
            translation_keys: SecretStore::of_kind(&aws, env, "TRANSLATION_KEY_PREFIX")?,
            ai_keys: SecretStore::of_kind(&aws, env, "AI_KEY_PREFIX")?,
            wakes: Queue::from_env(&aws, env, "ASSIGN_QUEUE_URL")?,
            push: Queue::from_env(&aws, env, "PUSH_QUEUE_URL")?,
            sockets: Sockets::from_env(&aws, env)?,
            access: Access::from_env(env)?,
            users: UserPool::from_env(&aws, env),
            public_url: env.base_url("PUBLIC_URL")?.into(),
            client: Arc::new(Client::from_env(&aws, env)?),
            ingest: Ingest::from_env(&aws, env)?,
            egress: Egress::from_env(env)?,
            objects: Objects::from_env(&aws, env)?,
        })
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        &self.engine.directory
    }

    /// One resource of a kind, with its version.
    pub(crate) async fn load<T: Entity>(&self, id: &str) -> Result<(T, u64), ApiError> {
        let mut found = [self.configuration().get::<T>(id).await?.ok_or(Error::NotFound)?];
        self.configuration().complete(&mut found).await?;
        let [found] = found;
        Ok(found)
    }

    /// A page of the resources of a kind.
    pub(crate) async fn list<T: Entity, V>(&self, page: &Page, view: impl Fn(T, u64) -> V) -> Result<Listed<V>, ApiError> {
        // One more than the page shows whether there is a next page.
        let (mut found, mut next) = self.configuration().page::<T>(page.after.as_deref(), page.limit + 1).await?;
        let limit = usize::try_from(page.limit).unwrap_or_default();
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().map(|(last, _)| last.id().to_owned());
        }
        self.configuration().complete(&mut found).await?;
        Ok(Listed { items: found.into_iter().map(|(entity, version)| view(entity, version)).collect(), next })
    }

    /// The attempts of a change that is checked against the rest of the configuration. Each attempt checks and writes
    /// at its own revision, until [`settled`].
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts { app: self, begun: 0 }
    }

    /// The accounts that use a resource, as a refusal names them.
    pub(crate) async fn accounts_with(&self, uses: impl Fn(&Account) -> bool) -> Result<Vec<String>, ApiError> {
        let accounts = self.configuration().all::<Account>().await?;
        Ok(accounts.iter().filter(|(account, _)| uses(account)).map(|(account, _)| format!("account:{}", account.key)).collect())
    }

    /// Closes an agent's sockets, so that clients connect again with the rights that the agent has now. A failure is
    /// not the caller's: `realtime` and `push` check the record too, so an open socket gets nothing that it must not.
    pub(crate) async fn close_sockets(&self, agent: &AgentId) {
        let closed = async {
            for connection in self.engine.store.connections(agent).await.map_err(|error| error.to_string())? {
                self.sockets.close(&connection.id).await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        };
        if let Err(error) = closed.await {
            tracing::warn!(event = "admin.sockets_stay", %agent, error);
        }
    }

    /// The addresses among `chosen` that may not be called.
    pub(crate) async fn refused(&self, chosen: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let vetted = chosen.into_iter().map(|url| async { self.egress.vet(&url).await.is_err().then_some(url) });
        join_all(vetted).await.into_iter().flatten().collect()
    }

    /// The public address of a resource.
    pub(crate) fn place(&self, kind: &str, id: &str) -> String {
        format!("{}/admin/{kind}/{id}", self.public_url)
    }

    /// Makes `assign` look at the targets again, and `push` tell the agents. What is owed is written with the change.
    /// If something can't be sent now, the sweep sends it later, so nothing fails.
    pub(crate) async fn pay(&self, owed: Option<OwedWakes>) {
        let Some(OwedWakes { id, targets, screens }) = owed else { return };
        let jobs = targets.into_iter().enumerate().map(|(index, target)| {
            let options = SendOptions::fifo(target.key(), format!("{id}-{index}"));
            (AssignJob::reconfigured(target), options)
        });
        let sent = async {
            self.wakes.send_batch(jobs.collect::<Vec<_>>()).await?;
            let Some(screens) = screens else { return Ok(()) };
            let job = PushJob::configuration(&id, screens);
            let options = SendOptions::fifo(PushJob::CONFIGURATION, job.id.clone());
            self.push.send(&job, options).await
        };
        if let Err(error) = sent.await {
            tracing::error!(event = "admin.wake_failed", %error);
        } else if let Err(error) = self.configuration().wakes_sent(&id).await {
            // The sweep sends them again, which does no harm.
            tracing::warn!(event = "admin.wakes_stay", %error);
        }
    }
}

/// Attempts to check a change, and to write it while the check holds.
pub(crate) struct Attempts<'a> {
    app: &'a App,
    begun: u32,
}

impl Attempts<'_> {
    /// The revision to write at. The data to check is read after it, past the cache.
    pub(crate) async fn next(&mut self) -> Result<Revision, ApiError> {
        if self.begun == ATTEMPTS {
            return Err(ApiError::Moved);
        }
        if self.begun > 0 {
            self.app.engine.world.pause(self.begun).await;
        }
        self.begun += 1;
        Ok(self.app.configuration().revision().await?)
    }
}

/// What a change owes to `targets` and `screens`.
pub(crate) fn owed(targets: Vec<Target>, screens: Option<Screens>) -> Option<OwedWakes> {
    let owes = !targets.is_empty() || screens.is_some();
    owes.then(|| OwedWakes { id: cloud::ids::ulid().to_string(), targets, screens })
}

/// Like [`written`], for a change that was checked. `None`: another write came in between, so check and write again.
pub(crate) fn settled(outcome: Written) -> Result<Option<u64>, ApiError> {
    match outcome {
        Written::Moved => Ok(None),
        outcome => written(outcome).map(Some),
    }
}

/// The version that was written.
pub(crate) fn written(outcome: Written) -> Result<u64, ApiError> {
    match outcome {
        Written::Done { version } => Ok(version),
        Written::Changed => Err(Error::Changed.into()),
        Written::Taken { name } => Err(taken(&name).into()),
        Written::Moved => Err(ApiError::Moved),
    }
}

/// An error for a unique name that another resource already has.
fn taken(name: &str) -> Errors {
    match name.split('#').next() {
        Some("video-topic") => Errors::one("settings.video.topic", TOPIC_TAKEN),
        Some("subject") => Errors::one("subject", "another agent has this subject"),
        Some("pause") => Errors::one("name", "another pause has this name"),
        Some("disposition") => Errors::one("name", "another disposition has this name"),
        Some("contact_field") => Errors::one("name", "another field has this name"),
        Some("tag") => Errors::one("tag", "this tag is there already"),
        _ => Errors::one("key", KEY_TAKEN),
    }
}

/// Logs a change of the configuration.
pub(crate) fn changed(kind: &'static str, action: &'static str, id: &str, by: &Caller) {
    tracing::info!(event = "config.changed", kind, action, id, by = by.subject);
}
