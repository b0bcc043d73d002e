//! Internal notes: agents see them among the messages, and the customer never does.

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use domain::ids::MessageId;
use domain::message::Content;
use engine::Sending;
use engine::ports::World;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use views::MessageView;

use crate::messages::{client_id, created, settled};
use crate::text::long_text;
use crate::{Desk, Failure};

/// The limit of a WhatsApp text, because a note appears among the messages.
const LONGEST_NOTE: usize = 4096;

/// A note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    /// The text: 1 to 4096 characters.
    text: String,
    /// An id that the client chooses: 1 to 64 printable ASCII characters without blanks. It comes back with the note.
    client_id: Option<String>,
}

/// Adds an internal note to an interaction that the caller may read.
///
/// The customer never sees it. Closed interactions accept notes too.
#[utoipa::path(
    post, path = "/interactions/{id}/notes", tag = "messages", request_body = NewNote,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = CREATED, body = MessageView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn note(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(note): Body<NewNote>,
) -> Result<(StatusCode, Json<MessageView>), Failure> {
    let text = long_text("text", &note.text, LONGEST_NOTE)?;
    let client_id = client_id(note.client_id.as_deref())?;
    let place = desk.locate(&command.caller, &id).await?;
    let message = MessageId::from_ulid(desk.engine.world.ulid());
    let by = command.caller.agent.clone();
    let note = Sending { client_id, ..Sending::new(message, Content::Note { body: text }) };
    let told = desk.engine.note_based_on(&place.key, by, note, command.mark(), command.basis()).await?;
    Ok(created(&settled(&desk, &command, &place.key, told).await?))
}
