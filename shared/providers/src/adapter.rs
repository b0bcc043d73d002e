//! The interface of a provider's module, and the conversations with its API.
//!
//! An [`Adapter`] makes no call itself. Some questions need several requests (a paged list, a webhook that may be
//! registered already). The caller then asks again with all answers so far, until the adapter says [`Step::Done`].

use std::collections::BTreeMap;
use std::time::Duration;

use domain::account::{Account, Credentials, Provider};
use domain::business::Business;
use domain::effect::MessageRef;
use domain::message::{AttachmentKind, Content};
use domain::template::ListedTemplate;
use domain::values::{Address, Secret};
use jiff::Timestamp;

use crate::{
    Acknowledgement, Field, FileRule, OutgoingRequest, ParseError, Parsed, RenderError, SendOutcome, SendResult, VerifyError, Webhook,
};

/// One provider type: bytes in, values out. No I/O, no async, no clock.
pub trait Adapter: Send + Sync {
    /// The type's name in the API and in accounts, e.g. `META`.
    fn kind(&self) -> &'static str;

    /// The part of the Receive URL that leads to the provider's function, e.g. `meta`. Types of one provider may
    /// share it.
    fn receive_name(&self) -> &'static str;

    /// The fields of an account of this type, public and secret, in the order in which a person fills them in.
    fn fields(&self) -> &'static [Field];

    /// The provider's fixed addresses: for each, the environment variable that replaces it, and the address without
    /// a slash at the end.
    fn hosts(&self) -> &'static [(&'static str, &'static str)];

    /// The field that holds the provider's id of the number, for providers that send the webhooks of several
    /// numbers to one URL ([`Parsed::number`]).
    fn number_field(&self) -> Option<&'static str> {
        None
    }

    /// A suffix for the Receive URL as administrators see it, e.g. a fragment that makes the provider try again.
    fn receive_url_suffix(&self) -> &'static str {
        ""
    }

    // In.

    /// The longest body of a webhook, in bytes. A longer one is refused unread.
    fn body_limit(&self) -> usize;

    /// Checks that the provider made the request, with any of `credentials`: the current ones first, then the
    /// previous ones.
    ///
    /// # Errors
    /// The request does not prove its origin.
    fn verify(&self, webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError>;

    /// Whether a request that passes [`Adapter::verify`] is proven to be the provider's. It is not if the provider
    /// signs nothing and the account demands nothing of its callers. `credentials` are the current ones.
    fn proves_origin(&self, provider: &Provider, credentials: &Credentials) -> bool {
        let _ = (provider, credentials);
        true
    }

    /// The query that the account's Receive URL carries; empty for none.
    fn receive_query(&self, provider: &Provider) -> String {
        let _ = provider;
        String::new()
    }

    /// The business with the provider that the account's number belongs to. What a proven request says about who a
    /// customer is holds for its accounts only.
    fn business(&self, account: &Account) -> Business {
        Business::of(account)
    }

    /// The answer to a handshake, by which a provider checks the Receive URL; `None` for any other request. It is
    /// called before [`Adapter::verify`].
    ///
    /// # Errors
    /// It is a handshake without the right verify token.
    fn handshake(&self, webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Option<Result<String, VerifyError>> {
        let _ = (webhook, account, credentials);
        None
    }

    /// Reads a verified webhook. An unknown kind becomes [`domain::inbound::InboundKind::Other`], never an error.
    ///
    /// # Errors
    /// The request can't be read at all.
    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError>;

    /// The answer to a webhook that was accepted.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::EMPTY
    }

    // Out.

    /// The request for a token, for APIs that want a token that is fetched with the credentials.
    fn token_request(&self, connection: &Connection<'_>) -> Option<OutgoingRequest> {
        let _ = connection;
        None
    }

    /// Reads the answer to [`Adapter::token_request`]; `None` if it holds no token.
    fn read_token(&self, body: &[u8]) -> Option<AccessToken> {
        let _ = body;
        None
    }

    /// Whether an account without a recontact template gets a warning: its agents would have to know the provider's
    /// templates by name.
    fn wants_recontact_template(&self) -> bool {
        false
    }

    /// The longest text that can be sent, in characters (Unicode scalar values).
    fn text_limit(&self) -> usize;

    /// Whether the customer sees which message an answer is about ([`Outgoing::reply_to`]).
    fn quotes(&self) -> bool {
        false
    }

    /// The provider's own list of the files that can be sent, line by line.
    fn files(&self) -> &'static [FileRule];

    /// Whether a message with these contents can be written in the provider's form, so that one that can't is refused
    /// before it is queued.
    ///
    /// # Errors
    /// The provider would refuse the message, or might drop a part of it.
    fn fits(&self, content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<(), RenderError>;

    /// The request that sends a message. The caller makes it only once.
    ///
    /// # Errors
    /// The provider would refuse the message.
    fn render_send(&self, connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError>;

    /// Reads the answer to the request of [`Adapter::render_send`].
    fn classify(&self, outcome: &SendOutcome<'_>) -> SendResult;

    // Attachments in.

    /// How to fetch an attachment from `source`. `resolved` is the answer to [`MediaStep::Resolve`], if there was
    /// one.
    ///
    /// # Errors
    /// The attachment can't be fetched.
    fn media(&self, connection: &Connection<'_>, source: &str, resolved: Option<&[u8]>) -> Result<MediaStep, MediaAddressError>;

    /// For how long the provider keeps attachments.
    fn media_kept(&self) -> Duration;

    // Administration.

    /// Tries the credentials and the number, and checks whether webhooks lead to `receive_url`.
    fn check(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>>;

    /// Makes the provider send its webhooks to `receive_url`, if its API can do that.
    fn register(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Registration>;

    /// Steps for a person in the provider's console that make webhooks come to `receive_url`, one sentence a line.
    fn instructions(&self, account: &Account, receive_url: &str) -> String;

    /// The provider's numbers, to pick one from; `Err(Problem::NotOffered)` if the API has no list.
    fn numbers(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<Number>, Problem>> {
        let _ = (connection, answers);
        Step::Done(Err(Problem::NotOffered))
    }

    /// The provider's templates; `Err(Problem::NotOffered)` if the API has no list.
    fn templates(&self, connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<ListedTemplate>, Problem>> {
        let _ = (connection, answers);
        Step::Done(Err(Problem::NotOffered))
    }

    /// The messages that customers wrote to the account's number since `since`, as [`Adapter::parse`] would return
    /// them, under the same ids; `Err(Problem::NotOffered)` if the API has no list.
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

    /// The messages that were sent from the account's number within `span` and whose price the provider tells by now,
    /// as reports of their states; `Err(Problem::NotOffered)` if the API has no list, or its reports tell the price.
    fn prices(
        &self,
        connection: &Connection<'_>,
        span: std::ops::Range<Timestamp>,
        now: Timestamp,
        answers: &[Answer],
    ) -> Step<Result<Vec<Parsed>, Problem>> {
        let _ = (connection, span, now, answers);
        Step::Done(Err(Problem::NotOffered))
    }
}

/// The account, credentials and addresses of a request to a provider's API.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    /// The account.
    pub account: &'a Account,
    /// The account's current secret fields.
    pub credentials: &'a Credentials,
    /// The token of [`Adapter::token_request`], if the API wants one.
    pub token: Option<&'a Secret>,
    /// The providers' addresses.
    pub hosts: &'a Hosts,
}

/// The providers' fixed addresses, by the name of the variable that replaces each.
#[derive(Debug, Clone, Default)]
pub struct Hosts(BTreeMap<&'static str, String>);

impl Hosts {
    /// All addresses of all providers. `replaced` gets the name of each variable and the fixed address, and returns
    /// the address to use.
    ///
    /// # Errors
    /// The first error of `replaced`.
    pub fn all<E>(replaced: impl Fn(&'static str, &'static str) -> Result<String, E>) -> Result<Self, E> {
        let hosts = crate::ADAPTERS.iter().flat_map(|adapter| adapter.hosts());
        Ok(Self(hosts.map(|(name, address)| Ok((*name, replaced(name, address)?))).collect::<Result<_, E>>()?))
    }

    /// All addresses.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// An address by the name of its variable, without a slash at the end; empty for a name that no adapter
    /// declares.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// A token that an API wants instead of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The token.
    pub secret: Secret,
    /// How long the token is valid.
    pub lasts: Duration,
}

/// A message to send.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The customer.
    pub to: &'a Address,
    /// The contents.
    pub content: &'a Content,
    /// The file to send with it.
    pub attachment: Option<OutgoingAttachment<'a>>,
    /// The provider's id of the message that this one answers.
    pub reply_to: Option<&'a str>,
    /// Our reference, which the provider returns with each report on the message.
    pub reference: &'a MessageRef,
    /// The URL for reports, for providers that want it with each message. It carries the reference.
    pub status_callback: &'a str,
}

/// A file to send.
#[derive(Clone, Copy)]
pub struct OutgoingAttachment<'a> {
    /// A public https address that serves the file for long enough.
    pub url: &'a str,
    /// The kind as which the file is sent.
    pub kind: AttachmentKind,
    /// The content type.
    pub content_type: &'a str,
    /// The file's name.
    pub name: Option<&'a str>,
}

/// How to fetch an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaStep {
    /// Ask the provider's API for the address. The answer's body goes to [`Adapter::media`].
    Resolve(OutgoingRequest),
    /// Fetch the file. A stranger may have chosen the address.
    Fetch(OutgoingRequest),
}

/// The address is not one from which an attachment can be fetched.
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
    /// The body as JSON; null if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        crate::json::read(&self.body).unwrap_or_default()
    }
}

/// Answers hold customers' messages and numbers.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("body_bytes", &self.body.len()).finish()
    }
}

/// The next step in a conversation with an API.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "each is moved once, before a network call")]
pub enum Step<T> {
    /// Make this request, then ask again with its answer added.
    Call(OutgoingRequest),
    /// The result.
    Done(T),
}

/// Why a provider's API did not do what it was asked, in words common to all providers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The API can't do that.
    #[error("this provider's API does not offer that")]
    NotOffered,
    /// The API refused the credentials.
    #[error("the provider refused the credentials")]
    CredentialsRefused,
    /// The account does not have this number.
    #[error("the number is not one of this provider account")]
    NumberNotFound,
    /// The number does not have the form that the provider wants.
    #[error("the number does not have the form that the provider wants")]
    NumberFormat,
    /// The provider does not know the project, app or id that a field names.
    #[error("the provider finds nothing under {field}")]
    NotFound {
        /// The field.
        field: &'static str,
    },
    /// Webhooks do not lead here.
    #[error("the provider does not send its webhooks to the Receive URL")]
    WebhookNotSet,
    /// Too many requests: try later.
    #[error("the provider asks to try again later")]
    RateLimited,
    /// The API gave another answer.
    #[error("the provider answered {status}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
}

/// One result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The subject of the check: `credentials`, `number`, `webhook`.
    pub subject: &'static str,
    /// The result. `Ok(None)`: the API can't tell. `Ok(Some(…))`: fine, with a note or an empty text.
    pub result: Result<Option<String>, Problem>,
}

/// The outcome of registering a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Webhooks arrive from now on.
    Done,
    /// A person must do it: see [`Adapter::instructions`].
    ByHand,
    /// Registering failed.
    Failed(Problem),
}

/// A number of a provider account.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    /// The phone number, in the form of an account's `phone`.
    pub phone: String,
    /// The provider's name for it.
    pub name: Option<String>,
    /// The provider's id for it, if accounts have a field for that.
    pub id: Option<String>,
}

/// Phone numbers never reach a log.
impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Number(…)")
    }
}
