//! Accounts that are about to be deleted.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use domain::account::Account;
use domain::ids::AccountId;
use engine::ports::{System, World};
use jiff::Timestamp;

use super::Configuration;
use super::keys::{leaving_keys, receive_key};
use super::writes::{ATTEMPTS, Extra, Written, unbuildable};
use crate::codec::{PortResult, failed, item, key_item, n, s};

/// An account that is about to be deleted: no interaction is opened on it.
#[derive(Debug, Clone)]
pub struct Leaving {
    account: AccountId,
    /// Whose mark it is: of two who delete it, only the later one's counts.
    by: String,
}

impl Configuration {
    /// From now on no interaction is opened on an account, until `until` unless it is deleted or stays before: whatever is open then is seen by who looks.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn leave(&self, account: &AccountId, by: String, until: Timestamp) -> PortResult<Leaving> {
        let put = |key| {
            let mut mark = item(key);
            mark.insert("by".to_owned(), s(&*by));
            mark.insert("until".to_owned(), n(until.as_millisecond()));
            let put = Put::builder().table_name(&*self.table).set_item(Some(mark)).build().map_err(unbuildable)?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        let marks = leaving_keys(account).map(put).collect::<PortResult<Vec<_>>>()?;
        self.mark(marks).await?;
        Ok(Leaving { account: account.clone(), by })
    }

    /// Writes marks; customers who write at the same instant are rivals. Lost conditions change nothing.
    async fn mark(&self, marks: Vec<TransactWriteItem>) -> PortResult<()> {
        let rival = |canceled: &TransactionCanceledException| {
            canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("TransactionConflict"))
        };
        for attempt in 1..=ATTEMPTS {
            let Err(error) = self.client.transact_write_items().set_transact_items(Some(marks.clone())).send().await else { return Ok(()) };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) if attempt < ATTEMPTS && rival(canceled) => {
                    System.pause(attempt).await;
                }
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) if !rival(canceled) => return Ok(()),
                _ => return Err(failed("TransactWriteItems")(error)),
            }
        }
        Ok(())
    }

    /// An account stays: interactions are opened on it again, unless somebody else is deleting it.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn stay(&self, leaving: &Leaving) -> PortResult<()> {
        let delete = |key| {
            let delete = Delete::builder().table_name(&*self.table).set_key(Some(key_item(key))).condition_expression("#by = :by");
            let delete = delete.expression_attribute_names("#by", "by").expression_attribute_values(":by", s(&*leaving.by));
            Ok(TransactWriteItem::builder().delete(delete.build().map_err(unbuildable)?).build())
        };
        let marks = leaving_keys(&leaving.account).map(delete).collect::<PortResult<Vec<_>>>()?;
        // Those of somebody else, or gone: not ours to take away.
        self.mark(marks).await
    }

    /// Deletes an account that is leaving, has nothing open, and has still this version, with its Receive URL, whose token is given by its hash. The mark
    /// that it left stays. [`Written::Moved`] when somebody else deletes it, too.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn delete_account(
        &self,
        account: &Account,
        version: u64,
        receive_token_hash: &str,
        leaving: &Leaving,
        extra: &[Extra],
    ) -> PortResult<Written> {
        for attempt in 1..ATTEMPTS {
            match self.delete_leaving(account, version, receive_token_hash, leaving, extra).await? {
                Written::Moved => System.pause(attempt).await,
                outcome => return Ok(outcome),
            }
        }
        self.delete_leaving(account, version, receive_token_hash, leaving, extra).await
    }

    async fn delete_leaving(
        &self,
        account: &Account,
        version: u64,
        receive_token_hash: &str,
        leaving: &Leaving,
        extra: &[Extra],
    ) -> PortResult<Written> {
        let leave = |key| {
            let left = Update::builder().table_name(&*self.table).set_key(Some(key_item(key))).update_expression("REMOVE #until");
            let left = left.condition_expression("#by = :by").expression_attribute_values(":by", s(&*leaving.by));
            let left = left.expression_attribute_names("#by", "by").expression_attribute_names("#until", "until");
            Ok(TransactWriteItem::builder().update(left.build().map_err(unbuildable)?).build())
        };
        let mut actions = vec![self.delete_action(receive_key(receive_token_hash), None)?];
        actions.extend(leaving_keys(&account.id).map(leave).collect::<PortResult<Vec<_>>>()?);
        actions.extend(self.extras(extra)?);
        self.erase(account, version, actions, None).await
    }
}
