//! Events of webhooks: the first write of everything that comes in.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::effect::Effect;
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

/// The result of the first write of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The event is new.
    New,
    /// The event came before. It does not matter whether it was routed then: enqueuing it again changes nothing.
    Repeated,
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
            .condition_expression("attribute_not_exists(pk)");
        match put.send().await {
            Ok(_) => Ok(Received::New),
            Err(error) if matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) => {
                Ok(Received::Repeated)
            }
            Err(error) => Err(failed("PutItem")(error)),
        }
    }

    /// An event, and the interaction that it went to once it was routed (`-` if it belongs to none).
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn event(&self, account: &domain::ids::AccountId, id: &str) -> PortResult<Option<(InboundEvent, Option<String>)>> {
        match self.table.get(keys::event(account, id)).await? {
            Some(item) => Ok(Some((from_data(&item)?, text(&item, "routed").map(str::to_owned)))),
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
