//! All interactions of the caller's accounts, closed and archived ones too.

use api::{AgentCaller, Listed, Parameters, Reader};
use axum::extract::State;
use desk::{Desk, Failure};
use search::{ListEntry, ListFilters};

/// Lists interactions of the caller's accounts, newest first: closed and archived ones too.
///
/// Agents see the accounts they belong to. Supervisors, admins and owners see all accounts. All filters that are given
/// must hold. Without `status`, archived interactions are left out. A page may have fewer entries than `limit`, even
/// none: ask on while there is a `next`. What matches throughout is on one page exactly, however interactions change
/// in between.
#[utoipa::path(
    get, path = "/interactions/all", operation_id = "list_all_interactions", tag = "interactions", params(ListFilters),
    responses((status = OK, body = Listed<ListEntry>, description = "Interactions, newest first. They may lag by a moment."))
)]
pub(crate) async fn list(State(desk): State<Desk>, caller: AgentCaller, parameters: Parameters) -> Result<Listed<ListEntry>, Failure> {
    desk.list(&Reader::from(&caller), &parameters).await
}
