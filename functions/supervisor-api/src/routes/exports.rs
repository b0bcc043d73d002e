//! Exports as CSV.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{Body, Caller, Error, Overseer, Reader};
use audit::Action;
use axum::Json;
use axum::extract::State;
use domain::ids::{InteractionId, JobId};
use domain::job::{Job, PART, Task};
use domain::search::SearchInput;
use domain::seek::{Matching, Seek};
use engine::ports::World;
use http::StatusCode;
use search::FiltersInput;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::jobs::JobView;
use crate::app::App;
use crate::error::Failure;

/// What is exported. Of interactions, exactly one of `interactions`, `search` and `filters` says which; of contacts,
/// all are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exporting {
    /// What the rows are.
    of: Of,
    /// The selected interactions, 1 to 5,000. Their rows come in this order; those that no longer exist are left out.
    #[schema(min_items = 1, max_items = 5000)]
    interactions: Option<Vec<InteractionId>>,
    /// All that this search finds, account by account, newest first.
    search: Option<SearchInput>,
    /// All that a list with these filters shows, account by account, newest first.
    filters: Option<FiltersInput>,
    /// A spreadsheet calculates a cell that begins with `=`, `+`, `-`, `@` or a control character. Therefore such a
    /// cell gets a leading apostrophe, unless this is `true`: for programs.
    #[serde(default)]
    #[schema(required = false)]
    raw: bool,
}

/// What the rows of an export are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExportOf)]
pub(crate) enum Of {
    /// Interactions.
    Interactions,
    /// Contacts.
    Contacts,
}

/// The interactions that somebody wants.
pub(crate) enum Wanted {
    /// These, each once, in their order.
    These(Vec<InteractionId>),
    /// All that match.
    All(Matching),
}

impl Wanted {
    /// How many were named. How many match is not known yet.
    fn count(&self) -> Option<usize> {
        match self {
            Self::These(ids) => Some(ids.len()),
            Self::All(_) => None,
        }
    }

    /// What the audit trail tells of a search: the names of its fields, since its values may name a customer.
    fn told(&self) -> Option<Value> {
        match self {
            Self::These(_) => None,
            Self::All(Matching::Search { search }) => {
                let fields = search.conditions.iter().filter(|condition| !condition.disabled).map(|condition| &condition.field);
                Some(json!({"search": fields.collect::<Vec<_>>()}))
            }
            Self::All(Matching::Closed { before }) => Some(json!({"closed_before": before})),
            Self::All(Matching::Contacts { contacts }) => Some(json!({"contacts": contacts})),
            Self::All(Matching::List { account, filter, span }) => Some(json!({"account": account, "filters": filter, "opened": span})),
        }
    }
}

/// The selected interactions, each once, in their order.
pub(crate) fn selected(ids: Vec<InteractionId>) -> Result<Vec<InteractionId>, Error> {
    let mut known = BTreeSet::new();
    let ids: Vec<InteractionId> = ids.into_iter().filter(|id| known.insert(id.clone())).collect();
    if (1..=PART).contains(&ids.len()) { Ok(ids) } else { Err(Error::field("interactions", format!("must be 1 to {PART} ids"))) }
}

/// Exactly one of the three ways to say which interactions are meant.
pub(crate) async fn wanted(
    app: &App,
    interactions: Option<Vec<InteractionId>>,
    search: Option<SearchInput>,
    filters: Option<FiltersInput>,
) -> Result<Wanted, Failure> {
    match (interactions, search, filters) {
        (Some(ids), None, None) => Ok(Wanted::These(selected(ids)?)),
        (None, Some(search), None) => {
            desk::searches::checked(&search)?;
            Ok(Wanted::All(Matching::Search { search }))
        }
        (None, None, Some(filters)) => Ok(Wanted::All(app.desk.matching(&Reader::OfAll, filters).await?)),
        _ => Err(Error::field("search", "give exactly one way to say which interactions: see the description").into()),
    }
}

/// Exports interactions or contacts as CSV.
///
/// The answer is a job. One for all that match finds them first; what is opened after the order is left out. Once it
/// is done, `GET /jobs/{id}/file` gives a link to the file: UTF-8 with a byte order mark,
/// commas, CRLF.
#[utoipa::path(
    post, path = "/exports", operation_id = "export", tag = "exports", request_body = Exporting,
    responses((status = ACCEPTED, body = JobView))
)]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    Body(exporting): Body<Exporting>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let Exporting { of, interactions, search, filters, raw } = exporting;
    let (job, told) = match of {
        Of::Interactions => {
            let wanted = wanted(&app, interactions, search, filters).await?;
            let told = json!({"of": "interactions", "count": wanted.count(), "matching": wanted.told(), "raw": raw});
            (app.ordered_for(&caller, Task::ExportInteractions { raw }, wanted).await?, told)
        }
        Of::Contacts if interactions.is_none() && search.is_none() && filters.is_none() => {
            (app.ordered(&caller, Task::ExportContacts { raw }, 0).await?, json!({"of": "contacts", "raw": raw}))
        }
        Of::Contacts => return Err(Error::field("of", "all contacts are exported: leave interactions, search and filters out").into()),
    };
    let entry = app.entry(&job.by, Action::Exported, "job", job.id.as_str(), &told);
    app.store().add_job(&job, Some(&entry)).await?;
    app.begin(&job).await;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

impl App {
    /// A new job of the caller for these interactions, not written yet. Those that were named are frozen.
    pub(crate) async fn ordered_for(&self, caller: &Caller, task: Task, wanted: Wanted) -> Result<Job, Failure> {
        match wanted {
            Wanted::These(ids) => {
                let job = self.ordered(caller, task, ids.len() as u64).await?;
                self.store().freeze(&job.id, &ids, job.created_at).await?;
                Ok(job)
            }
            Wanted::All(matching) => {
                let mut job = self.ordered(caller, task, 0).await?;
                job.place.seek = Some(Seek::of(matching));
                Ok(job)
            }
        }
    }

    /// A new job of the caller, not written yet.
    pub(crate) async fn ordered(&self, caller: &Caller, task: Task, total: u64) -> Result<Job, Failure> {
        let by = self.by(caller).await?;
        Ok(Job::new(JobId::from_ulid(self.desk.engine.world.ulid()), task, by, total, self.desk.engine.world.now()))
    }
}
