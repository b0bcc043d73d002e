//! Who calls.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use cloud::auth::{AuthError, bearer};
use domain::account::Account;
use domain::agent::Role;
use domain::ids::AgentId;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::app::App;
use crate::problem::Failure;

/// The agent that a request's token belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) agent: AgentId,
    /// The highest role in the token.
    pub(crate) role: Role,
}

impl Caller {
    /// Whether the caller reads the interactions of all accounts.
    pub(crate) fn oversees(&self) -> bool {
        self.role >= Role::Supervisor
    }

    /// Whether the caller reads the interactions of this account.
    pub(crate) fn reads(&self, account: &Account) -> bool {
        self.oversees() || account.agents.contains(&self.agent)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let token = header.and_then(bearer).ok_or(Failure::Unauthorized)?;
        let claims = app.verifier.verify(token, app.now()).await.map_err(|error| match error {
            AuthError::Refused(reason) => {
                tracing::info!(event = "auth.refused", reason);
                Failure::Unauthorized
            }
            AuthError::NoKeys => {
                tracing::error!(event = "auth.no_keys");
                Failure::Unavailable
            }
        })?;
        let role = claims.role().ok_or(Failure::NoRole)?;
        let agent = app.directory().agent_of_subject(&claims.subject).await?.ok_or(Failure::NotAnAgent)?;
        tracing::Span::current().record("agent", agent.as_str());
        Ok(Self { agent, role })
    }
}
