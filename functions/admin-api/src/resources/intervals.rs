//! Intervals: working hours.

use std::collections::BTreeSet;

use domain::agent::Role;
use domain::ids::IntervalId;
use domain::interval::{DayOfMonth, Holiday, Interval, Minute, Month, Range, Weekday, ZoneName};
use domain::values::Invalid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, Fields, NAME, Refusal, boolean, integer, line, parsed, whole};
use crate::resource::Resource;
use crate::shells::shells;

/// Hours differ by weekday and season. An administrator can't keep track of more ranges than this.
const RANGES: usize = 50;
/// About ten years of a country's public holidays.
const HOLIDAYS: usize = 200;

/// Working hours.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct IntervalInput {
    /// The name of the interval.
    #[schema(min_length = 1, max_length = 200, example = "Office hours")]
    name: String,
    /// Time zone of the interval: a name of the IANA database.
    #[schema(value_type = String, example = "Europe/Rome")]
    time_zone: ZoneName,
    /// Time ranges. The interval matches during any of them. If there are none, it always matches.
    #[schema(required = false, max_items = 50)]
    ranges: Vec<Range>,
    /// Days on which the interval does not match.
    #[schema(required = false, max_items = 200)]
    holidays: Vec<Holiday>,
}

/// Working hours.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Interval)]
pub(crate) struct IntervalView {
    /// The interval's id.
    id: IntervalId,
    /// The name of the interval.
    name: String,
    /// Time zone of the interval.
    #[schema(value_type = String)]
    time_zone: ZoneName,
    /// Time ranges. The interval matches during any of them. If there are none, it always matches.
    ranges: Vec<Range>,
    /// Days on which the interval does not match.
    holidays: Vec<Holiday>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl Resource for Interval {
    type Id = IntervalId;
    type Input = IntervalInput;
    type View = IntervalView;
    const PLACE: &'static str = "intervals";
    const READERS: Role = Role::Admin;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<IntervalInput, Errors> {
        whole(body, shown, |fields| {
            let name = fields.required("name", line(NAME));
            let time_zone = fields.required("time_zone", parsed(|text| ZoneName::parse(text).map_err(|invalid| invalid.0)));
            let ranges = fields.list("ranges", RANGES, "must have at most 50 ranges", range);
            let holidays = fields.list("holidays", HOLIDAYS, "must have at most 200 days", holiday);
            Some(IntervalInput { name: name?, time_zone: time_zone?, ranges, holidays })
        })
    }

    fn make(id: IntervalId, input: &mut IntervalInput, _: Option<&Self>) -> Result<Self, ApiError> {
        let IntervalInput { name, time_zone, ranges, holidays } = input;
        Ok(Self { id, name: name.clone(), time_zone: time_zone.clone(), ranges: ranges.clone(), holidays: holidays.clone() })
    }

    fn view(self, version: u64, _: &App) -> IntervalView {
        let Self { id, name, time_zone, ranges, holidays } = self;
        IntervalView { id, name, time_zone, ranges, holidays, version }
    }

    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        app.accounts_with(|account| account.plan.intervals().any(|interval| *interval == self.id)).await
    }
}

shells! {
    Interval: IntervalInput => IntervalView, "intervals", "/intervals", "/intervals/{id}";

    /// Lists the intervals.
    list list_intervals;

    /// Creates an interval.
    ///
    /// Names need not be unique: a repeated POST creates a second interval.
    create create_interval;

    /// Returns an interval.
    get get_interval;

    /// Replaces an interval.
    ///
    /// Plan steps that are entered afterwards use the new interval.
    put put_interval;

    /// Changes fields of an interval.
    ///
    /// Plan steps that are entered afterwards use the new interval.
    patch patch_interval;

    /// Deletes an interval.
    ///
    /// Refused (409, `in-use`) while an account's plan uses it.
    delete delete_interval;
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

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn an_interval_is_accepted_and_omitted_times_mean_the_whole_day() {
        let interval = Interval::parse(
            json!({"name": "Hours", "time_zone": "europe/rome", "ranges": [{"weekdays": ["monday", "friday"], "to": "12:00"}, {"from": "22:00", "to": "02:00", "days": [1], "months": [12]}],
                "holidays": [{"date": "2026-12-25", "yearly": true}]}),
            None,
        )
        .unwrap();
        assert_eq!((interval.time_zone.as_str(), interval.ranges.len(), interval.holidays.len()), ("Europe/Rome", 2, 1));
        let plain = Interval::parse(json!({"name": "Always", "time_zone": "UTC", "ranges": [{}]}), None).unwrap();
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
            assert_eq!(names(Interval::parse(body, None)), [named]);
        }
        assert_eq!(names(Interval::parse(json!({"name": "Hours", "time_zone": "Rome"}), None)), ["time_zone"]);
    }
}
