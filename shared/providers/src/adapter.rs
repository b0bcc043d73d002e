//! What a provider's module answers, and the conversations with its API.
//!
//! An [`Adapter`] makes no call itself. Where an answer is needed to know the next request (a paged list, a webhook that may be registered already) it is
//! asked again with all answers so far, until it is [`Step::Done`].

use std::collections::BTreeMap;
use std::time::Duration;

use domain::account::{Account, Credentials};
use domain::effect::MessageRef;
use domain::message::{AttachmentKind, Content};
use domain::values::{Address, Secret};
use jiff::Timestamp;

use crate::{Acknowledgement, Field, OutgoingRequest, ParseError, Parsed, RenderError, SendOutcome, SendResult, VerifyError, Webhook};

/// One provider type: bytes in, values out. No I/O, no async, no clock.
pub trait Adapter: Send + Sync {
    /// The type's name in the API and in accounts, e.g. `META`.
    fn kind(&self) -> &'static str;

    /// The part of the Receive URL that leads to the provider's function, e.g. `meta`. Types of one provider may share it.
    fn receive_name(&self) -> &'static str;

    /// The fields of an account of this type, public and secret, in the order in which a person fills them in.
    fn fields(&self) -> &'static [Field];

    /// The provider's fixed addresses: the environment variable that replaces each, and the address itself, without a slash at the end.
    fn hosts(&self) -> &'static [(&'static str, &'static str)];

    /// The field that holds the provider's own id of the number, where webhooks of several numbers share one URL ([`Parsed::number`]).
    fn number_field(&self) -> Option<&'static str> {
        None
    }

    /// What is added to the Receive URL when it is handed out, e.g. a fragment that makes the provider try again.
    fn receive_url_suffix(&self) -> &'static str {
        ""
    }

    // In.

    /// The longest body of a webhook, in bytes; more is refused before it is looked at.
    fn body_limit(&self) -> usize;

    /// Proves that the provider made the request, with any of `credentials`: the current ones first, then those before.
    ///
    /// # Errors
    /// It does not prove it.
    fn verify(&self, webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError>;

    /// The answer to a request that only asks whether this is the right place; `None` when it is not such a request. It is asked before [`Adapter::verify`].
    ///
    /// # Errors
    /// It is such a request, and does not know what it must know.
    fn handshake(&self, webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Option<Result<String, VerifyError>> {
        let _ = (webhook, account, credentials);
        None
    }

    /// Reads a verified webhook. What is unknown becomes [`domain::inbound::InboundKind::Other`], never an error.
    ///
    /// # Errors
    /// Nothing of the request can be read.
    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError>;

    /// The answer to a webhook that was taken.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::EMPTY
    }

    // Out.

    /// The request for a token, where the API wants one that is fetched with the credentials.
    fn token_request(&self, connection: &Connection<'_>) -> Option<OutgoingRequest> {
        let _ = connection;
        None
    }

    /// Reads the answer to [`Adapter::token_request`]; `None` when there is no token in it.
    fn read_token(&self, body: &[u8]) -> Option<AccessToken> {
        let _ = body;
        None
    }

    /// Whether an account without a recontact template deserves a warning: its agents would have to know the provider's templates by name.
    fn wants_recontact_template(&self) -> bool {
        false
    }

    /// The longest text that can be sent, in characters (Unicode scalar values).
    fn text_limit(&self) -> usize;

    /// The request that sends a message. It is made once only.
    ///
    /// # Errors
    /// What the provider would refuse anyway.
    fn render_send(&self, connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError>;

    /// What the answer to [`Adapter::render_send`] means for the message.
    fn classify(&self, outcome: &SendOutcome<'_>) -> SendResult;

    // Attachments in.

    /// How to get an attachment from `source`, with the answer to [`MediaStep::Resolve`] when there was one.
    ///
    /// # Errors
    /// It can't be had.
    fn media(&self, connection: &Connection<'_>, source: &str, resolved: Option<&[u8]>) -> Result<MediaStep, MediaAddressError>;

    /// For how long the provider keeps attachments.
    fn media_kept(&self) -> Duration;

    // Administration.

    /// Tries credentials and number, and looks whether webhooks lead to `receive_url`.
    fn check(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>>;

    /// Has the provider send its webhooks to `receive_url`, where its API can do that.
    fn register(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Registration>;

    /// What a person does in the provider's console so that webhooks come to `receive_url`: one sentence a line.
    fn instructions(&self, account: &Account, receive_url: &str) -> String;

    /// The provider's numbers, for picking one; `Err(Problem::NotOffered)` where the API has no list.
    fn numbers(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<Number>, Problem>> {
        let _ = (connection, answers);
        Step::Done(Err(Problem::NotOffered))
    }

    /// The approved templates; `Err(Problem::NotOffered)` where the API has no list.
    fn templates(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<TemplateInfo>, Problem>> {
        let _ = (connection, answers);
        Step::Done(Err(Problem::NotOffered))
    }

    /// What customers wrote to the account's number since `since`, in the form that [`Adapter::parse`] would have given it, under the same ids;
    /// `Err(Problem::NotOffered)` where the API has no list.
    fn missed(
        &self,
        connection: &Connection<'_>,
        since: Timestamp,
        now: Timestamp,
        answers: &[Answer],
    ) -> Step<Result<Vec<Parsed>, Problem>> {
        let _ = (connection, since, now, answers);
        Step::Done(Err(Problem::NotOffered))
    }
}

/// All that a request to a provider's API is made of beside its subject.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    /// The account.
    pub account: &'a Account,
    /// Its current secret fields.
    pub credentials: &'a Credentials,
    /// The token of [`Adapter::token_request`], where there is one.
    pub token: Option<&'a Secret>,
    /// The providers' addresses.
    pub hosts: &'a Hosts,
}

/// The providers' fixed addresses by the name of the variable that replaces each.
#[derive(Debug, Clone, Default)]
pub struct Hosts(BTreeMap<&'static str, String>);

impl Hosts {
    /// All addresses of all providers, each from `replaced` where that has one.
    ///
    /// # Errors
    /// The first that `replaced` fails with.
    pub fn all<E>(replaced: impl Fn(&'static str, &'static str) -> Result<String, E>) -> Result<Self, E> {
        let hosts = crate::ADAPTERS.iter().flat_map(|adapter| adapter.hosts());
        Ok(Self(hosts.map(|(name, address)| Ok((*name, replaced(name, address)?))).collect::<Result<_, E>>()?))
    }

    /// An address by the name of its variable, without a slash at the end; empty for a name that no adapter declares.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// A token that an API wants in place of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// It.
    pub secret: Secret,
    /// For how long it serves.
    pub lasts: Duration,
}

/// A message to send.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The customer.
    pub to: &'a Address,
    /// What it says.
    pub content: &'a Content,
    /// The file that goes with it.
    pub attachment: Option<OutgoingAttachment<'a>>,
    /// The provider's id of the message that is answered.
    pub reply_to: Option<&'a str>,
    /// What the provider gives back with each report on the message.
    pub reference: &'a MessageRef,
    /// Where reports come, for providers that are told with each message; it carries the reference.
    pub status_callback: &'a str,
}

/// A file to send.
#[derive(Clone, Copy)]
pub struct OutgoingAttachment<'a> {
    /// A public https address that serves it for long enough.
    pub url: &'a str,
    /// As what it is sent.
    pub kind: AttachmentKind,
    /// Its type.
    pub content_type: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
}

/// How to get an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaStep {
    /// Ask the provider's API where it is; the answer's body goes to [`Adapter::media`].
    Resolve(OutgoingRequest),
    /// Get it. The address may be a stranger's choice.
    Fetch(OutgoingRequest),
}

/// Not an address from which an attachment can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the attachment's address is not an http or https URL")]
pub struct MediaAddressError;

/// An answer of a provider's API.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: http::StatusCode,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Answers hold customers' messages and numbers.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("body_bytes", &self.body.len()).finish()
    }
}

/// What to do next in a conversation with an API.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "each is moved once, before a call over the network")]
pub enum Step<T> {
    /// Make this request, and ask again with its answer added.
    Call(OutgoingRequest),
    /// This is the result.
    Done(T),
}

/// Why a provider's API did not do what it was asked, in the words common to all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The API can't do that.
    #[error("this provider's API does not offer that")]
    NotOffered,
    /// It did not accept the credentials.
    #[error("the provider refused the credentials")]
    CredentialsRefused,
    /// The number is not one of the account.
    #[error("the number is not one of this provider account")]
    NumberNotFound,
    /// The number does not have the form that the provider wants.
    #[error("the number does not have the form that the provider wants")]
    NumberFormat,
    /// Something that a field names is not there: a project, an app, an id.
    #[error("the provider knows nothing under {field}")]
    NotFound {
        /// The field.
        field: &'static str,
    },
    /// Webhooks do not lead here.
    #[error("the provider does not send its webhooks to the Receive URL")]
    WebhookNotSet,
    /// Too many requests; later.
    #[error("the provider asks to come later")]
    RateLimited,
    /// It answered something else.
    #[error("the provider answered {status}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
}

/// One result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried: `credentials`, `number`, `webhook`.
    pub subject: &'static str,
    /// What was found; `Ok(None)`: it can't be tried through the API, `Ok(Some(…))`: fine, with something worth knowing or an empty text.
    pub result: Result<Option<String>, Problem>,
}

/// What came of registering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Webhooks come from now on.
    Done,
    /// A person must do it: see [`Adapter::instructions`].
    ByHand,
    /// It failed.
    Failed(Problem),
}

/// A number of a provider account.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    /// As an account's `phone` takes it.
    pub phone: String,
    /// The provider's name of it.
    pub name: Option<String>,
    /// The provider's id of it, where accounts have a field for it.
    pub id: Option<String>,
}

/// Phone numbers never reach a log.
impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Number(…)")
    }
}

/// An approved template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateInfo {
    /// Its name, or its id where templates are sent by id.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its language.
    pub language: String,
    /// The text of its body, with its placeholders.
    pub body: String,
    /// Whether it may be sent.
    pub approved: bool,
}
