//! Writes of entities. Each is written with its unique names, and all writes are counted, so that a check of one
//! entity against others holds.

use audit::Entry;
use domain::account::ProxyTokens;
use domain::effect::Target;
use domain::ids::AccountId;
use domain::plan::ActionPlan;
use domain::screens::Screens;
use engine::ports::{PortError, System, World};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::{WAKES, entity_key, plan_key, proxy_key, receive_key, revision_key, unique_key, wakes_key};
use super::{Configuration, Entity, audit_items};
use crate::codec::{Item, PortResult, data_item, failed, from_data, item, n, number, s};
use crate::transaction::{Cause, Expression, Outcome, Transaction};

/// The assumption of a write.
#[derive(Debug, Clone)]
pub enum Write<'a, T> {
    /// The entity is new.
    New,
    /// The entity replaces `before`, which has this version.
    Replace {
        /// The entity as it was read.
        before: &'a T,
        /// The version that it was read with.
        version: u64,
    },
}

/// The count of all writes. A change that checks one entity against others, which somebody else may be changing, is
/// written at the revision that was read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

impl Revision {
    /// That of its item; 0 if there is none.
    fn of(item: Option<&Item>) -> Self {
        Self(item.and_then(|item| number(item, "revision")).unwrap_or_default())
    }
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The entity is written and has this version now.
    Done {
        /// The version.
        version: u64,
    },
    /// Somebody changed or deleted the entity since it was read.
    Changed,
    /// Another entity of its kind has this unique name.
    Taken {
        /// The name.
        name: String,
    },
    /// Something else was written since the revision was read, so the check may not hold any more. Check and write
    /// again.
    Moved,
}

/// An item that is written together with an entity.
#[derive(Debug, Clone)]
pub enum Extra {
    /// The hash of an account's Receive URL token.
    ReceiveToken {
        /// SHA-256, hex.
        hash: String,
        /// The account.
        account: AccountId,
    },
    /// The hash of a token that was replaced: it leads to the account for some time.
    ReplacedToken {
        /// SHA-256, hex.
        hash: String,
        /// The account.
        account: AccountId,
        /// Until when.
        until: Timestamp,
    },
    /// A token that leads nowhere any more.
    EndedToken {
        /// SHA-256, hex.
        hash: String,
    },
    /// A version of an account's plan.
    Plan {
        /// The account.
        account: AccountId,
        /// The plan.
        plan: ActionPlan,
    },
    /// Targets to wake and screens to tell because of the change. They are stored until that was done, in case the
    /// process dies in between.
    Wakes(OwedWakes),
    /// What the audit trail tells of the change.
    Audit(Box<Entry>),
}

/// Targets to wake and screens to tell because the configuration changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedWakes {
    /// A ULID, so that ids sort by time.
    pub id: String,
    /// The targets.
    pub targets: Vec<Target>,
    /// Whose screens show the change. The version before does not know it and only wakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screens: Option<Screens>,
}

/// The attempts at a write without a check. It can lose only against a transaction at the same instant, which takes
/// milliseconds.
pub(super) const ATTEMPTS: u32 = 10;

/// Repeats a write while it loses against other writes at the same instant.
pub(super) async fn unless_moved<F: Future<Output = PortResult<Written>>>(write: impl Fn() -> F) -> PortResult<Written> {
    for attempt in 1..ATTEMPTS {
        match write().await? {
            Written::Moved => System.pause(attempt).await,
            outcome => return Ok(outcome),
        }
    }
    write().await
}

impl Configuration {
    /// The present revision. Read it before the entities to check.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn revision(&self) -> PortResult<Revision> {
        Ok(Revision::of(self.table.get(revision_key()).await?.as_ref()))
    }

    /// The revision as it is, or was a moment ago, for half the price.
    pub(super) async fn revision_lately(&self) -> PortResult<Revision> {
        Ok(Revision::of(self.table.get_lately(revision_key()).await?.as_ref()))
    }

    /// Writes an entity together with its unique names, without a check of other entities. An account's first write
    /// comes with the hash of its Receive URL token. A changed plan is also stored under its version, for the runs
    /// that began with it.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put<T: Entity>(&self, entity: &T, write: Write<'_, T>, extra: Vec<Extra>) -> PortResult<Written> {
        unless_moved(|| self.write(entity, &write, &extra, None)).await
    }

    /// Like [`Configuration::put`], if nothing was written since the revision `at`, so that everything that was
    /// read after it still holds.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put_at<T: Entity>(&self, at: Revision, entity: &T, write: &Write<'_, T>, extra: &[Extra]) -> PortResult<Written> {
        self.write(entity, write, extra, Some(at)).await
    }

    /// The result that a write of the entity would have now, as far as the entity itself and its unique names tell.
    /// Nothing is written.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn try_put<T: Entity>(&self, entity: &T, write: &Write<'_, T>) -> PortResult<Written> {
        let (before, version) = match write {
            Write::New => (None, 0),
            Write::Replace { before, version } => (Some(*before), *version),
        };
        let had = before.map(Entity::unique_names).unwrap_or_default();
        for name in entity.unique_names().into_iter().filter(|name| !had.contains(name)) {
            if self.table.get(unique_key(&name)).await?.is_some() {
                return Ok(Written::Taken { name });
            }
        }
        Ok(Written::Done { version: version + 1 })
    }

    async fn write<T: Entity>(&self, entity: &T, write: &Write<'_, T>, extra: &[Extra], at: Option<Revision>) -> PortResult<Written> {
        let (condition, before, version) = match write {
            Write::New => (Expression::absent(), None, 0),
            Write::Replace { before, version } => (Expression::version(*version), Some(*before), *version),
        };
        let moves = self.moves(before, entity).await?;
        let at = self.resting_on(at, &moves).await?;
        self.before_write::<T>(entity.id(), &moves).await?;
        let mut transaction = self.counted(at);
        let mut entry = data_item(entity_key::<T>(entity.id()), &*entity.stored())?;
        entry.insert("version".to_owned(), n(version + 1));
        transaction.put(entry, Some(condition), Written::Changed);
        let had = before.map(Entity::unique_names).unwrap_or_default();
        let has = entity.unique_names();
        for name in has.iter().filter(|name| !had.contains(name)) {
            let mut unique = item(unique_key(name));
            unique.insert("owner".to_owned(), s(entity.id()));
            transaction.put_new(unique, Written::Taken { name: name.clone() });
        }
        for name in had.iter().filter(|name| !has.contains(name)) {
            transaction.delete(unique_key(name), None, Written::Changed);
        }
        moves.add::<T>(&mut transaction, &self.presences.name, entity.id());
        if let Some(account) = entity.account()
            && let Some(tokens) = ProxyTokens::of(account)
        {
            transaction.put(data_item(proxy_key(&account.id), &tokens)?, None, Written::Changed);
        }
        add(&mut transaction, extra)?;
        let written = self.transact(transaction, version + 1).await?;
        if matches!(written, Written::Done { .. }) && !moves.fit() {
            // The write is done. Members without items are found in the entity itself.
            let _ = self.note_members::<T>(entity.id(), version + 1, &moves).await;
        }
        Ok(written)
    }

    /// Deletes an entity that still has this version, with its unique names and the other items that lead to it,
    /// without a check of other entities.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn delete<T: Entity>(&self, entity: &T, version: u64, extra: &[Extra]) -> PortResult<Written> {
        unless_moved(|| async {
            let mut deletion = self.deletion(entity, version, None).await?;
            add(&mut deletion, extra)?;
            self.transact(deletion, version).await
        })
        .await
    }

    /// Like [`Configuration::delete`], if nothing was written since the revision `at`.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn delete_at<T: Entity>(&self, at: Revision, entity: &T, version: u64, extra: &[Extra]) -> PortResult<Written> {
        let mut deletion = self.deletion(entity, version, Some(at)).await?;
        add(&mut deletion, extra)?;
        self.transact(deletion, version).await
    }

    /// Deletes an entity that still has this version, with its unique names.
    pub(super) async fn deletion<T: Entity>(&self, entity: &T, version: u64, at: Option<Revision>) -> PortResult<Transaction<'_, Written>> {
        self.forget_all_members(entity).await?;
        let mut transaction = self.counted(at);
        transaction.delete(entity_key::<T>(entity.id()), Some(Expression::version(version)), Written::Changed);
        for name in entity.unique_names() {
            transaction.delete(unique_key(&name), None, Written::Moved);
        }
        if let Some(account) = entity.account() {
            transaction.delete(proxy_key(&account.id), None, Written::Moved);
        }
        Ok(transaction)
    }

    /// Wakes that changes before `id` (a ULID) still owe, up to a hundred: the writing process died before it sent
    /// them.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn owed_wakes(&self, id: &str) -> PortResult<Vec<OwedWakes>> {
        // The sweep comes again, and asks for what is a minute old.
        let query = self.table.query().consistent_read(false).limit(100);
        let query = query
            .key_condition_expression("pk = :pk AND sk < :id")
            .expression_attribute_values(":pk", s(WAKES))
            .expression_attribute_values(":id", s(id));
        query.send().await.map_err(failed("Query"))?.items.unwrap_or_default().iter().map(from_data).collect()
    }

    /// Notes that the wakes were sent, so they are no longer owed.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn wakes_sent(&self, id: &str) -> PortResult<()> {
        self.table.delete(wakes_key(id)).await
    }

    /// A transaction that increments the revision, as each write does, so that other checks notice; on condition
    /// that it is still `at`, if given.
    pub(super) fn counted(&self, at: Option<Revision>) -> Transaction<'_, Written> {
        let mut transaction = self.table.transaction();
        let condition = at.map(|Revision(at)| match at {
            0 => Expression::absent(),
            _ => Expression::new("revision = :at").value(":at", n(at)),
        });
        transaction.update(revision_key(), Expression::new("ADD revision :one").value(":one", n(1)), condition, Written::Moved);
        transaction
    }

    /// Sends a transaction, after which the entity has `version`. The first lost action tells the result: any other
    /// lost to the same write, or is found again by the next attempt.
    pub(super) async fn transact(&self, transaction: Transaction<'_, Written>, version: u64) -> PortResult<Written> {
        let outcome = match transaction.send().await? {
            Outcome::Done => Written::Done { version },
            Outcome::Lost(lost) => {
                let mut lost = lost.into_iter().filter(|(_, cause)| *cause != Cause::Throttle);
                lost.next().map_or(Written::Moved, |(written, _)| written)
            }
            Outcome::UnderWay => return Err(PortError { operation: "TransactWriteItems", reason: "still under way".to_owned() }),
        };
        self.forget();
        Ok(outcome)
    }
}

/// Adds what is written together with an entity.
pub(super) fn add(transaction: &mut Transaction<'_, Written>, extra: &[Extra]) -> PortResult<()> {
    for extra in extra {
        let entry = match extra {
            Extra::Audit(entry) => {
                for item in audit_items(entry)? {
                    transaction.put_new(item, Written::Changed);
                }
                continue;
            }
            Extra::ReceiveToken { hash, account } => {
                let mut entry = item(receive_key(hash));
                entry.insert("owner".to_owned(), s(account.as_str()));
                entry
            }
            Extra::ReplacedToken { hash, account, until } => {
                let mut entry = item(receive_key(hash));
                entry.insert("owner".to_owned(), s(account.as_str()));
                entry.insert("until".to_owned(), n(until.as_millisecond()));
                entry.insert("expires_at".to_owned(), n(until.as_second() + 1));
                entry
            }
            Extra::EndedToken { hash } => {
                transaction.delete(receive_key(hash), None, Written::Changed);
                continue;
            }
            Extra::Plan { account, plan } => data_item(plan_key(account, plan.version), plan)?,
            Extra::Wakes(owed) => data_item(wakes_key(&owed.id), owed)?,
        };
        transaction.put(entry, None, Written::Changed);
    }
    Ok(())
}
