//! What an account's people see of it: its open interactions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::ids::InteractionId;
use domain::interaction::Interaction;
use domain::view::InteractionView;
use engine::ports::Store;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Caller;
use crate::input::{Parameters, Place};
use crate::problem::Failure;

/// A screen or two of them.
const PAGE: i32 = 50;
/// An interaction has 2 KB or so: a page stays far below the 6 MB that a Lambda may answer.
const LONGEST_PAGE: i32 = 100;
/// DynamoDB reads at most 100 items in one batch.
const LOOKED_AT_ONCE: usize = 100;
/// How many interactions a page looks at when it leaves out most of them: some tenths of a second; then the client asks for the next page.
const LOOKED_AT: usize = 500;

/// A page of an account's open interactions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenInteractions {
    /// The newest first. What opened or closed a moment ago may be missing or be there already.
    interactions: Vec<InteractionView>,
    /// Where the next page begins: send it as `after`. Absent: this was the last one. A page may turn out to be shorter than asked for, or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<InteractionId>,
}

/// The open interactions of an account of the caller; supervisors and up see those of all accounts.
#[utoipa::path(
    get, path = "/accounts/{id}/interactions", tag = "interactions",
    params(
        ("id" = String, Path, description = "The account's id"),
        ("waiting" = Option<bool>, Query, description = "`true`: only those that no agent has, which can be picked"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 100, 50 unless told")
    ),
    responses((status = OK, body = OpenInteractions), (status = NOT_FOUND, body = cloud::http::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn interactions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(id): Place<String>,
    parameters: Parameters,
) -> Result<Json<OpenInteractions>, Failure> {
    let limit = usize::try_from(parameters.limit(PAGE, LONGEST_PAGE)?).unwrap_or_default();
    let (waiting, mut after) = (parameters.flag("waiting")?, parameters.id::<InteractionId>("after")?);
    let account = app.account(&caller, &id).await?;
    // Of those that somebody has most are left out.
    let step = if waiting { LOOKED_AT_ONCE } else { limit };
    let (mut shown, mut looked_at) = (Vec::<Interaction>::new(), 0);
    let next = loop {
        let places = app.store().open_interactions(&account.id, after.as_ref(), step).await?;
        after = places.last().filter(|_| places.len() == step).map(|last| last.interaction.clone());
        looked_at += places.len();
        let mut found = app.store().interactions_at(&places).await?;
        found.sort_by(|one, other| other.id.cmp(&one.id));
        // The index is a moment behind: the interaction itself says whether it is open.
        found.retain(|found| found.is_open() && (!waiting || found.agent.is_none()));
        let room = limit - shown.len();
        let left_over = found.len() > room;
        found.truncate(room);
        shown.extend(found);
        if left_over {
            break shown.last().map(|last| last.id.clone());
        }
        if after.is_none() || shown.len() == limit || looked_at >= LOOKED_AT {
            break after;
        }
    };
    Ok(Json(OpenInteractions { interactions: shown.iter().map(InteractionView::from).collect(), next }))
}
