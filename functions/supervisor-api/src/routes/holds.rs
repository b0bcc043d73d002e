//! Holds: what an owner keeps from being deleted.

use std::sync::Arc;

use api::{Body, Error, FromPath, Id, Overseer, Owner, Reader};
use audit::Action;
use axum::Json;
use axum::extract::State;
use domain::ids::ContactId;
use engine::ports::{Store, World};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Hold;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Failure;

/// The longest reason, in characters: a sentence or a file number.
const LONGEST_REASON: usize = 500;

/// Why something is held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holding {
    /// The reason, for whoever meets the hold: up to 500 characters.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// A hold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
pub(crate) struct HoldView {
    /// The owner: an agent's id, or the `sub` of the token if there is no agent record.
    who: String,
    /// Since when.
    at: Timestamp,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Hold> for HoldView {
    fn from(Hold { who, at, reason }: Hold) -> Self {
        Self { who, at, reason }
    }
}

impl Holding {
    fn checked(self) -> Result<Option<String>, Error> {
        let reason = self.reason.filter(|reason| !reason.trim().is_empty());
        let fits = reason.as_ref().is_none_or(|reason| reason.chars().count() <= LONGEST_REASON);
        if fits { Ok(reason) } else { Err(Error::field("reason", format!("must have at most {LONGEST_REASON} characters"))) }
    }
}

/// Returns an interaction's own hold. 404: it has none. Its contact may be held.
#[utoipa::path(
    get, path = "/interactions/{id}/hold", operation_id = "read_interaction_hold", tag = "holds",
    params(("id" = String, Path, description = "The interaction's id")), responses((status = OK, body = HoldView))
)]
pub(crate) async fn read(State(app): State<Arc<App>>, _: Overseer, FromPath(id): FromPath<String>) -> Result<Json<HoldView>, Failure> {
    let key = app.desk.locate(Reader::OfAll, &id).await?.key;
    Ok(Json(app.store().held(key.interaction.as_str()).await?.ok_or(Error::NotFound)?.into()))
}

/// Keeps an interaction from being deleted, by anybody and by the retention time.
#[utoipa::path(
    put, path = "/interactions/{id}/hold", operation_id = "hold_interaction", tag = "holds", request_body = Holding,
    params(("id" = String, Path, description = "The interaction's id")), responses((status = OK, body = HoldView))
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    FromPath(id): FromPath<String>,
    Body(holding): Body<Holding>,
) -> Result<Json<HoldView>, Failure> {
    let key = app.desk.locate(Reader::OfAll, &id).await?.key;
    let by = app.by(&caller).await?;
    let hold = Hold { who: by.who.clone(), at: app.desk.engine.world.now(), reason: holding.checked()? };
    let entry = app.entry(&by, Action::Held, "interaction", key.interaction.as_str(), &json!({"reason": hold.reason}));
    if app.store().hold_interaction(&key, &hold, &entry).await? { Ok(Json(hold.into())) } else { Err(Error::NotFound.into()) }
}

/// Ends the hold of an interaction.
#[utoipa::path(
    delete, path = "/interactions/{id}/hold", operation_id = "release_interaction", tag = "holds",
    params(("id" = String, Path, description = "The interaction's id")), responses((status = NO_CONTENT, description = "It has no hold of its own any more."))
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    FromPath(id): FromPath<String>,
) -> Result<StatusCode, Failure> {
    let key = app.desk.locate(Reader::OfAll, &id).await?.key;
    let entry = app.entry(&app.by(&caller).await?, Action::Released, "interaction", key.interaction.as_str(), &json!({}));
    app.store().release_hold(key.interaction.as_str(), &entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns a contact's hold. 404: it has none.
#[utoipa::path(
    get, path = "/contacts/{id}/hold", operation_id = "read_contact_hold", tag = "holds",
    params(("id" = String, Path, description = "The contact's id")), responses((status = OK, body = HoldView))
)]
pub(crate) async fn read_contact(State(app): State<Arc<App>>, _: Overseer, Id(id): Id<ContactId>) -> Result<Json<HoldView>, Failure> {
    Ok(Json(app.store().held(id.as_str()).await?.ok_or(Error::NotFound)?.into()))
}

/// Keeps all interactions of a contact from being deleted, and those of the contacts that are linked to it.
#[utoipa::path(
    put, path = "/contacts/{id}/hold", operation_id = "hold_contact", tag = "holds", request_body = Holding,
    params(("id" = String, Path, description = "The contact's id")), responses((status = OK, body = HoldView))
)]
pub(crate) async fn put_contact(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    Id(id): Id<ContactId>,
    Body(holding): Body<Holding>,
) -> Result<Json<HoldView>, Failure> {
    app.store().contact(&id).await?.filter(|contact| contact.erased.is_none()).ok_or(Error::NotFound)?;
    let by = app.by(&caller).await?;
    let hold = Hold { who: by.who.clone(), at: app.desk.engine.world.now(), reason: holding.checked()? };
    let entry = app.entry(&by, Action::Held, "contact", id.as_str(), &json!({"reason": hold.reason}));
    if app.store().hold_contact(&id, &hold, &entry).await? { Ok(Json(hold.into())) } else { Err(Error::NotFound.into()) }
}

/// Ends the hold of a contact.
#[utoipa::path(
    delete, path = "/contacts/{id}/hold", operation_id = "release_contact", tag = "holds",
    params(("id" = String, Path, description = "The contact's id")), responses((status = NO_CONTENT, description = "It has no hold any more."))
)]
pub(crate) async fn release_contact(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    Id(id): Id<ContactId>,
) -> Result<StatusCode, Failure> {
    let entry = app.entry(&app.by(&caller).await?, Action::Released, "contact", id.as_str(), &json!({}));
    app.store().release_hold(id.as_str(), &entry).await?;
    Ok(StatusCode::NO_CONTENT)
}
