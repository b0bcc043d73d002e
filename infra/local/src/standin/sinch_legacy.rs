//! Sinch's older WhatsApp API: JSON with the bot's own bearer token. Its webhooks carry messages and statuses in
//! one form. They are not signed here, because the encoding of the optional signature is not documented. Shapes are
//! those of its last public documentation.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use super::{Account, On, Provider, Received, Sent, Shared, Stage, Webhook, bearer, guarded, reply, text};

pub(super) struct Sinch;

impl Provider for Sinch {
    fn kind(&self) -> &'static str {
        "SINCH"
    }

    fn id_field(&self) -> &'static str {
        "account_sid"
    }

    fn new_id(&self) -> String {
        Ulid::generate().to_string()
    }

    fn routes(&self) -> Router<Arc<Shared>> {
        Router::new()
            .route("/sinch-legacy/whatsapp/v1/{bot}/messages", post(send_message))
            .route("/sinch-legacy/whatsapp/v1/{bot}/callbacks/notifications", get(notifications))
            .route("/sinch-legacy/whatsapp/v1/{bot}/provision/optin", post(opt_in))
    }

    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook {
        guarded(account, webhook)
    }

    fn message(&self, account: &Account, message: &Received) -> Webhook {
        let mut body = json!({"type": "whatsapp", "notifications": [notification(account, message)]});
        if message.file.is_none() {
            body["contacts"] = json!([{"profile": {"name": message.name}, "wa_id": message.digits()}]);
        }
        Webhook::json(&message.id, account.webhook_url(), &body)
    }

    fn report(&self, _: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook) {
        let word = match state {
            Stage::Sent => "sent",
            Stage::Delivered => "delivered",
            Stage::Read => "read",
            Stage::Failed => "failed",
        };
        let mut status = status(&sent.sid, &sent.to, word);
        if let Some(details) = failure {
            status["status"] = json!("failure");
            status["details"] = json!(details);
        }
        (word.to_owned(), Webhook::json(&sent.sid, &sent.callback, &json!({"type": "whatsapp", "statuses": [status]})))
    }

    fn error(&self, status: u16, code: Option<&str>) -> Response {
        let message = match status {
            401 => "Unauthorized",
            404 => "Not found",
            429 => "Too many requests",
            500.. => "Internal error",
            _ => "Invalid request",
        };
        reply(status, &json!({"message": message, "details": code.unwrap_or_default()}))
    }

    /// The API has no codes, only words, and these are not documented.
    fn window_code(&self) -> &'static str {
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number"
    }

    fn media_code(&self) -> &'static str {
        "Failed to download media"
    }
}

fn status(id: &str, recipient: &str, state: &str) -> Value {
    json!({
        "status": "success", "state": state, "message_id": id, "recipient": format!("+{}", recipient.trim_start_matches('+')), "details": "",
        "timestamp": Timestamp::now().to_string(),
    })
}

fn notification(account: &Account, message: &Received) -> Value {
    let contents = match &message.file {
        Some(file) => {
            let family = file.content_type.split('/').next().unwrap_or_default();
            let kind = if matches!(family, "image" | "video" | "audio") { family } else { "document" };
            let mut contents = json!({"type": kind, "url": file.url, "mime_type": file.content_type});
            if !message.text.is_empty() {
                contents["caption"] = json!(message.text);
            }
            if let Some(name) = file.name.as_deref().filter(|_| kind == "document") {
                contents["filename"] = json!(name);
            }
            contents
        }
        None => json!({"type": "text", "body": message.text}),
    };
    json!({
        "from": message.digits(), "to": account.id(), "message_id": message.id, "message": contents, "timestamp": message.at.to_string(), "forwarded": false,
    })
}

fn authenticate(shared: &Shared, headers: &HeaderMap, bot: &str) -> Result<Account, Response> {
    let known = shared.account("SINCH", bot).filter(|account| bearer(headers) == Some(account.field("authorization_token")));
    known.ok_or_else(|| Sinch.error(401, None))
}

async fn send_message(State(shared): State<Arc<Shared>>, Path(bot): Path<String>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let account = match authenticate(&shared, &headers, &bot) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    let fault = shared.take_fault(&Sinch, On::Message).unwrap_or_default();
    if let Some(refusal) = super::scripted(&Sinch, &fault) {
        return refusal;
    }
    let (to, kind) = (text(&body, "/to/0"), text(&body, "/message/type"));
    let link = text(&body, "/message/url");
    let complete = match kind {
        "text" => !text(&body, "/message/text").is_empty(),
        "image" | "video" | "audio" | "document" | "sticker" => !link.is_empty(),
        "location" | "template" | "contacts" | "interactive" => true,
        _ => false,
    };
    if to.is_empty() || !complete {
        return reply(400, &json!({"message": "Invalid request", "details": "the message is not complete"}));
    }
    let said = if kind == "text" { text(&body, "/message/text") } else { text(&body, "/message/caption") };
    let callback = text(&body, "/callback");
    let mut sent =
        Sent { to: to.to_owned(), body: said.to_owned(), link: link.to_owned(), request: body.clone(), ..Sent::new(&Sinch, &account) };
    if !callback.is_empty() {
        callback.clone_into(&mut sent.callback);
    }
    let answer = reply(201, &json!({"type": "whatsapp", "statuses": [status(&sent.sid, to, "queued")]}));
    shared.accept(account, sent, fault, answer).await
}

/// Customers' messages between `start_time` and `end_time`, in pages of `page_size`.
async fn notifications(
    State(shared): State<Arc<Shared>>,
    Path(bot): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let account = match authenticate(&shared, &headers, &bot) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&Sinch, On::Api).await {
        return refusal;
    }
    let asked = |name: &str| query.get(name).map_or("", String::as_str);
    let since = asked("start_time").parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let all: Vec<Value> = shared.received(&account, since).iter().map(|message| notification(&account, message)).collect();
    let size: usize = asked("page_size").parse().unwrap_or(20).clamp(1, 1000);
    // The first page has the number 1.
    let page: usize = asked("page").parse().unwrap_or(1);
    let shown: Vec<Value> = all.into_iter().skip(page.saturating_sub(1) * size).take(size).collect();
    reply(200, &json!({"type": "whatsapp", "notifications": shown}))
}

async fn opt_in(State(shared): State<Arc<Shared>>, Path(bot): Path<String>, headers: HeaderMap) -> Response {
    match authenticate(&shared, &headers, &bot) {
        Ok(_) => reply(201, &json!({})),
        Err(refusal) => refusal,
    }
}
