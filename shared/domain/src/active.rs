//! Active time: how long customers waited for answers that came, while an agent had their interaction.
//!
//! It runs from a customer's message, the first one that the agent has not answered, to the next message of that
//! agent. What waited already when the agent got the interaction counts from then on. Silence after an answer does not
//! count, nor does a message that is never answered: its agent loses the interaction or closes it first. Automatic
//! replies, notes and AI agents are no answers. A merged interaction's messages count from the merger on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The active time of an interaction. A hold is the time in which one agent has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Active {
    /// Milliseconds of the holds that have ended.
    #[serde(skip_serializing_if = "is_zero")]
    pub ended: u64,
    /// Milliseconds of the present hold, up to its latest answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub held: u64,
    /// Since when the agent who has the interaction owes an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Active {
    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The agent answers.
    pub(crate) fn answered(&mut self, now: Timestamp) {
        if let Some(since) = self.since.take() {
            self.held += u64::try_from(now.duration_since(since).as_millis()).unwrap_or_default();
        }
    }

    /// Another agent has the interaction from now on, or nobody.
    pub(crate) fn passed_on(&mut self) {
        *self = Self { ended: self.ended + self.held, ..Self::default() };
    }

    /// Whether the agent owes an answer from now on, unless that is so already.
    pub(crate) fn owed(&mut self, owed: bool, now: Timestamp) {
        self.since = owed.then(|| self.since.unwrap_or(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn it_runs_from_the_first_unanswered_message_to_its_answer() {
        let mut active = Active::default();
        active.owed(true, at(0));
        active.owed(true, at(10));
        active.answered(at(30));
        // Silence.
        active.owed(false, at(30));
        active.answered(at(90));
        active.owed(true, at(100));
        active.answered(at(101));
        assert_eq!(active, Active { held: 31_000, ..Active::default() });
        active.owed(true, at(110));
        active.passed_on();
        assert_eq!(active, Active { ended: 31_000, ..Active::default() }, "what was never answered does not count");
    }

    #[test]
    fn it_takes_no_room_before_anything_counts() {
        assert!(Active::default().is_none());
        assert_eq!(serde_json::to_value(Active { held: 5, ..Active::default() }).unwrap(), serde_json::json!({"held": 5}));
        assert_eq!(serde_json::from_str::<Active>("{}").unwrap(), Active::default());
    }
}
