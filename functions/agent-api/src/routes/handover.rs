//! Handing interactions over: transfer and pick. Also reopen.

use std::sync::Arc;

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use desk::Failure;
use desk::handover::agent;
use desk::interactions::tell;
use domain::decide::Event;
use domain::effect::Target;
use domain::ids::QueueId;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::app::App;

/// The target of a transfer: an agent of the account, or a queue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    /// The agent's id. Give either this or `queue`.
    agent: Option<String>,
    /// The queue's id. Give either this or `agent`.
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

/// Transfers one of the caller's interactions to another agent or a queue.
///
/// The caller keeps the interaction until an agent accepts it. If no agent accepts within the account's time limit,
/// or all agents reject it, the caller gets it back as unread.
///
/// 409: `transfer-off`, `no-customer-message` (the caller wrote first, and the customer has not replied yet),
/// `transfer-underway`, `no-such-target` (an unknown target, one outside the account, or the caller), `not-yours`,
/// `closed`, `account-inactive`.
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
    tell(&app.desk, &command, &id, Event::Transfer { agent, to }).await
}

/// Takes an interaction that no agent has, whether it is being offered or not.
///
/// The caller must be ready and have a free slot.
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
    tell(&app.desk, &command, &id, Event::Pick { agent }).await
}

/// Reopens a closed interaction and gives it to the caller.
///
/// The caller must be ready and have a free slot. 409 `other-open`: the customer has another open interaction on the
/// account, named in `other`.
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
    tell(&app.desk, &command, &id, Event::Reopen { agent }).await
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
