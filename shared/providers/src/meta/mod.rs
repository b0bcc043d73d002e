//! Meta's WhatsApp Cloud API: type `META`.
//!
//! A webhook is a JSON document with up to 1,000 updates of all numbers of a business account, signed with the
//! app's secret. Meta checks the Receive URL by a handshake with the verify token. A webhook that is not answered
//! 200 comes again, for up to seven days. Attachments come as ids; the API gives each id's address.
//!
//! Not offered: a list of past messages. Only Meta's own repetition recovers missed webhooks.
//!
//! Sources: Meta's documentation of the Cloud API
//! (developers.facebook.com/documentation/business-messaging/whatsapp), WhatsApp-Nodejs-SDK, and the recorded
//! updates of `david-lev/pywa`.

use std::time::Duration;

use domain::account::{Account, Credentials};
use domain::message::Content;
use domain::template::ListedTemplate;
use domain::values::Secret;
use jiff::Timestamp;

use crate::files::{self, FileRule};
use crate::{
    Adapter, Answer, Authorization, Connection, Field, Finding, MediaAddressError, MediaStep, Number, Outgoing, OutgoingAttachment,
    OutgoingRequest, ParseError, Parsed, Problem, Registration, RenderError, SendOutcome, SendResult, Shape, Step, VerifyError, Webhook,
};

pub(crate) mod admin;
pub(crate) mod content;
pub(crate) mod errors;
pub(crate) mod send;
mod signature;
pub(crate) mod template;
pub(crate) mod webhook;

pub use signature::{SIGNATURE_HEADER, sign};

/// The longest body of a webhook, in bytes: Meta's own limit.
pub const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Meta's API, in the version that this module was written for.
pub const API_URL: &str = "https://graph.facebook.com/v26.0";

/// The longest text, in characters.
pub(crate) const MAX_TEXT: usize = 4096;

/// The type `META`.
#[derive(Debug, Clone, Copy)]
pub struct Meta;

/// The variable that replaces [`API_URL`], also to use another version of the API.
const API: &str = "META_API_URL";

/// The WhatsApp Business Account, which has the lists of numbers and templates.
const ACCOUNT_SID: &str = "account_sid";

/// The bearer of all requests.
const AUTH_TOKEN: &str = "auth_token";

const APP_ID: &str = "app_id";

/// The number's id in the API's paths and in webhooks.
const PHONE_NUMBER_ID: &str = "phone_number_id";

/// The key of the webhooks' signatures.
const APP_SECRET: &str = "app_secret";

/// The token that Meta shows when it checks the Receive URL. It opens nothing, so administrators may see it to
/// paste it.
const VERIFY_TOKEN: &str = "verify_token";

/// The form of Meta's ids, in words.
const ID_SHAPE: &str = "1 to 32 digits";

const FIELDS: &[Field] = &[
    Field::optional(
        ACCOUNT_SID,
        "Account SID: the id of the WhatsApp Business Account",
        Shape::Checked { check: is_number_id, expected: ID_SHAPE },
    ),
    Field::secret(AUTH_TOKEN, "Authorization token: a permanent access token of a system user"),
    Field::required(APP_ID, "App ID", Shape::Checked { check: is_number_id, expected: ID_SHAPE }),
    Field::required(PHONE_NUMBER_ID, "Phone number ID", Shape::Checked { check: is_number_id, expected: ID_SHAPE }),
    Field::secret(APP_SECRET, "App secret, which signs the webhooks"),
    Field::required(VERIFY_TOKEN, "Verify token of the webhook", Shape::Line).generated(),
];

/// Whether `text` has the form of Meta's ids; it is safe in a path.
fn is_number_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Without a token Meta refuses the request and says why.
fn bearer(connection: &Connection<'_>) -> Authorization {
    Authorization::Bearer(connection.credentials.get(AUTH_TOKEN).cloned().unwrap_or_else(|| Secret::new("")))
}

impl Adapter for Meta {
    fn kind(&self) -> &'static str {
        "META"
    }

    fn receive_name(&self) -> &'static str {
        "meta"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn hosts(&self) -> &'static [(&'static str, &'static str)] {
        &[(API, API_URL)]
    }

    fn number_field(&self) -> Option<&'static str> {
        Some(PHONE_NUMBER_ID)
    }

    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    fn verify(&self, webhook: &Webhook<'_>, _: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError> {
        if webhook.body.len() > BODY_LIMIT {
            return Err(VerifyError::TooLarge { limit: BODY_LIMIT });
        }
        signature::verify(webhook, credentials)
    }

    fn handshake(&self, webhook: &Webhook<'_>, account: &Account, _: &[&Credentials]) -> Option<Result<String, VerifyError>> {
        signature::handshake(webhook, account)
    }

    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
        webhook::parse(webhook.body, &account.id, received_at)
    }

    fn wants_recontact_template(&self) -> bool {
        true
    }

    fn quotes(&self) -> bool {
        true
    }

    fn text_limit(&self) -> usize {
        MAX_TEXT
    }

    fn files(&self) -> &'static [FileRule] {
        files::WHATSAPP
    }

    fn fits(&self, content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<(), RenderError> {
        send::content(content, attachment).map(drop)
    }

    fn render_send(&self, connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
        send::render(connection, message)
    }

    fn classify(&self, outcome: &SendOutcome<'_>) -> SendResult {
        send::classify(outcome)
    }

    fn media(&self, connection: &Connection<'_>, source: &str, resolved: Option<&[u8]>) -> Result<MediaStep, MediaAddressError> {
        send::media_step(connection, source, resolved)
    }

    /// Ids of received files are valid for seven days.
    fn media_kept(&self) -> Duration {
        Duration::from_hours(7 * 24)
    }

    fn check(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
        admin::check(connection, receive_url, answers)
    }

    fn register(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Registration> {
        admin::register(connection, receive_url, answers)
    }

    fn instructions(&self, account: &Account, receive_url: &str) -> String {
        admin::instructions(account.provider.field(VERIFY_TOKEN), receive_url)
    }

    fn numbers(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<Number>, Problem>> {
        admin::numbers(connection, answers)
    }

    fn templates(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<ListedTemplate>, Problem>> {
        admin::templates(connection, answers)
    }
}

#[cfg(test)]
mod tests;
