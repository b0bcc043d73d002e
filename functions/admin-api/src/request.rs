//! Extractors for the handlers' requests.

use axum::extract::FromRequestParts;
use http::request::Parts;

pub(crate) use api::{Administrator, Anyone, FromPath, Id, IfMatch, JsonBody as Body, Overseer, Page, Parameters};

/// The version that a write is based on, for writes where it is optional.
pub(crate) struct OptionalIfMatch(pub(crate) Option<IfMatch>);

impl<S: Send + Sync> FromRequestParts<S> for OptionalIfMatch {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(IfMatch::from_request_parts(parts, state).await.ok()))
    }
}
