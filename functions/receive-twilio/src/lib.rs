//! The Lambda `receive-twilio`: Twilio's webhooks come in here.
//!
//! A warm webhook makes two calls: the event is put under its id, then enqueued. Whatever happens in between, nothing is lost: before the put Twilio
//! gets a 5xx and comes again; after it, the event's own stream record enqueues it too, under the same deduplication id.
//!
//! | request | answer |
//! |---|---|
//! | unknown token | 404, as for any path that leads nowhere |
//! | too large, not a form, no signature or a wrong one, no proxy token where one is due | 4xx that says what; nothing written |
//! | signed, but without `MessageSid` or sender | 400 that says what; nothing written |
//! | message or status | 200 and empty TwiML |
//! | the same again, or twice at once | 200 and empty TwiML; enqueued again, which changes nothing |
//! | the table or the queue fails | 503; Twilio's retry completes it |

use std::sync::Arc;

use cloud::aws::Aws;
use cloud::config::Env;
use cloud::queues::{Queue, SendOptions};
use cloud::secrets::AccountSecrets;
use domain::account::{Account, Provider, TwilioSecret};
use domain::inbound::InboundEvent;
use domain::values::Secret;
use engine::jobs::inbound_dedup;
use engine::ports::Directory;
use lambda_http::http::{Response, StatusCode, header};
use lambda_http::{Body, Error, Request, RequestExt, service_fn};
use providers::twilio::{self, SignedRequest};
use sha2::{Digest, Sha256};
use store::{Configuration, Interactions};
use subtle::ConstantTimeEq;

/// The header that a customer's own proxy must send.
const PROXY_TOKEN: &str = "x-proxy-token";

/// What a webhook needs.
pub struct Receive {
    interactions: Interactions,
    configuration: Configuration,
    secrets: AccountSecrets<TwilioSecret>,
    inbound: Queue,
    public_url: String,
}

/// Why a webhook was not taken. Each variant is one answer.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is nothing here")]
    NotFound,
    #[error("the header X-Proxy-Token is missing or wrong")]
    ProxyToken,
    #[error(transparent)]
    Verify(#[from] providers::VerifyError),
    #[error(transparent)]
    Parse(#[from] providers::ParseError),
    #[error("it could not be stored; please come again")]
    Port(#[from] engine::ports::PortError),
    #[error("it could not be enqueued; please come again")]
    Queue(#[from] cloud::queues::QueueError),
    #[error("the account's secret could not be read; please come again")]
    Secret(#[from] cloud::secrets::SecretError),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::NotFound => StatusCode::NOT_FOUND,
            Refused::ProxyToken => StatusCode::FORBIDDEN,
            Refused::Verify(error) => error.status(),
            Refused::Parse(error) => error.status(),
            Refused::Port(_) | Refused::Queue(_) | Refused::Secret(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Logged once, here; never with the path, which holds the token.
    fn log(&self) {
        match self {
            Refused::Port(error) => tracing::error!(event = "receive.failed", %error),
            Refused::Queue(error) => tracing::error!(event = "receive.failed", %error),
            Refused::Secret(error) => tracing::error!(event = "receive.failed", %error),
            Refused::Verify(error) => {
                tracing::warn!(event = "receive.refused", %error);
                cloud::telemetry::metric("SignatureFailures", cloud::telemetry::Unit::Count, 1.0, &[("provider", "TWILIO")]);
            }
            Refused::NotFound | Refused::ProxyToken | Refused::Parse(_) => tracing::warn!(event = "receive.refused", error = %self),
        }
    }
}

impl Receive {
    /// Wires the clients from the environment.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn from_env(env: &Env) -> Result<Self, Error> {
        let aws = Aws::new(env)?;
        let config_table = env.required("CONFIG_TABLE")?;
        Ok(Self {
            interactions: Interactions::new(aws.dynamodb(), env.required("INTERACTIONS_TABLE")?, config_table),
            configuration: Configuration::new(aws.dynamodb(), config_table),
            secrets: AccountSecrets::from_env(&aws, env)?,
            inbound: Queue::from_env(&aws, env, "INBOUND_QUEUE_URL")?,
            public_url: env.base_url("PUBLIC_URL")?,
        })
    }

    /// Takes a webhook.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        match self.take(request).await {
            Ok(events) => {
                tracing::info!(event = "receive.taken", events);
                answer(StatusCode::OK, twilio::TWIML_CONTENT_TYPE, twilio::EMPTY_TWIML.to_owned())
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

    async fn take(&self, request: &Request) -> Result<usize, Refused> {
        let received_at = cloud::time::now();
        let path = request.raw_http_path();
        let (token, status) = token_of(path).ok_or(Refused::NotFound)?;
        let account = self.account(token).await?.ok_or(Refused::NotFound)?;
        self.check_proxy(&account, request)?;
        let url = self.public_url(&account, status, request.uri().query());
        let signed = SignedRequest {
            method: request.method(),
            public_url: &url,
            content_type: text(request, header::CONTENT_TYPE.as_str()),
            signature: text(request, twilio::SIGNATURE_HEADER),
            body: request.body(),
        };
        self.verify(&account, &signed).await?;
        let parameters = request.query_string_parameters();
        let events = twilio::parse(&signed, parameters.first("ref"), &account.id, received_at)?;
        for event in &events {
            self.keep(event, &signed).await?;
        }
        Ok(events.len())
    }

    async fn account(&self, token: &str) -> Result<Option<Arc<Account>>, Refused> {
        let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let Some(id) = self.configuration.account_of_token(&hash).await? else { return Ok(None) };
        Ok(self.configuration.account(&id).await?)
    }

    /// A customer's own host stands before this deployment: only its proxy may call.
    fn check_proxy(&self, account: &Account, request: &Request) -> Result<(), Refused> {
        if account.domain.is_none() {
            return Ok(());
        }
        let sent = text(request, PROXY_TOKEN).unwrap_or_default();
        if bool::from(sent.as_bytes().ct_eq(account.proxy_token.reveal().as_bytes())) { Ok(()) } else { Err(Refused::ProxyToken) }
    }

    /// The URL that Twilio was given, which is what it signs; never what the socket saw.
    fn public_url(&self, account: &Account, status: bool, query: Option<&str>) -> String {
        let base = match &account.domain {
            Some(domain) => format!("https://{domain}"),
            None => self.public_url.clone(),
        };
        let suffix = if status { STATUS } else { "" };
        let query = query.filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
        format!("{base}{}{suffix}{query}", account.receive_path.reveal())
    }

    /// Checks the signature against the current and the previous secret; a mismatch may mean that the cached ones are old.
    async fn verify(&self, account: &Account, signed: &SignedRequest<'_>) -> Result<(), Refused> {
        let Provider::Twilio { .. } = &account.provider;
        let secrets = self.secrets.get(&account.id).await?;
        let tokens: Vec<&Secret> = secrets.accepted().map(|secret| &secret.auth_token).collect();
        match twilio::verify(signed, &tokens) {
            Err(error) if error.secret_may_be_stale() => match self.secrets.refetch(&account.id).await? {
                Some(fresh) => Ok(twilio::verify(signed, &fresh.accepted().map(|secret| &secret.auth_token).collect::<Vec<_>>())?),
                None => Err(error.into()),
            },
            other => Ok(other?),
        }
    }

    async fn keep(&self, event: &InboundEvent, signed: &SignedRequest<'_>) -> Result<(), Refused> {
        self.interactions.receive(event, &String::from_utf8_lossy(signed.body)).await?;
        // A repetition is enqueued too: it completes what a crashed first attempt left undone.
        self.inbound.send(event, SendOptions::fifo(event.group(), inbound_dedup(event))).await?;
        Ok(())
    }
}

/// The path's end under which statuses come.
const STATUS: &str = "/status";

/// The token of a Receive URL, and whether it is the one for statuses.
fn token_of(path: &str) -> Option<(&str, bool)> {
    let (_, rest) = path.split_once("/receive/twilio/")?;
    let (token, status) = match rest.strip_suffix(STATUS) {
        Some(token) => (token, true),
        None => (rest, false),
    };
    (!token.is_empty() && !token.contains('/')).then_some((token, status))
}

fn text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    let receive = Arc::new(Receive::from_env(&env)?);
    lambda_http::run(service_fn(move |request: Request| {
        let receive = receive.clone();
        async move { Ok::<_, Error>(receive.handle(&request).await) }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_last_part_of_the_path_or_the_one_before_status() {
        assert_eq!(token_of("/receive/twilio/abc"), Some(("abc", false)));
        assert_eq!(token_of("/stage/receive/twilio/abc/status"), Some(("abc", true)));
        for path in ["/receive/twilio/", "/receive/twilio/a/b", "/receive/twilio//status", "/receive/meta/abc", "/"] {
            assert_eq!(token_of(path), None, "{path}");
        }
    }
}
