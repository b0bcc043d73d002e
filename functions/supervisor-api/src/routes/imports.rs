//! Imports of contacts from CSV files.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{Body, Errors, Overseer};
use audit::Action;
use axum::Json;
use axum::extract::State;
use cloud::objects::LINK_LIFETIME;
use domain::account::List;
use domain::details::ContactField;
use domain::ids::{AccountId, ContactFieldId, ListId};
use domain::import::{Columns, Import, Known, MOST_BYTES};
use domain::job::Task;
use engine::ports::{Directory, World};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::jobs::JobView;
use crate::app::App;
use crate::error::Failure;

/// Where files to import are uploaded. The bucket forgets them after a day.
const PLACE: &str = "uploads/imports/";

/// The type that the upload is signed for.
const CONTENT_TYPE: &str = "text/csv";

/// As many lists as are useful for one customer.
const LISTS: usize = 50;

/// The longest heading, in characters.
const HEADING: usize = 200;

/// A file that is about to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImportFile {
    /// Its length in bytes, 50 MB at most.
    #[schema(minimum = 1, maximum = 52428800)]
    size: u64,
}

/// The place for a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportPlace {
    /// The id by which the import names the file.
    id: String,
    /// Where to PUT the file.
    url: String,
    /// The `Content-Type` of the PUT.
    content_type: &'static str,
    /// Until when the address is valid.
    expires_at: Timestamp,
}

/// An import of contacts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Importing {
    /// The id of the uploaded file.
    upload: String,
    /// The headings of the columns to import. `phone` or `user_id` is required. Cases don't count.
    columns: Columns,
    /// The country of numbers without `+`: two letters (ISO 3166).
    #[schema(pattern = "^[A-Z]{2}$", example = "IT")]
    country: Option<String>,
    /// An account of the business that issued the user ids. Required with `columns.user_id`.
    account: Option<AccountId>,
    /// The lists that every imported contact joins.
    #[serde(default)]
    #[schema(max_items = 50)]
    lists: BTreeSet<ListId>,
    /// What happens to contacts that are there already: `skip` (they stay as they are), `update`, `refuse` (the row is
    /// an error).
    #[serde(default)]
    known: Known,
    /// `true`: nothing is written. Counts and errors are those that the import would have.
    #[serde(default)]
    dry_run: bool,
}

/// Gives a place for a file to import.
///
/// PUT the file to `url` within five minutes, with the `content_type` and the announced length. It is kept for a day.
#[utoipa::path(
    post, path = "/imports/uploads", operation_id = "upload_import", tag = "imports", request_body = NewImportFile,
    responses((status = CREATED, body = ImportPlace))
)]
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    _: Overseer,
    Body(file): Body<NewImportFile>,
) -> Result<(StatusCode, Json<ImportPlace>), Failure> {
    if !(1..=MOST_BYTES).contains(&file.size) {
        return Err(Errors::one("size", "must be the file's length in bytes, 52428800 (50 MB) at most").into());
    }
    let id = app.desk.engine.world.ulid().to_string();
    let expires_at = app.desk.now() + LINK_LIFETIME;
    let url = app.desk.objects.upload_link(&format!("{PLACE}{id}"), CONTENT_TYPE, file.size).await?;
    Ok((StatusCode::CREATED, Json(ImportPlace { id, url, content_type: CONTENT_TYPE, expires_at })))
}

/// Imports contacts from an uploaded CSV file.
///
/// The answer is a job. The file is UTF-8, UTF-16 with its mark or Windows-1252, with commas, semicolons or tabs, and
/// has a row of headings and at most 200,000 others. Of rows with the same address the first counts. `counts.done` are
/// rows whose contact is there as the row says, `counts.skipped` the others. If rows were refused,
/// `GET /jobs/{id}/file` gives a link to a CSV with their row, column, reason and its code, up to 10,000 of them. A
/// file that can't be imported at all ends the job as `failed`, with the reason in `problem`. A cancelled import keeps
/// what it has imported.
#[utoipa::path(
    post, path = "/imports", operation_id = "import", tag = "imports", request_body = Importing,
    responses((status = ACCEPTED, body = JobView))
)]
pub(crate) async fn order(
    State(app): State<Arc<App>>,
    Overseer(caller): Overseer,
    Body(wanted): Body<Importing>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let import = wanted.checked(&app).await?;
    let told = json!({"of": "contacts", "known": import.known, "dry_run": import.dry_run, "columns": import.columns.headings().len()});
    let job = app.ordered(&caller, Task::ImportContacts(Box::new(import)), 0).await?;
    let entry = app.entry(&job.by, Action::Imported, "job", job.id.as_str(), &told);
    app.store().add_job(&job, Some(&entry)).await?;
    app.begin(&job).await;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

impl Importing {
    async fn checked(self, app: &App) -> Result<Import, Failure> {
        let Self { upload, columns, country, account, lists, known, dry_run } = self;
        let mut errors = Errors::default();
        if columns.phone.is_none() && columns.user_id.is_none() {
            errors.add("columns.phone", "is required, or columns.user_id");
        }
        for (what, heading) in columns.headings() {
            if heading.trim().is_empty() || heading.chars().count() > HEADING {
                errors.add(format!("columns.{what}"), "must be a heading of 1 to 200 characters");
            }
        }
        if country.as_ref().is_some_and(|country| country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase())) {
            errors.add("country", "must be two capital letters such as IT");
        }
        match &account {
            None if columns.user_id.is_some() => errors.add("account", "is required: a user id belongs to the business of an account"),
            Some(account) if app.desk.directory().account(account).await?.is_none() => errors.add("account", "does not exist"),
            _ => {}
        }
        let there: BTreeSet<ListId> = app.desk.directory().all::<List>().await?.into_iter().map(|(list, _)| list.id).collect();
        if lists.len() > LISTS || !lists.is_subset(&there) {
            errors.add("lists", "must be the ids of at most 50 lists that exist");
        }
        if !columns.fields.is_empty() {
            let defined = app.desk.directory().all::<ContactField>().await?;
            let defined: BTreeSet<ContactFieldId> = defined.into_iter().map(|(field, _)| field.id).collect();
            for field in columns.fields.keys().filter(|field| !defined.contains(*field)) {
                errors.add(format!("columns.fields.{field}"), "there is no field with this id");
            }
        }
        let is_id = upload.len() == 26 && upload.bytes().all(|b| b.is_ascii_alphanumeric());
        let key = format!("{PLACE}{upload}");
        if !is_id || app.desk.objects.head(&key).await?.is_none() {
            errors.add("upload", "nothing was uploaded under this id, or more than a day ago");
        }
        errors.check()?;
        Ok(Import { key, columns, country, account, lists, known, dry_run })
    }
}
