//! Another system that triggers call, under `/hooks/NAME`. It checks no signature and takes everything. Faults name
//! `provider` `HOOKS`; `code` is the text of the answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Shared, Silence, StandIn, silent};

const HOOKS: &str = "HOOKS";

/// A call that was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Called {
    /// The name at the end of the path.
    pub name: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The status of the answer.
    pub status: u16,
    /// The body.
    pub body: Value,
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/hooks/{name}", post(called))
        .route("/_standin/hooks", get(async |State(shared): State<Arc<Shared>>| Json(json!({ "called": shared.inside().called }))))
}

async fn called(State(shared): State<Arc<Shared>>, Path(name): Path<String>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let fault = shared.fault_of(HOOKS);
    let answer = match fault {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(fault) => {
            let Some(status) = fault.status.and_then(|status| StatusCode::from_u16(status).ok()) else {
                return silent(fault.fault.unwrap_or(Silence::Timeout)).await;
            };
            let mut answer = (status, fault.code.map_or_else(String::new, |code| code.0)).into_response();
            if let Some(seconds) = fault.retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let called = Called { name, id: text("webhook-id"), signature: text("webhook-signature"), status: answer.status().as_u16(), body };
    shared.change(|inside| inside.called.push(called));
    answer
}

impl StandIn {
    /// The address of the other system `name`.
    pub fn hook_url(&self, name: &str) -> String {
        format!("{}/hooks/{name}", self.url)
    }

    /// All answered calls of triggers, oldest first.
    pub fn called(&self) -> Vec<Called> {
        self.shared.inside().called.clone()
    }

    /// Waits for the first call that `wanted` accepts.
    ///
    /// # Errors
    /// None came within `limit`.
    pub async fn wait_for_call(&self, limit: Duration, wanted: impl Fn(&Called) -> bool) -> Result<Called> {
        let found = self.wait(limit, |inside| inside.called.iter().find(|called| wanted(called)).cloned()).await;
        found.with_context(|| format!("no trigger made the expected call in {limit:?}"))
    }
}
