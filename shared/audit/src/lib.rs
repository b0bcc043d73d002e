//! The audit trail: every change of the configuration, with its author, time and details.
//!
//! An entry is written in the transaction of its change and never modified. It shows what the API shows: the paths
//! at which two views differ, with their values. For a secret it only shows that the secret changed.

use domain::agent::{Presence, PresenceState, Role};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use ulid::Ulid;

/// The most bytes of an entry's JSON. With its keys it stays below 16 KB.
pub const MOST: usize = 15 * 1024;

/// The author of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The agent's id, or the `sub` of the token if there is no agent record.
    pub who: String,
    /// The role that the caller had; `None` if the service itself made the change.
    pub role: Option<Role>,
}

impl By {
    /// The service itself.
    pub fn service() -> Self {
        Self { who: "service".to_owned(), role: None }
    }
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditAction))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The object was created.
    Created,
    /// The object was changed.
    Changed,
    /// The object was deleted.
    Deleted,
    /// Another person paused an agent or logged the agent out.
    PresenceForced,
    /// Interactions or contacts were exported.
    Exported,
    /// Contacts were imported.
    Imported,
    /// An owner keeps an interaction or a contact from being deleted.
    Held,
    /// The hold ended.
    Released,
    /// A supervisor began to watch an interaction.
    Watched,
    /// The supervisor ended the watch. One that ends by itself has no entry.
    Unwatched,
    /// Somebody read the thread of an open interaction by role alone: on the API of supervisors, or without being on
    /// the account. What the same person reads of it within the next hour belongs to this entry.
    Viewed,
    /// Somebody got a link to a file: an interaction's transcript or log, or the file of a job.
    Downloaded,
}

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
pub struct Entry {
    /// The entry's id: a ULID, which sorts by time.
    pub id: String,
    /// The time of the change.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The author: the id of an agent, the `sub` of the token if there is no agent record, or `service`.
    pub who: String,
    /// The role that the author had. Absent if the service itself made the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "admin"))]
    pub role: Option<Role>,
    /// The kind of change.
    pub action: Action,
    /// The kind of the changed object, e.g. `account`.
    pub kind: String,
    /// The id of the changed object.
    pub of: String,
    /// The version before the change; absent when the object was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_before: Option<u64>,
    /// The version after the change; absent when the object was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The differences.
    pub changes: Vec<Change>,
    /// The number of further differences for which the entry has no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditChange))]
pub struct Change {
    /// The path, e.g. `settings.time_zone` or `plan[1].queue`.
    pub path: String,
    /// Whether the entry only shows that the value changed. That is so for secrets, for contacts and for values that
    /// are too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// The value before; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Entries that a list of names or ids gained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Value>,
    /// Entries that a list of names or ids lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Value>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Change {
    /// A difference without its values.
    pub fn hidden(path: impl Into<String>) -> Self {
        Self { changed: true, ..Self::at(path) }
    }

    /// A difference at a path, for its values to be filled in.
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), changed: false, before: None, after: None, added: Vec::new(), removed: Vec::new() }
    }
}

/// The changed object and its versions.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The kind of object.
    pub kind: &'a str,
    /// The object's id.
    pub id: &'a str,
    /// The versions before and after the change.
    pub versions: (Option<u64>, Option<u64>),
}

impl Entry {
    /// The entry with the id `id`, which also gives its time. Differences that do not fit are left out.
    pub fn new(id: Ulid, by: By, action: Action, subject: Subject<'_>, changes: Vec<Change>) -> Self {
        let at = i64::try_from(id.timestamp_ms()).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
        let (version_before, version) = subject.versions;
        let (kind, of) = (subject.kind.to_owned(), subject.id.to_owned());
        let By { who, role } = by;
        let mut entry = Self { id: id.to_string(), at, who, role, action, kind, of, version_before, version, changes, more: 0 };
        entry.fit();
        entry
    }

    /// The entry in its stored form.
    pub fn to_json(&self) -> String {
        serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default()
    }

    /// Reads a stored entry; `None` when it can't be read.
    pub fn parse(stored: &str) -> Option<Self> {
        serde_json::from_str(stored).ok()
    }

    /// The entry of a presence that another person chose for an agent.
    pub fn forced(id: Ulid, by: By, before: &Presence, after: &Presence) -> Self {
        let shown = |presence: &Presence| match &presence.chosen {
            PresenceState::Paused { reason } => json!({"state": "paused", "reason": reason}),
            state => json!({"state": state.word().name()}),
        };
        let changes = changes(&shown(before), &shown(after), &Shows { ignored: &[], hidden: &|_| false, names_only: false });
        let versions = (Some(before.version), Some(after.version));
        Self::new(id, by, Action::PresenceForced, Subject { kind: "agent", id: after.agent.as_str(), versions }, changes)
    }

    /// The entry of a watch that begins or ends with the interaction's version `version`.
    pub fn of_watch(id: Ulid, by: By, begins: bool, interaction: &str, version: u64) -> Self {
        let action = if begins { Action::Watched } else { Action::Unwatched };
        let subject = Subject { kind: "interaction", id: interaction, versions: (version.checked_sub(1), Some(version)) };
        Self::new(id, by, action, subject, Vec::new())
    }

    /// The entry of a look at something that is left as it is. `told` says what was looked at.
    pub fn of_look(id: Ulid, by: By, action: Action, kind: &str, of: &str, told: &Value) -> Self {
        let shows = Shows { ignored: &[], hidden: &|_| false, names_only: false };
        Self::new(id, by, action, Subject { kind, id: of, versions: (None, None) }, changes(&Value::Null, told, &shows))
    }

    /// What was done and by whom: the looks of one person at one object have this in common.
    pub fn action_of(&self) -> String {
        let action = serde_json::to_value(self.action).ok();
        format!("{}#{}", action.as_ref().and_then(Value::as_str).unwrap_or_default(), self.who)
    }

    /// Removes values, the longest first, and then whole differences, until the entry is short enough.
    fn fit(&mut self) {
        let size = |value: &Change| serde_json::to_vec(value).map_or(0, |bytes| bytes.len() + 1);
        let mut changes: Vec<(usize, Change)> =
            std::mem::take(&mut self.changes).into_iter().map(|change| (size(&change), change)).collect();
        // Leaves room for the number of differences that are left out.
        let mut left = MOST.saturating_sub(serde_json::to_vec(&*self).map_or(0, |bytes| bytes.len()) + 32);
        let total = |changes: &[(usize, Change)]| changes.iter().map(|(size, _)| size).sum::<usize>();
        while total(&changes) > left {
            let Some((at, _)) = changes.iter().enumerate().filter(|(_, (_, change))| !change.changed).max_by_key(|(_, (size, _))| *size)
            else {
                break;
            };
            let hidden = Change::hidden(std::mem::take(&mut changes[at].1.path));
            changes[at] = (size(&hidden), hidden);
        }
        for (size, change) in changes {
            if size <= left {
                left -= size;
                self.changes.push(change);
            } else {
                self.more += 1;
            }
        }
    }
}

/// Rules for what an entry shows of a view.
pub struct Shows<'a> {
    /// Fields at the top that are not a change of their own, such as the version.
    pub ignored: &'a [&'a str],
    /// Whether a path is a secret, which hides the path and everything below it.
    pub hidden: &'a (dyn Fn(&str) -> bool + Sync),
    /// Whether the entry shows only the names of fields, without values.
    pub names_only: bool,
}

/// The differences between two views. `null` stands for a view that does not exist.
pub fn changes(before: &Value, after: &Value, shows: &Shows<'_>) -> Vec<Change> {
    let mut found = Vec::new();
    for name in names(before, after) {
        if shows.ignored.contains(&name.as_str()) {
            continue;
        }
        let (before, after) = (&before[name.as_str()], &after[name.as_str()]);
        match (shows.names_only, before == after || is_nothing(before) && is_nothing(after)) {
            (_, true) => {}
            (true, false) => found.push(Change::hidden(name)),
            (false, false) => compare(name, before, after, shows, &mut found),
        }
    }
    found
}

fn names(before: &Value, after: &Value) -> Vec<String> {
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))).cloned().collect()
}

/// Whether a value is absent or empty. The audit trail makes no difference between the two.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

fn compare(path: String, before: &Value, after: &Value, shows: &Shows<'_>, found: &mut Vec<Change>) {
    if before == after || is_nothing(before) && is_nothing(after) {
        return;
    }
    if (shows.hidden)(&path) {
        return found.push(Change::hidden(path));
    }
    match (before, after) {
        (Value::Object(_), Value::Object(_) | Value::Null) | (Value::Null, Value::Object(_)) => {
            for name in names(before, after) {
                compare(format!("{path}.{name}"), &before[name.as_str()], &after[name.as_str()], shows, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).all(Value::is_string) => {
            let without = |some: &[Value], others: &[Value]| some.iter().filter(|entry| !others.contains(entry)).cloned().collect();
            let (added, removed): (Vec<Value>, Vec<Value>) = (without(new, old), without(old, new));
            found.push(match added.is_empty() && removed.is_empty() {
                // The order changed, which may matter.
                true => values(path, before, after),
                false => Change { added, removed, ..Change::at(path) },
            });
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                let at = |list: &[Value]| list.get(index).cloned().unwrap_or_default();
                compare(format!("{path}[{index}]"), &at(old), &at(new), shows, found);
            }
        }
        _ => found.push(values(path, before, after)),
    }
}

fn values(path: String, before: &Value, after: &Value) -> Change {
    let there = |value: &Value| (!value.is_null()).then(|| value.clone());
    Change { before: there(before), after: there(after), ..Change::at(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_HIDDEN: Shows<'static> = Shows { ignored: &["version"], hidden: &|_| false, names_only: false };

    fn by() -> By {
        By { who: "agt_1".to_owned(), role: Some(Role::Admin) }
    }

    fn told(before: Value, after: Value, shows: &Shows<'_>) -> Value {
        serde_json::to_value(changes(&before, &after, shows)).unwrap()
    }

    #[test]
    fn differing_paths_are_shown_with_their_values() {
        let before = json!({"version": 1, "name": "A", "note": "x", "settings": {"zone": "UTC", "wait": 1},
            "agents": ["1", "2"], "plan": [{"step": "queue", "timeout": 3}, {"step": "end"}], "empty": []});
        let after = json!({"version": 2, "name": "B", "settings": {"zone": "UTC", "wait": 2},
            "agents": ["2", "3"], "plan": [{"step": "queue", "timeout": 4}]});
        let expected = json!([
            {"path": "agents", "added": ["3"], "removed": ["1"]},
            {"path": "name", "before": "A", "after": "B"},
            {"path": "note", "before": "x"},
            {"path": "plan[0].timeout", "before": 3, "after": 4},
            {"path": "plan[1].step", "before": "end"},
            {"path": "settings.wait", "before": 1, "after": 2},
        ]);
        assert_eq!(told(before, after, &NOTHING_HIDDEN), expected);
        let order = told(json!({"members": ["1", "2"]}), json!({"members": ["2", "1"]}), &NOTHING_HIDDEN);
        assert_eq!(order, json!([{"path": "members", "before": ["1", "2"], "after": ["2", "1"]}]));
    }

    #[test]
    fn secrets_and_contacts_show_only_that_they_changed() {
        let hidden = Shows { ignored: &[], hidden: &|path| path == "provider.token" || path == "url", names_only: false };
        let made = told(Value::Null, json!({"url": "s3cret", "provider": {"token": "s3cret", "sid": "AC"}}), &hidden);
        let expected =
            json!([{"path": "provider.sid", "after": "AC"}, {"path": "provider.token", "changed": true}, {"path": "url", "changed": true}]);
        assert_eq!(made, expected);
        let names = Shows { names_only: true, ..NOTHING_HIDDEN };
        let renamed = told(json!({"name": "Zoë", "lists": ["1"]}), json!({"name": "Zoë Rossi", "lists": ["1"]}), &names);
        assert_eq!(renamed, json!([{"path": "name", "changed": true}]));
    }

    #[test]
    fn equal_views_have_no_differences() {
        assert!(changes(&json!({"a": [], "version": 1}), &json!({"version": 2}), &NOTHING_HIDDEN).is_empty());
    }

    #[test]
    fn an_entry_stays_below_its_limit_and_says_what_it_left_out() {
        let subject = || Subject { kind: "account", id: "acc_1", versions: (Some(1), Some(2)) };
        let long = |path: String, length: usize| Change { after: Some("x".repeat(length).into()), ..Change::at(path) };
        let some = vec![long("a".to_owned(), 10), long("b".to_owned(), 20_000), long("c".to_owned(), 4_000)];
        let entry = Entry::new(Ulid(1), by(), Action::Changed, subject(), some.clone());
        assert_eq!(entry.changes, [some[0].clone(), Change::hidden("b"), some[2].clone()]);
        let many = (0..5_000).map(|n| long(format!("plan[{n}].text"), 40)).collect();
        let entry = Entry::new(Ulid(1), by(), Action::Changed, subject(), many);
        assert!(entry.more > 0 && entry.changes.len() + entry.more == 5_000);
        let size = serde_json::to_vec(&entry).unwrap().len();
        assert!((MOST - 200..=MOST).contains(&size), "{size}");
    }

    #[test]
    fn an_entry_takes_its_time_from_its_id() {
        let id = Ulid::from_parts(1_700_000_000_123, 7);
        let entry = Entry::new(id, by(), Action::Deleted, Subject { kind: "list", id: "lst_1", versions: (Some(3), None) }, Vec::new());
        assert_eq!(entry.at.as_millisecond(), 1_700_000_000_123);
        let stored = serde_json::to_value(&entry).unwrap();
        assert_eq!((&stored["who"], &stored["role"], &stored["version_before"]), (&json!("agt_1"), &json!("admin"), &json!(3)));
        assert_eq!(serde_json::from_value::<Entry>(stored).unwrap(), entry);
    }
}
