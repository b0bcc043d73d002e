//! What handlers take from a request.

use std::collections::HashMap;
use std::str::FromStr;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use cloud::auth::{Claims, bearer};
use domain::account::Account;
use domain::agent::Role;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, IF_MATCH};
use http::request::Parts;
use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;
use crate::input::Errors;

/// An account with a thousand agents and two hundred dispositions has some 80 KB; what is larger would not fit its item of 400 KB either.
const BODY: usize = 256 * 1024;

/// A page that a screen can show.
const PAGE: i32 = 50;
/// A page of accounts with a thousand agents each stays below the 6 MB that a Lambda may answer.
const PAGE_MOST: i32 = 100;

pub(crate) async fn caller(parts: &Parts, app: &App, least: Role) -> Result<Claims, ApiError> {
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(bearer).ok_or(ApiError::Unauthorized)?;
    let claims = app.gate.verify(token, cloud::time::now()).await?;
    if claims.may(least) { Ok(claims) } else { Err(ApiError::Forbidden) }
}

/// A caller who may configure: admin or owner.
pub(crate) struct Administrator(pub(crate) Claims);

impl FromRequestParts<App> for Administrator {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        caller(parts, app, Role::Admin).await.map(Self)
    }
}

/// A caller who may read what there is to oversee, and writes what agents choose from: supervisor, admin or owner.
pub(crate) struct Overseer(pub(crate) Claims);

impl FromRequestParts<App> for Overseer {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        caller(parts, app, Role::Supervisor).await.map(Self)
    }
}

/// A caller of any role; an agent is asked for what concerns accounts that the agent is of.
pub(crate) struct Anyone(pub(crate) Claims);

impl Anyone {
    /// Fails as if the account were not there, unless the caller oversees or is an agent of it.
    pub(crate) async fn is_of(&self, account: &Account, app: &App) -> Result<(), ApiError> {
        if self.0.may(Role::Supervisor) {
            return Ok(());
        }
        let agent = app.configuration().agent_of_subject(&self.0.subject).await?;
        if agent.is_some_and(|agent| account.agents.contains(&agent)) { Ok(()) } else { Err(ApiError::NotFound) }
    }
}

impl FromRequestParts<App> for Anyone {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        caller(parts, app, Role::Agent).await.map(Self)
    }
}

/// The id in the path; one of another kind names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| ApiError::NotFound)?;
        id.parse().map(Self).map_err(|_| ApiError::NotFound)
    }
}

/// Two ids in the path.
pub(crate) struct Ids<A, B>(pub(crate) A, pub(crate) B);

impl<A: FromStr, B: FromStr> FromRequestParts<App> for Ids<A, B> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((one, other)) = path.map_err(|_| ApiError::NotFound)?;
        Ok(Self(one.parse().map_err(|_| ApiError::NotFound)?, other.parse().map_err(|_| ApiError::NotFound)?))
    }
}

/// The parameters of the query, once each.
pub(crate) struct Parameters(HashMap<String, String>);

impl Parameters {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl FromRequestParts<App> for Parameters {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, app).await;
        query.map(|Query(parameters)| Self(parameters)).map_err(|_| ApiError::Unreadable("the query can't be read".to_owned()))
    }
}

/// Which page of a list: `?after=&limit=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) after: Option<String>,
    pub(crate) limit: i32,
}

impl Page {
    /// `limit` is 1 to 100, 50 unless told; `after` is an id of the kind that is listed.
    pub(crate) fn of<T: FromStr>(parameters: &Parameters) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let limit = match parameters.get("limit").map(str::parse::<i32>) {
            None => PAGE,
            Some(Ok(limit)) if (1..=PAGE_MOST).contains(&limit) => limit,
            Some(_) => {
                errors.add("limit".to_owned(), "must be a whole number from 1 to 100");
                PAGE
            }
        };
        let after = parameters.get("after").map(str::to_owned);
        if after.as_ref().is_some_and(|after| after.parse::<T>().is_err()) {
            errors.add("after".to_owned(), "must be what the page before gave as next");
        }
        errors.check().map(|()| Self { after, limit })
    }
}

/// Which version a write supposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: whatever is stored.
    Any,
    /// One of these entity tags.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Fails unless `version` is the one that is supposed.
    pub(crate) fn check(&self, version: u64) -> Result<(), ApiError> {
        match self {
            IfMatch::Any => Ok(()),
            IfMatch::Tags(tags) if tags.contains(&etag(version)) => Ok(()),
            IfMatch::Tags(_) => Err(ApiError::Changed),
        }
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut tags = Vec::new();
        for value in headers.get_all(IF_MATCH) {
            // What can't be read matches nothing.
            tags.extend(value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()));
        }
        match tags.as_slice() {
            [] => None,
            [any] if any == "*" => Some(IfMatch::Any),
            _ => Some(IfMatch::Tags(tags)),
        }
    }
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::of(&parts.headers).ok_or(ApiError::NoCondition)
    }
}

/// The same, where a write may also suppose nothing.
pub(crate) struct OptionalIfMatch(pub(crate) Option<IfMatch>);

impl FromRequestParts<App> for OptionalIfMatch {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(Self(IfMatch::of(&parts.headers)))
    }
}

/// The entity tag of a version: strong, so that If-Match can compare it (RFC 9110, section 13.1.1).
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// A JSON body.
pub(crate) struct Body(pub(crate) Value);

impl FromRequest<App> for Body {
    type Rejection = ApiError;
    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let named = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default().to_owned());
        if named.is_some_and(|named| !is_json(&named)) {
            return Err(ApiError::NotJson);
        }
        let bytes = to_bytes(request.into_body(), BODY).await.map_err(|_| ApiError::TooLarge)?;
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            // Where, never what: the parser's own words may quote the body.
            ApiError::Unreadable(format!("the body is not JSON: see line {}, column {}", error.line(), error.column()))
        })?;
        Ok(Self(body))
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use domain::ids::AgentId;

    use super::*;

    fn if_match(values: &[&str]) -> Option<IfMatch> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        IfMatch::of(&headers)
    }

    #[test]
    fn a_write_says_which_version_it_supposes() {
        assert_eq!(if_match(&[]), None);
        assert!(if_match(&["\"3\""]).unwrap().check(3).is_ok());
        assert!(if_match(&["\"2\", \"3\""]).unwrap().check(3).is_ok());
        assert!(if_match(&["*"]).unwrap().check(9).is_ok());
        for stale in ["\"2\"", "3", "W/\"3\"", "", "\"33\""] {
            assert!(matches!(if_match(&[stale]).unwrap().check(3), Err(ApiError::Changed)), "{stale}");
        }
    }

    #[test]
    fn a_page_has_1_to_100_entries() {
        let page = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Page::of::<AgentId>(&Parameters(pairs.collect()))
        };
        assert_eq!(page(&[]), Ok(Page { after: None, limit: 50 }));
        assert!(page(&[("limit", "100"), ("after", "agt_00000000000000000000000001")]).is_ok());
        for (name, bad) in [("limit", "0"), ("limit", "101"), ("limit", "many"), ("after", "que_00000000000000000000000001")] {
            assert_eq!(
                page(&[(name, bad)]),
                Err(Errors::one(
                    name,
                    if name == "limit" { "must be a whole number from 1 to 100" } else { "must be what the page before gave as next" }
                ))
            );
        }
    }

    #[test]
    fn a_body_is_json_by_its_content_type() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8") && is_json("application/merge-patch+json"));
        assert!(!is_json("application/x-www-form-urlencoded") && !is_json("text/plain") && !is_json(""));
    }
}
