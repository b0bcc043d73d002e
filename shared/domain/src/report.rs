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

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, AgentId, AiAgentId, QueueId};
use crate::message::{Author, Message};
use crate::pricing::{Currency, Priced, priced};

pub use calendar::{Calendar, Moment, Period, Quarter, Unclear, Wanted};
pub use duty::{Duty, add_up};
pub use facts::{facts, is_counted};
pub use metric::{Cell, Metric, SERVICE_LEVELS, ServiceLevel};
pub use tally::{BOUNDS, Sum, Tally, is_bound};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Measure {
    /// An interaction was opened by a customer.
    Opened,
    /// An interaction was opened by an agent.
    Started,
    /// A closed interaction was opened again.
    Reopened,
    /// An interaction was closed.
    Closed,
    /// An interaction in which the customer wrote was closed before anybody had it.
    Abandoned,
    /// A wait for a queue began.
    Queued,
    /// A wait for a queue ended with an agent who has the interaction. Its value is the wait.
    Answered,
    /// A wait for a queue ended otherwise, and the interaction went on. Its value is the wait.
    FlowedOut,
    /// The interaction was closed during a wait for a queue. Its value is the wait.
    AbandonedInQueue,
    /// An offer began to ring at an agent.
    Offered,
    /// An agent accepted an offer.
    Accepted,
    /// An agent rejected an offer.
    Rejected,
    /// An agent let an offer ring out.
    Missed,
    /// An offer that rang at an agent ended for another reason.
    Withdrawn,
    /// A person answered for the first time. Its value is the time since the customer's opening message.
    FirstResponse,
    /// An agent gave an interaction up or closed it. Its value is the time since the agent got it.
    Handled,
    /// The part of that time between the request to close and the disposition.
    WrapUp,
    /// The part of that time in which the customer waited for an answer that came.
    Active,
    /// Messages of the customer since the interaction's last hold ended.
    CustomerMessages,
    /// Messages of agents since then.
    AgentMessages,
    /// The time in which an agent was logged in and had an interaction, or owed a disposition.
    Busy,
    /// The time in which an agent was ready and had none.
    Idle,
    /// The time in which an agent was ready, multiplied by the number of interactions that the agent had.
    Used,
    /// The same, multiplied by the number that the agent might have.
    Usable,
    /// Insights that were made after a close found the customer content.
    Positive,
    /// They found the customer neither content nor discontent.
    Neutral,
    /// They found the customer discontent.
    Negative,
    /// They found both.
    Mixed,
    /// A language model was called.
    AiCalled,
    /// Such a call gave no reply.
    AiFailed,
    /// The tokens of a prompt.
    AiInput,
    /// The tokens of a reply.
    AiOutput,
    /// How long a call took.
    AiTime,
    /// An AI agent handed a customer over to people.
    AiEscalated,
    /// What a call of a language model cost, in millionths of this currency.
    AiCost(Currency),
    /// A message reached the customer. Its value is the price in millionths, if the provider said it.
    Message(Priced),
    /// A wait was answered within the limit of the service level. This and what follows is never stored: a report
    /// derives it ([`Tally::judged`], [`Tally::costed`]).
    InTime,
    /// A wait counts for the service level.
    Judged,
    /// Messages that are charged for at an unknown price.
    Unpriced,
    /// What messages cost, in millionths of the currency of reports.
    Cost,
    /// What calls of language models cost, in millionths of the currency of reports.
    AiCharged,
}

/// The stored names, which are short: an agent's month has a thousand of them.
const NAMES: [(Measure, &str); 39] = [
    (Measure::Opened, "o"),
    (Measure::Started, "st"),
    (Measure::Reopened, "re"),
    (Measure::Closed, "c"),
    (Measure::Abandoned, "ab"),
    (Measure::Queued, "q"),
    (Measure::Answered, "an"),
    (Measure::FlowedOut, "fl"),
    (Measure::AbandonedInQueue, "aq"),
    (Measure::Offered, "of"),
    (Measure::Accepted, "ac"),
    (Measure::Rejected, "rj"),
    (Measure::Missed, "mi"),
    (Measure::Withdrawn, "wi"),
    (Measure::FirstResponse, "fr"),
    (Measure::Handled, "h"),
    (Measure::WrapUp, "w"),
    (Measure::Active, "at"),
    (Measure::CustomerMessages, "cm"),
    (Measure::AgentMessages, "am"),
    (Measure::Busy, "bu"),
    (Measure::Idle, "id"),
    (Measure::Used, "us"),
    (Measure::Usable, "ub"),
    (Measure::Positive, "i+"),
    (Measure::Neutral, "i="),
    (Measure::Negative, "i-"),
    (Measure::Mixed, "i~"),
    (Measure::AiCalled, "ax"),
    (Measure::AiFailed, "af"),
    (Measure::AiInput, "ai"),
    (Measure::AiOutput, "ao"),
    (Measure::AiTime, "al"),
    (Measure::AiEscalated, "ae"),
    (Measure::InTime, "level"),
    (Measure::Judged, "judged"),
    (Measure::Unpriced, "unpriced"),
    (Measure::Cost, "cost"),
    (Measure::AiCharged, "ai_charged"),
];

/// The measure is of a later version.
#[derive(Debug, thiserror::Error)]
#[error("an unknown measure")]
pub struct UnknownMeasure;

impl TryFrom<String> for Measure {
    type Error = UnknownMeasure;
    fn try_from(name: String) -> Result<Self, UnknownMeasure> {
        let plain = NAMES.iter().find(|(_, known)| *known == name).map(|(measure, _)| *measure);
        let cost = || Some(Self::AiCost(Currency::parse(name.strip_prefix("a.")?).ok()?));
        plain.or_else(cost).or_else(|| Priced::named(&name).map(Self::Message)).ok_or(UnknownMeasure)
    }
}

impl From<Measure> for String {
    fn from(measure: Measure) -> String {
        match measure {
            Measure::AiCost(currency) => format!("a.{}", currency.as_str()),
            Measure::Message(priced) => priced.name(),
            plain => NAMES.iter().find(|(known, _)| *known == plain).map(|(_, name)| (*name).to_owned()).unwrap_or_default(),
        }
    }
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
    /// The AI agent that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai_agent: Option<AiAgentId>,
}

impl Counted {
    /// Something that belongs to the account alone.
    pub fn of(measure: Measure, value: u64) -> Self {
        Self { measure, value, queue: None, agent: None, disposition: None, ai_agent: None }
    }
}

/// The facts of one version of an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The quarter-hour in which it was decided.
    pub quarter: Quarter,
    /// What it gives to count.
    pub counted: Vec<Counted>,
}

impl Facts {
    /// What a message gives to count once it has reached the customer: that it did, and at what price. It counts in
    /// the quarter-hour in which the message was written, whenever its price comes to be known.
    pub fn of_message(message: &Message) -> Option<Self> {
        let (priced, value) = priced(message)?;
        let agent = match &message.author {
            Author::Agent { agent } => Some(agent.clone()),
            Author::Customer | Author::System | Author::Ai { .. } => None,
        };
        let counted = Counted { agent, queue: message.queue.clone(), ..Counted::of(Measure::Message(priced), value) };
        Some(Self { quarter: Quarter::of(message.at), counted: vec![counted] })
    }
}

/// A call of a language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiCall {
    /// The AI agent.
    pub ai_agent: AiAgentId,
    /// When it ended.
    pub at: Timestamp,
    /// Whether there was a reply.
    pub replied: bool,
    /// The tokens of the prompt.
    pub input: u64,
    /// The tokens of the reply.
    pub output: u64,
    /// How long it took.
    pub milliseconds: u64,
    /// What it cost, in millionths, if the AI agent has prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<(u64, Currency)>,
}

impl AiCall {
    /// What it gives to count.
    pub fn facts(&self) -> Facts {
        let mut all = vec![
            (Measure::AiCalled, 1),
            (Measure::AiTime, self.milliseconds),
            (Measure::AiInput, self.input),
            (Measure::AiOutput, self.output),
        ];
        all.extend((!self.replied).then_some((Measure::AiFailed, 1)));
        all.extend(self.cost.map(|(cost, currency)| (Measure::AiCost(currency), cost)));
        let counted = |(measure, value)| Counted { ai_agent: Some(self.ai_agent.clone()), ..Counted::of(measure, value) };
        Facts { quarter: Quarter::of(self.at), counted: all.into_iter().map(counted).collect() }
    }
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
    /// Each AI agent.
    AiAgent,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Account, Self::Queue, Self::Agent, Self::Disposition, Self::AiAgent];

    /// Its name in keys and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Queue => "queue",
            Self::Agent => "agent",
            Self::Disposition => "disposition",
            Self::AiAgent => "ai_agent",
        }
    }

    /// The value that `counted` has on this dimension.
    fn of<'a>(self, account: &'a AccountId, counted: &'a Counted) -> Option<&'a str> {
        match self {
            Self::Account => Some(account.as_str()),
            Self::Queue => counted.queue.as_ref().map(QueueId::as_str),
            Self::Agent => counted.agent.as_ref().map(AgentId::as_str),
            Self::Disposition => counted.disposition.as_deref(),
            Self::AiAgent => counted.ai_agent.as_ref().map(AiAgentId::as_str),
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
