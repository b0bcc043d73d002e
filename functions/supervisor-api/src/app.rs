//! The state that every request works with.

use std::sync::Arc;

use api::{Api, Documents, Error, Gate, saw_account};
use cloud::auth::{RoleSource, Verifier};
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::objects::Objects;
use cloud::queues::Queue;
use domain::effect::InteractionKey;
use domain::ids::InteractionId;
use engine::Engine;
use engine::ports::{Store, System};
use store::{Configuration, Interactions};

use crate::error::Failure;

/// The state that every request works with.
pub struct App {
    /// Decides and commits; holds the store and the configuration.
    pub engine: Engine<Interactions, Configuration, System>,
    /// Verifies tokens.
    pub gate: Arc<dyn Gate>,
    /// The source of callers' roles.
    pub role_source: RoleSource,
    /// Who may read the API's description.
    pub documents: Documents,
    /// The bucket of transcripts, logs, media and exports.
    pub objects: Objects,
    /// The queue of jobs.
    pub jobs: Queue,
    /// The public address of the HTTP API, without a slash at the end.
    pub public_url: String,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("engine", &self.engine).field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Api for App {
    fn gate(&self) -> &dyn Gate {
        &*self.gate
    }

    fn configuration(&self) -> &Configuration {
        &self.engine.directory
    }

    fn role_source(&self) -> RoleSource {
        self.role_source
    }

    fn documents(&self) -> Documents {
        self.documents
    }
}

impl App {
    /// Wires the clients from the environment: the tables, the bucket, the queue of jobs, the tokens' issuer and
    /// `PUBLIC_URL`.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let aws = Aws::new(env)?;
        Ok(Self {
            engine: store::open_engine(&aws, env)?,
            gate: Arc::new(Verifier::from_env(env)?),
            role_source: RoleSource::from_env(env)?,
            documents: Documents::from_env(env)?,
            objects: Objects::from_env(&aws, env)?,
            jobs: Queue::from_env(&aws, env, "JOBS_QUEUE_URL")?,
            public_url: env.base_url("PUBLIC_URL")?,
        })
    }

    pub(crate) fn store(&self) -> &Interactions {
        &self.engine.store
    }

    /// The interaction in a path. One with a malformed id is not found either.
    pub(crate) async fn locate(&self, id: &str) -> Result<InteractionKey, Failure> {
        let id: InteractionId = id.parse().map_err(|_| Error::NotFound)?;
        let key = self.store().locate(&id).await?.ok_or(Error::NotFound)?;
        saw_account(&key.conversation.account);
        Ok(key)
    }
}
