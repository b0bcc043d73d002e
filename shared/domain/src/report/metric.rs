//! What a report shows of a tally.

use serde::{Deserialize, Serialize};

use super::{Dimension, Measure, Tally};

/// The limit of the service level, in milliseconds, where none is given.
pub const SERVICE_LEVEL: u64 = 60_000;

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
    pub const ALL: [Self; 35] = [
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
        }
    }

    /// The metric of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether it can be told for each value of a dimension.
    pub fn belongs_to(self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Agent => self == Self::Started || self >= Self::Offered,
            _ if self.is_of_duty() => false,
            Dimension::Account => true,
            Dimension::Queue => !matches!(self, Self::Opened | Self::Started | Self::Reopened | Self::Abandoned),
            Dimension::Disposition => self >= Self::Closed,
        }
    }

    /// Whether it follows from the timelines of agents, and not from what was counted.
    pub fn is_of_duty(self) -> bool {
        matches!(self, Self::Occupancy | Self::Utilisation)
    }

    /// Its value. `service_level` is the limit in milliseconds, which must be one of the bounds.
    pub fn of(self, tally: &Tally, service_level: u64) -> Cell {
        let count = |measure| Cell::Count(tally.count(measure));
        let total = |measure| Cell::Count(tally.total(measure));
        let mean = |measure| ratio(tally.total(measure), tally.count(measure) * 1_000);
        let of_handled = |total: u64| ratio(total, tally.count(Measure::Handled) * 1_000);
        let percentile = |measure, percent| match tally.sum(measure).and_then(|sum| sum.percentile(percent)) {
            Some(milliseconds) => ratio(milliseconds, 1_000),
            None => Cell::Nothing,
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
            Self::ServiceLevel => {
                let within = |measure| tally.sum(measure).map_or(0, |sum| sum.within(service_level));
                let after = |measure| tally.count(measure) - within(measure);
                let due = tally.count(Measure::Answered) + after(Measure::AbandonedInQueue) + after(Measure::FlowedOut);
                ratio(within(Measure::Answered), due)
            }
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
