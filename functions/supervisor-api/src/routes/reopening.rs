//! Opening closed interactions again.

use std::sync::Arc;

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use desk::Failure;
use desk::handover::agent;
use desk::interactions::tell;
use domain::decide::Event;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::app::App;

/// For whom to open an interaction again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reopening {
    /// The id of an agent of the account, who is offered it first. If absent, the account's plan finds somebody.
    agent: Option<String>,
}

/// Opens a closed interaction again, for an agent or for whomever the account's plan finds.
///
/// The interaction is unread then. 409: `still-open`; `merged`; `other-open`, when the customer has another open
/// interaction on the account, named in `other`; `no-such-target` and `at-capacity` of the agent.
#[utoipa::path(
    post, path = "/interactions/{id}/reopen", tag = "interactions", request_body = Reopening,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn reopen(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(body): Body<Reopening>,
) -> Result<Json<InteractionView>, Failure> {
    let (by, to) = (command.caller.agent.clone(), body.agent.as_deref().map(agent).transpose()?);
    tell(&app.desk, &command, &id, Event::ReopenFor { by, to }).await
}
