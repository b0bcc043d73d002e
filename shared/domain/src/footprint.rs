//! What an interaction stands for outside its own item: the open pointer, its agent's slot, what rings, its rows among the waiting.
//!
//! All of it is derived from the interaction, so a commit writes the difference between the footprint before and after, and no path can forget a slot or
//! leave a row behind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, InteractionKey, Target};
use crate::ids::AgentId;
use crate::interaction::{Interaction, Missed, Offer, Stage};
use crate::priority::Priority;

/// What an interaction stands for outside its own item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footprint {
    /// Whether its conversation points to it as the open one.
    pub open: bool,
    /// The agent whose slot it takes.
    pub holder: Option<AgentId>,
    /// The one agent at whom it rings, and until when; an offer to many reserves nobody's slot, and one that stands for its own agent, there or not, needs none.
    pub ringing: Option<(AgentId, Timestamp)>,
    /// The agent who owes its disposition, and the pause until it is given.
    pub wrapping: Option<(AgentId, String)>,
    /// Its rows among the waiting: one a target.
    pub waiting: BTreeMap<Target, WaitingRow>,
}

/// A row of the waiting of a target: all that `assign` needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingRow {
    /// Which interaction.
    pub interaction: InteractionKey,
    /// Which wait.
    pub wait: u64,
    /// On what it waits.
    pub stage: Stage,
    /// The deadline of the wait.
    pub until: Option<Timestamp>,
    /// The arrival of the oldest unanswered message, or of the last one if all are answered: who waits longest comes first.
    pub since: Timestamp,
    /// The higher comes first.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// Who said no.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<AgentId>,
    /// Who let it ring after the plan had run out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    /// The offer that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

impl WaitingRow {
    /// The sort key within the target's rows: the highest priority, then the longest wait first. What nobody marked has no mark in its key either: `!` sorts
    /// before every digit.
    pub fn order(&self) -> String {
        let waits = format!("{:015}#{}", self.since.as_millisecond(), self.interaction.interaction);
        if self.priority.is_default() { waits } else { format!("!{}#{waits}", 9 - self.priority.get()) }
    }
}

/// What a commit changes in one agent's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotChange {
    /// The interaction takes a slot.
    pub occupy: bool,
    /// It gives its slot back.
    pub release: bool,
    /// It rings at this agent alone, until then.
    pub ring: Option<Timestamp>,
    /// It rings there no more.
    pub unring: bool,
    /// Its disposition is owed, on this pause.
    pub wrap: Option<String>,
    /// It is owed no more.
    pub unwrap: bool,
    /// The presence must still have this revision.
    pub revision: Option<u64>,
}

/// The difference between two footprints, agent by agent: a transaction may touch an item only once. `revision` is of an agent whose presence must be as it
/// was read.
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

/// Whose slots `interaction` takes: of the agent who has it, of the one at whom alone it rings, or of the queue at all of whose members it rings.
pub fn occupied(interaction: &Interaction) -> BTreeSet<Target> {
    let Footprint { holder, ringing, .. } = footprint(interaction);
    let agents = holder.into_iter().chain(ringing.map(|(agent, _)| agent)).map(Target::Agent);
    let queue = interaction.offer().and_then(|offer| match &offer.audience {
        Audience::Members { queue, .. } => Some(Target::Queue(queue.clone())),
        Audience::Agents(_) => None,
    });
    agents.chain(queue).collect()
}

/// Since when the customer waits: the oldest unanswered message; where everything is answered, the last one.
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
    fn an_agent_who_accepts_what_rings_there_is_changed_once() {
        let agent = AgentId::from_ulid(Ulid::nil());
        let before = Footprint { open: true, ringing: Some((agent.clone(), Timestamp::MAX)), ..Footprint::default() };
        let after = Footprint { open: true, holder: Some(agent.clone()), ..Footprint::default() };
        let changes = slot_changes(&before, &after, None);
        assert_eq!(changes, BTreeMap::from([(agent, SlotChange { occupy: true, unring: true, ..SlotChange::default() })]));
    }
}
