//! The state that every request works with.

use api::{Access, Api};
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use desk::{Desk, HasDesk};
use models::Models;
use store::Configuration;

use crate::translate::Translators;
use crate::vidaoo::Vidaoo;

/// The state that every request works with.
pub struct App {
    /// What this API shares with the others: the engine, the limits.
    pub desk: Desk,
    /// Who gets in.
    pub access: Access,
    /// Amazon Translate and Google Cloud Translation.
    pub translators: Translators,
    /// Video calls.
    pub vidaoo: Vidaoo,
    /// Language models and knowledge bases.
    pub models: Models,
    /// The public address of the HTTP API, without a slash at the end.
    pub public_url: String,
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
    /// Wires the clients from the environment: the [`Desk`], the translators, the models, Vidaoo, the tokens' issuer
    /// and `PUBLIC_URL`.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let aws = Aws::new(env)?;
        Ok(Self {
            desk: Desk::from_env(&aws, env)?,
            access: Access::from_env(env)?,
            translators: Translators::from_env(&aws, env)?,
            vidaoo: Vidaoo::from_env(&aws, env)?,
            models: Models::from_env(&aws, env)?,
            public_url: env.base_url("PUBLIC_URL")?,
        })
    }
}
