//! What agents were up to: how long they were busy, idle, and how much of what they could have had they had.
//!
//! Each change of a presence is one line of the agent's timeline. Times follow from the lines when a report is made,
//! so nothing is added up before, and a line that is written twice changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Counted, Measure, Quarter, Tally};
use crate::agent::{Presence, PresenceWord};

/// What an agent is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// The state that the agent chose.
    pub state: PresenceWord,
    /// How many open interactions the agent has.
    pub load: u32,
    /// How many the agent may have.
    pub capacity: u32,
    /// Whether the agent owes a disposition.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wraps_up: bool,
}

impl Duty {
    /// What an agent with this presence is up to.
    pub fn of(presence: &Presence) -> Self {
        Self {
            state: presence.chosen.word(),
            load: u32::try_from(presence.load.len()).unwrap_or(u32::MAX),
            capacity: u32::try_from(presence.capacity.get()).unwrap_or(u32::MAX),
            wraps_up: !presence.wrapping_up.is_empty(),
        }
    }

    /// What a number of milliseconds of it count for. An agent who is logged out is neither busy nor idle, even with
    /// open interactions: that would make every night busy.
    fn counted(self, milliseconds: u64) -> Vec<(Measure, u64)> {
        let ready = self.state == PresenceWord::Ready && !self.wraps_up;
        let busy = self.state != PresenceWord::LoggedOut && (self.load > 0 || self.wraps_up);
        let mut counted = Vec::new();
        if busy {
            counted.push((Measure::Busy, milliseconds));
        } else if ready {
            counted.push((Measure::Idle, milliseconds));
        }
        if ready {
            // An agent whose capacity was lowered may have more than that.
            counted.push((Measure::Used, milliseconds * u64::from(self.load.min(self.capacity))));
            counted.push((Measure::Usable, milliseconds * u64::from(self.capacity)));
        }
        counted
    }
}

/// Adds up a timeline, oldest line first, by quarter-hours from `first` to before `end` and to before `now`. The last
/// line before `first` tells how it begins.
pub fn add_up(timeline: &[(Timestamp, Duty)], first: Quarter, end: Quarter, now: Timestamp) -> BTreeMap<Quarter, Tally> {
    let until = end.starts().min(now);
    let mut tallies: BTreeMap<Quarter, Tally> = BTreeMap::new();
    for (place, (since, duty)) in timeline.iter().enumerate() {
        let next = timeline.get(place + 1).map_or(until, |(next, _)| *next).min(until);
        let mut at = (*since).max(first.starts());
        while at < next {
            let quarter = Quarter::of(at);
            let to = Quarter(quarter.0 + 1).starts().min(next);
            let milliseconds = u64::try_from(to.as_millisecond() - at.as_millisecond()).unwrap_or_default();
            for (measure, value) in duty.counted(milliseconds) {
                tallies.entry(quarter).or_default().add(&Counted::of(measure, value));
            }
            at = to;
        }
    }
    tallies
}
