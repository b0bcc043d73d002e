//! The route that shows the audit trail.

use api::{Administrator, Errors, Listed, Parameters};
use audit::Entry;
use axum::extract::State;
use engine::ports::World;
use jiff::{SignedDuration, Timestamp};
use store::AuditQuery;
use ulid::Ulid;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::Refusals;
use crate::resources::KINDS;

/// How long entries are kept: two years.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);

/// Lists configuration changes, and what people did that leaves no trace elsewhere, newest first.
///
/// That is: forced presences, imports, exports, deletions and holds, watches of interactions, open threads that were
/// read by role alone (once an hour for each person and interaction), and links to transcripts, logs and the files of
/// jobs.
///
/// Entries are kept for two years. A page may have fewer entries than `limit`, or none, and still have a `next`. The
/// last page has no `next`.
#[utoipa::path(get, path = "/audit", tag = "audit",
    params(
        ("who" = Option<String>, Query, description = "Only changes by this agent (its id), or by this `sub` if the caller had no record."),
        ("kind" = Option<String>, Query, description = "Only changes of this kind: `account`, `agent`, `ai_agent`, `queue`, `list`, `interval`, `pause`, \
            `disposition`, `tag`, `canned_answer`, `contact`, `interaction` or `job`."),
        ("id" = Option<String>, Query, description = "Only changes of the resource with this id."),
        ("from" = Option<String>, Query, description = "RFC 3339; only changes at or after this time."),
        ("to" = Option<String>, Query, description = "RFC 3339; only changes before this time."),
        api::PageParams
    ),
    responses((status = 200, description = "A page.", body = Listed<Entry>), Refusals))]
pub(crate) async fn list_audit(State(app): State<App>, _: Administrator, parameters: Parameters) -> Result<Listed<Entry>, ApiError> {
    let query = asked(&parameters, app.engine.world.now())?;
    let (items, next) = app.configuration().audit(&query).await?;
    Ok(Listed { items, next: next.map(|next| next.to_string()) })
}

fn asked(parameters: &Parameters, now: Timestamp) -> Result<AuditQuery, Errors> {
    let mut errors = Errors::default();
    let text = |name: &str| parameters.get(name).map(str::to_owned);
    let mut time = |name: &str, unless_told: Timestamp| match parameters.get(name).map(str::parse::<Timestamp>) {
        None => unless_told,
        Some(Ok(at)) => at,
        Some(Err(_)) => {
            errors.add(name, "must be a time such as 2026-01-31T12:00:00Z");
            unless_told
        }
    };
    // Clocks differ a little. The range is wide enough to include every confirmed change.
    let (from, to) = (time("from", now - KEPT), time("to", now + SignedDuration::from_mins(1)));
    let kind = text("kind");
    if kind.as_ref().is_some_and(|kind| !KINDS.iter().any(|(_, known)| known == kind)) {
        errors.add("kind", "must be a kind of thing that is configured, such as account");
    }
    let of = text("id").and_then(|id| {
        let known = KINDS.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, kind)| (*kind).to_owned());
        if known.is_none() {
            errors.add("id", "must be an id such as acc_01ARZ3NDEKTSV4RRFFQ69G5FAV");
        }
        known.map(|kind| (kind, id))
    });
    let after = text("after").and_then(|after| {
        let after = after.parse::<Ulid>();
        if after.is_err() {
            errors.add("after", "must be what the page before gave as next");
        }
        after.ok()
    });
    let limit = parameters.limit(50, 100).unwrap_or_else(|refused| {
        refused.iter().for_each(|refused| errors.add(refused.field.clone(), refused.message.clone()));
        50
    });
    errors.check()?;
    Ok(AuditQuery { who: text("who"), kind, of, from, to, after, limit: usize::try_from(limit).unwrap_or_default() })
}
