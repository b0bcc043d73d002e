//! The rows that an interaction causes outside its own item: the open pointer, its agent's slot, a ring at one
//! agent, its waiting rows.
//!
//! All of it is derived from the interaction. A commit writes the difference between the footprint before and
//! after, so no path can forget a slot or leave a row behind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, InteractionKey, Target};
use crate::ids::AgentId;
use crate::interaction::{Interaction, Missed, Offer, Stage};
use crate::priority::Priority;

/// The rows that an interaction causes outside its own item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footprint {
    /// Whether its conversation points to it as the open one.
    pub open: bool,
    /// The agent whose slot it takes.
    pub holder: Option<AgentId>,
    /// The one agent at whom it rings, and until when. An offer to many agents reserves no slot, and an offer to
    /// its own agent needs none.
    pub ringing: Option<(AgentId, Timestamp)>,
    /// The agent who owes its disposition, and the pause until it is given.
    pub wrapping: Option<(AgentId, String)>,
    /// Its waiting rows, one for each target.
    pub waiting: BTreeMap<Target, WaitingRow>,
}

/// A waiting row of a target, with everything that `assign` needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingRow {
    /// The interaction.
    pub interaction: InteractionKey,
    /// The number of the wait.
    pub wait: u64,
    /// The stage of the wait.
    pub stage: Stage,
    /// The deadline of the wait.
    pub until: Option<Timestamp>,
    /// The arrival of the oldest unanswered message, or of the last one if all are answered. The longest wait comes
    /// first.
    pub since: Timestamp,
    /// The priority. The highest comes first.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// The agents who rejected it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<AgentId>,
    /// The agents who let it ring out after the plan had run out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    /// The current offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

impl WaitingRow {
    /// The sort key within the target's rows: the highest priority first, then the longest wait. A row of the
    /// default priority has no mark in its key: `!` sorts before every digit.
    pub fn order(&self) -> String {
        let waits = format!("{:015}#{}", self.since.as_millisecond(), self.interaction.interaction);
        if self.priority.is_default() { waits } else { format!("!{}#{waits}", 9 - self.priority.get()) }
    }
}

/// The changes of a commit to one agent's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotChange {
    /// The interaction takes a slot.
    pub occupy: bool,
    /// The interaction gives its slot back.
    pub release: bool,
    /// The interaction rings at this agent alone, until then.
    pub ring: Option<Timestamp>,
    /// The interaction no longer rings at this agent.
    pub unring: bool,
    /// The agent owes the interaction's disposition, and is on this pause.
    pub wrap: Option<String>,
    /// The agent no longer owes it.
    pub unwrap: bool,
    /// The presence must still have this revision.
    pub revision: Option<u64>,
}

/// The difference between two footprints, by agent: a transaction may touch an item only once. `revision` names an
/// agent whose presence must be as it was read.
pub fn slot_changes(before: &Footprint, after: &Footprint, revision: Option<&(AgentId, u64)>) -> BTreeMap<AgentId, SlotChange> {
    let mut changes: BTreeMap<AgentId, SlotChange> = BTreeMap::new();
    if before.holder != after.holder {
        if let Some(agent) = &before.holder {
            changes.entry(agent.clone()).or_default().release = true;
        }
        if let Some(agent) = &after.holder {
            changes.entry(agent.clone()).or_default().occupy = true;
        }
    }
    if before.ringing != after.ringing {
        if let Some((agent, _)) = &before.ringing {
            changes.entry(agent.clone()).or_default().unring = true;
        }
        if let Some((agent, until)) = &after.ringing {
            let change = changes.entry(agent.clone()).or_default();
            change.ring = Some(*until);
            change.unring = false;
        }
    }
    if before.wrapping != after.wrapping {
        if let Some((agent, _)) = &before.wrapping {
            changes.entry(agent.clone()).or_default().unwrap = true;
        }
        if let Some((agent, pause)) = &after.wrapping {
            let change = changes.entry(agent.clone()).or_default();
            change.wrap = Some(pause.clone());
            change.unwrap = false;
        }
    }
    if let Some((agent, revision)) = revision {
        changes.entry(agent.clone()).or_default().revision = Some(*revision);
    }
    changes
}

/// The agent whose slot `interaction` takes.
pub fn holder(interaction: &Interaction) -> Option<&AgentId> {
    interaction.agent.as_ref().filter(|_| interaction.is_open())
}

/// The targets whose slots `interaction` takes: the agent who has it, the single agent at whom it rings, or the
/// queue at all of whose members it rings.
pub fn occupied(interaction: &Interaction) -> BTreeSet<Target> {
    let Footprint { holder, ringing, .. } = footprint(interaction);
    let agents = holder.into_iter().chain(ringing.map(|(agent, _)| agent)).map(Target::Agent);
    let queue = interaction.offer().and_then(|offer| match &offer.audience {
        Audience::Members { queue, .. } => Some(Target::Queue(queue.clone())),
        Audience::Agents(_) => None,
    });
    agents.chain(queue).collect()
}

/// Since when the customer waits: the oldest unanswered message, or the last message if all are answered.
fn since(interaction: &Interaction) -> Timestamp {
    let last = interaction.last_message.as_ref().map(|last| last.at);
    interaction.unanswered_since.or(last).unwrap_or(interaction.opened_at)
}

/// The footprint of `interaction`.
pub fn footprint(interaction: &Interaction) -> Footprint {
    if !interaction.is_open() {
        return Footprint::default();
    }
    let mut footprint = Footprint { open: true, holder: holder(interaction).cloned(), ..Footprint::default() };
    footprint.wrapping = interaction.wrap_up.as_ref().map(|wrap_up| (wrap_up.agent.clone(), wrap_up.pause.clone()));
    let Some(wait) = &interaction.wait else { return footprint };
    if let Some(Offer { audience: Audience::Agents(agents), until, .. }) = &wait.offer
        && let [agent] = agents.as_slice()
        && wait.stage != Stage::AssignedAgent
    {
        footprint.ringing = Some((agent.clone(), until.unwrap_or(Timestamp::MAX)));
    }
    footprint.waiting = wait
        .targets
        .iter()
        .map(|target| {
            let row = WaitingRow {
                interaction: interaction.key(),
                wait: wait.id,
                stage: wait.stage.clone(),
                until: wait.until,
                since: since(interaction),
                priority: interaction.priority,
                rejected: wait.rejected.clone(),
                missed: wait.missed.clone(),
                offer: wait.offer.clone(),
            };
            (target.clone(), row)
        })
        .collect();
    footprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn an_agent_who_accepts_a_ringing_offer_is_changed_once() {
        let agent = AgentId::from_ulid(Ulid::nil());
        let before = Footprint { open: true, ringing: Some((agent.clone(), Timestamp::MAX)), ..Footprint::default() };
        let after = Footprint { open: true, holder: Some(agent.clone()), ..Footprint::default() };
        let changes = slot_changes(&before, &after, None);
        assert_eq!(changes, BTreeMap::from([(agent, SlotChange { occupy: true, unring: true, ..SlotChange::default() })]));
    }
}
