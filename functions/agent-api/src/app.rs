//! The state that every request works with.

use std::sync::Arc;

use api::{Access, AgentCaller, Api, Error};
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use desk::{Desk, HasDesk};
use domain::account::Account;
use domain::ids::AccountId;
use engine::ports::Directory;
use jiff::Timestamp;
use oversight::Board;
use store::{Configuration, Interactions};

use crate::problem::Failure;
use crate::routes::Unheld;

/// The state that every request works with.
pub struct App {
    /// What this API shares with that of supervisors: the engine, the bucket, the limits.
    pub desk: Desk,
    /// Who gets in.
    pub access: Access,
    /// The public address of the HTTP API, without a slash at the end.
    pub public_url: String,
    /// The address for clients' sockets.
    pub websocket_url: String,
    /// How many wait in the queues.
    pub board: Board,
    /// What no agent has, account by account.
    pub unheld: Unheld,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("desk", &self.desk).field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Api for App {
    fn access(&self) -> &Access {
        &self.access
    }

    fn configuration(&self) -> &Configuration {
        self.desk.directory()
    }
}

impl HasDesk for App {
    fn desk(&self) -> &Desk {
        &self.desk
    }
}

impl App {
    /// Wires the clients from the environment: the [`Desk`], the tokens' issuer, `PUBLIC_URL` and
    /// `WEBSOCKET_URL`.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let aws = Aws::new(env)?;
        Ok(Self {
            desk: Desk::from_env(&aws, env)?,
            access: Access::from_env(env)?,
            public_url: env.base_url("PUBLIC_URL")?,
            websocket_url: env.base_url("WEBSOCKET_URL")?,
            board: Board::default(),
            unheld: Unheld::default(),
        })
    }

    pub(crate) fn store(&self) -> &Interactions {
        self.desk.store()
    }

    pub(crate) fn directory(&self) -> &Configuration {
        self.desk.directory()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.desk.now()
    }

    /// The account in a path, for its agents and for supervisors. An account that the caller may not see is not
    /// found, like one with a malformed id.
    pub(crate) async fn account(&self, caller: &AgentCaller, id: &str) -> Result<Arc<Account>, Failure> {
        let id: AccountId = id.parse().map_err(|_| Error::NotFound)?;
        let account = self.directory().account(&id).await?.filter(|account| caller.reads(account)).ok_or(Error::NotFound)?;
        Ok(account)
    }
}
