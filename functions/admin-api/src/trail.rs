//! The audit trail: the entries of changes. `audit_route` shows them.

use api::Caller;
use audit::{Action, By, Change, Entry, Shows, Subject, changes};
use serde_json::Value;
use store::Extra;
use ulid::Ulid;

use crate::app::App;
use crate::error::ApiError;

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
        let by = By { who, role: Some(caller.role) };
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
