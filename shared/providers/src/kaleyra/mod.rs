//! Kaleyra (Tata Communications): type `KALEYRA`. It passes on Meta's Cloud API.
//!
//! Messages go out by V2. Callbacks are accepted in two forms, V2 and the older V1 with its own templates. Kaleyra
//! signs nothing. The unguessable Receive URL protects the account, with a fixed header or a user and password if
//! the account has them. A stranger may have chosen anything in a callback, so files are fetched without
//! credentials.
//!
//! Not offered: a list of numbers, a list of past messages, setting the Receive URL through the API.
//!
//! Sources: developers.kaleyra.io and support.kaleyra.com. No recorded callback is public, so everything that they
//! don't show is read tolerantly.

use std::time::Duration;

use domain::account::{Account, Credentials};
use domain::message::Content;
use domain::template::ListedTemplate;
use domain::values::Secret;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use crate::files::{self, FileRule};
use crate::json;
use crate::meta::{MAX_TEXT, admin as meta_admin, send as meta_send, template};
use crate::{
    Adapter, Answer, Authorization, Connection, Field, Finding, MediaAddressError, MediaStep, Origin, Outgoing, OutgoingAttachment,
    OutgoingRequest, ParseError, Parsed, Problem, Registration, RenderError, SendOutcome, SendResult, Shape, Step, VerifyError, Webhook,
    guard,
};

mod send;
mod webhook;

/// The longest body of a callback, in bytes. A callback holds one message. WhatsApp's longest text has 16 KiB,
/// escaped as JSON at most 48 KiB. Contact cards, an order or a form's answers have more.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The type `KALEYRA`.
#[derive(Debug, Clone, Copy)]
pub struct Kaleyra;

/// The business account, which has the list of templates.
const WABA_ID: &str = "waba_id";

/// The account in the API's paths.
const ACCOUNT_SID: &str = "account_sid";

const API_KEY: &str = "api_key";

const BASE_URL: &str = "base_url";

/// The form of ids in paths, in words.
const SEGMENT_SHAPE: &str = "1 to 128 letters, digits, - or _";

const FIELDS: &[Field] = &[
    Field::base_url("Base URL of the region, e.g. https://api.eu.kaleyra.io"),
    Field::required(WABA_ID, "WhatsApp Business Account ID", Shape::Checked { check: is_segment, expected: SEGMENT_SHAPE }),
    Field::required(ACCOUNT_SID, "Account SID", Shape::Checked { check: is_segment, expected: SEGMENT_SHAPE }),
    Field::secret(API_KEY, "API key"),
    guard::FIELDS[0],
    guard::FIELDS[1],
    guard::FIELDS[2],
    guard::FIELDS[3],
];

/// The JSON body that a V1 callback profile for incoming messages should send.
const V1_PROFILE: &str = r#"{"body":"<body>","mime_type":"<mime_type>","media_url":"<media_url>","from":"<from>","name":"<name>","type":"<type>","created_at":"<created_at>","reply_to":"<reply_to>","wanumber":"<wanumber>","mobile":"<mobile>","custom_response":"<custom_response>","message":"<message>","contacts":"<contacts>","location":"<location>"}"#;

/// The most pages of templates that are read. Nobody picks from more, and each page is a call.
const MAX_PAGES: usize = 20;

/// Whether `text` can be a segment of a path.
fn is_segment(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An address under the account's WhatsApp.
fn path(connection: &Connection<'_>, rest: &str) -> String {
    let provider = &connection.account.provider;
    format!("{}/v2/{}/whatsapp/{rest}", provider.field(BASE_URL).trim_end_matches('/'), provider.field(ACCOUNT_SID))
}

/// Without a key Kaleyra refuses the request and says why.
fn api_key(connection: &Connection<'_>) -> Authorization {
    let value = connection.credentials.get(API_KEY).cloned().unwrap_or_else(|| Secret::new(""));
    Authorization::Header { name: "api-key", value }
}

/// The request for the next page of templates, if there is one.
fn template_pages(connection: &Connection<'_>, answers: &[Answer]) -> Option<OutgoingRequest> {
    let provider = &connection.account.provider;
    match answers.last() {
        None => {
            let url = path(connection, &format!("{}/message_templates", provider.field(WABA_ID)));
            Some(OutgoingRequest::get(url, api_key(connection)))
        }
        Some(last) if answers.len() < MAX_PAGES => {
            let next = meta_admin::next_page(&last.json(), provider.field(BASE_URL))?;
            Some(OutgoingRequest::get(next, api_key(connection)))
        }
        Some(_) => None,
    }
}

/// The problem that an answer reports, if any.
fn problem(answer: &Answer) -> Option<Problem> {
    if send::is_unauthorized(&answer.json()) {
        return Some(Problem::CredentialsRefused);
    }
    match answer.status {
        status if status.is_success() => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Problem::CredentialsRefused),
        StatusCode::NOT_FOUND => Some(Problem::NotFound { field: WABA_ID }),
        StatusCode::TOO_MANY_REQUESTS => Some(Problem::RateLimited),
        status => Some(Problem::Unexpected { status: status.as_u16() }),
    }
}

/// The templates of a page, in Meta's form, at the top or one level down.
fn listed(page: &Value) -> &[Value] {
    match json::list(&page["data"]) {
        [only] if only["name"].is_null() => json::list(&only["data"]),
        templates => templates,
    }
}

impl Adapter for Kaleyra {
    fn kind(&self) -> &'static str {
        "KALEYRA"
    }

    fn receive_name(&self) -> &'static str {
        "kaleyra"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    /// Each account has its own host.
    fn hosts(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    fn verify(&self, webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError> {
        if webhook.body.len() > BODY_LIMIT {
            return Err(VerifyError::TooLarge { limit: BODY_LIMIT });
        }
        guard::verify(webhook, account, credentials)
    }

    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
        webhook::parse(webhook, &account.id, received_at)
    }

    fn wants_recontact_template(&self) -> bool {
        true
    }

    fn text_limit(&self) -> usize {
        MAX_TEXT
    }

    fn files(&self) -> &'static [FileRule] {
        files::WHATSAPP
    }

    fn fits(&self, content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<(), RenderError> {
        meta_send::content(content, attachment).map(drop)
    }

    fn render_send(&self, connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
        send::render(connection, message)
    }

    fn classify(&self, outcome: &SendOutcome<'_>) -> SendResult {
        send::classify(outcome)
    }

    /// A plain GET. Kaleyra documents no way to fetch a file by Meta's media id alone.
    fn media(&self, _: &Connection<'_>, source: &str, _: Option<&[u8]>) -> Result<MediaStep, MediaAddressError> {
        Origin::parse(source).ok_or(MediaAddressError)?;
        Ok(MediaStep::Fetch(OutgoingRequest::fetch(source, Authorization::None)))
    }

    /// Kaleyra publishes nothing. The files are in S3, where a signed address is valid for a week at most.
    fn media_kept(&self) -> Duration {
        Duration::from_hours(7 * 24)
    }

    /// Asks for the list of templates, the only thing that the API lists.
    fn check(&self, connection: &Connection<'_>, _: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
        let found = |subject, result| Finding { subject, result };
        let Some(answer) = answers.first() else {
            return match template_pages(connection, &[]) {
                Some(request) => Step::Call(request),
                None => Step::Done(Vec::new()),
            };
        };
        let credentials = match problem(answer) {
            None => Ok(Some(String::new())),
            Some(problem) => Err(problem),
        };
        Step::Done(vec![found("credentials", credentials), found("number", Ok(None)), found("webhook", Ok(None))])
    }

    fn register(&self, _: &Connection<'_>, _: &str, _: &[Answer]) -> Step<Registration> {
        Step::Done(Registration::ByHand)
    }

    fn instructions(&self, _: &Account, receive_url: &str) -> String {
        [
            "In Kaleyra's console, open Channels, WhatsApp, Manage, Configurations, Numbers, and choose the number.".to_owned(),
            format!("Paste {receive_url} as \"V2 incoming URL\" and as the URL of V2 status callbacks."),
            format!("Where only V1 is offered, create a callback profile for incoming messages with method POST, body type JSON, the URL {receive_url} and the body {V1_PROFILE}, and attach it to the number."),
            "Kaleyra signs nothing: have it send a fixed header or a user and password with its callbacks, and enter the same here as callback_header and callback_header_value, or callback_user and callback_password.".to_owned(),
        ]
        .join("\n")
    }

    fn templates(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<ListedTemplate>, Problem>> {
        if let Some(problem) = answers.last().and_then(problem) {
            return Step::Done(Err(problem));
        }
        match template_pages(connection, answers) {
            Some(request) => Step::Call(request),
            None => {
                let pages: Vec<Value> = answers.iter().map(Answer::json).collect();
                Step::Done(Ok(pages.iter().flat_map(listed).filter_map(template::listed).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
