//! The action plan: an account's routing steps, in order.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, QueueId};
use crate::values::Seconds;

/// An account's routing steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// Grows with every change; a run takes the plan that is current when it starts.
    pub version: u64,
    /// Executed in order.
    pub steps: Vec<Step>,
}

/// One step of an action plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Offers to a queue; the next step follows when the time is over or everybody rejected.
    Queue {
        /// Which one.
        queue: QueueId,
        /// For how long, even with nobody there.
        timeout: Seconds,
    },
    /// The same with one agent.
    Agent {
        /// Which one.
        agent: AgentId,
        /// For how long.
        timeout: Seconds,
    },
}

impl Step {
    /// The timeout of a step that was given none: 30 s.
    pub const TIMEOUT: Seconds = match Seconds::new(30) {
        Ok(seconds) => seconds,
        Err(_) => Seconds::MAX,
    };
}
