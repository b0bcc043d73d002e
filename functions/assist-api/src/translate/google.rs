//! Google Cloud Translation: the Basic edition (v2) with an API key, the Advanced one (v3) with a service account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloud::config::{ConfigError, Env};
use cloud::egress::fixed_client;
use domain::google_key::{GoogleKey, ServiceAccount};
use domain::language::Language;
use domain::values::Secret;
use http::StatusCode;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::codes::of_google;
use super::service_account::assertion;
use super::{Lines, Untranslated};

/// v2's limit for one request. v3 takes more.
const LINES: usize = 128;
/// A request takes under a second. Two of them, for the longest text, must fit into the 30 s of the HTTP API.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A token is not used in its last minute: a request with it takes seconds, and clocks differ.
const SPARED: Duration = Duration::from_secs(60);

/// Google's client.
pub(super) struct Google {
    client: Client,
    url: String,
    token_url: String,
    /// Access tokens by the service account's address and its key, until they are no longer used.
    tokens: Mutex<HashMap<(String, String), (Secret, Instant)>>,
}

/// What proves to Google who asks.
enum Proof<'a> {
    Key(&'a Secret),
    Account(&'a ServiceAccount, Secret),
}

#[derive(Deserialize)]
struct Token {
    access_token: Secret,
    expires_in: u64,
}

/// The part of an answer that both editions have.
#[derive(Deserialize)]
struct Translations {
    translations: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    translated_text: String,
    #[serde(alias = "detectedLanguageCode")]
    detected_source_language: Option<String>,
}

impl Google {
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let expected = "a URL that can be called";
        let client = fixed_client().map_err(|_| ConfigError::Invalid { name: "GOOGLE_TRANSLATE_URL", expected })?;
        Ok(Self {
            client,
            url: env.base_url_or("GOOGLE_TRANSLATE_URL", "https://translation.googleapis.com")?,
            token_url: env.base_url_or("GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com")?,
            tokens: Mutex::default(),
        })
    }

    /// Translates the lines. Without `from`, the first one tells the language of all.
    pub(super) async fn translate(
        &self,
        key: &Secret,
        lines: &[&str],
        from: Option<&Language>,
        to: &Language,
    ) -> Result<Lines, Untranslated> {
        // The key was checked when it was set. Another version may have set it.
        let read = GoogleKey::parse(key.reveal()).map_err(|_| Untranslated::Refused)?;
        let proof = match &read {
            GoogleKey::Api(key) => Proof::Key(key),
            GoogleKey::ServiceAccount(account) => Proof::Account(account, self.token(account).await?),
        };
        let mut source = from.cloned();
        let mut translated = Vec::with_capacity(lines.len());
        for lines in lines.chunks(LINES) {
            for line in self.ask(&proof, lines, source.as_ref(), to).await? {
                if source.is_none() {
                    source = line.detected_source_language.as_deref().and_then(|code| Language::parse(code).ok());
                }
                translated.push(line.translated_text);
            }
        }
        let from = source.ok_or(Untranslated::Unclear { detected: None })?;
        Ok((translated, from))
    }

    async fn ask(&self, proof: &Proof<'_>, lines: &[&str], from: Option<&Language>, to: &Language) -> Result<Vec<Line>, Untranslated> {
        // Without `format` or `mimeType` the text would be HTML, and an apostrophe would come back as an entity.
        let request = match proof {
            Proof::Key(key) => {
                let mut body = json!({ "q": lines, "target": of_google(to), "format": "text" });
                if let Some(from) = from {
                    body["source"] = of_google(from).into();
                }
                self.client.post(format!("{}/language/translate/v2", self.url)).query(&[("key", key.reveal())]).json(&body)
            }
            Proof::Account(account, token) => {
                let mut body = json!({ "contents": lines, "targetLanguageCode": of_google(to), "mimeType": "text/plain" });
                if let Some(from) = from {
                    body["sourceLanguageCode"] = of_google(from).into();
                }
                let url = format!("{}/v3/projects/{}/locations/global:translateText", self.url, account.project_id);
                self.client.post(url).bearer_auth(token.reveal()).json(&body)
            }
        };
        // An error names the address, and with it the key.
        let answer = request.timeout(TIMEOUT).send().await.map_err(|_| Untranslated::Failed)?;
        let status = answer.status();
        if !status.is_success() {
            let body: Value = answer.json().await.unwrap_or_default();
            tracing::info!(event = "assist.untranslated", by = "google", status = status.as_u16());
            let why = untranslated(status, body["error"]["message"].as_str().unwrap_or_default(), from, to);
            if let (Proof::Account(account, _), Untranslated::Refused) = (proof, &why) {
                self.tokens().remove(&owner(account));
            }
            return Err(why);
        }
        let mut answer: Value = answer.json().await.map_err(|_| Untranslated::Failed)?;
        let answer = match proof {
            Proof::Key(_) => answer["data"].take(),
            Proof::Account(..) => answer,
        };
        let Translations { translations } = serde_json::from_value(answer).map_err(|_| Untranslated::Failed)?;
        if translations.len() == lines.len() { Ok(translations) } else { Err(Untranslated::Failed) }
    }

    /// An access token of a service account, from the cache while it lasts.
    async fn token(&self, account: &ServiceAccount) -> Result<Secret, Untranslated> {
        let kept = self.tokens().get(&owner(account)).filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone());
        if let Some(token) = kept {
            return Ok(token);
        }
        let assertion = assertion(account, cloud::time::now()).ok_or(Untranslated::Refused)?;
        let form = [("grant_type", GRANT), ("assertion", assertion.reveal())];
        let request = self.client.post(format!("{}/token", self.token_url)).form(&form).timeout(TIMEOUT);
        let answer = request.send().await.map_err(|_| Untranslated::Failed)?;
        let status = answer.status();
        if !status.is_success() {
            tracing::info!(event = "assist.no_token", by = "google", status = status.as_u16());
            return Err(match status.as_u16() {
                429 => Untranslated::Busy,
                // `invalid_grant`, for instance: the account or its key is gone.
                400..=403 => Untranslated::Refused,
                _ => Untranslated::Failed,
            });
        }
        let Token { access_token, expires_in } = answer.json().await.map_err(|_| Untranslated::Failed)?;
        let until = Instant::now() + Duration::from_secs(expires_in).saturating_sub(SPARED);
        self.tokens().insert(owner(account), (access_token.clone(), until));
        Ok(access_token)
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), (Secret, Instant)>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The grant of a service account (RFC 7523).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Whose token it is: a replaced key gets its own.
fn owner(account: &ServiceAccount) -> (String, String) {
    (account.client_email.clone(), cloud::digest::sha256_hex(account.private_key.reveal()))
}

/// 403 stands for a refused key and for a used-up quota; only the message tells.
fn untranslated(status: StatusCode, message: &str, from: Option<&Language>, to: &Language) -> Untranslated {
    let message = message.to_ascii_lowercase();
    let is_quota = ["limit exceeded", "quota", "resource_exhausted"].iter().any(|word| message.contains(word));
    match status {
        StatusCode::TOO_MANY_REQUESTS => Untranslated::Busy,
        StatusCode::FORBIDDEN if is_quota => Untranslated::Busy,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Untranslated::Refused,
        StatusCode::BAD_REQUEST if message.contains("api key") => Untranslated::Refused,
        StatusCode::BAD_REQUEST if message.contains("too long") || message.contains("too large") => Untranslated::TooLong,
        StatusCode::PAYLOAD_TOO_LARGE => Untranslated::TooLong,
        StatusCode::BAD_REQUEST => Untranslated::Unsupported { from: from.cloned(), to: to.clone() },
        _ => Untranslated::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_told_from_a_used_up_quota() {
        let to = Language::parse("it").unwrap();
        for (status, message, why) in [
            (403, "User Rate Limit Exceeded", Untranslated::Busy),
            (403, "Daily Limit Exceeded", Untranslated::Busy),
            (403, "The request is missing a valid API key.", Untranslated::Refused),
            (400, "API key not valid. Please pass a valid API key.", Untranslated::Refused),
            (400, "Text too long", Untranslated::TooLong),
            (400, "Invalid Value", Untranslated::Unsupported { from: None, to: to.clone() }),
            (429, "", Untranslated::Busy),
            (500, "", Untranslated::Failed),
        ] {
            assert_eq!(untranslated(StatusCode::from_u16(status).unwrap(), message, None, &to), why, "{status} {message}");
        }
    }
}
