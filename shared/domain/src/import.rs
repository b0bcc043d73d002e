//! What an import of contacts is to do.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ContactFieldId, ListId};

/// The most rows of a file. A hundred a second are imported, so that is half an hour.
pub const MOST_ROWS: usize = 200_000;

/// The longest file in bytes: the worker has it in memory, decoded. 200,000 rows of 250 bytes.
pub const MOST_BYTES: u64 = 50 * 1024 * 1024;

/// An import of contacts from a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The key of the uploaded file.
    pub key: String,
    /// Which column is what.
    pub columns: Columns,
    /// The country of numbers without `+`: two letters (ISO 3166).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// An account of the business that issued the user ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The lists that every imported contact joins.
    #[serde(default)]
    pub lists: BTreeSet<ListId>,
    /// What happens to a contact that is there already.
    #[serde(default)]
    pub known: Known,
    /// Whether nothing is written.
    #[serde(default)]
    pub dry_run: bool,
}

/// What happens to a row whose contact is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The contact stays as it is.
    #[default]
    Skip,
    /// The row's values replace the contact's, and the contact joins the row's lists.
    Update,
    /// The row is an error.
    Refuse,
}

/// The headings of the columns that are imported. At least one of the first two is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImportColumns))]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Phone numbers: with `+`, or of the import's country. Of several in a cell, parted by semicolons, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// User ids (BSUID).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// First names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// E-mail addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Companies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Names of contact lists, parted by semicolons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lists: Option<String>,
    /// Values of defined fields, by their ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<ContactFieldId, String>,
}

impl Columns {
    /// All headings, with the names of what they are.
    pub fn headings(&self) -> Vec<(String, &str)> {
        let own = [
            ("phone", &self.phone),
            ("user_id", &self.user_id),
            ("name", &self.name),
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("email", &self.email),
            ("company", &self.company),
            ("lists", &self.lists),
        ];
        let own = own.into_iter().filter_map(|(what, heading)| Some((what.to_owned(), heading.as_deref()?)));
        own.chain(self.fields.iter().map(|(id, heading)| (format!("fields.{id}"), heading.as_str()))).collect()
    }
}
