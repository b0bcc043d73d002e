//! Days of a time zone.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::interval::ZoneName;
use crate::values::Invalid;

/// A day as the stretch of time that it is in its zone: 23 to 25 hours where the clocks change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Day {
    /// Reads a day such as `2026-03-29`. A day that the zone has skipped, as Samoa did in 2011, is refused.
    pub fn parse(text: &str, zone: &ZoneName) -> Result<Self, Invalid> {
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let date: Date = text.parse().ok().filter(|_| plain).ok_or(Invalid("must be a day that exists, such as 2026-03-29"))?;
        let zone = zone.zone();
        let start = |date: Date| date.to_zoned(zone.clone()).and_then(|midnight| midnight.start_of_day()).ok();
        let from = start(date).filter(|start| start.date() == date).ok_or(Invalid("is a day that does not exist in the time zone"))?;
        let until = date.tomorrow().ok().and_then(start).map_or(Timestamp::MAX, |until| until.timestamp());
        Ok(Self { from: from.timestamp(), until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str, zone: &str) -> Result<(String, String), String> {
        let day = Day::parse(text, &ZoneName::parse(zone).unwrap()).map_err(|invalid| invalid.to_string())?;
        Ok((day.from.to_string(), day.until.to_string()))
    }

    #[test]
    fn a_day_is_as_long_as_it_is_in_its_zone() {
        let of = |from: &str, until: &str| Ok((from.to_owned(), until.to_owned()));
        assert_eq!(day("2026-03-29", "UTC"), of("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"));
        assert_eq!(day("2026-03-29", "Europe/Rome"), of("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        assert_eq!(day("2026-10-25", "Europe/Rome"), of("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        // Here the clocks are put forward at midnight, so the day begins at one.
        assert_eq!(day("2018-11-04", "America/Sao_Paulo"), of("2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"));
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        for bad in ["", "2026-02-30", "2026-3-1", "26-03-01", "2026-03-01T00:00", "20260301", "tomorrow"] {
            assert!(day(bad, "UTC").unwrap_err().contains("such as"), "{bad}");
        }
        assert!(day("2011-12-30", "Pacific/Apia").unwrap_err().contains("time zone"));
        assert!(day("2011-12-30", "UTC").is_ok() && day("2011-12-29", "Pacific/Apia").is_ok());
    }
}
