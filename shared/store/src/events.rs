//! Events of webhooks: the first write of everything that comes in.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::effect::Effect;
use domain::ids::AccountId;
use domain::inbound::{Alert, EVENTS_KEPT, InboundEvent, InboundKind};
use engine::ports::Store;
use jiff::{SignedDuration, Timestamp};

use crate::codec::{Form, Item, PortResult, failed, from_data, n, number, s, text, to_attribute, versioned_item};
use crate::interactions::{Interactions, expires};
use crate::keys::{self, Key};

/// How long alerts are kept: a quarter, so that an administrator who was away sees what happened, and no longer, since
/// nothing else reads them.
const ALERTS_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// An alert as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptAlert {
    /// Its place among the account's alerts.
    pub id: String,
    /// When it came.
    pub received_at: Timestamp,
    /// The alert.
    pub alert: Alert,
}

/// The mark that an API command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandMark {
    /// The id of its message, otherwise of its interaction or of its agent.
    pub made: String,
    /// The fingerprint of its body; `None` in marks of the version before.
    pub body: Option<u32>,
}

/// The attribute with the part of the request that an event was read from. Nobody but people reads it.
pub(crate) const RAW: &str = "raw";

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
    /// Writes an event if it is not there yet, with the part of the request that it was read from, as far as an item
    /// has room for both. Unless it is `enqueued` already, its stream record enqueues it, so a crash after this write
    /// loses nothing.
    ///
    /// # Errors
    /// It is not certain that the event was written, so the provider must send it again.
    pub async fn receive(&self, event: &InboundEvent, raw: &str, enqueued: bool) -> PortResult<Received> {
        // An event that is not routed is stored and has no effects.
        let is_routed = !matches!(event.kind, InboundKind::Other { .. });
        let effects: &[Effect] = if is_routed && !enqueued { &[Effect::Route] } else { &[] };
        let mut item = self.form.item(keys::event(&event.account, &event.id), event, 1, effects)?;
        item.insert("expires_at".to_owned(), expires(event.received_at, EVENTS_KEPT));
        let raw = if self.form == Form::Plain { s(raw) } else { crate::raw::packed(raw, &to_attribute(event)?) };
        item.insert(RAW.to_owned(), raw);
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

    /// Keeps an alert under its account and time. The same event has the same place.
    pub(crate) async fn write_alert(&self, event: &InboundEvent, alert: &Alert) -> PortResult<()> {
        let at = alert.at.unwrap_or(event.received_at);
        // What anybody may have made up notifies nobody.
        let effects: &[Effect] = if alert.unproven { &[] } else { &[Effect::Alert] };
        let mut item = versioned_item(keys::alert(&event.account, at, &event.id), alert, 1, effects)?;
        item.insert("received_at".to_owned(), n(event.received_at.as_millisecond()));
        item.insert("expires_at".to_owned(), expires(event.received_at, ALERTS_KEPT));
        self.table.put(item).await
    }

    /// A page of an account's alerts, newest first, from `after` on (the second value of the page before).
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn alerts(&self, account: &AccountId, after: Option<&str>, limit: i32) -> PortResult<(Vec<KeptAlert>, Option<String>)> {
        let place = |sk: &str| HashMap::from([("pk".to_owned(), s(keys::alerts(account))), ("sk".to_owned(), s(sk))]);
        let query = self.table.query().scan_index_forward(false).limit(limit);
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s(keys::alerts(account)));
        let answer = query.set_exclusive_start_key(after.map(place)).send().await.map_err(failed("Query"))?;
        let kept = |item: &Item| {
            let received_at = number(item, "received_at").and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
            Ok(KeptAlert { id: text(item, "sk").unwrap_or_default().to_owned(), received_at, alert: from_data(item)? })
        };
        let next = answer.last_evaluated_key.as_ref().and_then(|last| text(last, "sk")).map(str::to_owned);
        Ok((answer.items.unwrap_or_default().iter().map(kept).collect::<PortResult<_>>()?, next))
    }

    /// Which of these events were routed, by account and id: a customer's message left its provider id, any other
    /// event is marked. The answer may lag by a moment: an event that was just routed may be missing.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn routed<'a>(&self, events: impl IntoIterator<Item = &'a InboundEvent>) -> PortResult<HashSet<(AccountId, String)>> {
        // A batch may not name a key twice, and two events may be about one message.
        let mut by_key: HashMap<String, (Key, bool, Vec<&InboundEvent>)> = HashMap::new();
        for event in events {
            let (key, exists) = match &event.kind {
                InboundKind::Message(message) => (keys::provider_message(&event.account, &message.provider_id), true),
                _ => (keys::event(&event.account, &event.id), false),
            };
            by_key.entry(key.pk.clone()).or_insert((key, exists, Vec::new())).2.push(event);
        }
        let keys = by_key.values().map(|(key, ..)| key.clone()).collect();
        let items = self.table.batch_of_hints(keys, &["pk", ROUTED]).await?;
        let found = items.iter().filter_map(|item| by_key.get(text(item, "pk")?).map(|asked| (item, asked)));
        let routed = found.filter(|(item, (_, exists, _))| *exists || item.contains_key(ROUTED));
        Ok(routed.flat_map(|(_, (.., events))| events).map(|event| (event.account.clone(), event.id.clone())).collect())
    }

    /// An event as it was stored.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn stored_event(&self, account: &AccountId, id: &str) -> PortResult<Option<InboundEvent>> {
        let item = self.table.get(keys::event(account, id)).await?;
        // One whose interaction was deleted says nothing any more.
        item.as_ref().filter(|item| item.contains_key("data")).map(from_data).transpose()
    }

    /// An event, and the interaction that it went to once it was routed (`-` if it belongs to none).
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn event(&self, account: &AccountId, id: &str) -> PortResult<Option<(InboundEvent, Option<String>)>> {
        let item = self.table.get(keys::event(account, id)).await?.filter(|item| item.contains_key("data"));
        let Some(item) = item else { return Ok(None) };
        let event: InboundEvent = from_data(&item)?;
        let routed = match (text(&item, ROUTED), &event.kind) {
            (Some(routed), _) => Some(routed.to_owned()),
            (None, InboundKind::Message(message)) => {
                let place = self.message_by_provider_id(account, &message.provider_id).await?;
                place.map(|place| place.interaction.interaction.to_string())
            }
            (None, _) => None,
        };
        Ok(Some((event, routed)))
    }

    /// The mark of an API command; `None` if it has none.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn command_mark(&self, id: &str) -> PortResult<Option<CommandMark>> {
        let item = self.table.get(keys::command(id)).await?;
        let mark = |item: &Item| Some(CommandMark { made: text(item, "owner")?.to_owned(), body: number(item, keys::BODY) });
        Ok(item.as_ref().and_then(mark))
    }
}
