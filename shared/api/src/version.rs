//! Versions of stored resources: `ETag` and `If-Match`.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use serde::Serialize;

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

/// The versions that a reader has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(Vec<String>);

/// What a reader who asks again and again gets: the view with its `ETag`, or 304 if the reader has it already.
#[derive(Debug)]
pub struct Polled<T> {
    version: u64,
    view: Option<T>,
}

impl IfNoneMatch {
    /// The view of `version`, which is made only if the reader does not have it.
    pub fn unless_known<T>(&self, version: u64, view: impl FnOnce() -> T) -> Polled<T> {
        let own = etag(version);
        // Readers compare weakly (RFC 9110, section 13.1.2). Proxies that compress make a tag weak.
        let known = self.0.iter().any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own);
        Polled { version, view: (!known).then(view) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let values = parts.headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
        Ok(Self(values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect()))
    }
}

impl<T: Serialize> IntoResponse for Polled<T> {
    fn into_response(self) -> Response {
        let tag = [(ETAG, etag(self.version))];
        match self.view {
            Some(view) => (tag, Json(view)).into_response(),
            None => (StatusCode::NOT_MODIFIED, tag).into_response(),
        }
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

    #[tokio::test]
    async fn a_reader_who_has_the_version_gets_no_body() {
        for (header, known) in
            [(None, false), (Some("\"6\""), false), (Some("\"7\""), true), (Some("\"6\", W/\"7\""), true), (Some("*"), true)]
        {
            let request = http::Request::builder().uri("/");
            let request = header.iter().fold(request, |request, header| request.header("if-none-match", *header));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let Ok(reader) = IfNoneMatch::from_request_parts(&mut parts, &()).await;
            let response = reader.unless_known(7, || "view").into_response();
            let told = (response.status().as_u16(), response.headers()["etag"].to_str().unwrap());
            assert_eq!(told, (if known { 304 } else { 200 }, "\"7\""), "{header:?}");
        }
    }
}
