//! Agents.

use std::collections::BTreeMap;

use api::{Caller, Error};
use cloud::auth::RoleSource;
use domain::account::Account;
use domain::agent::{Agent, Capacity, PresenceState, Role};
use domain::effect::Target;
use domain::ids::AgentId;
use domain::queue::Queue;
use domain::screens::Screens;
use engine::ports::{Idempotency, Store};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{AgentInput, Errors, answers_without};
use crate::resource::{Change, Mode, Resource};
use crate::shells::shells;

/// A person with a role: agent, supervisor, admin or owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentView {
    /// The agent's id.
    id: AgentId,
    /// The name that colleagues see.
    name: String,
    /// The `sub` claim of the person's token.
    subject: String,
    /// The agent's role. With `RoleSource=claim` it grants nothing.
    role: Role,
    /// Whether interactions are offered to the agent.
    whatsapp: bool,
    /// How many open interactions the agent may hold.
    #[schema(value_type = i64)]
    capacity: Capacity,
    /// Increases with every change. The `ETag` has the same value.
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
        let AgentInput { name, subject, email: _, role, whatsapp, capacity } = input;
        let subject = subject.clone().ok_or_else(|| Errors::one("subject", "is required"))?;
        Ok(Self { id, name: name.clone(), subject, role: *role, whatsapp: *whatsapp, capacity: *capacity })
    }

    fn view(self, version: u64, _: &App) -> AgentView {
        let Self { id, name, subject, role, whatsapp, capacity } = self;
        AgentView { id, name, subject, role, whatsapp, capacity, version }
    }

    fn screens(before: Option<&Self>, after: Option<&Self>) -> Option<Screens> {
        Screens::of_agent(before, after)
    }

    /// Only owners manage admins and owners.
    fn permit(&self, by: &Caller) -> Result<(), ApiError> {
        may_manage(by, self.role)
    }

    /// The subject of a person who is invited by e-mail; a dry run invites nobody. If an earlier call failed after
    /// the invitation, the same call finds the person and completes the work.
    async fn complete(app: &App, input: &mut AgentInput, by: &Caller, mode: Mode) -> Result<(), ApiError> {
        let Some(email) = &input.email else { return Ok(()) };
        // A caller who may not add the agent must not send an invitation.
        may_manage(by, input.role)?;
        let users = app.users.as_ref().ok_or_else(|| Errors::one("email", "needs a user pool of this deployment; give the subject"))?;
        let person = match mode {
            Mode::Write => users.person(email).await?,
            // A stranger gets a subject with the invitation.
            Mode::Dry => users.known(email).await?.unwrap_or_default(),
        };
        if app.configuration().record_of_subject(&person.subject).await?.is_some() {
            return Err(Errors::one("email", "another agent has this e-mail address").into());
        }
        if mode == Mode::Write {
            users.welcome(email, &person).await?;
        }
        input.subject = Some(person.subject);
        Ok(())
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        if change.before.is_some_and(|before| before.role == Role::Owner) && change.after.role != Role::Owner {
            another_owner(app, &change.after.id).await?;
        }
        let switched_off = change.before.is_some_and(|before| before.whatsapp) && !change.after.whatsapp;
        if switched_off { somebody_is_left(app, &change.after.id).await } else { Ok(()) }
    }

    /// The presence is written first, so that every agent has one. If the next write fails, the presence belongs to
    /// an unused id.
    async fn prepare(app: &App, change: &Change<'_, Self>) -> Result<Vec<String>, ApiError> {
        if change.before.is_none() {
            app.engine.set_capacity(&change.after.id, change.after.capacity).await?;
        }
        Ok(Vec::new())
    }

    async fn finish(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        app.engine.set_capacity(&change.after.id, change.after.capacity).await?;
        if !change.after.whatsapp {
            // Agents who are logged out get no offers, and agent-api does not let an agent without WhatsApp become
            // ready.
            app.engine.set_presence(&change.after.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        }
        if change.before.is_some_and(|before| loses_rights(before, change.after)) {
            app.close_sockets(&change.after.id).await;
        }
        Ok(())
    }

    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        if self.role == Role::Owner {
            another_owner(app, &self.id).await?;
        }
        users(app, &self.id).await
    }

    /// This happens before the agent is deleted. If the deletion fails, the agent is logged out and can log in again.
    async fn leave(&self, app: &App) -> Result<(), ApiError> {
        app.engine.set_presence(&self.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        // The person is disabled first. If a later step fails, the same DELETE completes it.
        if let Some(users) = &app.users {
            users.disable(&self.subject).await?;
        }
        Ok(())
    }

    /// A socket that opens meanwhile is refused, since the record is gone.
    async fn left(&self, app: &App) {
        app.close_sockets(&self.id).await;
    }
}

/// Whether a change takes rights from an agent, so that open screens show what the agent must not see any more.
fn loses_rights(before: &Agent, after: &Agent) -> bool {
    before.role > after.role || (before.whatsapp && !after.whatsapp) || before.subject != after.subject
}

/// Only owners manage admins and owners.
fn may_manage(by: &Caller, role: Role) -> Result<(), ApiError> {
    if role < Role::Admin || by.may(Role::Owner) { Ok(()) } else { Err(Error::Forbidden.into()) }
}

/// Fails if `agent` is the last owner. With roles from the token there is no such check.
async fn another_owner(app: &App, agent: &AgentId) -> Result<(), ApiError> {
    if app.access.role_source == RoleSource::Claim {
        return Ok(());
    }
    let agents = app.configuration().all::<Agent>().await?;
    let others = agents.iter().any(|(other, _)| other.id != *agent && other.role == Role::Owner);
    if others { Ok(()) } else { Err(ApiError::LastOwner) }
}

shells! {
    Agent: AgentInput => AgentView, "agents", "/agents", "/agents/{id}";

    /// Lists the agents.
    ///
    /// Supervisors may read them too.
    list list_agents;

    /// Adds an agent, logged out.
    ///
    /// Only owners may add admins and owners (403).
    ///
    /// If the deployment has its own user pool, `email` instead of `subject` invites the person. 503
    /// `invitation-not-sent`: send the same request later to complete it. Subjects are unique, so a repeated POST is
    /// refused (422).
    create create_agent;

    /// Returns an agent.
    ///
    /// Supervisors may read it too.
    get get_agent;

    /// Replaces an agent.
    ///
    /// Refused (409) if it switches WhatsApp off for the last agent of an active account (`no-agent`), or if it takes
    /// the role from the last owner (`last-owner`). Only owners may change admins and owners, or grant these roles
    /// (403).
    put put_agent;

    /// Changes fields of an agent.
    ///
    /// Refused (409) if it switches WhatsApp off for the last agent of an active account (`no-agent`), or if it takes
    /// the role from the last owner (`last-owner`). Only owners may change admins and owners, or grant these roles
    /// (403).
    patch patch_agent;

    /// Deletes an agent.
    ///
    /// Refused (409, `in-use`) while an account, a queue or a plan refers to the agent, or the agent has an open
    /// interaction. Refused (409, `last-owner`) for the last owner. Only owners may delete admins and owners (403).
    /// If the deployment has its own user pool, the person is disabled there.
    delete delete_agent;
}

/// Fails if an active account would have no agent left to answer.
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

/// The accounts (by key) and queues (by id) that refer to the agent, the interactions that the agent holds, and those
/// that wait only for this agent.
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
