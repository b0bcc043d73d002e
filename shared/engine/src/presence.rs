//! Agents come, pause and go.

use domain::agent::{Capacity, Presence, PresenceState};
use domain::decide::Event;
use domain::effect::{Audience, Effect, Notice, Target};
use domain::ids::AgentId;

use crate::ports::{Committed, Directory, Mark, Store, World};
use crate::route::to_millisecond;
use crate::{ATTEMPTS, Engine, EngineError, Told};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Sets an agent's presence. Ready: what waits for the agent is looked at. Paused or logged out: what rings there alone is withdrawn.
    ///
    /// # Errors
    /// When a port fails or rivals win every attempt; calling again is safe.
    pub async fn set_presence(
        &self,
        agent: &AgentId,
        state: PresenceState,
        capacity: Capacity,
        mark: Mark,
    ) -> Result<Presence, EngineError> {
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let known = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent);
            let before = known.unwrap_or_else(|| Presence::logged_out(agent.clone(), capacity, now));
            if before.chosen == state && before.capacity == capacity && before.version > 0 {
                return Ok(before);
            }
            let mut effects = match state {
                PresenceState::Ready => vec![Effect::Wake { target: Target::Agent(agent.clone()) }],
                PresenceState::Paused { .. } | PresenceState::LoggedOut => {
                    let ringing = before.ringing.iter().filter(|(_, until)| **until > now);
                    ringing.map(|(interaction, _)| Effect::Withdraw { interaction: interaction.clone(), agent: agent.clone() }).collect()
                }
            };
            effects.push(Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::Presence });
            let mut after = before;
            if after.chosen != state {
                after.since = now;
                after.missed = 0;
            }
            if !after.logged_in() && state != PresenceState::LoggedOut {
                after.logged_in_at = Some(to_millisecond(now));
            }
            after.chosen = state.clone();
            after.capacity = capacity;
            after.version += 1;
            match self.store.commit_presence(&after, &effects, &mark).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(after),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// What an agent holds on accounts that the agent was taken off goes on without the agent; returns how many that were.
    ///
    /// # Errors
    /// When a port fails; calling again is safe.
    pub async fn release(&self, agent: &AgentId) -> Result<usize, EngineError> {
        let Some(presence) = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent) else { return Ok(0) };
        let mut released = 0;
        for interaction in &presence.load {
            let Some(key) = self.store.locate(interaction).await? else { continue };
            let account = self.directory.account(&key.conversation.account).await?;
            if account.is_some_and(|account| !account.agents.contains(agent)) {
                let told = self.tell(&key, Event::AgentLeft { agent: agent.clone() }, Mark::Guarded).await?;
                released += usize::from(matches!(told, Told::Changed { .. }));
            }
        }
        Ok(released)
    }
}
