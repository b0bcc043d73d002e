//! Interactions of a version before the lists, which lack the attributes by which the indexes find them.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::interaction::Interaction;
use domain::row::Listing;
use engine::ports::{PortError, System, World};

use crate::codec::{Item, PortResult, failed, from_data, key_item, n, s, text, to_attribute};
use crate::interactions::{Interactions, from_place, to_place};
use crate::keys;

/// How often an interaction is tried that somebody changes at the same instant. Old ones have hardly any rivals.
const ATTEMPTS: u32 = 5;

/// A part of the table, as a migration walks through it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScannedInteractions {
    /// The interactions in it that lack what the migration gives. They may lag by a moment.
    pub interactions: Vec<Interaction>,
    /// The ids of those that can't be read, as their keys tell them.
    pub unreadable: Vec<String>,
    /// Where the next part begins; `None` after the last one.
    pub next: Option<String>,
}

impl Interactions {
    /// A part of the table, a megabyte at most, with the interactions in it that no list shows: from the beginning, or
    /// from an [`ScannedInteractions::next`] on. It reads everything that lies between them too.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn scan_unlisted(&self, after: Option<&str>) -> PortResult<ScannedInteractions> {
        let mut part = self.scan_interactions(after, " AND attribute_not_exists(list_of)").await?;
        // One that was merged into another one is in no list.
        part.interactions.retain(|interaction| Listing::of(interaction).is_some());
        Ok(part)
    }

    /// A part of the table with the interactions in it for which the condition `beside` their key holds.
    pub(crate) async fn scan_interactions(&self, after: Option<&str>, beside: &str) -> PortResult<ScannedInteractions> {
        let scan = self.table.client.scan().table_name(&*self.table.name).set_exclusive_start_key(from_place(after));
        let scan = scan.filter_expression(format!("begins_with(sk, :interactions){beside}"));
        let answer = scan.expression_attribute_values(":interactions", s(keys::INTERACTIONS)).send().await.map_err(failed("Scan"))?;
        let next = answer.last_evaluated_key.as_ref().and_then(to_place);
        let mut part = ScannedInteractions { next, ..ScannedInteractions::default() };
        for item in answer.items.unwrap_or_default() {
            match from_data::<Interaction>(&item) {
                Ok(interaction) => part.interactions.push(interaction),
                Err(_) => part.unreadable.extend(text(&item, "sk").map(|sk| sk.replacen(keys::INTERACTIONS, "", 1))),
            }
        }
        Ok(part)
    }

    /// Gives an interaction that was read the attributes by which the indexes find it, and changes nothing else of
    /// it: its version stays, so the stream causes nothing. False if it has them already, or nothing is left to list.
    ///
    /// Whoever changes an interaction writes them too. So if it was changed since it was read, it is left alone,
    /// unless that change was a function's of the version before.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn list_late(&self, interaction: &Interaction) -> PortResult<bool> {
        let mut known = interaction.clone();
        for attempt in 1..=ATTEMPTS {
            let Some(Listing { shelf, position, row }) = Listing::of(&known) else { return Ok(false) };
            let open = if known.is_open() { ", open_of = :account" } else { "" };
            let key = keys::interaction(&known.key());
            let update = self.table.client.update_item().table_name(&*self.table.name).set_key(Some(key_item(key.clone())));
            let update = update
                .update_expression(format!("SET list_of = :shelf, listed = :place, #row = :row{open}"))
                .condition_expression("version = :version AND attribute_not_exists(list_of)")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .expression_attribute_names("#row", keys::ROW)
                .expression_attribute_values(":shelf", s(shelf.key()))
                .expression_attribute_values(":place", s(position.key()))
                .expression_attribute_values(":row", to_attribute(&row)?)
                .expression_attribute_values(":version", n(known.version));
            let update = match open {
                "" => update,
                _ => update.expression_attribute_values(":account", s(known.account.as_str())),
            };
            let Err(error) = update.send().await else { return Ok(true) };
            let there: Option<Item> = match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(lost)) => lost.item.clone(),
                // A transaction writes it at this instant, or fails to.
                Some(UpdateItemError::TransactionConflictException(_)) => {
                    System.pause(attempt).await;
                    self.table.get(key).await?
                }
                _ => return Err(failed("UpdateItem")(error)),
            };
            match there {
                Some(there) if !there.contains_key(keys::LIST_OF) => known = from_data(&there)?,
                Some(_) | None => return Ok(false),
            }
        }
        Err(PortError { operation: "list an interaction", reason: format!("it changed {ATTEMPTS} times") })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use cloud::testing::Stub;
    use domain::fixtures;
    use domain::interaction::Status;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    /// The item of an interaction, as a function of the version before wrote it.
    fn old_item(interaction: &Interaction) -> Value {
        let mut item = crate::codec::versioned_item(keys::interaction(&interaction.key()), interaction, interaction.version, &[]).unwrap();
        item.remove(keys::LIST_OF);
        serde_json::to_value(serde_dynamo::Item::from(item)).unwrap()
    }

    /// Gives a row to an interaction in a table that answers the updates one after the other: done, or the item that
    /// is there instead. Returns also what the updates asked for.
    async fn list_late(interaction: &Interaction, answers: Vec<Result<(), Option<Value>>>) -> (bool, Vec<Value>) {
        let answers = std::sync::Mutex::new(answers.into_iter());
        let stub = Stub::start(move |_| match answers.lock().unwrap().next()? {
            Ok(()) => Some((200, "{}".to_owned())),
            Err(there) => {
                let mut lost = json!({ "__type": "ConditionalCheckFailedException", "message": "The conditional request failed" });
                lost.as_object_mut().unwrap().extend(there.map(|item| ("Item".to_owned(), item)));
                Some((400, lost.to_string()))
            }
        })
        .await;
        let listed = Interactions::new(stub.aws.dynamodb(), "interactions", "config").list_late(interaction).await.unwrap();
        let calls = stub.calls();
        assert!(calls.iter().all(|call| call.operation.ends_with("UpdateItem")), "only updates");
        (listed, calls.iter().map(|call| call.body.clone()).collect())
    }

    #[tokio::test]
    async fn a_row_is_given_to_the_version_that_was_read_and_to_none_that_has_one() {
        let read = Interaction { version: 7, ..fixtures::interaction(Status::Closed, Timestamp::UNIX_EPOCH) };
        let (listed, updates) = list_late(&read, vec![Ok(())]).await;
        assert!(listed);
        let update = &updates[0];
        assert_eq!(update["ConditionExpression"], "version = :version AND attribute_not_exists(list_of)");
        assert_eq!(update["ExpressionAttributeValues"][":version"]["N"], "7");
        assert_eq!(update["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
        assert_eq!(update["UpdateExpression"], "SET list_of = :shelf, listed = :place, #row = :row", "nothing else changes");

        // A function of this version has changed it, and so written its row.
        let mut newer = old_item(&Interaction { version: 8, ..read.clone() });
        newer[keys::LIST_OF] = json!({"S": "there"});
        let (listed, updates) = list_late(&read, vec![Err(Some(newer)), Ok(())]).await;
        assert_eq!((listed, updates.len()), (false, 1));
        // It was deleted: nothing is made anew.
        let (listed, updates) = list_late(&read, vec![Err(None), Ok(())]).await;
        assert_eq!((listed, updates.len()), (false, 1));

        // A function of the version before has changed it: the row is that of its version.
        let archived = Interaction { version: 9, archived: true, ..read.clone() };
        let (listed, updates) = list_late(&read, vec![Err(Some(old_item(&archived))), Ok(())]).await;
        assert_eq!((listed, updates.len()), (true, 2));
        let values = &updates[1]["ExpressionAttributeValues"];
        assert_eq!((&values[":version"]["N"], &values[":row"]["M"]["archived"]["BOOL"]), (&json!("9"), &json!(true)));
        assert_eq!(values[":shelf"]["S"], Listing::of(&archived).unwrap().shelf.key().as_str());
        // It has been merged into another one: no list shows it.
        let merged = Interaction { version: 9, merged_into: Some(read.key()), ..read.clone() };
        let (listed, updates) = list_late(&read, vec![Err(Some(old_item(&merged))), Ok(())]).await;
        assert_eq!((listed, updates.len()), (false, 1));
    }

    /// A table in which a transaction is just writing the interaction, and then has failed.
    #[tokio::test]
    async fn a_transaction_that_comes_to_nothing_leaves_no_interaction_without_a_row() {
        let interaction = fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH);
        let item: Value = serde_json::to_value(serde_dynamo::Item::from(
            crate::codec::versioned_item(keys::interaction(&interaction.key()), &interaction, 1, &[]).unwrap(),
        ))
        .unwrap();
        let tries = AtomicU32::new(0);
        let stub = Stub::start(move |call| match call.operation.rsplit('.').next().unwrap() {
            "GetItem" => Some((200, json!({ "Item": item }).to_string())),
            _ if tries.fetch_add(1, Ordering::Relaxed) < 2 => {
                Some((400, json!({ "__type": "TransactionConflictException", "Message": "under way" }).to_string()))
            }
            _ => Some((200, "{}".to_owned())),
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        assert!(store.list_late(&interaction).await.unwrap());
        let calls = stub.calls();
        let names: Vec<&str> = calls.iter().map(|call| call.operation.rsplit('.').next().unwrap()).collect();
        assert_eq!(names, ["UpdateItem", "GetItem", "UpdateItem", "GetItem", "UpdateItem"]);
        assert_eq!(calls[4].body["ExpressionAttributeValues"][":account"]["S"], interaction.account.as_str());
    }
}
