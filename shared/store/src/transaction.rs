//! Transactions on both tables: puts, deletes, updates and checks, each with its meaning if it loses.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use engine::ports::PortError;

use crate::codec::{Item, PortResult, failed, key_item, n};
use crate::keys::Key;

const OPERATION: &str = "TransactWriteItems";

/// A condition or a change as a DynamoDB expression, with its names and values.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    text: String,
    names: HashMap<String, String>,
    values: Item,
}

impl Expression {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), names: HashMap::new(), values: Item::new() }
    }

    /// The item does not exist.
    pub(crate) fn absent() -> Self {
        Self::new("attribute_not_exists(pk)")
    }

    /// The item has this version.
    pub(crate) fn version(version: u64) -> Self {
        Self::new("version = :before").value(":before", n(version))
    }

    /// `placeholder` stands for an attribute.
    pub(crate) fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    /// `placeholder` stands for a value.
    pub(crate) fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }

    /// The key of an item, and the change that gives it these attributes and takes those away that are `gone` and not
    /// among them. It keeps any other attribute, which a put would not.
    pub(crate) fn replacement(mut item: Item, gone: &[&str]) -> (Item, Self) {
        let key = item.remove_entry("pk").into_iter().chain(item.remove_entry("sk")).collect();
        let gone: Vec<&str> = gone.iter().copied().filter(|name| !item.contains_key(*name)).collect();
        // Names are replaced, since any may be a reserved word.
        let set = item.keys().map(|name| format!("#{name} = :{name}")).collect::<Vec<_>>().join(", ");
        let removed = gone.iter().map(|name| format!("#{name}")).collect::<Vec<_>>().join(", ");
        let text = if gone.is_empty() { format!("SET {set}") } else { format!("SET {set} REMOVE {removed}") };
        let names = item.keys().map(String::as_str).chain(gone).map(|name| (format!("#{name}"), name.to_owned())).collect();
        let values = item.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        (key, Self { text, names, values })
    }

    /// The texts of this change and of its condition, with the names and values of both.
    pub(crate) fn with(mut self, condition: Self) -> (String, String, Option<HashMap<String, String>>, Option<Item>) {
        self.names.extend(condition.names);
        self.values.extend(condition.values);
        let (change, names, values) = self.parts();
        (change, condition.text, names, values)
    }

    /// The text, the names and the values. DynamoDB refuses an empty map of either.
    pub(crate) fn parts(self) -> (String, Option<HashMap<String, String>>, Option<Item>) {
        (self.text, Some(self.names).filter(|names| !names.is_empty()), Some(self.values).filter(|values| !values.is_empty()))
    }
}

/// The parts of an optional condition.
fn parts(condition: Option<Expression>) -> (Option<String>, Option<HashMap<String, String>>, Option<Item>) {
    match condition.map(Expression::parts) {
        Some((text, names, values)) => (Some(text), names, values),
        None => (None, None, None),
    }
}

/// A transaction under construction: each action with its meaning if it loses.
#[derive(Debug, Clone)]
pub(crate) struct Transaction<'a, L> {
    client: &'a Client,
    table: &'a str,
    actions: Vec<(TransactWriteItem, L)>,
    unbuildable: Option<String>,
}

/// The outcome of a transaction.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome<L> {
    /// All of it is written.
    Done,
    /// Nothing is written. These of its actions lost, in their order. There is at least one.
    Lost(Vec<(L, Cause)>),
    /// An earlier attempt at the same transaction is still under way.
    UnderWay,
}

impl<L> Outcome<L> {
    /// Whether the same transaction may succeed in a moment, because the cause passes.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Outcome::Done => false,
            Outcome::Lost(lost) => lost.iter().any(|(_, cause)| *cause != Cause::Condition),
            Outcome::UnderWay => true,
        }
    }
}

/// The cause for which an action lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its condition does not hold.
    Condition,
    /// Another write of the same item, at the same instant.
    Rival,
    /// The table's or the partition's throughput.
    Throttle,
}

impl Cause {
    fn of(code: &str) -> Option<Self> {
        match code {
            "ConditionalCheckFailed" => Some(Cause::Condition),
            "TransactionConflict" => Some(Cause::Rival),
            "ThrottlingError" | "ProvisionedThroughputExceeded" => Some(Cause::Throttle),
            _ => None,
        }
    }
}

impl<'a, L> Transaction<'a, L> {
    /// An empty transaction on `table`.
    pub(crate) fn on(client: &'a Client, table: &'a str) -> Self {
        Self { client, table, actions: Vec::new(), unbuildable: None }
    }

    fn push(&mut self, action: Result<TransactWriteItem, BuildError>, lost: L) {
        match action {
            Ok(action) => self.actions.push((action, lost)),
            Err(error) => self.unbuildable = Some(error.to_string()),
        }
    }

    /// Writes an item, and replaces an earlier one, if the condition holds.
    pub(crate) fn put(&mut self, item: Item, condition: Option<Expression>, lost: L) {
        let (text, names, values) = parts(condition);
        let put = Put::builder().table_name(self.table).set_item(Some(item)).set_condition_expression(text);
        let put = put.set_expression_attribute_names(names).set_expression_attribute_values(values).build();
        self.push(put.map(|put| TransactWriteItem::builder().put(put).build()), lost);
    }

    /// Writes an item that does not exist yet.
    pub(crate) fn put_new(&mut self, item: Item, lost: L) {
        self.put(item, Some(Expression::absent()), lost);
    }

    /// Writes an item of another table that is not there yet.
    pub(crate) fn put_new_in(&mut self, table: &str, item: Item, lost: L) {
        let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression("attribute_not_exists(pk)").build();
        self.push(put.map(|put| TransactWriteItem::builder().put(put).build()), lost);
    }

    /// Deletes an item, if the condition holds.
    pub(crate) fn delete(&mut self, key: Key, condition: Option<Expression>, lost: L) {
        let (text, names, values) = parts(condition);
        let delete = Delete::builder().table_name(self.table).set_key(Some(key_item(key))).set_condition_expression(text);
        let delete = delete.set_expression_attribute_names(names).set_expression_attribute_values(values).build();
        self.push(delete.map(|delete| TransactWriteItem::builder().delete(delete).build()), lost);
    }

    /// Changes an item if the condition holds. Both expressions may use the names and values of both.
    pub(crate) fn update(&mut self, key: Key, change: Expression, condition: Option<Expression>, lost: L) {
        self.update_at(key_item(key), change, condition, lost);
    }

    /// Replaces an item's attributes as [`Expression::replacement`] says, if the condition holds.
    pub(crate) fn replace(&mut self, item: Item, gone: &[&str], condition: Expression, lost: L) {
        let (key, change) = Expression::replacement(item, gone);
        self.update_at(key, change, Some(condition), lost);
    }

    /// Changes an item of another table if the condition holds.
    pub(crate) fn update_in(&mut self, table: &str, key: Key, change: Expression, condition: Expression, lost: L) {
        self.update_of(table, key_item(key), change, Some(condition), lost);
    }

    fn update_at(&mut self, key: Item, change: Expression, condition: Option<Expression>, lost: L) {
        self.update_of(self.table, key, change, condition, lost);
    }

    fn update_of(&mut self, table: &str, key: Item, change: Expression, condition: Option<Expression>, lost: L) {
        let Expression { text: change, mut names, mut values } = change;
        let condition = condition.map(|condition| {
            names.extend(condition.names);
            values.extend(condition.values);
            condition.text
        });
        let (change, names, values) = Expression { text: change, names, values }.parts();
        let update = Update::builder().table_name(table).set_key(Some(key)).update_expression(change);
        let update = update.set_condition_expression(condition).set_expression_attribute_names(names);
        let update = update.set_expression_attribute_values(values).build();
        self.push(update.map(|update| TransactWriteItem::builder().update(update).build()), lost);
    }

    /// Checks a condition of an item that the transaction does not write.
    pub(crate) fn check(&mut self, key: Key, condition: Expression, lost: L) {
        self.check_in(self.table, key, condition, lost);
    }

    /// Checks a condition of an item of another table.
    pub(crate) fn check_in(&mut self, table: &str, key: Key, condition: Expression, lost: L) {
        let (text, names, values) = condition.parts();
        let check = ConditionCheck::builder().table_name(table).set_key(Some(key_item(key))).condition_expression(text);
        let check = check.set_expression_attribute_names(names).set_expression_attribute_values(values).build();
        self.push(check.map(|check| TransactWriteItem::builder().condition_check(check).build()), lost);
    }

    /// Writes all of it or nothing.
    ///
    /// # Errors
    /// It is not known whether the transaction was written, or it was refused for another reason than a lost race.
    pub(crate) async fn send(self) -> PortResult<Outcome<L>> {
        if let Some(reason) = self.unbuildable {
            return Err(PortError { operation: OPERATION, reason });
        }
        let (actions, meanings): (Vec<_>, Vec<_>) = self.actions.into_iter().unzip();
        let Err(error) = self.client.transact_write_items().set_transact_items(Some(actions)).send().await else {
            return Ok(Outcome::Done);
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                let codes = canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None"));
                lost(&codes.collect::<Vec<_>>(), meanings).map(Outcome::Lost)
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Ok(Outcome::UnderWay),
            _ => Err(failed(OPERATION)(error)),
        }
    }
}

/// The lost actions of a cancelled transaction. There is one code for each action.
fn lost<L>(codes: &[&str], meanings: Vec<L>) -> PortResult<Vec<(L, Cause)>> {
    let lost: Vec<_> = codes.iter().zip(meanings).filter_map(|(code, meaning)| Some((meaning, Cause::of(code)?))).collect();
    if lost.is_empty() {
        return Err(PortError { operation: OPERATION, reason: format!("cancelled: {}", codes.join(" ")) });
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_transaction_tells_which_of_its_actions_lost_against_what() {
        let codes = ["None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "None"];
        let expected = [('b', Cause::Condition), ('c', Cause::Rival), ('d', Cause::Throttle)];
        assert_eq!(lost(&codes, vec!['a', 'b', 'c', 'd', 'e']).unwrap(), expected);
    }

    #[test]
    fn a_transaction_that_is_refused_for_its_content_has_not_lost_a_race() {
        let error = lost(&["None", "ValidationError"], vec!['a', 'b']).unwrap_err();
        assert_eq!(error.reason, "cancelled: None ValidationError");
    }

    #[test]
    fn rivals_and_throttles_pass_and_conditions_stay_lost() {
        assert!(Outcome::Lost(vec![((), Cause::Condition), ((), Cause::Rival)]).passes());
        assert!(Outcome::Lost(vec![((), Cause::Throttle)]).passes() && Outcome::<()>::UnderWay.passes());
        assert!(!Outcome::Lost(vec![((), Cause::Condition)]).passes() && !Outcome::<()>::Done.passes());
    }

    #[test]
    fn an_expression_without_names_or_values_has_none() {
        assert_eq!(Expression::absent().parts(), ("attribute_not_exists(pk)".to_owned(), None, None));
        let (_, names, values) = Expression::new("#a = :a").name("#a", "a").value(":a", n(1)).parts();
        assert_eq!((names.unwrap().len(), values.unwrap().len()), (1, 1));
    }
}
