//! From one agent to another: transfers, picking, reassigning; archived and opened again.

use std::sync::Arc;

use api::{Body, Command, Error, FromPath};
use axum::Json;
use axum::extract::State;
use domain::decide::Event;
use domain::effect::Target;
use domain::ids::{AgentId, QueueId};
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use super::interactions::tell;
use crate::app::App;
use crate::problem::Failure;

/// To whom an interaction is handed over: an agent of the account, or a queue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    /// The agent's id; either this or `queue`.
    agent: Option<String>,
    /// The queue's id.
    queue: Option<String>,
}

impl Transfer {
    fn target(&self) -> Result<Target, Failure> {
        match (&self.agent, &self.queue) {
            (Some(agent), None) => Ok(Target::Agent(self::agent(agent)?)),
            (None, Some(queue)) => {
                Ok(Target::Queue(queue.parse::<QueueId>().map_err(|_| Failure::field("queue", "must be the id of a queue"))?))
            }
            (Some(_), Some(_)) => Err(Failure::field("queue", "must be absent when agent is given")),
            (None, None) => Err(Failure::field("agent", "is required, or queue")),
        }
    }
}

/// To whom an interaction is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reassignment {
    /// The id of an agent of the account.
    agent: String,
}

fn agent(id: &str) -> Result<AgentId, Failure> {
    id.parse().map_err(|_| Failure::field("agent", "must be the id of an agent"))
}

/// Hands an own interaction over. The caller keeps it until somebody accepts; when nobody does in the account's time, or everybody rejects, it is the caller's
/// again, unread.
///
/// 409: `transfer-off`, `no-customer-message` (the caller wrote first, and nobody answered yet), `transfer-underway`, `no-such-target` (not of the account, unknown, or the caller), `not-yours`, `closed`, `account-inactive`.
#[utoipa::path(
    post, path = "/interactions/{id}/transfer", tag = "interactions", request_body = Transfer,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn transfer(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(body): Body<Transfer>,
) -> Result<Json<InteractionView>, Failure> {
    let (agent, to) = (command.caller.agent.clone(), body.target()?);
    tell(&app, &command, &id, Event::Transfer { agent, to }).await
}

/// Takes an interaction that nobody has, offered or not. Needs a ready caller with a free slot.
#[utoipa::path(
    post, path = "/interactions/{id}/pick", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn pick(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app, &command, &id, Event::Pick { agent }).await
}

/// Gives an open interaction to an agent of its account with a free slot; for supervisors and up (403 otherwise). The agent is asked first; who is not there, or
/// does not take it in time, loses it to the account's plan.
#[utoipa::path(
    post, path = "/interactions/{id}/reassign", tag = "interactions", request_body = Reassignment,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn reassign(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(body): Body<Reassignment>,
) -> Result<Json<InteractionView>, Failure> {
    if !command.caller.oversees() {
        // Who may not see it is told nothing else.
        return app.locate(&command.caller, &id).await.and(Err(Error::Forbidden.into()));
    }
    let (by, to) = (command.caller.agent.clone(), agent(&body.agent)?);
    tell(&app, &command, &id, Event::Reassign { by, to }).await
}

/// Hides a closed interaction from lists.
#[utoipa::path(
    post, path = "/interactions/{id}/archive", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn archive(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app, &command, &id, Event::Archive { agent }).await
}

/// Opens a closed interaction again; the caller, who must be ready and have a free slot, has it then. Refused (409 `other-open`, naming it in `other`) when the
/// customer has another open interaction on the account.
#[utoipa::path(
    post, path = "/interactions/{id}/reopen", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn reopen(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app, &command, &id, Event::Reopen { agent }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_names_one_agent_or_one_queue() {
        let target = |agent: Option<&str>, queue: Option<&str>| {
            Transfer { agent: agent.map(str::to_owned), queue: queue.map(str::to_owned) }.target().is_ok()
        };
        let (agent, queue) = ("agt_01ARZ3NDEKTSV4RRFFQ69G5FAV", "que_01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert!(target(Some(agent), None) && target(None, Some(queue)));
        for (agent, queue) in [(None, None), (Some(agent), Some(queue)), (Some(queue), None), (None, Some(agent)), (Some("anna"), None)] {
            assert!(!target(agent, queue), "{agent:?} {queue:?}");
        }
    }
}
