//! Reports of what was: by account, queue, agent or disposition, and by periods of any time zone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{Errors, Overseer, Parameters, saw_account};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::account::DeletedAccount;
use domain::ai_agent::AiAgent;
use domain::ids::{AccountId, AgentId, AiAgentId, QueueId};
use domain::pricing::Prices;
use domain::report::{Cell, Dimension, Metric, Moment, Period, Quarter, ServiceLevel, Unclear, Wanted};
use engine::ports::Directory;
use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE};
use jiff::tz::TimeZone;
use oversight::{Asked, By, MOST_QUARTERS, Report};
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;
use views::csv::{MARK, Rows};

use crate::app::App;
use crate::error::Failure;

/// What the parameter of a day or a time looks like.
const MOMENT: &str = "must be a day such as 2026-01-31, or a quarter-hour such as 2026-01-31T08:15";

/// A report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// What the rows are: `total`, `account`, `queue`, `agent`, `disposition` or `ai_agent`.
    by: &'static str,
    /// How long the periods are.
    period: Period,
    /// The time zone.
    zone: String,
    /// The beginning, in the zone.
    from: String,
    /// The end, in the zone; it does not belong to the report.
    to: String,
    /// The limit of the service level that was asked for, in seconds. Absent: each queue's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    service_level: Option<ServiceLevel>,
    /// The currency of costs: that of the table of prices.
    currency: String,
    /// The columns.
    metrics: Vec<Metric>,
    /// A row for everything of which something was counted, by name.
    rows: Vec<RowView>,
    /// All rows together. One value for each of `metrics`.
    #[schema(value_type = Vec<Option<f64>>)]
    total: Vec<Option<Number>>,
}

/// A row of a report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowView {
    /// The id of the account, queue, agent or AI agent; the disposition itself; or `total`.
    id: String,
    /// The name, unless it is no longer known.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// All periods together. One value for each of `metrics`.
    #[schema(value_type = Vec<Option<f64>>)]
    total: Vec<Option<Number>>,
    /// The periods in which something was counted, in order. Absent with `period=whole`.
    #[serde(skip_serializing_if = "Option::is_none")]
    periods: Option<Vec<PeriodView>>,
}

/// A period of a row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeriodView {
    /// The beginning, in the zone.
    from: String,
    /// The end, in the zone; it does not belong to the period.
    to: String,
    /// One value for each of `metrics`.
    #[schema(value_type = Vec<Option<f64>>)]
    values: Vec<Option<Number>>,
}

/// What a request asks for.
struct Query {
    by: By,
    zone: String,
    wanted: Wanted,
    first: Quarter,
    end: Quarter,
    accounts: BTreeSet<AccountId>,
    only: Option<BTreeSet<String>>,
    metrics: Vec<Metric>,
    service_level: Option<ServiceLevel>,
    csv: bool,
    raw: bool,
}

/// Reports what happened to interactions, by account, queue, agent or disposition, and by periods.
///
/// What happens is in the reports within two minutes. Times are in seconds, shares from 0 to 1, and a value is null
/// where nothing was counted that it could be computed of. Percentiles are the upper bounds of classes that are at
/// most 25 % apart. Everything is counted when it happens: an offer of yesterday that was accepted today is accepted
/// today; but a message counts in the quarter-hour in which it was written, however late its price comes to be known.
/// Interactions that were deleted since stay counted. Occupancy and utilisation are those of agents on all accounts.
/// Costs follow from the table of prices as it is now, by each message's day.
#[utoipa::path(
    get, path = "/reports", operation_id = "report", tag = "reports",
    params(
        ("from" = String, Query, description = "The first day, such as `2026-01-31`, or the quarter-hour with which it begins, such as `2026-01-31T08:15`, on the zone's clock"),
        ("to" = String, Query, description = "The last day, or the quarter-hour before which it ends; 400 days later at most"),
        ("zone" = Option<String>, Query, description = "The time zone, such as `Europe/Rome`; the default is `UTC`"),
        ("period" = Option<Period>, Query, description = "How long the periods are; the default is `day`"),
        ("by" = Option<String>, Query, description = "What the rows are: `total`, `account` (the default), `queue`, `agent`, `disposition` or `ai_agent`"),
        ("metrics" = Option<String>, Query, description = "The columns, separated by commas; by default all that the rows have"),
        ("service_level" = Option<u64>, Query, description = "The limit of the service level in seconds: 15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300 or 600; by default each queue's own"),
        ("account" = Option<String>, Query, description = "Only these accounts, separated by commas"),
        ("queue" = Option<String>, Query, description = "With `by=queue`: only these, separated by commas"),
        ("agent" = Option<String>, Query, description = "With `by=agent`: only these, separated by commas"),
        ("ai_agent" = Option<String>, Query, description = "With `by=ai_agent`: only these, separated by commas"),
        ("disposition" = Option<String>, Query, description = "With `by=disposition`: only this one; it may be given several times"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`: a line for each row and period"),
        ("raw" = Option<bool>, Query, description = "Whether cells of the CSV that a spreadsheet takes for a formula stay as they are")
    ),
    responses(
        (status = OK, description = "The report.", content((ReportView = "application/json"), (String = "text/csv"))),
        (status = UNPROCESSABLE_ENTITY, body = api::Problem, content_type = "application/problem+json", description = "A parameter can't be used; the problem names it. A report that would be too large names `period`.")
    )
)]
pub(crate) async fn read(State(app): State<Arc<App>>, _: Overseer, parameters: Parameters) -> Result<Response, Failure> {
    let query = Query::parse(&parameters)?;
    query.accounts.iter().for_each(saw_account);
    let (accounts, names) = names(&app, &query).await?;
    // Timelines of those who are gone are not read: nobody knows their ids.
    let wanted = |id: &String| query.only.as_ref().is_none_or(|only| only.contains(id));
    let agents = match query.by {
        By::Each(Dimension::Agent) => names.keys().filter(|id| wanted(id)).filter_map(|id| id.parse().ok()).collect(),
        By::Total | By::Each(_) => Vec::new(),
    };
    let prices = app.desk.directory().singleton::<Prices>().await?.0;
    let currency = prices.currency;
    let calendar = (query.wanted.period != Period::Whole).then(|| query.wanted.calendar(query.first, query.end));
    let asked = Asked {
        accounts,
        agents,
        by: query.by,
        only: query.only.clone(),
        periods: calendar,
        first: query.first,
        end: query.end,
        metrics: query.metrics.clone(),
        service_level: query.service_level,
        levels: levels(&app, &query).await?,
        prices,
        now: app.desk.now(),
    };
    let report = asked.report(&app.derived).await?.map_err(|large| {
        let advice = "choose longer periods, fewer days, rows or metrics";
        Errors::one("period", format!("makes a report of {} cells; up to {} are possible: {advice}", large.cells, large.most))
    })?;
    let view = query.view(report, &names, currency.as_str());
    if !query.csv {
        return Ok(Json(view).into_response());
    }
    let file = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"report.csv\""),
        // With an encoding, even none, lambda_http hands over bytes. What it takes for a text loses its byte order
        // mark.
        (CONTENT_ENCODING, "identity"),
    ];
    Ok((file, view.csv(query.raw)?).into_response())
}

/// The accounts of the report, and the names of what its rows are.
async fn names(app: &App, query: &Query) -> Result<(Vec<AccountId>, BTreeMap<String, String>), Failure> {
    let directory = app.desk.directory();
    let mut accounts: BTreeMap<String, String> =
        directory.accounts().await?.iter().map(|account| (account.id.to_string(), account.name.clone())).collect();
    // What deleted accounts did stays counted.
    let deleted = directory.all::<DeletedAccount>().await?.into_iter().map(|(deleted, _)| (deleted.id.to_string(), deleted.name));
    accounts.extend(deleted);
    let wanted = |id: &AccountId| query.accounts.is_empty() || query.accounts.contains(id);
    let ids = accounts.keys().filter_map(|id| id.parse().ok()).filter(wanted).collect();
    let names = match query.by {
        By::Total => BTreeMap::new(),
        By::Each(Dimension::Account) => accounts,
        By::Each(Dimension::Queue) => directory.queues().await?.iter().map(|(id, queue)| (id.to_string(), queue.name.clone())).collect(),
        By::Each(Dimension::Agent) => directory.agents().await?.iter().map(|(id, agent)| (id.to_string(), agent.name.clone())).collect(),
        By::Each(Dimension::AiAgent) => {
            let all = directory.all::<AiAgent>().await?.into_iter();
            all.map(|(ai_agent, _)| (ai_agent.id.to_string(), ai_agent.name)).collect()
        }
        By::Each(Dimension::Disposition) => BTreeMap::new(),
    };
    Ok((ids, names))
}

/// The limits of queues that don't have the usual one, if the report judges by them.
async fn levels(app: &App, query: &Query) -> Result<BTreeMap<String, ServiceLevel>, Failure> {
    if query.service_level.is_some() || !query.metrics.contains(&Metric::ServiceLevel) {
        return Ok(BTreeMap::new());
    }
    let queues = app.desk.directory().queues().await?;
    let own = queues.iter().map(|(id, queue)| (id.to_string(), queue.service_level));
    Ok(own.filter(|(_, level)| *level != ServiceLevel::default()).collect())
}

/// The values of a parameter, each given apart or separated by commas.
fn listed<'a>(parameters: &'a Parameters, name: &'a str) -> impl Iterator<Item = &'a str> {
    parameters.all(name).flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty())
}

fn ids<T: std::str::FromStr + Ord>(parameters: &Parameters, name: &'static str, errors: &mut Errors) -> BTreeSet<T> {
    let mut ids = BTreeSet::new();
    for text in listed(parameters, name) {
        match text.parse() {
            Ok(id) => {
                ids.insert(id);
            }
            Err(_) => errors.add(name, "is not an id of that kind"),
        }
    }
    ids
}

/// The value that a word stands for.
fn one_of<T: Copy>(parameters: &Parameters, name: &'static str, words: &[(&str, T)], usual: T, errors: &mut Errors) -> T {
    let Some(text) = parameters.get(name) else { return usual };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => *value,
        None => {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            errors.add(name, format!("must be one of: {}", known.join(", ")));
            usual
        }
    }
}

const PERIODS: [(&str, Period); 6] = [
    ("quarter_hour", Period::QuarterHour),
    ("hour", Period::Hour),
    ("day", Period::Day),
    ("week", Period::Week),
    ("month", Period::Month),
    ("whole", Period::Whole),
];

const ROWS: [(&str, By); 6] = [
    ("total", By::Total),
    ("account", By::Each(Dimension::Account)),
    ("queue", By::Each(Dimension::Queue)),
    ("agent", By::Each(Dimension::Agent)),
    ("disposition", By::Each(Dimension::Disposition)),
    ("ai_agent", By::Each(Dimension::AiAgent)),
];

impl Query {
    fn parse(parameters: &Parameters) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let by = one_of(parameters, "by", &ROWS, By::Each(Dimension::Account), &mut errors);
        let period = one_of(parameters, "period", &PERIODS, Period::Day, &mut errors);
        let csv = one_of(parameters, "format", &[("json", false), ("csv", true)], false, &mut errors);
        let raw = parameters.flag("raw").unwrap_or_else(|error| {
            errors.extend(error);
            false
        });
        let accounts = ids(parameters, "account", &mut errors);
        let only = only(parameters, by, &mut errors);
        let metrics = metrics(parameters, by, &mut errors);
        let service_level = service_level(parameters, &mut errors);
        let zone = parameters.get("zone").unwrap_or("UTC").to_owned();
        let known = TimeZone::get(&zone).map_err(|_| errors.add("zone", "must be the name of a time zone such as Europe/Rome"));
        let mut moment = |name: &'static str| match parameters.get(name) {
            None => {
                errors.add(name, "is required");
                Err(())
            }
            Some(text) => Moment::parse(text).ok_or_else(|| errors.add(name, MOMENT)),
        };
        let (from, to) = (moment("from"), moment("to"));
        let (Ok(known), Ok(from), Ok(to)) = (known, from, to) else { return Err(errors) };
        let wanted = Wanted { zone: known, from, to, period };
        let mut clear = |name: &'static str, found: Result<Quarter, Unclear>| found.map_err(|why| errors.add(name, why.to_string()));
        let (first, end) = (clear("from", wanted.first()), clear("to", wanted.end()));
        let (Ok(first), Ok(end)) = (first, end) else { return Err(errors) };
        if end <= first {
            errors.add("to", "must not be before `from`");
        } else if end.0 - first.0 > MOST_QUARTERS {
            errors.add("to", format!("must be up to {} days after `from`", MOST_QUARTERS / Quarter::OF_A_DAY));
        }
        errors.check()?;
        Ok(Self { by, zone, wanted, first, end, accounts, only, metrics, service_level, csv, raw })
    }

    fn view(&self, report: Report, names: &BTreeMap<String, String>, currency: &str) -> ReportView {
        let by = ROWS.iter().find(|(_, by)| *by == self.by).map_or("", |(word, _)| word);
        let named = |id: &String| names.get(id).cloned().or_else(|| (self.by == By::Each(Dimension::Disposition)).then(|| id.clone()));
        let row = |row: oversight::ReportRow| RowView {
            name: named(&row.id),
            id: row.id,
            total: numbers(&row.total),
            periods: (self.wanted.period != Period::Whole).then(|| {
                let part = |part: oversight::Part| PeriodView {
                    from: self.local(part.from),
                    to: self.local(part.to),
                    values: numbers(&part.values),
                };
                row.parts.into_iter().map(part).collect()
            }),
        };
        let mut rows: Vec<RowView> = report.rows.into_iter().map(row).collect();
        // Without a name last, by id.
        rows.sort_by(|one, other| (one.name.is_none(), &one.name, &one.id).cmp(&(other.name.is_none(), &other.name, &other.id)));
        ReportView {
            by,
            period: self.wanted.period,
            zone: self.zone.clone(),
            from: self.local(self.first),
            to: self.local(self.end),
            service_level: self.service_level,
            currency: currency.to_owned(),
            metrics: self.metrics.clone(),
            rows,
            total: numbers(&report.total),
        }
    }

    /// On the zone's clock, with the offset.
    fn local(&self, quarter: Quarter) -> String {
        quarter.starts().to_zoned(self.wanted.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// The rows that are asked for, if a parameter names some. It must be that of the rows.
fn only(parameters: &Parameters, by: By, errors: &mut Errors) -> Option<BTreeSet<String>> {
    let texts = |ids: BTreeSet<String>| Some(ids).filter(|ids| !ids.is_empty());
    let mut found = None;
    for dimension in [Dimension::Queue, Dimension::Agent, Dimension::Disposition, Dimension::AiAgent] {
        let name = dimension.name();
        if parameters.get(name).is_none() {
            continue;
        }
        if by != By::Each(dimension) {
            errors.add(name, format!("is only for reports with `by={name}`"));
            continue;
        }
        found = match dimension {
            Dimension::Queue => texts(ids::<QueueId>(parameters, name, errors).iter().map(ToString::to_string).collect()),
            Dimension::Agent => texts(ids::<AgentId>(parameters, name, errors).iter().map(ToString::to_string).collect()),
            Dimension::AiAgent => texts(ids::<AiAgentId>(parameters, name, errors).iter().map(ToString::to_string).collect()),
            // A disposition may have a comma.
            Dimension::Disposition | Dimension::Account => texts(parameters.all(name).map(str::to_owned).collect()),
        };
    }
    found
}

fn metrics(parameters: &Parameters, by: By, errors: &mut Errors) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for name in listed(parameters, "metrics") {
        match Metric::parse(name).filter(|metric| metric.belongs_to(by.dimension())) {
            Some(metric) if metrics.contains(&metric) => {}
            Some(metric) => metrics.push(metric),
            None => {
                let known = Metric::ALL.iter().filter(|metric| metric.belongs_to(by.dimension())).map(|metric| metric.name());
                errors.add("metrics", format!("has one that these rows don't have; they have: {}", known.collect::<Vec<_>>().join(", ")));
                break;
            }
        }
    }
    if metrics.is_empty() {
        metrics.extend(Metric::ALL.into_iter().filter(|metric| metric.belongs_to(by.dimension())));
    }
    metrics
}

fn service_level(parameters: &Parameters, errors: &mut Errors) -> Option<ServiceLevel> {
    let text = parameters.get("service_level")?;
    let level = text.parse().ok().and_then(|seconds| ServiceLevel::new(seconds).ok());
    if level.is_none() {
        errors.add("service_level", "must be 15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300 or 600");
    }
    level
}

fn numbers(cells: &[Cell]) -> Vec<Option<Number>> {
    let number = |cell: &Cell| match cell {
        Cell::Count(count) => Some(Number::from(*count)),
        Cell::Number(number) => Number::from_f64(*number),
        Cell::Nothing => None,
    };
    cells.iter().map(number).collect()
}

impl ReportView {
    /// A line for each row and period; with `period=whole` for each row.
    fn csv(&self, raw: bool) -> Result<Vec<u8>, Failure> {
        let unwritable = |_| Errors::one("format", "can't be written");
        let mut rows = Rows::behind(MARK.as_bytes().to_vec(), raw);
        let head = ["id", "name", "from", "to"].into_iter().chain(self.metrics.iter().map(|metric| metric.name()));
        rows.add(head).map_err(unwritable)?;
        for row in &self.rows {
            let whole = [(&self.from, &self.to, &row.total)];
            let parts = row.periods.iter().flatten().map(|period| (&period.from, &period.to, &period.values));
            let lines: Vec<_> = if row.periods.is_some() { parts.collect() } else { whole.into() };
            for (from, to, values) in lines {
                let values: Vec<String> = values.iter().map(|value| value.as_ref().map_or_else(String::new, Number::to_string)).collect();
                let head = [row.id.as_str(), row.name.as_deref().unwrap_or_default(), from, to];
                rows.add(head.into_iter().chain(values.iter().map(String::as_str))).map_err(unwritable)?;
            }
        }
        Ok(rows.finish().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &[(&str, &str)]) -> Result<Query, String> {
        let days = [("from", "2026-03-28"), ("to", "2026-03-30"), ("zone", "Europe/Rome")];
        // The last of several counts.
        let all = days.iter().chain(query).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Query::parse(&all.collect())
            .map_err(|errors| errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn a_request_that_can_not_be_answered_names_the_parameter_and_says_why() {
        for (query, told) in [
            ([("to", "2026-03-27"), ("", "")], "to must not be before `from`"),
            ([("from", "2026-03-29T02:30"), ("", "")], "from does not exist in this time zone"),
            ([("from", "2011-12-30"), ("zone", "Pacific/Apia")], "from does not exist in this time zone"),
            ([("from", "2026-02-30"), ("", "")], "from must be a day"),
            ([("to", "2026-03-29T12:07"), ("", "")], "to does not lie on a quarter-hour"),
            ([("from", "2024-03-28"), ("", "")], "to must be up to 400 days after `from`"),
            ([("zone", "Europe/Atlantis"), ("", "")], "zone must be the name of a time zone"),
            ([("metrics", "happiness"), ("", "")], "metrics has one that these rows don't have; they have: opened, "),
            ([("metrics", "queued"), ("by", "agent")], "metrics has one that these rows don't have; they have: started, offered"),
            ([("by", "weather"), ("", "")], "by must be one of: total, account, queue, agent, disposition, ai_agent"),
            ([("period", "year"), ("", "")], "period must be one of: quarter_hour, hour, day, week, month, whole"),
            ([("service_level", "51"), ("", "")], "service_level must be 15, 20, 25, 30"),
            ([("agent", "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("", "")], "agent is only for reports with `by=agent`"),
            ([("by", "queue"), ("queue", "x")], "queue is not an id of that kind"),
            ([("account", "x,y"), ("", "")], "account is not an id of that kind"),
            ([("format", "xlsx"), ("", "")], "format must be one of: json, csv"),
            ([("raw", "yes"), ("", "")], "raw must be true or false"),
        ] {
            let error = parsed(&query).err().unwrap_or_default();
            assert!(error.starts_with(told), "{query:?}: {error}");
        }
        let neither = Query::parse(&Parameters::default()).err().unwrap();
        assert_eq!(neither.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["from", "to"]);
    }

    #[test]
    fn a_report_is_asked_for_by_days_of_the_zone_with_all_metrics_that_its_rows_have() {
        let query = parsed(&[]).ok().unwrap();
        assert_eq!((query.end.0 - query.first.0, query.metrics.len()), (96 + 92 + 96, Metric::ALL.len() - 2));
        let query = parsed(&[("by", "disposition"), ("disposition", "a, b"), ("service_level", "90")]).ok().unwrap();
        assert_eq!(
            (query.only, query.service_level.map(ServiceLevel::milliseconds)),
            (Some(BTreeSet::from(["a, b".to_owned()])), Some(90_000))
        );
        assert!(query.metrics.iter().all(|metric| metric.belongs_to(Dimension::Disposition)));
    }

    #[test]
    fn no_cell_of_the_csv_is_a_formula() {
        let query = parsed(&[("by", "disposition"), ("metrics", "closed,handling_time")]).ok().unwrap();
        let row = |id: &str| oversight::ReportRow {
            id: id.to_owned(),
            total: vec![Cell::Count(1), Cell::Nothing],
            parts: vec![oversight::Part { from: query.first, to: query.end, values: vec![Cell::Count(1), Cell::Number(2.5)] }],
        };
        let report = Report { rows: vec![row("=1+1"), row("Sold, \"well\"")], total: vec![Cell::Count(2), Cell::Nothing] };
        let csv = String::from_utf8(query.view(report, &BTreeMap::new(), "EUR").csv(false).ok().unwrap()).unwrap();
        let (from, to) = ("2026-03-28T00:00:00+01:00", "2026-03-31T00:00:00+02:00");
        let expected = format!(
            "\u{feff}id,name,from,to,closed,handling_time\r\n'=1+1,'=1+1,{from},{to},1,2.5\r\n\"Sold, \"\"well\"\"\",\"Sold, \"\"well\"\"\",{from},{to},1,2.5\r\n"
        );
        assert_eq!(csv, expected);
    }
}
