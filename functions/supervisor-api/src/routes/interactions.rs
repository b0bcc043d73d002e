//! One interaction.

use std::sync::Arc;

use api::{Error, FromPath, Overseer};
use axum::Json;
use axum::extract::State;
use engine::ports::Store;
use views::InteractionView;

use crate::app::App;
use crate::error::Failure;

/// Returns an interaction of any account.
///
/// Reading it marks nothing as read.
#[utoipa::path(
    get, path = "/interactions/{id}", operation_id = "read_interaction", tag = "interactions",
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Overseer(_caller): Overseer,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let key = app.locate(&id).await?;
    let interaction = app.store().interaction(&key).await?.ok_or(Error::NotFound)?;
    Ok(Json((&interaction).into()))
}
