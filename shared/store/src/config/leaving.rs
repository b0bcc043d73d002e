//! Accounts that are about to be deleted.

use domain::account::Account;
use domain::ids::AccountId;
use engine::ports::{PortError, System, World};
use jiff::Timestamp;

use super::Configuration;
use super::keys::{leaving_keys, receive_key};
use super::writes::{ATTEMPTS, Extra, Written, add, unless_moved};
use crate::codec::{PortResult, item, n, s};
use crate::transaction::{Expression, Transaction};

/// An account that is about to be deleted: no interaction is opened on it.
#[derive(Debug, Clone)]
pub struct Leaving {
    account: AccountId,
    /// Whose mark it is: of two who delete it, only the later one's counts.
    by: String,
}

impl Leaving {
    /// The mark is this one, and not that of somebody else who deletes the account too.
    fn is_ours(&self) -> Expression {
        Expression::new("#by = :by").name("#by", "by").value(":by", s(&*self.by))
    }
}

impl Configuration {
    /// From now on no interaction is opened on an account, until `until` unless it is deleted or stays before: whatever is open then is seen by who looks.
    ///
    /// # Errors
    /// When the table can't be written.
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

    /// Writes marks; customers who write at the same instant are rivals. Lost conditions change nothing.
    async fn mark(&self, marks: Transaction<'_, ()>) -> PortResult<()> {
        for attempt in 1..=ATTEMPTS {
            if !marks.clone().send().await?.passes() {
                return Ok(());
            }
            System.pause(attempt).await;
        }
        Err(PortError { operation: "leave", reason: format!("still in conflict after {ATTEMPTS} attempts") })
    }

    /// An account stays: interactions are opened on it again, unless somebody else is deleting it.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn stay(&self, leaving: &Leaving) -> PortResult<()> {
        let mut marks = self.table.transaction();
        for key in leaving_keys(&leaving.account) {
            marks.delete(key, Some(leaving.is_ours()), ());
        }
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
        unless_moved(|| async {
            let mut deletion = self.deletion(account, version, None);
            deletion.delete(receive_key(receive_token_hash), None, Written::Moved);
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
