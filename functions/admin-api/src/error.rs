//! Why a request was refused or failed, and what the caller is told.

use axum::response::{IntoResponse, Response};
use cloud::auth::AuthError;
use cloud::http::Problem;
use cloud::secrets::SecretError;
use engine::EngineError;
use engine::ports::PortError;
use http::StatusCode;

use crate::input::Errors;

/// Why a request was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("no valid token")]
    Unauthorized,
    #[error("the role does not allow it")]
    Forbidden,
    #[error("not found")]
    NotFound,
    #[error("no such method")]
    MethodNotAllowed,
    #[error("the request can't be read: {0}")]
    Unreadable(String),
    #[error("the body is not JSON by its content type")]
    NotJson,
    #[error("the body is too large")]
    TooLarge,
    #[error("no If-Match")]
    NoCondition,
    #[error("changed since it was read")]
    Changed,
    #[error("fields were refused")]
    Invalid(Errors),
    #[error("an active account would have nobody to answer")]
    NoAgent { accounts: Vec<String> },
    #[error("in use")]
    InUse { users: Vec<String> },
    #[error("open interactions")]
    OpenInteractions { count: usize, interactions: Vec<String> },
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the issuer's keys can't be had")]
    NoKeys,
    #[error("no random bytes")]
    NoRandomness,
    #[error("an answer has no JSON form")]
    Encode,
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(_) => ApiError::Unauthorized,
            AuthError::NoKeys => ApiError::NoKeys,
        }
    }
}

impl From<Errors> for ApiError {
    fn from(errors: Errors) -> Self {
        ApiError::Invalid(errors)
    }
}

impl ApiError {
    /// What the caller is told.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            ApiError::Unauthorized => Problem::unauthorized(),
            ApiError::Forbidden => Problem::forbidden(),
            ApiError::NotFound => Problem::not_found(),
            ApiError::MethodNotAllowed => Problem::method_not_allowed(),
            ApiError::Unreadable(why) => Problem::bad_request(why),
            ApiError::NotJson => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "The body must be application/json"),
            ApiError::TooLarge => Problem::too_large(),
            ApiError::NoCondition => Problem::precondition_required(),
            ApiError::Changed => Problem::precondition_failed(),
            ApiError::Invalid(errors) => {
                errors.iter().fold(Problem::invalid(), |problem, error| problem.field(&error.field, &error.message))
            }
            ApiError::NoAgent { accounts } => Problem::conflict("no-agent", "An active account needs an agent with WhatsApp enabled")
                .detail("Add another agent first, or switch the account off.")
                .with("accounts", accounts.clone()),
            ApiError::InUse { users } => {
                Problem::conflict("in-use", "Something else uses it").detail("Take it out of its users first.").with("users", users.clone())
            }
            ApiError::OpenInteractions { count, interactions } => {
                Problem::conflict("open-interactions", "The account has open interactions")
                    .detail("Close them first.")
                    .with("count", *count)
                    .with("interactions", interactions.clone())
            }
            ApiError::Port(_)
            | ApiError::NoKeys
            | ApiError::Engine(EngineError::Port(_) | EngineError::Busy)
            | ApiError::Secret(SecretError::Call(_)) => Problem::unavailable(),
            ApiError::Engine(EngineError::NoAccount(_) | EngineError::NotFound)
            | ApiError::Secret(SecretError::Missing | SecretError::Exists | SecretError::Malformed)
            | ApiError::NoRandomness
            | ApiError::Encode => Problem::internal(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        // Refusals are the caller's to see; faults are ours.
        if problem.status().is_server_error() {
            tracing::error!(event = "admin.failed", error = %self, status = problem.status().as_u16());
        } else {
            tracing::info!(event = "admin.refused", kind = problem.kind(), status = problem.status().as_u16());
        }
        problem.into_response()
    }
}
