//! Deletes interactions for good: the tombstone first, then everything that belongs to them.
//!
//! With the tombstone the interaction itself and its reference go, in one transaction. From then on no commit can
//! write for it, since each has a condition on its version. What remains has no way in and is deleted piece by piece;
//! each piece may be deleted twice.

use std::collections::{BTreeSet, HashMap};

use audit::Entry;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use domain::effect::{ConversationKey, InteractionKey};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId};
use domain::interaction::Interaction;
use domain::job::Job;
use domain::news::Told;
use domain::removal::{GONE_KEPT, Gone};
use engine::ports::PortError;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{Item, PortResult, data_item, data_of, failed, from_data, item, key_item, s, text, to_attribute};
use crate::config::audit_items;
use crate::feed::{events_from, number_of};
use crate::interactions::{Interactions, expires};
use crate::jobs::job_item;
use crate::keys::{self, Key};
use crate::transaction::{Cause, Expression, Outcome};

/// How many items are deleted at once, each with up to three calls.
const AT_ONCE: i32 = 25;

/// How many events of a feed are read at once.
const EVENTS: i32 = 100;

/// The outcome of an attempt to delete an interaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Entombed {
    /// It is gone. What belonged to it must still be purged.
    Done(Gone),
    /// An owner holds it, or its contact.
    Held,
    /// It was changed meanwhile, or a rival wrote: read it again.
    Changed,
}

/// An owner's word that an interaction, or all of a contact, is not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The owner: an agent's id, or the `sub` of the token if there is no agent record.
    pub who: String,
    /// Since when.
    pub at: Timestamp,
    /// Why, in the owner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The condition that a deletion lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Held,
    Changed,
}

impl Interactions {
    /// The tombstone of an interaction.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn gone(&self, id: &InteractionId) -> PortResult<Option<Gone>> {
        self.table.get(keys::tombstone(id)).await?.as_ref().map(from_data).transpose()
    }

    /// Which of these interactions are gone.
    async fn gone_of(&self, ids: BTreeSet<InteractionId>) -> PortResult<BTreeSet<InteractionId>> {
        let found = self.table.batch(ids.iter().map(keys::tombstone).collect()).await?;
        Ok(found.iter().filter_map(|item| text(item, "pk")?.strip_prefix("GONE#")?.parse().ok()).collect())
    }

    /// Whether an owner holds an interaction, one that was merged into it, or one of `contacts`, who are its customer.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn is_held(&self, interaction: &Interaction, contacts: &[ContactId]) -> PortResult<bool> {
        let holds = held_by(interaction, contacts).into_iter().map(keys::hold);
        Ok(!self.table.batch(holds.collect()).await?.is_empty())
    }

    /// Replaces a closed interaction by its tombstone, unless an owner holds it or one of `contacts`, who are its
    /// customer. A job that does the rest is written with it, with the entry of the audit trail.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn entomb(
        &self,
        interaction: &Interaction,
        contacts: &[ContactId],
        ordered: Option<(&Job, &Entry)>,
        now: Timestamp,
    ) -> PortResult<Entombed> {
        let gone = Gone::of(interaction, now);
        let mut transaction = self.table.transaction();
        let mut stone = data_item(keys::tombstone(&interaction.id), &gone)?;
        stone.insert("expires_at".to_owned(), expires(now, GONE_KEPT));
        // One of the version before may be there: it made the aside of a conversation again under the same id.
        transaction.put(stone, None, Lost::Changed);
        let as_read = Expression::version(interaction.version);
        transaction.delete(keys::interaction(&interaction.key()), Some(as_read), Lost::Changed);
        transaction.delete(keys::reference(&interaction.id), None, Lost::Changed);
        for id in held_by(interaction, contacts) {
            transaction.check(keys::hold(id), Expression::absent(), Lost::Held);
        }
        if let Some((job, entry)) = ordered {
            transaction.put_new(job_item(job)?, Lost::Changed);
            transaction.put_new(item(keys::unfinished(&job.id)), Lost::Changed);
            for item in audit_items(entry)? {
                transaction.put_new_in(&self.config_table, item, Lost::Changed);
            }
        }
        Ok(match transaction.send().await? {
            Outcome::Done => Entombed::Done(gone),
            Outcome::Lost(lost) if lost.contains(&(Lost::Held, Cause::Condition)) => Entombed::Held,
            Outcome::Lost(_) => Entombed::Changed,
            Outcome::UnderWay => return Err(PortError { operation: "TransactWriteItems", reason: "still under way".to_owned() }),
        })
    }

    /// The hold of an interaction or a contact.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn held(&self, id: &str) -> PortResult<Option<Hold>> {
        self.table.get(keys::hold(id)).await?.as_ref().map(from_data).transpose()
    }

    /// Holds an interaction that is there. False if it was deleted a moment ago, or its customer is being erased.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn hold_interaction(&self, key: &InteractionKey, hold: &Hold, entry: &Entry) -> PortResult<bool> {
        let id = &key.interaction;
        let there = (keys::reference(id), Expression::new("attribute_exists(pk)"));
        let stays = (keys::contact(&key.conversation.contact), not_erased("attribute_not_exists"));
        self.put_hold(id.as_str(), [there, stays], hold, entry).await
    }

    /// Holds a contact that is there, and so all of its interactions.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn hold_contact(&self, id: &ContactId, hold: &Hold, entry: &Entry) -> PortResult<bool> {
        self.put_hold(id.as_str(), [(keys::contact(id), not_erased("attribute_exists(pk) AND attribute_not_exists"))], hold, entry).await
    }

    async fn put_hold(
        &self,
        id: &str,
        conditions: impl IntoIterator<Item = (Key, Expression)>,
        hold: &Hold,
        entry: &Entry,
    ) -> PortResult<bool> {
        let mut transaction = self.table.transaction();
        transaction.put(data_item(keys::hold(id), hold)?, None, ());
        conditions.into_iter().for_each(|(key, condition)| transaction.check(key, condition, ()));
        for item in audit_items(entry)? {
            transaction.put_new_in(&self.config_table, item, ());
        }
        match transaction.send().await? {
            Outcome::Done => Ok(true),
            Outcome::Lost(lost) if lost.iter().all(|((), cause)| *cause == Cause::Condition) => Ok(false),
            outcome => Err(PortError { operation: "hold", reason: format!("{outcome:?}") }),
        }
    }

    /// Ends a hold. Without one nothing changes.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn release_hold(&self, id: &str, entry: &Entry) -> PortResult<()> {
        let mut transaction = self.table.transaction();
        transaction.delete(keys::hold(id), None, ());
        for item in audit_items(entry)? {
            transaction.put_new_in(&self.config_table, item, ());
        }
        match transaction.send().await? {
            Outcome::Done => Ok(()),
            outcome => Err(PortError { operation: "release", reason: format!("{outcome:?}") }),
        }
    }

    /// Deletes what belonged to an interaction that is gone: its messages, the ways in from the provider's ids and the
    /// events that made them, its history, its calls, its document, and the head of the conversation if nothing is
    /// left in it.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn purge(&self, gone: &Gone) -> PortResult<()> {
        let InteractionKey { conversation, interaction } = &gone.key;
        if let Some(documents) = &self.documents {
            documents.delete(interaction).await?;
        }
        while let items @ [_, ..] = &self.some_of(conversation, &keys::messages(interaction)).await?[..] {
            try_join_all(items.iter().map(|item| self.purge_message(&conversation.account, item, gone.deleted_at))).await?;
        }
        while let items @ [_, ..] = &self.some_of(conversation, &keys::history_prefix(interaction)).await?[..] {
            try_join_all(items.iter().filter_map(key_of).map(|key| self.table.delete(key))).await?;
        }
        while let items @ [_, ..] = &self.some_of(conversation, &keys::calls(interaction)).await?[..] {
            try_join_all(items.iter().filter_map(key_of).map(|key| self.table.delete(key))).await?;
        }
        if self.some_of(conversation, keys::INTERACTIONS).await?.is_empty() {
            self.delete_head(conversation).await?;
        }
        Ok(())
    }

    async fn some_of(&self, conversation: &ConversationKey, prefix: &str) -> PortResult<Vec<Item>> {
        let query = self.table.query().limit(AT_ONCE).key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
        let query = query.expression_attribute_values(":pk", s(keys::conversation(conversation)));
        let query = query.expression_attribute_values(":sk", s(prefix));
        Ok(query.send().await.map_err(failed("Query"))?.items.unwrap_or_default())
    }

    /// The message itself goes last, since it names the others. It is not decoded: one of an unknown form goes too.
    async fn purge_message(&self, account: &AccountId, message: &Item, now: Timestamp) -> PortResult<()> {
        let data = data_of(message);
        let data = data.as_ref().and_then(|data| data.as_m().ok());
        let named = |name: &str| data.and_then(|data| text(data, name));
        if let (Some(provider_id), Some(id)) = (named("provider_id"), named("id")) {
            self.blank_provider_id(account, provider_id, id, now).await?;
            self.blank_event(account, provider_id).await?;
        }
        let events = data.and_then(|data| data.get("events")?.as_l().ok()).into_iter().flatten();
        for event in events.filter_map(|event| event.as_s().ok()) {
            self.blank_event(account, event).await?;
        }
        match key_of(message) {
            Some(key) => self.table.delete(key).await,
            None => Ok(()),
        }
    }

    /// Takes from a provider's id the way to its message. The id stays: by it a repeated webhook is recognised, which
    /// must not open the conversation again.
    pub(crate) async fn blank_provider_id(&self, account: &AccountId, provider_id: &str, message: &str, now: Timestamp) -> PortResult<()> {
        let change = Expression::new("SET expires_at = :until REMOVE #data").value(":until", expires(now, GONE_KEPT));
        // It may lead to another message, which the business's own app told of first.
        let leads_here = Expression::new("#data.#message = :id").name("#data", "data").name("#message", "message").value(":id", s(message));
        self.change_if(keys::provider_message(account, provider_id), change, leads_here).await
    }

    /// Takes from an event what the customer said. The event stays as routed, so that its repetition is not routed.
    async fn blank_event(&self, account: &AccountId, id: &str) -> PortResult<()> {
        let change =
            Expression::new("SET routed = :none REMOVE #data, #raw, effects").name("#data", "data").name("#raw", crate::events::RAW);
        self.change_if(keys::event(account, id), change.value(":none", s("-")), Expression::new("attribute_exists(pk)")).await
    }

    /// Changes an item if the condition holds.
    async fn change_if(&self, key: Key, change: Expression, condition: Expression) -> PortResult<()> {
        let (change, names, values) = change.parts();
        let (condition, more_names, more_values) = condition.parts();
        let names: HashMap<_, _> = names.into_iter().chain(more_names).flatten().collect();
        let values: Item = values.into_iter().chain(more_values).flatten().collect();
        let update = self.table.client.update_item().table_name(&*self.table.name).set_key(Some(key_item(key)));
        let update = update.update_expression(change).condition_expression(condition);
        let update = update.set_expression_attribute_names(Some(names).filter(|names| !names.is_empty()));
        match update.set_expression_attribute_values(Some(values).filter(|values| !values.is_empty())).send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) => Ok(()),
            Err(error) => Err(failed("UpdateItem")(error)),
        }
    }

    /// Deletes the head of a conversation, unless an interaction was just opened in it.
    async fn delete_head(&self, conversation: &ConversationKey) -> PortResult<()> {
        let delete = self.table.client.delete_item().table_name(&*self.table.name).set_key(Some(key_item(keys::head(conversation))));
        match delete.condition_expression("attribute_not_exists(#open)").expression_attribute_names("#open", "open").send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.as_service_error(), Some(DeleteItemError::ConditionalCheckFailedException(_))) => Ok(()),
            Err(error) => Err(failed("DeleteItem")(error)),
        }
    }

    /// Replaces the events of an agent's feed that show an interaction which is gone. Their numbers stay, so the feed
    /// has no gap. Returns how many there were.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn scrub<E>(&self, agent: &AgentId) -> PortResult<usize>
    where
        E: Told + Serialize + DeserializeOwned,
    {
        let (mut from, mut scrubbed) = (0, 0);
        loop {
            let (items, ends) = events_from(&self.table, agent, from, EVENTS).await?;
            let shown = items.iter().filter_map(|item| Some((item, from_data::<E>(item).ok()?.shows()?.clone())));
            let shown: Vec<(&Item, InteractionId)> = shown.collect();
            let gone = match shown.is_empty() {
                true => BTreeSet::new(),
                false => self.gone_of(shown.iter().map(|(_, id)| id.clone()).collect()).await?,
            };
            for (item, id) in shown.into_iter().filter(|(_, id)| gone.contains(id)) {
                let Some(key) = key_of(item) else { continue };
                let change = Expression::new("SET #data = :deleted REMOVE account").name("#data", "data");
                let change = change.value(":deleted", to_attribute(&E::deleted(id))?);
                self.change_if(key, change, Expression::new("attribute_exists(pk)")).await?;
                scrubbed += 1;
            }
            match items.iter().filter_map(number_of).max().filter(|_| !ends) {
                Some(last) => from = last + 1,
                None => return Ok(scrubbed),
            }
        }
    }
}

/// The condition `does` on the mark of a contact that is being erased.
fn not_erased(does: &str) -> Expression {
    Expression::new(format!("{does}(#data.#erased)")).name("#data", "data").name("#erased", "erased")
}

/// The ids whose holds keep an interaction from being deleted.
fn held_by<'a>(interaction: &'a Interaction, contacts: &'a [ContactId]) -> BTreeSet<&'a str> {
    let own = [interaction.id.as_str(), interaction.contact.as_str()].into_iter();
    own.chain(contacts.iter().map(ContactId::as_str)).chain(interaction.absorbed.iter().map(|key| key.interaction.as_str())).collect()
}

fn key_of(item: &Item) -> Option<Key> {
    Some(Key { pk: text(item, "pk")?.to_owned(), sk: text(item, "sk")?.to_owned() })
}
