//! Offers that nobody answered.

use domain::agent::PresenceState;
use domain::effect::{Audience, Effect, Notice};
use domain::ids::AgentId;
use domain::queue::MissedLimit;

use crate::ports::{Committed, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// The pause of an agent who missed too many offers in a row.
pub const MISSED_TOO_MANY: &str = "missed offers";

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Counts an offer that an agent let ring out. After `limit` of them in a row the agent is paused. An
    /// acceptance, or any change of presence, restarts the count.
    ///
    /// # Errors
    /// A port fails, or rivals win every attempt. It is safe to call again with the same mark.
    pub async fn missed(&self, agent: &AgentId, limit: MissedLimit, mark: Idempotency) -> Result<(), EngineError> {
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let known = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent);
            // An agent who is gone meanwhile needs no pause.
            let Some(mut after) = known.filter(|presence| presence.is_ready()) else { return Ok(()) };
            after.version += 1;
            after.missed += 1;
            let mut effects = Vec::new();
            if after.missed >= limit.get() {
                after.chosen = PresenceState::Paused { reason: MISSED_TOO_MANY.to_owned() };
                after.since = now;
                after.forced_by = None;
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
