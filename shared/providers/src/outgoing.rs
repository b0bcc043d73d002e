//! Requests to providers, which the one HTTP client carries out, and their results.

use std::time::Duration;

use domain::message::{DeliveryError, DeliveryState, ErrorClass};
use domain::values::Secret;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::Answer;

/// An HTTP request to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingRequest {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The headers, without the credentials.
    pub headers: HeaderMap,
    /// The credentials, for the host of `url` only.
    pub authorization: Authorization,
    /// The body; empty for a GET.
    pub body: Vec<u8>,
    /// What to do when the answer is a redirect.
    pub redirects: Redirects,
}

impl OutgoingRequest {
    /// A GET. A redirect counts as the answer.
    pub fn get(url: impl Into<String>, authorization: Authorization) -> Self {
        let headers = HeaderMap::from_iter([(http::header::ACCEPT, http::HeaderValue::from_static("application/json"))]);
        Self { method: Method::GET, url: url.into(), headers, authorization, body: Vec::new(), redirects: Redirects::Refuse }
    }

    /// A POST of a JSON document. A redirect counts as the answer.
    pub fn post_json(url: impl Into<String>, authorization: Authorization, body: &Value) -> Self {
        let json = http::HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(http::header::ACCEPT, json.clone()), (http::header::CONTENT_TYPE, json)]);
        let body = body.to_string().into_bytes();
        Self { method: Method::POST, url: url.into(), headers, authorization, body, redirects: Redirects::Refuse }
    }

    /// A POST of a form. A redirect counts as the answer.
    pub fn post_form<'a>(
        url: impl Into<String>,
        authorization: Authorization,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let headers = HeaderMap::from_iter([
            (http::header::ACCEPT, http::HeaderValue::from_static("application/json")),
            (http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        let body = form.finish().into_bytes();
        Self { method: Method::POST, url: url.into(), headers, authorization, body, redirects: Redirects::Refuse }
    }

    /// A GET of a file at an address from a webhook. Redirects are followed without the credentials.
    pub fn fetch(url: impl Into<String>, authorization: Authorization) -> Self {
        let redirects = Redirects::FollowWithoutCredentials;
        Self { method: Method::GET, url: url.into(), headers: HeaderMap::new(), authorization, body: Vec::new(), redirects }
    }
}

/// Shows neither address nor body: they hold phone numbers and messages.
impl std::fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method)
            .field("authorization", &self.authorization)
            .field("body_bytes", &self.body.len())
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

/// The credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// No credentials.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
    /// A secret in one of the provider's own headers.
    Header {
        /// The header's name, in lower case.
        name: &'static str,
        /// Its value.
        value: Secret,
    },
}

/// What to do when the answer is a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// Treat the redirect as the answer: a message must not be posted a second time elsewhere.
    Refuse,
    /// Follow it without the credentials: the target is another host, often a stranger's.
    FollowWithoutCredentials,
}

/// Why a message can't be sent to the provider at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The text is too long.
    #[error("the text is longer than {limit} characters")]
    TextTooLong {
        /// The provider's limit, in characters (Unicode scalar values).
        limit: usize,
    },
    /// The message has neither text nor attachment.
    #[error("the message is empty")]
    Empty,
    /// The message has more attachments than fit into one.
    #[error("a message takes at most {limit} attachment(s)")]
    TooManyAttachments {
        /// The provider's limit.
        limit: usize,
    },
    /// The provider can't send this kind of message.
    #[error("this kind of message can't be sent")]
    Unsupported,
    /// The provider does not accept this kind of file.
    #[error("this kind of file can't be sent through this provider")]
    UnsupportedMedia,
    /// The provider can't reach the customer by this address.
    #[error("the customer's address can't be used with this provider")]
    UnsupportedRecipient,
    /// The template can't be written in the provider's form.
    #[error("the template's parameters can't be written in the provider's form")]
    MalformedTemplate,
    /// The account's id with the provider is malformed.
    #[error("the account's id with the provider is malformed")]
    MalformedAccount,
}

impl RenderError {
    /// The error that the message's thread shows.
    pub fn delivery_error(&self) -> DeliveryError {
        let class = match self {
            RenderError::TextTooLong { .. } | RenderError::Empty | RenderError::Unsupported => ErrorClass::Permanent,
            RenderError::TooManyAttachments { .. } | RenderError::UnsupportedMedia => ErrorClass::Media,
            RenderError::UnsupportedRecipient => ErrorClass::InvalidRecipient,
            RenderError::MalformedTemplate => ErrorClass::Template,
            RenderError::MalformedAccount => ErrorClass::Authentication,
        };
        DeliveryError { class, code: None }
    }
}

/// The provider's answer to a request that sends a message.
#[derive(Clone, Copy)]
pub struct SendOutcome<'a> {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<&'a str>,
    /// The body, as it came.
    pub body: &'a [u8],
}

/// Doesn't show the body: providers repeat the customer's number in their answers.
impl std::fmt::Debug for SendOutcome<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendOutcome").field("status", &self.status).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl<'a> SendOutcome<'a> {
    /// The outcome of this answer.
    pub fn of(answer: &'a Answer) -> Self {
        Self { status: answer.status, retry_after: answer.retry_after.as_deref(), body: &answer.body }
    }

    /// `Retry-After` in seconds. A date is ignored: there is no clock here, and no known provider sends one.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// The result of an attempt to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendResult {
    /// The provider accepted the message.
    Accepted {
        /// The provider's id of the message.
        provider_id: String,
        /// How far the message has got already.
        state: DeliveryState,
    },
    /// The provider refused the message only because it came too fast. Try again after the given time, otherwise
    /// after growing delays.
    RateLimited {
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
        /// The limit that was reached.
        scope: RateScope,
    },
    /// The provider refused the message. [`ErrorClass::Temporary`] may be tried again.
    Failed(DeliveryError),
    /// Nobody knows whether the provider accepted the message. Never repeat it unasked.
    Unknown,
}

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateScope {
    /// The number, or the whole provider account.
    Number,
    /// Messages to this one customer. Messages to others can go on.
    Recipient,
}

/// The request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportFailure {
    /// The request never left: no address for the name, connection refused, no TLS session.
    #[error("the provider could not be reached")]
    NotSent,
    /// The request may have left: a timeout or a broken connection afterwards.
    #[error("the provider did not answer")]
    OutcomeUnknown,
}

impl TransportFailure {
    /// The result for the message.
    pub fn result(self) -> SendResult {
        match self {
            TransportFailure::NotSent => SendResult::Failed(DeliveryError { class: ErrorClass::Temporary, code: None }),
            TransportFailure::OutcomeUnknown => SendResult::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_never_repeated_but_a_refused_connection_may_be() {
        assert_eq!(TransportFailure::OutcomeUnknown.result(), SendResult::Unknown);
        let SendResult::Failed(error) = TransportFailure::NotSent.result() else { panic!("failed") };
        assert_eq!(error.class, ErrorClass::Temporary);
    }

    #[test]
    fn debug_does_not_show_the_contents_of_requests_and_answers() {
        let request = OutgoingRequest {
            method: Method::POST,
            url: "https://example.com/+393331234567".into(),
            headers: HeaderMap::new(),
            authorization: Authorization::Basic { user: "AC1".into(), password: Secret::new("s3cret") },
            body: b"Body=private".to_vec(),
            redirects: Redirects::Refuse,
        };
        let outcome = SendOutcome { status: StatusCode::CREATED, retry_after: None, body: b"private" };
        let shown = format!("{request:?} {outcome:?}");
        assert!(!shown.contains("private") && !shown.contains("s3cret") && !shown.contains("393331234567"));
    }
}
