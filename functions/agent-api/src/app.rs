//! The state that every request works with.

use std::sync::Arc;

use api::{AgentCaller, Api, Command, Documents, Error, Gate, saw_account};
use cloud::auth::{RoleSource, Verifier};
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::objects::Objects;
use domain::account::Account;
use domain::agent::Agent;
use domain::effect::InteractionKey;
use domain::ids::{AccountId, AgentId, InteractionId};
use engine::Engine;
use engine::ports::{Directory, Store, System, World};
use jiff::Timestamp;
use store::{Configuration, Interactions};

use crate::limits::Limits;
use crate::problem::Failure;

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
    /// How often an agent may do what costs money.
    pub limits: Limits,
    /// The bucket of transcripts and media.
    pub objects: Objects,
    /// The public address of the HTTP API, without a slash at the end.
    pub public_url: String,
    /// The address for clients' sockets.
    pub websocket_url: String,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("engine", &self.engine).field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

/// An interaction that the caller may see, and its account.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) key: InteractionKey,
    pub(crate) account: Arc<Account>,
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
    /// Wires the clients from the environment: the tables, the bucket, the tokens' issuer, `PUBLIC_URL` and
    /// `WEBSOCKET_URL`.
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
            limits: Limits::from_env(env)?,
            objects: Objects::from_env(&aws, env)?,
            public_url: env.base_url("PUBLIC_URL")?,
            websocket_url: env.base_url("WEBSOCKET_URL")?,
        })
    }

    pub(crate) fn store(&self) -> &Interactions {
        &self.engine.store
    }

    pub(crate) fn directory(&self) -> &Configuration {
        &self.engine.directory
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.engine.world.now()
    }

    /// The agent's record. One that was made a moment ago may not be in the cached view of all agents.
    pub(crate) async fn agent(&self, id: &AgentId) -> Result<Option<Agent>, Failure> {
        Ok(self.directory().agent(id).await?)
    }

    /// The agent's record right now, past the cache, for decisions that must not rest on a record that is some
    /// seconds old.
    pub(crate) async fn fresh_agent(&self, id: &AgentId) -> Result<Option<Agent>, Failure> {
        Ok(self.directory().get::<Agent>(id.as_str()).await?.map(|(agent, _)| agent))
    }

    /// The result of an earlier run of the command, by an earlier request with its key or by an attempt of this one
    /// whose answer was lost: the id of a message, otherwise of the interaction.
    pub(crate) async fn earlier(&self, command: &Command) -> Result<Option<String>, Failure> {
        if command.is_repeatable { Ok(self.store().command_result(&command.id).await?) } else { Ok(None) }
    }

    /// The account in a path, for its agents and for supervisors. An account that the caller may not see is not
    /// found, like one with a malformed id.
    pub(crate) async fn account(&self, caller: &AgentCaller, id: &str) -> Result<Arc<Account>, Failure> {
        let id: AccountId = id.parse().map_err(|_| Error::NotFound)?;
        let account = self.directory().account(&id).await?.filter(|account| caller.reads(account)).ok_or(Error::NotFound)?;
        Ok(account)
    }

    /// The interaction in a path. One that the caller may not see is not found, like one with a malformed id.
    pub(crate) async fn locate(&self, caller: &AgentCaller, id: &str) -> Result<Located, Failure> {
        let id: InteractionId = id.parse().map_err(|_| Error::NotFound)?;
        let key = self.store().locate(&id).await?.ok_or(Error::NotFound)?;
        let account = self.directory().account(&key.conversation.account).await?.ok_or(Error::NotFound)?;
        saw_account(&account.id);
        if caller.reads(&account) { Ok(Located { key, account }) } else { Err(Error::NotFound.into()) }
    }
}
