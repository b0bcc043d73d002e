//! Sinch's Conversation API: JSON with a token that is fetched with a key's id and secret. An app's webhooks with a
//! secret are signed over body, nonce and time. Shapes are those of Sinch's SDKs and API reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use super::{Account, On, Provider, Received, Sent, Shared, Stage, Webhook, bearer, hmac_sha256, is_basic, reply, text};

/// How long an access token is valid, in seconds.
const TOKEN_LIFETIME: u64 = 3600;

/// A webhook's id within its app. This stand-in has one.
const WEBHOOK: &str = "01STANDINWEBHOOK0000000000";

/// The secret of the webhook.
const SECRET: &str = "webhook_secret";

pub(super) struct SinchV2;

/// `x-sinch-webhook-signature`.
pub fn signature(secret: &str, body: &[u8], nonce: &str, timestamp: &str) -> String {
    let message = [body, b".", nonce.as_bytes(), b".", timestamp.as_bytes()].concat();
    BASE64_STANDARD.encode(hmac_sha256(secret, &message))
}

impl Provider for SinchV2 {
    fn kind(&self) -> &'static str {
        "SINCH_V2"
    }

    fn id_field(&self) -> &'static str {
        "app_id"
    }

    fn new_id(&self) -> String {
        Ulid::generate().to_string()
    }

    fn routes(&self) -> Router<Arc<Shared>> {
        Router::new()
            .route("/sinch-auth/oauth2/token", post(token))
            .route("/sinch/v1/projects/{project}/messages:send", post(send_message))
            .route("/sinch/v1/projects/{project}/messages", get(list_messages))
            .route("/sinch/v1/projects/{project}/apps/{app}", get(app))
            .route("/sinch/v1/projects/{project}/apps/{app}/webhooks", get(webhooks))
            .route("/sinch/v1/projects/{project}/webhooks", post(create_webhook))
            .route("/sinch/v1/projects/{project}/webhooks/{webhook}", patch(change_webhook).delete(delete_webhook))
            .route("/sinch/v1/projects/{project}/contacts/{contact}", get(contact))
    }

    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook {
        let (nonce, timestamp) = (Ulid::generate().to_string(), Timestamp::now().as_second().to_string());
        let signature = signature(account.field(SECRET), &webhook.body, &nonce, &timestamp);
        webhook
            .with_header("x-sinch-webhook-signature", &signature)
            .with_header("x-sinch-webhook-signature-nonce", &nonce)
            .with_header("x-sinch-webhook-signature-timestamp", &timestamp)
            .with_header("x-sinch-webhook-signature-algorithm", "HmacSHA256")
    }

    fn message(&self, account: &Account, message: &Received) -> Webhook {
        let mut body = envelope(account);
        body["message"] = listed(account, message);
        Webhook::json(&message.id, account.webhook_url(), &body)
    }

    fn report(&self, account: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook) {
        let word = match state {
            Stage::Sent => "QUEUED_ON_CHANNEL",
            Stage::Delivered => "DELIVERED",
            Stage::Read => "READ",
            Stage::Failed => "FAILED",
        };
        let mut report = json!({
            "message_id": sent.sid,
            "conversation_id": "01STANDINCONVERSATION00000",
            "status": word,
            // Recorded reports have a `+` here and none in messages.
            "channel_identity": {"channel": "WHATSAPP", "identity": format!("+{}", sent.to.trim_start_matches('+')), "app_id": ""},
            "contact_id": contact_of(&sent.to),
            "metadata": sent.reference,
            "processing_mode": "CONVERSATION",
        });
        if let Some(code) = failure {
            report["reason"] =
                json!({"code": code, "description": "The underlying channel reported a failure", "sub_code": "UNSPECIFIED_SUB_CODE"});
        }
        let mut body = envelope(account);
        body["message_delivery_report"] = report;
        (word.to_owned(), Webhook::json(&sent.sid, &sent.callback, &body))
    }

    fn error(&self, status: u16, _: Option<&str>) -> Response {
        error(status, "Request failed")
    }

    fn window_code(&self) -> &'static str {
        "OUTSIDE_ALLOWED_SENDING_WINDOW"
    }

    fn media_code(&self) -> &'static str {
        "MEDIA_NOT_REACHABLE"
    }
}

/// The envelope of a webhook's event.
fn envelope(account: &Account) -> Value {
    let now = Timestamp::now().to_string();
    json!({
        "app_id": account.id(), "project_id": account.field("project_id"), "accepted_time": now, "event_time": now, "message_metadata": "", "correlation_id": "",
    })
}

/// The project's contact for a number.
fn contact_of(number: &str) -> String {
    format!("01CONTACT{:0>17}", number.trim_start_matches('+'))
}

/// A customer's message in webhooks and lists.
fn listed(account: &Account, message: &Received) -> Value {
    let contents = match &message.file {
        Some(file) if message.text.is_empty() => json!({"media_message": {"url": file.url}}),
        Some(file) => json!({"media_card_message": {"url": file.url, "caption": message.text}}),
        None => json!({"text_message": {"text": message.text}}),
    };
    json!({
        "id": message.id,
        "direction": "TO_APP",
        "contact_message": contents,
        "channel_identity": {"channel": "WHATSAPP", "identity": message.digits(), "app_id": ""},
        "conversation_id": "01STANDINCONVERSATION00000",
        "contact_id": contact_of(&message.from),
        "metadata": "",
        "accept_time": message.at.to_string(),
        "sender_id": account.digits(),
        "processing_mode": "CONVERSATION",
        "injected": false,
    })
}

/// An error in Google's form, which Sinch uses.
fn error(status: u16, message: &str) -> Response {
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    reply(status, &json!({"error": {"code": status, "message": message, "status": word, "details": []}}))
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    shared.change(|inside| inside.token_requests += 1);
    if let Some(refusal) = shared.refusal(&SinchV2, On::Token).await {
        return refusal;
    }
    let known = shared.find_account("SINCH_V2", |account| is_basic(&headers, account.field("key_id"), account.field("key_secret")));
    let Some(known) = known else {
        return reply(401, &json!({"error": "invalid_client", "error_description": "Client authentication failed"}));
    };
    if !form_urlencoded::parse(&body).any(|(name, value)| name == "grant_type" && value == "client_credentials") {
        return reply(400, &json!({"error": "unsupported_grant_type"}));
    }
    let token = format!("eyJ{}", Ulid::generate());
    shared.change(|inside| inside.access_tokens.insert(token.clone(), known.field("key_id").to_owned()));
    reply(200, &json!({"access_token": token, "token_type": "bearer", "expires_in": TOKEN_LIFETIME, "scope": ""}))
}

/// The project's account whose key got the token. `app` may be empty.
fn authenticate(shared: &Shared, headers: &HeaderMap, project: &str, app: &str) -> Result<Account, Response> {
    let key = bearer(headers).and_then(|token| shared.inside().access_tokens.get(token).cloned());
    let key = key.ok_or_else(|| error(401, "Request had invalid credentials."))?;
    let mine = shared.find_account("SINCH_V2", |account| account.field("key_id") == key && account.field("project_id") == project);
    if mine.is_none() {
        return Err(error(403, "The caller does not have permission"));
    }
    let wanted = |account: &Account| account.field("project_id") == project && (app.is_empty() || account.id() == app);
    shared.find_account("SINCH_V2", wanted).ok_or_else(|| error(404, "The app was not found"))
}

async fn send_message(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let account = match authenticate(&shared, &headers, &project, text(&body, "/app_id")) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    let fault = shared.take_fault(&SinchV2, On::Message).unwrap_or_default();
    if let Some(refusal) = super::scripted(&SinchV2, &fault) {
        return refusal;
    }
    let identity = "/recipient/identified_by/channel_identities/0";
    let to = text(&body, &format!("{identity}/identity"));
    let contents = body["message"].as_object().and_then(|message| message.keys().next().cloned());
    let known = ["text_message", "media_message", "card_message", "choice_message", "location_message", "template_message", "list_message"];
    if to.is_empty()
        || text(&body, &format!("{identity}/channel")) != "WHATSAPP"
        || !contents.is_some_and(|kind| known.contains(&kind.as_str()))
    {
        return error(400, "Invalid request body");
    }
    let said = ["/message/text_message/text", "/message/card_message/description", "/message/card_message/title"];
    let links = ["/message/media_message/url", "/message/card_message/media_message/url"];
    let first = |pointers: &[&str]| {
        pointers.iter().map(|pointer| text(&body, pointer)).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    };
    let callback = text(&body, "/callback_url");
    let mut sent = Sent {
        to: to.to_owned(),
        body: first(&said),
        link: first(&links),
        reference: text(&body, "/message_metadata").to_owned(),
        request: body.clone(),
        ..Sent::new(&SinchV2, &account)
    };
    if !callback.is_empty() {
        callback.clone_into(&mut sent.callback);
    }
    let answer = reply(200, &json!({"message_id": sent.sid, "accepted_time": Timestamp::now().to_string()}));
    shared.accept(account, sent, fault, answer).await
}

/// Messages to an app since `start_time`, the latest first, in pages of `page_size`.
async fn list_messages(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let asked = |name: &str| query.get(name).map_or("", String::as_str);
    let account = match authenticate(&shared, &headers, &project, asked("app_id")) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&SinchV2, On::Api).await {
        return refusal;
    }
    let since = asked("start_time").parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let messages: Vec<Value> = shared.received(&account, since).iter().rev().map(|message| listed(&account, message)).collect();
    let size: usize = asked("page_size").parse().unwrap_or(10).clamp(1, 1000);
    let page: usize = asked("page_token").parse().unwrap_or(0);
    let next = if messages.len() > (page + 1) * size { (page + 1).to_string() } else { String::new() };
    let shown: Vec<Value> = messages.into_iter().skip(page * size).take(size).collect();
    reply(200, &json!({"messages": shown, "next_page_token": next}))
}

async fn app(State(shared): State<Arc<Shared>>, Path((project, app)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let account = match authenticate(&shared, &headers, &project, &app) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&SinchV2, On::Api).await {
        return refusal;
    }
    let channel = json!({
        "channel": "WHATSAPP", "static_bearer": {"claimed_identity": account.digits(), "token": ""}, "callback_secret": "",
        "state": {"status": "ACTIVE", "description": ""},
    });
    reply(200, &json!({"id": account.id(), "display_name": "Demo", "processing_mode": "CONVERSATION", "channel_credentials": [channel]}))
}

fn webhook(account: &Account) -> Value {
    json!({
        "id": WEBHOOK, "app_id": account.id(), "target": account.receive_url, "target_type": "HTTP", "secret": "",
        "triggers": ["MESSAGE_INBOUND", "MESSAGE_DELIVERY", "EVENT_INBOUND", "UNSUPPORTED"],
    })
}

async fn webhooks(State(shared): State<Arc<Shared>>, Path((project, app)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let account = match authenticate(&shared, &headers, &project, &app) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&SinchV2, On::Api).await {
        return refusal;
    }
    let webhooks: Vec<Value> = (!account.receive_url.is_empty()).then(|| webhook(&account)).into_iter().collect();
    reply(200, &json!({ "webhooks": webhooks }))
}

async fn create_webhook(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    match authenticate(&shared, &headers, &project, text(&body, "/app_id")) {
        Ok(account) => set_webhook(&shared, &account, &body).await,
        Err(refusal) => refusal,
    }
}

async fn change_webhook(
    State(shared): State<Arc<Shared>>,
    Path((project, _webhook)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    match authenticate(&shared, &headers, &project, text(&body, "/app_id")) {
        Ok(account) => set_webhook(&shared, &account, &body).await,
        Err(refusal) => refusal,
    }
}

async fn set_webhook(shared: &Shared, account: &Account, body: &Value) -> Response {
    if let Some(refusal) = shared.refusal(&SinchV2, On::Api).await {
        return refusal;
    }
    let mut changed = account.clone();
    if let Some(target) = body["target"].as_str() {
        // An app's webhooks must have different targets.
        if !target.starts_with("http") {
            return error(400, "Invalid target");
        }
        target.clone_into(&mut changed.receive_url);
    }
    if let Some(secret) = body["secret"].as_str() {
        changed.fields.insert(SECRET.to_owned(), secret.to_owned());
    }
    shared.add_account(&changed);
    reply(200, &webhook(&changed))
}

async fn delete_webhook(
    State(shared): State<Arc<Shared>>,
    Path((project, _webhook)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match authenticate(&shared, &headers, &project, "") {
        Ok(account) => {
            shared.add_account(&Account { receive_url: String::new(), ..account });
            reply(200, &json!({}))
        }
        Err(refusal) => refusal,
    }
}

/// A contact, with the name of the customer's profile.
async fn contact(State(shared): State<Arc<Shared>>, Path((project, contact)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let account = match authenticate(&shared, &headers, &project, "") {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&SinchV2, On::Api).await {
        return refusal;
    }
    let found = shared.received(&account, Timestamp::UNIX_EPOCH).into_iter().find(|message| contact_of(&message.from) == contact);
    match found {
        Some(message) => {
            let identity = json!({"channel": "WHATSAPP", "identity": message.digits(), "app_id": ""});
            reply(200, &json!({"id": contact, "channel_identities": [identity], "display_name": message.name, "language": "IT"}))
        }
        None => error(404, "The contact was not found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_of_the_signature_pass() {
        let body = r#"{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4","contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact","email":"new.contact@email.com","external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}"#;
        let signature = signature("foo_secret1234", body.as_bytes(), "01FJA8B4A7BM43YGWSG9GBV067", "1634579353");
        assert_eq!(signature, "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=");
    }
}
