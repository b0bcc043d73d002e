//! Contact lists.

use api::Error;
use axum::extract::State;
use domain::account::{Account, List};
use domain::ids::ListId;
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, delete_unused, written};
use crate::error::ApiError;
use crate::input::ListInput;
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Administrator, Body, Id, IfMatch, Page, Parameters};

/// A contact list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = List)]
pub(crate) struct ListView {
    /// Its id.
    #[schema(value_type = String)]
    id: ListId,
    /// For people.
    name: String,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(list: List, version: u64) -> ListView {
    ListView { id: list.id, name: list.name, version }
}

/// Makes a contact list.
///
/// Names need not be unique: a POST that is repeated makes a second list.
#[utoipa::path(post, path = "/lists", tag = "lists", request_body = ListInput,
    responses((status = 201, description = "Made.", body = ListView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_list(
    State(app): State<App>,
    Administrator(by): Administrator,
    Body(body): Body,
) -> Result<Versioned<ListView>, ApiError> {
    let input = ListInput::parse(body, None)?;
    let list = List { id: ListId::from_ulid(cloud::ids::ulid()), name: input.name };
    let version = written(app.configuration().put(&list, Write::New, Vec::new()).await?)?;
    changed("list", "created", list.id.as_str(), &by);
    let place = app.place("lists", list.id.as_str());
    Ok(Versioned::made(view(list, version), place))
}

/// The contact lists.
#[utoipa::path(get, path = "/lists", tag = "lists", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<ListView>), Refusals))]
pub(crate) async fn list_lists(State(app): State<App>, _: Administrator, parameters: Parameters) -> Result<Listed<ListView>, ApiError> {
    app.list(&Page::of::<ListId>(&parameters)?, view).await
}

/// One contact list.
#[utoipa::path(get, path = "/lists/{id}", tag = "lists", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = ListView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_list(State(app): State<App>, _: Administrator, Id(id): Id<ListId>) -> Result<Versioned<ListView>, ApiError> {
    let (list, version) = app.load::<List>(id.as_str()).await?;
    Ok(Versioned::new(view(list, version), version))
}

/// Replaces a contact list.
#[utoipa::path(put, path = "/lists/{id}", tag = "lists", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = ListInput,
    responses((status = 200, description = "Replaced.", body = ListView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_list(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<ListId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<ListView>, ApiError> {
    let (before, version) = app.load::<List>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let list = List { id, name: ListInput::parse(body, Some(&shown))?.name };
    let version = written(app.configuration().put(&list, Write::Replace { before: &before, version }, Vec::new()).await?)?;
    changed("list", "replaced", list.id.as_str(), &by);
    Ok(Versioned::new(view(list, version), version))
}

/// Deletes a contact list. Refused (409, `in-use`) while an account saves its contacts there or has it in its
/// whitelist.
#[utoipa::path(delete, path = "/lists/{id}", tag = "lists", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_list(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<ListId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (list, version) = app.load::<List>(id.as_str()).await?;
    condition.check(version)?;
    let whitelisted = |account: &Account| account.settings.whitelist.as_ref().is_some_and(|whitelist| whitelist.lists.contains(&id));
    delete_unused(&app, &list, version, |account| account.list == id || whitelisted(account)).await?;
    changed("list", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
