//! The audit trail: the entries of changes, and the route that shows them.

use api::{Administrator, Caller, Errors, Listed, Parameters};
use audit::{Action, By, Change, Entry, Shows, Subject, changes};
use axum::extract::State;
use engine::ports::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::{AuditQuery, Extra};
use ulid::Ulid;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::Refusals;
use crate::resources::KINDS;

/// How long entries are kept: two years.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);

/// A change in progress. Its entry is written with it, and has the same id in every retry.
pub(crate) struct Trail<'a> {
    id: Ulid,
    by: By,
    subject: Subject<'a>,
    action: Action,
    changes: Vec<Change>,
}

impl<'a> Trail<'a> {
    /// A change from one view to another. `null` means that the resource does not exist.
    pub(crate) async fn of(
        app: &App,
        caller: &Caller,
        subject: Subject<'a>,
        before: &Value,
        after: &Value,
        shows: &Shows<'_>,
    ) -> Result<Self, ApiError> {
        let agent = app.configuration().agent_of_subject(&caller.subject).await?;
        let who = agent.map_or_else(|| caller.subject.clone(), |agent| agent.to_string());
        let action = match (before, after) {
            (Value::Null, _) => Action::Created,
            (_, Value::Null) => Action::Deleted,
            _ => Action::Changed,
        };
        let by = By { who, role: caller.role };
        Ok(Self { id: cloud::ids::ulid(), by, subject, action, changes: changes(before, after, shows) })
    }

    /// The entry, including the paths of changed secrets. `None` if nothing has changed.
    pub(crate) fn entry(&self, secrets: &[String]) -> Option<Entry> {
        let hidden = secrets.iter().map(Change::hidden);
        let changes: Vec<Change> = self.changes.iter().cloned().chain(hidden).collect();
        let tells = !changes.is_empty() || self.action != Action::Changed;
        tells.then(|| Entry::new(self.id, self.by.clone(), self.action, self.subject.clone(), changes))
    }

    /// The entry as an item to write in the same transaction as the change.
    pub(crate) fn extra(&self, secrets: &[String]) -> Option<Extra> {
        self.entry(secrets).map(Box::new).map(Extra::Audit)
    }

    /// The entry for secrets that changed although the change itself was refused. Secrets are stored elsewhere.
    pub(crate) fn secrets_only(&self, secrets: &[String]) -> Option<Entry> {
        let subject = Subject { versions: (self.subject.versions.0, self.subject.versions.0), ..self.subject.clone() };
        let changes: Vec<Change> = secrets.iter().map(Change::hidden).collect();
        (!changes.is_empty()).then(|| Entry::new(self.id, self.by.clone(), self.action, subject, changes))
    }
}

/// Lists configuration changes and forced presence changes, newest first.
///
/// Entries are kept for two years. A page may have fewer entries than `limit`, or none, and still have a `next`. The
/// last page has no `next`.
#[utoipa::path(get, path = "/audit", tag = "audit",
    params(
        ("who" = Option<String>, Query, description = "Only changes by this agent (its id), or by this `sub` if the caller had no record."),
        ("kind" = Option<String>, Query, description = "Only changes of this kind: `account`, `agent`, `queue`, `list`, `interval`, `pause`, \
            `disposition`, `tag`, `canned_answer` or `contact`."),
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
