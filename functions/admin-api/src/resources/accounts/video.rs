//! The key of an account's video calls. It is written, never shown.

use api::{Body, FromPath, IfMatch, Versioned};
use axum::extract::State;
use domain::account::Account;
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

/// Keys of such APIs have some 40 to 200 characters.
const LONGEST_KEY: usize = 500;

/// The key of the provider of video calls.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoKey {
    /// Vidaoo's API key.
    #[schema(min_length = 1, max_length = 500, write_only = true)]
    key: String,
}

impl std::fmt::Debug for VideoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VideoKey(…)")
    }
}

/// Sets the key of an account's video calls.
///
/// It is used from now on and never shown.
#[utoipa::path(put, path = "/accounts/{id}/video/key", tag = "accounts",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body(content = VideoKey),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_video_key(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath(id): FromPath<AccountId>,
    condition: IfMatch,
    Body(VideoKey { key }): Body<VideoKey>,
) -> Result<Versioned<AccountView>, ApiError> {
    let printable = !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_graphic());
    if !printable {
        return Err(Errors::one("key", "must be 1 to 500 printable ASCII characters without blanks").into());
    }
    // An account that does not exist gets no secret, and a refused change (412) leaves the key as it is.
    Stored::<Account>::load(&app, &writer, &id, Some(&condition)).await?;
    app.video_keys.keep(&id, &Secret::from(key)).await?;
    let now = app.engine.world.now();
    rewrite(&app, &writer, &id, &condition, "video key set", |before| Ok(Some((with_key(before, Some(now)), Vec::new())))).await
}

/// Removes the key of an account's video calls.
///
/// If there is none, nothing changes.
#[utoipa::path(delete, path = "/accounts/{id}/video/key", tag = "accounts",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_video_key(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath(id): FromPath<AccountId>,
    condition: IfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    let without = |before: &Account| Ok(before.video_key_set_at.map(|_| (with_key(before, None), Vec::new())));
    let shown = rewrite(&app, &writer, &id, &condition, "video key removed", without).await?;
    app.video_keys.delete(&id, true).await?;
    Ok(shown)
}

fn with_key(before: &Account, set_at: Option<Timestamp>) -> Account {
    Account { version: before.version + 1, video_key_set_at: set_at, ..before.clone() }
}

/// Deletes the key of an account that no longer exists. The account's deletion does not depend on it.
pub(super) async fn forget_video_key(app: &App, id: &AccountId) {
    if let Err(error) = app.video_keys.delete(id, true).await {
        tracing::error!(event = "admin.video_key_left", account = id.as_str(), %error);
    }
}
