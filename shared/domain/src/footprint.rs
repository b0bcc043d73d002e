//! What an interaction stands for outside its own item: the open pointer, its agent's slot, what rings, its rows among the waiting.
//!
//! All of it is derived from the interaction, so a commit writes the difference between the footprint before and after, and no path can forget a slot or
//! leave a row behind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, InteractionKey, Target};
use crate::ids::AgentId;
use crate::interaction::{Interaction, Offer, Stage};

/// What an interaction stands for outside its own item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footprint {
    /// Whether its conversation points to it as the open one.
    pub open: bool,
    /// The agent whose slot it takes.
    pub holder: Option<AgentId>,
    /// The one agent at whom it rings, and until when; an offer to many reserves nobody's slot, and one that stands for its own agent, there or not, needs none.
    pub ringing: Option<(AgentId, Timestamp)>,
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
    /// The arrival of the oldest unanswered message: who waits longest comes first.
    pub since: Timestamp,
    /// Who said no.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<AgentId>,
    /// The offer that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

impl WaitingRow {
    /// The sort key within the target's rows: the longest wait first.
    pub fn order(&self) -> String {
        format!("{:015}#{}", self.since.as_millisecond(), self.interaction.interaction)
    }
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

/// The footprint of `interaction`.
pub fn footprint(interaction: &Interaction) -> Footprint {
    if !interaction.is_open() {
        return Footprint::default();
    }
    let mut footprint = Footprint { open: true, holder: holder(interaction).cloned(), ..Footprint::default() };
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
                since: interaction.unanswered_since.unwrap_or(interaction.opened_at),
                rejected: wait.rejected.clone(),
                offer: wait.offer.clone(),
            };
            (target.clone(), row)
        })
        .collect();
    footprint
}
