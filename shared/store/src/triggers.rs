//! Calls of triggers: those that wait for a later try, the health of the systems that they call, and the log of the
//! tries. Each trigger is one partition. The stream's event source leaves these items out.

use domain::ids::TriggerId;
use domain::trigger::{Health, Tried, TriggerCall};
use engine::ports::{DueCall, TriggerCalls};
use jiff::{SignedDuration, Timestamp};

use crate::codec::{PortResult, data_item, failed, from_data, item, n, s};
use crate::interactions::{Interactions, expires};
use crate::keys;
use crate::table::Put;
use crate::transaction::Expression;

/// How long a call is kept beyond its time. After three days of failures its trigger is switched off.
const DUE_KEPT: SignedDuration = SignedDuration::from_hours(96);

/// How long failures in a row are kept after the latest: longer than the longest wait between two tries.
const HEALTH_KEPT: SignedDuration = SignedDuration::from_hours(96);

/// How long a try is kept in the log: over a weekend.
const TRY_KEPT: SignedDuration = SignedDuration::from_hours(96);

impl TriggerCalls for Interactions {
    async fn health(&self, trigger: &TriggerId) -> PortResult<Option<Health>> {
        self.table.get(keys::trigger_health(trigger)).await?.as_ref().map(from_data).transpose()
    }

    async fn put_health(&self, trigger: &TriggerId, health: Option<&Health>) -> PortResult<()> {
        let key = keys::trigger_health(trigger);
        let Some(health) = health else { return self.table.delete(key).await };
        let mut kept = data_item(key, health)?;
        kept.insert("expires_at".to_owned(), expires(health.failed_at, HEALTH_KEPT));
        self.table.put(kept).await
    }

    async fn put_due(&self, due: &DueCall) -> PortResult<()> {
        let mut kept = data_item(keys::trigger_due(&due.call.trigger, due.at, &due.call.id), &due.call)?;
        kept.insert("at".to_owned(), n(due.at.as_millisecond()));
        kept.insert("expires_at".to_owned(), expires(due.at, DUE_KEPT));
        self.table.put(kept).await
    }

    async fn due(&self, trigger: &TriggerId, now: Timestamp, most: usize) -> PortResult<Vec<DueCall>> {
        let (from, to) = keys::trigger_due_until(now);
        let query = self.table.query().limit(i32::try_from(most).unwrap_or(i32::MAX));
        let query = query
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", s(keys::trigger(trigger)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to));
        let items = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        let read = |item: &crate::codec::Item| {
            let call: TriggerCall = from_data(item)?;
            let at = crate::codec::number::<i64>(item, "at").and_then(|at| Timestamp::from_millisecond(at).ok());
            Ok(DueCall { at: at.ok_or_else(|| crate::codec::undecodable("the time of a call"))?, call })
        };
        items.iter().map(read).collect()
    }

    async fn drop_due(&self, due: &DueCall) -> PortResult<()> {
        self.table.delete(keys::trigger_due(&due.call.trigger, due.at, &due.call.id)).await
    }

    async fn take_turn_at(&self, trigger: &TriggerId, now: Timestamp, until: Timestamp) -> PortResult<bool> {
        let mut turn = item(keys::trigger_turn(trigger));
        turn.insert("until".to_owned(), n(until.as_millisecond()));
        turn.insert("expires_at".to_owned(), expires(until, SignedDuration::ZERO));
        let free = Expression::new("attribute_not_exists(pk) OR #until <= :now").name("#until", "until");
        match self.table.put_if(turn, free.value(":now", n(now.as_millisecond()))).await? {
            Put::Done => Ok(true),
            // It may have met itself. Then nobody has the turn until it is over, and the next sweep goes on.
            Put::Lost(_) | Put::Rival => Ok(false),
        }
    }

    async fn end_turn_at(&self, trigger: &TriggerId) -> PortResult<()> {
        self.table.delete(keys::trigger_turn(trigger)).await
    }

    async fn note_try(&self, trigger: &TriggerId, tried: &Tried) -> PortResult<()> {
        let mut kept = data_item(keys::trigger_try(trigger, tried.at, &tried.id, tried.attempt), tried)?;
        kept.insert("expires_at".to_owned(), expires(tried.at, TRY_KEPT));
        self.table.put(kept).await
    }

    async fn tries(&self, trigger: &TriggerId, most: usize) -> PortResult<Vec<Tried>> {
        let query = self.table.query().limit(i32::try_from(most).unwrap_or(i32::MAX)).scan_index_forward(false);
        let query = query
            .key_condition_expression("pk = :pk AND begins_with(sk, :tries)")
            .expression_attribute_values(":pk", s(keys::trigger(trigger)))
            .expression_attribute_values(":tries", s(keys::TRIGGER_TRIES));
        let items = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        items.iter().map(from_data).collect()
    }
}
