//! What the APIs of agents and of supervisors have in common: reading interactions, and acting on them.
//!
//! A route that both have is written here once. Each API names it in its list of routes, and its state holds a
//! [`Desk`] ([`HasDesk`]). Who gets in is the API's own matter: [`api::Api::least_role`] says which role it wants at
//! least, and [`api::Reader`] follows from it.
//!
//! | module | routes |
//! |---|---|
//! | [`interactions`] | one interaction, its history, close |
//! | [`messages`] | the thread, links to attachments |
//! | [`handover`] | reassign, archive |
//! | [`presence`] | an agent's presence, forced by a supervisor |
//! | [`searches`] | the advanced search and its fields |
//! | [`notes`], [`tags`], [`ai`], [`language`], [`transcripts`] | what their names say |

pub mod ai;
mod error;
pub mod handover;
pub mod interactions;
pub mod language;
mod limits;
mod lists;
mod looks;
pub mod messages;
pub mod notes;
pub mod presence;
pub mod searches;
pub mod tags;
pub mod text;
pub mod transcripts;

use std::sync::Arc;

use api::{Command, Error, Reader, saw_account};
use axum::extract::FromRef;
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::objects::Objects;
use domain::account::Account;
use domain::agent::Agent;
use domain::commands::Earlier;
use domain::effect::InteractionKey;
use domain::ids::{AgentId, InteractionId};
use domain::interaction::Interaction;
use engine::ports::{Directory, Store, System, World};
use engine::{Engine, EngineError};
use jiff::Timestamp;
use serde::Serialize;
use store::{Configuration, Interactions};
use utoipa::ToSchema;

pub use error::{Failure, Refused};
pub use limits::{Limited, Limits};

/// What the shared routes work with.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Decides and commits; holds the store and the configuration.
    pub engine: Engine<Interactions, Configuration, System>,
    /// The bucket of transcripts, logs and media.
    pub objects: Objects,
    /// How often a caller may do what costs money.
    pub limits: Limits,
}

/// The state of an API with shared routes.
pub trait HasDesk {
    /// The desk.
    fn desk(&self) -> &Desk;
}

impl<A: HasDesk> FromRef<Arc<A>> for Desk {
    fn from_ref(app: &Arc<A>) -> Self {
        app.desk().clone()
    }
}

/// An interaction that the caller may see, and its account.
#[derive(Debug, Clone)]
pub struct Located {
    /// The interaction's key.
    pub key: InteractionKey,
    account: Option<Arc<Account>>,
}

impl Located {
    /// Its account.
    ///
    /// # Errors
    /// The account was deleted. Its closed interactions stay readable for supervisors.
    pub fn account(&self) -> Result<&Arc<Account>, Failure> {
        Ok(self.account.as_ref().ok_or(Error::NotFound)?)
    }

    /// The name of a file of the interaction that a browser saves: with the account's key, if it still has one.
    pub fn file_name(&self, name: &str) -> String {
        let account = self.account.as_ref().map_or(self.key.conversation.account.as_str(), |account| account.key.as_str());
        format!("{account}-{name}")
    }
}

/// A download link for a browser.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    /// The address of the file. Browsers save it. It needs no token.
    pub url: String,
    /// When the link expires.
    pub expires_at: Timestamp,
}

impl Desk {
    /// Wires the clients from the environment: the tables, the bucket, and the [`Limits`].
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { engine: store::open_engine(aws, env)?, objects: Objects::from_env(aws, env)?, limits: Limits::from_env(env)? })
    }

    /// The table of interactions.
    pub fn store(&self) -> &Interactions {
        &self.engine.store
    }

    /// The configuration, cached for seconds.
    pub fn directory(&self) -> &Configuration {
        &self.engine.directory
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.engine.world.now()
    }

    /// The agent's record. One that was made a moment ago may not be in the cached view of all agents.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn agent(&self, id: &AgentId) -> Result<Option<Agent>, Failure> {
        Ok(self.directory().agent(id).await?)
    }

    /// The agent's record right now, past the cache, for decisions that must not rest on a record that is some
    /// seconds old.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn fresh_agent(&self, id: &AgentId) -> Result<Option<Agent>, Failure> {
        Ok(self.directory().get::<Agent>(id.as_str()).await?.map(|(agent, _)| agent))
    }

    /// The result of an earlier run of the command, by an earlier request with its key or by an attempt of this one
    /// whose answer was lost: the id of a message, otherwise of the interaction. `interaction` is the one that it was
    /// about, if there is one: it may remember the command.
    ///
    /// # Errors
    /// The table can't be read, or the key came before with another body.
    pub async fn earlier(&self, command: &Command, interaction: Option<&Interaction>) -> Result<Option<String>, Failure> {
        let Some(keyed) = &command.keyed else { return Ok(None) };
        if let Some((interaction, earlier)) = interaction.and_then(|known| Some((known, known.earlier(keyed)?))) {
            return match earlier {
                Earlier::Same { made } => Ok(Some(made.map_or_else(|| interaction.id.to_string(), |made| made.to_string()))),
                Earlier::OtherBody => Err(Failure::key_reused()),
            };
        }
        match self.store().command_mark(&keyed.id).await? {
            Some(mark) if mark.body.is_some_and(|body| body != keyed.body) => Err(Failure::key_reused()),
            mark => Ok(mark.map(|mark| mark.made)),
        }
    }

    /// The interaction in a path.
    ///
    /// # Errors
    /// One that the caller may not see is not found, like one with a malformed id. One that was deleted is
    /// [`Failure::Deleted`] for a caller who might have seen it.
    pub async fn locate(&self, reader: impl Into<Reader>, id: &str) -> Result<Located, Failure> {
        let id: InteractionId = id.parse().map_err(|_| Error::NotFound)?;
        let key = self.store().locate_lately(&id).await?;
        self.shown(reader, &id, key).await
    }

    /// Like [`Self::locate`], for a command of the engine, which reads the interaction in any case: a process looks up
    /// its place once. If the engine does not find it there, [`Self::missed`] tells why.
    ///
    /// # Errors
    /// Those of [`Self::locate`]. An interaction that was deleted since may be found.
    pub async fn locate_once(&self, reader: impl Into<Reader>, id: &str) -> Result<Located, Failure> {
        let id: InteractionId = id.parse().map_err(|_| Error::NotFound)?;
        let key = self.store().locate_once(&id).await?;
        self.shown(reader, &id, key).await
    }

    /// The failure of a command: an interaction that is not at its place was deleted.
    pub async fn missed(&self, reader: impl Into<Reader>, id: &str, error: EngineError) -> Failure {
        match error {
            EngineError::NotFound => match self.locate(reader, id).await {
                Ok(_) => error.into(),
                Err(failure) => failure,
            },
            other => other.into(),
        }
    }

    async fn shown(&self, reader: impl Into<Reader>, id: &InteractionId, key: Option<InteractionKey>) -> Result<Located, Failure> {
        let (key, deleted) = match key {
            Some(key) => (key, false),
            None => (self.store().gone(id).await?.ok_or(Error::NotFound)?.key, true),
        };
        let account = self.directory().account(&key.conversation.account).await?;
        saw_account(&key.conversation.account);
        if !reader.into().reads(account.as_deref()) {
            return Err(Error::NotFound.into());
        }
        if deleted { Err(Failure::Deleted) } else { Ok(Located { key, account }) }
    }

    /// The interaction at its place. One that is not there any more was deleted in this instant.
    ///
    /// # Errors
    /// [`Failure::Deleted`], or the table can't be read.
    pub async fn found(&self, place: &Located) -> Result<Interaction, Failure> {
        self.store().interaction(&place.key).await?.ok_or(Failure::Deleted)
    }
}
