//! Writes of entities: each with its unique names, and counted, so that a check of one thing against others holds.

use audit::Entry;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use domain::effect::Target;
use domain::ids::AccountId;
use domain::plan::ActionPlan;
use engine::ports::{PortError, System, World};
use serde::{Deserialize, Serialize};

use super::keys::{WAKES, entity_key, plan_key, receive_key, revision_key, unique_key, wakes_key};
use super::{Configuration, Entity, audit_puts};
use crate::codec::{Item, PortResult, data_item, failed, from_data, item, key_item, n, number, s};
use crate::keys::Key;

/// What a write supposes.
#[derive(Debug, Clone)]
pub enum Write<'a, T> {
    /// It is new.
    New,
    /// It replaces `before`, which has this version.
    Replace {
        /// As it was read.
        before: &'a T,
        /// The version that it was read with.
        version: u64,
    },
}

/// How often anything was written. Whoever checks one thing against others, which somebody else may be changing, writes at the revision that was read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(u64);

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Written; it has this version now.
    Done {
        /// The version.
        version: u64,
    },
    /// Somebody changed or deleted it since it was read.
    Changed,
    /// Another one of its kind has this unique name.
    Taken {
        /// Which name.
        name: String,
    },
    /// Something else was written since the revision was read: what was checked may not hold any more. Check and write again.
    Moved,
}

/// What is written together with an entity.
#[derive(Debug, Clone)]
pub enum Extra {
    /// The hash of an account's Receive URL token.
    ReceiveToken {
        /// SHA-256, hex.
        hash: String,
        /// Whose.
        account: AccountId,
    },
    /// A version of an account's plan.
    Plan {
        /// Whose.
        account: AccountId,
        /// The plan.
        plan: ActionPlan,
    },
    /// Targets that are to be woken because of the change: kept until they were, should whoever writes die in between.
    Wakes(OwedWakes),
    /// What the audit trail tells of the change.
    Audit(Box<Entry>),
}

/// Targets that are to be woken because the configuration changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedWakes {
    /// A ULID: these sort by time.
    pub id: String,
    /// Whom.
    pub targets: Vec<Target>,
}

/// What became of a transaction.
enum Transacted {
    Done,
    /// The revision has moved, or is being moved.
    Moved,
    /// The first of its actions that lost.
    Lost(usize),
}

/// A write that rests on no check can lose only against a transaction on the same instant, which takes milliseconds.
pub(super) const ATTEMPTS: u32 = 10;

pub(super) fn unbuildable(error: aws_sdk_dynamodb::error::BuildError) -> PortError {
    PortError { operation: "TransactWriteItems", reason: error.to_string() }
}

impl Configuration {
    /// The revision that there is now. To be read before what is checked.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn revision(&self) -> PortResult<Revision> {
        Ok(Revision(self.item(revision_key()).await?.as_ref().and_then(|item| number(item, "revision")).unwrap_or_default()))
    }

    /// Writes an entity together with its unique names, where nothing else was checked. An account's Receive URL token is given by its hash with the first
    /// write; a plan that changed is kept under its version too, for the runs that began with it.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn put<T: Entity>(&self, entity: &T, write: Write<'_, T>, extra: Vec<Extra>) -> PortResult<Written> {
        for attempt in 1..ATTEMPTS {
            match self.write(entity, &write, &extra, None).await? {
                Written::Moved => System.pause(attempt).await,
                outcome => return Ok(outcome),
            }
        }
        self.write(entity, &write, &extra, None).await
    }

    /// As [`Configuration::put`], if nothing was written since the revision `at`: what was read after it still holds.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn put_at<T: Entity>(&self, at: Revision, entity: &T, write: &Write<'_, T>, extra: &[Extra]) -> PortResult<Written> {
        self.write(entity, write, extra, Some(at)).await
    }

    async fn write<T: Entity>(&self, entity: &T, write: &Write<'_, T>, extra: &[Extra], at: Option<Revision>) -> PortResult<Written> {
        let (condition, before, version) = match write {
            Write::New => ("attribute_not_exists(pk)", None, 0),
            Write::Replace { before, version } => ("version = :before", Some(*before), *version),
        };
        let mut entry = data_item(entity_key::<T>(entity.id()), entity)?;
        entry.insert("version".to_owned(), n(version + 1));
        let mut actions = vec![self.put_action(entry, condition, before.map(|_| version))?];
        let had = before.map(Entity::unique_names).unwrap_or_default();
        let has = entity.unique_names();
        let taken: Vec<&String> = has.iter().filter(|name| !had.contains(name)).collect();
        for name in &taken {
            let mut unique = item(unique_key(name));
            unique.insert("owner".to_owned(), s(entity.id()));
            actions.push(self.put_action(unique, "attribute_not_exists(pk)", None)?);
        }
        for name in had.iter().filter(|name| !has.contains(name)) {
            actions.push(self.delete_action(unique_key(name), None)?);
        }
        actions.extend(self.extras(extra)?);
        Ok(match self.transact(actions, at).await? {
            Transacted::Done => Written::Done { version: version + 1 },
            Transacted::Moved => Written::Moved,
            Transacted::Lost(0) => Written::Changed,
            Transacted::Lost(index) => match taken.get(index - 1) {
                Some(name) => Written::Taken { name: (*name).clone() },
                None => Written::Changed,
            },
        })
    }

    pub(super) fn extras(&self, extra: &[Extra]) -> PortResult<Vec<TransactWriteItem>> {
        let mut actions = Vec::new();
        for extra in extra {
            let entry = match extra {
                Extra::Audit(entry) => {
                    actions.extend(audit_puts(&self.table, entry)?);
                    continue;
                }
                Extra::ReceiveToken { hash, account } => {
                    let mut entry = item(receive_key(hash));
                    entry.insert("owner".to_owned(), s(account.as_str()));
                    entry
                }
                Extra::Plan { account, plan } => data_item(plan_key(account, plan.version), plan)?,
                Extra::Wakes(owed) => data_item(wakes_key(&owed.id), owed)?,
            };
            let put = Put::builder().table_name(&*self.table).set_item(Some(entry)).build().map_err(unbuildable)?;
            actions.push(TransactWriteItem::builder().put(put).build());
        }
        Ok(actions)
    }

    /// Deletes an entity that has still this version, with its unique names and the other items that lead to it, where nothing else was checked.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn delete<T: Entity>(&self, entity: &T, version: u64, extra: &[Extra]) -> PortResult<Written> {
        for attempt in 1..ATTEMPTS {
            match self.erase(entity, version, self.extras(extra)?, None).await? {
                Written::Moved => System.pause(attempt).await,
                outcome => return Ok(outcome),
            }
        }
        self.erase(entity, version, self.extras(extra)?, None).await
    }

    /// As [`Configuration::delete`], if nothing was written since the revision `at`.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn delete_at<T: Entity>(&self, at: Revision, entity: &T, version: u64, extra: &[Extra]) -> PortResult<Written> {
        self.erase(entity, version, self.extras(extra)?, Some(at)).await
    }

    pub(super) async fn erase<T: Entity>(
        &self,
        entity: &T,
        version: u64,
        more: Vec<TransactWriteItem>,
        at: Option<Revision>,
    ) -> PortResult<Written> {
        let mut actions = vec![self.delete_action(entity_key::<T>(entity.id()), Some(version))?];
        for name in entity.unique_names() {
            actions.push(self.delete_action(unique_key(&name), None)?);
        }
        actions.extend(more);
        Ok(match self.transact(actions, at).await? {
            Transacted::Done => Written::Done { version },
            Transacted::Lost(0) => Written::Changed,
            Transacted::Moved | Transacted::Lost(_) => Written::Moved,
        })
    }

    /// Wakes that changes before `id` (a ULID) owe still, up to a hundred: whoever wrote them died before they were sent.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn owed_wakes(&self, id: &str) -> PortResult<Vec<OwedWakes>> {
        let query = self.client.query().table_name(&*self.table).consistent_read(true).limit(100);
        let query = query
            .key_condition_expression("pk = :pk AND sk < :id")
            .expression_attribute_values(":pk", s(WAKES))
            .expression_attribute_values(":id", s(id));
        query.send().await.map_err(failed("Query"))?.items.unwrap_or_default().iter().map(from_data).collect()
    }

    /// The wakes were sent: they are owed no more.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn wakes_sent(&self, id: &str) -> PortResult<()> {
        let delete = self.client.delete_item().table_name(&*self.table).set_key(Some(key_item(wakes_key(id))));
        delete.send().await.map(|_| ()).map_err(failed("DeleteItem"))
    }

    fn put_action(&self, item: Item, condition: &str, before: Option<u64>) -> PortResult<TransactWriteItem> {
        let mut put = Put::builder().table_name(&*self.table).set_item(Some(item)).condition_expression(condition);
        if let Some(before) = before {
            put = put.expression_attribute_values(":before", n(before));
        }
        Ok(TransactWriteItem::builder().put(put.build().map_err(unbuildable)?).build())
    }

    pub(super) fn delete_action(&self, key: Key, version: Option<u64>) -> PortResult<TransactWriteItem> {
        let mut delete = Delete::builder().table_name(&*self.table).set_key(Some(key_item(key)));
        if let Some(version) = version {
            delete = delete.condition_expression("version = :version").expression_attribute_values(":version", n(version));
        }
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(unbuildable)?).build())
    }

    /// Every transaction counts the revision up, so that whoever checked anything notices.
    fn revision_action(&self, at: Option<Revision>) -> PortResult<TransactWriteItem> {
        let update =
            Update::builder().table_name(&*self.table).set_key(Some(key_item(revision_key()))).update_expression("ADD revision :one");
        let update = update.expression_attribute_values(":one", n(1));
        let update = match at {
            None => update,
            Some(Revision(0)) => update.condition_expression("attribute_not_exists(pk)"),
            Some(Revision(at)) => update.condition_expression("revision = :at").expression_attribute_values(":at", n(at)),
        };
        Ok(TransactWriteItem::builder().update(update.build().map_err(unbuildable)?).build())
    }

    async fn transact(&self, mut actions: Vec<TransactWriteItem>, at: Option<Revision>) -> PortResult<Transacted> {
        actions.insert(0, self.revision_action(at)?);
        let outcome = match self.client.transact_write_items().set_transact_items(Some(actions)).send().await {
            Ok(_) => Transacted::Done,
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let mut reasons = canceled.cancellation_reasons().iter();
                    let lost = reasons.position(|reason| matches!(reason.code(), Some("ConditionalCheckFailed" | "TransactionConflict")));
                    match lost {
                        // Whatever else was lost, was lost to the same write, or is found again by who starts again.
                        Some(0) => Transacted::Moved,
                        Some(index) => Transacted::Lost(index - 1),
                        None => return Err(failed("TransactWriteItems")(error)),
                    }
                }
                _ => return Err(failed("TransactWriteItems")(error)),
            },
        };
        self.forget();
        Ok(outcome)
    }
}
