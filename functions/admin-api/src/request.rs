//! What handlers take from a request.

use axum::extract::FromRequestParts;
use http::request::Parts;

pub(crate) use api::{Administrator, Anyone, FromPath, Id, IfMatch, JsonBody as Body, Overseer, Page, Parameters};

/// Which version a write supposes, where it may also suppose none.
pub(crate) struct OptionalIfMatch(pub(crate) Option<IfMatch>);

impl<S: Send + Sync> FromRequestParts<S> for OptionalIfMatch {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(IfMatch::from_request_parts(parts, state).await.ok()))
    }
}
