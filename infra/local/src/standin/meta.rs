//! The WhatsApp Cloud API: JSON with a bearer token. The app secret signs webhooks over their raw bytes, and
//! setting their address starts a handshake. Shapes and codes are those of Meta's webhook, messages, media and
//! error references.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, response::IntoResponse as _};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};
use ulid::Ulid;

use super::{Account, File, On, Provider, Received, Sent, Shared, Stage, Webhook, bearer, file_answer, hex, hmac_sha256, reply, text};

/// The longest text of a message.
const LONGEST_TEXT: usize = 4096;

/// How long the address of a file is valid.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(300);

pub(super) struct Meta;

/// One unsigned webhook for all these messages, as Meta sends it for many messages at once. They may be of
/// different customers.
pub fn batch(account: &Account, messages: &[Received]) -> Webhook {
    let mut contacts: Vec<Value> = Vec::new();
    for message in messages {
        let contact = json!({"profile": {"name": message.name}, "wa_id": message.digits()});
        if !contacts.contains(&contact) {
            contacts.push(contact);
        }
    }
    let entries: Vec<Value> = messages.iter().map(inbound).collect();
    let id = messages.first().map_or("", |message| message.id.as_str());
    escaped(id, account.webhook_url(), &envelope(account, &json!({"contacts": contacts, "messages": entries})))
}

/// An element of `value.messages`.
pub(super) fn inbound(message: &Received) -> Value {
    let mut entry = json!({"from": message.digits(), "id": message.id, "timestamp": message.at.as_second().to_string()});
    match &message.file {
        Some(file) => {
            let kind = media_kind(&file.content_type);
            entry["type"] = json!(kind);
            entry[kind] = media_object(file, &message.text);
        }
        None => {
            entry["type"] = json!("text");
            entry["text"] = json!({"body": message.text});
        }
    }
    entry
}

fn media_object(file: &File, caption: &str) -> Value {
    let mut object = json!({"mime_type": file.content_type, "sha256": BASE64_STANDARD.encode(&file.sha256), "id": file.id});
    if file.url.contains("/meta/") {
        object["url"] = json!(file.url);
    }
    if !caption.is_empty() {
        object["caption"] = json!(caption);
    }
    if let Some(name) = file.name.as_deref().filter(|_| media_kind(&file.content_type) == "document") {
        object["filename"] = json!(name);
    }
    object
}

fn media_kind(content_type: &str) -> &'static str {
    match content_type.split('/').next().unwrap_or_default() {
        "image" if content_type == "image/webp" => "sticker",
        "image" => "image",
        "video" => "video",
        "audio" => "audio",
        _ => "document",
    }
}

/// An element of `value.statuses`.
pub(super) fn status(sent: &Sent, word: &str, failure: Option<&str>) -> Value {
    let mut status = json!({
        "id": sent.sid,
        "status": word,
        "timestamp": jiff::Timestamp::now().as_second().to_string(),
        "recipient_id": sent.to.trim_start_matches('+'),
    });
    if let Some(code) = failure {
        status["errors"] = json!([problem(code)]);
    } else if word != "read" {
        // As Meta does with all but the last state: an answer within the service window is free.
        let of_template =
            sent.request.pointer("/type").or_else(|| sent.request.pointer("/messaging_object/type")) == Some(&json!("template"));
        let (kind, category) = if of_template { ("regular", "utility") } else { ("free_customer_service", "service") };
        status["pricing"] = json!({"billable": of_template, "pricing_model": "PMP", "type": kind, "category": category});
    }
    status
}

/// An element of `errors`.
fn problem(code: &str) -> Value {
    let title = match code {
        "131047" => "Re-engagement message",
        "131053" => "Media upload error",
        "131026" => "Message undeliverable",
        _ => "Something went wrong",
    };
    let code: Value = code.parse::<u32>().map_or_else(|_| json!(code), |code| json!(code));
    json!({"code": code, "title": title, "message": title, "error_data": {"details": title}, "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"})
}

/// Meta's word for a state.
pub(super) fn word(state: Stage) -> &'static str {
    match state {
        Stage::Sent => "sent",
        Stage::Delivered => "delivered",
        Stage::Read => "read",
        Stage::Failed => "failed",
    }
}

/// A new id of a message.
pub(super) fn wamid() -> String {
    format!("wamid.{}", BASE64_URL_SAFE_NO_PAD.encode(Ulid::generate().to_string()))
}

/// `changes[0].value` of a webhook.
pub(super) fn value(account: &Account, phone_number_id: &str, contents: &Value) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": account.digits(), "phone_number_id": phone_number_id},
    });
    if let (Some(value), Some(contents)) = (value.as_object_mut(), contents.as_object()) {
        value.extend(contents.clone());
    }
    value
}

fn envelope(account: &Account, contents: &Value) -> Value {
    let value = value(account, account.field("phone_number_id"), contents);
    let change = json!({"field": "messages", "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": account.field("account_sid"), "changes": [change]}]})
}

/// Meta escapes characters beyond ASCII, and signs exactly those bytes.
fn escaped(id: &str, url: &str, body: &Value) -> Webhook {
    let mut escaped = String::new();
    for unit in body.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    Webhook { body: escaped.into_bytes(), ..Webhook::json(id, url, &Value::Null) }
}

impl Provider for Meta {
    fn kind(&self) -> &'static str {
        "META"
    }

    fn id_field(&self) -> &'static str {
        "phone_number_id"
    }

    fn new_id(&self) -> String {
        wamid()
    }

    fn file_url(&self, base: &str, _: &Account, _: &str, ticket: &str) -> String {
        format!("{base}/meta/attachments/{ticket}")
    }

    fn address_lifetime(&self) -> Duration {
        ADDRESS_LIFETIME
    }

    fn routes(&self) -> Router<Arc<Shared>> {
        Router::new()
            .route("/meta/attachments/{ticket}", get(attachment))
            .route("/meta/{version}/{id}", get(node).post(configure))
            .route("/meta/{version}/{id}/messages", post(send_message))
            .route("/meta/{version}/{id}/phone_numbers", get(numbers))
            .route("/meta/{version}/{id}/message_templates", get(templates))
            .route("/meta/{version}/{id}/subscribed_apps", get(subscriptions).post(subscribe))
    }

    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook {
        let signature = format!("sha256={}", hex(&hmac_sha256(account.field("app_secret"), &webhook.body)));
        webhook.with_header("X-Hub-Signature-256", &signature)
    }

    fn message(&self, account: &Account, message: &Received) -> Webhook {
        batch(account, std::slice::from_ref(message))
    }

    fn report(&self, account: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook) {
        let word = word(state);
        let mut status = status(sent, word, failure);
        if !sent.reference.is_empty() {
            status["biz_opaque_callback_data"] = json!(sent.reference);
        }
        let body = envelope(account, &json!({"statuses": [status]}));
        (word.to_owned(), escaped(&sent.sid, &sent.callback, &body))
    }

    fn error(&self, status: u16, code: Option<&str>) -> Response {
        let default = match status {
            401 => 190,
            403 => 10,
            429 => 130_429,
            503 => 2,
            500.. => 131_000,
            _ => 100,
        };
        error(status, code.and_then(|code| code.parse().ok()).unwrap_or(default))
    }

    fn window_code(&self) -> &'static str {
        "131047"
    }

    fn media_code(&self) -> &'static str {
        "131053"
    }
}

/// An error of the Graph API.
fn error(status: u16, code: u32) -> Response {
    let message = match code {
        190 => "Invalid OAuth access token - Cannot parse access token",
        130_429 => "(#130429) Rate limit hit",
        131_047 => "(#131047) Re-engagement message",
        131_000 => "(#131000) Something went wrong",
        2200 => "(#2200) Callback verification failed",
        _ => "(#100) Invalid parameter",
    };
    let mut error = json!({"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "Az8or2yhqkZfEZ-StandIn"});
    if code > 130_000 {
        error["error_data"] = json!({"messaging_product": "whatsapp", "details": message});
    }
    reply(status, &json!({ "error": error }))
}

/// Meta's answer for an id that does not exist or that the token may not see.
fn unknown(id: &str) -> Response {
    let message = format!(
        "Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation"
    );
    let error = json!({"message": message, "type": "GraphMethodException", "code": 100, "error_subcode": 33, "fbtrace_id": "Az8or2yhqkZfEZ-StandIn"});
    reply(400, &json!({ "error": error }))
}

/// The accounts that the token may see.
fn visible(shared: &Shared, headers: &HeaderMap) -> Result<Vec<Account>, Response> {
    let token = bearer(headers).unwrap_or_default();
    let inside = shared.inside();
    let accounts = inside.accounts.iter().filter(|account| account.kind == "META" && account.field("auth_token") == token);
    let accounts: Vec<Account> = accounts.cloned().collect();
    if token.is_empty() || accounts.is_empty() { Err(error(401, 190)) } else { Ok(accounts) }
}

/// The account with this phone number id, or the first of this WABA.
fn owner(shared: &Shared, headers: &HeaderMap, id: &str) -> Result<Account, Response> {
    let accounts = visible(shared, headers)?;
    let found = accounts.into_iter().find(|account| account.field("phone_number_id") == id || account.field("account_sid") == id);
    found.ok_or_else(|| unknown(id))
}

async fn send_message(
    State(shared): State<Arc<Shared>>,
    Path((_version, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let account = match owner(&shared, &headers, &id) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    let fault = shared.take_fault(&Meta, On::Message).unwrap_or_default();
    if let Some(refusal) = super::scripted(&Meta, &fault) {
        return refusal;
    }
    if let Some(code) = fault_of(&body) {
        return error(400, code);
    }
    let sent = Sent { reference: text(&body, "/biz_opaque_callback_data").to_owned(), ..outgoing(&Meta, &account, &body) };
    let contact = json!({"input": sent.to, "wa_id": sent.to.trim_start_matches('+')});
    let answer = reply(200, &json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": sent.sid}]}));
    shared.accept(account, sent, fault, answer).await
}

/// The code of a message's first fault.
pub(super) fn fault_of(body: &Value) -> Option<u32> {
    let kind = text(body, "/type");
    let addressed = !text(body, "/to").is_empty() || !text(body, "/recipient").is_empty();
    if text(body, "/messaging_product") != "whatsapp" || !addressed || kind.is_empty() {
        return Some(100);
    }
    // Without its `+`, Meta may read a number as one of the sender's own country.
    if text(body, "/to").chars().next().is_some_and(|first| first != '+') {
        return Some(131_009);
    }
    let too_long = text(body, "/text/body").chars().count() > LONGEST_TEXT;
    let empty = kind == "text" && text(body, "/text/body").is_empty();
    let absent = body.get(kind).is_none_or(Value::is_null);
    let unlinked = ["image", "video", "audio", "document", "sticker"].contains(&kind)
        && text(body, &format!("/{kind}/link")).is_empty()
        && text(body, &format!("/{kind}/id")).is_empty();
    (too_long || empty || absent || unlinked).then_some(131_009)
}

/// A message in Meta's form.
pub(super) fn outgoing(provider: &dyn Provider, account: &Account, body: &Value) -> Sent {
    let kind = text(body, "/type");
    let to = text(body, "/to");
    let caption = text(body, &format!("/{kind}/caption"));
    let said = if kind == "text" { text(body, "/text/body") } else { caption };
    Sent {
        to: if to.is_empty() { text(body, "/recipient") } else { to }.to_owned(),
        body: said.to_owned(),
        link: text(body, &format!("/{kind}/link")).to_owned(),
        request: body.clone(),
        ..Sent::new(provider, account)
    }
}

/// `GET /{id}`: a number, a business account, or the address of a file.
async fn node(State(shared): State<Arc<Shared>>, Path((_version, id)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let accounts = match visible(&shared, &headers) {
        Ok(accounts) => accounts,
        Err(refusal) => return refusal,
    };
    let file = shared.inside().files.get(&id).cloned();
    if let Some(file) = file.filter(|file| accounts.iter().any(|account| account.id() == file.account)) {
        if let Some(refusal) = shared.refusal(&Meta, On::Media).await {
            return refusal;
        }
        let url = format!("{}/meta/attachments/{}", shared.url, shared.ticket(&id, ADDRESS_LIFETIME));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file.bytes);
        return reply(
            200,
            &json!({
                "messaging_product": "whatsapp", "url": url, "mime_type": file.content_type, "sha256": hex(digest.as_ref()),
                "file_size": file.bytes.len().to_string(), "id": id,
            }),
        );
    }
    if let Some(refusal) = shared.refusal(&Meta, On::Api).await {
        return refusal;
    }
    match accounts.iter().find(|account| account.field("phone_number_id") == id) {
        Some(account) => reply(200, &number(account)),
        None if accounts.iter().any(|account| account.field("account_sid") == id) => reply(200, &json!({"id": id, "name": "Demo"})),
        None => unknown(&id),
    }
}

fn number(account: &Account) -> Value {
    // The number as people write it, with spaces.
    let shown = account.phone.get(..3).map_or_else(String::new, |country| format!("{country} {}", &account.phone[3..]));
    let mut number = json!({
        "id": account.id(), "display_phone_number": shown, "verified_name": "Demo", "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API",
    });
    if !account.receive_url.is_empty() {
        number["webhook_configuration"] = json!({"phone_number": account.receive_url});
    }
    number
}

/// `GET` of a file's address. It wants the token too, and is valid for five minutes.
async fn attachment(State(shared): State<Arc<Shared>>, Path(ticket): Path<String>, headers: HeaderMap) -> Response {
    let accounts = match visible(&shared, &headers) {
        Ok(accounts) => accounts,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&Meta, On::Media).await {
        return refusal;
    }
    match shared.file_of_ticket(&ticket).filter(|file| accounts.iter().any(|account| account.id() == file.account)) {
        Some(file) => file_answer(file),
        None => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

/// `POST /{phone number id}` with a `webhook_configuration`.
async fn configure(
    State(shared): State<Arc<Shared>>,
    Path((_version, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let account = match owner(&shared, &headers, &id) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    redirect_webhooks(&shared, &account, &body["webhook_configuration"]).await
}

/// `POST /{WABA id}/subscribed_apps`, with or without an override of the webhooks' address.
async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Path((_version, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let account = match owner(&shared, &headers, &id) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    redirect_webhooks(&shared, &account, &serde_json::from_slice(&body).unwrap_or_default()).await
}

/// Meta makes its handshake with a new address before it accepts it.
async fn redirect_webhooks(shared: &Shared, account: &Account, body: &Value) -> Response {
    if let Some(refusal) = shared.refusal(&Meta, On::Api).await {
        return refusal;
    }
    let (url, verify_token) = (text(body, "/override_callback_uri"), text(body, "/verify_token"));
    if url.is_empty() {
        return reply(200, &json!({"success": true}));
    }
    let challenge = Ulid::generate().0.to_string();
    let query = [("hub.mode", "subscribe"), ("hub.challenge", challenge.as_str()), ("hub.verify_token", verify_token)];
    let answer = shared.http.get(url).query(&query).send().await;
    let echoed = match answer {
        Ok(answer) if answer.status() == 200 => answer.text().await.is_ok_and(|text| text == challenge),
        _ => false,
    };
    if !echoed {
        return error(400, 2200);
    }
    shared.add_account(&Account { receive_url: url.to_owned(), ..account.clone() });
    reply(200, &json!({"success": true}))
}

async fn subscriptions(State(shared): State<Arc<Shared>>, Path((_version, id)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let account = match owner(&shared, &headers, &id) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = shared.refusal(&Meta, On::Api).await {
        return refusal;
    }
    let mut app = json!({"whatsapp_business_api_data": {"id": account.field("app_id"), "name": "Demo", "link": "https://example.com"}});
    if !account.receive_url.is_empty() {
        app["override_callback_uri"] = json!(account.receive_url);
    }
    reply(200, &json!({"data": [app]}))
}

async fn numbers(State(shared): State<Arc<Shared>>, Path((_version, id)): Path<(String, String)>, headers: HeaderMap) -> Response {
    match owner(&shared, &headers, &id) {
        Ok(account) => match shared.refusal(&Meta, On::Api).await {
            Some(refusal) => refusal,
            None => reply(200, &json!({"data": [number(&account)], "paging": {"cursors": {"before": "a", "after": "b"}}})),
        },
        Err(refusal) => refusal,
    }
}

async fn templates(State(shared): State<Arc<Shared>>, Path((_version, id)): Path<(String, String)>, headers: HeaderMap) -> Response {
    match owner(&shared, &headers, &id) {
        Ok(_) => match shared.refusal(&Meta, On::Api).await {
            Some(refusal) => refusal,
            None => reply(200, &template_list()),
        },
        Err(refusal) => refusal,
    }
}

/// A list of templates, one of them approved.
pub(super) fn template_list() -> Value {
    let template = |name: &str, status: &str| {
        let body = json!({"type": "BODY", "text": "Buongiorno {{1}}, possiamo aiutarla?", "example": {"body_text": [["Zoë"]]}});
        json!({"name": name, "language": "it", "status": status, "category": "UTILITY", "id": name.len().to_string(), "components": [body]})
    };
    let data = [template("recontact_1", "APPROVED"), template("recontact_12", "PENDING")];
    json!({"data": data, "paging": {"cursors": {"before": "a", "after": "b"}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_of_the_signature_passes() {
        let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"264937493375603","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550953877","phone_number_id":"277321005464405"},"contacts":[{"profile":{"name":"PyWa Tests"},"wa_id":"972544401243"}],"messages":[{"from":"972544401243","id":"wamid.HBgMOTcyNTQ0NDAxMjQzFQIAEhggM0RFQTNCMEEwRTY3QzUwODYzMDc4NjQ4QzM4ODAxM0YA","timestamp":"1730231903","text":{"body":"Hey there! I am using PyWa."},"type":"text"}]},"field":"messages"}]}]}"#;
        let signature = hex(&hmac_sha256("1222e786b144d0e85b9f365372d93676", body.as_bytes()));
        assert_eq!(signature, "54edfa1d7259e0eb13c677cc7d73d1b5c86cfa12433d19156e058ab9251bc441");
    }

    #[test]
    fn characters_beyond_ascii_are_escaped_before_signing() {
        let account = Account::new("META", "+390612345678", &[("app_secret", "s"), ("phone_number_id", "1")]);
        let webhook = Meta.sign(&account, escaped("x", "http://h.example", &json!({"name": "Zoë 👍"})));
        assert_eq!(String::from_utf8(webhook.body.clone()).unwrap(), r#"{"name":"Zo\u00eb \ud83d\udc4d"}"#);
        let expected = format!("sha256={}", hex(&hmac_sha256("s", &webhook.body)));
        assert!(webhook.headers.contains(&("X-Hub-Signature-256".to_owned(), expected)));
    }
}
