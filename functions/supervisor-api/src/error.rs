//! Why a request is refused or fails, and the answer to it.

use api::Error;
use axum::response::{IntoResponse, Response};
use engine::ports::PortError;

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A refusal or failure of every API.
    #[error(transparent)]
    Kit(#[from] Error),
    /// A refusal or failure of the routes that this API shares.
    #[error(transparent)]
    Desk(#[from] desk::Failure),
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
            Failure::Desk(failure) => failure.into_response(),
        }
    }
}
