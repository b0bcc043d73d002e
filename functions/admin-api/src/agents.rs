//! Agents.

use api::{Caller, Error};
use std::collections::BTreeMap;

use axum::extract::State;
use domain::account::Account;
use domain::agent::{Agent, Capacity, PresenceState, Role};
use domain::effect::Target;
use domain::ids::AgentId;
use domain::queue::Queue;
use engine::ports::{Idempotency, Store};
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, new_agent_id, settled, written};
use crate::error::ApiError;
use crate::input::{AgentInput, answers_without};
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Administrator, Body, Id, IfMatch, Overseer, Page, Parameters};

/// A person who answers customers, oversees or administers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentView {
    /// Its id.
    #[schema(value_type = String)]
    id: AgentId,
    /// Shown to colleagues.
    name: String,
    /// The `sub` claim of the person's token.
    subject: String,
    /// `agent`, `supervisor`, `admin` or `owner`. It grants nothing: what a caller may do, the role claim of the token says.
    #[schema(value_type = String)]
    role: Role,
    /// Whether interactions are offered to this person.
    whatsapp: bool,
    /// How many open interactions the agent may hold.
    #[schema(value_type = i64)]
    capacity: Capacity,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(agent: Agent, version: u64) -> AgentView {
    let Agent { id, name, subject, role, whatsapp, capacity } = agent;
    AgentView { id, name, subject, role, whatsapp, capacity, version }
}

fn agent_of(id: AgentId, input: AgentInput) -> Agent {
    let AgentInput { name, subject, role, whatsapp, capacity } = input;
    Agent { id, name, subject, role, whatsapp, capacity }
}

/// Only owners manage admins and owners.
fn may_manage(by: &Caller, role: Role) -> Result<(), ApiError> {
    if role < Role::Admin || by.may(Role::Owner) { Ok(()) } else { Err(Error::Forbidden.into()) }
}

/// Adds an agent, logged out. Admins and owners are added by owners only (403).
///
/// A POST that is repeated is refused (422), as the subject is taken.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = AgentInput,
    responses((status = 201, description = "Added.", body = AgentView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_agent(
    State(app): State<App>,
    Administrator(by): Administrator,
    Body(body): Body,
) -> Result<Versioned<AgentView>, ApiError> {
    let input = AgentInput::parse(body, None)?;
    may_manage(&by, input.role)?;
    let agent = agent_of(new_agent_id(), input);
    // First, so that no agent is without; should the next write fail, it is of an id that nobody has.
    app.engine.set_capacity(&agent.id, agent.capacity).await?;
    let version = written(app.configuration().put(&agent, Write::New, Vec::new()).await?)?;
    changed("agent", "created", agent.id.as_str(), &by);
    let place = app.place("agents", agent.id.as_str());
    Ok(Versioned::made(view(agent, version), place))
}

/// The agents. Supervisors may read them too.
#[utoipa::path(get, path = "/agents", tag = "agents", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<AgentView>), Refusals))]
pub(crate) async fn list_agents(State(app): State<App>, _: Overseer, parameters: Parameters) -> Result<Listed<AgentView>, ApiError> {
    app.list(&Page::of::<AgentId>(&parameters)?, view).await
}

/// One agent. Supervisors may read it too.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = AgentView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_agent(State(app): State<App>, _: Overseer, Id(id): Id<AgentId>) -> Result<Versioned<AgentView>, ApiError> {
    let (agent, version) = app.load::<Agent>(id.as_str()).await?;
    Ok(Versioned::new(view(agent, version), version))
}

/// Replaces an agent. Refused (409, `no-agent`) when WhatsApp is switched off for the last agent of an active account; admins and owners are changed and
/// made by owners only (403).
#[utoipa::path(put, path = "/agents/{id}", tag = "agents", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = AgentInput,
    responses((status = 200, description = "Replaced.", body = AgentView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_agent(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<AgentId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<AgentView>, ApiError> {
    let (before, version) = app.load::<Agent>(id.as_str()).await?;
    may_manage(&by, before.role)?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let agent = agent_of(id, AgentInput::parse(body, Some(&shown))?);
    may_manage(&by, agent.role)?;
    let write = Write::Replace { before: &before, version };
    let mut attempts = app.attempts();
    let version = loop {
        let at = attempts.next().await?;
        if before.whatsapp && !agent.whatsapp {
            somebody_is_left(&app, &agent.id).await?;
        }
        if let Some(version) = settled(app.configuration().put_at(at, &agent, &write, &[]).await?)? {
            break version;
        }
    };
    changed("agent", "replaced", agent.id.as_str(), &by);
    // Should this fail, the same PUT with the new ETag completes it.
    app.engine.set_capacity(&agent.id, agent.capacity).await?;
    if !agent.whatsapp {
        // Nothing is offered to who is logged out, and agent-api lets nobody without WhatsApp be ready again.
        app.engine.set_presence(&agent.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
    }
    Ok(Versioned::new(view(agent, version), version))
}

/// Deletes an agent. Refused (409, `in-use`) while an account, a queue or a plan has the agent, or the agent has an open interaction; admins and owners
/// are deleted by owners only (403).
#[utoipa::path(delete, path = "/agents/{id}", tag = "agents", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_agent(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<AgentId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (agent, version) = app.load::<Agent>(id.as_str()).await?;
    may_manage(&by, agent.role)?;
    condition.check(version)?;
    let mut attempts = app.attempts();
    loop {
        let at = attempts.next().await?;
        let users = users(&app, &id).await?;
        if !users.is_empty() {
            return Err(ApiError::InUse { users });
        }
        // Before the agent is gone: a failure leaves somebody logged out, who can log in again.
        app.engine.set_presence(&id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        if settled(app.configuration().delete_at(at, &agent, version).await?)?.is_some() {
            break;
        }
    }
    changed("agent", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}

/// Fails when an active account would be left with nobody to answer.
async fn somebody_is_left(app: &App, agent: &AgentId) -> Result<(), ApiError> {
    let agents: BTreeMap<AgentId, bool> =
        app.configuration().all::<Agent>().await?.into_iter().map(|(agent, _)| (agent.id, agent.whatsapp)).collect();
    let whatsapp = |agent: &AgentId| agents.get(agent).copied().unwrap_or(false);
    let accounts = app.configuration().all::<Account>().await?;
    let left: Vec<String> = accounts
        .iter()
        .filter(|(account, _)| !answers_without(account, agent, whatsapp))
        .map(|(account, _)| account.key.to_string())
        .collect();
    if left.is_empty() { Ok(()) } else { Err(ApiError::NoAgent { accounts: left }) }
}

/// Accounts (by key) and queues (by id) that have the agent, and interactions that the agent holds or that wait for nobody else.
async fn users(app: &App, id: &AgentId) -> Result<Vec<String>, ApiError> {
    let has_it = |account: &Account| account.agents.contains(id) || account.plan.agents().any(|agent| agent == id);
    let (accounts, queues) = (app.configuration().all::<Account>().await?, app.configuration().all::<Queue>().await?);
    let mut users: Vec<String> =
        accounts.iter().filter(|(account, _)| has_it(account)).map(|(account, _)| format!("account:{}", account.key)).collect();
    users.extend(queues.iter().filter(|(queue, _)| queue.members.contains(id)).map(|(queue, _)| format!("queue:{}", queue.id)));
    let presences = app.engine.store.presences(std::slice::from_ref(id)).await?;
    let waiting = app.engine.store.waiting(&Target::Agent(id.clone())).await?;
    let held = presences.into_values().flat_map(|presence| presence.load);
    users.extend(held.chain(waiting.into_iter().map(|row| row.interaction.interaction)).map(|id| format!("interaction:{id}")));
    Ok(users)
}
