//! Events of webhooks: the first write of everything that comes in.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::effect::Effect;
use domain::inbound::{InboundEvent, InboundKind};
use jiff::SignedDuration;

use crate::codec::{PortResult, failed, from_data, s, text, versioned_item};
use crate::interactions::{Interactions, expires};
use crate::keys;

/// Events outlive every replay that a provider does (Meta's are the longest: a week).
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The raw request is kept beside its event up to this size, so that an item stays far below DynamoDB's 400 KB.
const RAW_KEPT: usize = 100 * 1024;

/// What the first write of an event found.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// It is new.
    New,
    /// It came before. Whether it was routed then does not matter: enqueuing it again changes nothing.
    Repeated,
}

impl Interactions {
    /// Writes an event, if it is not there yet; its stream record enqueues it too, so that a crash behind this write loses nothing.
    ///
    /// # Errors
    /// When it is not certain that it was written: the provider must be told to come again.
    pub async fn receive(&self, event: &InboundEvent, raw: &str) -> PortResult<Received> {
        // What nobody routes is kept, and causes nothing.
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

    /// An event and the interaction that it went to, once it was routed (`-` when it belongs to none).
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn event(&self, account: &domain::ids::AccountId, id: &str) -> PortResult<Option<(InboundEvent, Option<String>)>> {
        match self.table.get(keys::event(account, id)).await? {
            Some(item) => Ok(Some((from_data(&item)?, text(&item, "routed").map(str::to_owned)))),
            None => Ok(None),
        }
    }

    /// What a command of the API made: the id of its message, else of its interaction; `None` when there was no such command.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn command_result(&self, id: &str) -> PortResult<Option<String>> {
        Ok(self.table.get(keys::command(id)).await?.as_ref().and_then(|item| text(item, "owner")).map(str::to_owned))
    }
}
