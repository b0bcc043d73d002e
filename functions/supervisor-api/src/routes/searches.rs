//! Searches that supervisors keep by name, their own and those that are shared.

use std::sync::Arc;

use api::{Body, Caller, Cursor, Error, FromPath, Listed, Overseer, Page, Parameters};
use axum::Json;
use axum::extract::State;
use domain::agent::Role;
use domain::search::{SavedSearch, SearchInput};
use engine::ports::World;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Failure;

/// How often a write is tried if somebody writes or deletes the same search at that instant.
const ATTEMPTS: u32 = 5;

/// A search to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saving {
    /// The search.
    search: SearchInput,
    /// Whether all supervisors see it.
    #[serde(default)]
    #[schema(required = false)]
    shared: bool,
}

/// A search that somebody keeps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SavedSearch)]
pub(crate) struct SavedView {
    /// Its name, unique among the searches of its owner without regard to case and accents.
    name: String,
    /// The person whose search it is: an agent's id, or the `sub` of the token if there is no agent record.
    owner: String,
    /// Whether that is the caller.
    own: bool,
    /// Whether all supervisors see it.
    shared: bool,
    /// The search.
    search: SearchInput,
    /// The person who changed it last.
    changed_by: String,
    /// When.
    changed_at: Timestamp,
}

impl SavedView {
    fn of(saved: SavedSearch, reader: &str) -> Self {
        let SavedSearch { owner, name, shared, search, changed_by, changed_at } = saved;
        Self { own: owner == reader, name, owner, shared, search, changed_by, changed_at }
    }
}

/// Lists the caller's own searches and those that are shared.
#[utoipa::path(
    get, path = "/searches", operation_id = "list_searches", tag = "search",
    params(
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 100; the default is 50")
    ),
    responses((status = OK, body = Listed<SavedView>))
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    parameters: Parameters,
) -> Result<Listed<SavedView>, Failure> {
    let Page { after, limit } = Page::of::<Cursor>(&parameters)?;
    let after = after.and_then(|after| after.parse::<Cursor>().ok());
    let reader = app.by(&caller).await?.who;
    let most = usize::try_from(limit).unwrap_or_default();
    let (found, next) = app.store().saved_searches(&reader, after.as_ref().map(|Cursor(place)| place.as_str()), most).await?;
    let items = found.into_iter().map(|saved| SavedView::of(saved, &reader)).collect();
    Ok(Listed { items, next: next.as_deref().map(Cursor::encoded) })
}

/// Keeps a search by this name: a new one, or in place of the one that has it.
///
/// The search is checked as `POST /search` checks it. A person keeps up to 50 (409 `too-many-searches`). With `owner`,
/// admins and owners change a shared search of somebody else.
#[utoipa::path(
    put, path = "/searches/{name}", operation_id = "put_search", tag = "search", request_body = Saving,
    params(
        ("name" = String, Path, description = "1 to 100 characters, without slashes"),
        ("owner" = Option<String>, Query, description = "The owner of a shared search; by default the caller")
    ),
    responses((status = OK, body = SavedView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    FromPath(name): FromPath<String>,
    parameters: Parameters,
    Body(Saving { search, shared }): Body<Saving>,
) -> Result<Json<SavedView>, Failure> {
    let key = key_of(&name)?;
    desk::searches::checked(&search)?;
    let by = app.by(&caller).await?.who;
    let owner = owner(&caller, &by, &parameters)?;
    let changed_at = app.desk.engine.world.now();
    let saved = SavedSearch { owner, name, shared, search, changed_by: by.clone(), changed_at };
    for _ in 0..ATTEMPTS {
        let there = app.store().saved_search(&saved.owner, &key).await?;
        match &there {
            Some(there) if saved.owner != by && !there.shared => return Err(Error::NotFound.into()),
            None if saved.owner != by => return Err(Error::NotFound.into()),
            None if app.store().count_saved_searches(&saved.owner).await? >= SavedSearch::MOST => return Err(Failure::TooManySearches),
            _ => {}
        }
        if app.store().save_search(&key, &saved, there.is_none()).await? {
            return Ok(Json(SavedView::of(saved, &by)));
        }
    }
    Err(desk::Failure::Busy.into())
}

/// Deletes a search by its name. 404: there is none, or it is not for the caller.
#[utoipa::path(
    delete, path = "/searches/{name}", operation_id = "delete_search", tag = "search",
    params(
        ("name" = String, Path, description = "The name"),
        ("owner" = Option<String>, Query, description = "The owner of a shared search; by default the caller")
    ),
    responses((status = NO_CONTENT, description = "It is deleted."))
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    FromPath(name): FromPath<String>,
    parameters: Parameters,
) -> Result<StatusCode, Failure> {
    let key = key_of(&name).map_err(|_| Error::NotFound)?;
    let by = app.by(&caller).await?.who;
    let owner = owner(&caller, &by, &parameters)?;
    let there = app.store().saved_search(&owner, &key).await?;
    there.filter(|there| owner == by || there.shared).ok_or(Error::NotFound)?;
    app.store().delete_saved_search(&owner, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose search it is: the caller's, or with the right to it somebody else's.
fn owner(caller: &Caller, by: &str, parameters: &Parameters) -> Result<String, Error> {
    match parameters.get("owner") {
        Some(owner) if owner != by && !caller.may(Role::Admin) => Err(Error::Forbidden),
        owner => Ok(owner.unwrap_or(by).to_owned()),
    }
}

fn key_of(name: &str) -> Result<String, Error> {
    let rule = || format!("must have 1 to {} characters, no slash, and a letter, a digit or a sign", SavedSearch::LONGEST_NAME);
    SavedSearch::key_of(name).ok_or_else(|| Error::field("name", rule()))
}
