//! The calling agent and presences.

use std::sync::Arc;

use api::{AgentCaller, Body, Command, Error, FromPath};
use audit::By;
use axum::Json;
use axum::extract::State;
use desk::text::short_text;
use domain::agent::{Agent, Presence, PresenceState, PresenceWord, Role};
use domain::catalog::Pause;
use domain::ids::AgentId;
use domain::tag::Tag;
use engine::ports::{Directory, Idempotency, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Named;
use crate::app::App;
use crate::problem::Failure;

/// A reason is a word or two on a supervisor's screen.
const LONGEST_REASON: usize = 100;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The agent's id.
    id: AgentId,
    /// The name that colleagues see.
    name: String,
    /// The caller's role.
    role: Role,
    /// Whether interactions are offered to the caller.
    whatsapp: bool,
    /// How many open interactions the agent may hold.
    capacity: usize,
    /// The accounts the agent belongs to. For supervisors, admins and owners: all accounts.
    accounts: Vec<MyAccount>,
    /// The queues the agent belongs to.
    queues: Vec<Named>,
    /// The reasons for a pause. If the list is empty, any text is allowed.
    pauses: Vec<String>,
    /// The tags to choose from. If the list is empty, any text is allowed.
    tags: Vec<Tag>,
}

/// An account of the caller.
#[derive(Debug, Serialize, ToSchema)]
struct MyAccount {
    /// The account's id.
    id: String,
    /// Five letters or digits, shown on tabs.
    key: String,
    /// Display name.
    name: String,
    /// Whether the caller is one of the account's agents. Interactions are offered only to these.
    member: bool,
    /// Whether closing requires a disposition.
    mandatory_disposition: bool,
    /// The dispositions to choose from: the account's own, then the general ones. Each has up to three levels
    /// separated by `/`. If the list is empty, any text is allowed.
    dispositions: Vec<String>,
    /// Whether the account has a recontact template.
    recontact: bool,
}

/// A presence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresenceView {
    /// The state of presence.
    state: PresenceWord,
    /// The reason for the pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When this state began. Absent before the first login.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// How many open interactions the agent may hold.
    capacity: usize,
    /// How many open interactions the agent holds.
    load: usize,
}

/// The requested presence.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresenceChange {
    /// The state of presence.
    state: PresenceWord,
    /// The reason for a pause; required for a pause and not allowed otherwise. If pauses are configured (`GET /me`),
    /// it must be one of them. Otherwise: 1 to 100 characters.
    reason: Option<String>,
}

impl PresenceChange {
    /// `pauses`: the configured pauses.
    fn state(&self, pauses: &[Pause]) -> Result<PresenceState, Failure> {
        match (self.state, &self.reason) {
            (PresenceWord::Paused, Some(reason)) => {
                let reason = short_text("reason", reason, LONGEST_REASON)?;
                if !pauses.is_empty() && pauses.iter().all(|pause| pause.name != reason) {
                    return Err(Failure::field("reason", "is not among the pauses to choose from"));
                }
                Ok(PresenceState::Paused { reason })
            }
            (PresenceWord::Paused, None) => Err(Failure::field("reason", "is required to pause")),
            (PresenceWord::Ready | PresenceWord::LoggedOut, Some(_)) => Err(Failure::field("reason", "is only for a pause")),
            (PresenceWord::Ready, None) => Ok(PresenceState::Ready),
            (PresenceWord::LoggedOut, None) => Ok(PresenceState::LoggedOut),
        }
    }
}

impl From<&Presence> for PresenceView {
    fn from(presence: &Presence) -> Self {
        let state = presence.state();
        let (state, reason) = match (state.word(), state) {
            (word, PresenceState::Paused { reason }) => (word, Some(reason)),
            (word, PresenceState::LoggedOut | PresenceState::Ready) => (word, None),
        };
        let since = (presence.version > 0).then_some(presence.since);
        Self { state, reason, since, capacity: presence.capacity.get(), load: presence.load.len() }
    }
}

/// Returns the caller's record, accounts and choices.
#[utoipa::path(get, path = "/me", tag = "agent", responses((status = OK, body = Me)))]
pub(crate) async fn me(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<Json<Me>, Failure> {
    let agent = app.desk.agent(&caller.agent).await?.ok_or(Error::NoAgent)?;
    let accounts = app.directory().accounts().await?;
    let queues = app.directory().queues().await?;
    let general = app.directory().dispositions().await?;
    let accounts = accounts.iter().filter(|account| caller.reads(account)).map(|account| MyAccount {
        id: account.id.to_string(),
        key: account.key.to_string(),
        name: account.name.clone(),
        member: account.agents.contains(&agent.id),
        mandatory_disposition: account.settings.mandatory_disposition,
        dispositions: blended(&account.settings.dispositions, &general),
        recontact: account.settings.recontact.is_some(),
    });
    let queues = queues.values().filter(|queue| queue.members.contains(&agent.id));
    let queues = queues.map(|queue| Named { id: queue.id.to_string(), name: queue.name.clone() });
    Ok(Json(Me {
        role: caller.role,
        whatsapp: agent.whatsapp,
        capacity: agent.capacity.get(),
        accounts: accounts.collect(),
        queues: queues.collect(),
        pauses: app.directory().pauses().await?.iter().map(|pause| pause.name.clone()).collect(),
        tags: app.directory().tags().await?.iter().map(|known| known.tag.clone()).collect(),
        id: agent.id,
        name: agent.name,
    }))
}

/// The account's own dispositions, then the general ones that it does not have itself.
fn blended(own: &[String], general: &[String]) -> Vec<String> {
    own.iter().chain(general.iter().filter(|name| !own.contains(name))).cloned().collect()
}

/// Returns the caller's presence.
#[utoipa::path(get, path = "/presence", tag = "agent", responses((status = OK, body = PresenceView)))]
pub(crate) async fn presence(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<Json<PresenceView>, Failure> {
    if let Some(presence) = app.store().presences(std::slice::from_ref(&caller.agent)).await?.get(&caller.agent) {
        return Ok(Json(presence.into()));
    }
    let agent = app.desk.agent(&caller.agent).await?.ok_or(Error::NoAgent)?;
    Ok(Json((&Presence::logged_out(agent.id, agent.capacity, app.now())).into()))
}

/// Changes the caller's presence: log in, pause, resume or log out.
///
/// Pausing and logging out withdraw all offers to the caller at once. 409 `whatsapp-disabled`: the caller has
/// WhatsApp switched off and can't become ready.
#[utoipa::path(put, path = "/presence", tag = "agent", request_body = PresenceChange, responses((status = OK, body = PresenceView)))]
pub(crate) async fn set_presence(
    State(app): State<Arc<App>>,
    command: Command,
    Body(change): Body<PresenceChange>,
) -> Result<Json<PresenceView>, Failure> {
    let state = change.state(&app.directory().pauses().await?)?;
    let agent = app.fresh_agent(&command.caller.agent).await?.ok_or(Error::NoAgent)?;
    if state == PresenceState::Ready && !agent.whatsapp {
        return Err(Failure::NotEnabled);
    }
    let ready = state == PresenceState::Ready;
    let presence = app.desk.engine.set_presence(&agent.id, state, command.mark()).await?;
    // WhatsApp was switched off in the meantime. That change may have logged the agent out just before this one.
    if ready && !app.fresh_agent(&agent.id).await?.is_some_and(|agent| agent.whatsapp) {
        app.desk.engine.set_presence(&agent.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        return Err(Failure::NotEnabled);
    }
    Ok(Json((&presence).into()))
}

/// Pauses another agent or logs the agent out.
///
/// Only supervisors, admins and owners may do this (403 otherwise). Offers to the agent are withdrawn at once. An
/// agent can't be made ready this way. 409 `logged-out`: an agent who is logged out stays logged out.
#[utoipa::path(
    put, path = "/agents/{id}/presence", tag = "agent", params(("id" = String, Path, description = "The agent's id")), request_body = PresenceChange,
    responses(
        (status = OK, body = PresenceView),
        (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn force_presence(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(change): Body<PresenceChange>,
) -> Result<Json<PresenceView>, Failure> {
    if !command.caller.oversees() {
        return Err(Error::Forbidden.into());
    }
    let state = change.state(&app.directory().pauses().await?)?;
    if state == PresenceState::Ready {
        return Err(Failure::field("state", "must be paused or logged_out: agents become ready themselves"));
    }
    let id: AgentId = id.parse().map_err(|_| Error::NotFound)?;
    let agent = app.fresh_agent(&id).await?.ok_or(Error::NotFound)?;
    let before = presence_of(&app, &agent).await?;
    // Pausing would log the agent in. A repeated command returns the agent's present state, which may have changed
    // since.
    if !before.logged_in() && state != PresenceState::LoggedOut {
        return if app.desk.earlier(&command).await?.is_some() { Ok(Json((&before).into())) } else { Err(Failure::LoggedOut) };
    }
    let word = state.word().name();
    let by = By { who: command.caller.agent.to_string(), role: command.caller.role };
    let presence = app.desk.engine.force_presence(&agent.id, state, command.mark(), &by, cloud::ids::ulid()).await?;
    tracing::info!(event = "presence.forced", of = agent.id.as_str(), by = command.caller.agent.as_str(), state = word);
    Ok(Json((&presence).into()))
}

/// Returns an agent's presence.
///
/// Only supervisors, admins and owners may read it (403 otherwise).
#[utoipa::path(
    get, path = "/agents/{id}/presence", tag = "agent", params(("id" = String, Path, description = "The agent's id")),
    responses((status = OK, body = PresenceView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn presence_of_agent(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
) -> Result<Json<PresenceView>, Failure> {
    if !caller.oversees() {
        return Err(Error::Forbidden.into());
    }
    let id: AgentId = id.parse().map_err(|_| Error::NotFound)?;
    let agent = app.desk.agent(&id).await?.ok_or(Error::NotFound)?;
    Ok(Json((&presence_of(&app, &agent).await?).into()))
}

/// An agent's presence: logged out before the first login.
async fn presence_of(app: &App, agent: &Agent) -> Result<Presence, Failure> {
    let known = app.store().presences(std::slice::from_ref(&agent.id)).await?.remove(&agent.id);
    Ok(known.unwrap_or_else(|| Presence::logged_out(agent.id.clone(), agent.capacity, app.now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(body: serde_json::Value) -> Result<PresenceState, Failure> {
        serde_json::from_value::<PresenceChange>(body).unwrap().state(&[])
    }

    #[test]
    fn only_a_pause_has_a_reason() {
        use serde_json::json;
        assert_eq!(change(json!({"state": "ready"})).unwrap(), PresenceState::Ready);
        assert_eq!(change(json!({"state": "paused", "reason": " Lunch "})).unwrap(), PresenceState::Paused { reason: "Lunch".into() });
        for bad in [
            json!({"state": "paused"}),
            json!({"state": "paused", "reason": " "}),
            json!({"state": "paused", "reason": "x".repeat(101)}),
            json!({"state": "paused", "reason": "Lunch\nbreak"}),
            json!({"state": "ready", "reason": "Lunch"}),
        ] {
            let problem = serde_json::to_value(change(bad).unwrap_err().problem()).unwrap();
            assert_eq!((&problem["status"], &problem["errors"][0]["field"]), (&json!(422), &json!("reason")));
        }
    }

    #[test]
    fn the_reason_is_a_configured_pause_if_there_are_any() {
        let pauses = [Pause { id: domain::ids::PauseId::from_ulid(ulid::Ulid::nil()), name: "Lunch".into() }];
        let change = |reason: &str| PresenceChange { state: PresenceWord::Paused, reason: Some(reason.into()) }.state(&pauses);
        assert_eq!(change("Lunch").unwrap(), PresenceState::Paused { reason: "Lunch".into() });
        assert!(change("Golf").is_err());
        assert_eq!(blended(&["A".into(), "B".into()], &["B".into(), "C".into()]), ["A", "B", "C"]);
    }
}
