//! The documents by which searches leave out closed interactions without reading their threads: `DOC#interaction` /
//! `DOC`, in the table of what is derived. Each has a partition of its own, so a search is spread over the whole
//! table.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use domain::ids::InteractionId;
use domain::search::Document;

use crate::codec::{PortResult, data_item, from_data, text};
use crate::keys::Key;
use crate::table::Table;
use crate::transaction::Transaction;

/// The documents of closed interactions.
#[derive(Debug, Clone)]
pub struct Documents {
    table: Table,
}

impl Documents {
    /// Those in the table with this name.
    pub fn new(client: Client, table: impl Into<std::sync::Arc<str>>) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// Writes a document, and replaces an earlier one.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put(&self, document: &Document) -> PortResult<()> {
        self.table.put(data_item(key(&document.interaction), document)?).await
    }

    /// Deletes a document. An absent one is a success.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn delete(&self, interaction: &InteractionId) -> PortResult<()> {
        self.table.delete(key(interaction)).await
    }

    /// Writes a document that is not there yet, as a part of a transaction.
    pub(crate) fn put_new_in<L>(&self, transaction: &mut Transaction<'_, L>, document: &Document, lost: L) -> PortResult<()> {
        transaction.put_new_in(&self.table.name, data_item(key(&document.interaction), document)?, lost);
        Ok(())
    }

    /// Which of these interactions have a document.
    pub(crate) async fn there(&self, interactions: impl Iterator<Item = &InteractionId>) -> PortResult<BTreeSet<InteractionId>> {
        let items = self.table.batch_of_hints(interactions.map(key).collect(), &["pk"]).await?;
        let ids = items.iter().filter_map(|item| text(item, "pk")?.strip_prefix(DOCUMENTS)?.parse().ok());
        Ok(ids.collect())
    }

    /// The documents of these interactions, in no order. One of a form that is not known counts as missing.
    pub(crate) async fn of(&self, interactions: &[InteractionId]) -> PortResult<Vec<Document>> {
        let items = self.table.batch_lately(interactions.iter().map(key).collect()).await?;
        Ok(items.iter().filter_map(|item| from_data(item).ok()).collect())
    }
}

const DOCUMENTS: &str = "DOC#";

fn key(interaction: &InteractionId) -> Key {
    Key { pk: format!("{DOCUMENTS}{interaction}"), sk: "DOC".to_owned() }
}
