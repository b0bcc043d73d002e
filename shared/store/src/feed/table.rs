//! The feeds' items in the table.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::ids::{AccountId, AgentId};
use engine::ports::{System, World};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::append::{FeedTable, Newest, Put, Together};
use super::numbering::{EVENTS_KEPT, Entry, Head};
use crate::codec::{Item, PortResult, data_item, failed, item, n, number, s, text};
use crate::interactions::expires;
use crate::keys;
use crate::table::Table;
use crate::transaction::{Cause, Expression, Outcome};

/// How long the marks of done effects are kept: longer than a push message can live in its queue and dead-letter
/// queue together.
const DONE_KEPT: SignedDuration = SignedDuration::from_hours(29 * 24);

/// An agent's feed, and the event that is appended to it.
pub(super) struct Feed<'a, E> {
    pub(super) table: &'a Table,
    pub(super) agent: &'a AgentId,
    pub(super) account: Option<&'a AccountId>,
    pub(super) event: &'a E,
}

/// The condition that an append lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It was appended before.
    Repeated,
    /// Another event has its number.
    Place,
}

impl<E: Serialize> Feed<'_, E> {
    /// The version before ignores `effect` and `late`, and shows a late event as it is.
    fn item(&self, entry: &Entry) -> PortResult<Item> {
        let mut stored = data_item(keys::feed_event(self.agent, entry.seq), self.event)?;
        stored.insert("at".to_owned(), n(entry.at.as_millisecond()));
        stored.extend(self.account.map(|account| ("account".to_owned(), s(account.as_str()))));
        stored.extend(entry.effect.as_ref().map(|effect| ("effect".to_owned(), s(effect))));
        stored.extend(entry.late.then(|| ("late".to_owned(), AttributeValue::Bool(true))));
        stored.insert("expires_at".to_owned(), expires(entry.at, EVENTS_KEPT));
        Ok(stored)
    }
}

impl<E: Serialize> FeedTable for Feed<'_, E> {
    async fn newest(&self, below: Option<u64>, above: u64, limit: i32) -> PortResult<Newest> {
        newest(self.table, self.agent, below, above, limit).await
    }

    async fn is_done(&self, effect: &str) -> PortResult<bool> {
        Ok(self.table.get(keys::feed_done(self.agent, effect)).await?.is_some())
    }

    async fn put(&self, entry: &Entry) -> PortResult<Put> {
        let put = self.table.client.put_item().table_name(&*self.table.name).set_item(Some(self.item(entry)?));
        let put = put.condition_expression("attribute_not_exists(pk)");
        // The lost condition returns the item at no further cost.
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Put::Done) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => Ok(lost.item().and_then(entry_of).map_or(Put::Rival, Put::Taken)),
            Some(PutItemError::TransactionConflictException(_)) => Ok(Put::Rival),
            _ => Err(failed("PutItem")(error)),
        }
    }

    async fn put_with(&self, entry: &Entry, head: Option<(Head, Head)>, done: Option<&str>) -> PortResult<Together> {
        let mut transaction = self.table.transaction();
        if let Some(effect) = done {
            let mut mark = item(keys::feed_done(self.agent, effect));
            mark.insert("expires_at".to_owned(), expires(entry.at, DONE_KEPT));
            transaction.put_new(mark, Lost::Repeated);
        }
        if let Some((before, after)) = head {
            transaction.update(keys::feed_head(self.agent), moved(&after), Some(unmoved(&before)), Lost::Place);
        }
        transaction.put_new(self.item(entry)?, Lost::Place);
        Ok(match transaction.send().await? {
            Outcome::Done => Together::Done,
            Outcome::Lost(lost) if lost.contains(&(Lost::Repeated, Cause::Condition)) => Together::Marked,
            Outcome::Lost(_) | Outcome::UnderWay => Together::Rival,
        })
    }

    async fn pause(&self, attempt: u32) {
        System.pause(attempt).await;
    }
}

/// Each write of `HEAD` raises `seq`, so that it alone tells whether `HEAD` has moved.
fn unmoved(head: &Head) -> Expression {
    if head.seq == 0 {
        return Expression::new("attribute_not_exists(seq)");
    }
    Expression::new("seq = :last").value(":last", n(head.seq))
}

fn moved(head: &Head) -> Expression {
    let change = match head.shared_since {
        Some(since) => Expression::new("SET seq = :seq, own = :seq, shared_since = :since").value(":since", n(since.as_millisecond())),
        None => Expression::new("SET seq = :seq, own = :seq REMOVE shared_since"),
    };
    change.value(":seq", n(head.seq))
}

/// The newest items of a feed, newest first. `HEAD` sorts after all events, so the first query returns it too.
/// Numbers begin at 1.
pub(super) async fn newest(table: &Table, agent: &AgentId, below: Option<u64>, above: u64, limit: i32) -> PortResult<Newest> {
    // Nothing is there, and DynamoDB refuses a range that ends before it begins.
    if below.is_some_and(|below| below <= above.saturating_add(1)) {
        return Ok(Newest::default());
    }
    let upper = below.map_or(keys::feed_head(agent).sk, |seq| keys::feed_event(agent, seq.saturating_sub(1)).sk);
    let query = table.query().scan_index_forward(false).limit(limit);
    let query = query
        .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
        .expression_attribute_values(":pk", s(keys::feed(agent)))
        .expression_attribute_values(":first", s(keys::feed_event(agent, above.saturating_add(1)).sk))
        .expression_attribute_values(":last", s(upper));
    let answer = query.send().await.map_err(failed("Query"))?;
    let items = answer.items.unwrap_or_default();
    Ok(Newest {
        head: items.iter().find(|item| is_head(item)).map(head_of).unwrap_or_default(),
        entries: items.iter().filter_map(entry_of).collect(),
        older: answer.last_evaluated_key.is_some(),
    })
}

/// The items from number `from` on, at most `limit`, and whether they reach to the feed's end. `HEAD` is the last one.
pub(crate) async fn from(table: &Table, agent: &AgentId, from: u64, limit: i32) -> PortResult<(Vec<Item>, bool)> {
    let query = table.query().limit(limit);
    let query = query
        .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
        .expression_attribute_values(":pk", s(keys::feed(agent)))
        .expression_attribute_values(":first", s(keys::feed_event(agent, from).sk))
        .expression_attribute_values(":last", s(keys::feed_head(agent).sk));
    let answer = query.send().await.map_err(failed("Query"))?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.is_none()))
}

pub(super) fn is_head(item: &Item) -> bool {
    text(item, "sk") == Some(keys::FEED_HEAD)
}

pub(super) fn head_of(item: &Item) -> Head {
    let shared_since = number(item, "shared_since").and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Head { seq: number(item, "seq").unwrap_or(0), own: number(item, "own"), shared_since }
}

/// An event's number; `None` for an item that is no event.
pub(crate) fn number_of(item: &Item) -> Option<u64> {
    text(item, "sk")?.strip_prefix(keys::FEED_EVENTS)?.parse().ok()
}

/// An event's place; `None` for an item that is no event.
pub(super) fn entry_of(item: &Item) -> Option<Entry> {
    let seq = number_of(item)?;
    let at = number(item, "at").and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    let late = item.get("late").and_then(|late| late.as_bool().ok()).copied().unwrap_or_default();
    Some(Entry { seq, at, effect: text(item, "effect").map(str::to_owned), late })
}
