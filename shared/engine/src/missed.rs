//! Offers that nobody answered.

use domain::agent::PresenceState;
use domain::effect::{Audience, Effect, Notice};
use domain::ids::AgentId;
use domain::queue::MissedLimit;

use crate::ports::{Committed, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// The pause of somebody who missed too many offers in a row.
pub const MISSED_TOO_MANY: &str = "missed offers";

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// An agent let an offer ring. As many of them in a row as `limit`, and the agent is paused; accepting, or any change of presence, begins a new row.
    ///
    /// # Errors
    /// When a port fails or rivals win every attempt; calling again with the same mark is safe.
    pub async fn missed(&self, agent: &AgentId, limit: MissedLimit, mark: Idempotency) -> Result<(), EngineError> {
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let known = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent);
            // Whoever has gone meanwhile is asked nothing more.
            let Some(mut after) = known.filter(|presence| presence.is_ready()) else { return Ok(()) };
            after.version += 1;
            after.missed += 1;
            let mut effects = Vec::new();
            if after.missed >= limit.get() {
                after.chosen = PresenceState::Paused { reason: MISSED_TOO_MANY.to_owned() };
                after.since = now;
                after.missed = 0;
                let ringing = after.ringing.iter().filter(|(_, until)| **until > now);
                effects.extend(ringing.map(|(interaction, _)| Effect::Withdraw { interaction: interaction.clone(), agent: agent.clone() }));
                effects.push(Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::Presence });
            }
            match self.store.commit_presence(&after, &effects, &mark).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }
}
