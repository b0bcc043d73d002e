//! What waits and who works.

use std::sync::Arc;

use api::{Error, IfNoneMatch, Overseer, Polled};
use axum::extract::State;
use oversight::{MOST_AGE, Picture};

use crate::app::App;
use crate::error::Failure;

/// Shows what waits in each queue, and each agent's presence, load and open interactions.
///
/// The picture is at most three seconds old and the same for everybody; `as_of` is its moment. Poll it every five
/// seconds, with the `ETag` of the last answer as `If-None-Match`: while nothing newer is there, the answer is 304
/// without a body.
#[utoipa::path(
    get, path = "/oversight", operation_id = "oversight", tag = "oversight",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the last answer")),
    responses((status = OK, body = Picture, headers(("ETag" = String))), (status = NOT_MODIFIED, description = "There is nothing newer"))
)]
pub(crate) async fn read(State(app): State<Arc<App>>, _: Overseer, known: IfNoneMatch) -> Result<Polled<Picture>, Failure> {
    let picture = app.board.look(&app.desk.engine, app.desk.directory(), MOST_AGE).await.map_err(Error::from)?;
    Ok(known.unless_known(picture.turn, || Picture::clone(&picture)))
}
