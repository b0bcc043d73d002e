//! The configuration table: accounts, agents, queues, lists, plans. Written by `admin-api` only, read often, cached for seconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use domain::account::{Account, List};
use domain::agent::Agent;
use domain::catalog::{CannedAnswer, Disposition, KnownTag, Pause};
use domain::effect::Target;
use domain::ids::{AccountId, AgentId, ContactId, IntervalId, ListId, PauseId, QueueId};
use domain::interval::Interval;
use domain::plan::ActionPlan;
use domain::queue::Queue;
use engine::ports::{Directory, PortError, System, World};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{Item, PortResult, data_item, failed, from_data, item, key_item, n, number, s, text, undecodable};
use crate::keys::Key;

/// How old a cached view may be. Short, since an administrator expects a change to take effect; long enough that a burst of messages reads once.
const CACHED: Duration = Duration::from_secs(5);

/// Bounds the memory of what is cached by id; beyond it, the cache starts anew.
const CACHED_MOST: usize = 1_000;

/// Something that is configured.
pub trait Entity: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// The partition in which all of its kind lie.
    const KIND: &'static str;
    /// Its id.
    fn id(&self) -> &str;
    /// Names that no two of its kind may share, e.g. `account-key#ABC12`.
    fn unique_names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Entity for Account {
    const KIND: &'static str = "account";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("account-key#{}", self.key)]
    }
}

impl Entity for Agent {
    const KIND: &'static str = "agent";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("subject#{}", self.subject)]
    }
}

impl Entity for Queue {
    const KIND: &'static str = "queue";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for List {
    const KIND: &'static str = "list";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for Interval {
    const KIND: &'static str = "interval";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for Pause {
    const KIND: &'static str = "pause";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("pause#{}", self.name.to_lowercase())]
    }
}

impl Entity for Disposition {
    const KIND: &'static str = "disposition";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("disposition#{}", self.name.to_lowercase())]
    }
}

impl Entity for KnownTag {
    const KIND: &'static str = "tag";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("tag#{}", self.tag.as_str().to_lowercase())]
    }
}

impl Entity for CannedAnswer {
    const KIND: &'static str = "canned_answer";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

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

/// An account that is about to be deleted: no interaction is opened on it.
#[derive(Debug, Clone)]
pub struct Leaving {
    account: AccountId,
    /// Whose mark it is: of two who delete it, only the later one's counts.
    by: String,
}

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

/// What became of a transaction.
enum Transacted {
    Done,
    /// The revision has moved, or is being moved.
    Moved,
    /// The first of its actions that lost.
    Lost(usize),
}

type Cached<T> = Arc<Mutex<Option<(Arc<T>, Instant)>>>;
type CachedById<T> = Arc<Mutex<HashMap<String, (T, Instant)>>>;

/// The configuration table.
#[derive(Clone)]
pub struct Configuration {
    client: Client,
    table: Arc<str>,
    accounts: Cached<Vec<Account>>,
    queues: Cached<BTreeMap<QueueId, Queue>>,
    agents: Cached<BTreeMap<AgentId, Agent>>,
    intervals: Cached<BTreeMap<IntervalId, Interval>>,
    lists: Cached<BTreeMap<ListId, List>>,
    pauses: Cached<Vec<Pause>>,
    dispositions: Cached<Vec<String>>,
    tags: Cached<Vec<KnownTag>>,
    canned_answers: Cached<Vec<CannedAnswer>>,
    account: CachedById<Option<Arc<Account>>>,
    owners: CachedById<Option<String>>,
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configuration").field("table", &self.table).finish_non_exhaustive()
    }
}

fn entity_key<T: Entity>(id: &str) -> Key {
    Key { pk: T::KIND.to_owned(), sk: id.to_owned() }
}

fn unique_key(name: &str) -> Key {
    Key { pk: "unique".to_owned(), sk: name.to_owned() }
}

fn receive_key(token_hash: &str) -> Key {
    Key { pk: "receive".to_owned(), sk: token_hash.to_owned() }
}

fn plan_key(account: &AccountId, version: u64) -> Key {
    Key { pk: format!("plan#{account}"), sk: format!("{version:010}") }
}

fn wakes_key(id: &str) -> Key {
    Key { pk: WAKES.to_owned(), sk: id.to_owned() }
}

/// An account says that it is leaving in several items, of which each contact's first message checks one: transactions that check the same item at the same
/// instant are rivals, and a campaign has hundreds of customers write at once.
const LEAVING: u8 = 16;

/// Says that an account is leaving, until some time or, when it has left, for ever. What opens an interaction checks it.
pub(crate) fn leaving_key(account: &AccountId, contact: &ContactId) -> Key {
    leaving_mark(account, contact.as_str().bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte)) % LEAVING)
}

fn leaving_keys(account: &AccountId) -> impl Iterator<Item = Key> {
    (0..LEAVING).map(|mark| leaving_mark(account, mark))
}

fn leaving_mark(account: &AccountId, mark: u8) -> Key {
    Key { pk: format!("leaving#{account}"), sk: format!("{mark:02}") }
}

fn revision_key() -> Key {
    Key { pk: "config".to_owned(), sk: "revision".to_owned() }
}

const WAKES: &str = "wakes";

/// A write that rests on no check can lose only against a transaction on the same instant, which takes milliseconds.
const ATTEMPTS: u32 = 10;

impl Configuration {
    /// The table `table`.
    pub fn new(client: Client, table: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            table: table.into(),
            accounts: Arc::default(),
            queues: Arc::default(),
            agents: Arc::default(),
            intervals: Arc::default(),
            lists: Arc::default(),
            pauses: Arc::default(),
            dispositions: Arc::default(),
            tags: Arc::default(),
            canned_answers: Arc::default(),
            account: Arc::default(),
            owners: Arc::default(),
        }
    }

    async fn item(&self, key: Key) -> PortResult<Option<Item>> {
        let read = self.client.get_item().table_name(&*self.table).set_key(Some(key_item(key))).consistent_read(true);
        Ok(read.send().await.map_err(failed("GetItem"))?.item)
    }

    /// One of its kind, with its version.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn get<T: Entity>(&self, id: &str) -> PortResult<Option<(T, u64)>> {
        match self.item(entity_key::<T>(id)).await? {
            Some(item) => Ok(Some((from_data(&item)?, number(&item, "version").ok_or_else(|| undecodable("a version"))?))),
            None => Ok(None),
        }
    }

    /// A page of all of a kind, by id, from behind `after` on.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn page<T: Entity>(&self, after: Option<&str>, limit: i32) -> PortResult<(Vec<(T, u64)>, Option<String>)> {
        let query = self.client.query().table_name(&*self.table).consistent_read(true).limit(limit);
        let query = query
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(T::KIND))
            .set_exclusive_start_key(after.map(|id| key_item(entity_key::<T>(id))));
        let answer = query.send().await.map_err(failed("Query"))?;
        let parse = |item: &Item| Ok((from_data(item)?, number(item, "version").ok_or_else(|| undecodable("a version"))?));
        let entities = answer.items.unwrap_or_default().iter().map(parse).collect::<PortResult<_>>()?;
        Ok((entities, answer.last_evaluated_key.and_then(|key| text(&key, "sk").map(str::to_owned))))
    }

    /// All of a kind.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn all<T: Entity>(&self) -> PortResult<Vec<(T, u64)>> {
        let (mut all, mut next) = self.page::<T>(None, 1_000).await?;
        while let Some(after) = next {
            let (more, rest) = self.page::<T>(Some(&after), 1_000).await?;
            all.extend(more);
            next = rest;
        }
        Ok(all)
    }

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
        for extra in extra {
            let entry = match extra {
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

    /// Deletes an entity that has still this version, with its unique names and the other items that lead to it, where nothing else was checked.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn delete<T: Entity>(&self, entity: &T, version: u64) -> PortResult<Written> {
        for attempt in 1..ATTEMPTS {
            match self.erase(entity, version, Vec::new(), None).await? {
                Written::Moved => System.pause(attempt).await,
                outcome => return Ok(outcome),
            }
        }
        self.erase(entity, version, Vec::new(), None).await
    }

    /// As [`Configuration::delete`], if nothing was written since the revision `at`.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn delete_at<T: Entity>(&self, at: Revision, entity: &T, version: u64) -> PortResult<Written> {
        self.erase(entity, version, Vec::new(), Some(at)).await
    }

    /// From now on no interaction is opened on an account, until `until` unless it is deleted or stays before: whatever is open then is seen by who looks.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn leave(&self, account: &AccountId, by: String, until: Timestamp) -> PortResult<Leaving> {
        let put = |key| {
            let mut mark = item(key);
            mark.insert("by".to_owned(), s(&*by));
            mark.insert("until".to_owned(), n(until.as_millisecond()));
            let put = Put::builder().table_name(&*self.table).set_item(Some(mark)).build().map_err(unbuildable)?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        let marks = leaving_keys(account).map(put).collect::<PortResult<Vec<_>>>()?;
        self.mark(marks).await?;
        Ok(Leaving { account: account.clone(), by })
    }

    /// Writes marks; customers who write at the same instant are rivals. Lost conditions change nothing.
    async fn mark(&self, marks: Vec<TransactWriteItem>) -> PortResult<()> {
        let rival = |canceled: &TransactionCanceledException| {
            canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("TransactionConflict"))
        };
        for attempt in 1..=ATTEMPTS {
            let Err(error) = self.client.transact_write_items().set_transact_items(Some(marks.clone())).send().await else { return Ok(()) };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) if attempt < ATTEMPTS && rival(canceled) => {
                    System.pause(attempt).await;
                }
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) if !rival(canceled) => return Ok(()),
                _ => return Err(failed("TransactWriteItems")(error)),
            }
        }
        Ok(())
    }

    /// An account stays: interactions are opened on it again, unless somebody else is deleting it.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn stay(&self, leaving: &Leaving) -> PortResult<()> {
        let delete = |key| {
            let delete = Delete::builder().table_name(&*self.table).set_key(Some(key_item(key))).condition_expression("#by = :by");
            let delete = delete.expression_attribute_names("#by", "by").expression_attribute_values(":by", s(&*leaving.by));
            Ok(TransactWriteItem::builder().delete(delete.build().map_err(unbuildable)?).build())
        };
        let marks = leaving_keys(&leaving.account).map(delete).collect::<PortResult<Vec<_>>>()?;
        // Those of somebody else, or gone: not ours to take away.
        self.mark(marks).await
    }

    /// Deletes an account that is leaving, has nothing open, and has still this version, with its Receive URL, whose token is given by its hash. The mark
    /// that it left stays. [`Written::Moved`] when somebody else deletes it, too.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn delete_account(
        &self,
        account: &Account,
        version: u64,
        receive_token_hash: &str,
        leaving: &Leaving,
    ) -> PortResult<Written> {
        for attempt in 1..ATTEMPTS {
            match self.delete_leaving(account, version, receive_token_hash, leaving).await? {
                Written::Moved => System.pause(attempt).await,
                outcome => return Ok(outcome),
            }
        }
        self.delete_leaving(account, version, receive_token_hash, leaving).await
    }

    async fn delete_leaving(&self, account: &Account, version: u64, receive_token_hash: &str, leaving: &Leaving) -> PortResult<Written> {
        let leave = |key| {
            let left = Update::builder().table_name(&*self.table).set_key(Some(key_item(key))).update_expression("REMOVE #until");
            let left = left.condition_expression("#by = :by").expression_attribute_values(":by", s(&*leaving.by));
            let left = left.expression_attribute_names("#by", "by").expression_attribute_names("#until", "until");
            Ok(TransactWriteItem::builder().update(left.build().map_err(unbuildable)?).build())
        };
        let mut actions = vec![self.delete_action(receive_key(receive_token_hash), None)?];
        actions.extend(leaving_keys(&account.id).map(leave).collect::<PortResult<Vec<_>>>()?);
        self.erase(account, version, actions, None).await
    }

    async fn erase<T: Entity>(&self, entity: &T, version: u64, more: Vec<TransactWriteItem>, at: Option<Revision>) -> PortResult<Written> {
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

    fn delete_action(&self, key: Key, version: Option<u64>) -> PortResult<TransactWriteItem> {
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

    /// The account whose Receive URL has a token with this hash; misses are cached too.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn account_of_token(&self, token_hash: &str) -> PortResult<Option<AccountId>> {
        let owner = self.owner(receive_key(token_hash)).await?;
        Ok(owner.and_then(|id| id.parse().ok()))
    }

    /// The agent with this `sub` claim.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn agent_of_subject(&self, subject: &str) -> PortResult<Option<AgentId>> {
        let owner = self.owner(unique_key(&format!("subject#{subject}"))).await?;
        Ok(owner.and_then(|id| id.parse().ok()))
    }

    /// The pauses that agents choose from.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn pauses(&self) -> PortResult<Arc<Vec<Pause>>> {
        cached_all(&self.pauses, || self.each::<Pause>()).await
    }

    /// The tags that agents choose from.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn tags(&self) -> PortResult<Arc<Vec<KnownTag>>> {
        cached_all(&self.tags, || self.each::<KnownTag>()).await
    }

    /// The canned answers of all accounts.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn canned_answers(&self) -> PortResult<Arc<Vec<CannedAnswer>>> {
        cached_all(&self.canned_answers, || self.each::<CannedAnswer>()).await
    }

    async fn each<T: Entity>(&self) -> PortResult<Vec<T>> {
        Ok(self.all::<T>().await?.into_iter().map(|(entity, _)| entity).collect())
    }

    async fn owner(&self, key: Key) -> PortResult<Option<String>> {
        let name = format!("{}#{}", key.pk, key.sk);
        if let Some(owner) = cached(&self.owners, &name) {
            return Ok(owner);
        }
        let owner = self.item(key).await?.as_ref().and_then(|item| text(item, "owner")).map(str::to_owned);
        remember(&self.owners, name, owner.clone());
        Ok(owner)
    }

    /// Forgets what is cached: who writes sees what was written, and who is told of a change does too.
    pub fn forget(&self) {
        fn clear<T: Default>(cache: &Mutex<T>) {
            if let Ok(mut cache) = cache.lock() {
                *cache = T::default();
            }
        }
        clear(&self.accounts);
        clear(&self.queues);
        clear(&self.agents);
        clear(&self.intervals);
        clear(&self.lists);
        clear(&self.pauses);
        clear(&self.dispositions);
        clear(&self.tags);
        clear(&self.canned_answers);
        clear(&self.account);
        clear(&self.owners);
    }
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
}

/// Targets that are to be woken because the configuration changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedWakes {
    /// A ULID: these sort by time.
    pub id: String,
    /// Whom.
    pub targets: Vec<Target>,
}

fn unbuildable(error: aws_sdk_dynamodb::error::BuildError) -> PortError {
    PortError { operation: "TransactWriteItems", reason: error.to_string() }
}

fn cached<T: Clone>(cache: &CachedById<T>, id: &str) -> Option<T> {
    let cache = cache.lock().ok()?;
    cache.get(id).filter(|(_, read)| read.elapsed() < CACHED).map(|(value, _)| value.clone())
}

fn remember<T>(cache: &CachedById<T>, id: String, value: T) {
    if let Ok(mut cache) = cache.lock() {
        if cache.len() >= CACHED_MOST {
            cache.clear();
        }
        cache.insert(id, (value, Instant::now()));
    }
}

async fn cached_all<T, F: Future<Output = PortResult<T>>>(cache: &Cached<T>, read: impl FnOnce() -> F) -> PortResult<Arc<T>> {
    let known = cache.lock().ok().and_then(|cache| cache.clone()).filter(|(_, read)| read.elapsed() < CACHED);
    if let Some((value, _)) = known {
        return Ok(value);
    }
    let value = Arc::new(read().await?);
    if let Ok(mut cache) = cache.lock() {
        *cache = Some((value.clone(), Instant::now()));
    }
    Ok(value)
}

impl Directory for Configuration {
    async fn account(&self, id: &AccountId) -> PortResult<Option<Arc<Account>>> {
        if let Some(account) = cached(&self.account, id.as_str()) {
            return Ok(account);
        }
        let account = self.get::<Account>(id.as_str()).await?.map(|(account, _)| Arc::new(account));
        remember(&self.account, id.to_string(), account.clone());
        Ok(account)
    }

    async fn accounts(&self) -> PortResult<Arc<Vec<Account>>> {
        cached_all(&self.accounts, || async { Ok(self.all::<Account>().await?.into_iter().map(|(account, _)| account).collect()) }).await
    }

    async fn queue(&self, id: &QueueId) -> PortResult<Option<Queue>> {
        // A queue that was made a moment ago is in an account's plan before it is in the cached view of all.
        match self.queues().await?.get(id) {
            Some(queue) => Ok(Some(queue.clone())),
            None => Ok(self.get::<Queue>(id.as_str()).await?.map(|(queue, _)| queue)),
        }
    }

    async fn queues(&self) -> PortResult<Arc<BTreeMap<QueueId, Queue>>> {
        cached_all(&self.queues, || async {
            Ok(self.all::<Queue>().await?.into_iter().map(|(queue, _)| (queue.id.clone(), queue)).collect())
        })
        .await
    }

    async fn agents(&self) -> PortResult<Arc<BTreeMap<AgentId, Agent>>> {
        cached_all(&self.agents, || async {
            Ok(self.all::<Agent>().await?.into_iter().map(|(agent, _)| (agent.id.clone(), agent)).collect())
        })
        .await
    }

    async fn intervals(&self, ids: &[IntervalId]) -> PortResult<BTreeMap<IntervalId, Interval>> {
        let known = cached_all(&self.intervals, || async {
            Ok(self.all::<Interval>().await?.into_iter().map(|(interval, _)| (interval.id.clone(), interval)).collect())
        });
        let known: Arc<BTreeMap<IntervalId, Interval>> = known.await?;
        let mut found = BTreeMap::new();
        for id in ids {
            // As with queues: one that was made a moment ago is in a plan before it is in the cached view of all.
            let interval = match known.get(id) {
                Some(interval) => Some(interval.clone()),
                None => self.get::<Interval>(id.as_str()).await?.map(|(interval, _)| interval),
            };
            found.extend(interval.map(|interval| (id.clone(), interval)));
        }
        Ok(found)
    }

    async fn list(&self, id: &ListId) -> PortResult<Option<List>> {
        let known = cached_all(&self.lists, || async {
            Ok(self.all::<List>().await?.into_iter().map(|(list, _)| (list.id.clone(), list)).collect::<BTreeMap<_, _>>())
        });
        Ok(known.await?.get(id).cloned())
    }

    async fn dispositions(&self) -> PortResult<Arc<Vec<String>>> {
        cached_all(&self.dispositions, || async {
            Ok(self.each::<Disposition>().await?.into_iter().map(|disposition| disposition.name).collect())
        })
        .await
    }

    async fn pause(&self, id: &PauseId) -> PortResult<Option<Pause>> {
        Ok(self.pauses().await?.iter().find(|pause| pause.id == *id).cloned())
    }

    async fn plan(&self, account: &AccountId, version: u64) -> PortResult<Option<ActionPlan>> {
        self.item(plan_key(account, version)).await?.as_ref().map(from_data).transpose()
    }
}
