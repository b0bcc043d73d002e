//! Intervals: the hours in which a step of an action plan is entered or skipped.
//!
//! An interval follows the wall clock of its own time zone: while that clock shows a time within a range, the range
//! matches. So a range that begins in the hour that a change to summer time skips begins with the first minute
//! after it, and an hour that a change back repeats counts both times.
//!
//! A range may cross midnight. It then belongs as a whole to the day on which it begins: "Fridays 22:00 to 02:00"
//! ends on Saturday at 02:00, and its weekday, day of month and month are those of the Friday.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

use crate::ids::IntervalId;
use crate::values::Invalid;

/// A named interval of time, e.g. office hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Ours.
    pub id: IntervalId,
    /// The name, for people.
    pub name: String,
    /// The time zone of its wall clock.
    pub time_zone: ZoneName,
    /// The interval matches while any of these ranges does. Without a range it always matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Days on which it never matches, whatever the ranges say. Nor does the rest of a night that would have begun
    /// on one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Holiday>,
}

/// A range of time on some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = IntervalRange))]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first minute; 00:00 by default.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, default = "00:00", example = "09:00"))]
    pub from: Minute,
    /// The last minute, which is included; 23:59 by default. If it is before `from`, it is on the next day.
    #[serde(default = "Minute::last")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, default = "23:59", example = "17:59"))]
    pub to: Minute,
    /// The weekdays on which it begins; if empty, all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub weekdays: BTreeSet<Weekday>,
    /// The days of the month on which it begins; if empty, all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<u8>, required = false))]
    pub days: BTreeSet<DayOfMonth>,
    /// The months in which it begins; if empty, all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<u8>, required = false))]
    pub months: BTreeSet<Month>,
}

impl Default for Range {
    /// Every day, the whole day.
    fn default() -> Self {
        let (weekdays, days, months) = Default::default();
        Self { from: Minute::default(), to: Minute::last(), weekdays, days, months }
    }
}

/// A day on which an interval does not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = IntervalHoliday))]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// The day, e.g. `2026-12-25`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Date, example = "2026-12-25"))]
    pub date: Date,
    /// Whether it returns every year. One on 29 February returns in leap years.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = false, default = false))]
    pub yearly: bool,
}

/// The name of a time zone in the IANA database, e.g. `Europe/Rome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl ZoneName {
    /// Reads a name that the database knows, in any case.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let zone = TimeZone::get(text).map_err(|_| Invalid("must be the name of a time zone such as Europe/Rome"))?;
        Ok(Self(zone.iana_name().unwrap_or(text).to_owned()))
    }

    /// The name as the database writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time zone. A name that the database has lost since it was checked counts as UTC.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.0).unwrap_or(TimeZone::UTC)
    }

    /// The wall clock's time at `at`.
    pub fn clock(&self, at: Timestamp) -> DateTime {
        self.zone().to_datetime(at)
    }
}

impl Default for ZoneName {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl TryFrom<String> for ZoneName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> String {
        name.0
    }
}

/// A minute of the day, written `09:30`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Minute(u16);

impl Minute {
    /// Reads `00:00` to `23:59`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digits = |part: &str| (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<u16>().ok());
        match text.split_once(':').map(|(hour, minute)| (digits(hour).flatten(), digits(minute).flatten())) {
            Some((Some(hour @ 0..=23), Some(minute @ 0..=59))) => Ok(Self(hour * 60 + minute)),
            _ => Err(Invalid("must be a time from 00:00 to 23:59")),
        }
    }

    fn last() -> Self {
        Self(23 * 60 + 59)
    }

    fn of(time: civil::Time) -> Self {
        Self(u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs()))
    }
}

impl TryFrom<String> for Minute {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Minute> for String {
    fn from(minute: Minute) -> String {
        format!("{:02}:{:02}", minute.0 / 60, minute.0 % 60)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// The weekday of a date.
    pub fn of(date: Date) -> Self {
        match date.weekday() {
            civil::Weekday::Monday => Self::Monday,
            civil::Weekday::Tuesday => Self::Tuesday,
            civil::Weekday::Wednesday => Self::Wednesday,
            civil::Weekday::Thursday => Self::Thursday,
            civil::Weekday::Friday => Self::Friday,
            civil::Weekday::Saturday => Self::Saturday,
            civil::Weekday::Sunday => Self::Sunday,
        }
    }

    /// The name in lower-case English, as it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

macro_rules! small_number {
    ($(#[$doc:meta])* $name:ident $most:literal $words:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i8);

        impl TryFrom<i64> for $name {
            type Error = Invalid;
            fn try_from(number: i64) -> Result<Self, Invalid> {
                match i8::try_from(number) {
                    Ok(number @ 1..=$most) => Ok(Self(number)),
                    _ => Err(Invalid($words)),
                }
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> i64 {
                i64::from(number.0)
            }
        }
    };
}
small_number! {
    /// 1 to 31.
    DayOfMonth 31 "must be from 1 to 31"
}
small_number! {
    /// 1 to 12.
    Month 12 "must be from 1 to 12"
}

impl Interval {
    /// Whether the interval matches at `at`.
    pub fn matches(&self, at: Timestamp) -> bool {
        let clock = self.time_zone.clock(at);
        if self.is_holiday(clock.date()) {
            return false;
        }
        self.ranges.is_empty() || self.ranges.iter().any(|range| range.began_on(clock).is_some_and(|day| !self.is_holiday(day)))
    }

    fn is_holiday(&self, day: Date) -> bool {
        let same = |date: Date| (date.month(), date.day()) == (day.month(), day.day());
        self.holidays.iter().any(|holiday| if holiday.yearly { same(holiday.date) } else { holiday.date == day })
    }
}

impl Range {
    /// The day on which the range began that `clock` is in, if it is in one.
    fn began_on(&self, clock: DateTime) -> Option<Date> {
        let (now, today) = (Minute::of(clock.time()), clock.date());
        let (begins_today, ends_today) = match self.from <= self.to {
            true => (self.from <= now && now <= self.to, false),
            false => (self.from <= now, now <= self.to),
        };
        if begins_today && self.begins_on(today) {
            return Some(today);
        }
        today.yesterday().ok().filter(|yesterday| ends_today && self.begins_on(*yesterday))
    }

    fn begins_on(&self, day: Date) -> bool {
        (self.weekdays.is_empty() || self.weekdays.contains(&Weekday::of(day)))
            && (self.days.is_empty() || self.days.contains(&DayOfMonth(day.day())))
            && (self.months.is_empty() || self.months.contains(&Month(day.month())))
    }
}

#[cfg(test)]
mod tests;
