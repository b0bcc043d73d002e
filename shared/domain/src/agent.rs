//! Agents, their roles and their presence.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, InteractionId};
use crate::values::Invalid;

/// A person who answers customers, supervises agents or administers the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The agent's id.
    pub id: AgentId,
    /// The name that colleagues see.
    pub name: String,
    /// The `sub` claim of the person's token, by which the service recognises the caller.
    pub subject: String,
    /// The person's role.
    pub role: Role,
    /// Whether interactions are offered to the person.
    pub whatsapp: bool,
    /// How many open interactions the agent may hold.
    pub capacity: Capacity,
}

/// A person's role. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works on the interactions of the accounts to which the person is assigned.
    Agent,
    /// Also reads, supervises, exports and deletes interactions.
    Supervisor,
    /// Also configures everything except owners.
    Admin,
    /// Also manages admins, owners, retention and erasure.
    Owner,
}

/// The number of open interactions that an agent may hold: 1 to 100, by default 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Capacity(u8);

impl Capacity {
    /// Accepts 1 to 100.
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

/// An agent's current presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The agent.
    pub agent: AgentId,
    /// The state that the agent chose. [`Presence::state`] is the effective one.
    #[serde(rename = "state")]
    pub chosen: PresenceState,
    /// Interactions that the agent asked to close and that still lack their disposition.
    #[serde(default)]
    pub wrapping_up: BTreeSet<InteractionId>,
    /// The pause that the agent is on while there are any.
    #[serde(default)]
    pub wrap_up_pause: String,
    /// The time of the latest change of state.
    pub since: Timestamp,
    /// The agent's capacity, copied here so that a transaction can check it.
    pub capacity: Capacity,
    /// The open interactions assigned to the agent: a set, never a counter.
    pub load: BTreeSet<InteractionId>,
    /// The interactions that ring at this agent alone, with their deadlines.
    pub ringing: BTreeMap<InteractionId, Timestamp>,
    /// How many offers the agent missed in a row, in queues that count them.
    #[serde(default)]
    pub missed: u32,
    /// When an offer last rang at this agent alone.
    #[serde(default)]
    pub last_offered: Option<Timestamp>,
    /// When the agent last logged in. Tabs that were opened before are closed.
    #[serde(default)]
    pub logged_in_at: Option<Timestamp>,
    /// Who chose the state for the agent: another agent's id, or the `sub` of a token without an agent's record.
    /// `None`: the agent, or the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_by: Option<String>,
    /// The version; every change of state adds one. Effects and their ids derive from it.
    pub version: u64,
    /// The revision; every change of state, load or ringing adds one. A ring is committed only if the revision that
    /// it was decided on still holds.
    pub revision: u64,
}

/// An agent's state: logged out, ready or paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PresenceState {
    /// The agent is logged out.
    LoggedOut,
    /// The agent takes interactions.
    Ready,
    /// The agent is logged in, but takes no interactions.
    Paused {
        /// The reason of the pause.
        reason: String,
    },
}

/// A [`PresenceState`] without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PresenceWord {
    /// The agent is logged out.
    LoggedOut,
    /// The agent takes interactions.
    Ready,
    /// The agent is logged in, but takes no interactions.
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
    /// The presence of an agent who never logged in.
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
            forced_by: None,
            version: 0,
            revision: 0,
        }
    }

    /// The effective state: the one that the agent chose, but paused while a logged-in agent owes a disposition.
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

    /// Whether the agent is logged in: ready or paused.
    pub fn logged_in(&self) -> bool {
        self.chosen != PresenceState::LoggedOut
    }

    /// Whether the agent is ready and has a free slot.
    pub fn available(&self) -> bool {
        self.is_ready() && self.has_room()
    }

    /// Whether the agent may hold one more interaction.
    pub fn has_room(&self) -> bool {
        self.load.len() < self.capacity.get()
    }

    /// How many more interactions may ring at this agent: the free slots minus the ringing offers. Zero unless
    /// ready.
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
    fn a_ringing_offer_takes_a_slot_until_it_stops() {
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
    fn an_agent_who_owes_a_disposition_is_on_its_pause_and_then_as_before() {
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
