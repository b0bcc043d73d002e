//! Intervals: working hours.

use api::Error;
use axum::extract::State;
use domain::ids::IntervalId;
use domain::interval::{Holiday, Interval, Range, ZoneName};
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, delete_unused, written};
use crate::error::ApiError;
use crate::input::{IntervalHoliday, IntervalInput, IntervalRange};
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Administrator, Body, Id, IfMatch, Page, Parameters};

/// Working hours.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Interval)]
pub(crate) struct IntervalView {
    /// Its id.
    #[schema(value_type = String)]
    id: IntervalId,
    /// For people.
    name: String,
    /// Where its clock hangs.
    #[schema(value_type = String)]
    time_zone: ZoneName,
    /// It matches while any of these does; none: always.
    #[schema(value_type = Vec<IntervalRange>)]
    ranges: Vec<Range>,
    /// Days on which it does not match.
    #[schema(value_type = Vec<IntervalHoliday>)]
    holidays: Vec<Holiday>,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(interval: Interval, version: u64) -> IntervalView {
    let Interval { id, name, time_zone, ranges, holidays } = interval;
    IntervalView { id, name, time_zone, ranges, holidays, version }
}

fn interval_of(id: IntervalId, input: IntervalInput) -> Interval {
    let IntervalInput { name, time_zone, ranges, holidays } = input;
    Interval { id, name, time_zone, ranges, holidays }
}

/// Makes an interval.
///
/// Names need not be unique: a POST that is repeated makes a second interval.
#[utoipa::path(post, path = "/intervals", tag = "intervals", request_body = IntervalInput,
    responses((status = 201, description = "Made.", body = IntervalView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_interval(
    State(app): State<App>,
    Administrator(by): Administrator,
    Body(body): Body,
) -> Result<Versioned<IntervalView>, ApiError> {
    let input = IntervalInput::parse(body, None)?;
    let interval = interval_of(IntervalId::from_ulid(cloud::ids::ulid()), input);
    let version = written(app.configuration().put(&interval, Write::New, Vec::new()).await?)?;
    changed("interval", "created", interval.id.as_str(), &by);
    let place = app.place("intervals", interval.id.as_str());
    Ok(Versioned::made(view(interval, version), place))
}

/// The intervals.
#[utoipa::path(get, path = "/intervals", tag = "intervals", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<IntervalView>), Refusals))]
pub(crate) async fn list_intervals(
    State(app): State<App>,
    _: Administrator,
    parameters: Parameters,
) -> Result<Listed<IntervalView>, ApiError> {
    app.list(&Page::of::<IntervalId>(&parameters)?, view).await
}

/// One interval.
#[utoipa::path(get, path = "/intervals/{id}", tag = "intervals", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = IntervalView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_interval(
    State(app): State<App>,
    _: Administrator,
    Id(id): Id<IntervalId>,
) -> Result<Versioned<IntervalView>, ApiError> {
    let (interval, version) = app.load::<Interval>(id.as_str()).await?;
    Ok(Versioned::new(view(interval, version), version))
}

/// Replaces an interval. Steps are looked at with the new one when they are entered.
#[utoipa::path(put, path = "/intervals/{id}", tag = "intervals", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = IntervalInput,
    responses((status = 200, description = "Replaced.", body = IntervalView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_interval(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<IntervalId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<IntervalView>, ApiError> {
    let (before, version) = app.load::<Interval>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let interval = interval_of(id, IntervalInput::parse(body, Some(&shown))?);
    let version = written(app.configuration().put(&interval, Write::Replace { before: &before, version }, Vec::new()).await?)?;
    changed("interval", "replaced", interval.id.as_str(), &by);
    Ok(Versioned::new(view(interval, version), version))
}

/// Deletes an interval. Refused (409, `in-use`) while an account's plan has it.
#[utoipa::path(delete, path = "/intervals/{id}", tag = "intervals", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_interval(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<IntervalId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (interval, version) = app.load::<Interval>(id.as_str()).await?;
    condition.check(version)?;
    delete_unused(&app, &interval, version, |account| account.plan.intervals().any(|interval| *interval == id)).await?;
    changed("interval", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
