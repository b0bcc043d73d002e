//! Vidaoo's API (under `/vidaoo`), as far as public code shows it: a key in `X-APIKEY`, JSON or a form. Faults name
//! `provider` `VIDAOO`. With `status` 200 the `code` names a bad answer: `half`, `empty` (no link), `http` (links
//! without TLS), or another form: `flat` (one link at the top).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Fault, Shared, Silence, reply, silent};

/// The key that Vidaoo's stand-in takes.
pub const VIDEO_KEY: &str = "vidaoo-stand-in-key-of-the-local-run";

const VIDAOO: &str = "VIDAOO";

/// A meeting that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Met {
    /// The title.
    pub topic: String,
    /// The note.
    pub note: String,
    /// The metadata.
    pub metadata: Value,
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/vidaoo/meetings", post(meet))
}

fn read(headers: &HeaderMap, body: &[u8]) -> Option<Met> {
    let is_form = headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let body: Value = if is_form {
        let field = |name: &str| form_urlencoded::parse(body).find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        json!({ "topic": field("topic")?, "note": field("note")?, "metadata": serde_json::from_str::<Value>(&field("metadata")?).ok()? })
    } else {
        serde_json::from_slice(body).ok()?
    };
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Some(Met { topic: text("topic")?, note: text("note")?, metadata: body["metadata"].clone() })
}

async fn meet(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let error = |status: u16| reply(status, &json!({ "message": "refused by the stand-in" }));
    let number = shared.inside().met.len() + 1;
    let answer = |scheme: &str| {
        let link = |part: &str| format!("{scheme}://vidaoo.example/meet/{number}?as={part}");
        json!({ "data": { "id": number, "guest_url": link("guest"), "host_url": link("host") } })
    };
    let bad = match shared.fault_of(VIDAOO) {
        Some(Fault { status: Some(200), code, .. }) => code.map(|code| code.0),
        Some(Fault { status: Some(status), .. }) => return error(status),
        Some(Fault { fault, .. }) => return silent(fault.unwrap_or(Silence::Timeout)).await,
        None => None,
    };
    if headers.get("x-apikey").is_none_or(|key| key != VIDEO_KEY) {
        return error(401);
    }
    let Some(met) = read(&headers, &body) else { return error(400) };
    shared.change(|inside| inside.met.push(met));
    match bad.as_deref() {
        Some("half") => {
            let whole = answer("https").to_string();
            (StatusCode::OK, [("content-type", "application/json")], whole[..whole.len() / 2].to_owned()).into_response()
        }
        Some("empty") => reply(200, &json!({ "data": { "id": number } })),
        Some("http") => reply(200, &answer("http")),
        Some("flat") => reply(200, &json!({ "joinUrl": format!("https://vidaoo.example/flat/{number}") })),
        _ => (StatusCode::CREATED, Json(answer("https"))).into_response(),
    }
}
