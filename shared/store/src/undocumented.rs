//! Interactions that closed in a version before the documents, so that a search for a text reads their threads.

use domain::interaction::Interaction;
use domain::search::Document;
use engine::ports::{PortError, Store, System, World};

use crate::codec::PortResult;
use crate::documents::Documents;
use crate::interactions::Interactions;
use crate::transaction::{Cause, Expression, Outcome};
use crate::unlisted::ScannedInteractions;
use crate::{codec, keys};

/// How often an interaction is tried that somebody changes at the same instant. Closed ones have hardly any rivals.
const ATTEMPTS: u32 = 5;

/// What became of the document of an interaction that had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documented {
    /// It is written.
    Now,
    /// Nothing was written: it is there already, the interaction was deleted, or it is to have none.
    Not,
    /// A message of the thread can't be read.
    Unreadable,
}

/// What a lost write meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The interaction was changed or deleted since it was read.
    Changed,
    /// A document.
    There,
}

impl Interactions {
    /// The table of documents.
    fn derived(&self) -> PortResult<&Documents> {
        self.documents.as_ref().ok_or_else(|| PortError { operation: "documents", reason: "no table".to_owned() })
    }

    /// A part of the table, a megabyte at most, with the closed interactions in it that have no document: from the
    /// beginning, or from a [`ScannedInteractions::next`] on. It reads everything that lies between them too.
    ///
    /// # Errors
    /// A table can't be read.
    pub async fn scan_undocumented(&self, after: Option<&str>) -> PortResult<ScannedInteractions> {
        let mut part = self.scan_interactions(after, "").await?;
        // One that was merged is found with the one that absorbed it.
        part.interactions.retain(|interaction| !interaction.is_open() && interaction.merged_into.is_none());
        let there = self.derived()?.there(part.interactions.iter().map(|interaction| &interaction.id)).await?;
        part.interactions.retain(|interaction| !there.contains(&interaction.id));
        Ok(part)
    }

    /// Writes the document of a closed interaction that was read, unless it has one or was deleted.
    ///
    /// `archive` writes a document with every later change of the thread, and replaces what is there. So one that is
    /// there is left alone: it may be newer than what was read here. And one that is written here before such a
    /// change is replaced by it. What deletes, merges or opens an interaction changes its item, on which the write
    /// depends.
    ///
    /// # Errors
    /// A table can't be read or written. It is safe to call again.
    pub async fn document_late(&self, interaction: &Interaction) -> PortResult<Documented> {
        let mut known = interaction.clone();
        for attempt in 1..=ATTEMPTS {
            let messages = match self.all_messages(&known).await {
                Ok(messages) => messages,
                Err(error) if codec::is_undecodable(&error) => return Ok(Documented::Unreadable),
                Err(error) => return Err(error),
            };
            let document = Document::of(&known, &messages).filter(|_| known.merged_into.is_none());
            let Some(document) = document else { return Ok(Documented::Not) };
            let mut transaction = self.table.transaction();
            transaction.check(keys::interaction(&known.key()), Expression::version(known.version), Lost::Changed);
            self.derived()?.put_new_in(&mut transaction, &document, Lost::There)?;
            match transaction.send().await? {
                Outcome::Done => return Ok(Documented::Now),
                Outcome::Lost(lost) if lost.contains(&(Lost::There, Cause::Condition)) => return Ok(Documented::Not),
                Outcome::Lost(_) | Outcome::UnderWay => {
                    System.pause(attempt).await;
                    match self.interaction(&known.key()).await? {
                        Some(now) => known = now,
                        None => return Ok(Documented::Not),
                    }
                }
            }
        }
        Err(PortError { operation: "document an interaction", reason: format!("it changed {ATTEMPTS} times") })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use cloud::testing::{Call, Stub};
    use domain::fixtures;
    use domain::interaction::Status;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::versioned_item;

    fn closed(version: u64) -> Interaction {
        let closed_at = Some(Timestamp::UNIX_EPOCH);
        Interaction { version, closed_at, ..fixtures::interaction(Status::Closed, Timestamp::UNIX_EPOCH) }
    }

    fn item(interaction: &Interaction) -> Value {
        let item = versioned_item(keys::interaction(&interaction.key()), interaction, interaction.version, &[]).unwrap();
        serde_json::to_value(serde_dynamo::Item::from(item)).unwrap()
    }

    /// Writes the document of a closed interaction without messages, on tables that answer the transactions one after
    /// the other: done, or with the causes of its two actions. The interaction is `there` by then. Returns also the
    /// calls.
    async fn document_late(answers: Vec<Option<[&'static str; 2]>>, there: Option<Interaction>) -> (Documented, Vec<Call>) {
        let answers = Mutex::new(answers.into_iter());
        let stub = Stub::start(move |call| match call.operation.rsplit('.').next().unwrap() {
            "Query" => Some((200, json!({"Items": [], "Count": 0}).to_string())),
            "GetItem" => Some((200, there.as_ref().map_or_else(|| json!({}), |there| json!({ "Item": item(there) })).to_string())),
            _ => match answers.lock().unwrap().next()? {
                None => Some((200, "{}".to_owned())),
                Some(codes) => {
                    let reasons = codes.map(|code| json!({ "Code": code }));
                    let lost = json!({"__type": "TransactionCanceledException", "Message": "lost", "CancellationReasons": reasons});
                    Some((400, lost.to_string()))
                }
            },
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let store = store.with_documents(Documents::new(stub.aws.dynamodb(), "derived"));
        (store.document_late(&closed(7)).await.unwrap(), stub.calls())
    }

    fn actions(calls: &[Call]) -> Vec<&Value> {
        calls.iter().filter(|call| call.operation.ends_with("TransactWriteItems")).map(|call| &call.body["TransactItems"]).collect()
    }

    #[tokio::test]
    async fn a_document_is_new_and_of_the_interaction_as_it_was_read() {
        let (written, calls) = document_late(vec![None], None).await;
        assert_eq!(written, Documented::Now);
        let [transaction] = actions(&calls)[..] else { panic!("{calls:?}") };
        let (check, put) = (&transaction[0]["ConditionCheck"], &transaction[1]["Put"]);
        assert_eq!(check["Key"]["sk"]["S"], format!("INT#{}", closed(7).id));
        let condition = (&check["TableName"], &check["ConditionExpression"], &check["ExpressionAttributeValues"]);
        assert_eq!(condition, (&json!("interactions"), &json!("version = :before"), &json!({":before": {"N": "7"}})));
        assert_eq!((&put["TableName"], &put["ConditionExpression"]), (&json!("derived"), &json!("attribute_not_exists(pk)")));
        assert_eq!(put["Item"]["pk"]["S"], format!("DOC#{}", closed(7).id));
    }

    #[tokio::test]
    async fn nothing_is_written_where_a_document_is_or_the_interaction_is_no_more_what_it_was() {
        let changed = Some(["ConditionalCheckFailed", "None"]);
        for (lost, there) in [
            (Some(["None", "ConditionalCheckFailed"]), Some(closed(7))),
            (Some(["ConditionalCheckFailed", "ConditionalCheckFailed"]), Some(closed(8))),
            (changed, None),
            (changed, Some(Interaction { version: 8, ..fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH) })),
            (changed, Some(Interaction { merged_into: Some(closed(7).key()), ..closed(8) })),
        ] {
            // A second transaction would be done.
            let (written, calls) = document_late(vec![lost, None], there.clone()).await;
            assert_eq!((written, actions(&calls).len()), (Documented::Not, 1), "{lost:?} {there:?}");
        }
        // A change of something else: the document is that of its version.
        let (written, calls) = document_late(vec![changed, None], Some(closed(8))).await;
        assert_eq!(written, Documented::Now);
        assert_eq!(actions(&calls)[1][0]["ConditionCheck"]["ExpressionAttributeValues"], json!({":before": {"N": "8"}}));
        // A rival writes it at this instant, and the same is tried again.
        let (written, calls) = document_late(vec![Some(["TransactionConflict", "None"]), None], Some(closed(7))).await;
        assert_eq!((written, actions(&calls).len()), (Documented::Now, 2));
    }
}
