//! Migrations: what was done of work that an upgrade needs once. Only the worker reads and writes it, so it is not
//! cached.

use domain::migration::{Migration, Upgrade};
use engine::ports::PortError;

use super::Configuration;
use crate::codec::{PortResult, from_data, number, undecodable, versioned_item};
use crate::keys::Key;
use crate::table::Put;
use crate::transaction::Expression;

fn key(of: Upgrade) -> Key {
    Key { pk: "migration".to_owned(), sk: of.name().to_owned() }
}

impl Configuration {
    /// Where a migration stands, with its version; `None` as long as nobody has looked.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn migration(&self, of: Upgrade) -> PortResult<Option<(Migration, u64)>> {
        // What was read too early loses its condition, and the sweep comes again.
        let Some(item) = self.table.get_lately(key(of)).await? else { return Ok(None) };
        Ok(Some((from_data(&item)?, number(&item, "version").ok_or_else(|| undecodable("a version"))?)))
    }

    /// Replaces the version before; 0 if there is none. False if somebody else has replaced it.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn put_migration(&self, of: Upgrade, migration: &Migration, before: u64) -> PortResult<bool> {
        let unchanged = if before == 0 { Expression::absent() } else { Expression::version(before) };
        match self.table.put_if(versioned_item(key(of), migration, before + 1, &[])?, unchanged).await? {
            Put::Done => Ok(true),
            Put::Lost(_) => Ok(false),
            Put::Rival => Err(PortError { operation: "PutItem", reason: "a transaction on a migration".to_owned() }),
        }
    }
}
