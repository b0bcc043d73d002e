//! A table with its plain reads and writes, the same for both tables.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use engine::ports::PortError;

use crate::codec::{Item, PortResult, failed, key_item, s};
use crate::keys::Key;
use crate::transaction::{Expression, Transaction};

/// DynamoDB reads at most 100 items in one batch.
const BATCH: usize = 100;

/// A table. Reads are consistent, unless their name says otherwise.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: Arc<str>,
}

/// The outcome of a plain write with a condition.
#[derive(Debug, PartialEq)]
pub(crate) enum Put {
    /// It is written.
    Done,
    /// The condition does not hold. This is the item as it is. It may be one's own: a client repeats a write whose
    /// answer it misses.
    Lost(Option<Item>),
    /// A transaction is just writing the item.
    Rival,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

impl Table {
    pub(crate) fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self { client, name: name.into() }
    }

    pub(crate) async fn get(&self, key: Key) -> PortResult<Option<Item>> {
        let read = self.client.get_item().table_name(&*self.name).set_key(Some(key_item(key))).consistent_read(true);
        Ok(read.send().await.map_err(failed("GetItem"))?.item)
    }

    /// An item as it is, or was a moment ago, for half the price of a consistent read.
    pub(crate) async fn get_lately(&self, key: Key) -> PortResult<Option<Item>> {
        let read = self.client.get_item().table_name(&*self.name).set_key(Some(key_item(key)));
        Ok(read.send().await.map_err(failed("GetItem"))?.item)
    }

    /// The items with these keys, in no order. Missing items are left out.
    pub(crate) async fn batch(&self, keys: Vec<Key>) -> PortResult<Vec<Item>> {
        self.batches(keys, |batch| batch.consistent_read(true)).await
    }

    /// The items with these keys, in no order, as they are or were a moment ago: for half the price.
    pub(crate) async fn batch_lately(&self, keys: Vec<Key>) -> PortResult<Vec<Item>> {
        self.batches(keys, |batch| batch).await
    }

    /// Some attributes of the items with these keys, in no order. It costs half of a consistent read and may lag by
    /// a moment.
    pub(crate) async fn batch_of_hints(&self, keys: Vec<Key>, attributes: &[&str]) -> PortResult<Vec<Item>> {
        // Names are replaced, since any may be a reserved word.
        let names: HashMap<String, String> =
            attributes.iter().enumerate().map(|(at, name)| (format!("#a{at}"), (*name).to_owned())).collect();
        let projection = names.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let narrow =
            |batch: KeysAndAttributesBuilder| batch.projection_expression(&projection).set_expression_attribute_names(Some(names.clone()));
        self.batches(keys, narrow).await
    }

    async fn batches(&self, keys: Vec<Key>, how: impl Fn(KeysAndAttributesBuilder) -> KeysAndAttributesBuilder) -> PortResult<Vec<Item>> {
        let mut found = Vec::new();
        let mut left: Vec<Item> = keys.into_iter().map(key_item).collect();
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(BATCH));
            let wanted = how(KeysAndAttributes::builder().set_keys(Some(left))).build();
            let wanted = wanted.map_err(|error| PortError { operation: "BatchGetItem", reason: error.to_string() })?;
            let answer = self.client.batch_get_item().request_items(&*self.name, wanted).send().await.map_err(failed("BatchGetItem"))?;
            found.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            left = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys).collect();
            left.extend(rest);
        }
        Ok(found)
    }

    /// All items of a partition whose sort key begins with `prefix`. An empty prefix reads the whole partition.
    pub(crate) async fn all(&self, pk: String, prefix: &str) -> PortResult<Vec<Item>> {
        self.all_of(pk, prefix, true).await
    }

    /// The same, as they are or were a moment ago: for half the price.
    pub(crate) async fn all_lately(&self, pk: String, prefix: &str) -> PortResult<Vec<Item>> {
        self.all_of(pk, prefix, false).await
    }

    async fn all_of(&self, pk: String, prefix: &str, now: bool) -> PortResult<Vec<Item>> {
        // A key's value may not be empty, not even in a comparison.
        let (condition, prefix) =
            if prefix.is_empty() { ("pk = :pk", None) } else { ("pk = :pk AND begins_with(sk, :sk)", Some(s(prefix))) };
        let values = [(":pk".to_owned(), s(pk))].into_iter().chain(prefix.map(|prefix| (":sk".to_owned(), prefix)));
        let values: Item = values.collect();
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let query = self.query().consistent_read(now).key_condition_expression(condition);
            let query = query.set_expression_attribute_values(Some(values.clone()));
            let answer = query.set_exclusive_start_key(from).send().await.map_err(failed("Query"))?;
            items.extend(answer.items.unwrap_or_default());
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// A consistent query, for the caller to complete.
    pub(crate) fn query(&self) -> QueryFluentBuilder {
        self.client.query().table_name(&*self.name).consistent_read(true)
    }

    /// Writes an item, and replaces an earlier one.
    pub(crate) async fn put(&self, item: Item) -> PortResult<()> {
        self.client.put_item().table_name(&*self.name).set_item(Some(item)).send().await.map(drop).map_err(failed("PutItem"))
    }

    /// Writes an item, and replaces an earlier one, if the condition holds.
    pub(crate) async fn put_if(&self, item: Item, condition: Expression) -> PortResult<Put> {
        let (text, names, values) = condition.parts();
        let put = self.client.put_item().table_name(&*self.name).set_item(Some(item)).condition_expression(text);
        let put = put.set_expression_attribute_names(names).set_expression_attribute_values(values);
        // A lost condition returns the item at no further cost.
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Put::Done) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => Ok(Put::Lost(lost.item.clone())),
            Some(PutItemError::TransactionConflictException(_)) => Ok(Put::Rival),
            _ => Err(failed("PutItem")(error)),
        }
    }

    /// Replaces an item's attributes by those of `item`, as [`replacement`](Expression::replacement) says, if the
    /// condition holds.
    pub(crate) async fn replace_if(&self, item: Item, gone: &[&str], condition: Expression) -> PortResult<Put> {
        let (key, change) = Expression::replacement(item, gone);
        let (change, condition, names, values) = change.with(condition);
        let update = self.client.update_item().table_name(&*self.name).set_key(Some(key)).update_expression(change);
        let update = update.condition_expression(condition).set_expression_attribute_names(names).set_expression_attribute_values(values);
        let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = update.send().await else { return Ok(Put::Done) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(lost)) => Ok(Put::Lost(lost.item.clone())),
            Some(UpdateItemError::TransactionConflictException(_)) => Ok(Put::Rival),
            _ => Err(failed("UpdateItem")(error)),
        }
    }

    pub(crate) async fn delete(&self, key: Key) -> PortResult<()> {
        let delete = self.client.delete_item().table_name(&*self.name).set_key(Some(key_item(key)));
        delete.send().await.map(drop).map_err(failed("DeleteItem"))
    }

    /// An empty transaction on this table.
    pub(crate) fn transaction<L>(&self) -> Transaction<'_, L> {
        Transaction::on(&self.client, &self.name)
    }
}
