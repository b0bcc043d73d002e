//! Agents, their roles and their presence.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, InteractionId};
use crate::values::Invalid;

/// A person who answers customers, or oversees or administers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Ours.
    pub id: AgentId,
    /// Shown to colleagues.
    pub name: String,
    /// The `sub` claim of the person's token: how a caller is recognised.
    pub subject: String,
    /// What the person may do.
    pub role: Role,
    /// Whether interactions are offered to this person.
    pub whatsapp: bool,
    /// How many open interactions the agent may hold.
    pub capacity: Capacity,
}

/// What a person may do; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works on interactions of own accounts.
    Agent,
    /// Also reads, oversees, exports and deletes interactions.
    Supervisor,
    /// Also configures everything but owners.
    Admin,
    /// Also manages admins and owners, retention and erasure.
    Owner,
}

/// Open interactions that an agent may hold: 1 to 100, 5 unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Capacity(u8);

impl Capacity {
    /// Takes 1 to 100.
    pub fn new(slots: i64) -> Result<Self, Invalid> {
        match u8::try_from(slots) {
            Ok(slots @ 1..=100) => Ok(Self(slots)),
            _ => Err(Invalid("must be from 1 to 100")),
        }
    }

    /// The number of interactions.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<i64> for Capacity {
    type Error = Invalid;
    fn try_from(slots: i64) -> Result<Self, Invalid> {
        Self::new(slots)
    }
}

impl From<Capacity> for i64 {
    fn from(capacity: Capacity) -> i64 {
        i64::from(capacity.0)
    }
}

/// Where an agent stands right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Whose.
    pub agent: AgentId,
    /// What the agent chose; [`Presence::state`] is what counts.
    #[serde(rename = "state")]
    pub chosen: PresenceState,
    /// Interactions that the agent asked to close and that still lack their disposition.
    #[serde(default)]
    pub wrapping_up: BTreeSet<InteractionId>,
    /// The pause on which the agent is as long as there are any.
    #[serde(default)]
    pub wrap_up_pause: String,
    /// Since when.
    pub since: Timestamp,
    /// Copied from the agent, so that a transaction can check it.
    pub capacity: Capacity,
    /// The open interactions assigned to the agent: a set, never a counter.
    pub load: BTreeSet<InteractionId>,
    /// The interactions that ring at this agent alone, and until when.
    pub ringing: BTreeMap<InteractionId, Timestamp>,
    /// How many offers were missed in a row, of those that count.
    #[serde(default)]
    pub missed: u32,
    /// When something rang at this agent alone last.
    #[serde(default)]
    pub last_offered: Option<Timestamp>,
    /// When the agent logged in last: tabs that were opened before are closed since.
    #[serde(default)]
    pub logged_in_at: Option<Timestamp>,
    /// Grows with every change of state; effects and their ids derive from it.
    pub version: u64,
    /// Grows with every change of state, load or ringing: what a ring decided on must still be true when it is written.
    pub revision: u64,
}

/// Logged out, ready or paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PresenceState {
    /// Not there.
    LoggedOut,
    /// Takes interactions.
    Ready,
    /// There, but takes none.
    Paused {
        /// Why.
        reason: String,
    },
}

/// A [`PresenceState`] without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PresenceWord {
    /// Not there.
    LoggedOut,
    /// Takes interactions.
    Ready,
    /// There, but takes none.
    Paused,
}

impl PresenceWord {
    /// The word itself, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::Ready => "ready",
            Self::Paused => "paused",
        }
    }
}

impl PresenceState {
    /// The state without its reason.
    pub fn word(&self) -> PresenceWord {
        match self {
            Self::LoggedOut => PresenceWord::LoggedOut,
            Self::Ready => PresenceWord::Ready,
            Self::Paused { .. } => PresenceWord::Paused,
        }
    }
}

impl Presence {
    /// Somebody who never logged in.
    pub fn logged_out(agent: AgentId, capacity: Capacity, now: Timestamp) -> Self {
        Self {
            agent,
            chosen: PresenceState::LoggedOut,
            wrapping_up: BTreeSet::new(),
            wrap_up_pause: String::new(),
            since: now,
            capacity,
            load: BTreeSet::new(),
            ringing: BTreeMap::new(),
            missed: 0,
            last_offered: None,
            logged_in_at: None,
            version: 0,
            revision: 0,
        }
    }

    /// Logged out, ready or paused: what the agent chose, but on a pause while a disposition is owed.
    pub fn state(&self) -> PresenceState {
        match &self.chosen {
            PresenceState::Ready | PresenceState::Paused { .. } if !self.wrapping_up.is_empty() => {
                PresenceState::Paused { reason: self.wrap_up_pause.clone() }
            }
            chosen => chosen.clone(),
        }
    }

    /// Whether the agent takes interactions.
    pub fn is_ready(&self) -> bool {
        self.chosen == PresenceState::Ready && self.wrapping_up.is_empty()
    }

    /// Logged in: ready or paused.
    pub fn logged_in(&self) -> bool {
        self.chosen != PresenceState::LoggedOut
    }

    /// Ready and with a free slot.
    pub fn available(&self) -> bool {
        self.is_ready() && self.has_room()
    }

    /// Whether the agent may hold one more interaction.
    pub fn has_room(&self) -> bool {
        self.load.len() < self.capacity.get()
    }

    /// How many more interactions may ring at this agent: free slots less what already rings. None unless ready.
    pub fn free_slots(&self, now: Timestamp) -> usize {
        if !self.is_ready() {
            return 0;
        }
        let ringing = self.ringing.iter().filter(|(id, until)| **until > now && !self.load.contains(*id)).count();
        self.capacity.get().saturating_sub(self.load.len() + ringing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn capacity_is_1_to_100() {
        assert!(Capacity::new(0).is_err() && Capacity::new(101).is_err() && Capacity::new(-1).is_err());
        assert_eq!(Capacity::new(100).map(Capacity::get), Ok(100));
    }

    #[test]
    fn what_rings_takes_a_slot_until_it_stops() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + jiff::SignedDuration::from_secs(5);
        let mut presence = Presence::logged_out(AgentId::from_ulid(Ulid::nil()), Capacity::new(2).unwrap(), now);
        assert_eq!(presence.free_slots(now), 0);
        presence.chosen = PresenceState::Ready;
        presence.ringing.insert(InteractionId::from_ulid(Ulid::from_parts(1, 1)), later);
        assert_eq!(presence.free_slots(now), 1);
        assert_eq!(presence.free_slots(later), 2);
        presence.load.insert(InteractionId::from_ulid(Ulid::from_parts(1, 2)));
        assert_eq!(presence.free_slots(now), 0);
        assert!(presence.available());
    }

    #[test]
    fn who_owes_a_disposition_is_on_its_pause_and_then_as_before() {
        let mut presence = Presence::logged_out(AgentId::from_ulid(Ulid::nil()), Capacity::default(), Timestamp::UNIX_EPOCH);
        presence.wrap_up_pause = "After-call work".into();
        presence.wrapping_up.insert(InteractionId::from_ulid(Ulid::from_parts(1, 1)));
        assert_eq!(presence.state(), PresenceState::LoggedOut);
        for chosen in [PresenceState::Ready, PresenceState::Paused { reason: "Lunch".into() }] {
            presence.chosen = chosen.clone();
            assert_eq!(presence.state(), PresenceState::Paused { reason: "After-call work".into() });
            assert!(
                !presence.is_ready() && !presence.available() && presence.logged_in() && presence.free_slots(Timestamp::UNIX_EPOCH) == 0
            );
            let done = Presence { wrapping_up: BTreeSet::new(), ..presence.clone() };
            assert_eq!(done.state(), chosen);
        }
    }
}
