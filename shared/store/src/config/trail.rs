//! The audit trail: entries by month and time, and a pointer to each from the changed resource.
//!
//! Entries are put once, on condition that they don't exist, and never written again. A look, which changes nothing,
//! leaves beside the pointers when it was told of last.

use std::collections::BTreeMap;

use audit::Entry;
use engine::ports::PortError;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use super::Configuration;
use crate::codec::{Item, PortResult, failed, item, n, number, s, text, undecodable};
use crate::interactions::expires;
use crate::keys::Key;
use crate::transaction::{Cause, Expression, Outcome};

/// How long entries are kept: two years.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);

/// How many queries a page may take. If hardly any entry matches the filters, a page may be short, and the next one
/// goes on.
const QUERIES: usize = 32;

/// The requested entries, the newest first.
#[derive(Debug, Clone)]
pub struct AuditQuery {
    /// Only entries of this agent or subject.
    pub who: Option<String>,
    /// Only entries about this kind.
    pub kind: Option<String>,
    /// Only entries about the resource with this kind and id.
    pub of: Option<(String, String)>,
    /// The earliest time.
    pub from: Timestamp,
    /// The time before which the entries are.
    pub to: Timestamp,
    /// Only entries before this one.
    pub after: Option<Ulid>,
    /// The most entries of the page.
    pub limit: usize,
}

impl AuditQuery {
    /// The ids between which the entries are, both inclusive; `None` if nothing is between.
    fn between(&self) -> Option<(Ulid, Ulid)> {
        let first = |at: Timestamp| Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap_or_default(), 0);
        let newest = self.after.map_or(first(self.to), |after| after.min(first(self.to)));
        let (oldest, newest) = (first(self.from), Ulid(newest.0.checked_sub(1)?));
        (oldest <= newest).then_some((oldest, newest))
    }

    fn takes(&self, entry: &Entry) -> bool {
        let is = |asked: &Option<String>, value: &str| asked.as_ref().is_none_or(|asked| asked == value);
        is(&self.who, &entry.who) && is(&self.kind, &entry.kind)
    }
}

/// The month of an entry's partition, e.g. `2026-11`.
fn month(id: Ulid) -> String {
    let at = i64::try_from(id.timestamp_ms()).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
    let at = at.to_zoned(TimeZone::UTC);
    format!("{:04}-{:02}", at.year(), at.month())
}

/// The last instant of the month before that of `id`, as an id.
fn month_before(id: Ulid) -> Option<Ulid> {
    let at = Timestamp::from_millisecond(i64::try_from(id.timestamp_ms()).ok()?).ok()?.to_zoned(TimeZone::UTC);
    let first = at.first_of_month().ok()?.start_of_day().ok()?.timestamp();
    Some(Ulid(Ulid::from_parts(u64::try_from(first.as_millisecond()).ok()?, 0).0.checked_sub(1)?))
}

fn entry_key(id: Ulid) -> Key {
    Key { pk: format!("audit#{}", month(id)), sk: id.to_string() }
}

fn pointers_of(kind: &str, of: &str) -> String {
    format!("audited#{kind}#{of}")
}

/// Beside the pointers, of which none begins with this sign, so no reader of those meets it.
fn look_key(entry: &Entry) -> Key {
    Key { pk: pointers_of(&entry.kind, &entry.of), sk: format!("~{}", entry.action_of()) }
}

fn parsed(item: &Item) -> PortResult<Entry> {
    text(item, "entry").and_then(Entry::parse).ok_or_else(|| undecodable("an audit entry"))
}

/// An entry and its pointer, to be put in the transaction of the change.
pub(crate) fn items(entry: &Entry) -> PortResult<[Item; 2]> {
    let id: Ulid = entry.id.parse().map_err(|_| undecodable("an audit entry's id"))?;
    let mut stored = item(entry_key(id));
    stored.insert("entry".to_owned(), s(entry.to_json()));
    stored.insert("who".to_owned(), s(&*entry.who));
    stored.insert("kind".to_owned(), s(&*entry.kind));
    let pointer = item(Key { pk: pointers_of(&entry.kind, &entry.of), sk: entry.id.clone() });
    Ok([stored, pointer].map(|mut item| {
        item.insert("expires_at".to_owned(), expires(entry.at, KEPT));
        item
    }))
}

impl Configuration {
    /// Writes a separate entry, unless it exists, for a change outside the table.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn note(&self, entry: &Entry) -> PortResult<()> {
        let mut transaction = self.table.transaction();
        for item in items(entry)? {
            transaction.put_new(item, ());
        }
        // A lost condition means that the entry exists.
        transaction.send().await.map(drop)
    }

    /// Writes the entry of a look, unless the same person has one of the same action and object that is no older than
    /// `within`. So whoever reads on in a long thread, or has a screen that asks again, is told of once.
    ///
    /// # Errors
    /// The table can't be read or written.
    pub async fn note_look(&self, entry: &Entry, within: SignedDuration) -> PortResult<()> {
        let key = look_key(entry);
        let is_old = |at: i64| at < (entry.at - within).as_millisecond();
        if self.table.get(key.clone()).await?.and_then(|look| number(&look, "at")).is_some_and(|at| !is_old(at)) {
            return Ok(());
        }
        let mut transaction = self.table.transaction();
        for item in items(entry)? {
            transaction.put_new(item, ());
        }
        let mut look = item(key);
        look.insert("at".to_owned(), n(entry.at.as_millisecond()));
        look.insert("expires_at".to_owned(), expires(entry.at, within));
        let none_since = Expression::new("attribute_not_exists(pk) OR #at < :since")
            .name("#at", "at")
            .value(":since", n((entry.at - within).as_millisecond()));
        transaction.put(look, Some(none_since), ());
        match transaction.send().await? {
            // Another request of the same person was told of at this moment.
            Outcome::Lost(lost) if lost.iter().all(|((), cause)| *cause == Cause::Condition) => Ok(()),
            Outcome::Done => Ok(()),
            _ => Err(PortError { operation: "TransactWriteItems", reason: "the entry of a look is not written".to_owned() }),
        }
    }

    /// A page of the audit trail, the newest first, and after which entry the next page begins.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn audit(&self, query: &AuditQuery) -> PortResult<(Vec<Entry>, Option<Ulid>)> {
        let Some((oldest, newest)) = query.between() else { return Ok((Vec::new(), None)) };
        let mut found = Vec::new();
        let mut upper = newest;
        for _ in 0..QUERIES {
            let (page, next) = match &query.of {
                Some((kind, of)) => self.pointed(kind, of, oldest, upper, query.limit + 1).await?,
                None => self.month(query, oldest, upper).await?,
            };
            found.extend(page.into_iter().filter(|entry| query.takes(entry)));
            if found.len() > query.limit {
                found.truncate(query.limit);
                return Ok((found.clone(), found.last().and_then(|last| last.id.parse().ok())));
            }
            match next {
                Some(next) if next >= oldest => upper = next,
                _ => return Ok((found, None)),
            }
        }
        // Not all months were read, so the page may be short.
        Ok((found, Some(Ulid(upper.0.saturating_add(1)))))
    }

    /// Entries of the month of `newest`, and where to go on.
    async fn month(&self, query: &AuditQuery, oldest: Ulid, newest: Ulid) -> PortResult<(Vec<Entry>, Option<Ulid>)> {
        let read = self.table.query().scan_index_forward(false);
        let mut read = read
            .key_condition_expression("pk = :pk AND sk BETWEEN :oldest AND :newest")
            .expression_attribute_values(":pk", s(entry_key(newest).pk))
            .expression_attribute_values(":oldest", s(oldest.to_string()))
            .expression_attribute_values(":newest", s(newest.to_string()));
        let mut filters = Vec::new();
        for (name, value) in [("who", &query.who), ("kind", &query.kind)] {
            if let Some(value) = value {
                filters.push(format!("#{name} = :{name}"));
                read = read.expression_attribute_names(format!("#{name}"), name).expression_attribute_values(format!(":{name}"), s(value));
            }
        }
        if filters.is_empty() {
            read = read.limit(i32::try_from(query.limit + 1).unwrap_or(i32::MAX));
        } else {
            read = read.filter_expression(filters.join(" AND "));
        }
        let answer = read.send().await.map_err(failed("Query"))?;
        let entries = answer.items.unwrap_or_default().iter().map(parsed).collect::<PortResult<_>>()?;
        let next = match answer.last_evaluated_key.as_ref().and_then(|key| text(key, "sk")) {
            Some(last) => last.parse::<Ulid>().ok().and_then(|last| last.0.checked_sub(1)).map(Ulid),
            None => month_before(newest),
        };
        Ok((entries, next))
    }

    /// Entries about one resource, and where to go on.
    async fn pointed(&self, kind: &str, of: &str, oldest: Ulid, newest: Ulid, limit: usize) -> PortResult<(Vec<Entry>, Option<Ulid>)> {
        let read = self.table.query().scan_index_forward(false);
        let read = read
            .key_condition_expression("pk = :pk AND sk BETWEEN :oldest AND :newest")
            .expression_attribute_values(":pk", s(pointers_of(kind, of)))
            .expression_attribute_values(":oldest", s(oldest.to_string()))
            .expression_attribute_values(":newest", s(newest.to_string()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = read.send().await.map_err(failed("Query"))?;
        let ids: Vec<Ulid> =
            answer.items.unwrap_or_default().iter().filter_map(|item| text(item, "sk").and_then(|sk| sk.parse().ok())).collect();
        let last = answer.last_evaluated_key.as_ref().and_then(|key| text(key, "sk")).and_then(|last| last.parse::<Ulid>().ok());
        Ok((self.entries(&ids).await?, last.and_then(|last| last.0.checked_sub(1)).map(Ulid)))
    }

    /// The entries with these ids, in this order.
    async fn entries(&self, ids: &[Ulid]) -> PortResult<Vec<Entry>> {
        let stored = self.table.batch(ids.iter().copied().map(entry_key).collect()).await?;
        let entries = stored.iter().map(parsed).collect::<PortResult<Vec<_>>>()?;
        let mut found: BTreeMap<String, Entry> = entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(&id.to_string())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(at: &str) -> Ulid {
        let at: Timestamp = at.parse().unwrap();
        Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap(), 7)
    }

    #[test]
    fn an_entry_is_in_the_month_of_its_id_and_the_month_before_ends_where_that_begins() {
        assert_eq!(month(id("2026-11-30T23:59:59.999Z")), "2026-11");
        assert_eq!(month(id("2026-12-01T00:00:00Z")), "2026-12");
        let before = month_before(id("2026-01-15T12:00:00Z")).unwrap();
        assert_eq!(month(before), "2025-12");
        assert!(Ulid(before.0 + 1) == Ulid::from_parts(id("2026-01-01T00:00:00Z").timestamp_ms(), 0));
    }

    #[test]
    fn a_query_looks_from_its_beginning_to_before_its_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let query = |after| AuditQuery {
            who: None,
            kind: None,
            of: None,
            from: at("2026-01-01T00:00:00Z"),
            to: at("2026-02-01T00:00:00Z"),
            after,
            limit: 1,
        };
        let (oldest, newest) = query(None).between().unwrap();
        assert!(oldest < id("2026-01-01T00:00:00Z") && newest < id("2026-02-01T00:00:00Z") && newest > id("2026-01-31T23:59:59.999Z"));
        let after = id("2026-01-02T00:00:00Z");
        assert_eq!(query(Some(after)).between().unwrap().1, Ulid(after.0 - 1));
        assert_eq!(query(Some(id("2025-12-31T00:00:00Z"))).between(), None);
    }
}
