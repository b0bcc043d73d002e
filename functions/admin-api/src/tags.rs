//! Tags that agents choose from.

use api::Error;
use axum::extract::State;
use domain::catalog::KnownTag;
use domain::ids::TagId;
use domain::tag::Tag;
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, written};
use crate::error::ApiError;
use crate::input::TagInput;
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Body, Id, IfMatch, Overseer, Page, Parameters};

/// A tag that agents choose from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tag)]
pub(crate) struct TagView {
    /// Its id.
    #[schema(value_type = String)]
    id: TagId,
    /// The tag.
    #[schema(value_type = String)]
    tag: Tag,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(known: KnownTag, version: u64) -> TagView {
    let KnownTag { id, tag } = known;
    TagView { id, tag, version }
}

/// Makes a tag.
///
/// A POST that is repeated is refused (422), as the tag is there already.
#[utoipa::path(post, path = "/tags", tag = "tags", request_body = TagInput,
    responses((status = 201, description = "Made.", body = TagView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_tag(State(app): State<App>, Overseer(by): Overseer, Body(body): Body) -> Result<Versioned<TagView>, ApiError> {
    let input = TagInput::parse(body, None)?;
    let tag = KnownTag { id: TagId::from_ulid(cloud::ids::ulid()), tag: input.tag };
    let version = written(app.configuration().put(&tag, Write::New, Vec::new()).await?)?;
    changed("tag", "created", tag.id.as_str(), &by);
    let place = app.place("tags", tag.id.as_str());
    Ok(Versioned::made(view(tag, version), place))
}

/// The tags. While there are none, agents write their own.
#[utoipa::path(get, path = "/tags", tag = "tags", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<TagView>), Refusals))]
pub(crate) async fn list_tags(State(app): State<App>, _: Overseer, parameters: Parameters) -> Result<Listed<TagView>, ApiError> {
    app.list(&Page::of::<TagId>(&parameters)?, view).await
}

/// One tag.
#[utoipa::path(get, path = "/tags/{id}", tag = "tags", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = TagView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_tag(State(app): State<App>, _: Overseer, Id(id): Id<TagId>) -> Result<Versioned<TagView>, ApiError> {
    let (tag, version) = app.load::<KnownTag>(id.as_str()).await?;
    Ok(Versioned::new(view(tag, version), version))
}

/// Replaces a tag. Interactions that have it keep it as it was.
#[utoipa::path(put, path = "/tags/{id}", tag = "tags", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = TagInput,
    responses((status = 200, description = "Replaced.", body = TagView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_tag(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<TagId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<TagView>, ApiError> {
    let (before, version) = app.load::<KnownTag>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let tag = KnownTag { id, tag: TagInput::parse(body, Some(&shown))?.tag };
    let version = written(app.configuration().put(&tag, Write::Replace { before: &before, version }, Vec::new()).await?)?;
    changed("tag", "replaced", tag.id.as_str(), &by);
    Ok(Versioned::new(view(tag, version), version))
}

/// Deletes a tag. Interactions that have it keep it.
#[utoipa::path(delete, path = "/tags/{id}", tag = "tags", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_tag(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<TagId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (tag, version) = app.load::<KnownTag>(id.as_str()).await?;
    condition.check(version)?;
    written(app.configuration().delete(&tag, version).await?)?;
    changed("tag", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
