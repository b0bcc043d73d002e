//! Agents.

use std::collections::BTreeMap;

use api::{Caller, Error};
use domain::account::Account;
use domain::agent::{Agent, Capacity, PresenceState, Role};
use domain::effect::Target;
use domain::ids::AgentId;
use domain::queue::Queue;
use engine::ports::{Idempotency, Store};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{AgentInput, Errors, answers_without};
use crate::resource::{Change, Resource};
use crate::shells::shells;

/// A person who answers customers, oversees or administers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentView {
    /// Its id.
    id: AgentId,
    /// Shown to colleagues.
    name: String,
    /// The `sub` claim of the person's token.
    subject: String,
    /// `agent`, `supervisor`, `admin` or `owner`. It grants nothing: what a caller may do, the role claim of the token
    /// says.
    role: Role,
    /// Whether interactions are offered to this person.
    whatsapp: bool,
    /// How many open interactions the agent may hold.
    #[schema(value_type = i64)]
    capacity: Capacity,
    /// Grows with every change; the `ETag`.
    version: u64,
}

impl Resource for Agent {
    type Id = AgentId;
    type Input = AgentInput;
    type View = AgentView;
    const PLACE: &'static str = "agents";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<AgentInput, Errors> {
        AgentInput::parse(body, shown)
    }

    fn make(id: AgentId, input: &mut AgentInput, _: Option<&Self>) -> Result<Self, ApiError> {
        let AgentInput { name, subject, role, whatsapp, capacity } = input;
        Ok(Self { id, name: name.clone(), subject: subject.clone(), role: *role, whatsapp: *whatsapp, capacity: *capacity })
    }

    fn view(self, version: u64, _: &App) -> AgentView {
        let Self { id, name, subject, role, whatsapp, capacity } = self;
        AgentView { id, name, subject, role, whatsapp, capacity, version }
    }

    /// Only owners manage admins and owners.
    fn permit(&self, by: &Caller) -> Result<(), ApiError> {
        if self.role < Role::Admin || by.may(Role::Owner) { Ok(()) } else { Err(Error::Forbidden.into()) }
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        let switched_off = change.before.is_some_and(|before| before.whatsapp) && !change.after.whatsapp;
        if switched_off { somebody_is_left(app, &change.after.id).await } else { Ok(()) }
    }

    /// A new agent's presence comes first, so that no agent is without; should the next write fail, it is of an id
    /// that nobody has.
    async fn prepare(app: &App, change: &Change<'_, Self>) -> Result<Vec<String>, ApiError> {
        if change.before.is_none() {
            app.engine.set_capacity(&change.after.id, change.after.capacity).await?;
        }
        Ok(Vec::new())
    }

    async fn finish(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        app.engine.set_capacity(&change.after.id, change.after.capacity).await?;
        if !change.after.whatsapp {
            // Nothing is offered to who is logged out, and agent-api lets nobody without WhatsApp be ready again.
            app.engine.set_presence(&change.after.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        }
        Ok(())
    }

    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        users(app, &self.id).await
    }

    /// Before the agent is gone: a failure leaves somebody logged out, who can log in again.
    async fn leave(&self, app: &App) -> Result<(), ApiError> {
        app.engine.set_presence(&self.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        Ok(())
    }
}

shells! {
    Agent: AgentInput => AgentView, "agents", "/agents", "/agents/{id}";

    /// Lists the agents.
    ///
    /// Supervisors may read them too.
    list list_agents;

    /// Adds an agent, logged out.
    ///
    /// Admins and owners are added by owners only (403).
    ///
    /// A POST that is repeated is refused (422), as the subject is taken.
    create create_agent;

    /// Reads an agent.
    ///
    /// Supervisors may read it too.
    get get_agent;

    /// Replaces an agent.
    ///
    /// Refused (409, `no-agent`) when WhatsApp is switched off for the last agent of an active account; admins and
    /// owners are changed and made by owners only (403).
    put put_agent;

    /// Changes fields of an agent.
    ///
    /// Refused (409, `no-agent`) when WhatsApp is switched off for the last agent of an active account; admins and
    /// owners are changed and made by owners only (403).
    patch patch_agent;

    /// Deletes an agent.
    ///
    /// Refused (409, `in-use`) while an account, a queue or a plan has the agent, or the agent has an open
    /// interaction; admins and owners are deleted by owners only (403).
    delete delete_agent;
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

/// Accounts (by key) and queues (by id) that have the agent, and interactions that the agent holds or that wait for
/// nobody else.
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
