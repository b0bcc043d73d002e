//! What handlers answer.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request::etag;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// By id, which sorts by the time when they were made.
    pub(crate) items: Vec<T>,
    /// What to give as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        // Accounts show their Receive URL and proxy token: no cache on the way keeps them.
        ([(CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}

/// Something configured, with its version as `ETag`.
#[derive(Debug)]
pub(crate) struct Versioned<T> {
    pub(crate) view: T,
    pub(crate) version: u64,
    /// Where it lies, when it was just made.
    pub(crate) made_at: Option<String>,
}

impl<T> Versioned<T> {
    pub(crate) fn new(view: T, version: u64) -> Self {
        Self { view, version, made_at: None }
    }

    pub(crate) fn made(view: T, at: String) -> Self {
        Self { view, version: 1, made_at: Some(at) }
    }
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let status = if self.made_at.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = (status, [(CACHE_CONTROL, "no-store")], Json(self.view)).into_response();
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&etag(self.version)) {
            headers.insert(ETAG, tag);
        }
        if let Some(location) = self.made_at.and_then(|at| HeaderValue::from_str(&at).ok()) {
            headers.insert(LOCATION, location);
        }
        response
    }
}
