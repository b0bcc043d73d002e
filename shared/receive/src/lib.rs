//! The one path of all webhooks: find the account, check the proof of origin, parse the request, store and enqueue
//! its events.
//!
//! A warm webhook with one message makes two calls: it enqueues the message, then puts its event. A failure in between
//! loses nothing: what is in the queue is routed. If the queue refuses, the event is put with the effect that enqueues
//! it from the table's stream. Other events are put first. A webhook with statuses only makes one call: they go to the
//! queue alone, and to the table only if the queue does not take them.
//!
//! | request | answer |
//! |---|---|
//! | unknown token, or a token of another provider's account | 404, as for any unknown path |
//! | too large, no proof of origin, or no proxy token where one is required | 4xx with the reason; nothing written |
//! | proven, but unreadable | 400 with the reason; nothing written |
//! | Meta's handshake | its challenge as text |
//! | messages, statuses, unknown kinds | 200 |
//! | a repetition, also at the same time or a day late | 200; enqueued again, and recognised when it is routed |
//! | the table or the queue fails | 503; the provider's retry completes it |

mod ingest;
mod reconcile;

use std::sync::Arc;

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::sampling::Sampler;
use cloud::secrets::{AccountSecrets, Current, SecretError};
use cloud::telemetry::{self, Metric};
use domain::account::{Account, Credentials};
use domain::inbound::InboundKind;
use engine::ports::Directory;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{Response, StatusCode, header};
use lambda_http::{Body, Error, Request, RequestExt, service_fn};
use providers::{Adapter, Parsed, STATUS_SUFFIX, VerifyError, Webhook};
use store::Configuration;
use subtle::ConstantTimeEq;
use tracing::Instrument as _;

pub use ingest::{Ingest, IngestError, Kept};
pub use reconcile::{ReconcileError, Reconciled, prices, reconcile};

/// The header that the proxy of an account's own domain must send.
const PROXY_TOKEN: &str = "x-proxy-token";

/// How long a provider's secret is accepted after it was replaced. Providers change over within minutes; a day leaves
/// time for a person and for the provider's repetitions.
const PREVIOUS_SECRET_HOURS: i64 = 24;

/// Anybody can send random tokens, so their lines are samples.
static UNKNOWN_TOKENS: Sampler = Sampler::new();

/// Everything that a webhook needs.
pub struct Receive {
    ingest: Ingest,
    configuration: Configuration,
    secrets: AccountSecrets<Credentials>,
    public_url: String,
    /// How long a replaced secret is accepted.
    previous_secret: SignedDuration,
    /// The part of the path that leads to this function; see [`Adapter::receive_name`].
    name: &'static str,
}

/// Why a webhook was refused. Each variant is one answer.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("not found")]
    NotFound,
    #[error("the header X-Proxy-Token is missing or wrong")]
    ProxyToken,
    #[error("{error}")]
    Verify { error: VerifyError, kind: &'static str },
    #[error(transparent)]
    Parse(#[from] providers::ParseError),
    #[error("the configuration could not be read; please try again")]
    Port(#[from] engine::ports::PortError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("the account's secret could not be read; please try again")]
    Secret(#[from] SecretError),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::NotFound => StatusCode::NOT_FOUND,
            Refused::ProxyToken => StatusCode::FORBIDDEN,
            Refused::Verify { error, .. } => error.status(),
            Refused::Parse(error) => error.status(),
            Refused::Port(_) | Refused::Ingest(_) | Refused::Secret(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Logs the refusal, once, and never with the path, which holds the token.
    fn log(&self) {
        match self {
            Refused::Port(error) => tracing::error!(event = "receive.failed", %error),
            Refused::Ingest(IngestError::Port(error)) => tracing::error!(event = "receive.failed", %error),
            Refused::Ingest(IngestError::Queue(error)) => tracing::error!(event = "receive.failed", %error),
            Refused::Secret(error) => tracing::error!(event = "receive.failed", %error),
            Refused::Verify { error, kind } => {
                tracing::warn!(event = "receive.refused", %error);
                telemetry::count(Metric::SignatureFailures, kind, 1);
            }
            Refused::NotFound => {
                if let Some(held_back) = UNKNOWN_TOKENS.passes() {
                    tracing::warn!(event = "receive.refused", error = %self, held_back);
                }
            }
            Refused::ProxyToken | Refused::Parse(_) => tracing::warn!(event = "receive.refused", error = %self),
        }
    }
}

/// What an accepted webhook proves.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    /// It is a handshake; this is the challenge to echo.
    Challenge(String),
    /// It is the provider's.
    Origin,
    /// It knows the Receive URL, which is all that the account demands.
    Nothing,
}

/// An accepted webhook, with the answer to it.
struct Taken {
    events: usize,
    content_type: &'static str,
    body: String,
}

impl Receive {
    /// Wires the clients from the environment, for the path `/receive/{name}/{token}`.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn from_env(env: &Env, name: &'static str) -> Result<Self, Error> {
        Ok(Self::with(&Aws::new(env)?, env, name)?)
    }

    fn with(aws: &Aws, env: &Env, name: &'static str) -> Result<Self, ConfigError> {
        Ok(Self {
            ingest: Ingest::from_env(aws, env)?,
            configuration: Configuration::from_env(aws, env)?,
            secrets: AccountSecrets::from_env(aws, env)?,
            public_url: env.base_url("PUBLIC_URL")?,
            previous_secret: SignedDuration::from_hours(
                env.parsed("PREVIOUS_SECRET_HOURS", "a number of hours")?.map_or(PREVIOUS_SECRET_HOURS, |hours: u32| i64::from(hours)),
            ),
            name,
        })
    }

    /// Handles a webhook inside a span that carries the ids of the request and, once it is known, of the account. The
    /// contact and the interaction are found later, when `route` handles the event.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        let id = request.lambda_context_ref().map(|context| context.request_id.as_str()).unwrap_or_default();
        let span = tracing::info_span!("request", request = id, account = tracing::field::Empty);
        self.answered(request).instrument(span).await
    }

    async fn answered(&self, request: &Request) -> Response<Body> {
        match self.take(request).await {
            Ok(taken) => {
                tracing::info!(event = "receive.taken", events = taken.events);
                answer(StatusCode::OK, taken.content_type, taken.body)
            }
            Err(refused) => {
                refused.log();
                let status = refused.status();
                let problem = serde_json::json!({
                    "type": "about:blank",
                    "title": status.canonical_reason(),
                    "status": status.as_u16(),
                    "detail": refused.to_string(),
                });
                answer(status, "application/problem+json", problem.to_string())
            }
        }
    }

    async fn take(&self, request: &Request) -> Result<Taken, Refused> {
        let received_at = cloud::time::now();
        let (token, status) = token_of(request.raw_http_path(), self.name).ok_or(Refused::NotFound)?;
        let account = self.account(token).await?.ok_or(Refused::NotFound)?;
        tracing::Span::current().record("account", account.id.as_str());
        let adapter = providers::adapter(&account.provider.kind).filter(|adapter| adapter.receive_name() == self.name);
        let adapter = adapter.ok_or(Refused::NotFound)?;
        self.check_proxy(&account, request, received_at).await?;
        if request.body().len() > adapter.body_limit() {
            let error = VerifyError::TooLarge { limit: adapter.body_limit() };
            return Err(Refused::Verify { error, kind: adapter.kind() });
        }
        let url = self.public_url(&account, token, status, request.uri().query());
        let webhook = Webhook { method: request.method(), public_url: &url, headers: request.headers(), body: request.body() };
        let proven = match self.proven(adapter, &account, &webhook, received_at).await? {
            Proof::Challenge(challenge) => return Ok(Taken { events: 0, content_type: "text/plain", body: challenge }),
            Proof::Origin => true,
            Proof::Nothing => false,
        };
        let mut events = adapter.parse(&webhook, &account, received_at)?;
        events.iter_mut().for_each(|parsed| parsed.event.proven = Some(proven));
        let events = self.by_number(adapter, &account, &webhook, events, received_at).await?;
        self.ingest.keep(&events).await?;
        let acknowledgement = adapter.acknowledgement();
        Ok(Taken { events: events.len(), content_type: acknowledgement.content_type, body: acknowledgement.body.to_owned() })
    }

    /// If an account has its own domain, only the proxy of that domain may call.
    async fn check_proxy(&self, account: &Account, request: &Request, now: Timestamp) -> Result<(), Refused> {
        if account.domain.is_none() {
            return Ok(());
        }
        let sent = request.headers().get(PROXY_TOKEN).map_or(&b""[..], |value| value.as_bytes());
        let tokens = self.configuration.proxy_tokens(account).await?;
        let mut accepted = tokens.iter().flat_map(|tokens| tokens.accepted(now));
        let right = accepted.any(|token| bool::from(sent.ct_eq(token.reveal().as_bytes())));
        if right { Ok(()) } else { Err(Refused::ProxyToken) }
    }

    async fn account(&self, token: &str) -> Result<Option<Arc<Account>>, Refused> {
        let hash = cloud::digest::sha256_hex(token);
        let Some(id) = self.configuration.account_of_token(&hash).await? else { return Ok(None) };
        Ok(self.configuration.account(&id).await?)
    }

    /// The URL as it was given to the provider, which some providers sign. It may differ from the URL that the
    /// socket saw, and its token from the account's present one.
    fn public_url(&self, account: &Account, token: &str, status: bool, query: Option<&str>) -> String {
        let base = match &account.domain {
            Some(domain) => format!("https://{domain}"),
            None => self.public_url.clone(),
        };
        let suffix = if status { STATUS_SUFFIX } else { "" };
        let query = query.filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
        format!("{base}/receive/{}/{token}{suffix}{query}", self.name)
    }

    /// Checks the proof of origin against the current and the previous secret. After a mismatch it reads the
    /// secrets anew, since the cached ones may be old.
    async fn proven(
        &self,
        adapter: &'static dyn Adapter,
        account: &Account,
        webhook: &Webhook<'_>,
        now: Timestamp,
    ) -> Result<Proof, Refused> {
        let revoked_at = account.replaced.credentials_revoked_at;
        let mut current = self.secrets.get(&account.id, account.version).await?;
        // What was read before may hold the revoked secret as the current one.
        if revoked_at.is_some_and(|revoked| current.read_at <= revoked)
            && let Some(fresh) = self.secrets.refetch(&account.id, account.version).await?
        {
            current = fresh;
        }
        let outcome = match self.proven_with(adapter, account, webhook, now, &current).await? {
            Err(error) if error.secret_may_be_stale() => match self.secrets.refetch(&account.id, account.version).await? {
                Some(fresh) => self.proven_with(adapter, account, webhook, now, &fresh).await?,
                None => Err(error),
            },
            outcome => outcome,
        };
        outcome.map_err(|error| Refused::Verify { error, kind: adapter.kind() })
    }

    /// Tries the current version, and only if that fails and the one before it is still accepted, both.
    async fn proven_with(
        &self,
        adapter: &'static dyn Adapter,
        account: &Account,
        webhook: &Webhook<'_>,
        now: Timestamp,
        current: &Current<Credentials>,
    ) -> Result<Result<Proof, VerifyError>, SecretError> {
        let outcome = prove(adapter, account, webhook, &[&current.value]);
        let revoked_at = account.replaced.credentials_revoked_at;
        match outcome {
            Err(error) if error.secret_may_be_stale() && current.accepts_previous(now, self.previous_secret, revoked_at) => {
                Ok(match self.secrets.previous(&account.id, current).await? {
                    Some(previous) => prove(adapter, account, webhook, &[&current.value, &previous]),
                    None => Err(error),
                })
            }
            outcome => Ok(outcome),
        }
    }

    /// Moves each event to the account of its number, for providers that send the webhooks of several numbers to
    /// one URL. The request must prove its origin for that account too. Any other event is stored and routed
    /// nowhere.
    async fn by_number(
        &self,
        adapter: &'static dyn Adapter,
        account: &Account,
        webhook: &Webhook<'_>,
        mut events: Vec<Parsed>,
        now: Timestamp,
    ) -> Result<Vec<Parsed>, Refused> {
        let Some(field) = adapter.number_field() else { return Ok(events) };
        let own = account.provider.field(field);
        let foreign = |parsed: &Parsed| parsed.number.as_deref().is_some_and(|number| !own.is_empty() && number != own);
        if !events.iter().any(foreign) {
            return Ok(events);
        }
        let accounts = self.configuration.accounts().await?;
        for parsed in events.iter_mut().filter(|parsed| foreign(parsed)) {
            let number = parsed.number.as_deref().unwrap_or_default();
            let theirs =
                accounts.iter().find(|other| other.provider.kind == account.provider.kind && other.provider.field(field) == number);
            match theirs {
                Some(theirs) if let Ok(proof) = self.proven(adapter, theirs, webhook, now).await => {
                    parsed.event.account = theirs.id.clone();
                    parsed.event.proven = Some(proof == Proof::Origin);
                }
                _ => parsed.event.kind = InboundKind::Other { name: "another_number".to_owned() },
            }
        }
        Ok(events)
    }
}

fn prove(
    adapter: &'static dyn Adapter,
    account: &Account,
    webhook: &Webhook<'_>,
    credentials: &[&Credentials],
) -> Result<Proof, VerifyError> {
    if let Some(challenge) = adapter.handshake(webhook, account, credentials) {
        return challenge.map(Proof::Challenge);
    }
    adapter.verify(webhook, account, credentials)?;
    let none = Credentials::default();
    let current = credentials.first().copied().unwrap_or(&none);
    Ok(if adapter.proves_origin(&account.provider, current) { Proof::Origin } else { Proof::Nothing })
}

/// The token of a Receive URL, and whether the URL is the one for statuses.
fn token_of<'a>(path: &'a str, name: &str) -> Option<(&'a str, bool)> {
    let (_, rest) = path.split_once(&format!("/receive/{name}/"))?;
    let (token, status) = match rest.strip_suffix(STATUS_SUFFIX) {
        Some(token) => (token, true),
        None => (rest, false),
    };
    (!token.is_empty() && !token.contains('/')).then_some((token, status))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// Runs the Lambda of the path `/receive/{name}/{token}`.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run(name: &'static str) -> Result<(), Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    let receive = Arc::new(Receive::from_env(&env, name)?);
    lambda_http::run(service_fn(move |request: Request| {
        let receive = receive.clone();
        async move { Ok::<_, Error>(receive.handle(&request).await) }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use cloud::testing::Stub;
    use lambda_http::http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn a_request_proves_its_origin_by_a_signature_or_the_configured_guard_only() {
        use domain::account::Provider;

        let provider = |kind: &str, fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Account { provider: Provider { kind: kind.to_owned(), fields }, ..domain::fixtures::account() }
        };
        let proof = |account: &Account, credentials: &[(&str, &str)], url: &str| {
            let credentials = credentials.iter().fold(Credentials::default(), |all, (name, value)| all.with(name, *value));
            let headers = HeaderMap::new();
            let webhook = Webhook { method: &Method::POST, public_url: url, headers: &headers, body: b"{}" };
            prove(providers::adapter(&account.provider.kind).unwrap(), account, &webhook, &[&credentials])
        };
        let token = [("callback_token", "0123456789abcdef")];
        let (plain, carried) = ("https://h.example/x", "https://h.example/x?callback_token=0123456789abcdef");
        for kind in ["KALEYRA", "SINCH"] {
            assert_eq!(proof(&provider(kind, &[]), &[], plain), Ok(Proof::Nothing), "no guard is no proof");
            assert_eq!(proof(&provider(kind, &token), &[], carried), Ok(Proof::Origin));
            assert_eq!(proof(&provider(kind, &token), &[], plain), Err(VerifyError::Guard));
        }
        assert!(proof(&provider("SINCH", &[]), &[("callback_secret", "s")], plain).is_err());
        for kind in ["TWILIO", "META", "SINCH_V2"] {
            assert!(proof(&provider(kind, &[]), &[], plain).is_err(), "{kind} is always signed");
        }
    }

    fn signed(url: &str, token: &str) -> HeaderMap {
        let signature = providers::twilio::sign(url, [("Body", "hi")], &token.into());
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(providers::twilio::SIGNATURE_HEADER, signature.parse().unwrap());
        headers
    }

    /// Secrets Manager with the token `new`, which replaced `old` two hours ago.
    async fn secrets_manager() -> Stub {
        let replaced = cloud::time::now().as_second() - 7_200;
        Stub::start(move |call| {
            let token = if call.body["VersionStage"] == "AWSCURRENT" { "new" } else { "old" };
            let secret = serde_json::json!({"auth_token": token}).to_string();
            let body = serde_json::json!({"SecretString": secret, "VersionId": token, "CreatedDate": replaced});
            Some((200, body.to_string()))
        })
        .await
    }

    #[tokio::test]
    async fn a_signature_of_the_current_secret_costs_one_call_and_the_previous_one_is_read_after_a_mismatch_only() {
        let stub = secrets_manager().await;
        let env = Env::from_pairs([
            ("CONFIG_TABLE", "config"),
            ("INTERACTIONS_TABLE", "interactions"),
            ("INBOUND_QUEUE_URL", "http://127.0.0.1/inbound"),
            ("SECRET_PREFIX", "stack/accounts/"),
            ("PUBLIC_URL", "https://h.example"),
        ]);
        let receive = Receive::with(&stub.aws, &env, "twilio").unwrap();
        let account = domain::fixtures::account();
        let now = cloud::time::now();
        let proven = async |account: &Account, token: &str| {
            let url = "https://h.example/receive/twilio/T0KEN";
            let (headers, body) = (signed(url, token), b"Body=hi");
            let webhook = Webhook { method: &Method::POST, public_url: url, headers: &headers, body };
            let adapter = providers::adapter("TWILIO").unwrap();
            receive.proven(adapter, account, &webhook, now).await.is_ok_and(|proof| proof == Proof::Origin)
        };
        let calls = || stub.calls().iter().map(|call| call.body["VersionStage"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        for _ in 0..3 {
            assert!(proven(&account, "new").await);
        }
        assert_eq!(calls(), ["AWSCURRENT"]);
        for _ in 0..3 {
            assert!(proven(&account, "old").await);
            assert!(!proven(&account, "forged").await);
        }
        assert_eq!(calls(), ["AWSPREVIOUS"], "forged signatures cost no call each");
        // It is revoked: nothing that was read before is believed, and the previous version is not even asked for.
        let replaced = domain::account::Replaced { credentials_revoked_at: Some(now), ..Default::default() };
        let revoked = Account { version: account.version + 1, replaced, ..account };
        assert!(!proven(&revoked, "old").await);
        assert!(proven(&revoked, "new").await);
        assert_eq!(calls(), ["AWSCURRENT"]);
    }

    #[test]
    fn the_token_is_the_last_part_of_the_path_or_the_one_before_status() {
        assert_eq!(token_of("/receive/twilio/abc", "twilio"), Some(("abc", false)));
        // Behind an API mapping the path may have its part in front.
        assert_eq!(token_of("/stage/receive/twilio/abc/status", "twilio"), Some(("abc", true)));
        assert_eq!(token_of("/wa/v1/receive/twilio/abc", "twilio"), Some(("abc", false)));
        for path in ["/receive/twilio/", "/receive/twilio/a/b", "/receive/twilio//status", "/receive/meta/abc", "/"] {
            assert_eq!(token_of(path, "twilio"), None, "{path}");
        }
    }
}
