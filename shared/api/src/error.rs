//! Why the kit refuses a request, and how it logs and answers every refusal and failure.

use axum::response::{IntoResponse, Response};
use cloud::sampling::Sampler;
use engine::ports::PortError;

use crate::problem::{Errors, Problem};

/// Why a request is refused or fails, for the reasons that all APIs share.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no token, or it is not accepted. The reason is logged but not answered.
    #[error("no valid token: {0}")]
    Unauthorized(&'static str),
    /// The caller's role does not allow it.
    #[error("the role does not allow it")]
    Forbidden,
    /// No agent's record has the token's subject.
    #[error("no agent has this subject")]
    NoAgent,
    /// It does not exist, or the caller may not see it.
    #[error("not found")]
    NotFound,
    /// The path has no such method.
    #[error("no such method")]
    MethodNotAllowed,
    /// The request can't be read.
    #[error("the request can't be read: {0}")]
    BadRequest(String),
    /// The content type of the body is not JSON.
    #[error("the content type of the body is not JSON")]
    NotJson,
    /// The body is over the limit.
    #[error("the body is too large")]
    TooLarge,
    /// A write without `If-Match`.
    #[error("no If-Match")]
    NoCondition,
    /// `If-Match` names another version than the stored one.
    #[error("changed since it was read")]
    Changed,
    /// Fields or parameters were refused.
    #[error("fields were refused")]
    Invalid(Errors),
    /// The issuer's keys can't be fetched.
    #[error("the issuer's keys can't be fetched")]
    NoKeys,
    /// A table could not be read or written.
    #[error(transparent)]
    Port(#[from] PortError),
    /// An answer has no JSON form.
    #[error("an answer has no JSON form")]
    Encode,
}

impl Error {
    /// One field that was refused.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(Errors::one(field, message))
    }

    /// The problem document for the caller.
    pub fn problem(&self) -> Problem {
        match self {
            Error::Unauthorized(_) => Problem::unauthorized(),
            Error::Forbidden => Problem::forbidden(),
            Error::NoAgent => Problem::no_agent(),
            Error::NotFound => Problem::not_found(),
            Error::MethodNotAllowed => Problem::method_not_allowed(),
            Error::BadRequest(detail) => Problem::bad_request(detail),
            Error::NotJson => Problem::not_json(),
            Error::TooLarge => Problem::too_large(),
            Error::NoCondition => Problem::precondition_required(),
            Error::Changed => Problem::precondition_failed(),
            Error::Invalid(errors) => errors.problem(),
            Error::NoKeys | Error::Port(_) => Problem::unavailable(),
            Error::Encode => Problem::internal(),
        }
    }
}

impl From<Errors> for Error {
    fn from(errors: Errors) -> Self {
        Self::Invalid(errors)
    }
}

/// Anybody can send wrong tokens, so their lines are samples.
static REFUSED_TOKENS: Sampler = Sampler::new();

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Error::Unauthorized(reason) = self {
            if let Some(held_back) = REFUSED_TOKENS.passes() {
                tracing::info!(event = "auth.refused", reason, held_back);
            }
            return self.problem().into_response();
        }
        refuse(self.problem(), &self)
    }
}

/// Logs a refusal or failure, once, and answers it. A refusal is the caller's fault. A failure is ours, and its
/// reason is logged.
pub fn refuse(problem: Problem, reason: &dyn std::error::Error) -> Response {
    let (kind, status) = (problem.kind(), problem.status().as_u16());
    if problem.status().is_server_error() {
        tracing::error!(event = "request.failed", kind, status, error = %reason);
    } else {
        tracing::info!(event = "request.refused", kind, status);
    }
    problem.into_response()
}
