//! Lists of interactions.

use api::{Listed, Parameters, Reader};
use axum::extract::State;
use desk::{Desk, Failure};
use search::{ListEntry, ListFilters};

/// Lists interactions of all accounts, newest first.
///
/// All filters that are given must hold. Without `status`, archived interactions are left out. Interactions of deleted
/// accounts stay listed, with `account_deleted`. A page may have fewer entries than `limit`, even none: ask on while
/// there is a `next`. What matches throughout is on one page exactly, however interactions change in between.
#[utoipa::path(
    get, path = "/interactions", operation_id = "list_interactions", tag = "interactions", params(ListFilters),
    responses((status = OK, body = Listed<ListEntry>, description = "Interactions, newest first. They may lag by a moment."))
)]
pub(crate) async fn list(State(desk): State<Desk>, caller: Reader, parameters: Parameters) -> Result<Listed<ListEntry>, Failure> {
    desk.list(&caller, &parameters).await
}
