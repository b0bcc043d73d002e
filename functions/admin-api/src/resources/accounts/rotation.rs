//! Secrets that leaked are replaced: the service generates new ones, and the previous ones end at a stated time or at
//! once.

use api::{Body, Caller, Error, FromPath, IfMatch, Versioned};
use axum::extract::State;
use domain::account::{Account, ReplacedSecret, ReplacedToken};
use domain::agent::Role;
use domain::ids::AccountId;
use engine::ports::World;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::Extra;
use utoipa::ToSchema;

use super::AccountView;
use super::secrets::{hash, path_token, receive_path, token, webhook_secret};
use crate::app::App;
use crate::error::ApiError;
use crate::input::Errors;
use crate::openapi::WriteRefusals;
use crate::resource::{Writer, rewrite};

/// How long the previous secret is accepted by default: a day, so that somebody in the other company has time to enter
/// the new one.
const VALID_SECONDS: i64 = 24 * 3_600;

/// How long it may be accepted at most: a week. Whoever has it may use it until then.
const VALID_SECONDS_MOST: i64 = 7 * 24 * 3_600;

/// A secret that the service generates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GeneratedSecret {
    /// The token in the Receive URL.
    ReceiveUrl,
    /// The key that signs the requests of Webhook steps.
    WebhookSecret,
    /// The token of the proxy in front of `domain`. Only owners may replace it.
    ProxyToken,
}

/// A secret whose previous value may still be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PreviousSecret {
    /// The token in the previous Receive URL.
    ReceiveUrl,
    /// The key that signed the requests of Webhook steps.
    WebhookSecret,
    /// The token of the proxy in front of `domain`. Only owners may end it.
    ProxyToken,
    /// The provider's secrets. They are accepted for 24 hours after they were replaced.
    Provider,
}

/// The wishes for a rotation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// How many seconds the previous value is still accepted. 0 ends it at once.
    #[serde(default = "valid_seconds")]
    #[schema(required = false, default = 86_400, minimum = 0, maximum = 604_800)]
    previous_valid_seconds: i64,
}

fn valid_seconds() -> i64 {
    VALID_SECONDS
}

/// Until when previous secrets are accepted. They are not accepted after these times.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplacedSecrets {
    /// Until when the previous Receive URL is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    receive_url_until: Option<Timestamp>,
    /// Until when requests of Webhook steps are also signed with the previous key.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret_until: Option<Timestamp>,
    /// Until when the previous proxy token is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_token_until: Option<Timestamp>,
    /// When the provider's previous secrets were revoked. Secrets that were replaced before are not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_revoked_at: Option<Timestamp>,
}

impl ReplacedSecrets {
    /// Nothing is shown of an account whose secrets were never replaced.
    pub(super) fn of(account: &Account) -> Option<Self> {
        let replaced = &account.replaced;
        let until = |previous: &Option<ReplacedSecret>| previous.as_ref().map(|previous| previous.until);
        let shown = Self {
            receive_url_until: replaced.receive_token.as_ref().map(|previous| previous.until),
            webhook_secret_until: until(&replaced.webhook_secret),
            proxy_token_until: until(&replaced.proxy_token),
            provider_revoked_at: replaced.credentials_revoked_at,
        };
        (*replaced != domain::account::Replaced::default()).then_some(shown)
    }
}

/// Replaces a generated secret of an account with a new one.
///
/// `secret` is `receive_url`, `webhook_secret` or `proxy_token`. The new value is generated, never chosen. The
/// previous one is accepted for `previous_valid_seconds` more. A secret that was already being replaced ends now: at
/// most two values are accepted. After a new Receive URL, set the webhook at the provider again. Only owners may
/// replace the proxy token (403).
#[utoipa::path(post, path = "/accounts/{id}/secrets/{secret}/rotate", tag = "accounts",
    params(("id" = String, Path), ("secret" = inline(GeneratedSecret), Path), ("If-Match" = String, Header)),
    request_body(content = Rotation),
    responses((status = 200, description = "The account, with the new secret.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn rotate_secret(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath((id, secret)): FromPath<(AccountId, GeneratedSecret)>,
    condition: IfMatch,
    Body(wanted): Body<Rotation>,
) -> Result<Versioned<AccountView>, ApiError> {
    may_replace(secret == GeneratedSecret::ProxyToken, writer.by())?;
    let until = app.engine.world.now() + wanted.validity()?;
    rewrite(&app, &writer, &id, &condition, "rotated", |before| rotated(before, secret, until).map(Some)).await
}

/// Ends the previous value of a secret at once.
///
/// `secret` is `receive_url`, `webhook_secret`, `proxy_token` or `provider`. It is refused within 15 seconds from
/// then on. If there is none, nothing changes. Only owners may end the previous proxy token (403).
#[utoipa::path(delete, path = "/accounts/{id}/secrets/{secret}/previous", tag = "accounts",
    params(("id" = String, Path), ("secret" = inline(PreviousSecret), Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn end_previous_secret(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath((id, secret)): FromPath<(AccountId, PreviousSecret)>,
    condition: IfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    may_replace(secret == PreviousSecret::ProxyToken, writer.by())?;
    let now = app.engine.world.now();
    rewrite(&app, &writer, &id, &condition, "ended", |before| Ok(ended(before, secret, now))).await
}

/// The customer's proxy is another company's, so its token is an owner's matter.
fn may_replace(proxy: bool, by: &Caller) -> Result<(), ApiError> {
    if !proxy || by.may(Role::Owner) { Ok(()) } else { Err(Error::Forbidden.into()) }
}

impl Rotation {
    /// How long that is.
    pub(crate) fn validity(&self) -> Result<SignedDuration, Errors> {
        match self.previous_valid_seconds {
            seconds @ 0..=VALID_SECONDS_MOST => Ok(SignedDuration::from_secs(seconds)),
            _ => Err(Errors::one("previous_valid_seconds", format!("must be from 0 to {VALID_SECONDS_MOST}"))),
        }
    }
}

/// The account with a new secret, whose previous one is accepted until `until`.
fn rotated(before: &Account, secret: GeneratedSecret, until: Timestamp) -> Result<(Account, Vec<Extra>), ApiError> {
    let mut after = Account { version: before.version + 1, ..before.clone() };
    let mut extra = Vec::new();
    match secret {
        GeneratedSecret::ReceiveUrl => {
            let account = || before.id.clone();
            after.receive_path = receive_path(&before.provider.kind, &token()?);
            extra.push(Extra::ReceiveToken { hash: hash(path_token(&after)), account: account() });
            let previous = ReplacedToken { hash: hash(path_token(before)), until };
            extra.push(Extra::ReplacedToken { hash: previous.hash.clone(), account: account(), until });
            if let Some(ended) = after.replaced.receive_token.replace(previous) {
                extra.push(Extra::EndedToken { hash: ended.hash });
            }
        }
        GeneratedSecret::WebhookSecret => {
            let previous = after.webhook_secret.replace(webhook_secret()?);
            after.replaced.webhook_secret = previous.map(|secret| ReplacedSecret { secret, until });
        }
        GeneratedSecret::ProxyToken => {
            let previous = std::mem::replace(&mut after.proxy_token, token()?.into());
            after.replaced.proxy_token = Some(ReplacedSecret { secret: previous, until });
        }
    }
    Ok((after, extra))
}

/// The account without a previous secret; `None` if it has none.
fn ended(before: &Account, secret: PreviousSecret, now: Timestamp) -> Option<(Account, Vec<Extra>)> {
    let mut after = Account { version: before.version + 1, ..before.clone() };
    let mut extra = Vec::new();
    match secret {
        PreviousSecret::ReceiveUrl => {
            let ended = after.replaced.receive_token.take()?;
            extra.push(Extra::EndedToken { hash: ended.hash });
        }
        PreviousSecret::WebhookSecret => drop(after.replaced.webhook_secret.take()?),
        PreviousSecret::ProxyToken => drop(after.replaced.proxy_token.take()?),
        PreviousSecret::Provider => after.replaced.credentials_revoked_at = Some(now),
    }
    Some((after, extra))
}

#[cfg(test)]
mod tests {
    use domain::account::ProxyTokens;
    use domain::fixtures;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_rotation_keeps_the_previous_value_for_its_time_and_ends_the_one_before() {
        let first = fixtures::account();
        let (second, extra) = rotated(&first, GeneratedSecret::ReceiveUrl, at(60)).unwrap();
        assert_eq!((second.version, extra.len()), (first.version + 1, 2));
        assert_ne!(path_token(&first), path_token(&second));
        let replaced = second.replaced.receive_token.clone().unwrap();
        assert_eq!(replaced, ReplacedToken { hash: hash(path_token(&first)), until: at(60) });
        let (third, extra) = rotated(&second, GeneratedSecret::ReceiveUrl, at(90)).unwrap();
        assert!(matches!(&extra[2], Extra::EndedToken { hash } if *hash == replaced.hash), "the first one ends now");
        let (_, extra) = ended(&third, PreviousSecret::ReceiveUrl, at(0)).unwrap();
        assert!(matches!(&extra[..], [Extra::EndedToken { hash }] if *hash == third.replaced.receive_token.clone().unwrap().hash));
    }

    #[test]
    fn each_secret_is_accepted_beside_its_previous_one_until_its_time() {
        let first = fixtures::account();
        let (second, _) = rotated(&first, GeneratedSecret::WebhookSecret, at(60)).unwrap();
        let (third, _) = rotated(&second, GeneratedSecret::ProxyToken, at(60)).unwrap();
        assert_eq!(third.webhook_secrets(at(59)).count(), 2);
        assert_eq!(third.webhook_secrets(at(60)).collect::<Vec<_>>(), [third.webhook_secret.as_ref().unwrap()]);
        let tokens = ProxyTokens::of(&third).unwrap();
        assert_eq!(tokens.accepted(at(59)).collect::<Vec<_>>(), [&third.proxy_token, &first.proxy_token]);
        assert_eq!(tokens.accepted(at(60)).count(), 1);
        let (fourth, _) = ended(&third, PreviousSecret::ProxyToken, at(0)).unwrap();
        assert_eq!((ProxyTokens::of(&fourth).unwrap().accepted(at(0)).count(), fourth.webhook_secrets(at(0)).count()), (1, 2));
        assert!(ended(&fourth, PreviousSecret::ProxyToken, at(0)).is_none(), "there is nothing to end");
        let (fifth, _) = ended(&fourth, PreviousSecret::Provider, at(7)).unwrap();
        assert_eq!(fifth.replaced.credentials_revoked_at, Some(at(7)));
    }

    #[test]
    fn an_account_of_the_version_before_has_no_previous_secrets_and_is_written_as_before() {
        let account = serde_json::to_value(fixtures::account()).unwrap();
        assert!(account.get("replaced").is_none());
        assert_eq!(serde_json::from_value::<Account>(account).unwrap(), fixtures::account());
    }

    #[test]
    fn a_previous_secret_is_accepted_for_a_week_at_most() {
        let read = |body: &str| serde_json::from_str::<Rotation>(body).unwrap().validity();
        assert_eq!(read("{}"), Ok(SignedDuration::from_hours(24)));
        assert_eq!(read(r#"{"previous_valid_seconds": 0}"#), Ok(SignedDuration::ZERO));
        assert_eq!(read(r#"{"previous_valid_seconds": 604800}"#), Ok(SignedDuration::from_hours(168)));
        for bad in ["-1", "604801"] {
            assert!(read(&format!(r#"{{"previous_valid_seconds": {bad}}}"#)).is_err(), "{bad}");
        }
    }
}
