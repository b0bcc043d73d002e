//! Deletions: one interaction at once, many by a job.

use std::sync::Arc;

use api::{Body, Error, FromPath, Overseer, Parameters, Reader};
use audit::Action;
use axum::Json;
use axum::extract::State;
use desk::Refused;
use domain::decide::{Event, Refusal};
use domain::ids::{InteractionId, JobId};
use domain::interaction::Interaction;
use domain::job::{PREVIEW_KEPT, Task};
use domain::search::SearchInput;
use engine::ports::{Committed, Idempotency, Store, World};
use http::StatusCode;
use jiff::Timestamp;
use search::FiltersInput;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Entombed, Preview};
use utoipa::ToSchema;

use super::exports::{selected, wanted};
use super::jobs::JobView;
use crate::app::App;
use crate::error::Failure;

/// How often a deletion is tried if the interaction changes at the same instant.
const ATTEMPTS: u32 = 5;

/// The interactions to delete.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    /// The selected interactions, 1 to 5,000.
    #[schema(min_items = 1, max_items = 5000)]
    interactions: Vec<InteractionId>,
}

/// The interactions to delete: exactly one of `search` and `filters`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MatchingSelection)]
pub(crate) struct All {
    /// All that this search finds.
    search: Option<SearchInput>,
    /// All that a list with these filters shows.
    filters: Option<FiltersInput>,
}

/// What a deletion would delete.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Previewed {
    /// Orders the deletion of exactly these interactions.
    token: JobId,
    /// Until when the token can be used.
    expires_at: Timestamp,
    /// How many of the interactions are there.
    count: u64,
    /// How many of these are open. They are left out, unless the deletion closes them.
    open: u64,
    /// How many were merged into another interaction. They are left out: they go with that one.
    merged: u64,
}

/// A deletion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deletion {
    /// The token of a preview.
    token: JobId,
    /// Whether open interactions are closed first. Otherwise they are left out.
    #[serde(default)]
    close: bool,
}

/// Deletes an interaction, with its messages, attachments, transcripts and log.
///
/// From the answer on it is gone: 410. The answer is a job that deletes what belongs to it, and is done a quarter of
/// an hour later, after a second look for what was on its way. Earlier versions of files stay until the deployment's
/// `BackupDays`, and backups of the tables for 35 days. 409 `still-open`: it is open; `held`: an owner holds it or its
/// contact; `merged`: it is part of another interaction's thread, `into`, and goes with that one.
#[utoipa::path(
    delete, path = "/interactions/{id}", operation_id = "delete_interaction", tag = "deletions",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("close" = Option<bool>, Query, description = "Whether it is closed first if it is open; the default is `false`")
    ),
    responses(
        (status = ACCEPTED, body = JobView),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = GONE, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let close = parameters.flag("close")?;
    let key = app.desk.locate(Reader::OfAll, &id).await?.key;
    let job = app.ordered(&caller, Task::Delete { close }, 1).await?;
    app.store().freeze(&job.id, std::slice::from_ref(&key.interaction), job.created_at).await?;
    for _ in 0..ATTEMPTS {
        let Some(interaction) = app.store().interaction(&key).await? else { return Err(desk::Failure::Deleted.into()) };
        if let Some(into) = interaction.merged_into.clone() {
            return Err(refused(Refusal::MergedAway { into: into.interaction }, interaction));
        }
        let customer = app.desk.engine.customer(&interaction).await?;
        if interaction.is_open() {
            if !close {
                return Err(refused(Refusal::StillOpen, interaction));
            }
            // What is held is not closed either.
            if app.store().is_held(&interaction, &customer).await? {
                return Err(Failure::Held);
            }
            app.desk.engine.tell(&key, Event::Removed, Idempotency::Guarded).await.map_err(desk::Failure::from)?;
            continue;
        }
        let told = json!({"account": key.conversation.account, "job": job.id});
        let entry = app.entry(&job.by, Action::Deleted, "interaction", key.interaction.as_str(), &told);
        match app.store().entomb(&interaction, &customer, Some((&job, &entry)), job.created_at).await? {
            Entombed::Done(_) => {
                app.begin(&job).await;
                return Ok((StatusCode::ACCEPTED, Json(job.into())));
            }
            Entombed::Held => return Err(Failure::Held),
            Entombed::Changed => {}
        }
    }
    Err(desk::Failure::Busy.into())
}

fn refused(refusal: Refusal, interaction: Interaction) -> Failure {
    let refused = Refused { refusal, interaction: Some(interaction), owner_name: None, recontact: None };
    desk::Failure::Refused(Box::new(refused)).into()
}

/// Shows what the deletion of selected interactions would delete, and freezes the selection.
#[utoipa::path(
    post, path = "/deletions/preview", operation_id = "preview_deletion", tag = "deletions", request_body = Selection,
    responses((status = OK, body = Previewed))
)]
pub(crate) async fn preview(
    State(app): State<Arc<App>>,
    _: Overseer,
    Body(selection): Body<Selection>,
) -> Result<Json<Previewed>, Failure> {
    let ids = selected(selection.interactions)?;
    let found: Vec<Interaction> = app.store().interactions(&ids).await?;
    let count = |counts: fn(&Interaction) -> bool| found.iter().filter(|interaction| counts(interaction)).count() as u64;
    let (token, now) = (JobId::from_ulid(app.desk.engine.world.ulid()), app.desk.engine.world.now());
    let expires_at = now + PREVIEW_KEPT;
    app.store().freeze(&token, &ids, now).await?;
    app.store().put_preview(&token, &Preview { total: ids.len() as u64, expires_at }).await?;
    let (open, merged) = (count(|interaction| interaction.is_open()), count(|interaction| interaction.merged_into.is_some()));
    Ok(Json(Previewed { token, expires_at, count: found.len() as u64, open, merged }))
}

/// Shows what the deletion of all that matches would delete, and freezes it.
///
/// The answer is a job, since a million interactions may be looked at. Once it is done, it has a `preview` with the
/// count and the token.
#[utoipa::path(
    post, path = "/deletions/preview/matching", operation_id = "preview_matching_deletion", tag = "deletions", request_body = All,
    responses((status = ACCEPTED, body = JobView))
)]
pub(crate) async fn preview_matching(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    Body(All { search, filters }): Body<All>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let all = wanted(&app, None, search, filters).await?;
    let token = JobId::from_ulid(app.desk.engine.world.ulid());
    let job = app.ordered_for(&caller, Task::PreviewDeletion { token }, all).await?;
    // It shows how many there are, and changes nothing.
    app.store().add_job(&job, None).await?;
    app.begin(&job).await;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Deletes the interactions of a preview.
///
/// The answer is a job. Interactions that are open (unless `close` is true), held, merged into another or gone are
/// left out and counted as `skipped`. A token orders one job: a repetition is answered with the same one. 404: the
/// token is unknown or too old.
#[utoipa::path(
    post, path = "/deletions", operation_id = "delete_interactions", tag = "deletions", request_body = Deletion,
    responses((status = ACCEPTED, body = JobView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn order(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    Body(deletion): Body<Deletion>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let Deletion { token, close } = deletion;
    if let Some(ordered) = app.store().job(&token).await? {
        return Ok((StatusCode::ACCEPTED, Json(ordered.into())));
    }
    let now = app.desk.engine.world.now();
    let preview = app.store().preview(&token).await?.filter(|preview| preview.expires_at > now).ok_or(Error::NotFound)?;
    let job = domain::job::Job { id: token, ..app.ordered(&caller, Task::Delete { close }, preview.total).await? };
    let entry = app.entry(&job.by, Action::Deleted, "job", job.id.as_str(), &json!({"count": preview.total, "close": close}));
    match app.store().add_job(&job, Some(&entry)).await? {
        Committed::Done => app.begin(&job).await,
        // The same request, a moment earlier.
        _ => tracing::info!(event = "job.repeated", job = %job.id),
    }
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}
