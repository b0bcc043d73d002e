//! Google Cloud Translation, the Basic edition (v2) with an API key.

use std::time::Duration;

use cloud::config::{ConfigError, Env};
use cloud::egress::fixed_client;
use domain::language::Language;
use domain::values::Secret;
use http::StatusCode;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::codes::of_google;
use super::{Lines, Untranslated};

/// The API's limit for one request.
const LINES: usize = 128;
/// A request takes under a second. Two of them, for the longest text, must fit into the 30 s of the HTTP API.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Google's client.
pub(super) struct Google {
    client: Client,
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    translations: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    translated_text: String,
    detected_source_language: Option<String>,
}

impl Google {
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let expected = "a URL that can be called";
        let client = fixed_client().map_err(|_| ConfigError::Invalid { name: "GOOGLE_TRANSLATE_URL", expected })?;
        Ok(Self { client, url: env.base_url_or("GOOGLE_TRANSLATE_URL", "https://translation.googleapis.com")? })
    }

    /// Translates the lines. Without `from`, the first one tells the language of all.
    pub(super) async fn translate(
        &self,
        key: &Secret,
        lines: &[&str],
        from: Option<&Language>,
        to: &Language,
    ) -> Result<Lines, Untranslated> {
        let mut source = from.cloned();
        let mut translated = Vec::with_capacity(lines.len());
        for lines in lines.chunks(LINES) {
            for line in self.ask(key, lines, source.as_ref(), to).await? {
                if source.is_none() {
                    source = line.detected_source_language.as_deref().and_then(|code| Language::parse(code).ok());
                }
                translated.push(line.translated_text);
            }
        }
        let from = source.ok_or(Untranslated::Unclear { detected: None })?;
        Ok((translated, from))
    }

    async fn ask(&self, key: &Secret, lines: &[&str], from: Option<&Language>, to: &Language) -> Result<Vec<Line>, Untranslated> {
        // Without `format` the text would be HTML, and an apostrophe would come back as an entity.
        let mut body = json!({ "q": lines, "target": of_google(to), "format": "text" });
        if let Some(from) = from {
            body["source"] = of_google(from).into();
        }
        let request = self.client.post(format!("{}/language/translate/v2", self.url)).query(&[("key", key.reveal())]);
        // An error names the address, and with it the key.
        let answer = request.timeout(TIMEOUT).json(&body).send().await.map_err(|_| Untranslated::Failed)?;
        let status = answer.status();
        if !status.is_success() {
            let body: Value = answer.json().await.unwrap_or_default();
            tracing::info!(event = "assist.untranslated", by = "google", status = status.as_u16());
            return Err(untranslated(status, body["error"]["message"].as_str().unwrap_or_default(), from, to));
        }
        let answer: Answer = answer.json().await.map_err(|_| Untranslated::Failed)?;
        if answer.data.translations.len() == lines.len() { Ok(answer.data.translations) } else { Err(Untranslated::Failed) }
    }
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
