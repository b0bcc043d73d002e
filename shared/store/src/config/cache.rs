//! The cached views: data that is read often, at most some seconds old.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::account::{Account, List};
use domain::agent::{Agent, Role};
use domain::catalog::{CannedAnswer, Disposition, KnownTag, Pause};
use domain::ids::{AccountId, AgentId, IntervalId, ListId, PauseId, QueueId};
use domain::interval::Interval;
use domain::plan::ActionPlan;
use domain::queue::Queue;
use engine::ports::Directory;

use super::keys::{plan_key, unique_key};
use super::{Configuration, Entity};
use crate::codec::{PortResult, from_data, text};
use crate::keys::Key;

/// How old a cached view may be. It is short, because an administrator expects a change to take effect, but long
/// enough that a burst of messages reads once.
const CACHED: Duration = Duration::from_secs(5);

/// The most entries of a cache by id. Beyond it, the cache starts anew.
const CACHED_MOST: usize = 1_000;

pub(super) type Cached<T> = Arc<Mutex<Option<(Arc<T>, Instant)>>>;

pub(super) type CachedById<T> = Arc<Mutex<HashMap<String, (T, Instant)>>>;

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
        let now = self.owner_now(key()).await?;
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

    /// The pauses that agents choose from.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn pauses(&self) -> PortResult<Arc<Vec<Pause>>> {
        cached_all(&self.pauses, || self.each::<Pause>()).await
    }

    /// The tags that agents choose from.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn tags(&self) -> PortResult<Arc<Vec<KnownTag>>> {
        cached_all(&self.tags, || self.each::<KnownTag>()).await
    }

    /// The canned answers of all accounts.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn canned_answers(&self) -> PortResult<Arc<Vec<CannedAnswer>>> {
        cached_all(&self.canned_answers, || self.each::<CannedAnswer>()).await
    }

    async fn each<T: Entity>(&self) -> PortResult<Vec<T>> {
        Ok(self.all::<T>().await?.into_iter().map(|(entity, _)| entity).collect())
    }

    /// The account past the cache.
    pub(super) async fn account_now(&self, id: &AccountId) -> PortResult<Option<Arc<Account>>> {
        let account = self.get::<Account>(id.as_str()).await?.map(|(account, _)| Arc::new(account));
        remember(&self.account, id.to_string(), account.clone());
        Ok(account)
    }

    async fn owner(&self, key: Key) -> PortResult<Option<String>> {
        let name = format!("{}#{}", key.pk, key.sk);
        if let Some(owner) = cached(&self.owners, &name) {
            return Ok(owner);
        }
        self.owner_now(key).await
    }

    async fn owner_now(&self, key: Key) -> PortResult<Option<String>> {
        let name = format!("{}#{}", key.pk, key.sk);
        let owner = self.table.get(key).await?.as_ref().and_then(|item| text(item, "owner")).map(str::to_owned);
        remember(&self.owners, name, owner.clone());
        Ok(owner)
    }

    /// Clears the cache, so that a process that writes, or that learns of a change, sees the new data.
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
        self.tokens.forget();
    }
}

impl Directory for Configuration {
    async fn account(&self, id: &AccountId) -> PortResult<Option<Arc<Account>>> {
        if let Some(account) = cached(&self.account, id.as_str()) {
            return Ok(account);
        }
        self.account_now(id).await
    }

    async fn accounts(&self) -> PortResult<Arc<Vec<Account>>> {
        cached_all(&self.accounts, || async { Ok(self.all::<Account>().await?.into_iter().map(|(account, _)| account).collect()) }).await
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
        self.table.get(plan_key(account, version)).await?.as_ref().map(from_data).transpose()
    }
}
