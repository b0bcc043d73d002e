//! Quarter-hours, and the periods of a report in a time zone.
//!
//! Every offset in force is a multiple of a quarter-hour, so a day of any zone is a sum of quarters of UTC: 96, or 92
//! or 100 when clocks change.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

/// A quarter-hour of UTC: its number since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quarter(pub i64);

impl Quarter {
    /// How many make a day of UTC.
    pub const OF_A_DAY: i64 = 96;

    const SECONDS: i64 = 900;

    /// The quarter-hour in which `at` lies.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_second().div_euclid(Self::SECONDS))
    }

    /// Its beginning.
    pub fn starts(self) -> Timestamp {
        Timestamp::from_second(self.0.saturating_mul(Self::SECONDS)).unwrap_or(Timestamp::MAX)
    }

    /// The day of UTC: its number since 1970.
    pub fn day(self) -> i64 {
        self.0.div_euclid(Self::OF_A_DAY)
    }

    /// Its place in the day of UTC.
    pub fn place(self) -> i64 {
        self.0.rem_euclid(Self::OF_A_DAY)
    }
}

/// How long the periods of a report are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A quarter-hour.
    QuarterHour,
    /// An hour of the zone's clock.
    Hour,
    /// A day of the zone's calendar.
    Day,
    /// A week from Monday on.
    Week,
    /// A month of the zone's calendar.
    Month,
    /// All of it.
    Whole,
}

/// The beginning or end of a report, as the zone's clock shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A day. As an end, it belongs to the report.
    Day(Date),
    /// A time. As an end, the report ends before it.
    Time(DateTime),
}

impl Moment {
    /// Reads `2026-11-01` or `2026-11-01T08:15`; `None` for anything else, and for a day that no calendar has.
    pub fn parse(text: &str) -> Option<Self> {
        match text.len() {
            10 => text.parse().ok().map(Self::Day),
            16 => text.parse().ok().map(Self::Time),
            _ => None,
        }
    }
}

/// The periods that are asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The zone.
    pub zone: TimeZone,
    /// The beginning.
    pub from: Moment,
    /// The end.
    pub to: Moment,
    /// How long each is.
    pub period: Period,
}

/// Why a beginning or end can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// The zone's calendar or clock leaves it out.
    #[error("does not exist in this time zone")]
    Skipped,
    /// Reports go by quarter-hours.
    #[error("does not lie on a quarter-hour")]
    OffQuarter,
}

/// The periods of a report: their boundaries, in order. The first and the last one may be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    boundaries: Vec<Quarter>,
}

impl Wanted {
    /// The first quarter-hour of the report.
    ///
    /// # Errors
    /// The beginning is unclear.
    pub fn first(&self) -> Result<Quarter, Unclear> {
        match self.from {
            Moment::Day(date) => self.starts(self.existing(date)?),
            Moment::Time(time) => self.time(time),
        }
    }

    /// The first quarter-hour behind the report.
    ///
    /// # Errors
    /// The end is unclear.
    pub fn end(&self) -> Result<Quarter, Unclear> {
        match self.to {
            Moment::Day(date) => self.starts(self.existing(date)?.tomorrow().map_err(|_| Unclear::Skipped)?),
            Moment::Time(time) => self.time(time),
        }
    }

    /// The periods from `first` to `end`.
    pub fn calendar(&self, first: Quarter, end: Quarter) -> Calendar {
        let mut boundaries = Vec::new();
        let mut before = None;
        for quarter in (first.0..end.0).map(Quarter) {
            let here = self.period_of(quarter);
            if before.replace(here) != Some(here) {
                boundaries.push(quarter);
            }
        }
        boundaries.push(end);
        Calendar { boundaries }
    }

    fn existing(&self, date: Date) -> Result<Date, Unclear> {
        let there = date.to_zoned(self.zone.clone()).map_err(|_| Unclear::Skipped)?.date();
        if there == date { Ok(date) } else { Err(Unclear::Skipped) }
    }

    /// The beginning of a day. Where the clocks change at midnight that may be one o'clock.
    fn starts(&self, date: Date) -> Result<Quarter, Unclear> {
        aligned(date.to_zoned(self.zone.clone()).map_err(|_| Unclear::Skipped)?.timestamp())
    }

    /// Of a time that comes twice, the first.
    fn time(&self, time: DateTime) -> Result<Quarter, Unclear> {
        let time = self.zone.to_ambiguous_timestamp(time);
        if matches!(time.offset(), AmbiguousOffset::Gap { .. }) {
            return Err(Unclear::Skipped);
        }
        aligned(time.compatible().map_err(|_| Unclear::Skipped)?)
    }

    /// What distinguishes the period in which a quarter-hour lies from those beside it.
    fn period_of(&self, quarter: Quarter) -> (Date, i64) {
        let local = quarter.starts().to_zoned(self.zone.clone());
        let date = local.date();
        match self.period {
            Period::QuarterHour => (date, quarter.0),
            // The same hour comes twice when clocks are set back.
            Period::Hour => (date, i64::from(local.hour()) + i64::from(local.offset().seconds()) * 24),
            Period::Day => (date, 0),
            Period::Week => (date.saturating_sub(jiff::Span::new().days(date.weekday().to_monday_zero_offset())), 0),
            Period::Month => (date.first_of_month(), 0),
            Period::Whole => (Date::ZERO, 0),
        }
    }
}

fn aligned(at: Timestamp) -> Result<Quarter, Unclear> {
    let quarter = Quarter::of(at);
    if quarter.starts() == at { Ok(quarter) } else { Err(Unclear::OffQuarter) }
}

impl Calendar {
    /// How many periods there are.
    pub fn len(&self) -> usize {
        self.boundaries.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the period in which a quarter-hour lies.
    pub fn place(&self, quarter: Quarter) -> Option<usize> {
        let place = self.boundaries.partition_point(|boundary| *boundary <= quarter).checked_sub(1)?;
        (place < self.len()).then_some(place)
    }

    /// The beginning and the end of each period, in order.
    pub fn periods(&self) -> impl Iterator<Item = (Quarter, Quarter)> {
        self.boundaries.windows(2).filter_map(|both| Some((*both.first()?, *both.last()?)))
    }
}
