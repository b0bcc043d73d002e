//! The Conversation API, WhatsApp channel: type `SINCH_V2`.
//!
//! A callback is a JSON document with one event, signed with the secret of its registered webhook
//! ([`Adapter::register`]). A callback without a valid signature is refused. The API wants a token that is fetched
//! with the access key's id and secret.
//!
//! Limits, as far as is documented: callbacks hold no profile name; a message can't quote the one that it answers
//! (it goes without its quote); reactions can't be sent; a caption goes only with a picture or a video, as a card
//! ([`send`]). The app must be in *Conversation* mode: in *Dispatch* mode there is no list of messages to recover
//! from.
//!
//! Sources: the samples of sinch-sdk-java (`openapi-contracts/src/test/resources/domains/conversation/v1`), the
//! models of sinch-sdk-node (`packages/conversation/src/models/v1`), and `docs/conversation` of the repository
//! `sinch/docs`.

use std::time::Duration;

use domain::account::{Account, Credentials};
use domain::message::Content;
use domain::values::Secret;
use jiff::Timestamp;

use super::{BODY_LIMIT, ID_SHAPE, MAX_TEXT, MEDIA_KEPT, fetch, is_id, signature};
use crate::files::{self, FileRule};
use crate::{
    AccessToken, Adapter, Answer, Authorization, Connection, Field, Finding, MediaAddressError, MediaStep, Outgoing, OutgoingAttachment,
    OutgoingRequest, ParseError, Parsed, Problem, Registration, RenderError, SendOutcome, SendResult, Shape, Step, VerifyError, Webhook,
};

mod admin;
mod send;
mod webhook;

/// The type `SINCH_V2`.
#[derive(Debug, Clone, Copy)]
pub struct SinchV2;

/// The address that gives tokens. Keys are valid in all regions.
pub const AUTH_URL: &str = "https://auth.sinch.com";

/// The variable that replaces [`AUTH_URL`].
const AUTH: &str = "SINCH_AUTH_URL";

const PROJECT_ID: &str = "project_id";
const APP_ID: &str = "app_id";
const KEY_ID: &str = "key_id";
const KEY_SECRET: &str = "key_secret";
const WEBHOOK_SECRET: &str = "webhook_secret";

const FIELDS: &[Field] = &[
    Field::base_url("Base URL of the region, e.g. https://eu.conversation.api.sinch.com"),
    Field::required(PROJECT_ID, "Project ID", Shape::Checked { check: is_id, expected: ID_SHAPE }),
    Field::required(APP_ID, "App ID", Shape::Checked { check: is_id, expected: ID_SHAPE }),
    Field::required(KEY_ID, "Key ID of the access key", Shape::Line),
    Field::secret(KEY_SECRET, "Key secret of the access key"),
    Field::secret(WEBHOOK_SECRET, "Secret of the webhook").generated(),
];

/// An address under the account's project.
fn project_url(connection: &Connection<'_>, path: &str) -> String {
    let provider = &connection.account.provider;
    format!("{}/v1/projects/{}{path}", provider.field("base_url").trim_end_matches('/'), provider.field(PROJECT_ID))
}

/// Without a token Sinch refuses the request and says why.
fn bearer(connection: &Connection<'_>) -> Authorization {
    Authorization::Bearer(connection.token.cloned().unwrap_or_else(|| Secret::new("")))
}

impl Adapter for SinchV2 {
    fn kind(&self) -> &'static str {
        "SINCH_V2"
    }

    fn receive_name(&self) -> &'static str {
        "sinch"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn hosts(&self) -> &'static [(&'static str, &'static str)] {
        &[(AUTH, AUTH_URL)]
    }

    /// A webhook belongs to one app. If the apps of two accounts have the same URL, each event still finds its own
    /// account.
    fn number_field(&self) -> Option<&'static str> {
        Some(APP_ID)
    }

    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    fn verify(&self, webhook: &Webhook<'_>, _: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError> {
        let secrets: Vec<&Secret> = credentials.iter().filter_map(|credentials| credentials.get(WEBHOOK_SECRET)).collect();
        signature::verify(webhook, &secrets)
    }

    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
        webhook::parse(webhook.body, account, received_at)
    }

    fn token_request(&self, connection: &Connection<'_>) -> Option<OutgoingRequest> {
        let user = connection.account.provider.field(KEY_ID).to_owned();
        let password = connection.credentials.get(KEY_SECRET).cloned().unwrap_or_else(|| Secret::new(""));
        let url = format!("{}/oauth2/token", connection.hosts.get(AUTH));
        Some(OutgoingRequest::post_form(url, Authorization::Basic { user, password }, [("grant_type", "client_credentials")]))
    }

    /// A token without a lifetime is used for one request only. An hour is usual, but then the answer says so.
    fn read_token(&self, body: &[u8]) -> Option<AccessToken> {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let secret = body["access_token"].as_str().filter(|token| !token.is_empty()).map(Secret::new)?;
        Some(AccessToken { secret, lasts: Duration::from_secs(body["expires_in"].as_u64().unwrap_or_default()) })
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

    fn media(&self, _: &Connection<'_>, source: &str, _: Option<&[u8]>) -> Result<MediaStep, MediaAddressError> {
        fetch(source)
    }

    fn media_kept(&self) -> Duration {
        MEDIA_KEPT
    }

    fn check(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
        admin::check(connection, receive_url, answers)
    }

    fn register(&self, connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Registration> {
        admin::register(connection, receive_url, answers)
    }

    fn instructions(&self, _: &Account, receive_url: &str) -> String {
        format!(
            "Have the connector register its webhook; it does that with the access key and a secret of its own.\n\
             An app takes {} webhooks: if it has as many already, remove one in Sinch's dashboard first (Conversation API, Apps, Webhooks).\n\
             A webhook to {receive_url} that was made by hand there is refused, unless it has the account's webhook secret.",
            admin::MAX_WEBHOOKS,
        )
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
}

#[cfg(test)]
mod tests;
