//! The logs of closed interactions: one file each, listed by account and day.

use std::sync::Arc;

use api::{Error, FromPath, Listed, Parameters, Reader, saw_account};
use axum::Json;
use axum::extract::State;
use cloud::objects::LINK_LIFETIME;
use desk::Link;
use domain::ids::{AccountId, InteractionId};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use views::transcript::{log_key, logs_of};

use crate::app::App;
use crate::error::Failure;

/// A day of a busy account has thousands of logs. An entry takes some 150 bytes, so a page could have more; S3 lists
/// 1,000 at once.
const PAGE: i32 = 100;
/// As many as S3 lists with one request.
const LONGEST_PAGE: i32 = 1000;

/// A log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogEntry {
    /// The interaction's id.
    interaction: InteractionId,
    /// The size in bytes.
    size: u64,
    /// When the log was written last. It is written anew when something changes after the close.
    written_at: Timestamp,
}

/// Lists the logs of an account's interactions that closed on a day.
///
/// The account may have been deleted since. An interaction that was reopened stays listed until it closes again.
#[utoipa::path(
    get, path = "/logs", operation_id = "list_logs", tag = "logs",
    params(
        ("account" = String, Query, description = "The account's id"),
        ("day" = String, Query, description = "The day of closing in UTC, such as `2026-01-31`"),
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; the default is 100")
    ),
    responses((status = OK, body = Listed<LogEntry>, description = "Logs, by the interactions' time of opening."))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Reader, parameters: Parameters) -> Result<Listed<LogEntry>, Failure> {
    let limit = parameters.limit(PAGE, LONGEST_PAGE)?;
    let account: AccountId = parameters.id("account")?.ok_or_else(|| Error::field("account", "is required"))?;
    let day = parameters.get("day").ok_or_else(|| Error::field("day", "is required"))?;
    let day: Date = day.parse().map_err(|_| Error::field("day", "must be a day such as 2026-01-31"))?;
    let after: Option<InteractionId> = parameters.id("after")?;
    saw_account(&account);
    let folder = logs_of(&account, day);
    let name = |interaction: InteractionId| format!("{folder}{interaction}.json");
    let (objects, more) = app.desk.objects.list(&folder, after.map(name).as_deref(), limit).await?;
    let items: Vec<LogEntry> = (objects.into_iter())
        .filter_map(|object| {
            let interaction = object.key.strip_prefix(&folder)?.strip_suffix(".json")?.parse().ok()?;
            Some(LogEntry { interaction, size: object.size, written_at: object.written_at })
        })
        .collect();
    let next = items.last().filter(|_| more).map(|last| last.interaction.to_string());
    Ok(Listed { items, next })
}

/// Returns a download link to an interaction's log.
///
/// The log is a JSON file with the interaction, its messages and its history: one entry for each action, with who did
/// it (`who`) and in which role. The audit trail tells of each link. 404 `log-not-ready`: the interaction is open, or
/// closed a moment ago.
#[utoipa::path(
    get, path = "/interactions/{id}/log", operation_id = "get_log", tag = "logs", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = Link), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn read(State(app): State<Arc<App>>, reader: Reader, FromPath(id): FromPath<String>) -> Result<Json<Link>, Failure> {
    let place = app.desk.locate(reader.clone(), &id).await?;
    let interaction = app.desk.found(&place).await?;
    let key = log_key(&interaction).ok_or(Failure::LogNotReady)?;
    app.desk.objects.head(&key).await?.ok_or(Failure::LogNotReady)?;
    app.desk.downloaded(&reader, "interaction", interaction.id.as_str(), &json!({"file": "log"})).await?;
    let name = place.file_name(&format!("{}.json", interaction.id));
    let expires_at = app.desk.now() + LINK_LIFETIME;
    Ok(Json(Link { url: app.desk.objects.link(&key, &name).await?, expires_at }))
}
