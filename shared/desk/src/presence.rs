//! An agent's presence, as everybody sees it, and the presence that a supervisor forces.

use api::{Body, Command, Error, FromPath, Reader};
use audit::By;
use axum::Json;
use axum::extract::State;
use domain::agent::{Agent, Presence, PresenceState, PresenceWord};
use domain::catalog::Pause;
use domain::ids::AgentId;
use engine::ports::{Store, World};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::short_text;
use crate::{Desk, Failure};

/// A reason is a word or two on a supervisor's screen.
const LONGEST_REASON: usize = 100;

/// A presence.
#[derive(Debug, Serialize, ToSchema)]
pub struct PresenceView {
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
    /// Who chose the state for the agent: a supervisor's agent id, or the `sub` of a token without an agent's record.
    /// Absent: the agent, or the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// That person's name. Lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_name: Option<String>,
}

/// The requested presence.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceChange {
    /// The state of presence.
    state: PresenceWord,
    /// The reason for a pause; required for a pause and not allowed otherwise. If pauses are configured (`GET /me`),
    /// it must be one of them. Otherwise: 1 to 100 characters.
    reason: Option<String>,
}

impl PresenceChange {
    /// `pauses`: the configured pauses.
    ///
    /// # Errors
    /// The reason is missing, superfluous or not among the pauses.
    pub fn state(&self, pauses: &[Pause]) -> Result<PresenceState, Failure> {
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
        Self {
            state,
            reason,
            since,
            capacity: presence.capacity.get(),
            load: presence.load.len(),
            by: presence.forced_by.clone(),
            by_name: None,
        }
    }
}

impl Desk {
    /// A presence with the name of whoever forced it.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn presence_view(&self, presence: &Presence) -> Result<PresenceView, Failure> {
        let by = presence.forced_by.as_deref().and_then(|by| by.parse().ok());
        let by = if let Some(by) = by { self.agent(&by).await? } else { None };
        Ok(PresenceView { by_name: by.map(|by| by.name), ..presence.into() })
    }

    /// Checks that a presence is as the command wants it. If not, it is that of an earlier command with its key, or
    /// somebody has changed it since.
    ///
    /// # Errors
    /// The table can't be read, or the key came before with another body.
    pub async fn meant(&self, command: &Command, presence: &Presence, state: &PresenceState) -> Result<(), Failure> {
        if presence.chosen != *state {
            self.earlier(command, None).await?;
        }
        Ok(())
    }
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
pub async fn force_presence(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(change): Body<PresenceChange>,
) -> Result<Json<PresenceView>, Failure> {
    if !command.caller.oversees() {
        return Err(Error::Forbidden.into());
    }
    let state = change.state(&desk.directory().pauses().await?)?;
    if state == PresenceState::Ready {
        return Err(Failure::field("state", "must be paused or logged_out: agents become ready themselves"));
    }
    let id: AgentId = id.parse().map_err(|_| Error::NotFound)?;
    let agent = desk.fresh_agent(&id).await?.ok_or(Error::NotFound)?;
    let before = presence_of(&desk, &agent).await?;
    // Pausing would log the agent in. A repeated command returns the agent's present state, which may have changed
    // since.
    if !before.logged_in() && state != PresenceState::LoggedOut {
        return if desk.earlier(&command, None).await?.is_some() {
            Ok(Json(desk.presence_view(&before).await?))
        } else {
            Err(Failure::LoggedOut)
        };
    }
    let word = state.word().name();
    let by = By { who: command.caller.agent.to_string(), role: Some(command.caller.role) };
    let presence = desk.engine.force_presence(&agent.id, state.clone(), command.mark(), &by, desk.engine.world.ulid()).await?;
    desk.meant(&command, &presence, &state).await?;
    tracing::info!(event = "presence.forced", of = agent.id.as_str(), by = command.caller.agent.as_str(), state = word);
    Ok(Json(desk.presence_view(&presence).await?))
}

/// Returns an agent's presence.
///
/// Only supervisors, admins and owners may read it (403 otherwise).
#[utoipa::path(
    get, path = "/agents/{id}/presence", tag = "agent", params(("id" = String, Path, description = "The agent's id")),
    responses((status = OK, body = PresenceView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn presence_of_agent(
    State(desk): State<Desk>,
    reader: Reader,
    FromPath(id): FromPath<String>,
) -> Result<Json<PresenceView>, Failure> {
    if !reader.oversees() {
        return Err(Error::Forbidden.into());
    }
    let id: AgentId = id.parse().map_err(|_| Error::NotFound)?;
    let agent = desk.agent(&id).await?.ok_or(Error::NotFound)?;
    Ok(Json(desk.presence_view(&presence_of(&desk, &agent).await?).await?))
}

/// An agent's presence: logged out before the first login.
async fn presence_of(desk: &Desk, agent: &Agent) -> Result<Presence, Failure> {
    let known = desk.store().presences(std::slice::from_ref(&agent.id)).await?.remove(&agent.id);
    Ok(known.unwrap_or_else(|| Presence::logged_out(agent.id.clone(), agent.capacity, desk.now())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::PauseId;
    use ulid::Ulid;

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
        let pauses = [Pause { id: PauseId::from_ulid(Ulid::nil()), name: "Lunch".into() }];
        let change = |reason: &str| PresenceChange { state: PresenceWord::Paused, reason: Some(reason.into()) }.state(&pauses);
        assert_eq!(change("Lunch").unwrap(), PresenceState::Paused { reason: "Lunch".into() });
        assert!(change("Golf").is_err());
    }
}
