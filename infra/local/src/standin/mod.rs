//! The stand-in for the providers' APIs and for the identity provider. It answers as they do, as far as the product
//! needs, on one port of 127.0.0.1. Scripts and tests control it under `/_standin`.
//!
//! Each provider is a module with its own paths, bodies and errors, in the shapes of its public documentation. It
//! computes signatures itself, not with the product's code, so that it does not repeat a mistake there.

#![allow(clippy::result_large_err, reason = "a refusal is an answer, which is made once")]

mod hooks;
mod identity;
mod kaleyra;
mod meta;
mod models;
mod sinch;
mod sinch_legacy;
mod translators;
mod twilio;
mod vidaoo;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use ulid::Ulid;

pub use hooks::Called;
pub use identity::AUDIENCE;
pub use meta::batch as meta_batch;
pub use models::{MODEL_KEY, Prompted};
pub use sinch::signature as sinch_signature;
pub use translators::{Asked, GOOGLE_KEY};
pub use twilio::{form as twilio_form, sid, signature as twilio_signature};
pub use vidaoo::{Met, VIDEO_KEY};

/// A customer's picture: one pixel (PNG).
pub const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f,
    0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0xda, 0x63, 0x64, 0x60, 0xf8, 0x5f, 0x0f, 0, 2, 0x87, 1, 0x80, 0xeb,
    0x47, 0xba, 0x92, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Stands in a [`Fault`] for the provider's own code for a closed 24-hour window.
pub const WINDOW_EXPIRED: &str = "window_expired";

/// A provider, seen from outside.
trait Provider: Sync {
    /// The type of its accounts.
    fn kind(&self) -> &'static str;

    /// The account's field that names it in requests.
    fn id_field(&self) -> &'static str;

    /// Its API.
    fn routes(&self) -> Router<Arc<Shared>>;

    /// A new id of a message.
    fn new_id(&self) -> String;

    /// The address of an attachment in a webhook.
    fn file_url(&self, base: &str, account: &Account, file: &str, ticket: &str) -> String {
        let _ = (account, file);
        format!("{base}/files/{ticket}")
    }

    /// How long such an address is valid.
    fn address_lifetime(&self) -> Duration {
        Duration::from_secs(7 * 24 * 3600)
    }

    /// Signs a webhook with the account's secrets. An earlier signature is replaced.
    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook;

    /// The unsigned webhook for a customer's message.
    fn message(&self, account: &Account, message: &Received) -> Webhook;

    /// The provider's word for a state of a sent message, and the unsigned webhook for it. `failure` is a code.
    fn report(&self, account: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook);

    /// The states that it reports, in order.
    fn states(&self) -> &'static [Stage] {
        &[Stage::Sent, Stage::Delivered, Stage::Read]
    }

    /// An error of its API.
    fn error(&self, status: u16, code: Option<&str>) -> Response;

    /// Its code for a closed window.
    fn window_code(&self) -> &'static str;

    /// Its code for a file that it could not fetch.
    fn media_code(&self) -> &'static str;
}

static PROVIDERS: [&dyn Provider; 5] = [&twilio::Twilio, &meta::Meta, &sinch::SinchV2, &sinch_legacy::Sinch, &kaleyra::Kaleyra];

fn provider(kind: &str) -> Result<&'static dyn Provider> {
    PROVIDERS.into_iter().find(|provider| provider.kind() == kind).with_context(|| format!("{kind} is not a provider type"))
}

/// The unsigned webhook for a customer's message.
///
/// # Errors
/// The provider type is unknown.
pub fn message(account: &Account, message: &Received) -> Result<Webhook> {
    Ok(provider(&account.kind)?.message(account, message))
}

/// Signs a webhook with the secrets of `account`. An earlier signature is replaced.
///
/// # Errors
/// The provider type is unknown.
pub fn sign(account: &Account, webhook: Webhook) -> Result<Webhook> {
    Ok(provider(&account.kind)?.sign(account, webhook))
}

/// Adds the guard of an account whose provider signs nothing: a header of its own choice.
fn guarded(account: &Account, webhook: Webhook) -> Webhook {
    let (name, value) = (account.field("callback_header"), account.field("callback_header_value"));
    if name.is_empty() { webhook } else { webhook.with_header(name, value) }
}

/// A state of a sent message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sent,
    Delivered,
    Read,
    Failed,
}

/// A running stand-in; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct StandIn {
    /// `http://127.0.0.1:<port>`: for `TwilioApiUrl`, `JwtIssuer` (with [`AUDIENCE`]), `EgressAllowedOrigins`.
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
    issuer: identity::Issuer,
    service_key: translators::ServiceKey,
    inside: Mutex<Inside>,
    /// Counts the changes of `inside`, for callers that wait for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inside {
    accounts: Vec<Account>,
    sent: Vec<Sent>,
    received: Vec<Received>,
    callbacks: Vec<Callback>,
    next: VecDeque<Fault>,
    /// What translators were asked.
    asked: Vec<Asked>,
    /// What language models were asked.
    prompted: Vec<Prompted>,
    /// Whether language models think for as long as that.
    models_held: bool,
    /// What translators, language models and Vidaoo got, as it came.
    helped: Vec<Helped>,
    /// The meetings that Vidaoo made.
    met: Vec<Met>,
    /// What triggers told.
    called: Vec<Called>,
    files: HashMap<String, StoredFile>,
    /// Temporary addresses of files: the file, and when the address expires.
    tickets: HashMap<String, (String, Instant)>,
    /// Access tokens that were given out, with their account.
    access_tokens: HashMap<String, String>,
    /// How many access tokens were requested.
    token_requests: usize,
    /// Google's access tokens.
    google_tokens: BTreeSet<String>,
    delay: Duration,
    /// How many status callbacks may still go; `None`: all.
    reports: Option<u32>,
}

/// A request to a translator, a language model or Vidaoo, as it came.
#[derive(Debug, Clone)]
pub struct Helped {
    /// The path with the query.
    pub path: String,
    /// All headers, one a line.
    pub headers: String,
    /// The body; bytes that are no text are replaced.
    pub body: String,
}

/// An account as the provider knows it: the admin API's `provider`, and the number.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    /// The type, e.g. `META`.
    #[serde(rename = "type", default = "twilio::kind")]
    pub kind: String,
    /// The number, `+39…`.
    #[serde(default)]
    pub phone: String,
    /// The address of its webhooks, as a person pasted it in the console or the API set it.
    #[serde(default)]
    pub receive_url: String,
    /// The fields, public and secret.
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

impl Account {
    /// An account of `kind` with these fields.
    pub fn new(kind: &str, phone: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { kind: kind.to_owned(), phone: phone.to_owned(), receive_url: String::new(), fields }
    }

    /// A field; empty if it is absent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The id that names it in requests.
    pub fn id(&self) -> &str {
        provider(&self.kind).map_or("", |provider| self.field(provider.id_field()))
    }

    /// The number without its `+`.
    fn digits(&self) -> &str {
        self.phone.trim_start_matches('+')
    }

    /// The address of requests, without the fragment, which holds Twilio's own overrides and is neither sent nor
    /// signed.
    fn webhook_url(&self) -> &str {
        self.receive_url.split('#').next().unwrap_or_default()
    }
}

/// Doesn't show the fields: some are secrets.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A message that the stand-in accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// The provider type, e.g. `TWILIO`.
    pub provider: &'static str,
    /// The id that the sender got.
    pub sid: String,
    /// The account: [`Account::id`].
    pub account_sid: String,
    /// The sender's number, as the request names it.
    pub from: String,
    /// The recipient, as the request names it.
    pub to: String,
    /// The text, or the caption.
    pub body: String,
    /// All parameters of a form, in their order.
    pub params: Vec<(String, String)>,
    /// The body of a JSON request.
    pub request: Value,
    /// The message's file, once it was fetched from the link in the request.
    pub media: Option<Fetched>,
    /// The sender's reference, which each report returns.
    #[serde(skip)]
    reference: String,
    /// The address of the reports.
    #[serde(skip)]
    callback: String,
    /// The link of the message's file.
    #[serde(skip)]
    link: String,
}

impl Sent {
    fn new(provider: &dyn Provider, account: &Account) -> Self {
        Self {
            provider: provider.kind(),
            sid: provider.new_id(),
            account_sid: account.id().to_owned(),
            from: account.phone.clone(),
            to: String::new(),
            body: String::new(),
            params: Vec::new(),
            request: Value::Null,
            media: None,
            reference: String::new(),
            callback: account.webhook_url().to_owned(),
            link: String::new(),
        }
    }
}

/// A file as the provider fetched it.
#[derive(Debug, Clone, Serialize)]
pub struct Fetched {
    /// The link's HTTP status; 0 if there was no answer.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its `Content-Disposition`.
    pub disposition: String,
    /// The bytes.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// A customer's message, as the provider stores it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The provider type.
    pub kind: String,
    /// The account: [`Account::id`].
    pub account: String,
    /// The provider's id.
    pub id: String,
    /// The customer's number, `+39…`.
    pub from: String,
    /// The name in the customer's profile.
    pub name: String,
    /// The text, or the caption.
    pub text: String,
    /// The attachment.
    pub file: Option<File>,
    /// The time.
    pub at: Timestamp,
}

impl Received {
    /// The customer's number without its `+`.
    fn digits(&self) -> &str {
        self.from.trim_start_matches('+')
    }
}

/// An attachment at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The provider's id.
    pub id: String,
    /// Its address in a webhook.
    pub url: String,
    /// Its content type.
    pub content_type: String,
    /// Its name.
    pub name: Option<String>,
    /// SHA-256 of the bytes.
    pub sha256: Vec<u8>,
}

#[derive(Clone)]
struct StoredFile {
    account: String,
    content_type: String,
    name: Option<String>,
    bytes: Bytes,
}

/// A webhook of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The provider's id of the event.
    pub id: String,
    /// The address.
    pub url: String,
    /// The headers, including the content type and the signature.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Webhook {
    /// An unsigned webhook with a JSON body.
    pub fn json(id: &str, url: &str, body: &Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self { id: id.to_owned(), url: url.to_owned(), headers, body: body.to_string().into_bytes() }
    }

    /// The same webhook with this header set.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self = self.without_header(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same webhook without this header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// A `curl` command that sends it, for a person to try.
    pub fn curl(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let mut command = format!("curl -i {}", quoted(&self.url));
        for (name, value) in &self.headers {
            command.push_str(&format!(" \\\n  -H {}", quoted(&format!("{name}: {value}"))));
        }
        command.push_str(&format!(" \\\n  --data-raw {}", quoted(&String::from_utf8_lossy(&self.body))));
        command
    }
}

/// A status callback that the stand-in made.
#[derive(Debug, Clone, Serialize)]
pub struct Callback {
    /// The id of the message.
    pub sid: String,
    /// The provider's word, e.g. `delivered`.
    pub status: String,
    /// The receiver's HTTP status; 0 if there was no answer.
    pub answer: u16,
}

/// A fault for one of the next requests.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// The provider type of the request; if absent, any.
    pub provider: Option<String>,
    /// The kind of request: `message` (the default), `media`, `token` or `api`.
    pub on: On,
    /// The status to answer instead of carrying out the request.
    pub status: Option<u16>,
    /// The error code in the body, by default one that fits `status`. [`WINDOW_EXPIRED`] stands for the provider's
    /// own.
    pub code: Option<Code>,
    /// The seconds in `Retry-After`.
    pub retry_after: Option<u32>,
    /// Carries out the request but gives no answer.
    pub fault: Option<Silence>,
    /// Accepts the message, then reports its failure with this code.
    pub callback_error: Option<Code>,
}

/// A provider's code: a number for some, a word for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Code(String);

impl From<u32> for Code {
    fn from(code: u32) -> Self {
        Self(code.to_string())
    }
}

impl From<&str> for Code {
    fn from(code: &str) -> Self {
        Self(code.to_owned())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err(serde::de::Error::custom("a code is a number or a text")),
        }
    }
}

/// The kind of request that a [`Fault`] is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The sending of a message.
    #[default]
    Message,
    /// The download of an attachment.
    Media,
    /// The request for an access token.
    Token,
    /// Any other request to the API.
    Api,
}

/// How a [`Fault`] withholds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// The request is carried out, but the answer never comes.
    Timeout,
    /// The request is carried out, and the connection is closed without an answer.
    Closed,
}

impl StandIn {
    /// Starts the stand-in on a free port, without a delay between callbacks.
    ///
    /// # Errors
    /// There is no free port, or no key can be made.
    pub async fn start() -> Result<StandIn> {
        Self::start_with(Duration::ZERO).await
    }

    /// Starts the stand-in on a free port. `delay` passes before each status callback.
    ///
    /// # Errors
    /// There is no free port, or no key can be made.
    pub async fn start_with(delay: Duration) -> Result<StandIn> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free port for the providers' stand-in")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            url: url.clone(),
            http: crate::http(),
            issuer: identity::Issuer::new()?,
            service_key: translators::ServiceKey::new()?,
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

    /// Adds an account. Requests of an unknown account are refused with 401.
    pub fn add_account(&self, account: &Account) {
        self.shared.add_account(account);
    }

    /// Sets an account's webhook address to `receive_url`, as a person does in the provider's console.
    pub fn point(&self, account: &Account, receive_url: &str) {
        self.shared.add_account(&Account { receive_url: receive_url.to_owned(), ..account.clone() });
    }

    /// An account in its present state.
    pub fn account(&self, kind: &str, id: &str) -> Option<Account> {
        self.shared.account(kind, id)
    }

    /// Stores a file among the provider's attachments.
    ///
    /// # Errors
    /// The provider type is unknown.
    pub fn add_file(&self, account: &Account, content_type: &str, name: Option<&str>, bytes: impl Into<Bytes>) -> Result<File> {
        self.shared.add_file(account, content_type, name, bytes.into())
    }

    /// Expires all temporary addresses of files.
    pub fn expire_addresses(&self) {
        self.shared.change(|inside| inside.tickets.clear());
    }

    /// Revokes all access tokens that were given out.
    pub fn revoke_tokens(&self) {
        self.shared.change(|inside| inside.access_tokens.clear());
    }

    /// How many access tokens were requested.
    pub fn token_requests(&self) -> usize {
        self.shared.inside().token_requests
    }

    /// Makes a customer write. The provider stores the message, and the result is its webhook. The caller decides
    /// whether to deliver the webhook.
    ///
    /// # Errors
    /// The provider type is unknown.
    pub fn write(&self, account: &Account, from: &str, name: &str, text: &str, file: Option<&File>) -> Result<Webhook> {
        self.shared.write(account, from, name, text, file)
    }

    /// Sets a fault for the next request of its kind. A second call sets one for the request after it.
    pub fn next(&self, fault: Fault) {
        self.shared.change(|inside| inside.next.push_back(fault));
    }

    /// While `held`, status callbacks wait.
    pub fn hold_callbacks(&self, held: bool) {
        self.shared.change(|inside| inside.reports = held.then_some(0));
    }

    /// All accepted messages, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.inside().sent.clone()
    }

    /// The meetings that Vidaoo made, oldest first.
    pub fn meetings(&self) -> Vec<Met> {
        self.shared.inside().met.clone()
    }

    /// The key file of Google's service account.
    ///
    /// # Errors
    /// The key can't be written.
    pub fn service_account(&self) -> Result<String> {
        self.shared.service_key.file()
    }

    /// What translators were asked to translate, oldest first.
    pub fn translations(&self) -> Vec<Asked> {
        self.shared.inside().asked.clone()
    }

    /// What translators, language models and Vidaoo got, oldest first.
    pub fn helped(&self) -> Vec<Helped> {
        self.shared.inside().helped.clone()
    }

    /// All status callbacks that were answered or failed, oldest first.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.shared.inside().callbacks.clone()
    }

    /// Waits for the first accepted message that `wanted` accepts.
    ///
    /// # Errors
    /// None came within `limit`.
    pub async fn wait_for_sent(&self, limit: Duration, wanted: impl Fn(&Sent) -> bool) -> Result<Sent> {
        let found = self.wait(limit, |inside| inside.sent.iter().find(|sent| wanted(sent)).cloned()).await;
        found.with_context(|| format!("the provider was not sent the expected message in {limit:?}"))
    }

    /// Waits until the callback with this status of a message is answered.
    ///
    /// # Errors
    /// None came within `limit`.
    pub async fn wait_for_callback(&self, limit: Duration, sid: &str, status: &str) -> Result<Callback> {
        let wanted = |callback: &&Callback| callback.sid == sid && callback.status == status;
        let found = self.wait(limit, |inside| inside.callbacks.iter().find(wanted).cloned()).await;
        found.with_context(|| format!("no callback {status} was answered in {limit:?}"))
    }

    async fn wait<T>(&self, limit: Duration, find: impl Fn(&Inside) -> Option<T>) -> Option<T> {
        tokio::time::timeout(limit, self.shared.until(find)).await.ok().flatten()
    }

    /// A token as the identity provider would issue it: ES256, `iss` this URL, `cognito:groups` the roles, valid
    /// for `ttl`.
    ///
    /// # Errors
    /// The key refused to sign.
    pub fn mint(&self, subject: &str, roles: &[&str], ttl: Duration) -> Result<String> {
        self.shared.issuer.mint(&self.url, subject, roles, ttl)
    }

    /// A token with claims of the caller's choice, signed with the published key.
    ///
    /// # Errors
    /// The key refused to sign.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.shared.issuer.sign(claims)
    }

    /// The address of the keys that verify its tokens.
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

    /// Waits until `find` finds something; `None` if that can't happen any more.
    async fn until<T>(&self, find: impl Fn(&Inside) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(found) = find(&self.inside()) {
                return Some(found);
            }
            changes.changed().await.ok()?;
        }
    }

    fn add_account(&self, account: &Account) {
        self.change(|inside| {
            inside.accounts.retain(|known| (known.kind.as_str(), known.id()) != (account.kind.as_str(), account.id()));
            inside.accounts.push(account.clone());
        });
    }

    fn account(&self, kind: &str, id: &str) -> Option<Account> {
        self.find_account(kind, |account| account.id() == id)
    }

    fn find_account(&self, kind: &str, wanted: impl Fn(&Account) -> bool) -> Option<Account> {
        self.inside().accounts.iter().find(|account| account.kind == kind && wanted(account)).cloned()
    }

    /// Takes the fault that waits for a request of this kind.
    fn take_fault(&self, provider: &dyn Provider, on: On) -> Option<Fault> {
        let mut inside = self.inside();
        let meant = |fault: &Fault| fault.on == on && fault.provider.as_deref().is_none_or(|kind| kind == provider.kind());
        let place = inside.next.iter().position(meant)?;
        let mut fault = inside.next.remove(place)?;
        for code in [&mut fault.code, &mut fault.callback_error].into_iter().flatten() {
            if code.0 == WINDOW_EXPIRED {
                *code = provider.window_code().into();
            }
        }
        Some(fault)
    }

    /// The answer of a fault that waits for such a request, if there is one. A silent fault comes before the
    /// request is carried out, so this is for requests that only read.
    async fn refusal(&self, provider: &dyn Provider, on: On) -> Option<Response> {
        let fault = self.take_fault(provider, on)?;
        match fault.status {
            Some(_) => scripted(provider, &fault),
            None => Some(silent(fault.fault?).await),
        }
    }

    fn add_file(&self, account: &Account, content_type: &str, name: Option<&str>, bytes: Bytes) -> Result<File> {
        let provider = provider(&account.kind)?;
        let id = match provider.kind() {
            "TWILIO" => sid("ME"),
            "META" | "KALEYRA" => decimal_id(),
            _ => Ulid::generate().to_string(),
        };
        let ticket = Ulid::generate().to_string();
        let url = provider.file_url(&self.url, account, &id, &ticket);
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref().to_vec();
        let file = File { id: id.clone(), url, content_type: content_type.to_owned(), name: name.map(str::to_owned), sha256 };
        let stored =
            StoredFile { account: account.id().to_owned(), content_type: content_type.to_owned(), name: name.map(str::to_owned), bytes };
        let until = Instant::now() + provider.address_lifetime();
        self.change(|inside| {
            inside.files.insert(id.clone(), stored);
            inside.tickets.insert(ticket, (id, until));
        });
        Ok(file)
    }

    /// A new address of a file, valid for `lifetime`.
    fn ticket(&self, file: &str, lifetime: Duration) -> String {
        let ticket = Ulid::generate().to_string();
        self.change(|inside| inside.tickets.insert(ticket.clone(), (file.to_owned(), Instant::now() + lifetime)));
        ticket
    }

    fn file_of_ticket(&self, ticket: &str) -> Option<StoredFile> {
        let inside = self.inside();
        let (file, _) = inside.tickets.get(ticket).filter(|(_, until)| Instant::now() < *until)?;
        inside.files.get(file).cloned()
    }

    fn write(&self, account: &Account, from: &str, name: &str, text: &str, file: Option<&File>) -> Result<Webhook> {
        let provider = provider(&account.kind)?;
        let message = Received {
            kind: account.kind.clone(),
            account: account.id().to_owned(),
            id: provider.new_id(),
            from: from.to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
            file: file.cloned(),
            at: Timestamp::now(),
        };
        let webhook = provider.sign(account, provider.message(account, &message));
        self.change(|inside| inside.received.push(message));
        Ok(webhook)
    }

    /// Customers' messages to an account since `since`, oldest first.
    fn received(&self, account: &Account, since: Timestamp) -> Vec<Received> {
        let inside = self.inside();
        let meant = |message: &&Received| (message.kind == account.kind && message.account == account.id()) && message.at >= since;
        inside.received.iter().filter(meant).cloned().collect()
    }

    /// Accepts a message, starts its reports, and answers `answer` unless the fault withholds it.
    async fn accept(self: Arc<Self>, account: Account, sent: Sent, fault: Fault, answer: Response) -> Response {
        self.change(|inside| inside.sent.push(sent.clone()));
        let failure = fault.callback_error.map(|code| code.0);
        tokio::spawn(self.follow(account, sent, failure));
        match fault.fault {
            Some(silence) => silent(silence).await,
            None => answer,
        }
    }

    /// Fetches the message's file, then reports its states. Each report waits until the one before it was answered.
    async fn follow(self: Arc<Self>, account: Account, sent: Sent, mut failure: Option<String>) {
        let Ok(provider) = provider(&account.kind) else { return };
        if !sent.link.is_empty() {
            let fetched = self.fetch(&sent.link).await;
            if fetched.status != 200 && failure.is_none() {
                failure = Some(provider.media_code().to_owned());
            }
            self.change(|inside| {
                if let Some(kept) = inside.sent.iter_mut().find(|kept| kept.sid == sent.sid) {
                    kept.media = Some(fetched);
                }
            });
        }
        if sent.callback.is_empty() {
            return;
        }
        let delay = self.inside().delay;
        let states = if failure.is_some() { &[Stage::Failed][..] } else { provider.states() };
        for state in states {
            let (status, webhook) = provider.report(&account, &sent, *state, failure.as_deref());
            let webhook = provider.sign(&account, webhook);
            tokio::time::sleep(delay).await;
            self.may_report().await;
            let answer = self.call(&webhook).await;
            self.change(|inside| inside.callbacks.push(Callback { sid: sent.sid.clone(), status, answer }));
        }
    }

    /// Waits until a status callback may go.
    async fn may_report(&self) {
        let takes_turn = |inside: &mut Inside| match &mut inside.reports {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        };
        loop {
            self.until(|inside| (inside.reports != Some(0)).then_some(())).await;
            // Another one may have been faster.
            if self.change(takes_turn) {
                return;
            }
        }
    }

    async fn call(&self, webhook: &Webhook) -> u16 {
        let mut request = self.http.post(&webhook.url).body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }

    /// Fetches a message's file as a provider does: with its link alone.
    async fn fetch(&self, link: &str) -> Fetched {
        let nothing = Fetched { status: 0, content_type: String::new(), disposition: String::new(), bytes: Bytes::new() };
        let Ok(answer) = self.http.get(link).send().await else { return nothing };
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, disposition) = (text(header::CONTENT_TYPE), text(header::CONTENT_DISPOSITION));
        let status = answer.status().as_u16();
        Fetched { status, content_type, disposition, bytes: answer.bytes().await.unwrap_or_default() }
    }
}

/// Gives no answer.
async fn silent(silence: Silence) -> Response {
    match silence {
        // The connection stays open until the caller gives up.
        Silence::Timeout => std::future::pending().await,
        // Ends the task of this connection, which closes it. A panic would do the same, but would be printed.
        Silence::Closed => std::panic::resume_unwind(Box::new("the connection is closed")),
    }
}

/// The error that a fault asks for.
fn scripted(provider: &dyn Provider, fault: &Fault) -> Option<Response> {
    let mut answer = provider.error(fault.status?, fault.code.as_ref().map(|code| code.0.as_str()));
    if let Some(seconds) = fault.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Some(answer)
}

/// An answer with a JSON body.
fn reply(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Whether the basic authentication is this one.
fn is_basic(headers: &HeaderMap, user: &str, password: &str) -> bool {
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    headers.get(header::AUTHORIZATION).is_some_and(|given| given.as_bytes() == expected.as_bytes())
}

/// HMAC-SHA256.
fn hmac_sha256(key: &str, message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac;
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), message).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text within JSON; empty if it is not a text.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A new id of 15 digits, like those of Meta's media.
fn decimal_id() -> String {
    format!("{:015}", Ulid::generate().0 % 1_000_000_000_000_000)
}

/// A file with its type and name.
fn file_answer(file: StoredFile) -> Response {
    let mut answer = ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response();
    if let Some(name) = file.name.and_then(|name| format!("attachment; filename=\"{name}\"").parse().ok()) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    answer
}

fn router(shared: Arc<Shared>) -> Router {
    let steering = Router::new()
        .route("/_standin/next", post(next))
        .route("/_standin/sent", get(async |State(shared): State<Arc<Shared>>| Json(json!({ "sent": shared.inside().sent }))))
        .route(
            "/_standin/callbacks",
            get(async |State(shared): State<Arc<Shared>>| Json(json!({ "callbacks": shared.inside().callbacks }))).post(reports),
        )
        .route("/_standin/accounts", post(accounts))
        .route("/_standin/media", post(upload))
        .route("/_standin/messages", post(messages))
        .route("/files/{ticket}", get(file));
    let providers = PROVIDERS.into_iter().fold(Router::new(), |router, provider| router.merge(provider.routes()));
    let nothing = async || twilio::error(404, 20404, "The requested resource was not found");
    let helpers = translators::routes().merge(models::routes()).merge(vidaoo::routes());
    steering
        .merge(identity::routes())
        .merge(helpers.layer(from_fn_with_state(shared.clone(), noted)))
        .merge(hooks::routes())
        .merge(providers)
        .fallback(nothing)
        .with_state(shared)
}

/// Notes a request as it came.
async fn noted(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    let header =
        |(name, value): (&header::HeaderName, &header::HeaderValue)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    let helped = Helped {
        path: parts.uri.to_string(),
        headers: parts.headers.iter().map(header).collect::<Vec<_>>().join("\n"),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    shared.change(|inside| inside.helped.push(helped));
    next.run(Request::from_parts(parts, body.into())).await
}

/// A file at a public address.
async fn file(State(shared): State<Arc<Shared>>, Path(ticket): Path<String>, headers: HeaderMap) -> Response {
    // Real content networks also refuse a signed URL with credentials.
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
    }
    let Some(file) = shared.file_of_ticket(&ticket) else { return StatusCode::FORBIDDEN.into_response() };
    let owner = shared.find_account_of(&file);
    // Twilio's faults apply before its redirect to this address.
    if let Some(provider) = owner.filter(|provider| !matches!(provider.kind(), "TWILIO" | "META"))
        && let Some(refusal) = shared.refusal(provider, On::Media).await
    {
        return refusal;
    }
    file_answer(file)
}

impl Shared {
    /// The provider that keeps a file.
    fn find_account_of(&self, file: &StoredFile) -> Option<&'static dyn Provider> {
        let inside = self.inside();
        let account = inside.accounts.iter().find(|account| account.id() == file.account)?;
        provider(&account.kind).ok()
    }
}

async fn next(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> StatusCode {
    shared.change(|inside| inside.next.push_back(fault));
    StatusCode::NO_CONTENT
}

/// `{"reports": 1}`: that many status callbacks may go, and the others wait; `{}`: all.
async fn reports(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> StatusCode {
    let count = body["reports"].as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    shared.change(|inside| inside.reports = count);
    StatusCode::NO_CONTENT
}

async fn accounts(State(shared): State<Arc<Shared>>, Json(account): Json<Account>) -> Response {
    if let Err(error) = provider(&account.kind) {
        return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response();
    }
    shared.add_account(&account);
    StatusCode::NO_CONTENT.into_response()
}

/// The account that a control request names.
fn named(shared: &Shared, query: &BTreeMap<String, String>) -> Option<Account> {
    let kind = query.get("provider").map_or("TWILIO", String::as_str);
    let id = query.get("account").or_else(|| query.get("account_sid"))?;
    shared.account(kind, id)
}

/// Stores the body as a file of the account that `?provider=` and `&account=` name. `&name=` is the file's name.
async fn upload(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(account) = named(&shared, &query) else { return (StatusCode::NOT_FOUND, "the account does not exist").into_response() };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/octet-stream");
    match shared.add_file(&account, content_type, query.get("name").map(String::as_str), body) {
        Ok(file) => (StatusCode::CREATED, Json(json!({ "id": file.id, "url": file.url }))).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
struct Writing {
    from: String,
    #[serde(default)]
    name: String,
    text: String,
    /// Whether the provider sends the webhook. Otherwise only the provider's own list shows the message.
    #[serde(default = "yes")]
    webhook: bool,
}

fn yes() -> bool {
    true
}

/// Makes a customer write to the account that `?provider=` and `&account=` name.
async fn messages(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    Json(writing): Json<Writing>,
) -> Response {
    let Some(account) = named(&shared, &query) else { return (StatusCode::NOT_FOUND, "the account does not exist").into_response() };
    match shared.write(&account, &writing.from, &writing.name, &writing.text, None) {
        Ok(webhook) => {
            let answer = if writing.webhook { json!(shared.call(&webhook).await) } else { Value::Null };
            (StatusCode::CREATED, Json(json!({ "id": webhook.id, "answer": answer }))).into_response()
        }
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
