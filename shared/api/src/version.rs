//! Versions of stored resources: `ETag` and `If-Match`.

use axum::extract::FromRequestParts;
use http::header::{HeaderMap, IF_MATCH};
use http::request::Parts;

use crate::error::Error;

/// The entity tag of a version. It is strong, so that `If-Match` can compare it (RFC 9110, section 13.1.1).
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version that a write is based on. A request without it is refused (428).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any version.
    Any,
    /// One of these entity tags.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Fails unless `version` is the expected one.
    ///
    /// # Errors
    /// [`Error::Changed`] if it is another.
    pub fn check(&self, version: u64) -> Result<(), Error> {
        match self {
            IfMatch::Any => Ok(()),
            IfMatch::Tags(tags) if tags.contains(&etag(version)) => Ok(()),
            IfMatch::Tags(_) => Err(Error::Changed),
        }
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut tags = Vec::new();
        for value in headers.get_all(IF_MATCH) {
            // An unreadable tag matches nothing.
            tags.extend(value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()));
        }
        match tags.as_slice() {
            [] => None,
            [any] if any == "*" => Some(IfMatch::Any),
            _ => Some(IfMatch::Tags(tags)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::of(&parts.headers).ok_or(Error::NoCondition)
    }
}

/// The version that a write is based on, for writes where it is optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalIfMatch(pub Option<IfMatch>);

impl<S: Send + Sync> FromRequestParts<S> for OptionalIfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(IfMatch::of(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(values: &[&str]) -> Option<IfMatch> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        IfMatch::of(&headers)
    }

    #[test]
    fn a_write_names_the_version_that_it_is_based_on() {
        assert_eq!(if_match(&[]), None);
        assert!(if_match(&["\"3\""]).unwrap().check(3).is_ok());
        assert!(if_match(&["\"2\", \"3\""]).unwrap().check(3).is_ok());
        assert!(if_match(&["*"]).unwrap().check(9).is_ok());
        for stale in ["\"2\"", "3", "W/\"3\"", "", "\"33\""] {
            assert!(matches!(if_match(&[stale]).unwrap().check(3), Err(Error::Changed)), "{stale}");
        }
    }
}
