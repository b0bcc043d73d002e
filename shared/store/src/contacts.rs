//! Contacts that are taken out.

use audit::Entry;
use domain::contact::{Contact, Place};
use domain::effect::ConversationKey;
use domain::ids::AccountId;
use engine::ports::{Committed, PortError};
use jiff::Timestamp;

use crate::codec::{PortResult, n, s};
use crate::commit::committed;
use crate::config::audit_items;
use crate::interactions::Interactions;
use crate::keys;
use crate::transaction::{Cause, Expression, Outcome};

/// A transaction takes 100 actions. Ten are for the contact itself, the hold, the audit trail and the usual number of
/// addresses.
const MOST_CHECKED: usize = 90;

/// The outcome of an attempt to delete a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone: its addresses lead nowhere.
    Done,
    /// It has an interaction.
    HasInteractions,
    /// An owner holds it.
    Held,
    /// It was changed meanwhile, or a rival wrote: read it again.
    Changed,
}

/// The condition that a deletion lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    HasInteractions,
    Held,
    Changed,
}

impl Interactions {
    /// Adds a contact of an import that began at `since`, or replaces its previous version. The import has one entry
    /// in the audit trail for all. It is a conflict if an address of a new contact leads somewhere, or the contact
    /// was changed meanwhile, or a customer with one of `places`, which the row names, was erased since the import
    /// began.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn import_contact(&self, contact: &Contact, is_new: bool, places: &[Place], since: Timestamp) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        if is_new {
            transaction.add_contact(contact)?;
        } else {
            transaction.replace_contact(contact, &[])?;
        }
        for place in places {
            let not_since = Expression::new("attribute_not_exists(pk) OR erased_at < :since").value(":since", n(since.as_millisecond()));
            transaction.check(keys::erased(place), not_since, Committed::Conflict);
        }
        committed(transaction).await
    }

    /// Deletes a contact without ties to others, with its addresses, unless it has a conversation with one of
    /// `accounts` or an owner holds it. Whoever opens an interaction checks the address in that transaction, so of a
    /// message and a deletion at the same instant one is tried again.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn delete_contact(&self, contact: &Contact, accounts: &[AccountId], entry: &Entry) -> PortResult<Removed> {
        let mut transaction = self.table.transaction();
        // Contacts of the form before this one had no version.
        let as_read = match contact.version {
            0 => Expression::new("attribute_exists(pk) AND attribute_not_exists(version)"),
            version => Expression::version(version),
        };
        transaction.delete(keys::contact(&contact.id), Some(as_read), Lost::Changed);
        for place in contact.places() {
            let own =
                Expression::new("attribute_not_exists(pk) OR #owner = :id").name("#owner", "owner").value(":id", s(contact.id.as_str()));
            transaction.delete(keys::alias(&place), Some(own), Lost::Changed);
        }
        transaction.check(keys::hold(contact.id.as_str()), Expression::absent(), Lost::Held);
        for account in accounts.iter().take(MOST_CHECKED.saturating_sub(contact.places().count())) {
            let conversation = ConversationKey { account: account.clone(), contact: contact.id.clone() };
            transaction.check(keys::head(&conversation), Expression::absent(), Lost::HasInteractions);
        }
        for item in audit_items(entry)? {
            transaction.put_new_in(&self.config_table, item, Lost::Changed);
        }
        let met = |lost: &[(Lost, Cause)], what| lost.contains(&(what, Cause::Condition));
        Ok(match transaction.send().await? {
            Outcome::Done => Removed::Done,
            Outcome::Lost(lost) if met(&lost, Lost::HasInteractions) => Removed::HasInteractions,
            Outcome::Lost(lost) if met(&lost, Lost::Held) => Removed::Held,
            Outcome::Lost(_) => Removed::Changed,
            Outcome::UnderWay => return Err(PortError { operation: "TransactWriteItems", reason: "still under way".to_owned() }),
        })
    }
}
