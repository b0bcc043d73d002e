//! The stand-in for Twilio's REST API and for the identity provider: what the product needs of both, answering as they do, on one port
//! of 127.0.0.1, plus what a script or a test needs to steer it under `/_standin`.
//!
//! Shapes and codes are in the reference of the providers, section 2. The signature is computed here anew, not by the product's own code,
//! so that a mistake there is not mirrored.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use ulid::Ulid;

/// A picture of one pixel (PNG), what a customer sends here.
pub const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f,
    0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0xda, 0x63, 0x64, 0x60, 0xf8, 0x5f, 0x0f, 0, 2, 0x87, 1, 0x80, 0xeb,
    0x47, 0xba, 0x92, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Twilio's own limit for the text of a WhatsApp message.
const LONGEST_BODY: usize = 1600;

/// A running stand-in; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct StandIn {
    /// `http://127.0.0.1:<port>`: for `TwilioApiUrl`, `JwtIssuer`, `EgressAllowedOrigins`.
    pub url: String,
    shared: Arc<Shared>,
    _server: Arc<Server>,
}

struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared {
    url: String,
    http: reqwest::Client,
    key: EncodingKey,
    keys: JwkSet,
    inside: Mutex<Inside>,
    /// Counts the changes of `inside`, for who waits for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inside {
    accounts: HashMap<String, Credentials>,
    sent: Vec<Sent>,
    callbacks: Vec<Callback>,
    next: VecDeque<Fault>,
    media: HashMap<String, Media>,
    delay: Duration,
    held: bool,
}

/// An account that the stand-in knows.
#[derive(Clone, Deserialize, Serialize)]
pub struct Credentials {
    /// `AC` and 32 hex digits; the user of the basic authentication.
    pub account_sid: String,
    /// Its password, and the key of the signatures.
    pub auth_token: String,
}

/// A message that the stand-in accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// `SM…`, what the sender was told.
    pub sid: String,
    /// Whose.
    pub account_sid: String,
    /// `whatsapp:+…`.
    pub from: String,
    /// `whatsapp:+…`.
    pub to: String,
    /// The text.
    pub body: String,
    /// All parameters, in the order that they came in.
    pub params: Vec<(String, String)>,
}

/// A status callback that the stand-in made.
#[derive(Debug, Clone, Serialize)]
pub struct Callback {
    /// Of which message.
    pub sid: String,
    /// `sent`, `delivered`, `read`, `undelivered`.
    pub status: String,
    /// What the receiver answered; 0 when there was no answer.
    pub answer: u16,
}

/// What happens to one of the next requests.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// To which request: `message` (the default) or `media`.
    pub on: On,
    /// Answers with this status instead of doing it.
    pub status: Option<u16>,
    /// The error code in the body; by default one that fits `status`.
    pub code: Option<u32>,
    /// Seconds, in `Retry-After`.
    pub retry_after: Option<u32>,
    /// `timeout`: does it, and never answers.
    pub fault: Option<Silence>,
    /// Accepts the message, then calls back with `undelivered` and this code; 63016 is a closed window.
    pub callback_error: Option<u32>,
}

/// Which request a [`Fault`] is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The sending of a message.
    #[default]
    Message,
    /// The download of an attachment.
    Media,
}

/// How a [`Fault`] is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// The request is done, its answer never comes.
    Timeout,
}

#[derive(Clone)]
struct Media {
    account_sid: String,
    content_type: String,
    name: Option<String>,
    bytes: Bytes,
    /// The path on the "CDN", which asks for no credentials and refuses them.
    ticket: String,
}

impl StandIn {
    /// Starts it on a free port, with no time between the callbacks.
    ///
    /// # Errors
    /// No port, or no key.
    pub async fn start() -> Result<StandIn> {
        Self::start_with(Duration::ZERO).await
    }

    /// Starts it on a free port; `delay` passes before each status callback.
    ///
    /// # Errors
    /// No port, or no key.
    pub async fn start_with(delay: Duration) -> Result<StandIn> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free port for the provider's stand-in")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (key, keys) = new_key()?;
        let shared = Arc::new(Shared {
            url: url.clone(),
            http: crate::http(),
            key,
            keys,
            inside: Mutex::new(Inside { delay, ..Inside::default() }),
            changes: watch::Sender::new(0),
        });
        let app = router(shared.clone());
        let server = tokio::spawn(async move {
            // Ends only when the task is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(StandIn { url, shared, _server: Arc::new(Server(server)) })
    }

    /// Makes an account known; requests of any other are refused with 401.
    pub fn add_account(&self, account_sid: &str, auth_token: &str) {
        let credentials = Credentials { account_sid: account_sid.to_owned(), auth_token: auth_token.to_owned() };
        self.shared.change(|inside| inside.accounts.insert(account_sid.to_owned(), credentials));
    }

    /// Puts a file where the provider keeps attachments; answers its URL, for `MediaUrl0` of a webhook.
    pub fn add_media(&self, account_sid: &str, content_type: &str, name: Option<&str>, bytes: impl Into<Bytes>) -> String {
        self.shared.add_media(account_sid, content_type, name, bytes.into())
    }

    /// Says what happens to the next request of its kind; called again, to the one after it.
    pub fn next(&self, fault: Fault) {
        self.shared.change(|inside| inside.next.push_back(fault));
    }

    /// While `held`, status callbacks wait to be made.
    pub fn hold_callbacks(&self, held: bool) {
        self.shared.change(|inside| inside.held = held);
    }

    /// Everything that was accepted, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.inside().sent.clone()
    }

    /// Every status callback that was answered or failed, oldest first.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.shared.inside().callbacks.clone()
    }

    /// The first accepted message that `wanted` says yes to, as soon as there is one.
    ///
    /// # Errors
    /// None came in `limit`.
    pub async fn wait_for_sent(&self, limit: Duration, wanted: impl Fn(&Sent) -> bool) -> Result<Sent> {
        let found = self.wait(limit, |inside| inside.sent.iter().find(|sent| wanted(sent)).cloned()).await;
        found.with_context(|| format!("the provider was not sent the expected message in {limit:?}"))
    }

    /// The callback about a message with this status, as soon as it was answered.
    ///
    /// # Errors
    /// None came in `limit`.
    pub async fn wait_for_callback(&self, limit: Duration, sid: &str, status: &str) -> Result<Callback> {
        let wanted = |callback: &&Callback| callback.sid == sid && callback.status == status;
        let found = self.wait(limit, |inside| inside.callbacks.iter().find(wanted).cloned()).await;
        found.with_context(|| format!("no callback {status} was answered in {limit:?}"))
    }

    async fn wait<T>(&self, limit: Duration, find: impl Fn(&Inside) -> Option<T>) -> Option<T> {
        tokio::time::timeout(limit, self.shared.until(find)).await.ok().flatten()
    }

    /// A token as the identity provider would issue it: ES256, `iss` this URL, `cognito:groups` the roles, valid for `ttl`.
    ///
    /// # Errors
    /// The key refused to sign.
    pub fn mint(&self, subject: &str, roles: &[&str], ttl: Duration) -> Result<String> {
        self.shared.mint(subject, roles, ttl)
    }

    /// A token with claims of the caller's choice, signed with the published key.
    ///
    /// # Errors
    /// The key refused to sign.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.shared.sign(claims)
    }

    /// Where the keys are that its tokens are verified with.
    pub fn jwks_url(&self) -> String {
        format!("{}/.well-known/jwks.json", self.url)
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inside) -> T) -> T {
        let result = change(&mut self.inside());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// What `find` finds, as soon as it is there; `None`: it can't come any more.
    async fn until<T>(&self, find: impl Fn(&Inside) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(found) = find(&self.inside()) {
                return Some(found);
            }
            changes.changed().await.ok()?;
        }
    }

    fn take_fault(&self, on: On) -> Option<Fault> {
        let mut inside = self.inside();
        let place = inside.next.iter().position(|fault| fault.on == on)?;
        inside.next.remove(place)
    }

    fn add_media(&self, account_sid: &str, content_type: &str, name: Option<&str>, bytes: Bytes) -> String {
        let sid = sid("ME");
        let media = Media {
            account_sid: account_sid.to_owned(),
            content_type: content_type.to_owned(),
            name: name.map(str::to_owned),
            bytes,
            ticket: Ulid::generate().to_string(),
        };
        let path = format!("{}/2010-04-01/Accounts/{account_sid}/Messages/{}/Media/{sid}", self.url, self::sid("MM"));
        self.change(|inside| inside.media.insert(sid, media));
        path
    }

    fn mint(&self, subject: &str, roles: &[&str], ttl: Duration) -> Result<String> {
        let now = jiff::Timestamp::now().as_second();
        self.sign(&json!({
            "iss": self.url,
            "sub": subject,
            "cognito:groups": roles,
            "iat": now,
            "exp": now.saturating_add_unsigned(ttl.as_secs()),
        }))
    }

    fn sign(&self, claims: &Value) -> Result<String> {
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }

    /// The account that the basic authentication proves, if it is the one in the path.
    fn authenticate(&self, headers: &HeaderMap, account_sid: &str) -> Option<Credentials> {
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let known = self.inside().accounts.get(account_sid).cloned()?;
        let expected = BASE64_STANDARD.encode(format!("{}:{}", known.account_sid, known.auth_token));
        (given == expected).then_some(known)
    }
}

const KEY_ID: &str = "stand-in";

fn new_key() -> Result<(EncodingKey, JwkSet)> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let random = aws_lc_rs::rand::SystemRandom::new();
    let Ok(document) = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random) else {
        bail!("no key for the tokens can be made");
    };
    let key = EncodingKey::from_ec_der(document.as_ref());
    let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
    public.common.key_id = Some(KEY_ID.to_owned());
    Ok((key, JwkSet { keys: vec![public] }))
}

/// The value of `X-Twilio-Signature`: names sorted, the values of a repeated name as a sorted set, HMAC-SHA1 over the URL and all of them.
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

/// A new id of Twilio's form: two letters and 32 hex digits.
pub fn sid(prefix: &str) -> String {
    format!("{prefix}{:032x}", Ulid::generate().0)
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(send_message))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}", get(media))
        .route("/cdn/{ticket}", get(cdn))
        .route("/.well-known/jwks.json", get(async |State(shared): State<Arc<Shared>>| Json(shared.keys.clone())))
        .route("/_standin/next", post(next))
        .route("/_standin/sent", get(async |State(shared): State<Arc<Shared>>| Json(json!({ "sent": shared.inside().sent }))))
        .route(
            "/_standin/callbacks",
            get(async |State(shared): State<Arc<Shared>>| Json(json!({ "callbacks": shared.inside().callbacks }))),
        )
        .route("/_standin/accounts", post(accounts))
        .route("/_standin/media", post(upload))
        .route("/_standin/tokens", post(tokens))
        .fallback(async || error(404, 20404, "The requested resource was not found"))
        .with_state(shared)
}

fn error(status: u16, code: u32, message: &str) -> Response {
    let body =
        json!({"code": code, "message": message, "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status});
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
}

fn unauthenticated() -> Response {
    let mut answer = error(401, 20003, "Authenticate");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"Twilio API\""));
    answer
}

fn scripted(fault: &Fault, status: u16) -> Response {
    let (code, message) = match status {
        429 => (20429, "Too Many Requests"),
        401 => (20003, "Authenticate"),
        404 => (20404, "The requested resource was not found"),
        500.. => (20500, "An internal server error has occurred"),
        _ => (20001, "Bad request"),
    };
    let mut answer = error(status, fault.code.unwrap_or(code), message);
    if let Some(seconds) = fault.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

async fn send_message(State(shared): State<Arc<Shared>>, Path(account): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(credentials) = shared.authenticate(&headers, &account) else { return unauthenticated() };
    let fault = shared.take_fault(On::Message).unwrap_or_default();
    if let Some(status) = fault.status {
        return scripted(&fault, status);
    }
    let params: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let form = Form(&params);
    if let Some((code, message)) = form.problem() {
        return error(400, code, &message);
    }
    let message = Sent {
        sid: sid("SM"),
        account_sid: account,
        from: form.get("From").to_owned(),
        to: form.get("To").to_owned(),
        body: form.get("Body").to_owned(),
        params: params.clone(),
    };
    let answer = resource(&message);
    let callback = form.get("StatusCallback").to_owned();
    shared.change(|inside| inside.sent.push(message.clone()));
    if !callback.is_empty() {
        tokio::spawn(call_back(shared, credentials, message, callback, fault.callback_error));
    }
    match fault.fault {
        // The connection stays open until the caller gives up.
        Some(Silence::Timeout) => std::future::pending().await,
        None => (StatusCode::CREATED, Json(answer)).into_response(),
    }
}

/// Parameters of a form by name; a missing one is empty, as Twilio takes it.
struct Form<'a>(&'a [(String, String)]);

impl<'a> Form<'a> {
    fn get(&self, name: &str) -> &'a str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// The first thing that Twilio would refuse, with its code and words.
    fn problem(&self) -> Option<(u32, String)> {
        let (from, to, body) = (self.get("From"), self.get("To"), self.get("Body"));
        if to.is_empty() {
            return Some((21604, "A 'To' phone number is required.".into()));
        }
        if from.is_empty() && self.get("MessagingServiceSid").is_empty() {
            return Some((21603, "A 'From' phone number is required.".into()));
        }
        if body.is_empty() && self.get("MediaUrl").is_empty() && self.get("ContentSid").is_empty() {
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

fn resource(message: &Sent) -> Value {
    let uri = format!("/2010-04-01/Accounts/{}/Messages/{}", message.account_sid, message.sid);
    let media = message.params.iter().filter(|(name, _)| name == "MediaUrl").count();
    json!({
        "sid": message.sid,
        "account_sid": message.account_sid,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
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

/// Tells `url` what became of a message, one state after the other, each once the one before it was answered.
async fn call_back(shared: Arc<Shared>, credentials: Credentials, message: Sent, url: String, failure: Option<u32>) {
    let delay = shared.inside().delay;
    let states: &[(&str, Option<u32>)] = match failure {
        Some(_) => &[("undelivered", failure)],
        None => &[("sent", None), ("delivered", None), ("read", None)],
    };
    for (status, code) in states {
        // The fragment is Twilio's own, for its overrides; it is neither sent nor signed.
        let target = url.split('#').next().unwrap_or_default();
        tokio::time::sleep(delay).await;
        shared.until(|inside| (!inside.held).then_some(())).await;
        let params = callback_params(&message, status, *code);
        let request = shared.http.post(target).header("X-Twilio-Signature", signature(&credentials.auth_token, target, &params));
        let answer = request.form(&params).send().await.map_or(0, |answer| answer.status().as_u16());
        let made = Callback { sid: message.sid.clone(), status: (*status).to_owned(), answer };
        shared.change(|inside| inside.callbacks.push(made));
    }
}

fn callback_params(message: &Sent, status: &str, code: Option<u32>) -> Vec<(String, String)> {
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
        params.push(("ErrorCode", code.to_string()));
        params.push(("ErrorMessage", "Message could not be delivered".to_owned()));
    }
    params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn media(
    State(shared): State<Arc<Shared>>,
    Path((account, _message, media)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if shared.authenticate(&headers, &account).is_none() {
        return unauthenticated();
    }
    if let Some(fault) = shared.take_fault(On::Media) {
        match (fault.status, fault.fault) {
            (Some(status), _) => return scripted(&fault, status),
            (None, Some(Silence::Timeout)) => std::future::pending().await,
            (None, None) => {}
        }
    }
    let found = shared.inside().media.get(&media).filter(|media| media.account_sid == account).map(|media| media.ticket.clone());
    match found {
        Some(ticket) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{}/cdn/{ticket}", shared.url))]).into_response(),
        None => error(404, 20404, "The requested resource was not found"),
    }
}

async fn cdn(State(shared): State<Arc<Shared>>, Path(ticket): Path<String>, headers: HeaderMap) -> Response {
    // A signed URL with credentials beside it is refused by real CDNs too.
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
    }
    let found = shared.inside().media.values().find(|media| media.ticket == ticket).cloned();
    let Some(media) = found else { return StatusCode::FORBIDDEN.into_response() };
    let mut answer = ([(header::CONTENT_TYPE, media.content_type)], media.bytes).into_response();
    let name = media.name.and_then(|name| format!("attachment; filename=\"{name}\"").parse().ok());
    if let Some(name) = name {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    answer
}

async fn next(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> StatusCode {
    shared.change(|inside| inside.next.push_back(fault));
    StatusCode::NO_CONTENT
}

async fn accounts(State(shared): State<Arc<Shared>>, Json(account): Json<Credentials>) -> StatusCode {
    shared.change(|inside| inside.accounts.insert(account.account_sid.clone(), account));
    StatusCode::NO_CONTENT
}

/// The file is the body; `?account_sid=` says whose, `&name=` what it is called.
async fn upload(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(account_sid) = query.get("account_sid") else { return error(400, 20001, "account_sid is missing") };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/octet-stream");
    let url = shared.add_media(account_sid, content_type, query.get("name").map(String::as_str), body);
    (StatusCode::CREATED, Json(json!({ "url": url }))).into_response()
}

#[derive(Deserialize)]
struct Wanted {
    subject: String,
    #[serde(default)]
    roles: Vec<String>,
    ttl_s: Option<u64>,
}

async fn tokens(State(shared): State<Arc<Shared>>, Json(wanted): Json<Wanted>) -> Response {
    let roles: Vec<&str> = wanted.roles.iter().map(String::as_str).collect();
    // A working day is the longest that somebody tries things out.
    match shared.mint(&wanted.subject, &roles, Duration::from_secs(wanted.ttl_s.unwrap_or(8 * 3600))) {
        Ok(token) => (StatusCode::CREATED, Json(json!({ "token": token }))).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";

    fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    async fn post_message(standin: &StandIn, token: &str, params: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", standin.url);
        let answer = crate::http().post(url).basic_auth(ACCOUNT, Some(token)).form(params).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn started() -> StandIn {
        let standin = StandIn::start().await.unwrap();
        standin.add_account(ACCOUNT, "secret");
        standin
    }

    const GOOD: [(&str, &str); 3] = [("From", "whatsapp:+390612345678"), ("To", "whatsapp:+393331234567"), ("Body", "Buongiorno")];

    #[test]
    fn the_published_vectors_of_the_signature_pass() {
        let call = pairs(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]);
        assert_eq!(signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &call), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let repeated = pairs(&[("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]);
        assert_eq!(signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &repeated), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
    }

    #[test]
    fn the_picture_is_a_picture() {
        assert!(PICTURE.starts_with(b"\x89PNG\r\n\x1a\n") && PICTURE.ends_with(b"IEND\xaeB`\x82"));
    }

    #[tokio::test]
    async fn a_message_is_accepted_and_called_back_in_order_and_signed() {
        let standin = started().await;
        let (seen, mut received) = tokio::sync::mpsc::unbounded_channel();
        let receiver = Router::new().route(
            "/status",
            post(async move |headers: HeaderMap, body: Bytes| {
                let _ = seen.send((headers["x-twilio-signature"].to_str().unwrap().to_owned(), body));
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callback = format!("http://{}/status?ref=1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, receiver).await });

        let (status, answer) = post_message(&standin, "secret", &[&GOOD[..], &[("StatusCallback", &callback)]].concat()).await;
        assert_eq!((status, answer["status"].as_str()), (201, Some("queued")));
        for expected in ["sent", "delivered", "read"] {
            let (given, body) = received.recv().await.unwrap();
            let params: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
            assert_eq!(Form(&params).get("MessageStatus"), expected);
            assert_eq!(Form(&params).get("MessageSid"), answer["sid"].as_str().unwrap());
            assert_eq!(given, signature("secret", &callback, &params));
        }
        assert_eq!(standin.sent().len(), 1);
    }

    #[tokio::test]
    async fn wrong_credentials_are_refused_as_twilio_does() {
        let (status, answer) = post_message(&started().await, "wrong", &GOOD).await;
        assert_eq!((status, answer["code"].as_u64()), (401, Some(20003)));
    }

    #[tokio::test]
    async fn bad_parameters_get_twilios_codes() {
        let standin = started().await;
        let long = "x".repeat(1601);
        let cases: [(&[(&str, &str)], u64); 5] = [
            (&GOOD[..1], 21604),
            (&GOOD[1..], 21603),
            (&GOOD[..2], 21602),
            (&[GOOD[0], ("To", "whatsapp:+12"), GOOD[2]], 21211),
            (&[GOOD[0], GOOD[1], ("Body", &long)], 21617),
        ];
        for (params, code) in cases {
            let (status, answer) = post_message(&standin, "secret", params).await;
            assert_eq!((status, answer["code"].as_u64()), (400, Some(code)));
        }
        assert!(standin.sent().is_empty());
    }

    #[tokio::test]
    async fn a_scripted_rate_limit_happens_once() {
        let standin = started().await;
        standin.next(serde_json::from_value(json!({"status": 429, "retry_after": 1})).unwrap());
        let (status, answer) = post_message(&standin, "secret", &GOOD).await;
        assert_eq!((status, answer["code"].as_u64()), (429, Some(20429)));
        assert_eq!(post_message(&standin, "secret", &GOOD).await.0, 201);
    }

    #[tokio::test]
    async fn media_wants_credentials_and_the_cdn_refuses_them() {
        let standin = started().await;
        let url = standin.add_media(ACCOUNT, "image/png", None, PICTURE);
        let http = crate::http();
        assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
        let redirect = http.get(&url).basic_auth(ACCOUNT, Some("secret")).send().await.unwrap();
        assert_eq!(redirect.status(), 307);
        let target = redirect.headers()["location"].to_str().unwrap();
        assert_eq!(http.get(target).basic_auth(ACCOUNT, Some("secret")).send().await.unwrap().status(), 400);
        let file = http.get(target).send().await.unwrap();
        assert_eq!(file.headers()["content-type"], "image/png");
        assert_eq!(file.bytes().await.unwrap(), PICTURE);
    }

    #[tokio::test]
    async fn a_minted_token_is_verified_with_the_published_key() {
        let standin = started().await;
        let token = standin.mint("anna", &["agent"], Duration::from_secs(60)).unwrap();
        let keys: JwkSet = crate::http().get(standin.jwks_url()).send().await.unwrap().json().await.unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(KEY_ID).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(Algorithm::ES256);
        rules.set_issuer(&[&standin.url]);
        let read = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
        assert_eq!(read.claims["sub"], "anna");
        assert_eq!(read.claims["cognito:groups"], json!(["agent"]));
    }
}
