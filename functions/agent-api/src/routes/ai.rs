//! Whether the AI agent answers an interaction.

use std::sync::Arc;

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use domain::decide::Event;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use super::interactions::tell;
use crate::app::App;
use crate::problem::Failure;

/// Whether an AI agent answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AiSwitch {
    /// `true`: until a person accepts or somebody switches it off.
    on: bool,
}

/// Has the account's AI agent (or the one that it was handed to before) answer, or stops it: its agent says so, and supervisors and up. A person's accept
/// stops it too. 409 `no-ai-agent`: there is none.
#[utoipa::path(
    put, path = "/interactions/{id}/ai", tag = "interactions", request_body = AiSwitch,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn switch_ai(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(AiSwitch { on }): Body<AiSwitch>,
) -> Result<Json<InteractionView>, Failure> {
    let (by, oversees) = (command.caller.agent.clone(), command.caller.oversees());
    tell(&app, &command, &id, Event::AiSwitched { by, oversees, on }).await
}
