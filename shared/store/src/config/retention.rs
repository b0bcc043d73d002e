//! How long closed interactions are kept: one item of the configuration. Only its two readers want it, so it is not
//! cached.

use audit::Entry;
use domain::retention::Retention;
use engine::ports::PortError;

use super::{Configuration, audit_items};
use crate::codec::{PortResult, from_data, number, undecodable, versioned_item};
use crate::keys::Key;
use crate::transaction::{Cause, Expression, Outcome};

fn key() -> Key {
    Key { pk: "retention".to_owned(), sk: "retention".to_owned() }
}

impl Configuration {
    /// How long closed interactions are kept, with its version; 0 as long as nobody has said anything.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn retention(&self) -> PortResult<(Retention, u64)> {
        match self.table.get(key()).await? {
            Some(item) => Ok((from_data(&item)?, number(&item, "version").ok_or_else(|| undecodable("a version"))?)),
            None => Ok((Retention::default(), 0)),
        }
    }

    /// Replaces the version before. False if somebody changed it meanwhile.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put_retention(&self, retention: &Retention, before: u64, entry: &Entry) -> PortResult<bool> {
        let mut transaction = self.table.transaction();
        let unchanged = if before == 0 { Expression::absent() } else { Expression::version(before) };
        transaction.put(versioned_item(key(), retention, before + 1, &[])?, Some(unchanged), ());
        for item in audit_items(entry)? {
            transaction.put_new(item, ());
        }
        match transaction.send().await? {
            Outcome::Done => Ok(true),
            Outcome::Lost(lost) if lost.iter().any(|((), cause)| matches!(cause, Cause::Condition | Cause::Rival)) => Ok(false),
            outcome => Err(PortError { operation: "set the retention", reason: format!("{outcome:?}") }),
        }
    }
}
