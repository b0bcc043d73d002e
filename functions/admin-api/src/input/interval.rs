//! Intervals: working hours.

use std::collections::BTreeSet;

use domain::interval::{DayOfMonth, Holiday, Minute, Month, Range, Weekday, ZoneName};
use domain::values::Invalid;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::NAME;
use super::fields::{Errors, Fields, Refusal, boolean, integer, line, parsed};

/// Hours differ by weekday and season; more ranges than this nobody keeps in mind.
const RANGES: usize = 50;
/// Some ten years of a country's holidays.
const HOLIDAYS: usize = 200;

/// Working hours.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct IntervalInput {
    /// For people.
    #[schema(min_length = 1, max_length = 200, example = "Office hours")]
    pub(crate) name: String,
    /// Where its clock hangs: a name of the IANA database.
    #[schema(value_type = String, example = "Europe/Rome")]
    pub(crate) time_zone: ZoneName,
    /// It matches while any of these does; none: always.
    #[schema(value_type = Vec<IntervalRange>, required = false, max_items = 50)]
    pub(crate) ranges: Vec<Range>,
    /// Days on which it does not match.
    #[schema(value_type = Vec<IntervalHoliday>, required = false, max_items = 200)]
    pub(crate) holidays: Vec<Holiday>,
}

/// Times on some days. What crosses midnight belongs to the day on which it begins.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct IntervalRange {
    /// The first minute.
    #[schema(required = false, default = "00:00", example = "09:00")]
    from: String,
    /// The last minute, which belongs to it; before `from`: on the day after.
    #[schema(required = false, default = "23:59", example = "17:59")]
    to: String,
    /// `monday` to `sunday`; none: all.
    #[schema(required = false)]
    weekdays: Vec<String>,
    /// Days of the month, 1 to 31; none: all.
    #[schema(required = false)]
    days: Vec<u8>,
    /// Months, 1 to 12; none: all.
    #[schema(required = false)]
    months: Vec<u8>,
}

/// A day on which an interval does not match.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct IntervalHoliday {
    /// Which day.
    #[schema(format = Date, example = "2026-12-25")]
    date: String,
    /// Whether it comes back every year.
    #[schema(required = false, default = false)]
    yearly: bool,
}

impl IntervalInput {
    /// Parses the body of a POST, or of a PUT on what is `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let name = fields.required("name", line(NAME));
            let time_zone = fields.required("time_zone", parsed(|text| ZoneName::parse(text).map_err(|invalid| invalid.0)));
            let ranges = fields.list("ranges", RANGES, "must have at most 50 ranges", range);
            let holidays = fields.list("holidays", HOLIDAYS, "must have at most 200 days", holiday);
            fields.finish_with(&["id", "version"], shown);
            Some(Self { name: name?, time_zone: time_zone?, ranges, holidays })
        });
        match input {
            Some(input) => errors.check().map(|()| input),
            None => Err(errors),
        }
    }
}

fn range(path: String, value: Value, errors: &mut Errors) -> Option<Range> {
    let mut fields = Fields::open(path, value, errors)?;
    let minute = |text: &str| Minute::parse(text).map_err(|invalid| invalid.0);
    let unless_told = Range::default();
    let from = fields.optional("from", parsed(minute)).unwrap_or(unless_told.from);
    let to = fields.optional("to", parsed(minute)).unwrap_or(unless_told.to);
    // As many as there are in a week, a month, a year.
    let weekdays = fields.list("weekdays", 7, "must have at most 7 days", |path, value, errors| noted(path, weekday(value), errors));
    let days = fields.list("days", 31, "must have at most 31 days", |path, value, errors| noted(path, number(value), errors));
    let months = fields.list("months", 12, "must have at most 12 months", |path, value, errors| noted(path, number(value), errors));
    fields.finish();
    let days: BTreeSet<DayOfMonth> = days.into_iter().collect();
    let months: BTreeSet<Month> = months.into_iter().collect();
    Some(Range { from, to, weekdays: weekdays.into_iter().collect(), days, months })
}

fn noted<T>(path: String, parsed: Result<T, Refusal>, errors: &mut Errors) -> Option<T> {
    parsed.map_err(|message| errors.add(path, message)).ok()
}

fn number<T: TryFrom<i64, Error = Invalid>>(value: Value) -> Result<T, Refusal> {
    integer(T::try_from)(value)
}

fn weekday(value: Value) -> Result<Weekday, Refusal> {
    Weekday::deserialize(value).map_err(|_| "must be monday to sunday")
}

fn holiday(path: String, value: Value, errors: &mut Errors) -> Option<Holiday> {
    let mut fields = Fields::open(path, value, errors)?;
    let date =
        fields.required("date", parsed(|text| text.parse().ok().filter(|_| text.len() == 10).ok_or("must be a date such as 2026-12-25")));
    let yearly = fields.optional("yearly", boolean).unwrap_or(false);
    fields.finish();
    date.map(|date| Holiday { date, yearly })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields::testing::names;
    use super::*;

    #[test]
    fn an_interval_is_taken_and_what_is_left_out_is_the_whole_day() {
        let interval = IntervalInput::parse(
            json!({"name": "Hours", "time_zone": "europe/rome", "ranges": [{"weekdays": ["monday", "friday"], "to": "12:00"}, {"from": "22:00", "to": "02:00", "days": [1], "months": [12]}],
                "holidays": [{"date": "2026-12-25", "yearly": true}]}),
            None,
        )
        .unwrap();
        assert_eq!((interval.time_zone.as_str(), interval.ranges.len(), interval.holidays.len()), ("Europe/Rome", 2, 1));
        let plain = IntervalInput::parse(json!({"name": "Always", "time_zone": "UTC", "ranges": [{}]}), None).unwrap();
        assert_eq!(serde_json::to_value(&plain.ranges).unwrap(), json!([{"from": "00:00", "to": "23:59"}]));
    }

    #[test]
    fn every_bad_field_of_an_interval_is_named() {
        for (ranges, holidays, named) in [
            (json!([{"from": "24:00"}]), json!([]), "ranges[0].from"),
            (json!([{"to": "9:00"}]), json!([]), "ranges[0].to"),
            (json!([{"weekdays": ["monday", "funday"]}]), json!([]), "ranges[0].weekdays[1]"),
            (json!([{"days": [0]}]), json!([]), "ranges[0].days[0]"),
            (json!([{"months": [13]}]), json!([]), "ranges[0].months[0]"),
            (json!([{"hours": 1}]), json!([]), "ranges[0].hours"),
            (json!([]), json!([{"date": "2026-02-30"}]), "holidays[0].date"),
            (json!([]), json!([{"date": "20260228"}]), "holidays[0].date"),
            (json!([]), json!([{"date": "2026-02-28", "yearly": 1}]), "holidays[0].yearly"),
            (json!(vec![json!({}); 51]), json!([]), "ranges"),
        ] {
            let body = json!({"name": "Hours", "time_zone": "UTC", "ranges": ranges, "holidays": holidays});
            assert_eq!(names(IntervalInput::parse(body, None)), [named]);
        }
        assert_eq!(names(IntervalInput::parse(json!({"name": "Hours", "time_zone": "Rome"}), None)), ["time_zone"]);
    }
}
