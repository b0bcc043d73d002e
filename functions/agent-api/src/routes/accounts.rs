//! What an account's people see of it: its open interactions, and each other.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::agent::{Agent, Presence};
use domain::ids::{AgentId, InteractionId};
use domain::interaction::Interaction;
use domain::view::InteractionView;
use engine::ports::{Directory, Store};
use futures_util::future::try_join;
use serde::Serialize;
use utoipa::ToSchema;

use super::Named;
use super::me::PresenceView;
use crate::app::App;
use crate::caller::Caller;
use crate::input::{Parameters, Place};
use crate::problem::Failure;

/// A screen or two of them.
const PAGE: i32 = 50;
/// An interaction has 2 KB or so: a page stays far below the 6 MB that a Lambda may answer.
const LONGEST_PAGE: i32 = 100;
/// DynamoDB reads at most 100 items in one batch.
const LOOKED_AT_ONCE: usize = 100;
/// How many interactions a page looks at when it leaves out most of them: some tenths of a second; then the client asks for the next page.
const LOOKED_AT: usize = 500;

/// A page of an account's open interactions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenInteractions {
    /// The newest first. What opened or closed a moment ago may be missing or be there already.
    interactions: Vec<InteractionView>,
    /// Where the next page begins: send it as `after`. Absent: this was the last one. A page may turn out to be shorter than asked for, or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<InteractionId>,
}

/// Whom an agent of an account works with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Colleagues {
    /// The account's agents with their presence, by name: an interaction can be transferred to each of them but the caller.
    agents: Vec<Colleague>,
    /// Everybody else, by name: whom interactions, events and the history may name too.
    others: Vec<Named>,
    /// The queues, by name: an interaction can be transferred to each.
    queues: Vec<Named>,
}

/// An agent of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Colleague {
    /// The agent's id.
    #[schema(value_type = String)]
    id: AgentId,
    /// What the agent is called.
    name: String,
    #[serde(flatten)]
    presence: PresenceView,
}

/// The open interactions of an account of the caller; supervisors and up see those of all accounts.
#[utoipa::path(
    get, path = "/accounts/{id}/interactions", tag = "interactions",
    params(
        ("id" = String, Path, description = "The account's id"),
        ("waiting" = Option<bool>, Query, description = "`true`: only those that no agent has, which can be picked"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 100, 50 unless told")
    ),
    responses((status = OK, body = OpenInteractions), (status = NOT_FOUND, body = cloud::http::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn interactions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(id): Place<String>,
    parameters: Parameters,
) -> Result<Json<OpenInteractions>, Failure> {
    let limit = usize::try_from(parameters.limit(PAGE, LONGEST_PAGE)?).unwrap_or_default();
    let (waiting, mut after) = (parameters.flag("waiting")?, parameters.id::<InteractionId>("after")?);
    let account = app.account(&caller, &id).await?;
    // Of those that somebody has most are left out.
    let step = if waiting { LOOKED_AT_ONCE } else { limit };
    let (mut shown, mut looked_at) = (Vec::<Interaction>::new(), 0);
    let next = loop {
        let places = app.store().open_interactions(&account.id, after.as_ref(), step).await?;
        after = places.last().filter(|_| places.len() == step).map(|last| last.interaction.clone());
        looked_at += places.len();
        let mut found = app.store().interactions_at(&places).await?;
        found.sort_by(|one, other| other.id.cmp(&one.id));
        // The index is a moment behind: the interaction itself says whether it is open.
        found.retain(|found| found.is_open() && (!waiting || found.agent.is_none()));
        let room = limit - shown.len();
        let left_over = found.len() > room;
        found.truncate(room);
        shown.extend(found);
        if left_over {
            break shown.last().map(|last| last.id.clone());
        }
        if after.is_none() || shown.len() == limit || looked_at >= LOOKED_AT {
            break after;
        }
    };
    Ok(Json(OpenInteractions { interactions: shown.iter().map(InteractionView::from).collect(), next }))
}

/// Who can be transferred to in an account of the caller, and what the ids are called that interactions, events and the history carry; supervisors and up ask for
/// any account.
#[utoipa::path(
    get, path = "/accounts/{id}/colleagues", tag = "agent", params(("id" = String, Path, description = "The account's id")),
    responses((status = OK, body = Colleagues), (status = NOT_FOUND, body = cloud::http::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn colleagues(State(app): State<Arc<App>>, caller: Caller, Place(id): Place<String>) -> Result<Json<Colleagues>, Failure> {
    let account = app.account(&caller, &id).await?;
    let (all, queues) = try_join(app.directory().agents(), app.directory().queues()).await?;
    let (members, others): (Vec<&Agent>, Vec<&Agent>) = all.values().partition(|agent| account.agents.contains(&agent.id));
    let ids: Vec<AgentId> = members.iter().map(|agent| agent.id.clone()).collect();
    let presences = app.store().presences(&ids).await?;
    let mut agents: Vec<Colleague> = (members.into_iter())
        .map(|agent| {
            let never = || PresenceView::from(&Presence::logged_out(agent.id.clone(), agent.capacity, app.now()));
            let presence = presences.get(&agent.id).map_or_else(never, PresenceView::from);
            Colleague { id: agent.id.clone(), name: agent.name.clone(), presence }
        })
        .collect();
    agents.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    let others = by_name(others.into_iter().map(|agent| Named { id: agent.id.to_string(), name: agent.name.clone() }));
    let queues = by_name(queues.values().map(|queue| Named { id: queue.id.to_string(), name: queue.name.clone() }));
    Ok(Json(Colleagues { agents, others, queues }))
}

fn by_name(all: impl Iterator<Item = Named>) -> Vec<Named> {
    let mut all: Vec<Named> = all.collect();
    all.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    all
}
