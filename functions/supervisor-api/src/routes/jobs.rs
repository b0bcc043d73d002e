//! Jobs: work that takes longer than a request.

use std::sync::Arc;
use std::time::Duration;

use api::{Error, Id, Listed, Overseer, Page, PageParams, Parameters};
use audit::Action;
use axum::Json;
use axum::extract::State;
use desk::Link;
use domain::ids::JobId;
use domain::job::{self, Counts, Job, Task};
use engine::jobs::JobStep;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Failure;

/// How long a link to a job's file is valid: a supervisor may be asked for a place on the disk, and a large file must
/// begin to load by then.
const FILE_LINK: Duration = Duration::from_secs(15 * 60);

/// Work that takes longer than a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobView {
    /// The job's id.
    id: JobId,
    /// What it does.
    kind: Kind,
    /// The person who ordered it: the agent's id, or the `sub` of the token if there is no agent record; `retention`
    /// for the daily deletion of what is kept no longer.
    by: String,
    /// Where it stands.
    state: job::State,
    /// How far it is.
    counts: Counts,
    /// Whether somebody asked to end it early.
    cancelled: bool,
    /// When it was ordered.
    created_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// How many interactions it has looked at, if it looks for all that match. Those that it has found are the `total`
    /// of its counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    scanned: Option<u64>,
    /// What a preview has found, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Found>,
    /// The size of its file in bytes. `GET /jobs/{id}/file` gives a link to it, for seven days.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

/// What the preview of a deletion of all that matches, or of a retention time, has found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewFound)]
pub(crate) struct Found {
    /// For an hour after the job's end, it orders the deletion of exactly these interactions, or confirms the
    /// retention time.
    token: JobId,
    /// How many interactions match.
    count: u64,
    /// How many of these were open. They are left out, unless the deletion closes them.
    open: u64,
}

/// The kind of a job.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobKind)]
pub(crate) enum Kind {
    /// Interactions as CSV.
    ExportInteractions,
    /// Contacts as CSV.
    ExportContacts,
    /// Contacts from a CSV file. Its own file, if it has one, tells the rows that were not imported, and why.
    ImportContacts,
    /// A deletion of interactions.
    Delete,
    /// The preview of a deletion of all interactions that match.
    PreviewDeletion,
    /// The preview of a retention time.
    PreviewRetention,
    /// The erasure of a customer.
    Erase,
    /// Rows for interactions of a version before the lists. An upgrade orders it.
    FillLists,
    /// Documents for interactions that closed in a version before them, so that searches for a text are quick there
    /// too. An upgrade orders it.
    FillDocuments,
}

impl From<&Task> for Kind {
    fn from(task: &Task) -> Self {
        match task {
            Task::ExportInteractions { .. } => Self::ExportInteractions,
            Task::ExportContacts { .. } => Self::ExportContacts,
            Task::ImportContacts(_) => Self::ImportContacts,
            Task::Delete { .. } => Self::Delete,
            Task::PreviewDeletion { .. } => Self::PreviewDeletion,
            Task::PreviewRetention { .. } => Self::PreviewRetention,
            Task::Erase { .. } => Self::Erase,
            Task::FillLists => Self::FillLists,
            Task::FillDocuments => Self::FillDocuments,
        }
    }
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let seek = job.place.seek.as_ref();
        let open = seek.map_or(0, |seek| seek.open);
        let preview = match &job.task {
            Task::PreviewDeletion { token } if job.state == job::State::Done => {
                Some(Found { token: token.clone(), count: job.counts.total, open })
            }
            Task::PreviewRetention { .. } if job.state == job::State::Done => {
                Some(Found { token: job.id.clone(), count: job.counts.total, open })
            }
            _ => None,
        };
        Self {
            scanned: seek.map(|seek| seek.scanned),
            preview,
            kind: (&job.task).into(),
            id: job.id,
            by: job.by.who,
            state: job.state,
            counts: job.counts,
            cancelled: job.cancelled,
            created_at: job.created_at,
            finished_at: job.finished_at,
            problem: job.problem,
            file_size: job.file.map(|file| file.size),
        }
    }
}

impl App {
    /// Sends the first message of a job that was just written. If that fails, the job begins some minutes later: the
    /// worker's sweep finds it.
    pub(crate) async fn begin(&self, job: &Job) {
        let step = JobStep { job: job.id.clone(), turn: job.turn };
        if let Err(error) = self.jobs.send(&step, cloud::queues::SendOptions::default()).await {
            tracing::warn!(event = "job.not_sent", job = %job.id, %error);
        }
    }
}

/// Lists the jobs of the last 90 days, newest first.
#[utoipa::path(get, path = "/jobs", operation_id = "list_jobs", tag = "jobs", params(PageParams), responses((status = OK, body = Listed<JobView>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Overseer, parameters: Parameters) -> Result<Listed<JobView>, Failure> {
    let page = Page::of::<JobId>(&parameters)?;
    let after: Option<JobId> = page.after.and_then(|after| after.parse().ok());
    let (jobs, next) = app.store().jobs(after.as_ref(), page.limit).await?;
    Ok(Listed { items: jobs.into_iter().map(JobView::from).collect(), next: next.map(|next| next.to_string()) })
}

/// Returns a job with its progress.
#[utoipa::path(
    get, path = "/jobs/{id}", operation_id = "read_job", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = OK, body = JobView))
)]
pub(crate) async fn read(State(app): State<Arc<App>>, _: Overseer, Id(id): Id<JobId>) -> Result<Json<JobView>, Failure> {
    Ok(Json(app.store().job(&id).await?.ok_or(Error::NotFound)?.into()))
}

/// Ends a job early.
///
/// It stops within a minute, after the piece of work that is under way. What it has done stays done. A job that has
/// ended stays as it is, and so does an erasure: half of a customer helps nobody.
#[utoipa::path(
    delete, path = "/jobs/{id}", operation_id = "cancel_job", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = ACCEPTED, body = JobView))
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    _: Overseer,
    Id(id): Id<JobId>,
) -> Result<(http::StatusCode, Json<JobView>), Failure> {
    let job = app.store().job(&id).await?.ok_or(Error::NotFound)?;
    let job = match &job.task {
        Task::Erase { .. } => job,
        _ => app.store().cancel_job(&id).await?.ok_or(Error::NotFound)?,
    };
    Ok((http::StatusCode::ACCEPTED, Json(job.into())))
}

/// Returns a download link to the file that a job made.
///
/// The file is kept for seven days. The audit trail tells of each link. 404 `no-file`: the job has made none, or it is
/// gone.
#[utoipa::path(
    get, path = "/jobs/{id}/file", operation_id = "get_job_file", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = OK, body = Link), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn file(State(app): State<Arc<App>>, Overseer(caller): Overseer, Id(id): Id<JobId>) -> Result<Json<Link>, Failure> {
    let job = app.store().job(&id).await?.ok_or(Error::NotFound)?;
    let file = job.file.ok_or(Failure::NoFile)?;
    app.desk.objects.head(&file.key).await?.ok_or(Failure::NoFile)?;
    let what = match &job.task {
        Task::ExportInteractions { .. } => "interactions",
        Task::ExportContacts { .. } => "contacts",
        Task::ImportContacts(_) => "import-errors",
        // They make no file.
        Task::Delete { .. }
        | Task::PreviewDeletion { .. }
        | Task::PreviewRetention { .. }
        | Task::Erase { .. }
        | Task::FillLists
        | Task::FillDocuments => return Err(Failure::NoFile),
    };
    let name = format!("{what}-{}.csv", job.created_at.strftime("%Y-%m-%d"));
    let entry = app.entry(&app.by(&caller).await?, Action::Downloaded, "job", job.id.as_str(), &json!({"file": what}));
    app.desk.directory().note(&entry).await?;
    let expires_at = cloud::time::now() + FILE_LINK;
    Ok(Json(Link { url: app.desk.objects.link_during(&file.key, &name, FILE_LINK).await?, expires_at }))
}
