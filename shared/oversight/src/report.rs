//! A report: sums of quarter-hours, by what its rows are and by periods.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{AccountId, AgentId};
use domain::pricing::Prices;
use domain::report::{Calendar, Cell, Dimension, Metric, Quarter, ServiceLevel, Tally, add_up};
use engine::ports::{PortError, Reports};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The longest report: a year and a month, to compare a month with the one a year before. By 50 agents it reads some
/// 90 MB.
pub const MOST_QUARTERS: i64 = 400 * Quarter::OF_A_DAY;

/// The largest report, in cells; a period counts as ten more, for its beginning and end. The HTTP API's answer ends at
/// 6 MB, and a cell takes up to a dozen bytes.
const MOST_CELLS: usize = 300_000;

/// How many accounts, or agents, are read at once.
const AT_ONCE: usize = 16;

/// What a report's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// All accounts together are one row.
    Total,
    /// Each value of a dimension.
    Each(Dimension),
}

/// The id of the row that has everything.
const TOTAL: &str = "total";

impl By {
    /// Whose sums are read.
    pub fn dimension(self) -> Dimension {
        match self {
            Self::Total => Dimension::Account,
            Self::Each(dimension) => dimension,
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The accounts.
    pub accounts: Vec<AccountId>,
    /// The agents whose occupancy and utilisation may be asked for.
    pub agents: Vec<AgentId>,
    /// What the rows are.
    pub by: By,
    /// Only these rows; `None` for all.
    pub only: Option<BTreeSet<String>>,
    /// The periods; `None`: rows have their totals only.
    pub periods: Option<Calendar>,
    /// The first quarter-hour.
    pub first: Quarter,
    /// The first quarter-hour behind the report.
    pub end: Quarter,
    /// The columns.
    pub metrics: Vec<Metric>,
    /// The limit of the service level; `None`: that of each queue.
    pub service_level: Option<ServiceLevel>,
    /// The queues' limits by their ids, where they are not the usual one.
    pub levels: BTreeMap<String, ServiceLevel>,
    /// The table by which messages are priced.
    pub prices: Prices,
    /// The present. Agents go on with what they do.
    pub now: Timestamp,
}

/// The answer would have so many cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// How many it would have.
    pub cells: usize,
    /// How many it may have.
    pub most: usize,
}

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The rows for which something was counted, by id.
    pub rows: Vec<ReportRow>,
    /// All rows together.
    pub total: Vec<Cell>,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportRow {
    /// The id of the account, queue or agent, or the disposition.
    pub id: String,
    /// All periods together.
    pub total: Vec<Cell>,
    /// The periods in which something was counted, in order.
    pub parts: Vec<Part>,
}

/// A period of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The first quarter-hour.
    pub from: Quarter,
    /// The first quarter-hour behind it.
    pub to: Quarter,
    /// The cells, one for each metric.
    pub values: Vec<Cell>,
}

/// Sums of a quarter-hour as they are stored: the account, the value of the dimension, the quarter-hour.
type Read = (AccountId, String, Quarter, Tally);

#[derive(Default)]
struct Sums {
    total: Tally,
    parts: BTreeMap<usize, Tally>,
}

impl Asked {
    /// Reads the sums and makes the report.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn report(&self, reports: &impl Reports) -> Result<Result<Report, TooLarge>, PortError> {
        let dimension = self.by.dimension();
        let judged = |(_, value, quarter, tally): Read| (value.clone(), quarter, self.derived(&value, quarter, tally));
        let mut all: Vec<(String, Quarter, Tally)> = self.read(reports, dimension).await?.into_iter().map(judged).collect();
        if dimension == Dimension::Account && self.judges_by_queue() {
            // An account's level is that of its queues together, each by its own limit.
            let judged = |(account, queue, quarter, tally): Read| (account.to_string(), quarter, tally.only_judged(self.level_of(&queue)));
            all.extend(self.read(reports, Dimension::Queue).await?.into_iter().map(judged));
        }
        if self.metrics.iter().any(|metric| metric.is_of_duty()) {
            let read = self.agents.iter().cloned().map(|agent| self.on_duty(reports, agent));
            all.extend(stream::iter(read).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?.into_iter().flatten());
        }
        let mut rows: BTreeMap<String, Sums> = BTreeMap::new();
        let mut total = Tally::default();
        for (value, quarter, tally) in all {
            let id = if self.by == By::Total { TOTAL.to_owned() } else { value };
            if self.only.as_ref().is_some_and(|only| !only.contains(&id)) {
                continue;
            }
            let sums = rows.entry(id).or_default();
            sums.total.merge(&tally);
            if let Some(place) = self.periods.as_ref().and_then(|periods| periods.place(quarter)) {
                sums.parts.entry(place).or_default().merge(&tally);
            }
            total.merge(&tally);
        }
        let periods: usize = rows.values().map(|sums| sums.parts.len() + 1).sum();
        let cells = periods * (self.metrics.len() + 10);
        if cells > MOST_CELLS {
            return Ok(Err(TooLarge { cells, most: MOST_CELLS }));
        }
        let bounds: Vec<(Quarter, Quarter)> = self.periods.iter().flat_map(Calendar::periods).collect();
        let row = |(id, Sums { total, parts }): (String, Sums)| {
            let part = |(place, tally): (usize, Tally)| {
                let (from, to) = *bounds.get(place)?;
                Some(Part { from, to, values: self.cells(&tally) })
            };
            ReportRow { id, total: self.cells(&total), parts: parts.into_iter().filter_map(part).collect() }
        };
        Ok(Ok(Report { rows: rows.into_iter().map(row).collect(), total: self.cells(&total) }))
    }

    /// The sums of all values of a dimension, with their accounts.
    async fn read(&self, reports: &impl Reports, dimension: Dimension) -> Result<Vec<Read>, PortError> {
        let read = self.accounts.iter().cloned().map(|account| async move {
            let tallies = reports.tallies(&account, dimension, self.first..self.end).await?;
            Ok::<_, PortError>(tallies.into_iter().map(move |(value, quarter, tally)| (account.clone(), value, quarter, tally)))
        });
        let read: Vec<_> = stream::iter(read).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Whether the level of an account must be put together of those of its queues: some of them have other limits.
    fn judges_by_queue(&self) -> bool {
        self.metrics.contains(&Metric::ServiceLevel) && self.service_level.is_none() && !self.levels.is_empty()
    }

    /// The limit of a queue, or of anything else: the usual one.
    fn level_of(&self, queue: &str) -> ServiceLevel {
        self.service_level.or_else(|| self.levels.get(queue).copied()).unwrap_or_default()
    }

    /// The sums of a quarter-hour with what follows from the limit and from prices. It is derived of each apart:
    /// limits differ by queue, and prices by day.
    fn derived(&self, value: &str, quarter: Quarter, tally: Tally) -> Tally {
        let judged = self.by.dimension() == Dimension::Queue || !self.judges_by_queue();
        let tally = if judged { tally.judged(self.level_of(value)) } else { tally };
        tally.costed(&self.prices, quarter.starts().to_zoned(TimeZone::UTC).date())
    }

    /// How long an agent was busy and idle.
    async fn on_duty(&self, reports: &impl Reports, agent: AgentId) -> Result<Vec<(String, Quarter, Tally)>, PortError> {
        let span = self.first.starts()..self.end.starts().min(self.now);
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let timeline = reports.timeline(&agent, span).await?;
        let sums = add_up(&timeline, self.first, self.end, self.now);
        Ok(sums.into_iter().map(|(quarter, tally)| (agent.to_string(), quarter, tally)).collect())
    }

    fn cells(&self, tally: &Tally) -> Vec<Cell> {
        self.metrics.iter().map(|metric| metric.of(tally)).collect()
    }
}
