//! Presences: agents log in, pause and log out.

use audit::{By, Entry};
use domain::agent::{Capacity, Presence, PresenceState};
use domain::assign::rings_at_all;
use domain::decide::Event;
use domain::effect::{Audience, Effect, Notice, Target};
use domain::footprint::WaitingRow;
use domain::ids::AgentId;
use domain::values::to_millisecond;
use futures_util::future::try_join_all;
use ulid::Ulid;

use crate::assign::AT_ONCE;
use crate::ports::{Committed, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError, Told};

/// The interactions and offers that an agent loses.
#[derive(Debug, Default, PartialEq)]
pub struct Released {
    /// How many interactions go on without the agent.
    pub interactions: usize,
    /// Offers to all members of a queue that are not for this agent. They may have been until now, and may still be
    /// on the screen.
    pub unseen: Vec<WaitingRow>,
    /// Whether the time was over before everything was released. Call again: what is done stays done.
    pub unfinished: bool,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Sets an agent's presence. For a ready agent, the waiting interactions are looked at. For a paused or
    /// logged-out agent, offers at this agent alone are withdrawn.
    ///
    /// # Errors
    /// A port fails, or rivals win every attempt. It is safe to call again.
    pub async fn set_presence(&self, agent: &AgentId, state: PresenceState, mark: Idempotency) -> Result<Presence, EngineError> {
        self.change_presence(agent, state, mark, None).await
    }

    /// Sets an agent's presence on behalf of somebody else. The change has an entry in the audit trail, with the id
    /// `entry`.
    ///
    /// # Errors
    /// A port fails, or rivals win every attempt. It is safe to call again.
    pub async fn force_presence(
        &self,
        agent: &AgentId,
        state: PresenceState,
        mark: Idempotency,
        by: &By,
        entry: Ulid,
    ) -> Result<Presence, EngineError> {
        self.change_presence(agent, state, mark, Some((by, entry))).await
    }

    async fn change_presence(
        &self,
        agent: &AgentId,
        state: PresenceState,
        mark: Idempotency,
        forced: Option<(&By, Ulid)>,
    ) -> Result<Presence, EngineError> {
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let known = self.presence(agent).await?;
            let before = known.unwrap_or_else(|| Presence::logged_out(agent.clone(), Capacity::default(), now));
            if before.chosen == state && before.version > 0 {
                return Ok(before);
            }
            let mut effects = match state {
                PresenceState::Ready => vec![Effect::Wake { target: Target::Agent(agent.clone()) }],
                PresenceState::Paused { .. } | PresenceState::LoggedOut => self.ringing(&before).collect(),
            };
            effects.push(Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::Presence });
            let mut after = before.clone();
            if after.chosen != state {
                after.since = now;
                after.missed = 0;
            }
            if !after.logged_in() && state != PresenceState::LoggedOut {
                after.logged_in_at = Some(to_millisecond(now));
            }
            after.chosen = state.clone();
            after.forced_by = forced.map(|(by, _)| by.who.clone());
            after.version += 1;
            let entry = forced.map(|(by, id)| Entry::forced(id, by.clone(), &before, &after));
            let committed = match &entry {
                Some(entry) => self.store.commit_forced_presence(&after, &effects, &mark, entry).await?,
                None => self.store.commit_presence(&after, &effects, &mark).await?,
            };
            match committed {
                Committed::Done => return Ok(after),
                // It may have been another command, or another change has overtaken it since.
                Committed::AlreadyDone => return self.presence(agent).await?.ok_or(EngineError::NotFound),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Makes an agent's presence, logged out, or sets this capacity in the existing one, where transactions check
    /// it. The state stays as it is, even if it changes meanwhile.
    ///
    /// # Errors
    /// A port fails, or rivals win every attempt. It is safe to call again.
    pub async fn set_capacity(&self, agent: &AgentId, capacity: Capacity) -> Result<(), EngineError> {
        for attempt in 1..=ATTEMPTS {
            let known = self.presence(agent).await?;
            let is_new = known.is_none();
            let mut presence = known.unwrap_or_else(|| Presence::logged_out(agent.clone(), capacity, self.world.now()));
            if !is_new && presence.capacity == capacity {
                return Ok(());
            }
            let mut effects = Vec::new();
            if !is_new {
                effects.push(Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::Presence });
            }
            // New free slots for waiting interactions.
            if capacity > presence.capacity && presence.is_ready() {
                effects.push(Effect::Wake { target: Target::Agent(agent.clone()) });
            }
            if presence.load.len() >= capacity.get() {
                effects.extend(self.ringing(&presence));
            }
            presence.capacity = capacity;
            presence.version += 1;
            match self.store.commit_presence(&presence, &effects, &Idempotency::Guarded).await? {
                Committed::Done | Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// The effects that withdraw the offers at this agent alone.
    fn ringing(&self, presence: &Presence) -> impl Iterator<Item = Effect> {
        let (now, agent) = (self.world.now(), &presence.agent);
        let ringing = presence.ringing.iter().filter(move |(_, until)| **until > now);
        ringing.map(|(interaction, _)| Effect::Withdraw { interaction: interaction.clone(), agent: agent.clone() })
    }

    async fn presence(&self, agent: &AgentId) -> Result<Option<Presence>, EngineError> {
        Ok(self.store.presences(std::slice::from_ref(agent)).await?.remove(agent))
    }

    /// Releases an agent's interactions on accounts that the agent was taken off, and the agent's offers of queues
    /// and accounts that the agent was taken off. They go on without the agent. It takes some 15 s at most.
    ///
    /// # Errors
    /// A port fails. It is safe to call again.
    pub async fn release(&self, agent: &AgentId) -> Result<Released, EngineError> {
        let Some(presence) = self.presence(agent).await? else { return Ok(Released::default()) };
        let mut released = Released::default();
        let until = self.patience();
        for interaction in presence.ringing.keys() {
            let Some(key) = self.store.locate(interaction).await? else { continue };
            match self.tell_if_there(&key, Event::AgentUnavailable { agent: agent.clone() }).await {
                Ok(_) | Err(EngineError::NoAccount(_)) => {}
                Err(error) => return Err(error),
            }
            if self.world.now() >= until {
                return Ok(Released { unfinished: true, ..released });
            }
        }
        if presence.logged_in() {
            released.unseen = self.unseen(agent).await?;
        }
        for interaction in &presence.load {
            let Some(key) = self.store.locate(interaction).await? else { continue };
            let account = self.directory.account(&key.conversation.account).await?;
            if account.is_some_and(|account| !account.agents.contains(agent)) {
                let told = self.tell_if_there(&key, Event::AgentLeft { agent: agent.clone() }).await?;
                released.interactions += usize::from(matches!(told, Some(Told::Changed { .. })));
                if self.world.now() >= until {
                    return Ok(Released { unfinished: true, ..released });
                }
            }
        }
        Ok(released)
    }

    /// Offers to all members of a queue of `agent` for an account that the agent is not on, or for an account of
    /// `agent` at a queue that the agent is not in.
    ///
    /// If the agent left one of the two a moment ago, the offer may have been on the screen.
    async fn unseen(&self, agent: &AgentId) -> Result<Vec<WaitingRow>, EngineError> {
        let (now, accounts) = (self.world.now(), self.directory.accounts().await?);
        let of_account = |row: &WaitingRow| {
            accounts.iter().any(|account| account.id == row.interaction.conversation.account && account.agents.contains(agent))
        };
        let queues = self.directory.queues().await?;
        let queues: Vec<_> = queues.values().collect();
        let mut unseen = Vec::new();
        for some in queues.chunks(AT_ONCE) {
            let targets: Vec<Target> = some.iter().map(|queue| Target::Queue(queue.id.clone())).collect();
            let waiting = try_join_all(targets.iter().map(|target| self.store.waiting(target))).await?;
            for (queue, rows) in some.iter().zip(waiting) {
                let is_member = queue.members.contains(agent);
                unseen.extend(rows.into_iter().filter(|row| rings_at_all(row, now) && is_member != of_account(row)));
            }
        }
        Ok(unseen)
    }
}
