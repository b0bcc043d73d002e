//! How many wait in the caller's own queues.

use std::sync::Arc;

use api::{AgentCaller, Error, IfNoneMatch, Polled};
use axum::extract::State;
use domain::ids::QueueId;
use engine::ports::Directory;
use jiff::Timestamp;
use oversight::MOST_AGE_FOR_AGENTS;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Failure;

/// What waits in the caller's queues.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MyQueues {
    /// The moment that the numbers show. They are at most ten seconds old.
    as_of: Timestamp,
    /// The queues whose member the caller is, sorted by name.
    queues: Vec<MyQueue>,
}

/// A queue of the caller.
#[derive(Debug, Serialize, ToSchema)]
struct MyQueue {
    /// The queue's id.
    id: QueueId,
    /// Its name.
    name: String,
    /// How many interactions wait for its members.
    waiting: usize,
    /// Since when the customer has waited who has waited longest. Absent: nobody waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_since: Option<Timestamp>,
}

/// Tells how many interactions wait in the caller's queues.
///
/// Poll it every ten seconds, with the `ETag` of the last answer as `If-None-Match`: while nothing newer is there, the
/// answer is 304 without a body.
#[utoipa::path(
    get, path = "/queues", tag = "agent",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the last answer")),
    responses((status = OK, body = MyQueues, headers(("ETag" = String))), (status = NOT_MODIFIED, description = "There is nothing newer"))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller, known: IfNoneMatch) -> Result<Polled<MyQueues>, Failure> {
    let own = app.directory().queues().await?;
    let is_own = |queue: &QueueId| own.get(queue).is_some_and(|queue| queue.members.contains(&caller.agent));
    let picture = app.board.look(&app.desk.engine, app.directory(), MOST_AGE_FOR_AGENTS).await.map_err(Error::from)?;
    let queues = picture.queues.iter().filter(|queue| is_own(&queue.id)).map(|queue| MyQueue {
        id: queue.id.clone(),
        name: queue.name.clone(),
        waiting: queue.waiting,
        waiting_since: queue.waiting_since,
    });
    Ok(known.unless_known(picture.turn, || MyQueues { as_of: picture.as_of, queues: queues.collect() }))
}
