//! Twilio: forms in, JSON out, basic authentication. Webhooks are forms with a signature over the URL and every
//! parameter. Shapes and codes are those of Twilio's API reference and error dictionary.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use providers::fixture::Fixture;
use serde_json::{Value, json};
use ulid::Ulid;

use super::{Account, File, On, Provider, Received, Sent, Shared, Stage, Webhook, is_basic, reply};

/// Twilio's own limit for the text of a WhatsApp message.
const LONGEST_BODY: usize = 1600;

pub(super) struct Twilio;

/// The type, also the default for an account without one.
pub(super) fn kind() -> String {
    Twilio.kind().to_owned()
}

/// A new id in Twilio's form: two letters and 32 hex digits.
pub fn sid(prefix: &str) -> String {
    format!("{prefix}{:032x}", Ulid::generate().0)
}

/// The value of `X-Twilio-Signature`: HMAC-SHA1 over the URL and all parameters, with names sorted and the values
/// of a repeated name as a sorted set.
pub fn signature(auth_token: &str, url: &str, params: &[(String, String)]) -> String {
    use aws_lc_rs::hmac;
    let mut sorted: Vec<_> = params.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    sorted.sort();
    sorted.dedup();
    let mut signed = url.as_bytes().to_vec();
    for (name, value) in sorted {
        signed.extend_from_slice(name);
        signed.extend_from_slice(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, &signed))
}

/// An unsigned webhook with these parameters. The URL may have a fragment.
pub fn form(id: &str, url: &str, params: &[(String, String)]) -> Webhook {
    let url = url.split('#').next().unwrap_or_default();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(params);
    let headers = vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
    Webhook { id: id.to_owned(), url: url.to_owned(), headers, body: body.finish().into_bytes() }
}

/// An error of Twilio's API.
pub(super) fn error(status: u16, code: u32, message: &str) -> Response {
    let body =
        json!({"code": code, "message": message, "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status});
    reply(status, &body)
}

impl Provider for Twilio {
    fn kind(&self) -> &'static str {
        "TWILIO"
    }

    fn id_field(&self) -> &'static str {
        "account_sid"
    }

    fn new_id(&self) -> String {
        sid("SM")
    }

    fn file_url(&self, base: &str, account: &Account, file: &str, _: &str) -> String {
        format!("{base}/2010-04-01/Accounts/{}/Messages/{}/Media/{file}", account.id(), sid("MM"))
    }

    fn routes(&self) -> Router<Arc<Shared>> {
        Router::new()
            .route("/2010-04-01/Accounts/{account}", get(account))
            .route("/2010-04-01/Accounts/{account}/Messages.json", post(send_message).get(list_messages))
            .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media.json", get(list_media))
            .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}", get(media))
            .route("/v2/Channels/Senders", get(senders))
            .route("/v1/ContentAndApprovals", get(templates))
    }

    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook {
        let params: Vec<_> = form_urlencoded::parse(&webhook.body).into_owned().collect();
        let signature = signature(account.field("auth_token"), &webhook.url, &params);
        webhook.with_header("X-Twilio-Signature", &signature)
    }

    fn message(&self, account: &Account, message: &Received) -> Webhook {
        let (from, to) = (format!("whatsapp:{}", message.from), format!("whatsapp:{}", account.phone));
        let mut own = vec![
            ("MessageSid", message.id.as_str()),
            ("SmsMessageSid", &message.id),
            ("SmsSid", &message.id),
            ("AccountSid", account.id()),
            ("From", &from),
            ("To", &to),
            ("WaId", message.digits()),
            ("ProfileName", &message.name),
            ("Body", &message.text),
        ];
        if let Some(file) = &message.file {
            own.extend([("MediaContentType0", file.content_type.as_str()), ("MediaUrl0", &file.url)]);
        }
        let fixture = Fixture::load("twilio", if message.file.is_some() { "image" } else { "text" });
        let params = match fixture {
            Ok(fixture) => own.iter().fold(fixture, |fixture, (name, value)| fixture.with(name, value)).parameters(),
            Err(_) => own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        form(&message.id, account.webhook_url(), &params)
    }

    fn report(&self, _: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook) {
        let word = match state {
            Stage::Sent => "sent",
            Stage::Delivered => "delivered",
            Stage::Read => "read",
            Stage::Failed => "undelivered",
        };
        let params = callback_params(sent, word, failure);
        (word.to_owned(), form(&sent.sid, &sent.callback, &params))
    }

    fn error(&self, status: u16, code: Option<&str>) -> Response {
        let (default, message) = match status {
            429 => (20429, "Too Many Requests"),
            401 => (20003, "Authenticate"),
            404 => (20404, "The requested resource was not found"),
            500.. => (20500, "An internal server error has occurred"),
            _ => (20001, "Bad request"),
        };
        error(status, code.and_then(|code| code.parse().ok()).unwrap_or(default), message)
    }

    fn window_code(&self) -> &'static str {
        "63016"
    }

    fn media_code(&self) -> &'static str {
        "63019"
    }
}

fn unauthenticated() -> Response {
    let mut answer = error(401, 20003, "Authenticate");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"Twilio API\""));
    answer
}

fn nothing() -> Response {
    error(404, 20404, "The requested resource was not found")
}

/// The account of the basic authentication, if it is the one in the path.
fn authenticate(shared: &Shared, headers: &HeaderMap, account_sid: &str) -> Option<Account> {
    let known = shared.account(Twilio.kind(), account_sid)?;
    is_basic(headers, known.id(), known.field("auth_token")).then_some(known)
}

async fn send_message(State(shared): State<Arc<Shared>>, Path(account): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(account) = authenticate(&shared, &headers, &account) else { return unauthenticated() };
    let fault = shared.take_fault(&Twilio, On::Message).unwrap_or_default();
    if let Some(refusal) = super::scripted(&Twilio, &fault) {
        return refusal;
    }
    let params: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let form = Form(&params);
    if let Some((code, message)) = form.problem() {
        return error(400, code, &message);
    }
    let sent = Sent {
        from: form.get("From").to_owned(),
        to: form.get("To").to_owned(),
        body: form.get("Body").to_owned(),
        callback: form.get("StatusCallback").to_owned(),
        link: form.get("MediaUrl").to_owned(),
        params: params.clone(),
        ..Sent::new(&Twilio, &account)
    };
    let answer = reply(201, &resource(&sent));
    shared.accept(account, sent, fault, answer).await
}

/// The parameters of a form by name. A missing one counts as empty, as at Twilio.
struct Form<'a>(&'a [(String, String)]);

impl<'a> Form<'a> {
    fn get(&self, name: &str) -> &'a str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// The first fault that Twilio would refuse, with its code and words.
    fn problem(&self) -> Option<(u32, String)> {
        let (from, to, body) = (self.get("From"), self.get("To"), self.get("Body"));
        if to.is_empty() {
            return Some((21604, "A 'To' phone number is required.".into()));
        }
        if from.is_empty() && self.get("MessagingServiceSid").is_empty() {
            return Some((21603, "A 'From' phone number is required.".into()));
        }
        if ["Body", "MediaUrl", "ContentSid", "PersistentAction"].iter().all(|name| self.get(name).is_empty()) {
            return Some((21602, "Message body is required.".into()));
        }
        if body.chars().count() > LONGEST_BODY {
            return Some((21617, format!("The concatenated message body exceeds the {LONGEST_BODY} character limit")));
        }
        if !is_whatsapp_address(to) {
            return Some((21211, format!("The 'To' number {to} is not a valid phone number.")));
        }
        if !from.is_empty() && !is_whatsapp_number(from) {
            return Some((63007, "Twilio could not find a Channel with the specified From address".into()));
        }
        let callback = self.get("StatusCallback");
        if !callback.is_empty() && reqwest::Url::parse(callback).is_err() {
            return Some((21609, format!("The StatusCallback URL {callback} is not a valid URL.")));
        }
        None
    }
}

fn is_whatsapp_number(text: &str) -> bool {
    text.strip_prefix("whatsapp:+").is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// A number, or a business-scoped user id such as `whatsapp:IT.1349…`.
fn is_whatsapp_address(text: &str) -> bool {
    let scoped = |id: &str| id.split_once('.').is_some_and(|(land, rest)| land.len() == 2 && !rest.is_empty());
    is_whatsapp_number(text) || text.strip_prefix("whatsapp:").is_some_and(scoped)
}

/// RFC 2822, as Twilio writes times.
fn date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

fn resource(message: &Sent) -> Value {
    let uri = format!("/2010-04-01/Accounts/{}/Messages/{}", message.account_sid, message.sid);
    let media = message.params.iter().filter(|(name, _)| name == "MediaUrl").count();
    json!({
        "sid": message.sid,
        "account_sid": message.account_sid,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": date(Timestamp::now()),
        "date_sent": null,
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "from": message.from,
        "messaging_service_sid": null,
        "num_media": media.to_string(),
        "num_segments": "1",
        "price": null,
        "status": "queued",
        "subresource_uris": {"media": format!("{uri}/Media.json")},
        "to": message.to,
        "uri": format!("{uri}.json"),
    })
}

fn callback_params(message: &Sent, status: &str, code: Option<&str>) -> Vec<(String, String)> {
    let number = message.to.trim_start_matches("whatsapp:");
    let masked: String = number.chars().rev().enumerate().map(|(place, digit)| if place < 4 { 'X' } else { digit }).collect();
    let mut params = vec![
        ("ApiVersion", "2010-04-01".to_owned()),
        ("MessageSid", message.sid.clone()),
        ("SmsSid", message.sid.clone()),
        ("MessageStatus", status.to_owned()),
        ("SmsStatus", status.to_owned()),
        ("AccountSid", message.account_sid.clone()),
        ("From", message.from.clone()),
        ("To", message.to.clone()),
        ("ChannelPrefix", "whatsapp".to_owned()),
        ("ChannelToAddress", masked.chars().rev().collect()),
        ("ChannelInstallSid", sid("XE")),
        ("StructuredMessage", "false".to_owned()),
    ];
    if matches!(status, "delivered" | "read" | "undelivered") {
        params.push(("EventType", status.to_uppercase()));
    }
    if let Some(code) = code {
        params.push(("ErrorCode", code.to_owned()));
        params.push(("ErrorMessage", "Message could not be delivered".to_owned()));
    }
    params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A download: a redirect to the content network, which refuses credentials.
async fn media(
    State(shared): State<Arc<Shared>>,
    Path((account, _message, media)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if authenticate(&shared, &headers, &account).is_none() {
        return unauthenticated();
    }
    if let Some(refusal) = shared.refusal(&Twilio, On::Media).await {
        return refusal;
    }
    if shared.inside().files.get(&media).is_none_or(|file| file.account != account) {
        return nothing();
    }
    // Long enough to follow the redirect.
    let ticket = shared.ticket(&media, std::time::Duration::from_secs(4 * 3600));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{}/files/{ticket}", shared.url))]).into_response()
}

/// `{sid}.json`, by which a caller checks the credentials.
async fn account(State(shared): State<Arc<Shared>>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(account) = file.strip_suffix(".json").and_then(|sid| authenticate(&shared, &headers, sid)) else { return unauthenticated() };
    if let Some(refusal) = shared.refusal(&Twilio, On::Api).await {
        return refusal;
    }
    reply(200, &json!({"sid": account.id(), "friendly_name": "Demo", "status": "active", "type": "Full"}))
}

/// The account of the basic authentication, for paths that name no account.
fn caller(shared: &Shared, headers: &HeaderMap) -> Option<Account> {
    shared.find_account(Twilio.kind(), |account| is_basic(headers, account.id(), account.field("auth_token")))
}

async fn senders(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(account) = caller(&shared, &headers) else { return unauthenticated() };
    if let Some(refusal) = shared.refusal(&Twilio, On::Api).await {
        return refusal;
    }
    let sender = json!({
        "sid": "XE00000000000000000000000000000001",
        "status": "ONLINE",
        "sender_id": format!("whatsapp:{}", account.phone),
        "configuration": {"waba_id": "102290129340398"},
        "webhook": {"callback_url": account.receive_url, "callback_method": "POST", "fallback_url": "", "status_callback_url": ""},
        "profile": {"name": "Demo number"},
    });
    reply(200, &json!({"senders": [sender], "meta": {"page": 0, "page_size": 50, "next_page_url": null, "key": "senders"}}))
}

async fn templates(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if caller(&shared, &headers).is_none() {
        return unauthenticated();
    }
    if let Some(refusal) = shared.refusal(&Twilio, On::Api).await {
        return refusal;
    }
    let content = |sid: &str, name: &str, status: &str| {
        json!({
            "sid": sid, "friendly_name": name, "language": "it", "variables": {"1": "Zoë"},
            "types": {"twilio/text": {"body": "Buongiorno {{1}}, possiamo aiutarla?"}},
            "approval_requests": {"name": name, "category": "UTILITY", "content_type": "twilio/text", "status": status, "rejection_reason": ""},
        })
    };
    let contents = [
        content("HX00000000000000000000000000000001", "recontact_1", "approved"),
        content("HX00000000000000000000000000000002", "recontact_2", "pending"),
    ];
    reply(200, &json!({"contents": contents, "meta": {"page": 0, "page_size": 50, "next_page_url": null, "key": "contents"}}))
}

/// Customers' and sent messages, the latest first, in pages of `PageSize`.
async fn list_messages(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let Some(account) = authenticate(&shared, &headers, &account) else { return unauthenticated() };
    if let Some(refusal) = shared.refusal(&Twilio, On::Api).await {
        return refusal;
    }
    let since = query.get("DateSent>").and_then(|date| since(date)).unwrap_or(Timestamp::UNIX_EPOCH);
    let to = query.get("To").map_or("", String::as_str);
    let mut messages: Vec<Value> = Vec::new();
    let number = format!("whatsapp:{}", account.phone);
    if to.is_empty() || to == number {
        messages.extend(shared.received(&account, since).iter().rev().map(|message| listed(&account, message)));
    }
    let inside = shared.inside().sent.clone();
    messages.extend(inside.iter().filter(|sent| sent.account_sid == account.id() && (to.is_empty() || sent.to == to)).map(resource));
    let size: usize = query.get("PageSize").and_then(|size| size.parse().ok()).unwrap_or(50).clamp(1, 1000);
    let page: usize = query.get("Page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let more = messages.len() > (page + 1) * size;
    let next = more.then(|| {
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.extend_pairs(query.iter().filter(|(name, _)| !matches!(name.as_str(), "Page" | "PageToken")));
        next.append_pair("Page", &(page + 1).to_string()).append_pair("PageToken", "PASM");
        format!("/2010-04-01/Accounts/{}/Messages.json?{}", account.id(), next.finish())
    });
    let shown: Vec<Value> = messages.into_iter().skip(page * size).take(size).collect();
    reply(200, &json!({"messages": shown, "page": page, "page_size": size, "next_page_uri": next}))
}

/// A day or an instant: the filter accepts both.
fn since(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

fn listed(account: &Account, message: &Received) -> Value {
    let uri = format!("/2010-04-01/Accounts/{}/Messages/{}", account.id(), message.id);
    json!({
        "sid": message.id,
        "account_sid": account.id(),
        "api_version": "2010-04-01",
        "body": message.text,
        "date_created": date(message.at),
        "date_sent": date(message.at),
        "date_updated": date(message.at),
        "direction": "inbound",
        "error_code": null,
        "error_message": null,
        "from": format!("whatsapp:{}", message.from),
        "messaging_service_sid": null,
        "num_media": if message.file.is_some() { "1" } else { "0" },
        "num_segments": "1",
        "price": null,
        "status": "received",
        "subresource_uris": {"media": format!("{uri}/Media.json")},
        "to": format!("whatsapp:{}", account.phone),
        "uri": format!("{uri}.json"),
    })
}

async fn list_media(State(shared): State<Arc<Shared>>, Path((account, message)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(account) = authenticate(&shared, &headers, &account) else { return unauthenticated() };
    let found = shared.received(&account, Timestamp::UNIX_EPOCH).into_iter().find(|received| received.id == message);
    let Some(found) = found else { return nothing() };
    let media = |file: &File| {
        let path = file.url.strip_prefix(&shared.url).unwrap_or_default();
        json!({
            "sid": file.id, "account_sid": account.id(), "parent_sid": message, "content_type": file.content_type,
            "date_created": date(found.at), "uri": format!("{path}.json"),
        })
    };
    let media: Vec<Value> = found.file.iter().map(media).collect();
    reply(200, &json!({"media_list": media, "page": 0, "page_size": 50, "next_page_uri": null}))
}
