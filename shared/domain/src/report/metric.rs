//! What a report shows of a tally.

use serde::{Deserialize, Serialize};

use super::{Dimension, Measure, Tally};
use crate::pricing::{Category, Terms};
use crate::values::Invalid;

/// The limits of the service level that may be chosen, in seconds: those on which contact centres agree. All are
/// [bounds](super::BOUNDS), so that it is known exactly how many waits keep to them.
pub const SERVICE_LEVELS: [u32; 12] = [15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300, 600];

/// The limit of a queue's service level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct ServiceLevel(u32);

impl ServiceLevel {
    /// Accepts one of [`SERVICE_LEVELS`].
    ///
    /// # Errors
    /// It is another number.
    pub fn new(seconds: i64) -> Result<Self, Invalid> {
        let known = SERVICE_LEVELS.into_iter().find(|known| i64::from(*known) == seconds);
        known.map(Self).ok_or(Invalid("must be 15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300 or 600 seconds"))
    }

    /// In milliseconds.
    pub fn milliseconds(self) -> u64 {
        u64::from(self.0) * 1_000
    }
}

impl Default for ServiceLevel {
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<i64> for ServiceLevel {
    type Error = Invalid;
    fn try_from(seconds: i64) -> Result<Self, Invalid> {
        Self::new(seconds)
    }
}

impl From<ServiceLevel> for i64 {
    fn from(level: ServiceLevel) -> i64 {
        i64::from(level.0)
    }
}

/// A column of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Interactions that customers opened.
    Opened,
    /// Interactions that agents opened.
    Started,
    /// Closed interactions that were opened again.
    Reopened,
    /// Interactions in which the customer wrote and that were closed before anybody had them. Merged ones, and those
    /// that the whitelist refused, are left out.
    Abandoned,
    /// Waits for a queue that began. They are answered, flow out or are abandoned, or wait still.
    Queued,
    /// Waits for a queue that ended with an agent: accepted, picked or reassigned.
    Answered,
    /// Waits for a queue that ended otherwise: by time, rejections, a merger, a return.
    FlowedOut,
    /// Waits for a queue during which the interaction was closed.
    AbandonedInQueue,
    /// Answered within the limit ÷ (answered + abandoned or flowed out after it).
    ServiceLevel,
    /// The mean of the answered waits.
    SpeedOfAnswer,
    /// Half of the answered waits are no longer than this.
    SpeedOfAnswerP50,
    /// 90 % of the answered waits are no longer than this.
    SpeedOfAnswerP90,
    /// 95 % of the answered waits are no longer than this.
    SpeedOfAnswerP95,
    /// Offers that rang at agents. They are accepted, rejected, missed or withdrawn, or ring still.
    Offered,
    /// Offers that agents accepted.
    Accepted,
    /// Offers that agents rejected.
    Rejected,
    /// Offers that agents let ring out.
    Missed,
    /// Offers that ended for another reason.
    Withdrawn,
    /// The mean time from the customer's opening message to the first answer of a person.
    FirstResponse,
    /// Half of the first responses came within this.
    FirstResponseP50,
    /// 90 % of the first responses came within this.
    FirstResponseP90,
    /// 95 % of the first responses came within this.
    FirstResponseP95,
    /// Interactions that were closed.
    Closed,
    /// How often an agent closed an interaction, or gave it up.
    Handled,
    /// The mean time from getting an interaction to giving it up or closing it, wrap-up included.
    HandlingTime,
    /// Half of the handled were handled within this.
    HandlingTimeP50,
    /// 90 % of the handled were handled within this.
    HandlingTimeP90,
    /// 95 % of the handled were handled within this.
    HandlingTimeP95,
    /// The part of the handling time before the request to close, silence included.
    HeldTime,
    /// The part of the handling time between the request to close and the disposition.
    WrapUpTime,
    /// The part of the handling time in which the customer waited for an answer that came.
    ActiveTime,
    /// Messages of customers in interactions that were handled or closed.
    CustomerMessages,
    /// Messages of agents in interactions that were handled or closed.
    AgentMessages,
    /// The share of the time on duty in which an agent had an interaction or owed a disposition: busy ÷ (busy + ready
    /// without one). It is that of all accounts.
    Occupancy,
    /// The interactions that an agent had while ready ÷ those that the agent might have had. It is that of all
    /// accounts.
    Utilisation,
    /// Messages to customers that reached them, in the quarter-hour in which they were written.
    DeliveredMessages,
    /// Those of them that are charged as marketing.
    MarketingMessages,
    /// Those that are charged as utility.
    UtilityMessages,
    /// Those that are charged as authentication, at home or abroad.
    AuthenticationMessages,
    /// Those that are charged as service: messages that are no templates.
    ServiceMessages,
    /// Those that are charged otherwise, and templates whose category the provider does not tell.
    OtherMessages,
    /// Those that the provider charges nothing for, of any category.
    FreeMessages,
    /// Those whose price is not known: the table has none for them, or no rate for their currency.
    UnpricedMessages,
    /// What the messages cost whose price is known, in the currency of the table of prices.
    Cost,
    /// Closed interactions whose insights found the customer content. Of several insights the first ones after the
    /// close count.
    SentimentPositive,
    /// Those that found the customer neither content nor discontent.
    SentimentNeutral,
    /// Those that found the customer discontent.
    SentimentNegative,
    /// Those that found both.
    SentimentMixed,
    /// Calls of language models.
    AiCalls,
    /// Calls that gave no reply.
    AiFailures,
    /// Customers whom an AI agent handed over to people.
    AiEscalations,
    /// The tokens of prompts.
    AiInputTokens,
    /// The tokens of replies.
    AiOutputTokens,
    /// The mean time of a call.
    AiTime,
    /// What calls of AI agents with prices cost, in the currency of the table of prices; without those that it has no
    /// rate for.
    AiCost,
}

/// The value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A count.
    Count(u64),
    /// Seconds, or a share from 0 to 1.
    Number(f64),
    /// Nothing was counted that it could be computed of.
    Nothing,
}

impl Metric {
    /// All of them, in the order of a report's columns.
    pub const ALL: [Self; 55] = [
        Self::Opened,
        Self::Started,
        Self::Reopened,
        Self::Abandoned,
        Self::Queued,
        Self::Answered,
        Self::FlowedOut,
        Self::AbandonedInQueue,
        Self::ServiceLevel,
        Self::SpeedOfAnswer,
        Self::SpeedOfAnswerP50,
        Self::SpeedOfAnswerP90,
        Self::SpeedOfAnswerP95,
        Self::Offered,
        Self::Accepted,
        Self::Rejected,
        Self::Missed,
        Self::Withdrawn,
        Self::FirstResponse,
        Self::FirstResponseP50,
        Self::FirstResponseP90,
        Self::FirstResponseP95,
        Self::Closed,
        Self::Handled,
        Self::HandlingTime,
        Self::HandlingTimeP50,
        Self::HandlingTimeP90,
        Self::HandlingTimeP95,
        Self::HeldTime,
        Self::WrapUpTime,
        Self::ActiveTime,
        Self::CustomerMessages,
        Self::AgentMessages,
        Self::Occupancy,
        Self::Utilisation,
        Self::DeliveredMessages,
        Self::MarketingMessages,
        Self::UtilityMessages,
        Self::AuthenticationMessages,
        Self::ServiceMessages,
        Self::OtherMessages,
        Self::FreeMessages,
        Self::UnpricedMessages,
        Self::Cost,
        Self::SentimentPositive,
        Self::SentimentNeutral,
        Self::SentimentNegative,
        Self::SentimentMixed,
        Self::AiCalls,
        Self::AiFailures,
        Self::AiEscalations,
        Self::AiInputTokens,
        Self::AiOutputTokens,
        Self::AiTime,
        Self::AiCost,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Started => "started",
            Self::Reopened => "reopened",
            Self::Abandoned => "abandoned",
            Self::Queued => "queued",
            Self::Answered => "answered",
            Self::FlowedOut => "flowed_out",
            Self::AbandonedInQueue => "abandoned_in_queue",
            Self::ServiceLevel => "service_level",
            Self::SpeedOfAnswer => "speed_of_answer",
            Self::SpeedOfAnswerP50 => "speed_of_answer_p50",
            Self::SpeedOfAnswerP90 => "speed_of_answer_p90",
            Self::SpeedOfAnswerP95 => "speed_of_answer_p95",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Missed => "missed",
            Self::Withdrawn => "withdrawn",
            Self::FirstResponse => "first_response",
            Self::FirstResponseP50 => "first_response_p50",
            Self::FirstResponseP90 => "first_response_p90",
            Self::FirstResponseP95 => "first_response_p95",
            Self::Closed => "closed",
            Self::Handled => "handled",
            Self::HandlingTime => "handling_time",
            Self::HandlingTimeP50 => "handling_time_p50",
            Self::HandlingTimeP90 => "handling_time_p90",
            Self::HandlingTimeP95 => "handling_time_p95",
            Self::HeldTime => "held_time",
            Self::WrapUpTime => "wrap_up_time",
            Self::ActiveTime => "active_time",
            Self::CustomerMessages => "customer_messages",
            Self::AgentMessages => "agent_messages",
            Self::Occupancy => "occupancy",
            Self::Utilisation => "utilisation",
            Self::DeliveredMessages => "delivered_messages",
            Self::MarketingMessages => "marketing_messages",
            Self::UtilityMessages => "utility_messages",
            Self::AuthenticationMessages => "authentication_messages",
            Self::ServiceMessages => "service_messages",
            Self::OtherMessages => "other_messages",
            Self::FreeMessages => "free_messages",
            Self::UnpricedMessages => "unpriced_messages",
            Self::Cost => "cost",
            Self::SentimentPositive => "sentiment_positive",
            Self::SentimentNeutral => "sentiment_neutral",
            Self::SentimentNegative => "sentiment_negative",
            Self::SentimentMixed => "sentiment_mixed",
            Self::AiCalls => "ai_calls",
            Self::AiFailures => "ai_failures",
            Self::AiEscalations => "ai_escalations",
            Self::AiInputTokens => "ai_input_tokens",
            Self::AiOutputTokens => "ai_output_tokens",
            Self::AiTime => "ai_time",
            Self::AiCost => "ai_cost",
        }
    }

    /// The metric of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether it can be told for each value of a dimension.
    pub fn belongs_to(self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::AiAgent => self.is_of_ai(),
            Dimension::Account => !self.is_of_duty(),
            _ if self.is_of_ai() => false,
            Dimension::Agent => self == Self::Started || self >= Self::Offered,
            _ if self.is_of_duty() => false,
            Dimension::Queue => !matches!(self, Self::Opened | Self::Started | Self::Reopened | Self::Abandoned),
            // When a message is written nobody knows with which disposition the interaction will end.
            Dimension::Disposition => self >= Self::Closed && !self.is_of_messages(),
        }
    }

    /// Whether it tells of messages that reached customers.
    pub fn is_of_messages(self) -> bool {
        (Self::DeliveredMessages..=Self::Cost).contains(&self)
    }

    /// Whether it tells of language models.
    pub fn is_of_ai(self) -> bool {
        self >= Self::AiCalls
    }

    /// Whether it follows from the timelines of agents, and not from what was counted.
    pub fn is_of_duty(self) -> bool {
        matches!(self, Self::Occupancy | Self::Utilisation)
    }

    /// Its value. The tally must have been [judged](Tally::judged) and [costed](Tally::costed) for those that follow
    /// from a limit or from prices.
    pub fn of(self, tally: &Tally) -> Cell {
        let count = |measure| Cell::Count(tally.count(measure));
        let total = |measure| Cell::Count(tally.total(measure));
        let mean = |measure| ratio(tally.total(measure), tally.count(measure) * 1_000);
        let of_handled = |total: u64| ratio(total, tally.count(Measure::Handled) * 1_000);
        let percentile = |measure, percent| match tally.sum(measure).and_then(|sum| sum.percentile(percent)) {
            Some(milliseconds) => ratio(milliseconds, 1_000),
            None => Cell::Nothing,
        };
        let messages = |wanted: fn(Category) -> bool| Cell::Count(tally.messages(|priced| wanted(priced.category)));
        let money = |measure| match tally.count(measure) {
            0 => Cell::Nothing,
            // Up to 2^53 every whole number has its own f64: nine thousand million.
            _ => Cell::Number(tally.total(measure) as f64 / 1_000_000.0),
        };
        match self {
            Self::Opened => count(Measure::Opened),
            Self::Started => count(Measure::Started),
            Self::Reopened => count(Measure::Reopened),
            Self::Abandoned => count(Measure::Abandoned),
            Self::Queued => count(Measure::Queued),
            Self::Answered => count(Measure::Answered),
            Self::FlowedOut => count(Measure::FlowedOut),
            Self::AbandonedInQueue => count(Measure::AbandonedInQueue),
            Self::ServiceLevel => ratio(tally.count(Measure::InTime), tally.count(Measure::Judged)),
            Self::SpeedOfAnswer => mean(Measure::Answered),
            Self::SpeedOfAnswerP50 => percentile(Measure::Answered, 50),
            Self::SpeedOfAnswerP90 => percentile(Measure::Answered, 90),
            Self::SpeedOfAnswerP95 => percentile(Measure::Answered, 95),
            Self::Offered => count(Measure::Offered),
            Self::Accepted => count(Measure::Accepted),
            Self::Rejected => count(Measure::Rejected),
            Self::Missed => count(Measure::Missed),
            Self::Withdrawn => count(Measure::Withdrawn),
            Self::FirstResponse => mean(Measure::FirstResponse),
            Self::FirstResponseP50 => percentile(Measure::FirstResponse, 50),
            Self::FirstResponseP90 => percentile(Measure::FirstResponse, 90),
            Self::FirstResponseP95 => percentile(Measure::FirstResponse, 95),
            Self::Closed => count(Measure::Closed),
            Self::Handled => count(Measure::Handled),
            Self::HandlingTime => mean(Measure::Handled),
            Self::HandlingTimeP50 => percentile(Measure::Handled, 50),
            Self::HandlingTimeP90 => percentile(Measure::Handled, 90),
            Self::HandlingTimeP95 => percentile(Measure::Handled, 95),
            Self::HeldTime => of_handled(tally.total(Measure::Handled).saturating_sub(tally.total(Measure::WrapUp))),
            Self::WrapUpTime => of_handled(tally.total(Measure::WrapUp)),
            Self::ActiveTime => of_handled(tally.total(Measure::Active)),
            Self::CustomerMessages => total(Measure::CustomerMessages),
            Self::AgentMessages => total(Measure::AgentMessages),
            Self::Occupancy => ratio(tally.total(Measure::Busy), tally.total(Measure::Busy) + tally.total(Measure::Idle)),
            Self::Utilisation => ratio(tally.total(Measure::Used), tally.total(Measure::Usable)),
            Self::DeliveredMessages => messages(|_| true),
            Self::MarketingMessages => messages(|category| category == Category::Marketing),
            Self::UtilityMessages => messages(|category| category == Category::Utility),
            Self::AuthenticationMessages => {
                messages(|category| matches!(category, Category::Authentication | Category::AuthenticationInternational))
            }
            Self::ServiceMessages => messages(|category| category == Category::Service),
            Self::OtherMessages => messages(|category| matches!(category, Category::Other | Category::Template)),
            Self::FreeMessages => Cell::Count(tally.messages(|priced| priced.terms == Terms::Free)),
            Self::UnpricedMessages => count(Measure::Unpriced),
            Self::Cost => money(Measure::Cost),
            Self::SentimentPositive => count(Measure::Positive),
            Self::SentimentNeutral => count(Measure::Neutral),
            Self::SentimentNegative => count(Measure::Negative),
            Self::SentimentMixed => count(Measure::Mixed),
            Self::AiCalls => count(Measure::AiCalled),
            Self::AiFailures => count(Measure::AiFailed),
            Self::AiEscalations => count(Measure::AiEscalated),
            Self::AiInputTokens => total(Measure::AiInput),
            Self::AiOutputTokens => total(Measure::AiOutput),
            Self::AiTime => mean(Measure::AiTime),
            Self::AiCost => money(Measure::AiCharged),
        }
    }
}

/// The quotient, to three decimals: a thousandth of a second, a tenth of a percent. It is rounded with whole numbers,
/// so that the same sums always give the same digits.
fn ratio(value: u64, by: u64) -> Cell {
    if by == 0 {
        return Cell::Nothing;
    }
    let thousandths = (u128::from(value) * 2_000 + u128::from(by)) / (u128::from(by) * 2);
    // Up to 2^53 every whole number has its own f64: 285,000 years.
    Cell::Number(u64::try_from(thousandths).unwrap_or(u64::MAX) as f64 / 1_000.0)
}
