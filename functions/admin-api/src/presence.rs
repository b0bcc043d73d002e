//! The presence item that every agent has: transactions check the capacity in it.

use domain::agent::{Capacity, Presence};
use domain::effect::{Audience, Effect, Notice, Target};
use domain::ids::AgentId;
use engine::EngineError;
use engine::ports::{Committed, Mark, Store, World};

use crate::app::App;
use crate::error::ApiError;

/// Rivals are the agent's own log-ins and pauses: a handful at most.
const ATTEMPTS: u32 = 10;

/// Makes the agent's presence, logged out, or gives the one that is there this capacity; its state stays as it is, also when it changes meanwhile.
pub(crate) async fn ensure(app: &App, agent: &AgentId, capacity: Capacity) -> Result<(), ApiError> {
    for attempt in 1..=ATTEMPTS {
        let now = app.engine.world.now();
        let known = app.engine.store.presences(std::slice::from_ref(agent)).await?.remove(agent);
        let Some((presence, effects)) = next(known, agent, capacity, now) else { return Ok(()) };
        match app.engine.store.commit_presence(&presence, &effects, &Mark::Guarded).await? {
            Committed::Done | Committed::AlreadyDone => return Ok(()),
            Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => app.engine.world.pause(attempt).await,
        }
    }
    Err(EngineError::Busy.into())
}

/// The presence to write, with what that causes; `None` when all is as it should be.
fn next(known: Option<Presence>, agent: &AgentId, capacity: Capacity, now: jiff::Timestamp) -> Option<(Presence, Vec<Effect>)> {
    let is_new = known.is_none();
    let mut presence = known.unwrap_or_else(|| Presence::logged_out(agent.clone(), capacity, now));
    if !is_new && presence.capacity == capacity {
        return None;
    }
    let grew = capacity > presence.capacity;
    presence.capacity = capacity;
    presence.version += 1;
    let mut effects = Vec::new();
    if !is_new {
        effects.push(Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::Presence });
    }
    // New free slots for what waits.
    if grew && presence.is_ready() {
        effects.push(Effect::Wake { target: Target::Agent(agent.clone()) });
    }
    Some((presence, effects))
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use domain::agent::PresenceState;

    fn capacity(slots: i64) -> Capacity {
        Capacity::new(slots).unwrap()
    }

    #[test]
    fn a_new_agent_is_logged_out_and_nobody_is_told() {
        let agent = AgentId::from_ulid(Ulid(1));
        let (presence, effects) = next(None, &agent, capacity(3), jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((presence.version, presence.capacity, presence.logged_in(), effects.len()), (1, capacity(3), false, 0));
    }

    #[test]
    fn a_new_capacity_keeps_the_state_and_offers_what_waits_when_it_grew() {
        let agent = AgentId::from_ulid(Ulid(1));
        let mut ready = Presence::logged_out(agent.clone(), capacity(3), jiff::Timestamp::UNIX_EPOCH);
        (ready.chosen, ready.version) = (PresenceState::Ready, 7);
        let change = |to| next(Some(ready.clone()), &agent, capacity(to), jiff::Timestamp::MAX);
        assert!(change(3).is_none());
        let (more, effects) = change(4).unwrap();
        assert_eq!((more.chosen, more.since, more.version), (PresenceState::Ready, jiff::Timestamp::UNIX_EPOCH, 8));
        assert!(effects.contains(&Effect::Wake { target: Target::Agent(agent.clone()) }));
        assert_eq!(change(2).unwrap().1.len(), 1);
    }
}
