//! The answers of handlers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::version::etag;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Send this as `after` for the next page. Absent: this was the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A stored resource, with its version as `ETag`.
#[derive(Debug)]
pub struct Versioned<T> {
    /// The view.
    pub view: T,
    /// Its version.
    pub version: u64,
    /// Its address, if it was just made.
    pub made_at: Option<String>,
}

impl<T> Versioned<T> {
    /// A stored resource at its version (200).
    pub fn new(view: T, version: u64) -> Self {
        Self { view, version, made_at: None }
    }

    /// A new resource and its address (201).
    pub fn made(view: T, at: String) -> Self {
        Self { view, version: 1, made_at: Some(at) }
    }
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let status = if self.made_at.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = (status, Json(self.view)).into_response();
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
