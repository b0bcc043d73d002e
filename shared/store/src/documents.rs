//! The documents by which searches leave out closed interactions without reading their threads: `DOC#interaction` /
//! `DOC`, in the table of what is derived. Each has a partition of its own, so a search is spread over the whole
//! table.

use aws_sdk_dynamodb::Client;
use domain::ids::InteractionId;
use domain::search::Document;

use crate::codec::{PortResult, data_item, from_data};
use crate::keys::Key;
use crate::table::Table;

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

    /// The documents of these interactions, in no order. One of a form that is not known counts as missing.
    pub(crate) async fn of(&self, interactions: &[InteractionId]) -> PortResult<Vec<Document>> {
        let items = self.table.batch_lately(interactions.iter().map(key).collect()).await?;
        Ok(items.iter().filter_map(|item| from_data(item).ok()).collect())
    }
}

fn key(interaction: &InteractionId) -> Key {
    Key { pk: format!("DOC#{interaction}"), sk: "DOC".to_owned() }
}
