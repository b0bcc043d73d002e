//! Erases a customer: first the ways to it, in one transaction, so that whoever writes again is a new contact.

use audit::Entry;
use domain::contact::{Contact, Place};
use domain::effect::ConversationKey;
use domain::ids::{AccountId, ContactId, InteractionId};
use domain::interaction::Interaction;
use domain::job::Job;
use engine::ports::PortError;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::codec::{PortResult, data_item, item, n, number, versioned_item};
use crate::commit::contact_before;
use crate::config::audit_items;
use crate::interactions::{Interactions, expires};
use crate::jobs::job_item;
use crate::keys::{self, Key};
use crate::transaction::{Cause, Expression, Outcome};

/// What was erased, for whoever restores a backup: ids alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The customer's contacts.
    pub contacts: Vec<ContactId>,
    /// When.
    pub at: Timestamp,
    /// The owner who ordered it.
    pub by: String,
}

/// The outcome of an attempt to erase a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// No address leads to the customer any more. The job does the rest.
    Done,
    /// An owner holds one of the contacts.
    Held,
    /// One of the contacts was changed meanwhile, or a rival wrote: read them again.
    Changed,
}

/// How long the mark of an erased address stays. An import's file is kept for a day, and without it no import goes on.
const MARK_KEPT: SignedDuration = SignedDuration::from_hours(48);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Held,
    Changed,
}

/// The ledger of erasures, which lies in the configuration's table: that of the interactions may be restored.
fn ledger(job: &Job) -> Key {
    Key { pk: "erased".to_owned(), sk: job.id.to_string() }
}

impl Interactions {
    /// Empties all contacts of a customer and cuts their addresses off, unless an owner holds one of them. The job
    /// that does the rest is written with it, and its entries in the audit trail and the ledger, and a mark for each
    /// address, by which an import under way leaves the customer out. `contacts` are as they were read; a customer has
    /// 40 contacts and addresses at most, so that this fits one transaction.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn erase(&self, contacts: &[&Contact], job: &Job, entry: &Entry) -> PortResult<Erased> {
        let mut transaction = self.table.transaction();
        for contact in contacts {
            let erased = contact.erased_by(&job.id);
            let stored = versioned_item(keys::contact(&contact.id), &erased, erased.version, &[])?;
            transaction.put(stored, Some(contact_before(erased.version)), Lost::Changed);
            for place in contact.places() {
                transaction.delete(keys::alias(&place), None, Lost::Changed);
                let mut mark = item(keys::erased(&place));
                mark.insert("erased_at".to_owned(), n(job.created_at.as_millisecond()));
                mark.insert("expires_at".to_owned(), expires(job.created_at, MARK_KEPT));
                // An earlier one is older.
                transaction.put(mark, None, Lost::Changed);
            }
            transaction.check(keys::hold(contact.id.as_str()), Expression::absent(), Lost::Held);
        }
        transaction.put_new(job_item(job)?, Lost::Changed);
        transaction.put_new(item(keys::unfinished(&job.id)), Lost::Changed);
        let contacts = contacts.iter().map(|contact| contact.id.clone()).collect();
        let erasure = Erasure { contacts, at: job.created_at, by: job.by.who.clone() };
        transaction.put_new_in(&self.config_table, data_item(ledger(job), &erasure)?, Lost::Changed);
        for item in audit_items(entry)? {
            transaction.put_new_in(&self.config_table, item, Lost::Changed);
        }
        Ok(match transaction.send().await? {
            Outcome::Done => Erased::Done,
            Outcome::Lost(lost) if lost.contains(&(Lost::Held, Cause::Condition)) => Erased::Held,
            Outcome::Lost(_) => Erased::Changed,
            Outcome::UnderWay => return Err(PortError { operation: "TransactWriteItems", reason: "still under way".to_owned() }),
        })
    }

    /// A part of a customer's interactions on an account, newest first, from behind `before` on; and the `before` of
    /// the next part.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn of_contacts(
        &self,
        account: &AccountId,
        contacts: &[ContactId],
        before: Option<&InteractionId>,
        most: usize,
    ) -> PortResult<(Vec<Interaction>, Option<InteractionId>)> {
        let of = |contact: &ContactId| ConversationKey { account: account.clone(), contact: contact.clone() };
        let conversations: Vec<ConversationKey> = contacts.iter().map(of).collect();
        self.past(&conversations, before, i32::try_from(most).unwrap_or(i32::MAX)).await
    }

    /// Whether an owner holds one of these interactions.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn holds_any(&self, interactions: &[Interaction]) -> PortResult<bool> {
        let holds = interactions.iter().map(|interaction| keys::hold(interaction.id.as_str()));
        Ok(!self.table.batch(holds.collect()).await?.is_empty())
    }

    /// Whether a customer with one of these addresses was erased since then, in the last two days.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn was_erased(&self, places: &[Place], since: Timestamp) -> PortResult<bool> {
        let marks = self.table.batch(places.iter().map(keys::erased).collect()).await?;
        Ok(marks.iter().filter_map(|mark| number::<i64>(mark, "erased_at")).any(|at| at >= since.as_millisecond()))
    }

    /// Deletes a contact that was erased. An absent one is a success.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn forget_contact(&self, id: &ContactId) -> PortResult<()> {
        self.table.delete(keys::contact(id)).await
    }
}
