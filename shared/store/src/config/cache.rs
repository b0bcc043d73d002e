//! The cached views: data that is read often, at most some seconds old.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::account::{Account, List, ProxyTokens};
use domain::agent::{Agent, Role};
use domain::catalog::{CannedAnswer, Disposition, KnownTag, Pause};
use domain::ids::{AccountId, AgentId, IntervalId, ListId, PauseId, QueueId};
use domain::interval::Interval;
use domain::plan::ActionPlan;
use domain::queue::Queue;
use domain::trigger::Trigger;
use engine::ports::Directory;

use super::keys::{plan_key, proxy_key, unique_key};
use super::{Configuration, Entity, Revision};
use crate::codec::{PortResult, from_data, text};
use crate::keys::Key;

/// How old a cached view may be. It is short, because an administrator expects a change to take effect, but long
/// enough that a burst of messages reads once.
const CACHED: Duration = Duration::from_secs(5);

/// The most entries of a cache by id. Beyond it, the cache starts anew.
const CACHED_MOST: usize = 1_000;

/// A value, with a revision that was read before it: while that is the present revision, so is the value.
pub(super) type Cached<T> = Arc<Mutex<Option<(Arc<T>, Revision)>>>;

/// The same for single items, missing ones too.
pub(super) type CachedById<T> = Arc<Mutex<HashMap<String, (T, Revision)>>>;

/// The revision that was read last, and when it was asked for.
pub(super) type Recent = Arc<Mutex<Option<(Revision, Instant)>>>;

fn cached<T: Clone>(cache: &CachedById<T>, id: &str, at: Revision) -> Option<T> {
    let cache = cache.lock().ok()?;
    cache.get(id).filter(|(_, read)| *read == at).map(|(value, _)| value.clone())
}

fn remember<T>(cache: &CachedById<T>, id: String, value: T, at: Revision) {
    if let Ok(mut cache) = cache.lock() {
        if cache.len() >= CACHED_MOST {
            cache.clear();
        }
        cache.insert(id, (value, at));
    }
}

async fn cached_all<T, F: Future<Output = PortResult<T>>>(cache: &Cached<T>, at: Revision, read: impl FnOnce() -> F) -> PortResult<Arc<T>> {
    let known = cache.lock().ok().and_then(|cache| cache.clone()).filter(|(_, read)| *read == at);
    if let Some((value, _)) = known {
        return Ok(value);
    }
    let value = Arc::new(read().await?);
    if let Ok(mut cache) = cache.lock() {
        *cache = Some((value.clone(), at));
    }
    Ok(value)
}

impl Configuration {
    /// The revision of some seconds ago at most. All kinds lie in one partition each, and every warm function would
    /// read them whole every 5 s: this one small item tells whether anything has changed. It is not read consistently,
    /// so a change is seen a moment later than that at times. What is read after it is.
    pub(super) async fn recent_revision(&self) -> PortResult<Revision> {
        let recent = self.recent.lock().ok().and_then(|recent| *recent).filter(|(_, asked)| asked.elapsed() < CACHED);
        if let Some((revision, _)) = recent {
            return Ok(revision);
        }
        // Before the call, since the answer may lack a write of the next moment.
        let asked = Instant::now();
        let read = self.revision_lately().await?;
        let Ok(mut recent) = self.recent.lock() else { return Ok(read) };
        // Another replica may know less than the one that was asked before. What was read then does not come back.
        let revision = recent.map_or(read, |(known, _)| known.max(read));
        *recent = Some((revision, asked));
        Ok(revision)
    }
}

impl Configuration {
    /// Reads the revision as it is now, so that nothing older is returned from then on: for whoever was told of a
    /// change.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn renew(&self) -> PortResult<()> {
        let asked = Instant::now();
        let read = self.revision().await?;
        if let Ok(mut recent) = self.recent.lock() {
            *recent = Some((recent.map_or(read, |(known, _)| known.max(read)), asked));
        }
        Ok(())
    }
}

impl Configuration {
    /// The agent with this `sub` claim.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn agent_of_subject(&self, subject: &str) -> PortResult<Option<AgentId>> {
        let owner = self.owner(unique_key(&format!("subject#{subject}"))).await?;
        Ok(owner.and_then(|id| id.parse().ok()))
    }

    /// The agent's record with this `sub` claim as it is now: one consistent read. Where the cached id of the subject
    /// leads nowhere, which one more read tells, the subject is looked up again.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn record_of_subject(&self, subject: &str) -> PortResult<Option<Agent>> {
        let key = || unique_key(&format!("subject#{subject}"));
        let known = self.owner(key()).await?;
        if let Some(agent) = self.record(known, subject).await? {
            return Ok(Some(agent));
        }
        let now = self.owner_now(key(), self.recent_revision().await?).await?;
        self.record(now, subject).await
    }

    async fn record(&self, id: Option<String>, subject: &str) -> PortResult<Option<Agent>> {
        let Some(id) = id else { return Ok(None) };
        // The record may have another subject since.
        Ok(self.get::<Agent>(&id).await?.map(|(agent, _)| agent).filter(|agent| agent.subject == subject))
    }

    /// Whether an agent's record has the role owner. The last owner stays, so a yes that is cached holds; a no is
    /// asked again.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn has_owner(&self) -> PortResult<bool> {
        let is_owner = |agent: &Agent| agent.role == Role::Owner;
        Ok(self.agents().await?.values().any(is_owner) || self.each::<Agent>().await?.iter().any(is_owner))
    }

    /// The tokens that the proxy of an account may send; `None` if the account has none.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn proxy_tokens(&self, account: &Account) -> PortResult<Option<ProxyTokens>> {
        let at = self.recent_revision().await?;
        let own = match cached(&self.proxies, account.id.as_str(), at) {
            Some(own) => own,
            None => {
                let own = self.table.get(proxy_key(&account.id)).await?.as_ref().map(from_data).transpose()?;
                remember(&self.proxies, account.id.to_string(), own.clone(), at);
                own
            }
        };
        Ok(ProxyTokens::choose(account, own))
    }

    /// Completes entities with what lies in items of their own, past the cache: accounts with their proxies' tokens.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn complete<T: Entity>(&self, entities: &mut [(T, u64)]) -> PortResult<()> {
        let keys: Vec<_> = entities.iter().filter_map(|(entity, _)| entity.account()).map(|account| proxy_key(&account.id)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut tokens = BTreeMap::new();
        for item in self.table.batch(keys).await? {
            tokens.insert(text(&item, "sk").unwrap_or_default().to_owned(), from_data::<ProxyTokens>(&item)?);
        }
        for account in entities.iter_mut().filter_map(|(entity, _)| entity.account_mut()) {
            account.take_proxy_tokens(tokens.remove(account.id.as_str()));
        }
        Ok(())
    }

    /// The pauses that agents choose from.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn pauses(&self) -> PortResult<Arc<Vec<Pause>>> {
        cached_all(&self.pauses, self.recent_revision().await?, || self.each::<Pause>()).await
    }

    /// The dispositions of all accounts, with their descriptions.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn general_dispositions(&self) -> PortResult<Arc<Vec<Disposition>>> {
        cached_all(&self.dispositions, self.recent_revision().await?, || self.each::<Disposition>()).await
    }

    /// The tags that agents choose from.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn tags(&self) -> PortResult<Arc<Vec<KnownTag>>> {
        cached_all(&self.tags, self.recent_revision().await?, || self.each::<KnownTag>()).await
    }

    /// The canned answers of all accounts.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn canned_answers(&self) -> PortResult<Arc<Vec<CannedAnswer>>> {
        cached_all(&self.canned_answers, self.recent_revision().await?, || self.each::<CannedAnswer>()).await
    }

    async fn each<T: Entity>(&self) -> PortResult<Vec<T>> {
        Ok(self.all::<T>().await?.into_iter().map(|(entity, _)| entity).collect())
    }

    /// The account past the cache.
    pub(super) async fn account_now(&self, id: &AccountId) -> PortResult<Option<Arc<Account>>> {
        let at = self.recent_revision().await?;
        self.read_account(id, at).await
    }

    async fn read_account(&self, id: &AccountId, at: Revision) -> PortResult<Option<Arc<Account>>> {
        let account = self.get::<Account>(id.as_str()).await?.map(|(account, _)| Arc::new(account));
        remember(&self.account, id.to_string(), account.clone(), at);
        Ok(account)
    }

    async fn owner(&self, key: Key) -> PortResult<Option<String>> {
        let name = format!("{}#{}", key.pk, key.sk);
        let at = self.recent_revision().await?;
        if let Some(owner) = cached(&self.owners, &name, at) {
            return Ok(owner);
        }
        self.owner_now(key, at).await
    }

    /// Reads an owner, whatever is cached. `at` is a revision that was read before.
    async fn owner_now(&self, key: Key, at: Revision) -> PortResult<Option<String>> {
        let name = format!("{}#{}", key.pk, key.sk);
        let owner = self.table.get(key).await?.as_ref().and_then(|item| text(item, "owner")).map(str::to_owned);
        remember(&self.owners, name, owner.clone(), at);
        Ok(owner)
    }

    /// Clears the cache, so that a process that writes, or that learns of a change, sees the new data.
    pub fn forget(&self) {
        fn clear<T: Default>(cache: &Mutex<T>) {
            if let Ok(mut cache) = cache.lock() {
                *cache = T::default();
            }
        }
        clear(&self.recent);
        clear(&self.accounts);
        clear(&self.queues);
        clear(&self.agents);
        clear(&self.intervals);
        clear(&self.lists);
        clear(&self.pauses);
        clear(&self.dispositions);
        clear(&self.tags);
        clear(&self.canned_answers);
        clear(&self.triggers);
        clear(&self.account);
        clear(&self.proxies);
        clear(&self.owners);
        self.tokens.forget();
    }
}

impl Directory for Configuration {
    async fn account(&self, id: &AccountId) -> PortResult<Option<Arc<Account>>> {
        let at = self.recent_revision().await?;
        if let Some(account) = cached(&self.account, id.as_str(), at) {
            return Ok(account);
        }
        self.read_account(id, at).await
    }

    async fn accounts(&self) -> PortResult<Arc<Vec<Account>>> {
        cached_all(&self.accounts, self.recent_revision().await?, || async {
            Ok(self.all::<Account>().await?.into_iter().map(|(account, _)| account).collect())
        })
        .await
    }

    async fn queue(&self, id: &QueueId) -> PortResult<Option<Queue>> {
        // A queue that was made a moment ago may be in an account's plan before it is in the cached view of all
        // queues.
        match self.queues().await?.get(id) {
            Some(queue) => Ok(Some(queue.clone())),
            None => Ok(self.get::<Queue>(id.as_str()).await?.map(|(queue, _)| queue)),
        }
    }

    async fn queues(&self) -> PortResult<Arc<BTreeMap<QueueId, Queue>>> {
        cached_all(&self.queues, self.recent_revision().await?, || async {
            Ok(self.all::<Queue>().await?.into_iter().map(|(queue, _)| (queue.id.clone(), queue)).collect())
        })
        .await
    }

    async fn agents(&self) -> PortResult<Arc<BTreeMap<AgentId, Agent>>> {
        cached_all(&self.agents, self.recent_revision().await?, || async {
            Ok(self.all::<Agent>().await?.into_iter().map(|(agent, _)| (agent.id.clone(), agent)).collect())
        })
        .await
    }

    async fn intervals(&self, ids: &[IntervalId]) -> PortResult<BTreeMap<IntervalId, Interval>> {
        let known = cached_all(&self.intervals, self.recent_revision().await?, || async {
            Ok(self.all::<Interval>().await?.into_iter().map(|(interval, _)| (interval.id.clone(), interval)).collect())
        });
        let known: Arc<BTreeMap<IntervalId, Interval>> = known.await?;
        let mut found = BTreeMap::new();
        for id in ids {
            // As with queues: an interval that was made a moment ago may be in a plan before it is in the cached
            // view of all.
            let interval = match known.get(id) {
                Some(interval) => Some(interval.clone()),
                None => self.get::<Interval>(id.as_str()).await?.map(|(interval, _)| interval),
            };
            found.extend(interval.map(|interval| (id.clone(), interval)));
        }
        Ok(found)
    }

    async fn list(&self, id: &ListId) -> PortResult<Option<List>> {
        let known = cached_all(&self.lists, self.recent_revision().await?, || async {
            Ok(self.all::<List>().await?.into_iter().map(|(list, _)| (list.id.clone(), list)).collect::<BTreeMap<_, _>>())
        });
        Ok(known.await?.get(id).cloned())
    }

    async fn dispositions(&self) -> PortResult<Arc<Vec<String>>> {
        Ok(Arc::new(self.general_dispositions().await?.iter().map(|disposition| disposition.name.clone()).collect()))
    }

    async fn pause(&self, id: &PauseId) -> PortResult<Option<Pause>> {
        Ok(self.pauses().await?.iter().find(|pause| pause.id == *id).cloned())
    }

    async fn plan(&self, account: &AccountId, version: u64) -> PortResult<Option<ActionPlan>> {
        self.table.get(plan_key(account, version)).await?.as_ref().map(from_data).transpose()
    }

    async fn triggers(&self) -> PortResult<Arc<Vec<Trigger>>> {
        cached_all(&self.triggers, self.recent_revision().await?, || self.each::<Trigger>()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cloud::testing::Stub;
    use domain::fixtures;

    use super::*;

    /// A table at this revision, with one account and no agents.
    async fn table(revision: &Arc<AtomicU64>) -> (Configuration, Stub) {
        let revision = Arc::clone(revision);
        let account: serde_json::Value = serde_json::to_value(
            crate::codec::data_item(super::super::keys::entity_key::<Account>("x"), &fixtures::account())
                .map(|item| item.into_iter().map(|(name, value)| (name, attribute(&value))).collect::<serde_json::Map<_, _>>())
                .unwrap(),
        )
        .unwrap();
        let stub = Stub::start(move |call| {
            let item = match (call.operation.as_str(), call.body["Key"]["pk"]["S"].as_str()) {
                ("DynamoDB_20120810.GetItem", Some("config")) => {
                    serde_json::json!({"Item": {"revision": {"N": revision.load(Ordering::SeqCst).to_string()}}})
                }
                ("DynamoDB_20120810.GetItem", Some("account")) => {
                    let mut item = account.clone();
                    item["version"] = serde_json::json!({"N": "1"});
                    serde_json::json!({"Item": item})
                }
                ("DynamoDB_20120810.Query", _) => serde_json::json!({"Items": [], "Count": 0, "ScannedCount": 0}),
                _ => serde_json::json!({}),
            };
            Some((200, item.to_string()))
        })
        .await;
        (Configuration::new(stub.aws.dynamodb(), "config", "interactions"), stub)
    }

    /// An attribute as the service writes it.
    fn attribute(value: &aws_sdk_dynamodb::types::AttributeValue) -> serde_json::Value {
        use aws_sdk_dynamodb::types::AttributeValue as A;
        match value {
            A::S(text) => serde_json::json!({ "S": text }),
            A::N(number) => serde_json::json!({ "N": number }),
            A::Bool(bool) => serde_json::json!({ "BOOL": bool }),
            A::Null(_) => serde_json::json!({ "NULL": true }),
            A::L(list) => serde_json::json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
            A::M(map) => {
                serde_json::json!({ "M": map.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<serde_json::Map<_, _>>() })
            }
            other => panic!("{other:?}"),
        }
    }

    /// What was read: the partitions, in their order.
    fn reads(stub: &Stub) -> Vec<String> {
        let partition = |call: cloud::testing::Call| {
            let values = [&call.body["Key"]["pk"]["S"], &call.body["ExpressionAttributeValues"][":pk"]["S"]];
            values.into_iter().find_map(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        stub.calls().into_iter().map(partition).collect()
    }

    /// Lets the revision that was read last grow old.
    fn seconds_pass(configuration: &Configuration) {
        let mut recent = configuration.recent.lock().unwrap();
        *recent = recent.map(|(revision, asked)| (revision, asked.checked_sub(CACHED).unwrap()));
    }

    /// What a burst of messages asks for.
    async fn burst(configuration: &Configuration) {
        for _ in 0..3 {
            assert!(configuration.account(&fixtures::account().id).await.unwrap().is_some());
            configuration.queues().await.unwrap();
            configuration.agents().await.unwrap();
            assert_eq!(configuration.account_of_token("nobody's").await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn while_nothing_changes_one_small_item_is_read_every_five_seconds() {
        let revision = Arc::new(AtomicU64::new(7));
        let (configuration, stub) = table(&revision).await;
        burst(&configuration).await;
        // The token is looked for, then the hashes of all tokens are read.
        assert_eq!(reads(&stub), ["config", "account", "queue", "agent", "receive", "receive"]);
        for _ in 0..3 {
            burst(&configuration).await;
            assert!(reads(&stub).is_empty(), "within five seconds nothing is read");
            seconds_pass(&configuration);
            burst(&configuration).await;
            assert_eq!(reads(&stub), ["config"]);
        }
    }

    #[tokio::test]
    async fn a_change_is_seen_after_five_seconds_also_where_nothing_was_found_before() {
        let revision = Arc::new(AtomicU64::new(7));
        let (configuration, stub) = table(&revision).await;
        burst(&configuration).await;
        reads(&stub);
        revision.store(8, Ordering::SeqCst);
        burst(&configuration).await;
        assert!(reads(&stub).is_empty());
        seconds_pass(&configuration);
        burst(&configuration).await;
        assert_eq!(reads(&stub), ["config", "account", "queue", "agent", "receive", "receive"]);
    }

    #[tokio::test]
    async fn whoever_was_told_of_a_change_reads_nothing_older() {
        let revision = Arc::new(AtomicU64::new(7));
        let (configuration, stub) = table(&revision).await;
        burst(&configuration).await;
        stub.calls();
        revision.store(8, Ordering::SeqCst);
        configuration.renew().await.unwrap();
        assert_eq!(stub.calls()[0].body["ConsistentRead"], true);
        burst(&configuration).await;
        assert_eq!(reads(&stub), ["account", "queue", "agent", "receive", "receive"]);
        // Where nothing has changed, no more than the revision is read.
        configuration.renew().await.unwrap();
        burst(&configuration).await;
        assert_eq!(reads(&stub), ["config"]);
    }

    #[tokio::test]
    async fn a_replica_that_knows_less_brings_nothing_back() {
        let revision = Arc::new(AtomicU64::new(7));
        let (configuration, stub) = table(&revision).await;
        burst(&configuration).await;
        revision.store(8, Ordering::SeqCst);
        seconds_pass(&configuration);
        configuration.queues().await.unwrap();
        revision.store(7, Ordering::SeqCst);
        seconds_pass(&configuration);
        reads(&stub);
        // The queues are those of the eighth revision, and the agents of the seventh are over.
        configuration.queues().await.unwrap();
        configuration.agents().await.unwrap();
        assert_eq!(reads(&stub), ["config", "agent"]);
    }

    #[tokio::test]
    async fn the_process_that_writes_reads_anew_at_once() {
        let (configuration, stub) = table(&Arc::new(AtomicU64::new(7))).await;
        burst(&configuration).await;
        reads(&stub);
        configuration.forget();
        burst(&configuration).await;
        assert_eq!(reads(&stub).len(), 6);
    }

    #[tokio::test]
    async fn a_value_that_was_being_read_when_something_changed_is_read_again() {
        let revision = Arc::new(AtomicU64::new(7));
        let (configuration, stub) = table(&revision).await;
        let at = configuration.recent_revision().await.unwrap();
        // The change comes between the revision and the value.
        revision.store(8, Ordering::SeqCst);
        cached_all(&configuration.queues, at, || async { Ok(BTreeMap::new()) }).await.unwrap();
        seconds_pass(&configuration);
        reads(&stub);
        configuration.queues().await.unwrap();
        assert_eq!(reads(&stub), ["config", "queue"]);
    }
}
