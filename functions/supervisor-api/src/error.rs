//! Why a request is refused or fails, and the answer to it.

use api::{Error, Errors, Problem, refuse};
use axum::response::{IntoResponse, Response};
use cloud::aws::CallError;
use domain::search::SavedSearch;
use engine::ports::PortError;
use http::StatusCode;

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A refusal or failure of every API.
    #[error(transparent)]
    Kit(#[from] Error),
    /// The bucket has no log.
    #[error("there is no log yet")]
    LogNotReady,
    /// A refusal or failure of the routes that this API shares.
    #[error(transparent)]
    Desk(#[from] desk::Failure),
    /// An owner holds the interaction or its contact.
    #[error("an owner holds it")]
    Held,
    /// A retention time that keeps less was not previewed.
    #[error("the retention time was not previewed")]
    Unconfirmed,
    /// The person keeps as many searches as anybody may.
    #[error("too many searches")]
    TooManySearches,
    /// The job has no file, or no longer.
    #[error("the job has no file")]
    NoFile,
}

impl From<Errors> for Failure {
    fn from(errors: Errors) -> Self {
        Error::Invalid(errors).into()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        desk::Failure::Call(error).into()
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Error::Port(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Kit(error) => error.into_response(),
            Failure::LogNotReady => {
                let problem = Problem::new(StatusCode::NOT_FOUND, "log-not-ready", "There is no log yet");
                refuse(problem.detail("It is written when the interaction closes, and a moment later it is there."), &self)
            }
            Failure::Desk(failure) => failure.into_response(),
            Failure::Held => refuse(
                Problem::conflict("held", "Held").detail("An owner holds the interaction, one that was merged into it, or its contact."),
                &self,
            ),
            Failure::Unconfirmed => {
                let problem = Problem::conflict("retention-unconfirmed", "Preview it first");
                let detail = "It keeps something for a shorter time. POST /retention/preview shows what it deletes; repeat with its token.";
                refuse(problem.detail(detail), &self)
            }
            Failure::TooManySearches => {
                let detail = format!("A person keeps up to {} searches. Delete one first.", SavedSearch::MOST);
                refuse(Problem::conflict("too-many-searches", "Too many searches").detail(detail), &self)
            }
            Failure::NoFile => refuse(
                Problem::new(StatusCode::NOT_FOUND, "no-file", "No file")
                    .detail("The job has made no file, or it was kept for seven days."),
                &self,
            ),
        }
    }
}
