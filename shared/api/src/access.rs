//! What decides who gets in, the same for every API.

use std::sync::Arc;

use cloud::auth::{RoleSource, Verifier};
use cloud::config::{ConfigError, Env};

use crate::caller::Gate;
use crate::documents::Documents;

/// What decides who gets in.
#[derive(Clone)]
pub struct Access {
    /// Verifies tokens.
    pub gate: Arc<dyn Gate>,
    /// The source of callers' roles.
    pub role_source: RoleSource,
    /// Who may read the API's description.
    pub documents: Documents,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("role_source", &self.role_source).field("documents", &self.documents).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the variables of [`Verifier::from_env`], `ROLE_SOURCE` and `API_DOCUMENTS`.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { gate: Arc::new(Verifier::from_env(env)?), role_source: RoleSource::from_env(env)?, documents: Documents::from_env(env)? })
    }
}
