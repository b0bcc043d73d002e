//! Giving interactions to other agents, and hiding closed ones from lists.

use api::{Body, Command, Error, FromPath};
use axum::Json;
use axum::extract::State;
use domain::decide::Event;
use domain::ids::AgentId;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::interactions::tell;
use crate::{Desk, Failure};

/// The agent who gets the interaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reassignment {
    /// The id of an agent of the account.
    agent: String,
}

/// The agent in a body.
///
/// # Errors
/// It is no agent's id.
pub fn agent(id: &str) -> Result<AgentId, Failure> {
    id.parse().map_err(|_| Failure::field("agent", "must be the id of an agent"))
}

/// Assigns an open interaction to an agent of its account who has a free slot.
///
/// Only supervisors, admins and owners may do this (403 otherwise). The interaction is offered to that agent first.
/// If the agent is unavailable or does not accept in time, the account's plan routes it.
#[utoipa::path(
    post, path = "/interactions/{id}/reassign", tag = "interactions", request_body = Reassignment,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn reassign(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(body): Body<Reassignment>,
) -> Result<Json<InteractionView>, Failure> {
    if !command.caller.oversees() {
        // A caller who may not see the interaction learns nothing else about it.
        return desk.locate(&command.caller, &id).await.and(Err(Error::Forbidden.into()));
    }
    let (by, to) = (command.caller.agent.clone(), agent(&body.agent)?);
    tell(&desk, &command, &id, Event::Reassign { by, to }).await
}

/// Hides a closed interaction from lists.
#[utoipa::path(
    post, path = "/interactions/{id}/archive", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn archive(State(desk): State<Desk>, command: Command, FromPath(id): FromPath<String>) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&desk, &command, &id, Event::Archive { agent }).await
}
