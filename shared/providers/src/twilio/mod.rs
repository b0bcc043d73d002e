//! Twilio Programmable Messaging, WhatsApp channel.
//!
//! Webhooks are forms with one message or one status each, signed over the public URL and every parameter. Twilio
//! repeats a webhook only if the URL asks for it ([`RECEIVE_URL_FRAGMENT`]), and gives up after 15 seconds.

use std::time::Duration;

use domain::account::{Account, Credentials};
use domain::message::Content;
use domain::template::ListedTemplate;
use domain::values::Secret;
use jiff::Timestamp;

use crate::files::{self, FileRule};
use crate::{
    Acknowledgement, Adapter, Answer, Authorization, Connection, Field, Finding, MediaAddressError, MediaStep, Number, Outgoing,
    OutgoingAttachment, OutgoingRequest, ParseError, Parsed, Problem, Registration, RenderError, SendOutcome, SendResult, Shape, Step,
    VerifyError, Webhook,
};

mod admin;
mod errors;
mod send;
mod signature;
mod webhook;

use send::{MAX_TEXT, classify, media_request, render_send};
pub use signature::{SIGNATURE_HEADER, sign};
use webhook::SignedRequest;

/// The longest body of a webhook, in bytes. WhatsApp's longest text has 65,536 characters of at most 4 bytes, each
/// percent-encoded to 3: 768 KiB. The other parameters have at most some tens of KiB.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The only content type of a webhook's body.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The answer to a webhook. Twilio would send anything more to the customer.
pub const EMPTY_TWIML: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

/// The content type of [`EMPTY_TWIML`]. Twilio would send a `text/plain` body to the customer.
pub const TWIML_CONTENT_TYPE: &str = "text/xml";

/// The suffix of the Receive URL in Twilio's console. By default Twilio tries once more, and only if it could not
/// connect. With this suffix it tries three times more, also after a timeout or a 5xx, all within its maximum of 15
/// seconds.
pub const RECEIVE_URL_FRAGMENT: &str = "#rc=3&rp=ct,rt,5xx&tt=15000";

/// Twilio's API.
pub const API_URL: &str = "https://api.twilio.com";

/// The type `TWILIO`.
#[derive(Debug, Clone, Copy)]
pub struct Twilio;

/// Twilio's content API, which holds the templates.
pub const CONTENT_URL: &str = "https://content.twilio.com";

/// Twilio's messaging API, which holds the WhatsApp senders.
pub const MESSAGING_URL: &str = "https://messaging.twilio.com";

/// The variable that replaces [`API_URL`].
const API: &str = "TWILIO_API_URL";

/// The variable that replaces [`CONTENT_URL`].
const CONTENT: &str = "TWILIO_CONTENT_URL";

/// The variable that replaces [`MESSAGING_URL`].
const MESSAGING: &str = "TWILIO_MESSAGING_URL";

/// The user of the credentials.
const ACCOUNT_SID: &str = "account_sid";

/// The API's password and the key of the webhooks' signatures.
const AUTH_TOKEN: &str = "auth_token";

const FIELDS: &[Field] = &[
    Field::required(ACCOUNT_SID, "Account SID", Shape::Checked { check: is_account_sid, expected: "AC and 32 hex digits" }),
    Field::secret(AUTH_TOKEN, "Auth token"),
];

fn is_account_sid(text: &str) -> bool {
    text.strip_prefix("AC").is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// User and password of a request to the API.
fn access<'a>(connection: &Connection<'a>) -> (&'a str, Secret) {
    (connection.account.provider.field(ACCOUNT_SID), connection.credentials.get(AUTH_TOKEN).cloned().unwrap_or_else(|| Secret::new("")))
}

/// The credentials of a request to the API.
fn authorization(connection: &Connection<'_>) -> Authorization {
    let (user, password) = access(connection);
    Authorization::Basic { user: user.to_owned(), password }
}

fn signed<'a>(webhook: &Webhook<'a>) -> SignedRequest<'a> {
    SignedRequest {
        method: webhook.method,
        public_url: webhook.public_url,
        content_type: webhook.header(http::header::CONTENT_TYPE.as_str()),
        signature: webhook.header(SIGNATURE_HEADER),
        body: webhook.body,
    }
}

impl Adapter for Twilio {
    fn kind(&self) -> &'static str {
        "TWILIO"
    }

    fn receive_name(&self) -> &'static str {
        "twilio"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn hosts(&self) -> &'static [(&'static str, &'static str)] {
        &[(API, API_URL), (CONTENT, CONTENT_URL), (MESSAGING, MESSAGING_URL)]
    }

    fn receive_url_suffix(&self) -> &'static str {
        RECEIVE_URL_FRAGMENT
    }

    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    fn verify(&self, webhook: &Webhook<'_>, _: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError> {
        let tokens: Vec<&Secret> = credentials.iter().filter_map(|credentials| credentials.get(AUTH_TOKEN)).collect();
        signature::verify(&signed(webhook), &tokens)
    }

    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
        let events = webhook::parse(&signed(webhook), webhook.query("ref").as_deref(), &account.id, received_at)?;
        let raw = if webhook.body.is_empty() { webhook.raw_query().into() } else { String::from_utf8_lossy(webhook.body) };
        let parsed = events.into_iter().map(|event| Parsed::new(&event.account, &event.id, event.received_at, event.kind, &raw));
        Ok(Parsed::numbered(parsed.collect()))
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement { content_type: TWIML_CONTENT_TYPE, body: EMPTY_TWIML }
    }

    fn text_limit(&self) -> usize {
        MAX_TEXT
    }

    fn files(&self) -> &'static [FileRule] {
        files::TWILIO
    }

    fn fits(&self, content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<(), RenderError> {
        send::content(content, attachment).map(drop)
    }

    fn render_send(&self, connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
        let (account_sid, auth_token) = access(connection);
        render_send(&send::Outgoing {
            base_url: connection.hosts.get(API),
            account_sid,
            auth_token: &auth_token,
            from: &connection.account.phone,
            to: message.to,
            content: message.content,
            attachment: message.attachment,
            status_callback: message.status_callback,
        })
    }

    fn classify(&self, outcome: &SendOutcome<'_>) -> SendResult {
        classify(outcome)
    }

    fn media(&self, connection: &Connection<'_>, source: &str, _: Option<&[u8]>) -> Result<MediaStep, MediaAddressError> {
        let (account_sid, auth_token) = access(connection);
        media_request(connection.hosts.get(API), account_sid, &auth_token, source).map(MediaStep::Fetch)
    }

    /// Twilio keeps files until they are deleted. A month is as good as for ever.
    fn media_kept(&self) -> Duration {
        Duration::from_hours(30 * 24)
    }

    fn check(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
        admin::check(connection, receive_url, answers)
    }

    fn register(&self, _: &Connection<'_>, _: &str, _: &[Answer]) -> Step<Registration> {
        Step::Done(Registration::ByHand)
    }

    fn instructions(&self, _: &Account, receive_url: &str) -> String {
        format!(
            "In Twilio's console, open the WhatsApp sender and paste {receive_url} as \"Webhook URL for incoming messages\", method POST."
        )
    }

    fn numbers(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<Number>, Problem>> {
        admin::numbers(connection, answers)
    }

    fn templates(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<ListedTemplate>, Problem>> {
        admin::templates(connection, answers)
    }

    fn missed(
        &self,
        connection: &Connection<'_>,
        since: Timestamp,
        now: Timestamp,
        answers: &[Answer],
    ) -> Step<Result<Vec<Parsed>, Problem>> {
        admin::missed(connection, since, now, answers)
    }

    fn prices(
        &self,
        connection: &Connection<'_>,
        span: std::ops::Range<Timestamp>,
        now: Timestamp,
        answers: &[Answer],
    ) -> Step<Result<Vec<Parsed>, Problem>> {
        admin::prices(connection, span, now, answers)
    }
}

/// Whether `text` has the shape of one of Twilio's ids (`SM…`, `AC…`). The check is loose, because ids only have to
/// be safe in keys and paths. An id with other letters or another length than today's (2 letters, 32 hex digits)
/// must not lose a message.
fn is_sid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The form that [`is_sid`] checks, in words.
const SID_SHAPE: &str = "1 to 64 letters, digits, _ or -";

/// Whether a content type is that of a form, whatever its charset.
fn is_form(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM))
}
