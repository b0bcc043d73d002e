//! The older WhatsApp Business Messaging API: type `SINCH`.
//!
//! A callback may hold several messages and reports at once. Sinch signs callbacks only on request. Then the
//! account has a `callback_secret`, and every callback must carry the signature. The account may also require a
//! fixed header or a user and password (`guard`). Without any of these, only the unguessable Receive URL protects
//! the account.
//!
//! A message is sent with an address for its reports, whose query returns our reference. The API does not offer
//! quotes (a message goes without its quote), reactions, customers without a phone number, or captions on
//! recordings and stickers. Failures have no code, only a text whose wording is not documented, so a closed 24-hour
//! window can't be told from other failures.
//!
//! Sources: `docs/whatsapp` of the repository `sinch/docs`, and its callback store as of 2020.

use std::time::Duration;

use domain::account::{Account, Credentials};
use domain::message::Content;
use domain::values::Secret;
use jiff::Timestamp;

use super::{BODY_LIMIT, ID_SHAPE, MAX_TEXT, MEDIA_KEPT, fetch, is_id, signature};
use crate::files::{self, FileRule};
use crate::{
    Adapter, Answer, Authorization, Connection, Field, Finding, MediaAddressError, MediaStep, Outgoing, OutgoingAttachment,
    OutgoingRequest, ParseError, Parsed, Problem, Registration, RenderError, SendOutcome, SendResult, Shape, Step, VerifyError, Webhook,
    guard,
};

mod admin;
mod send;
mod webhook;

/// The type `SINCH`.
#[derive(Debug, Clone, Copy)]
pub struct Sinch;

const ACCOUNT_SID: &str = "account_sid";
const TOKEN: &str = "authorization_token";
const CALLBACK_SECRET: &str = "callback_secret";

const FIELDS: &[Field] = &{
    let [header, header_value, user, password] = guard::FIELDS;
    [
        Field::base_url("Base URL of the region, e.g. https://eu1.whatsapp.api.sinch.com, with or without /whatsapp/v1"),
        Field::required(ACCOUNT_SID, "Account SID (bot id)", Shape::Checked { check: is_id, expected: ID_SHAPE }),
        Field::secret(TOKEN, "Authorization token of the bot"),
        Field::secret(CALLBACK_SECRET, "Key with which Sinch signs callbacks, where that was arranged").left_out_by_default(),
        header,
        header_value,
        user,
        password,
    ]
};

/// The path under the host. Some people enter it with the host.
const PATH: &str = "/whatsapp/v1";

/// An address under the account's bot.
fn bot_url(connection: &Connection<'_>, path: &str) -> String {
    let provider = &connection.account.provider;
    let base = provider.field("base_url").trim_end_matches('/');
    let host = base.strip_suffix(PATH).unwrap_or(base);
    format!("{host}{PATH}/{}{path}", provider.field(ACCOUNT_SID))
}

/// Without a token Sinch refuses the request and says why.
fn bearer(connection: &Connection<'_>) -> Authorization {
    Authorization::Bearer(connection.credentials.get(TOKEN).cloned().unwrap_or_else(|| Secret::new("")))
}

impl Adapter for Sinch {
    fn kind(&self) -> &'static str {
        "SINCH"
    }

    fn receive_name(&self) -> &'static str {
        "sinch"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn hosts(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    /// The signature is required as long as the current credentials have a key for it.
    fn verify(&self, webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError> {
        guard::verify(webhook, account, credentials)?;
        if credentials.first().is_none_or(|current| current.get(CALLBACK_SECRET).is_none()) {
            return Ok(());
        }
        let secrets: Vec<&Secret> = credentials.iter().filter_map(|credentials| credentials.get(CALLBACK_SECRET)).collect();
        signature::verify_legacy(webhook, &secrets)
    }

    fn parse(&self, webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
        webhook::parse(webhook, account, received_at)
    }

    fn text_limit(&self) -> usize {
        MAX_TEXT
    }

    fn files(&self) -> &'static [FileRule] {
        files::SINCH
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

    fn check(&self, connection: &Connection<'_>, _: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
        admin::check(connection, answers)
    }

    fn register(&self, _: &Connection<'_>, _: &str, _: &[Answer]) -> Step<Registration> {
        Step::Done(Registration::ByHand)
    }

    fn instructions(&self, _: &Account, receive_url: &str) -> String {
        format!(
            "Ask Sinch's support to set {receive_url} as the callback URL of the bot.\n\
             If Sinch is to sign the callbacks, agree on a key with them and enter it here as callback_secret: from then on unsigned ones are refused."
        )
    }

    /// Only bots whose callbacks Sinch stores have a list; for others it is empty.
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
