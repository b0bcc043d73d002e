//! The OpenID Connect issuer, as far as a login needs it: discovery, the exchange of a code, renewal, revocation.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;

/// How long the issuer's description is kept. Its addresses change with a migration, not by the hour.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// The longest wait for one answer of the issuer. Two fit into the function's timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the issuer gave no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The code or the refresh token is not valid (any more): log in anew.
    #[error("the issuer refuses the code or the session")]
    Invalid,
    /// The issuer can't be reached, or answers what can't be read.
    #[error("the issuer does not answer as it should")]
    Unavailable,
}

/// The description at `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Description {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

impl Description {
    /// The scopes of a login. Many issuers give a refresh token only for `offline_access`; Cognito refuses that scope.
    pub(crate) fn scope(&self) -> &'static str {
        let offline = self.scopes_supported.iter().any(|scope| scope == "offline_access");
        if offline { "openid email profile offline_access" } else { "openid email profile" }
    }
}

/// What the issuer gives for a code or a refresh token.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    /// Absent where the refresh token stays the same.
    pub(crate) refresh_token: Option<String>,
    /// Seconds.
    #[serde(default = "an_hour")]
    pub(crate) expires_in: u64,
}

/// RFC 6749 leaves `expires_in` to the issuer; an hour is what most of them mean.
fn an_hour() -> u64 {
    3600
}

/// The issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    url: String,
    pub(crate) client_id: String,
    client: Client,
    known: Mutex<Option<(Timestamp, Description)>>,
}

impl Issuer {
    pub(crate) fn new(url: String, client_id: String, client: Client) -> Self {
        Self { url, client_id, client, known: Mutex::new(None) }
    }

    /// Its description, fetched once an hour.
    pub(crate) async fn description(&self) -> Result<Description, Refusal> {
        let mut known = self.known.lock().await;
        let now = Timestamp::now();
        if let Some((at, description)) = known.as_ref().filter(|(at, _)| now.duration_since(*at) < KEPT) {
            let _ = at;
            return Ok(description.clone());
        }
        let url = format!("{}/.well-known/openid-configuration", self.url);
        let answer = self.client.get(url).timeout(PATIENCE).send().await.map_err(|_| Refusal::Unavailable)?;
        let answer = answer.error_for_status().map_err(|_| Refusal::Unavailable)?;
        let description: Description = answer.json().await.map_err(|_| Refusal::Unavailable)?;
        // Discovery 1.0, section 4.3: a description of another issuer must not be used.
        if description.issuer.trim_end_matches('/') != self.url {
            return Err(Refusal::Unavailable);
        }
        *known = Some((now, description.clone()));
        Ok(description)
    }

    /// Exchanges a code (RFC 6749, section 4.1.3, with the verifier of RFC 7636).
    pub(crate) async fn exchange(&self, code: &str, verifier: &str, redirect_uri: &str) -> Result<Tokens, Refusal> {
        let form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier), ("redirect_uri", redirect_uri)];
        self.tokens(&form).await
    }

    /// Renews (RFC 6749, section 6).
    pub(crate) async fn renew(&self, refresh_token: &str) -> Result<Tokens, Refusal> {
        self.tokens(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    async fn tokens(&self, form: &[(&str, &str)]) -> Result<Tokens, Refusal> {
        let url = self.description().await?.token_endpoint;
        let form: Vec<_> = form.iter().copied().chain([("client_id", self.client_id.as_str())]).collect();
        let answer = self.client.post(url).form(&form).timeout(PATIENCE).send().await.map_err(|_| Refusal::Unavailable)?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(|_| Refusal::Unavailable),
            // RFC 6749, section 5.2: `invalid_grant` and its like.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Err(Refusal::Invalid),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// Ends the refresh token (RFC 7009), where the issuer can do that. A failure changes nothing for the person: the
    /// cookie is gone, and the token ends with its shift.
    pub(crate) async fn revoke(&self, refresh_token: &str) -> Result<(), Refusal> {
        let Some(url) = self.description().await?.revocation_endpoint else { return Ok(()) };
        let form = [("token", refresh_token), ("client_id", self.client_id.as_str())];
        let answer = self.client.post(url).form(&form).timeout(PATIENCE).send().await.map_err(|_| Refusal::Unavailable)?;
        if answer.status().is_success() { Ok(()) } else { Err(Refusal::Unavailable) }
    }
}
