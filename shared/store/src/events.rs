//! Events of webhooks: the first write of everything that comes in.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::effect::Effect;
use domain::ids::AccountId;
use domain::inbound::{InboundEvent, InboundKind};
use jiff::SignedDuration;

use crate::codec::{PortResult, failed, from_data, s, text, versioned_item};
use crate::interactions::{Interactions, expires};
use crate::keys;

/// How long events are kept: longer than any provider repeats them (Meta for a week, the longest).
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The size up to which the raw request is stored with its event, so that an item stays far below DynamoDB's 400
/// KB.
const RAW_KEPT: usize = 100 * 1024;

/// The attribute that names the interaction that an event went to.
const ROUTED: &str = "routed";

/// The result of the first write of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The event is new.
    New,
    /// The event came before.
    Repeated {
        /// Whether it is known to have been routed. If not, it is enqueued again, which changes nothing if it was.
        routed: bool,
    },
}

impl Interactions {
    /// Writes an event if it is not there yet. Its stream record enqueues it too, so a crash after this write loses
    /// nothing.
    ///
    /// # Errors
    /// It is not certain that the event was written, so the provider must send it again.
    pub async fn receive(&self, event: &InboundEvent, raw: &str) -> PortResult<Received> {
        // An event that is not routed is stored and has no effects.
        let effects: &[Effect] = if matches!(event.kind, InboundKind::Other { .. }) { &[] } else { &[Effect::Route] };
        let mut item = versioned_item(keys::event(&event.account, &event.id), event, 1, effects)?;
        item.insert("expires_at".to_owned(), expires(event.received_at, EVENTS_KEPT));
        if raw.len() <= RAW_KEPT {
            item.insert("raw".to_owned(), s(raw));
        }
        let put = self
            .table
            .client
            .put_item()
            .table_name(&*self.table.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            // The lost condition returns the item at no further cost.
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(Received::New),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                    Ok(Received::Repeated { routed: lost.item().is_some_and(|item| item.contains_key(ROUTED)) })
                }
                _ => Err(failed("PutItem")(error)),
            },
        }
    }

    /// Which of these events were routed, by account and id. The answer may lag by a moment: an event that was just
    /// routed may be missing.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn routed<'a>(&self, events: impl IntoIterator<Item = &'a InboundEvent>) -> PortResult<HashSet<(AccountId, String)>> {
        // A batch may not name a key twice.
        let ids: BTreeSet<(&AccountId, &str)> = events.into_iter().map(|event| (&event.account, event.id.as_str())).collect();
        let by_key: HashMap<String, (&AccountId, &str)> =
            ids.iter().map(|(account, id)| (keys::event(account, id).pk, (*account, *id))).collect();
        let items = self.table.batch_of_hints(ids.iter().map(|(account, id)| keys::event(account, id)).collect(), &["pk", ROUTED]).await?;
        let routed = items.iter().filter(|item| item.contains_key(ROUTED)).filter_map(|item| by_key.get(text(item, "pk")?));
        Ok(routed.map(|(account, id)| ((*account).clone(), (*id).to_owned())).collect())
    }

    /// An event, and the interaction that it went to once it was routed (`-` if it belongs to none).
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn event(&self, account: &AccountId, id: &str) -> PortResult<Option<(InboundEvent, Option<String>)>> {
        match self.table.get(keys::event(account, id)).await? {
            Some(item) => Ok(Some((from_data(&item)?, text(&item, ROUTED).map(str::to_owned)))),
            None => Ok(None),
        }
    }

    /// The result of an API command: the id of its message, otherwise of its interaction; `None` if the command is
    /// unknown.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn command_result(&self, id: &str) -> PortResult<Option<String>> {
        Ok(self.table.get(keys::command(id)).await?.as_ref().and_then(|item| text(item, "owner")).map(str::to_owned))
    }
}
