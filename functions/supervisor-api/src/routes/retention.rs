//! How long closed interactions are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Body, Error, Errors, IfMatch, Overseer, Owner, Versioned};
use audit::{Action, Subject};
use axum::Json;
use axum::extract::State;
use domain::account::DeletedAccount;
use domain::ids::{AccountId, JobId};
use domain::job::{self, PREVIEW_KEPT, Task};
use domain::retention::Retention;
use domain::seek::{Matching, Seek};
use engine::ports::{Directory, World};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::jobs::JobView;
use crate::app::App;
use crate::error::Failure;

/// How long closed interactions are kept, in days from their closing. `null` or absent: for ever.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetentionInput)]
pub(crate) struct RetentionInput {
    /// For all accounts without days of their own: 1 to 36,500.
    #[schema(minimum = 1, maximum = 36500)]
    days: Option<u32>,
    /// Days of single accounts, by their ids; they win.
    #[serde(default)]
    #[schema(required = false)]
    accounts: BTreeMap<AccountId, Option<u32>>,
}

/// A setting, with the preview that shows what it deletes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionChange {
    /// For all accounts without days of their own: 1 to 36,500.
    #[schema(minimum = 1, maximum = 36500)]
    days: Option<u32>,
    /// Days of single accounts, by their ids; they win.
    #[serde(default)]
    #[schema(required = false)]
    accounts: BTreeMap<AccountId, Option<u32>>,
    /// The id of a preview of the same days that is done. It is needed if anything is kept for a shorter time than
    /// before.
    preview: Option<JobId>,
}

/// How long closed interactions are kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(crate) struct RetentionView {
    /// The days for all accounts without days of their own. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    /// Days of single accounts, by their ids; `null`: for ever.
    accounts: BTreeMap<AccountId, Option<u32>>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl RetentionView {
    fn of(Retention { days, accounts }: Retention, version: u64) -> Versioned<Self> {
        Versioned::new(Self { days, accounts, version }, version)
    }
}

impl RetentionInput {
    async fn check(self, app: &App) -> Result<Retention, Failure> {
        let Self { days, accounts } = self;
        let mut errors = Errors::default();
        let rule = || format!("must be 1 to {} days, or null for ever", Retention::MOST);
        let fits = |days: Option<u32>| days.is_none_or(|days| (1..=Retention::MOST).contains(&days));
        if !fits(days) {
            errors.add("days", rule());
        }
        let known = app.all_accounts().await?;
        for (account, days) in &accounts {
            if !known.contains(account) {
                errors.add(format!("accounts.{account}"), "is no account");
            } else if !fits(*days) {
                errors.add(format!("accounts.{account}"), rule());
            }
        }
        errors.check()?;
        Ok(Retention { days, accounts })
    }
}

/// Returns how long closed interactions are kept.
#[utoipa::path(
    get, path = "/retention", operation_id = "read_retention", tag = "deletions",
    responses((status = OK, body = RetentionView, headers(("ETag" = String))))
)]
pub(crate) async fn read(State(app): State<Arc<App>>, _: Overseer) -> Result<Versioned<RetentionView>, Failure> {
    let (retention, version) = app.desk.directory().singleton().await?;
    Ok(RetentionView::of(retention, version))
}

/// Shows what a setting would delete on its first day: a job, whose `preview` has the count.
#[utoipa::path(
    post, path = "/retention/preview", operation_id = "preview_retention", tag = "deletions", request_body = RetentionInput,
    responses((status = ACCEPTED, body = JobView))
)]
pub(crate) async fn preview(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    Body(input): Body<RetentionInput>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let retention = input.check(&app).await?;
    let before = retention.cutoffs(app.all_accounts().await?, app.desk.engine.world.now());
    let mut job = app.ordered(&caller, Task::PreviewRetention { retention }, 0).await?;
    job.place.seek = Some(Seek::of(Matching::Closed { before }));
    // It shows how many there are, and changes nothing.
    app.store().add_job(&job, None).await?;
    app.begin(&job).await;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Sets how long closed interactions are kept.
///
/// Each day a job deletes what was closed longer ago, but for what owners hold. A setting that keeps anything for a
/// shorter time needs the `preview` of the same days, done within the last hour (409 `retention-unconfirmed`).
#[utoipa::path(
    put, path = "/retention", operation_id = "set_retention", tag = "deletions", request_body = RetentionChange,
    params(("If-Match" = String, Header)),
    responses(
        (status = OK, body = RetentionView, headers(("ETag" = String))),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = PRECONDITION_FAILED, body = api::Problem, content_type = "application/problem+json"),
        (status = PRECONDITION_REQUIRED, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    condition: IfMatch,
    Body(change): Body<RetentionChange>,
) -> Result<Versioned<RetentionView>, Failure> {
    let RetentionChange { days, accounts, preview } = change;
    let retention = RetentionInput { days, accounts }.check(&app).await?;
    let (before, version) = app.desk.directory().singleton().await?;
    condition.check(version)?;
    if retention == before {
        return Ok(RetentionView::of(retention, version));
    }
    if retention.is_shorter(&before) && !app.was_previewed(preview.as_ref(), &retention).await? {
        return Err(Failure::Unconfirmed);
    }
    let subject = Subject { kind: "retention", id: "retention", versions: (Some(version), Some(version + 1)) };
    let entry = app.told(&app.by(&caller).await?, Action::Changed, subject, &json!(before), &json!(retention));
    if !app.desk.directory().put_singleton(&retention, version, &entry).await? {
        return Err(Error::Changed.into());
    }
    Ok(RetentionView::of(retention, version + 1))
}

impl App {
    /// All accounts, those that were deleted too.
    async fn all_accounts(&self) -> Result<Vec<AccountId>, Failure> {
        let deleted = self.desk.directory().all::<DeletedAccount>().await?;
        let there = self.desk.directory().accounts().await?;
        let all = there.iter().map(|account| account.id.clone()).chain(deleted.into_iter().map(|(deleted, _)| deleted.id));
        Ok(all.collect())
    }

    /// Whether a preview has shown what these days delete.
    async fn was_previewed(&self, preview: Option<&JobId>, retention: &Retention) -> Result<bool, Failure> {
        let Some(preview) = preview else { return Ok(false) };
        let Some(job) = self.store().job(preview).await? else { return Ok(false) };
        let oldest = self.desk.engine.world.now().saturating_sub(PREVIEW_KEPT).unwrap_or(jiff::Timestamp::MIN);
        let is_fresh = job.state == job::State::Done && job.finished_at.is_some_and(|at| at >= oldest);
        Ok(is_fresh && matches!(&job.task, Task::PreviewRetention { retention: previewed } if previewed == retention))
    }
}
