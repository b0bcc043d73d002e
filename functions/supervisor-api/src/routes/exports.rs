//! Exports as CSV.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{Body, Caller, Error, Overseer};
use audit::Action;
use axum::Json;
use axum::extract::State;
use domain::ids::{InteractionId, JobId};
use domain::job::{Job, PART, Task};
use engine::ports::World;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::jobs::JobView;
use crate::app::App;
use crate::error::Failure;

/// What is exported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Exporting {
    /// Interactions, one row each.
    Interactions {
        /// The selected interactions, 1 to 5,000. Their rows come in this order; those that no longer exist are left
        /// out.
        #[schema(min_items = 1, max_items = 5000)]
        interactions: Vec<InteractionId>,
        /// A spreadsheet calculates a cell that begins with `=`, `+`, `-`, `@` or a control character. Therefore such
        /// a cell gets a leading apostrophe, unless this is `true`: for programs.
        #[serde(default)]
        raw: bool,
    },
    /// All contacts, one row each.
    Contacts {
        /// The same.
        #[serde(default)]
        raw: bool,
    },
}

/// The selected interactions, each once, in their order.
pub(super) fn selected(ids: Vec<InteractionId>) -> Result<Vec<InteractionId>, Error> {
    let mut known = BTreeSet::new();
    let ids: Vec<InteractionId> = ids.into_iter().filter(|id| known.insert(id.clone())).collect();
    if (1..=PART).contains(&ids.len()) { Ok(ids) } else { Err(Error::field("interactions", format!("must be 1 to {PART} ids"))) }
}

/// Exports interactions or contacts as CSV.
///
/// The answer is a job. Once it is done, `GET /jobs/{id}/file` gives a link to the file: UTF-8 with a byte order mark,
/// commas, CRLF.
#[utoipa::path(
    post, path = "/exports", operation_id = "export", tag = "exports", request_body = Exporting,
    responses((status = ACCEPTED, body = JobView))
)]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    Body(wanted): Body<Exporting>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let (task, what, raw, ids) = match wanted {
        Exporting::Interactions { interactions, raw } => (Task::ExportInteractions { raw }, "interactions", raw, selected(interactions)?),
        Exporting::Contacts { raw } => (Task::ExportContacts { raw }, "contacts", raw, Vec::new()),
    };
    let job = app.ordered(&caller, task, ids.len() as u64).await?;
    app.store().freeze(&job.id, &ids, job.created_at).await?;
    let entry = app.entry(&job.by, Action::Exported, "job", job.id.as_str(), &json!({"of": what, "count": ids.len(), "raw": raw}));
    app.store().add_job(&job, &entry).await?;
    app.begin(&job).await;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

impl App {
    /// A new job of the caller, not written yet.
    pub(crate) async fn ordered(&self, caller: &Caller, task: Task, total: u64) -> Result<Job, Failure> {
        let by = self.by(caller).await?;
        Ok(Job::new(JobId::from_ulid(self.desk.engine.world.ulid()), task, by, total, self.desk.engine.world.now()))
    }
}
