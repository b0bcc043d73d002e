//! Customers: shared by all accounts, known by one or more addresses.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ContactId, ListId};
use crate::inbound::ProfileName;
use crate::values::Address;

/// A customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Ours.
    pub id: ContactId,
    /// The list to which the customer was added.
    pub list: ListId,
    /// What the customer is called, as WhatsApp tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ProfileName>,
    /// The name by which others find the customer on WhatsApp. It can change hands: it is shown, never matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<ProfileName>,
    /// All addresses, the first one first.
    pub addresses: Vec<Address>,
    /// When the customer first wrote.
    pub created_at: Timestamp,
}
