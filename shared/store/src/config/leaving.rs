//! Accounts that are about to be deleted.

use domain::account::{Account, DeletedAccount};
use domain::ids::AccountId;
use engine::ports::{PortError, System, World};
use jiff::Timestamp;

use super::Configuration;
use super::keys::{entity_key, leaving_keys, receive_key};
use super::writes::{ATTEMPTS, Extra, Written, add, unless_moved};
use crate::codec::{PortResult, data_item, item, n, s};
use crate::transaction::{Expression, Transaction};

/// The mark of an account that is about to be deleted. No interaction is opened on it.
#[derive(Debug, Clone)]
pub struct Leaving {
    account: AccountId,
    /// The owner of the mark. Of two deletions of one account, only the later one's mark counts.
    by: String,
}

impl Leaving {
    /// The mark is this one, not that of another deletion of the same account.
    fn is_ours(&self) -> Expression {
        Expression::new("#by = :by").name("#by", "by").value(":by", s(&*self.by))
    }
}

impl Configuration {
    /// Marks an account: no interaction is opened on it until `until`, or until it is deleted or stays. A look at
    /// its open interactions after this is complete.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn leave(&self, account: &AccountId, by: String, until: Timestamp) -> PortResult<Leaving> {
        let mut marks = self.table.transaction();
        for key in leaving_keys(account) {
            let mut mark = item(key);
            mark.insert("by".to_owned(), s(&*by));
            mark.insert("until".to_owned(), n(until.as_millisecond()));
            marks.put(mark, None, ());
        }
        self.mark(marks).await?;
        Ok(Leaving { account: account.clone(), by })
    }

    /// Writes marks. Customers who write at the same instant are rivals. Lost conditions change nothing.
    async fn mark(&self, marks: Transaction<'_, ()>) -> PortResult<()> {
        for attempt in 1..=ATTEMPTS {
            if !marks.clone().send().await?.passes() {
                return Ok(());
            }
            System.pause(attempt).await;
        }
        Err(PortError { operation: "leave", reason: format!("still in conflict after {ATTEMPTS} attempts") })
    }

    /// Removes the mark: interactions are opened on the account again, unless another deletion is under way.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn stay(&self, leaving: &Leaving) -> PortResult<()> {
        let mut marks = self.table.transaction();
        for key in leaving_keys(&leaving.account) {
            marks.delete(key, Some(leaving.is_ours()), ());
        }
        // Marks of another deletion, or missing ones, are not ours to remove.
        self.mark(marks).await
    }

    /// Deletes an account that is marked, has nothing open, and still has this version. Also deletes its Receive
    /// URLs, whose tokens are given by their hashes. The mark stays, and a note of the account, by which its
    /// interactions stay listed. [`Written::Moved`] if another deletion of it is
    /// under way.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn delete_account(
        &self,
        account: &Account,
        version: u64,
        receive_token_hashes: &[String],
        leaving: &Leaving,
        extra: &[Extra],
    ) -> PortResult<Written> {
        unless_moved(|| async {
            let mut deletion = self.deletion(account, version, None).await?;
            for hash in receive_token_hashes {
                deletion.delete(receive_key(hash), None, Written::Moved);
            }
            let deleted = DeletedAccount { id: account.id.clone(), name: account.name.clone(), key: account.key.clone() };
            let mut left = data_item(entity_key::<DeletedAccount>(deleted.id.as_str()), &deleted)?;
            left.insert("version".to_owned(), n(1));
            deletion.put(left, None, Written::Moved);
            for key in leaving_keys(&account.id) {
                let stays = Expression::new("REMOVE #until").name("#until", "until");
                deletion.update(key, stays, Some(leaving.is_ours()), Written::Moved);
            }
            add(&mut deletion, extra)?;
            self.transact(deletion, version).await
        })
        .await
    }
}
