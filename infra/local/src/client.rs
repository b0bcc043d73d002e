//! The outside of the product, for the demo and the tests: callers of the APIs with a token, a customer who writes
//! through the provider's signed webhook, and an agent's socket.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use providers::fixture::Fixture;
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::standin::{self, Account, File, StandIn, Webhook};

/// One of the product's APIs, with a token.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: String,
    http: reqwest::Client,
}

/// The answer of an API.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `ETag`, if there was one.
    pub etag: Option<String>,
    /// The body: `Null` if it was empty, a string if it was not JSON.
    pub body: Value,
}

impl Reply {
    /// The body of a reply with a status from 200 to 299.
    ///
    /// # Errors
    /// Any other status, with the answer's text.
    pub fn ok(self) -> Result<Value> {
        ensure!((200..300).contains(&self.status), "answered {}: {}", self.status, self.body);
        Ok(self.body)
    }

    /// The body of a reply with exactly this status.
    ///
    /// # Errors
    /// Any other status, with the answer's text.
    pub fn expect_status(self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "answered {} instead of {status}: {}", self.status, self.body);
        Ok(self.body)
    }

    async fn read(answer: reqwest::Response) -> Result<Self> {
        let status = answer.status().as_u16();
        let etag = answer.headers().get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = answer.text().await?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Ok(Self { status, etag, body })
    }
}

impl Api {
    /// `base` is `{PublicUrl}/agent` or `{PublicUrl}/admin`.
    pub fn new(base: &str, token: &str) -> Self {
        Self { base: base.to_owned(), token: token.to_owned(), http: crate::http() }
    }

    /// Calls `base` + `path`, with a JSON body unless `body` is `None`.
    ///
    /// # Errors
    /// No answer. A refusal is a [`Reply`], not an error.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        self.call_with(method, path, &[], body).await
    }

    /// Makes the same call with headers, such as `If-Match` or `Idempotency-Key`.
    ///
    /// # Errors
    /// No answer.
    pub async fn call_with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Reply> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::read(request.send().await.with_context(|| format!("{method} {path} got no answer"))?).await
    }

    /// `GET`, which must succeed.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.ok().with_context(|| format!("GET {path}"))
    }

    /// `POST`, which must succeed.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await?.ok().with_context(|| format!("POST {path}"))
    }

    /// `PUT`, which must succeed.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await?.ok().with_context(|| format!("PUT {path}"))
    }

    /// `DELETE`, which must succeed.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await?.ok().with_context(|| format!("DELETE {path}"))
    }

    /// Gets a ticket and connects the agent's socket with it.
    ///
    /// # Errors
    /// No ticket, or no connection.
    pub async fn connect(&self) -> Result<Socket> {
        let ticket = self.post("/tickets", &serde_json::json!({})).await?;
        Socket::connect(ticket["url"].as_str().context("the ticket has no url")?).await
    }
}

/// A customer of one account, who writes through the provider's webhook.
#[derive(Clone)]
pub struct Customer {
    /// The account that the customer writes to, as the provider knows it.
    pub account: Account,
    /// The customer's number, `+39…`.
    pub from: String,
    /// The name in the customer's profile.
    pub name: String,
    standin: StandIn,
    http: reqwest::Client,
}

impl Customer {
    /// A customer with the number `from` who writes to `account`.
    pub fn new(standin: &StandIn, account: &Account, from: &str) -> Self {
        Self {
            account: account.clone(),
            from: from.to_owned(),
            name: "Zoë Rossi".to_owned(),
            standin: standin.clone(),
            http: crate::http(),
        }
    }

    /// Writes a text. The provider stores it, and the result is its webhook. The caller decides whether to deliver
    /// the webhook.
    ///
    /// # Errors
    /// The stand-in does not know the account's type.
    pub fn written(&self, text: &str) -> Result<Webhook> {
        self.standin.write(&self.account, &self.from, &self.name, text, None)
    }

    /// Writes a text, and returns the answer to the webhook.
    ///
    /// # Errors
    /// No answer.
    pub async fn text(&self, text: &str) -> Result<Reply> {
        self.deliver(&self.written(text)?).await
    }

    /// Sends a file with a caption.
    ///
    /// # Errors
    /// No answer.
    pub async fn file(&self, caption: &str, file: &File) -> Result<Reply> {
        self.deliver(&self.standin.write(&self.account, &self.from, &self.name, caption, Some(file))?).await
    }

    /// Twilio's signed webhook with the parameters of `events/twilio/{fixture}.form`, from this customer and with
    /// these changes.
    ///
    /// # Errors
    /// The file does not exist.
    pub fn form(&self, fixture: &str, changes: &[(&str, &str)]) -> Result<Webhook> {
        let sid = standin::sid("SM");
        let (from, to) = (format!("whatsapp:{}", self.from), format!("whatsapp:{}", self.account.phone));
        let own = [("MessageSid", sid.as_str()), ("AccountSid", self.account.id()), ("From", &from), ("To", &to)];
        let fixture = Fixture::load("twilio", fixture)?;
        let changed = own.iter().chain(changes).fold(fixture, |fixture, (name, value)| fixture.with(name, value));
        standin::sign(&self.account, standin::twilio_form(&sid, &self.account.receive_url, &changed.parameters()))
    }

    /// Delivers a webhook.
    ///
    /// # Errors
    /// No answer.
    pub async fn deliver(&self, webhook: &Webhook) -> Result<Reply> {
        let mut request = self.http.post(&webhook.url).body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        Reply::read(request.send().await.context("the webhook got no answer")?).await
    }
}

/// An agent's socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connects to a URL that holds a ticket.
    ///
    /// # Errors
    /// The connection was refused.
    pub async fn connect(url: &str) -> Result<Self> {
        let (stream, _) = tokio_tungstenite::connect_async(url).await.context("the socket was refused")?;
        Ok(Self { stream })
    }

    /// The next event (`{"seq", "at", "event": {"type", …}}`) that `wanted` accepts. Events before it are dropped.
    ///
    /// # Errors
    /// No such event came within `limit`, or the socket closed.
    pub async fn wait_for(&mut self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(limit, async {
            loop {
                let event = self.next().await?;
                if wanted(&event) {
                    return Ok(event);
                }
                seen.push(event["event"]["type"].as_str().unwrap_or("?").to_owned());
            }
        });
        match found.await {
            Ok(event) => event,
            Err(_) => bail!("the expected event was not pushed in {limit:?}; pushed were: {}", seen.join(", ")),
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// The socket closed, or sent something that is not JSON.
    pub async fn next(&mut self) -> Result<Value> {
        while let Some(message) = self.stream.next().await {
            match message? {
                Message::Text(text) => return serde_json::from_str(&text).context("the socket sent something that is not JSON"),
                Message::Close(_) => break,
                _ => {}
            }
        }
        bail!("the socket was closed")
    }

    /// Asks for something, as a client does.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ask(&mut self, body: &Value) -> Result<()> {
        Ok(self.stream.send(Message::text(body.to_string())).await?)
    }

    /// Closes the socket as a browser does.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn close(mut self) -> Result<()> {
        Ok(self.stream.close(None).await?)
    }
}
