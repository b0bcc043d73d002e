//! Pauses: reasons for being unavailable.

use api::Error;
use axum::extract::State;
use domain::catalog::Pause;
use domain::ids::PauseId;
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, delete_unused, written};
use crate::error::ApiError;
use crate::input::PauseInput;
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Administrator, Body, Id, IfMatch, Overseer, Page, Parameters};

/// A reason for being unavailable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(crate) struct PauseView {
    /// Its id.
    #[schema(value_type = String)]
    id: PauseId,
    /// What agents choose, and supervisors see.
    name: String,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(pause: Pause, version: u64) -> PauseView {
    let Pause { id, name } = pause;
    PauseView { id, name, version }
}

/// Makes a pause.
///
/// A POST that is repeated is refused (422), as the name is taken.
#[utoipa::path(post, path = "/pauses", tag = "pauses", request_body = PauseInput,
    responses((status = 201, description = "Made.", body = PauseView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_pause(
    State(app): State<App>,
    Administrator(by): Administrator,
    Body(body): Body,
) -> Result<Versioned<PauseView>, ApiError> {
    let input = PauseInput::parse(body, None)?;
    let pause = Pause { id: PauseId::from_ulid(cloud::ids::ulid()), name: input.name };
    let version = written(app.configuration().put(&pause, Write::New, Vec::new()).await?)?;
    changed("pause", "created", pause.id.as_str(), &by);
    let place = app.place("pauses", pause.id.as_str());
    Ok(Versioned::made(view(pause, version), place))
}

/// The pauses. Supervisors may read them too.
#[utoipa::path(get, path = "/pauses", tag = "pauses", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<PauseView>), Refusals))]
pub(crate) async fn list_pauses(State(app): State<App>, _: Overseer, parameters: Parameters) -> Result<Listed<PauseView>, ApiError> {
    app.list(&Page::of::<PauseId>(&parameters)?, view).await
}

/// One pause. Supervisors may read it too.
#[utoipa::path(get, path = "/pauses/{id}", tag = "pauses", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = PauseView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_pause(State(app): State<App>, _: Overseer, Id(id): Id<PauseId>) -> Result<Versioned<PauseView>, ApiError> {
    let (pause, version) = app.load::<Pause>(id.as_str()).await?;
    Ok(Versioned::new(view(pause, version), version))
}

/// Replaces a pause. Who is on it stays on it, under the name that it had.
#[utoipa::path(put, path = "/pauses/{id}", tag = "pauses", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = PauseInput,
    responses((status = 200, description = "Replaced.", body = PauseView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_pause(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<PauseId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<PauseView>, ApiError> {
    let (before, version) = app.load::<Pause>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let pause = Pause { id, name: PauseInput::parse(body, Some(&shown))?.name };
    let version = written(app.configuration().put(&pause, Write::Replace { before: &before, version }, Vec::new()).await?)?;
    changed("pause", "replaced", pause.id.as_str(), &by);
    Ok(Versioned::new(view(pause, version), version))
}

/// Deletes a pause. Refused (409, `in-use`) while an account puts agents on it until they have given the disposition.
#[utoipa::path(delete, path = "/pauses/{id}", tag = "pauses", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_pause(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<PauseId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (pause, version) = app.load::<Pause>(id.as_str()).await?;
    condition.check(version)?;
    delete_unused(&app, &pause, version, |account| account.settings.disposition_pause.as_ref() == Some(&id)).await?;
    changed("pause", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
