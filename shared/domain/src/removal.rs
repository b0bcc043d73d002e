//! Deleted interactions: what remains of them, so that nothing is written for them again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::effect::InteractionKey;
use crate::interaction::Interaction;

/// How long a tombstone is kept: longer than events (30 days) and the messages of any queue with its dead-letter
/// queue (28 days), which could still be about the interaction.
pub const GONE_KEPT: SignedDuration = SignedDuration::from_hours(35 * 24);

/// The second pass of a deletion comes so much later, for what was on its way: a copy, an archive, a notice. Queues
/// hold nothing longer, unless a function fails; functions that come later look for the tombstone themselves.
pub const SECOND_PASS: SignedDuration = SignedDuration::from_mins(15);

/// What is on its way for longer than this looks for the tombstone itself. A third less than [`SECOND_PASS`], so that
/// clocks may differ.
pub const LATE: SignedDuration = SignedDuration::from_mins(10);

/// The tombstone of an interaction. It says where things were, and nothing of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The place.
    #[serde(flatten)]
    pub key: InteractionKey,
    /// When it was opened: part of the places of its transcript and its search document.
    pub opened_at: Timestamp,
    /// When it was closed: part of the place of its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// The interactions that were merged into it, which go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<InteractionKey>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

impl Gone {
    /// The tombstone of an interaction that is deleted now.
    pub fn of(interaction: &Interaction, now: Timestamp) -> Self {
        Self {
            key: interaction.key(),
            opened_at: interaction.opened_at,
            closed_at: interaction.closed_at,
            absorbed: interaction.absorbed.clone(),
            deleted_at: now,
        }
    }

    /// Whether agents' feeds may still show it. They keep a week; reports on messages come up to a month later.
    pub fn may_be_in_feeds(&self) -> bool {
        let quiet = SignedDuration::from_hours(37 * 24);
        self.closed_at.is_none_or(|closed| self.deleted_at.duration_since(closed) < quiet)
    }
}
