//! Migrations: what was done of work that an upgrade needs once. Only the worker reads and writes it, so it is not
//! cached.

use domain::migration::Migration;
use engine::ports::PortError;

use super::Configuration;
use crate::codec::{PortResult, from_data, number, undecodable, versioned_item};
use crate::keys::Key;
use crate::table::Put;
use crate::transaction::Expression;

/// The migration that gives interactions their rows in the lists.
fn lists() -> Key {
    Key { pk: "migration".to_owned(), sk: "lists".to_owned() }
}

impl Configuration {
    /// Where the migration to the lists stands, with its version; `None` as long as nobody has looked.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn migration(&self) -> PortResult<Option<(Migration, u64)>> {
        // What was read too early loses its condition, and the sweep comes again.
        let Some(item) = self.table.get_lately(lists()).await? else { return Ok(None) };
        Ok(Some((from_data(&item)?, number(&item, "version").ok_or_else(|| undecodable("a version"))?)))
    }

    /// Replaces the version before; 0 if there is none. False if somebody else has replaced it.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn put_migration(&self, migration: &Migration, before: u64) -> PortResult<bool> {
        let unchanged = if before == 0 { Expression::absent() } else { Expression::version(before) };
        match self.table.put_if(versioned_item(lists(), migration, before + 1, &[])?, unchanged).await? {
            Put::Done => Ok(true),
            Put::Lost(_) => Ok(false),
            Put::Rival => Err(PortError { operation: "PutItem", reason: "a transaction on a migration".to_owned() }),
        }
    }
}
