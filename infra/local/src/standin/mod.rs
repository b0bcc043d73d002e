//! The stand-in for the providers' APIs and for the identity provider: what the product needs of all of them, answering as they do, on one port of
//! 127.0.0.1, plus what a script or a test needs to steer it under `/_standin`.
//!
//! Each provider is a module with its own paths, its own bodies and its own errors, in the shapes of its public documentation. Signatures are computed
//! here anew, not by the product's own code, so that a mistake there is not mirrored.

#![allow(clippy::result_large_err, reason = "a refusal is an answer, which is made once")]

mod identity;
mod kaleyra;
mod meta;
mod sinch;
mod sinch_legacy;
mod twilio;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use ulid::Ulid;

pub use meta::batch as meta_batch;
pub use sinch::signature as sinch_signature;
pub use twilio::{form as twilio_form, sid, signature as twilio_signature};

/// A picture of one pixel (PNG), what a customer sends here.
pub const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f,
    0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0xda, 0x63, 0x64, 0x60, 0xf8, 0x5f, 0x0f, 0, 2, 0x87, 1, 0x80, 0xeb,
    0x47, 0xba, 0x92, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// In place of a provider's own code in a [`Fault`]: its code for a closed 24-hour window.
pub const WINDOW_EXPIRED: &str = "window_expired";

/// A provider as it looks from outside.
trait Provider: Sync {
    /// The type of its accounts.
    fn kind(&self) -> &'static str;

    /// The field of an account that names it in requests.
    fn id_field(&self) -> &'static str;

    /// Its API.
    fn routes(&self) -> Router<Arc<Shared>>;

    /// A new id of a message.
    fn new_id(&self) -> String;

    /// Where an attachment is, as a webhook names it.
    fn file_url(&self, base: &str, account: &Account, file: &str, ticket: &str) -> String {
        let _ = (account, file);
        format!("{base}/files/{ticket}")
    }

    /// For how long such an address serves.
    fn address_lifetime(&self) -> Duration {
        Duration::from_secs(7 * 24 * 3600)
    }

    /// With the proof of its origin in place of one that was there, made with the account's secrets.
    fn sign(&self, account: &Account, webhook: Webhook) -> Webhook;

    /// The webhook that tells of a customer's message, not yet signed.
    fn message(&self, account: &Account, message: &Received) -> Webhook;

    /// Its word for a state of a sent message, and the webhook that tells of it, not yet signed; `failure` is a code.
    fn report(&self, account: &Account, sent: &Sent, state: Stage, failure: Option<&str>) -> (String, Webhook);

    /// The states that it reports, in order.
    fn states(&self) -> &'static [Stage] {
        &[Stage::Sent, Stage::Delivered, Stage::Read]
    }

    /// An error of its API.
    fn error(&self, status: u16, code: Option<&str>) -> Response;

    /// Its code for a closed window.
    fn window_code(&self) -> &'static str;

    /// Its code for a file that it could not get.
    fn media_code(&self) -> &'static str;
}

static PROVIDERS: [&dyn Provider; 5] = [&twilio::Twilio, &meta::Meta, &sinch::SinchV2, &sinch_legacy::Sinch, &kaleyra::Kaleyra];

fn provider(kind: &str) -> Result<&'static dyn Provider> {
    PROVIDERS.into_iter().find(|provider| provider.kind() == kind).with_context(|| format!("{kind} is no provider type"))
}

/// The webhook that tells of a customer's message, not yet signed.
///
/// # Errors
/// There is no such provider type.
pub fn message(account: &Account, message: &Received) -> Result<Webhook> {
    Ok(provider(&account.kind)?.message(account, message))
}

/// A webhook with the proof of its origin, in place of one that was there, made with the secrets of `account`.
///
/// # Errors
/// There is no such provider type.
pub fn sign(account: &Account, webhook: Webhook) -> Result<Webhook> {
    Ok(provider(&account.kind)?.sign(account, webhook))
}

/// What an account may demand of its callers where the provider signs nothing: a header of its own choice.
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
    issuer: identity::Issuer,
    inside: Mutex<Inside>,
    /// Counts the changes of `inside`, for who waits for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inside {
    accounts: Vec<Account>,
    sent: Vec<Sent>,
    received: Vec<Received>,
    callbacks: Vec<Callback>,
    next: VecDeque<Fault>,
    files: HashMap<String, StoredFile>,
    /// Addresses of files that serve for a while only: the file, and until when.
    tickets: HashMap<String, (String, Instant)>,
    /// Access tokens that were given out, and for which account.
    access_tokens: HashMap<String, String>,
    /// How many were asked for.
    token_requests: usize,
    delay: Duration,
    held: bool,
}

/// An account as the provider knows it: what the admin API takes as `provider`, and the number.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    /// The type, e.g. `META`.
    #[serde(rename = "type", default = "twilio::kind")]
    pub kind: String,
    /// The number, `+39…`.
    #[serde(default)]
    pub phone: String,
    /// Where its webhooks go: what a person pasted in the console, or the API was told.
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

    /// A field; empty when it is absent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What names it in requests.
    pub fn id(&self) -> &str {
        provider(&self.kind).map_or("", |provider| self.field(provider.id_field()))
    }

    /// The number without its `+`.
    fn digits(&self) -> &str {
        self.phone.trim_start_matches('+')
    }

    /// Where requests go: without the fragment, which holds Twilio's own overrides and is neither sent nor signed.
    fn webhook_url(&self) -> &str {
        self.receive_url.split('#').next().unwrap_or_default()
    }
}

/// Fields are secrets, too.
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
    /// The id that the sender was told.
    pub sid: String,
    /// Whose: [`Account::id`].
    pub account_sid: String,
    /// From which number, as the request names it.
    pub from: String,
    /// To whom, as the request names it.
    pub to: String,
    /// The text, or the caption.
    pub body: String,
    /// All parameters of a form, in the order that they came in.
    pub params: Vec<(String, String)>,
    /// The body of a request that is JSON.
    pub request: Value,
    /// The file that goes with it, once it was fetched from the link in the request.
    pub media: Option<Fetched>,
    /// What the sender wants back with each report.
    #[serde(skip)]
    reference: String,
    /// Where the reports go.
    #[serde(skip)]
    callback: String,
    /// The link of the file that goes with it.
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
    /// What the link answered; 0 when there was no answer.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its `Content-Disposition`.
    pub disposition: String,
    /// The bytes.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// What a customer wrote, as the provider keeps it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The provider type.
    pub kind: String,
    /// To whom: [`Account::id`].
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
    /// When.
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
    /// Its address, as a webhook names it.
    pub url: String,
    /// Its type.
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

/// A webhook as the provider makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The provider's id of what it tells.
    pub id: String,
    /// Where it goes.
    pub url: String,
    /// Headers, the content type and the signature among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Webhook {
    /// A webhook with a JSON body, not yet signed.
    pub fn json(id: &str, url: &str, body: &Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self { id: id.to_owned(), url: url.to_owned(), headers, body: body.to_string().into_bytes() }
    }

    /// With one more header, or another value of it.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self = self.without_header(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// A `curl` command that makes it, for a person to try.
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
    /// Of which message.
    pub sid: String,
    /// The provider's word, e.g. `delivered`.
    pub status: String,
    /// What the receiver answered; 0 when there was no answer.
    pub answer: u16,
}

/// What happens to one of the next requests.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// To a request of which provider type; absent: of any.
    pub provider: Option<String>,
    /// To which request: `message` (the default), `media`, `token` or `api`.
    pub on: On,
    /// Answers with this status instead of doing it.
    pub status: Option<u16>,
    /// The error code in the body; by default one that fits `status`. [`WINDOW_EXPIRED`] stands for the provider's own.
    pub code: Option<Code>,
    /// Seconds, in `Retry-After`.
    pub retry_after: Option<u32>,
    /// Does it, and gives no answer.
    pub fault: Option<Silence>,
    /// Accepts the message, then reports that it failed with this code.
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

/// Which request a [`Fault`] is for.
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
    /// Anything else of the API.
    Api,
}

/// How a [`Fault`] is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// The request is done, its answer never comes.
    Timeout,
    /// The request is done, and the connection is closed in place of an answer.
    Closed,
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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free port for the providers' stand-in")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            url: url.clone(),
            http: crate::http(),
            issuer: identity::Issuer::new()?,
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
    pub fn add_account(&self, account: &Account) {
        self.shared.add_account(account);
    }

    /// Has the webhooks of an account go to `receive_url`, as a person does in the provider's console.
    pub fn point(&self, account: &Account, receive_url: &str) {
        self.shared.add_account(&Account { receive_url: receive_url.to_owned(), ..account.clone() });
    }

    /// An account as it stands now.
    pub fn account(&self, kind: &str, id: &str) -> Option<Account> {
        self.shared.account(kind, id)
    }

    /// Puts a file where the provider keeps attachments.
    ///
    /// # Errors
    /// There is no such provider type.
    pub fn add_file(&self, account: &Account, content_type: &str, name: Option<&str>, bytes: impl Into<Bytes>) -> Result<File> {
        self.shared.add_file(account, content_type, name, bytes.into())
    }

    /// Ends all addresses of files that serve for a while only.
    pub fn expire_addresses(&self) {
        self.shared.change(|inside| inside.tickets.clear());
    }

    /// Ends all access tokens that were given out.
    pub fn revoke_tokens(&self) {
        self.shared.change(|inside| inside.access_tokens.clear());
    }

    /// How many access tokens were asked for.
    pub fn token_requests(&self) -> usize {
        self.shared.inside().token_requests
    }

    /// A customer writes: the provider keeps it, and this is the webhook that tells of it. Whether it is made is the caller's business.
    ///
    /// # Errors
    /// There is no such provider type.
    pub fn write(&self, account: &Account, from: &str, name: &str, text: &str, file: Option<&File>) -> Result<Webhook> {
        self.shared.write(account, from, name, text, file)
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
        self.shared.issuer.mint(&self.url, subject, roles, ttl)
    }

    /// A token with claims of the caller's choice, signed with the published key.
    ///
    /// # Errors
    /// The key refused to sign.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.shared.issuer.sign(claims)
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

    /// The fault that waits for a request of this kind.
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

    /// The answer in place of a request's own, where a fault waits for it. Silence comes before anything is done: for requests that only read.
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

    /// A new address of a file, which serves for `lifetime`.
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

    /// What customers wrote to an account since `since`, oldest first.
    fn received(&self, account: &Account, since: Timestamp) -> Vec<Received> {
        let inside = self.inside();
        let meant = |message: &&Received| (message.kind == account.kind && message.account == account.id()) && message.at >= since;
        inside.received.iter().filter(meant).cloned().collect()
    }

    /// Takes a message, sees to its reports, and answers `answer` unless the fault wants silence.
    async fn accept(self: Arc<Self>, account: Account, sent: Sent, fault: Fault, answer: Response) -> Response {
        self.change(|inside| inside.sent.push(sent.clone()));
        let failure = fault.callback_error.map(|code| code.0);
        tokio::spawn(self.follow(account, sent, failure));
        match fault.fault {
            Some(silence) => silent(silence).await,
            None => answer,
        }
    }

    /// Gets the file of a message, then tells what became of it, one state after the other, each once the one before it was answered.
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
            self.until(|inside| (!inside.held).then_some(())).await;
            let answer = self.call(&webhook).await;
            self.change(|inside| inside.callbacks.push(Callback { sid: sent.sid.clone(), status, answer }));
        }
    }

    async fn call(&self, webhook: &Webhook) -> u16 {
        let mut request = self.http.post(&webhook.url).body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }

    /// As a provider gets the file of a message: by its link alone.
    async fn fetch(&self, link: &str) -> Fetched {
        let nothing = Fetched { status: 0, content_type: String::new(), disposition: String::new(), bytes: Bytes::new() };
        let Ok(answer) = self.http.get(link).send().await else { return nothing };
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, disposition) = (text(header::CONTENT_TYPE), text(header::CONTENT_DISPOSITION));
        let status = answer.status().as_u16();
        Fetched { status, content_type, disposition, bytes: answer.bytes().await.unwrap_or_default() }
    }
}

/// No answer.
async fn silent(silence: Silence) -> Response {
    match silence {
        // The connection stays open until the caller gives up.
        Silence::Timeout => std::future::pending().await,
        // Ends the task of this connection, which closes it; a panic would do the same and be printed.
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

/// A text within JSON; empty when it is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A new id of 15 digits, as Meta's media have.
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
            get(async |State(shared): State<Arc<Shared>>| Json(json!({ "callbacks": shared.inside().callbacks }))),
        )
        .route("/_standin/accounts", post(accounts))
        .route("/_standin/media", post(upload))
        .route("/_standin/messages", post(messages))
        .route("/files/{ticket}", get(file));
    let providers = PROVIDERS.into_iter().fold(Router::new(), |router, provider| router.merge(provider.routes()));
    let nothing = async || twilio::error(404, 20404, "The requested resource was not found");
    steering.merge(identity::routes()).merge(providers).fallback(nothing).with_state(shared)
}

/// A file at an address that anybody may get it from.
async fn file(State(shared): State<Arc<Shared>>, Path(ticket): Path<String>, headers: HeaderMap) -> Response {
    // A signed URL with credentials beside it is refused by real content networks too.
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
    }
    let Some(file) = shared.file_of_ticket(&ticket) else { return StatusCode::FORBIDDEN.into_response() };
    let owner = shared.find_account_of(&file);
    // What Twilio serves from here was asked for before, where its faults are.
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

async fn accounts(State(shared): State<Arc<Shared>>, Json(account): Json<Account>) -> Response {
    if let Err(error) = provider(&account.kind) {
        return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response();
    }
    shared.add_account(&account);
    StatusCode::NO_CONTENT.into_response()
}

/// The account that a steering request names.
fn named(shared: &Shared, query: &BTreeMap<String, String>) -> Option<Account> {
    let kind = query.get("provider").map_or("TWILIO", String::as_str);
    let id = query.get("account").or_else(|| query.get("account_sid"))?;
    shared.account(kind, id)
}

/// The file is the body; `?provider=` and `&account=` say whose, `&name=` what it is called.
async fn upload(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(account) = named(&shared, &query) else { return (StatusCode::NOT_FOUND, "there is no such account").into_response() };
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
    /// Whether the webhook is made; otherwise only the provider's own list shows the message.
    #[serde(default = "yes")]
    webhook: bool,
}

fn yes() -> bool {
    true
}

/// A customer writes to the account that `?provider=` and `&account=` name.
async fn messages(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    Json(writing): Json<Writing>,
) -> Response {
    let Some(account) = named(&shared, &query) else { return (StatusCode::NOT_FOUND, "there is no such account").into_response() };
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
