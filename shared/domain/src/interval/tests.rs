use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;
use serde_json::json;
use ulid::Ulid;

use super::*;

fn interval(zone: &str, ranges: serde_json::Value, holidays: serde_json::Value) -> Interval {
    let id = IntervalId::from_ulid(Ulid::nil());
    serde_json::from_value(json!({"id": id, "name": "Hours", "time_zone": zone, "ranges": ranges, "holidays": holidays})).unwrap()
}

/// The first instant at which the clock of `zone` shows `clock`.
fn at(zone: &str, clock: &str) -> Timestamp {
    clock.parse::<DateTime>().unwrap().in_tz(zone).unwrap().timestamp()
}

#[test]
fn an_interval_without_ranges_always_matches() {
    let always = interval("Europe/Rome", json!([]), json!([]));
    assert!(always.matches(at("Europe/Rome", "2026-02-03T04:05")));
}

#[test]
fn the_end_minute_is_included() {
    let office = interval("Europe/Rome", json!([{"from": "09:00", "to": "18:00"}]), json!([]));
    for (clock, expected) in
        [("08:59:59.999", false), ("09:00", true), ("18:00", true), ("18:00:59.999", true), ("18:01", false), ("00:00", false)]
    {
        assert_eq!(office.matches(at("Europe/Rome", &format!("2026-06-10T{clock}"))), expected, "{clock}");
    }
    let minute = interval("UTC", json!([{"from": "12:00", "to": "12:00"}]), json!([]));
    assert!(minute.matches(at("UTC", "2026-06-10T12:00:30")) && !minute.matches(at("UTC", "2026-06-10T12:01")));
}

#[test]
fn an_interval_follows_the_clock_of_its_own_zone() {
    let tokyo = interval("Asia/Tokyo", json!([{"from": "09:00", "to": "17:59"}]), json!([]));
    assert!(tokyo.matches(at("UTC", "2026-06-10T00:00")) && !tokyo.matches(at("UTC", "2026-06-10T09:00")));
}

#[test]
fn a_range_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let night = interval("Europe/Rome", json!([{"from": "22:00", "to": "02:00", "weekdays": ["friday"]}]), json!([]));
    // 2026-06-12 is a Friday.
    for (clock, expected) in [
        ("2026-06-12T21:59", false),
        ("2026-06-12T22:00", true),
        ("2026-06-13T02:00:59", true),
        ("2026-06-13T02:01", false),
        ("2026-06-12T01:00", false),
        ("2026-06-13T22:30", false),
    ] {
        assert_eq!(night.matches(at("Europe/Rome", clock)), expected, "{clock}");
    }
    let new_year = interval("UTC", json!([{"from": "20:00", "to": "05:00", "days": [31], "months": [12]}]), json!([]));
    assert!(new_year.matches(at("UTC", "2027-01-01T04:00")) && !new_year.matches(at("UTC", "2026-12-31T04:00")));
}

#[test]
fn days_and_months_and_weekdays_must_all_match_in_any_one_range() {
    let hours = interval(
        "UTC",
        json!([{"days": [1, 15], "months": [3]}, {"from": "08:00", "to": "11:59", "weekdays": ["saturday", "sunday"]}]),
        json!([]),
    );
    for (clock, expected) in [
        ("2026-03-15T23:59", true),
        ("2026-03-16T12:00", false),
        ("2026-04-15T12:00", false),
        ("2026-04-18T09:00", true),
        ("2026-04-18T12:00", false),
    ] {
        assert_eq!(hours.matches(at("UTC", clock)), expected, "{clock}");
    }
}

#[test]
fn an_interval_does_not_match_on_a_holiday_or_in_the_night_that_would_have_begun_then() {
    let holidays = json!([{"date": "2026-12-25", "yearly": true}, {"date": "2026-06-15"}]);
    let night = interval("Europe/Rome", json!([{"from": "18:00", "to": "06:00"}, {"from": "10:00", "to": "12:00"}]), holidays.clone());
    for (clock, expected) in [
        ("2026-12-24T23:00", true),
        ("2026-12-25T00:00", false),
        ("2026-12-25T11:00", false),
        ("2026-12-26T05:00", false),
        ("2026-12-26T11:00", true),
        ("2030-12-25T11:00", false),
        ("2026-06-15T11:00", false),
        ("2027-06-15T11:00", true),
    ] {
        assert_eq!(night.matches(at("Europe/Rome", clock)), expected, "{clock}");
    }
    let always = interval("Europe/Rome", json!([]), holidays);
    assert!(!always.matches(at("Europe/Rome", "2026-12-25T23:59:59")) && always.matches(at("Europe/Rome", "2026-12-26T00:00")));
}

#[test]
fn a_skipped_hour_ends_nothing_and_a_repeated_one_counts_twice() {
    // Rome skips 02:00 to 03:00 on 2026-03-29 and repeats it on 2026-10-25.
    let early = interval("Europe/Rome", json!([{"from": "02:30", "to": "04:00"}]), json!([]));
    let before = at("UTC", "2026-03-29T00:59:59");
    assert!(!early.matches(before));
    assert!(early.matches(before + SignedDuration::from_secs(1)), "03:00 on the clock");
    let hour = interval("Europe/Rome", json!([{"from": "02:00", "to": "02:59"}]), json!([]));
    assert!(hour.matches(at("UTC", "2026-10-25T00:30")) && hour.matches(at("UTC", "2026-10-25T01:30")));
    assert!(!hour.matches(at("UTC", "2026-10-24T23:59")) && !hour.matches(at("UTC", "2026-10-25T02:00")));
    // The night of the change is one night.
    let night = interval("Europe/Rome", json!([{"from": "22:00", "to": "05:00", "weekdays": ["saturday"]}]), json!([]));
    assert!((0..6).all(|hour| night.matches(at("UTC", "2026-03-28T21:00") + SignedDuration::from_hours(hour))));
    assert!(!night.matches(at("UTC", "2026-03-29T03:01")));
}

#[test]
fn an_unknown_zone_or_time_is_refused() {
    for bad in ["", "Rome", "Europe/Atlantis", "+02:00", "Europe/Rome ", "../etc/passwd"] {
        assert!(ZoneName::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(ZoneName::parse("europe/rome").unwrap().as_str(), "Europe/Rome");
    assert_eq!(ZoneName::default(), ZoneName::parse("UTC").unwrap());
    for bad in ["24:00", "09:60", "9:00", "09:0", "0900", "", "-1:00", "09:00:00", "०९:००"] {
        assert!(Minute::parse(bad).is_err(), "{bad}");
    }
    assert!(DayOfMonth::try_from(32).is_err() && Month::try_from(0).is_err());
}

/// Zones whose clocks jump by an hour, by half an hour or at midnight, or that are near the date line.
const ZONES: [&str; 7] =
    ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Asia/Gaza", "Pacific/Chatham"];

fn minute() -> impl Strategy<Value = u16> {
    0..1440_u16
}

proptest! {
    /// On the days on which the clocks of a zone change, an interval agrees, minute by minute, with a look at the
    /// clock and a list of the day's minutes.
    #[test]
    fn an_interval_follows_the_wall_clock_around_every_change(zone in 0..ZONES.len(), change in 0..4_usize, from in minute(), to in minute(), weekdays in proptest::collection::btree_set(0..7_u8, 0..4)) {
        let zone = TimeZone::get(ZONES[zone]).unwrap();
        let start: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let Some(change) = zone.following(start).nth(change) else { return Ok(()) };
        const NAMES: [Weekday; 7] = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday, Weekday::Saturday, Weekday::Sunday];
        let interval = Interval {
            id: IntervalId::from_ulid(Ulid::nil()),
            name: String::new(),
            time_zone: ZoneName::parse(zone.iana_name().unwrap()).unwrap(),
            ranges: vec![Range {
                from: Minute(from),
                to: Minute(to),
                weekdays: weekdays.iter().map(|day| NAMES[usize::from(*day)]).collect(),
                ..Range::default()
            }],
            holidays: Vec::new(),
        };
        let on = |day: Date| weekdays.is_empty() || weekdays.contains(&u8::try_from(day.weekday().to_monday_zero_offset()).unwrap());
        // The minutes of a range, counted one by one from its first to its last.
        let mut minutes = vec![from];
        while minutes.last() != Some(&to) {
            minutes.push((minutes.last().unwrap() + 1) % 1440);
        }
        for step in (-36 * 60..36 * 60).step_by(7) {
            let instant = change.timestamp() + SignedDuration::from_mins(step) + SignedDuration::from_secs(step.rem_euclid(60));
            let clock = zone.to_datetime(instant);
            let now = u16::try_from(clock.hour()).unwrap() * 60 + u16::try_from(clock.minute()).unwrap();
            // In a range over midnight, a minute before the first one belongs to the next day.
            let day = if now < from { clock.date() - 1.day() } else { clock.date() };
            prop_assert_eq!(interval.matches(instant), minutes.contains(&now) && on(day), "{} in {:?}", clock, interval);
        }
    }
}
