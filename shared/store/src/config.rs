//! The configuration table: accounts, agents, queues, lists, plans. Only `admin-api` writes it. It is read often
//! and cached for seconds.

mod cache;
mod entities;
mod keys;
mod leaving;
mod members;
mod migrations;
mod panel;
mod rights;
mod singletons;
mod templates;
mod tokens;
mod trail;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use domain::account::{Account, List, ProxyTokens};
use domain::agent::Agent;
use domain::catalog::{CannedAnswer, Disposition, KnownTag, Pause};
use domain::ids::{AgentId, IntervalId, ListId, QueueId};
use domain::interval::Interval;
use domain::queue::Queue;
use domain::trigger::Trigger;

use crate::codec::{Item, PortResult, failed, from_data, key_item, number, s, text, undecodable};
use crate::table::Table;
use cache::{Cached, CachedById, Recent};

use tokens::Tokens;

pub use entities::Entity;
pub(crate) use keys::{entity_key, leaving_key, member_key};
pub use leaving::Leaving;
pub(crate) use members::seat;
pub use singletons::Singleton;
pub use trail::AuditQuery;
pub(crate) use trail::items as audit_items;
pub use writes::{Extra, OwedWakes, Revision, Write, Written};

/// The configuration table.
#[derive(Clone)]
pub struct Configuration {
    table: Table,
    /// The table of the presences, which hold [seats](members).
    presences: Table,
    recent: Recent,
    accounts: Cached<Vec<Account>>,
    queues: Cached<BTreeMap<QueueId, Queue>>,
    agents: Cached<BTreeMap<AgentId, Agent>>,
    intervals: Cached<BTreeMap<IntervalId, Interval>>,
    lists: Cached<BTreeMap<ListId, List>>,
    pauses: Cached<Vec<Pause>>,
    dispositions: Cached<Vec<Disposition>>,
    tags: Cached<Vec<KnownTag>>,
    canned_answers: Cached<Vec<CannedAnswer>>,
    triggers: Cached<Vec<Trigger>>,
    account: CachedById<Option<Arc<Account>>>,
    proxies: CachedById<Option<ProxyTokens>>,
    owners: CachedById<Option<String>>,
    tokens: Tokens,
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configuration").field("table", &self.table.name).finish_non_exhaustive()
    }
}

impl Configuration {
    /// The configuration table with this name. The presences of members are in `interactions`.
    pub fn new(client: Client, table: impl Into<Arc<str>>, interactions: impl Into<Arc<str>>) -> Self {
        Self {
            table: Table::new(client.clone(), table),
            presences: Table::new(client, interactions),
            recent: Arc::default(),
            accounts: Arc::default(),
            queues: Arc::default(),
            agents: Arc::default(),
            intervals: Arc::default(),
            lists: Arc::default(),
            pauses: Arc::default(),
            dispositions: Arc::default(),
            tags: Arc::default(),
            canned_answers: Arc::default(),
            triggers: Arc::default(),
            account: Arc::default(),
            proxies: Arc::default(),
            owners: Arc::default(),
            tokens: Tokens::default(),
        }
    }

    /// One entity of a kind, with its version.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn get<T: Entity>(&self, id: &str) -> PortResult<Option<(T, u64)>> {
        match self.table.get(entity_key::<T>(id)).await? {
            Some(item) => Ok(Some((from_data(&item)?, number(&item, "version").ok_or_else(|| undecodable("a version"))?))),
            None => Ok(None),
        }
    }

    /// A page of the entities of a kind after the id `after`, in order of their ids.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn page<T: Entity>(&self, after: Option<&str>, limit: i32) -> PortResult<(Vec<(T, u64)>, Option<String>)> {
        let query = self.table.query().limit(limit);
        let query = query
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(T::KIND))
            .set_exclusive_start_key(after.map(|id| key_item(entity_key::<T>(id))));
        let answer = query.send().await.map_err(failed("Query"))?;
        let parse = |item: &Item| Ok((from_data(item)?, number(item, "version").ok_or_else(|| undecodable("a version"))?));
        let entities = answer.items.unwrap_or_default().iter().map(parse).collect::<PortResult<_>>()?;
        Ok((entities, answer.last_evaluated_key.and_then(|key| text(&key, "sk").map(str::to_owned))))
    }

    /// All entities of a kind.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn all<T: Entity>(&self) -> PortResult<Vec<(T, u64)>> {
        let (mut all, mut next) = self.page::<T>(None, 1_000).await?;
        while let Some(after) = next {
            let (more, rest) = self.page::<T>(Some(&after), 1_000).await?;
            all.extend(more);
            next = rest;
        }
        Ok(all)
    }
}
