//! Switches the AI agent on or off for an interaction.

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use domain::decide::Event;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::interactions::tell;
use crate::{Desk, Failure};

/// Whether an AI agent answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AiSwitch {
    /// `true`: the AI agent answers until a human agent accepts the interaction or someone switches it off.
    on: bool,
}

/// Switches the AI agent on or off for an interaction.
///
/// Switched on, the account's AI agent answers. The interaction's agent may switch it, and so may supervisors, admins
/// and owners. It also stops when a human agent accepts the interaction, and when it hands over. Switched off, it
/// answers no more in this interaction unless somebody switches it on. 409 `no-ai-agent`: the interaction has no AI
/// agent to answer it.
#[utoipa::path(
    put, path = "/interactions/{id}/ai", tag = "interactions", request_body = AiSwitch,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn switch_ai(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(AiSwitch { on }): Body<AiSwitch>,
) -> Result<Json<InteractionView>, Failure> {
    let (by, oversees) = (command.caller.agent.clone(), command.caller.oversees());
    tell(&desk, &command, &id, Event::AiSwitched { by, oversees, on }).await
}
