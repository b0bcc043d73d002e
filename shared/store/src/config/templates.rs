//! The templates that an account's provider listed last. A copy, which any list replaces and nobody needs: there is
//! neither version nor audit.

use domain::ids::AccountId;
use domain::template::TemplateCatalogue;

use super::Configuration;
use super::keys::templates_key;
use crate::codec::{PortResult, data_item, from_data};

impl Configuration {
    /// The templates of an account, as somebody listed them last.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn templates(&self, account: &AccountId) -> PortResult<Option<TemplateCatalogue>> {
        self.table.get(templates_key(account)).await?.as_ref().map(from_data).transpose()
    }

    /// Keeps a list of templates, and replaces the account's earlier one.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn keep_templates(&self, catalogue: &TemplateCatalogue) -> PortResult<()> {
        self.table.put(data_item(templates_key(&catalogue.account), catalogue)?).await
    }

    /// Drops the templates of a deleted account.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn drop_templates(&self, account: &AccountId) -> PortResult<()> {
        self.table.delete(templates_key(account)).await
    }
}
