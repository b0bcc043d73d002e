//! Watching a thread live.

use std::sync::Arc;

use api::{Command, FromPath};
use axum::Json;
use axum::extract::State;
use desk::Failure;
use desk::interactions::{Done, settle};
use domain::decide::Event;
use engine::ports::World;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// The caller's watch of an interaction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Watch {
    /// The end of the watch, unless it is renewed by another PUT.
    until: Timestamp,
}

/// Watches an interaction: the caller's feed carries it live.
///
/// The feed (`GET /agent/events` and the WebSocket) gets its messages, their states and its changes, as the feed of
/// the agent who has it does. It is not marked as read, and its routing stays as it is. Nobody is told. Watch first,
/// then read the thread: so nothing is missed in between.
///
/// A watch ends after four hours, when the interaction closes, and when the caller logs out, is deleted or loses the
/// role. Another PUT renews it. The audit trail tells of its beginning, and of the DELETE. 409: `closed`;
/// `too-many-watchers`, when five others watch it.
#[utoipa::path(
    put, path = "/interactions/{id}/watch", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = Watch), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn watch(State(app): State<Arc<App>>, command: Command, FromPath(id): FromPath<String>) -> Result<Json<Watch>, Failure> {
    let by = command.caller.agent.clone();
    let now = change(&app, &command, &id, Event::Watch { by }).await?;
    let own = now.interaction().watchers.iter().find(|watcher| watcher.agent == command.caller.agent);
    // A repetition may come after the end.
    Ok(Json(Watch { until: own.map_or_else(|| app.desk.now(), |watcher| watcher.until) }))
}

/// Ends the caller's watch of an interaction.
///
/// If the caller does not watch it, nothing changes.
#[utoipa::path(
    delete, path = "/interactions/{id}/watch", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = NO_CONTENT, description = "The caller does not watch it"), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn unwatch(State(app): State<Arc<App>>, command: Command, FromPath(id): FromPath<String>) -> Result<StatusCode, Failure> {
    let by = command.caller.agent.clone();
    change(&app, &command, &id, Event::Unwatch { by }).await.map(|_| StatusCode::NO_CONTENT)
}

async fn change(app: &App, command: &Command, id: &str, event: Event) -> Result<Done, Failure> {
    let place = app.desk.locate(&command.caller, id).await?;
    let told = app.desk.engine.watch(&place.key, event, command.mark(), command.basis(), app.desk.engine.world.ulid()).await?;
    settle(&app.desk, command, told).await
}
