//! Kaleyra: Meta's objects within its own, an API key in a header, unsigned webhooks. The shapes come from its
//! public pages. The answer to a send is not documented; here it has the form of Kaleyra's SMS API.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use ulid::Ulid;

use super::{Account, On, Provider, Received, Sent, Shared, Stage, Webhook, guarded, meta, reply, text};

/// The number's id at Meta, for webhooks in Meta's form.
const PHONE_NUMBER_ID: &str = "106540352242922";

pub(super) struct Kaleyra;

impl Provider for Kaleyra {
    fn kind(&self) -> &'static str {
        "KALEYRA"
    }

    fn id_field(&self) -> &'static str {
        "account_sid"
    }

    fn new_id(&self) -> String {
        meta::wamid()
    }

    fn routes(&self) -> Router<Arc<Shared>> {
        Router::new()
            .route("/kaleyra/v2/{sid}/whatsapp/{number}/messages", post(send_message))
            .route("/kaleyra/v2/{sid}/whatsapp/{waba}/message_templates", get(templates))
    }

    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook {
        guarded(account, webhook)
    }

    fn message(&self, account: &Account, message: &Received) -> Webhook {
        let contact = json!({"profile": {"name": message.name}, "wa_id": message.digits()});
        let value = meta::value(account, PHONE_NUMBER_ID, &json!({"contacts": [contact], "messages": [meta::inbound(message)]}));
        let mut extra = extra_info(account, "");
        extra["media_url"] = json!(message.file.as_ref().map_or("", |file| file.url.as_str()));
        let body = json!({"meta_object": {"field": "messages", "value": value}, "extra_info": extra});
        Webhook::json(&message.id, account.webhook_url(), &body)
    }

    fn report(&self, account: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook) {
        let word = meta::word(state);
        let wamid = format!("wamid.{}", sent.sid);
        let mut status = meta::status(sent, word, failure);
        status["id"] = json!(wamid);
        let value = meta::value(account, PHONE_NUMBER_ID, &json!({ "statuses": [status] }));
        let mut extra = extra_info(account, &sent.reference);
        extra["message_id"] = json!(sent.sid);
        let body = json!({"meta_object": {"field": "messages", "value": value}, "extra_info": extra, "status": word, "message_id": wamid});
        (word.to_owned(), Webhook::json(&sent.sid, &sent.callback, &body))
    }

    fn error(&self, status: u16, code: Option<&str>) -> Response {
        let (default, message) = match status {
            401 | 403 => ("RBC001", "Invalid SID or API key"),
            429 => ("E429", "Too many requests"),
            500.. => ("WA500", "Internal server error"),
            _ => ("WA400", "Invalid payload"),
        };
        reply(status, &json!({"code": code.unwrap_or(default), "message": message, "data": {}, "error": {"error": message}}))
    }

    fn window_code(&self) -> &'static str {
        "131047"
    }

    fn media_code(&self) -> &'static str {
        "131053"
    }
}

fn extra_info(account: &Account, reference: &str) -> Value {
    json!({
        "trace_id": Ulid::generate().to_string(), "waba_id": account.field("waba_id"), "reply_to": "", "ref": reference, "ref1": "", "ref2": "",
    })
}

fn authenticate(shared: &Shared, headers: &HeaderMap, sid: &str) -> Result<Account, Response> {
    let key = headers.get("api-key").and_then(|value| value.to_str().ok());
    let known = shared.account("KALEYRA", sid).filter(|account| key == Some(account.field("api_key")));
    known.ok_or_else(|| Kaleyra.error(401, None))
}

async fn send_message(
    State(shared): State<Arc<Shared>>,
    Path((sid, number)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let account = match authenticate(&shared, &headers, &sid) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    let fault = shared.take_fault(&Kaleyra, On::Message).unwrap_or_default();
    if let Some(refusal) = super::scripted(&Kaleyra, &fault) {
        return refusal;
    }
    if number != account.phone {
        return Kaleyra.error(401, Some("WA401"));
    }
    let message = &body["messaging_object"];
    if meta::fault_of(message).is_some() {
        return Kaleyra.error(400, None);
    }
    let sent = Sent {
        sid: Ulid::generate().to_string(),
        reference: text(&body, "/extra_info/ref").to_owned(),
        request: body.clone(),
        ..meta::outgoing(&Kaleyra, &account, message)
    };
    let answer = reply(200, &json!({"code": "WA200", "message": "Success", "data": {"message_id": sent.sid}, "error": {}}));
    shared.accept(account, sent, fault, answer).await
}

async fn templates(State(shared): State<Arc<Shared>>, Path((sid, _waba)): Path<(String, String)>, headers: HeaderMap) -> Response {
    match authenticate(&shared, &headers, &sid) {
        Ok(_) => match shared.refusal(&Kaleyra, On::Api).await {
            Some(refusal) => refusal,
            None => reply(200, &meta::template_list()),
        },
        Err(refusal) => refusal,
    }
}
