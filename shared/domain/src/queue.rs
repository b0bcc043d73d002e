//! Queues of agents.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, QueueId};
use crate::report::ServiceLevel;
use crate::values::{Invalid, Seconds};

/// A queue: its members, and how they are rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Ours.
    pub id: QueueId,
    /// The name that agents see.
    pub name: String,
    /// How the members are rung.
    pub strategy: Strategy,
    /// How long one agent is rung before the next.
    pub agent_timeout: Seconds,
    /// The weight: of several queues the heavier is served first.
    pub weight: Weight,
    /// The number of missed offers in a row after which an agent is paused; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_after_missed: Option<MissedLimit>,
    /// Within which time its interactions are to be answered, as reports judge it.
    #[serde(default)]
    pub service_level: ServiceLevel,
    /// The members, in the order of `rrmemory`.
    pub members: Vec<AgentId>,
}

impl Queue {
    /// The default agent timeout of a queue: 15 s.
    pub const AGENT_TIMEOUT: Seconds = match Seconds::new(15) {
        Ok(seconds) => seconds,
        Err(_) => Seconds::MAX,
    };
}

/// How the members are rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All available members at once; the first to accept wins.
    Beepall,
    /// One after the other, beginning after the agent engaged last.
    Rrmemory,
    /// One after the other, beginning with the agent whose last offer is longest ago.
    LeastRecent,
}

/// A number of missed offers in a row: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct MissedLimit(u8);

impl MissedLimit {
    /// Accepts 1 to 100.
    pub fn new(offers: i64) -> Result<Self, Invalid> {
        match u8::try_from(offers) {
            Ok(offers @ 1..=100) => Ok(Self(offers)),
            _ => Err(Invalid("must be from 1 to 100")),
        }
    }

    /// The number of offers.
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl TryFrom<i64> for MissedLimit {
    type Error = Invalid;
    fn try_from(offers: i64) -> Result<Self, Invalid> {
        Self::new(offers)
    }
}

impl From<MissedLimit> for i64 {
    fn from(limit: MissedLimit) -> i64 {
        i64::from(limit.0)
    }
}

/// A weight: 0 to 10, 0 by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Weight(u8);

impl Weight {
    /// Accepts 0 to 10.
    pub fn new(weight: i64) -> Result<Self, Invalid> {
        match u8::try_from(weight) {
            Ok(weight @ 0..=10) => Ok(Self(weight)),
            _ => Err(Invalid("must be from 0 to 10")),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Weight {
    type Error = Invalid;
    fn try_from(weight: i64) -> Result<Self, Invalid> {
        Self::new(weight)
    }
}

impl From<Weight> for i64 {
    fn from(weight: Weight) -> i64 {
        i64::from(weight.0)
    }
}
