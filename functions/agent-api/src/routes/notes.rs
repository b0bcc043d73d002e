//! Internal notes: agents see them in the thread, the customer never does.

use std::sync::Arc;

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use domain::ids::MessageId;
use engine::ports::World;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use views::MessageView;

use super::messages::{created, settled};
use crate::app::App;
use crate::problem::Failure;
use crate::text::long_text;

/// As long as WhatsApp lets a text be: a note stands in the same thread.
const LONGEST_NOTE: usize = 4096;

/// A note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// What it says: 1 to 4096 characters.
    text: String,
}

/// Adds a note that the customer never sees to the thread of an interaction that the caller may read, also of a closed one.
#[utoipa::path(
    post, path = "/interactions/{id}/notes", tag = "messages", request_body = NewNote,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = CREATED, body = MessageView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn note(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(note): Body<NewNote>,
) -> Result<(StatusCode, Json<MessageView>), Failure> {
    let text = long_text("text", &note.text, LONGEST_NOTE)?;
    let place = app.locate(&command.caller, &id).await?;
    let message = MessageId::from_ulid(app.engine.world.ulid());
    let by = command.caller.agent.clone();
    let told = app.engine.note_based_on(&place.key, by, message, text, command.mark(), command.version).await?;
    Ok(created(&settled(&app, &command, &place.key, told).await?))
}
