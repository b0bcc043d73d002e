//! The files of canned answers.
//!
//! A file is uploaded straight to the bucket, below `uploads/`, which the bucket forgets after a day. Giving it to an
//! answer copies it below `answers/`, where no upload link reaches it. It stays there until the answer is deleted or
//! gets another one.

use std::collections::BTreeSet;

use api::{Body, Error, FromPath, IfMatch, Versioned};
use axum::Json;
use axum::extract::State;
use cloud::objects::LINK_LIFETIME;
use domain::account::Account;
use domain::catalog::{AnswerFile, CannedAnswer};
use domain::ids::CannedAnswerId;
use domain::media_type::canonical;
use engine::ports::World;
use http::StatusCode;
use jiff::Timestamp;
use providers::{ADAPTERS, Adapter, LOOKED_AT, is_file_name};
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::ToSchema;

use super::canned_answers::CannedAnswerView;
use crate::app::App;
use crate::error::ApiError;
use crate::input::Errors;
use crate::openapi::{FileRefusals, Refusals, WriteRefusals};
use crate::resource::{Reader, Stored, Writer, rewrite};

/// Where files are uploaded.
const UPLOADED: &str = "uploads/answers/";

/// The file of a canned answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnswerFile)]
pub(crate) struct AnswerFileView {
    /// The name that the customer sees.
    name: String,
    /// The media type.
    content_type: String,
    /// The size in bytes.
    size: u64,
}

impl From<AnswerFile> for AnswerFileView {
    fn from(AnswerFile { name, content_type, size, .. }: AnswerFile) -> Self {
        Self { name, content_type, size }
    }
}

/// A file to upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAnswerFile {
    /// The file's media type with its parameters. Every provider that the answer may be sent by must take it.
    #[schema(example = "application/pdf")]
    content_type: String,
    /// The size in bytes.
    #[schema(minimum = 1)]
    size: u64,
}

/// The place to upload the file to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerFilePlace {
    /// The id by which `PUT …/attachment` names the file. It is valid for one day.
    id: String,
    /// The address to `PUT` the bytes to. It needs no token.
    url: String,
    /// The `Content-Type` header that the `PUT` must have.
    content_type: String,
    /// The upload must start before this time.
    expires_at: Timestamp,
}

/// The file that goes with a canned answer from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerFileInput {
    /// The id of the upload.
    upload: String,
    /// The name that the customer sees: 1 to 240 bytes without control characters or slashes.
    #[schema(min_length = 1, max_length = 240, example = "prices.pdf")]
    name: String,
}

/// A download link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerFileLink {
    /// The address of the file. Browsers save it. It needs no token.
    url: String,
    /// When the link expires.
    expires_at: Timestamp,
}

/// The adapters that may have to send the answer: that of its account, or those of all accounts. With no account yet,
/// all that there are.
async fn adapters(app: &App, answer: &CannedAnswer) -> Result<Vec<&'static dyn Adapter>, ApiError> {
    let accounts = app.configuration().all::<Account>().await?;
    let sends = |account: &&Account| answer.account.as_ref().is_none_or(|own| *own == account.id);
    let kinds: BTreeSet<&str> =
        accounts.iter().map(|(account, _)| account).filter(sends).map(|account| account.provider.kind.as_str()).collect();
    let found: Vec<&'static dyn Adapter> = kinds.into_iter().filter_map(providers::adapter).collect();
    Ok(if found.is_empty() { ADAPTERS.to_vec() } else { found })
}

/// Creates an upload for the file of a canned answer.
///
/// 413 and 415: a provider by which the answer may be sent does not take such a file; a general answer is for all
/// accounts.
#[utoipa::path(post, path = "/canned-answers/{id}/attachment", tag = "canned-answers", params(("id" = String, Path)),
    request_body = NewAnswerFile,
    responses((status = 201, description = "The place for the file.", body = AnswerFilePlace), Refusals, FileRefusals))]
pub(crate) async fn upload_answer_file(
    State(app): State<App>,
    writer: Writer<CannedAnswer>,
    FromPath(id): FromPath<CannedAnswerId>,
    Body(NewAnswerFile { content_type, size }): Body<NewAnswerFile>,
) -> Result<(StatusCode, Json<AnswerFilePlace>), ApiError> {
    let stored = Stored::<CannedAnswer>::load(&app, &writer, &id, None).await?;
    let mut errors = Errors::default();
    let declared = canonical(&content_type);
    if declared.is_none() {
        errors.add("content_type", "must be a type such as image/jpeg");
    }
    if size == 0 {
        errors.add("size", "must be the file's length in bytes");
    }
    errors.check()?;
    for adapter in adapters(&app, &stored.before).await? {
        providers::kind_of_file(adapter, declared.as_deref().unwrap_or_default(), size)?;
    }
    let id = app.engine.world.ulid().to_string();
    let content_type = content_type.trim().to_owned();
    let expires_at = app.engine.world.now() + LINK_LIFETIME;
    let url = app.objects.upload_link(&format!("{UPLOADED}{id}"), &content_type, size).await?;
    Ok((StatusCode::CREATED, Json(AnswerFilePlace { id, url, content_type, expires_at })))
}

/// Copies an upload to its place, if every provider that may have to send it takes it.
async fn taken(app: &App, answer: &CannedAnswer, upload: Ulid, name: String) -> Result<AnswerFile, ApiError> {
    let uploaded = format!("{UPLOADED}{upload}");
    let key = format!("answers/{}/{}", answer.id, app.engine.world.ulid());
    let head = app.objects.head(&uploaded).await?.filter(|head| head.size > 0).ok_or(ApiError::UploadMissing)?;
    let first = app.objects.start(&uploaded, LOOKED_AT).await?.ok_or(ApiError::UploadMissing)?;
    let mut content_type = head.content_type.as_deref().and_then(canonical).unwrap_or_default();
    for adapter in adapters(app, answer).await? {
        (_, content_type) = providers::examine(adapter, &content_type, head.size, &first)?;
    }
    if !app.objects.copy(&uploaded, &key, &content_type).await? {
        return Err(ApiError::UploadMissing);
    }
    // The upload may have been replaced in between. Then it is looked at again when it is sent.
    let size = app.objects.head(&key).await?.map_or(head.size, |head| head.size);
    Ok(AnswerFile { key, name, content_type, size })
}

/// Gives a canned answer the uploaded file, in the place of the one before.
///
/// Agents send it with the answer. 404 `upload-missing`: the file was not uploaded, or its upload is more than a day
/// old. 413 and 415: a provider does not take the file.
#[utoipa::path(put, path = "/canned-answers/{id}/attachment", tag = "canned-answers",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body(content = AnswerFileInput),
    responses((status = 200, description = "The canned answer.", body = CannedAnswerView, headers(("ETag" = String))), WriteRefusals, FileRefusals))]
pub(crate) async fn put_answer_file(
    State(app): State<App>,
    writer: Writer<CannedAnswer>,
    FromPath(id): FromPath<CannedAnswerId>,
    condition: IfMatch,
    Body(AnswerFileInput { upload, name }): Body<AnswerFileInput>,
) -> Result<Versioned<CannedAnswerView>, ApiError> {
    let mut errors = Errors::default();
    let upload = upload.parse::<Ulid>().map_err(|_| errors.add("upload", "is not the id of an upload"));
    if !is_file_name(&name) {
        errors.add("name", "must have 1 to 240 bytes and no control characters or slashes");
    }
    errors.check()?;
    let stored = Stored::<CannedAnswer>::load(&app, &writer, &id, Some(&condition)).await?;
    let file = taken(&app, &stored.before, upload.unwrap_or_default(), name).await?;
    let with = |before: &CannedAnswer| Ok(Some((CannedAnswer { attachment: Some(file.clone()), ..before.clone() }, Vec::new())));
    let shown = rewrite(&app, &writer, &id, &condition, "attachment set", with).await;
    match &shown {
        Ok(_) => forget_file(&app, stored.before.attachment.as_ref()).await,
        // Another change came first. After any other failure the answer may have the file.
        Err(ApiError::Kit(Error::Changed)) => forget_file(&app, Some(&file)).await,
        Err(_) => tracing::warn!(event = "admin.answer_file_unsure", key = file.key),
    }
    shown
}

/// Takes the file off a canned answer.
///
/// If it has none, nothing changes. Messages that were sent keep theirs.
#[utoipa::path(delete, path = "/canned-answers/{id}/attachment", tag = "canned-answers",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "The canned answer.", body = CannedAnswerView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_answer_file(
    State(app): State<App>,
    writer: Writer<CannedAnswer>,
    FromPath(id): FromPath<CannedAnswerId>,
    condition: IfMatch,
) -> Result<Versioned<CannedAnswerView>, ApiError> {
    let stored = Stored::<CannedAnswer>::load(&app, &writer, &id, Some(&condition)).await?;
    let without = |before: &CannedAnswer| {
        let after = CannedAnswer { attachment: None, ..before.clone() };
        Ok(before.attachment.is_some().then_some((after, Vec::new())))
    };
    let shown = rewrite(&app, &writer, &id, &condition, "attachment removed", without).await?;
    forget_file(&app, stored.before.attachment.as_ref()).await;
    Ok(shown)
}

/// Returns a download link to the file of a canned answer. 404: it has none.
#[utoipa::path(get, path = "/canned-answers/{id}/attachment", tag = "canned-answers", params(("id" = String, Path)),
    responses((status = 200, description = "The link.", body = AnswerFileLink), Refusals))]
pub(crate) async fn get_answer_file(
    State(app): State<App>,
    _: Reader<CannedAnswer>,
    FromPath(id): FromPath<CannedAnswerId>,
) -> Result<Json<AnswerFileLink>, ApiError> {
    let (answer, _) = app.load::<CannedAnswer>(id.as_str()).await?;
    let file = answer.attachment.ok_or(Error::NotFound)?;
    let expires_at = app.engine.world.now() + LINK_LIFETIME;
    Ok(Json(AnswerFileLink { url: app.objects.link(&file.key, &file.name).await?, expires_at }))
}

/// Deletes a file that no answer has any more. Nothing depends on it: if it fails, the log names the object.
pub(crate) async fn forget_file(app: &App, file: Option<&AnswerFile>) {
    let Some(file) = file else { return };
    if let Err(error) = app.objects.delete(&file.key).await {
        tracing::error!(event = "admin.answer_file_left", key = file.key, %error);
    }
}
