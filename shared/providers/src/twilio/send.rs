//! Sending a message, reading the answer, and fetching an attachment.

use domain::message::{Content, DeliveryError, DeliveryState, ErrorClass};
use domain::values::{Address, E164, Secret};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::{FORM, errors, is_sid, webhook};
use crate::{Authorization, OutgoingRequest, Redirects, RenderError, SendOutcome, SendResult};

/// The longest text that Twilio takes, in characters; more is refused with 21617.
pub const MAX_TEXT: usize = 1600;

/// A WhatsApp message takes one attachment.
pub const MAX_ATTACHMENTS: usize = 1;

/// A message to send.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Twilio's API ([`super::API_URL`]), or what stands in for it.
    pub base_url: &'a str,
    /// `AC…`: the user of the credentials.
    pub account_sid: &'a str,
    /// The password of the credentials.
    pub auth_token: &'a Secret,
    /// The account's number.
    pub from: &'a E164,
    /// The customer.
    pub to: &'a Address,
    /// Text, or media with its caption.
    pub content: &'a Content,
    /// Public addresses from which Twilio fetches the attachments; at most [`MAX_ATTACHMENTS`].
    pub media_urls: &'a [&'a str],
    /// Where Twilio reports how far the message got.
    pub status_callback: Option<&'a str>,
}

/// Builds the request that sends a message. It may be made once only: Twilio has no idempotency key.
///
/// # Errors
/// What Twilio would refuse anyway is refused here, before anything leaves: a text over [`MAX_TEXT`], no content at all, too many attachments, kinds
/// that customers send but agents can't.
pub fn render_send(message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    let text = match message.content {
        Content::Text { body } => body,
        Content::Media { caption } => caption,
        Content::Location { .. } | Content::Button { .. } | Content::ListReply { .. } | Content::Unsupported { .. } => {
            return Err(RenderError::Unsupported);
        }
    };
    if !is_sid(message.account_sid) {
        return Err(RenderError::MalformedAccount);
    }
    if text.chars().count() > MAX_TEXT {
        return Err(RenderError::TextTooLong { limit: MAX_TEXT });
    }
    if message.media_urls.len() > MAX_ATTACHMENTS {
        return Err(RenderError::TooManyAttachments { limit: MAX_ATTACHMENTS });
    }
    let has_text = !text.trim().is_empty();
    if !has_text && message.media_urls.is_empty() {
        return Err(RenderError::Empty);
    }
    let to = match message.to {
        Address::Phone(number) => number.as_str(),
        Address::Bsuid(id) => id,
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("From", &format!("whatsapp:{}", message.from.as_str()));
    form.append_pair("To", &format!("whatsapp:{to}"));
    if has_text {
        form.append_pair("Body", text);
    }
    for url in message.media_urls {
        form.append_pair("MediaUrl", url);
    }
    if let Some(url) = message.status_callback {
        form.append_pair("StatusCallback", url);
    }
    Ok(OutgoingRequest {
        method: Method::POST,
        url: format!("{}/2010-04-01/Accounts/{}/Messages.json", message.base_url.trim_end_matches('/'), message.account_sid),
        headers: HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(FORM)),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]),
        authorization: Authorization::Basic { user: message.account_sid.to_owned(), password: message.auth_token.clone() },
        body: form.finish().into_bytes(),
        redirects: Redirects::Refuse,
    })
}

/// Reads Twilio's answer to the request of [`render_send`].
///
/// Only an answer that says so is a refusal: a 5xx, a redirect, a 408 or a 2xx that can't be read do not tell whether the message was taken.
pub fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let status = outcome.status;
    let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
    if status.is_success() {
        return match body["sid"].as_str().filter(|sid| is_sid(sid)) {
            Some(sid) => created(sid, &body),
            None => SendResult::Unknown,
        };
    }
    let code = error_code(&body["code"]);
    if code == Some(errors::TOO_MANY_REQUESTS) {
        return SendResult::RateLimited { retry_after: outcome.retry_after() };
    }
    if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
        return SendResult::Unknown;
    }
    let class = match code.and_then(errors::class_of) {
        Some(class) => class,
        None => match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorClass::RateLimited,
            // 404: there is no such Twilio account.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => ErrorClass::Authentication,
            _ => ErrorClass::Permanent,
        },
    };
    let rate_limited = class == ErrorClass::RateLimited || status == StatusCode::TOO_MANY_REQUESTS;
    if rate_limited && code != Some(errors::DAILY_LIMIT) {
        return SendResult::RateLimited { retry_after: outcome.retry_after() };
    }
    SendResult::Failed(DeliveryError { class, code: code.map(|code| code.to_string()) })
}

/// What the body of a 201 says.
fn created(sid: &str, body: &Value) -> SendResult {
    let accepted = |state| SendResult::Accepted { provider_id: sid.to_owned(), state };
    match body["status"].as_str().and_then(webhook::state_of) {
        Some((name, DeliveryState::Failed)) => SendResult::Failed(webhook::failure(name, error_code(&body["error_code"]))),
        Some((_, state)) => accepted(state),
        // It has an id, so it was taken, whatever a new word for its state means.
        None => accepted(DeliveryState::Accepted),
    }
}

/// A code, documented as a number; a string of digits is as clear.
fn error_code(value: &Value) -> Option<u32> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64().and_then(|code| code.try_into().ok()),
    }
}

/// Not an address from which an attachment can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the attachment's address is not an http or https URL")]
pub struct MediaAddressError;

/// Builds the request that fetches an attachment from `url`, an address that came with a webhook.
///
/// The credentials go only to Twilio itself (https, `twilio.com` and its subdomains, the default port) and to the origin of `base_url`; any other host
/// gets none. Twilio answers with a redirect to its store, which must not get them either. The caller vets where the address leads.
///
/// # Errors
/// `url` is not an http or https URL.
pub fn media_request(base_url: &str, account_sid: &str, auth_token: &Secret, url: &str) -> Result<OutgoingRequest, MediaAddressError> {
    let is_web =
        ["https://", "http://"].iter().any(|scheme| url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
    if !is_web {
        return Err(MediaAddressError);
    }
    let trusted = Origin::parse(url).is_some_and(|origin| origin.is_twilio() || Origin::parse(base_url) == Some(origin));
    let authorization =
        if trusted { Authorization::Basic { user: account_sid.to_owned(), password: auth_token.clone() } } else { Authorization::None };
    Ok(OutgoingRequest {
        method: Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        authorization,
        body: Vec::new(),
        redirects: Redirects::FollowWithoutCredentials,
    })
}

/// Scheme, host and port of an address.
#[derive(PartialEq, Eq)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Deliberately narrow: parsers disagree about user names, backslashes, escapes and control characters in an authority, so an address with any of
    /// them has no origin that could be trusted.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, if https { 443 } else { 80 }),
        };
        let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        plain.then(|| Self { https, host: host.to_ascii_lowercase(), port })
    }

    fn is_twilio(&self) -> bool {
        self.https && self.port == 443 && (self.host == "twilio.com" || self.host.ends_with(".twilio.com"))
    }
}
