//! The key of an account's translation. It is written, never shown.

use api::{Body, FromPath, IfMatch, Versioned};
use axum::extract::State;
use domain::account::Account;
use domain::google_key::GoogleKey;
use domain::ids::AccountId;
use domain::values::Secret;
use engine::ports::World;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::AccountView;
use crate::app::App;
use crate::error::ApiError;
use crate::input::Errors;
use crate::openapi::WriteRefusals;
use crate::resource::{Stored, Writer, rewrite};

/// The key of the translation's provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TranslationKey {
    /// A Google Cloud API key that may use the Cloud Translation API, or the contents of a service account's key file
    /// (JSON), whose project then pays.
    #[schema(min_length = 1, max_length = 10_000, write_only = true)]
    key: String,
}

impl std::fmt::Debug for TranslationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TranslationKey(…)")
    }
}

/// Sets the key of an account's translation.
///
/// It is used from now on and never shown. Amazon Translate needs no key.
#[utoipa::path(put, path = "/accounts/{id}/translation/key", tag = "accounts",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body(content = TranslationKey),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_translation_key(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath(id): FromPath<AccountId>,
    condition: IfMatch,
    Body(TranslationKey { key }): Body<TranslationKey>,
) -> Result<Versioned<AccountView>, ApiError> {
    GoogleKey::parse(&key).map_err(|invalid| Errors::one("key", invalid.0))?;
    // An account that does not exist gets no secret, and a refused change (412) leaves the key as it is.
    Stored::<Account>::load(&app, &writer, &id, Some(&condition)).await?;
    app.translation_keys.keep(&id, &Secret::from(key)).await?;
    let now = app.engine.world.now();
    rewrite(&app, &writer, &id, &condition, "translation key set", |before| Ok(Some((with_key(before, Some(now)), Vec::new())))).await
}

/// Removes the key of an account's translation.
///
/// If there is none, nothing changes.
#[utoipa::path(delete, path = "/accounts/{id}/translation/key", tag = "accounts",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_translation_key(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath(id): FromPath<AccountId>,
    condition: IfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    let without = |before: &Account| Ok(before.translation_key_set_at.map(|_| (with_key(before, None), Vec::new())));
    let shown = rewrite(&app, &writer, &id, &condition, "translation key removed", without).await?;
    app.translation_keys.delete(&id, true).await?;
    Ok(shown)
}

fn with_key(before: &Account, set_at: Option<Timestamp>) -> Account {
    Account { version: before.version + 1, translation_key_set_at: set_at, ..before.clone() }
}

/// Deletes the key of an account that no longer exists. The account's deletion does not depend on it.
pub(super) async fn forget_key(app: &App, id: &AccountId) {
    if let Err(error) = app.translation_keys.delete(id, true).await {
        tracing::error!(event = "admin.translation_key_left", account = id.as_str(), %error);
    }
}
