//! Reports: what happened to interactions, counted.
//!
//! [`facts`] tells what a history gives to count, version by version, and nothing else: it is a pure function of the
//! history, so a fact that is written twice is the same. Facts are added up by quarter-hours of UTC ([`Quarter`]) into
//! [`Tally`]s, which can be merged in any order. A [`Metric`] is computed of a tally, so a report of any period in any
//! time zone equals a recomputation from the histories, to the digit.

mod calendar;
mod duty;
mod facts;
mod metric;
mod tally;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, AgentId, QueueId};

pub use calendar::{Calendar, Moment, Period, Quarter, Unclear, Wanted};
pub use duty::{Duty, add_up};
pub use facts::{facts, is_counted};
pub use metric::{Cell, Metric, SERVICE_LEVEL};
pub use tally::{BOUNDS, Sum, Tally, is_bound};

/// What is counted. The stored names are short: an agent's month has a thousand of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Measure {
    /// An interaction was opened by a customer.
    #[serde(rename = "o")]
    Opened,
    /// An interaction was opened by an agent.
    #[serde(rename = "st")]
    Started,
    /// A closed interaction was opened again.
    #[serde(rename = "re")]
    Reopened,
    /// An interaction was closed.
    #[serde(rename = "c")]
    Closed,
    /// An interaction in which the customer wrote was closed before anybody had it.
    #[serde(rename = "ab")]
    Abandoned,
    /// A wait for a queue began.
    #[serde(rename = "q")]
    Queued,
    /// A wait for a queue ended with an agent who has the interaction. Its value is the wait.
    #[serde(rename = "an")]
    Answered,
    /// A wait for a queue ended otherwise, and the interaction went on. Its value is the wait.
    #[serde(rename = "fl")]
    FlowedOut,
    /// The interaction was closed during a wait for a queue. Its value is the wait.
    #[serde(rename = "aq")]
    AbandonedInQueue,
    /// An offer began to ring at an agent.
    #[serde(rename = "of")]
    Offered,
    /// An agent accepted an offer.
    #[serde(rename = "ac")]
    Accepted,
    /// An agent rejected an offer.
    #[serde(rename = "rj")]
    Rejected,
    /// An agent let an offer ring out.
    #[serde(rename = "mi")]
    Missed,
    /// An offer that rang at an agent ended for another reason.
    #[serde(rename = "wi")]
    Withdrawn,
    /// A person answered for the first time. Its value is the time since the customer's opening message.
    #[serde(rename = "fr")]
    FirstResponse,
    /// An agent gave an interaction up or closed it. Its value is the time since the agent got it.
    #[serde(rename = "h")]
    Handled,
    /// The part of that time between the request to close and the disposition.
    #[serde(rename = "w")]
    WrapUp,
    /// The part of that time in which the customer waited for an answer that came.
    #[serde(rename = "at")]
    Active,
    /// Messages of the customer since the interaction's last hold ended.
    #[serde(rename = "cm")]
    CustomerMessages,
    /// Messages of agents since then.
    #[serde(rename = "am")]
    AgentMessages,
    /// The time in which an agent was logged in and had an interaction, or owed a disposition.
    #[serde(rename = "bu")]
    Busy,
    /// The time in which an agent was ready and had none.
    #[serde(rename = "id")]
    Idle,
    /// The time in which an agent was ready, multiplied by the number of interactions that the agent had.
    #[serde(rename = "us")]
    Used,
    /// The same, multiplied by the number that the agent might have.
    #[serde(rename = "ub")]
    Usable,
}

impl Measure {
    /// Whether its values are times whose percentiles are asked for.
    pub fn is_distributed(self) -> bool {
        matches!(self, Self::Answered | Self::FlowedOut | Self::AbandonedInQueue | Self::FirstResponse | Self::Handled)
    }
}

/// Something to count. It names no customer, since it outlives the interaction's deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What happened.
    pub measure: Measure,
    /// How often, or for how many milliseconds.
    pub value: u64,
    /// The queue that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueId>,
    /// The agent whom it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The disposition with which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
}

/// The facts of one version of an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The quarter-hour in which it was decided.
    pub quarter: Quarter,
    /// What it gives to count.
    pub counted: Vec<Counted>,
}

/// What a report's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// All of an account.
    Account,
    /// Each queue.
    Queue,
    /// Each agent.
    Agent,
    /// Each disposition.
    Disposition,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Account, Self::Queue, Self::Agent, Self::Disposition];

    /// Its name in keys and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Queue => "queue",
            Self::Agent => "agent",
            Self::Disposition => "disposition",
        }
    }

    /// The value that `counted` has on this dimension.
    fn of<'a>(self, account: &'a AccountId, counted: &'a Counted) -> Option<&'a str> {
        match self {
            Self::Account => Some(account.as_str()),
            Self::Queue => counted.queue.as_ref().map(QueueId::as_str),
            Self::Agent => counted.agent.as_ref().map(AgentId::as_str),
            Self::Disposition => counted.disposition.as_deref(),
        }
    }
}

/// The tally of each value of each dimension.
pub type Rollup = BTreeMap<(Dimension, String), Tally>;

/// Adds up what was counted on an account.
pub fn rollup<'a>(account: &AccountId, all: impl IntoIterator<Item = &'a Counted>) -> Rollup {
    let mut rollup = Rollup::new();
    for counted in all {
        for dimension in Dimension::ALL {
            if let Some(value) = dimension.of(account, counted) {
                rollup.entry((dimension, value.to_owned())).or_default().add(counted);
            }
        }
    }
    rollup
}
