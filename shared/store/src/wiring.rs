//! The tables as the environment names them.

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use engine::Engine;
use engine::ports::System;

use crate::{Configuration, Documents, Form, Interactions};

impl Configuration {
    /// Reads `CONFIG_TABLE` and `INTERACTIONS_TABLE`.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self::new(aws.dynamodb(), env.required("CONFIG_TABLE")?, env.required("INTERACTIONS_TABLE")?))
    }
}

impl Interactions {
    /// Reads `INTERACTIONS_TABLE`, `CONFIG_TABLE` and `COMPACT_ITEMS`; where documents are used, `DERIVED_TABLE` too.
    ///
    /// # Errors
    /// A variable is missing, or has an unknown value.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let form = if env.parsed("COMPACT_ITEMS", "true or false")?.unwrap_or(false) { Form::Compact } else { Form::Plain };
        let interactions = Self::new(aws.dynamodb(), env.required("INTERACTIONS_TABLE")?, env.required("CONFIG_TABLE")?).writing(form);
        Ok(match env.optional("DERIVED_TABLE") {
            Some(derived) => interactions.with_documents(Documents::new(aws.dynamodb(), derived)),
            None => interactions,
        })
    }
}

/// The engine on both tables, with the system's clock.
///
/// # Errors
/// A variable is missing.
pub fn open_engine(aws: &Aws, env: &Env) -> Result<Engine<Interactions, Configuration, System>, ConfigError> {
    Ok(Engine { store: Interactions::from_env(aws, env)?, directory: Configuration::from_env(aws, env)?, world: System })
}
