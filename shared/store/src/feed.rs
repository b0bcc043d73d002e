//! Each agent's feed: a sequence of events, the sockets that get it, and the tickets that open them.

mod append;
mod memory;
#[cfg(test)]
mod model;
mod numbering;
#[cfg(test)]
mod numbering_tests;
mod table;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use domain::ids::{AccountId, AgentId, InteractionId};
use domain::news::Told;
use engine::ports::{PortError, Store};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use append::{Newest, Numbered};
pub(crate) use memory::Feeds;
use numbering::{EVENTS_KEPT, Shown};
use table::{Feed, entry_of};
pub(crate) use table::{from as events_from, number_of};

use crate::codec::{Item, PortResult, failed, from_data, item, key_item, n, number, s, text, undecodable};
use crate::config::Configuration;
use crate::interactions::{Interactions, expires};
use crate::keys;

/// How long the latest loss of a connection is kept: longer than a wake-up can live in its queue and dead-letter
/// queue together.
const LOSS_KEPT: SignedDuration = SignedDuration::from_hours(29 * 24);

/// How long a connection's row is kept. If a connection ended without notice, the next event that it doesn't accept
/// reveals that. Until then the row must exist, even after the right has ended, so it is kept as long as an event.
const CONNECTION_KEPT: SignedDuration = EVENTS_KEPT;

/// How long a connection may be opening. It is noted before API Gateway opens it, and until then a post is answered
/// as if it were gone. That takes well under a second, or some seconds with a cold start and a slow network.
const OPENING: SignedDuration = SignedDuration::from_secs(10);

/// One event of a feed. The event itself is a view, which is not the store's concern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedEvent<E> {
    /// Its number. A gap means that events are gone.
    pub seq: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// The account whose customer it shows. Entries of the version before don't name it.
    #[serde(skip)]
    pub account: Option<AccountId>,
    /// What happened.
    pub event: E,
}

/// An agent who reads the own feed.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The agent.
    pub agent: &'a AgentId,
    /// Whether the agent reads the interactions of all accounts.
    pub oversees: bool,
}

/// A page of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<E> {
    /// The events, oldest first.
    pub events: Vec<FeedEvent<E>>,
    /// The number of the feed's last event; `None` if there may be more than the page shows.
    pub last: Option<u64>,
}

/// The effect that causes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CausedBy<'a> {
    /// Its id.
    pub effect: &'a str,
    /// When it was committed, or earlier; `None` if it is not known.
    pub committed_at: Option<Timestamp>,
}

/// The result of an append.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended<E> {
    /// The event with its number. Read the connections [afterwards](Interactions::connections): a client that
    /// connects later catches up, so none misses the event.
    New(Box<FeedEvent<E>>),
    /// It was appended before.
    Repeated,
}

/// An open WebSocket connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// API Gateway's id.
    pub id: String,
    /// The agent.
    pub agent: AgentId,
    /// When it was noted, to the millisecond; the earliest time for rows that don't hold this yet.
    pub opened_at: Timestamp,
    /// When the right to the connection ends.
    pub expires_at: Timestamp,
}

impl Connection {
    /// Whether the connection may not be open yet. Its client asks for the events that it misses until then.
    pub fn is_opening(&self, now: Timestamp) -> bool {
        now.duration_since(self.opened_at) < OPENING
    }
}

impl Interactions {
    /// Appends the event of an effect, so that a repetition changes nothing. `account` is the account whose customer
    /// it shows. An effect of the last days is found among the events themselves. An older one may have been appended
    /// and removed, so instead of its event the clients are told that they are behind.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn append<E>(
        &self,
        agent: &AgentId,
        cause: CausedBy<'_>,
        event: &E,
        account: Option<&AccountId>,
        now: Timestamp,
    ) -> PortResult<Appended<E>>
    where
        E: Told + Serialize + Clone,
    {
        let feed = Feed { table: &self.table, agent, account, event };
        let _turn = self.feeds.turn(agent).await;
        let mut known = self.feeds.get(agent);
        let appended = append::append(&feed, cause, &mut known, now).await;
        self.feeds.put(agent, known);
        Ok(match appended? {
            Numbered::Repeated => Appended::Repeated,
            Numbered::New(entry) => {
                let event = if entry.late { E::expired() } else { event.clone() };
                Appended::New(Box::new(FeedEvent { seq: entry.seq, at: entry.at, account: account.cloned(), event }))
            }
        })
    }

    /// The agent's connections, including those whose right has ended, because their end may not have been noticed.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn connections(&self, agent: &AgentId) -> PortResult<Vec<Connection>> {
        Ok(self.table.all(keys::feed(agent), "CONN#").await?.iter().filter_map(|item| connection_of(agent, item)).collect())
    }

    /// The events after number `after` as the agent may read them now, oldest first, at most `limit`. An event of an
    /// account that the agent does not belong to any more keeps its number, and its content is withheld. Where events
    /// are missing, the page begins behind the last gap, with an event that tells the client that it is behind.
    ///
    /// # Errors
    /// A table can't be read.
    pub async fn events_for<E>(
        &self,
        configuration: &Configuration,
        reader: Reader<'_>,
        after: u64,
        limit: i32,
        now: Timestamp,
    ) -> PortResult<Page<E>>
    where
        E: Told + DeserializeOwned + Send + Sync,
    {
        let mut page = self.events_after::<E>(reader.agent, after, limit, now).await?;
        if reader.oversees {
            return Ok(page);
        }
        let places = self.places(&page.events).await?;
        let mut known = BTreeMap::new();
        for event in &mut page.events {
            let Some(interaction) = event.event.shows().cloned() else { continue };
            let account = event.account.as_ref().or(event.event.account()).or(places.get(&interaction));
            let reads = match account {
                Some(account) => match known.get(account) {
                    Some(reads) => *reads,
                    None => {
                        let reads = configuration.may_read(reader.agent, account).await?;
                        known.insert(account.clone(), reads);
                        reads
                    }
                },
                // The interaction was deleted.
                None => false,
            };
            if !reads {
                event.event = E::withheld(interaction);
            }
        }
        Ok(page)
    }

    /// The accounts of interactions that events of the version before don't name. A page shows few interactions.
    async fn places<E: Told>(&self, events: &[FeedEvent<E>]) -> PortResult<BTreeMap<InteractionId, AccountId>> {
        let unnamed = events.iter().filter(|event| event.account.is_none() && event.event.account().is_none());
        let interactions: std::collections::BTreeSet<InteractionId> = unnamed.filter_map(|event| event.event.shows().cloned()).collect();
        let located = interactions.into_iter().map(|interaction| async {
            let key = self.locate(&interaction).await?;
            Ok::<_, PortError>(key.map(|key| (interaction, key.conversation.account)))
        });
        Ok(try_join_all(located).await?.into_iter().flatten().collect())
    }

    async fn events_after<E>(&self, agent: &AgentId, after: u64, limit: i32, now: Timestamp) -> PortResult<Page<E>>
    where
        E: Told + DeserializeOwned,
    {
        // The event that the client has tells that it is not behind, and `HEAD` that nothing follows.
        let (mut items, ends) = table::from(&self.table, agent, after, limit.saturating_add(2)).await?;
        let head = items.pop_if(|item| table::is_head(item)).as_ref().map(table::head_of).unwrap_or_default();
        let read: Vec<_> = items.iter().filter_map(entry_of).map(|entry| (entry.seq, entry.at)).collect();
        let behind = |seq, at| FeedEvent { seq, at, account: None, event: E::expired() };
        match numbering::shown(after, usize::try_from(limit).unwrap_or_default(), &read, ends.then_some(head.seq), now) {
            Shown::Events { from, to, behind: missed, last } => {
                let missed = missed.map(|seq| Ok(behind(seq, read.get(from).map_or(now, |(_, at)| *at))));
                let events = items.iter().take(to).skip(from).map(event_of);
                Ok(Page { events: missed.into_iter().chain(events).collect::<PortResult<_>>()?, last })
            }
            Shown::AskNewest => {
                let (head, newest) = self.end(agent).await?;
                let (missed, last) = numbering::without_events(after, head, newest, now);
                Ok(Page { events: missed.map(|seq| behind(seq, now)).into_iter().collect(), last: Some(last) })
            }
        }
    }

    /// `HEAD`, and the number and time of the newest event that is there.
    async fn end(&self, agent: &AgentId) -> PortResult<(u64, Option<(u64, Timestamp)>)> {
        let Newest { head, entries, .. } = table::newest(&self.table, agent, None, 0, 2).await?;
        Ok((head.seq, entries.first().map(|entry| (entry.seq, entry.at))))
    }

    /// The number of the feed's last event; 0 if there has been none.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn last_event(&self, agent: &AgentId, now: Timestamp) -> PortResult<u64> {
        let (head, newest) = self.end(agent).await?;
        Ok(numbering::last(head, newest, now))
    }

    /// Stores a ticket under the hash of its secret.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put_ticket(&self, hash: &str, agent: &AgentId, until: Timestamp) -> PortResult<()> {
        let mut ticket = item(keys::ticket(hash));
        ticket.insert("agent".to_owned(), s(agent.as_str()));
        ticket.insert("expires_at".to_owned(), n(until.as_second()));
        self.table.put(ticket).await
    }

    /// Uses up a ticket, and returns its agent if the ticket exists and is still valid. Of two uses at the same
    /// time, one succeeds.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn take_ticket(&self, hash: &str, now: Timestamp) -> PortResult<Option<AgentId>> {
        let delete = self.table.client.delete_item().table_name(&*self.table.name).set_key(Some(key_item(keys::ticket(hash))));
        let delete = delete.condition_expression("attribute_exists(pk)").return_values(ReturnValue::AllOld);
        let ticket: HashMap<_, _> = match delete.send().await {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error) if matches!(error.as_service_error(), Some(DeleteItemError::ConditionalCheckFailedException(_))) => return Ok(None),
            Err(error) => return Err(failed("DeleteItem")(error)),
        };
        // The table removes expired items days later.
        let good = number::<i64>(&ticket, "expires_at").is_some_and(|until| now.as_second() < until);
        Ok(text(&ticket, "agent").and_then(|agent| agent.parse().ok()).filter(|_| good))
    }

    /// Notes an open connection.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn connect(&self, connection: &Connection) -> PortResult<()> {
        let mut owner = item(keys::connection_owner(&connection.id));
        owner.insert("agent".to_owned(), s(connection.agent.as_str()));
        owner.insert("expires_at".to_owned(), expires(connection.expires_at, CONNECTION_KEPT));
        for item in [owner, row_of(connection)] {
            self.table.put(item).await?;
        }
        Ok(())
    }

    /// The agent of a connection.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn connection_owner(&self, connection: &str) -> PortResult<Option<AgentId>> {
        let owner = self.table.get(keys::connection_owner(connection)).await?;
        Ok(owner.as_ref().and_then(|item| text(item, "agent")).and_then(|agent| agent.parse().ok()))
    }

    /// Forgets a connection that was lost at `at`, and notes that time. Only the latest loss is kept.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn lose(&self, agent: &AgentId, connection: &str, at: Timestamp) -> PortResult<()> {
        let mut lost = item(keys::connection_lost(agent));
        lost.insert("at".to_owned(), n(at.as_millisecond()));
        lost.insert("expires_at".to_owned(), expires(at, LOSS_KEPT));
        self.table.put(lost).await?;
        self.disconnect(agent, connection).await
    }

    /// Whether an agent who lost a connection at `at` has had no other since: none is open, and none was lost
    /// later.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn is_gone(&self, agent: &AgentId, at: Timestamp, now: Timestamp) -> PortResult<bool> {
        let lost = self.table.get(keys::connection_lost(agent)).await?;
        if lost.as_ref().and_then(|item| number::<i64>(item, "at")).is_some_and(|latest| latest > at.as_millisecond()) {
            return Ok(false);
        }
        Ok(!self.connections(agent).await?.iter().any(|connection| connection.expires_at > now))
    }

    /// Forgets a connection that ended.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn disconnect(&self, agent: &AgentId, connection: &str) -> PortResult<()> {
        for key in [keys::connection(agent, connection), keys::connection_owner(connection)] {
            self.table.delete(key).await?;
        }
        Ok(())
    }
}

fn event_of<E: Told + DeserializeOwned>(item: &Item) -> PortResult<FeedEvent<E>> {
    let entry = entry_of(item).ok_or_else(|| undecodable("an event's number"))?;
    let account = text(item, "account").and_then(|account| account.parse().ok());
    // What the late event says may be long past. Those of the version before are shown as they are.
    let event = if entry.late { E::expired() } else { from_data(item)? };
    Ok(FeedEvent { seq: entry.seq, at: entry.at, account, event })
}

fn row_of(connection: &Connection) -> Item {
    let mut row = item(keys::connection(&connection.agent, &connection.id));
    row.insert("opened_at".to_owned(), n(connection.opened_at.as_millisecond()));
    row.insert("until".to_owned(), n(connection.expires_at.as_second()));
    row.insert("expires_at".to_owned(), expires(connection.expires_at, CONNECTION_KEPT));
    row
}

/// In rows without `until`, `expires_at` was also the end of the right.
fn connection_of(agent: &AgentId, item: &Item) -> Option<Connection> {
    Some(Connection {
        id: text(item, "sk")?.strip_prefix("CONN#")?.to_owned(),
        agent: agent.clone(),
        opened_at: number(item, "opened_at").and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::UNIX_EPOCH),
        expires_at: Timestamp::from_second(number(item, "until").or_else(|| number(item, "expires_at"))?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use cloud::testing::{Call, Stub};
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    /// An event as long as a short message.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Short(String);

    impl Told for Short {
        fn shows(&self) -> Option<&InteractionId> {
            None
        }

        fn account(&self) -> Option<&AccountId> {
            None
        }

        fn withheld(_: InteractionId) -> Self {
            Self("withheld".to_owned())
        }

        fn expired() -> Self {
            Self("expired".to_owned())
        }

        fn deleted(_: InteractionId) -> Self {
            Self("deleted".to_owned())
        }
    }

    fn head(seq: u64) -> Value {
        json!({ "pk": { "S": "FEED#x" }, "sk": { "S": "HEAD" }, "seq": { "N": seq.to_string() }, "own": { "N": seq.to_string() } })
    }

    fn event(seq: u64, effect: &str, at: Timestamp) -> Value {
        let at = at.as_millisecond().to_string();
        json!({ "pk": { "S": "FEED#x" }, "sk": { "S": format!("EVENT#{seq:012}") }, "at": { "N": at }, "effect": { "S": effect }, "data": { "S": "x" } })
    }

    /// A table that answers queries with `items`, and writes with these in turn; the last one stays.
    async fn table(items: Vec<Value>, writes: Vec<(u16, Value)>) -> (Interactions, Stub) {
        let writes = Mutex::new(writes);
        let stub = Stub::start(move |call| {
            if call.operation.ends_with(".Query") {
                return Some((200, json!({ "Items": items, "Count": items.len() }).to_string()));
            }
            let mut writes = writes.lock().unwrap();
            let (status, body) = if writes.len() > 1 { writes.remove(0) } else { writes[0].clone() };
            Some((status, body.to_string()))
        })
        .await;
        (Interactions::new(stub.aws.dynamodb(), "interactions", "config"), stub)
    }

    fn operations(calls: &[Call]) -> Vec<&str> {
        calls.iter().filter_map(|call| call.operation.split('.').nth(1)).collect()
    }

    fn lost(item: &Value) -> (u16, Value) {
        (400, json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": item }))
    }

    async fn append(store: &Interactions, committed_at: Option<Timestamp>) -> Appended<Short> {
        let cause = CausedBy { effect: "int_01JAAAAAAAAAAAAAAAAAAAAAAA-12-0", committed_at };
        let account = AccountId::from_ulid(ulid::Ulid::from_parts(1, 2));
        store.append(&agent(), cause, &Short("x".repeat(500)), Some(&account), at(60)).await.unwrap()
    }

    #[tokio::test]
    async fn an_append_is_one_read_and_one_write_of_less_than_a_kilobyte() {
        let (store, stub) = table(vec![head(512), event(300, "another", at(0))], vec![(200, json!({}))]).await;
        let Appended::New(appended) = append(&store, Some(at(59))).await else { panic!("it is new") };
        assert_eq!((appended.seq, appended.at), (301, at(60)));
        let calls = stub.calls();
        assert_eq!(operations(&calls), ["Query", "PutItem"]);
        assert_eq!(calls[0].body["ConsistentRead"], true);
        assert_eq!(calls[1].body["ConditionExpression"], "attribute_not_exists(pk)");
        let item = calls[1].body["Item"].as_object().unwrap();
        // As DynamoDB counts them: names and values, and numbers with half a byte for each digit.
        let size: usize = item.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
        assert!(size < 1_024, "{size}");
        assert_eq!(item["effect"]["S"], "int_01JAAAAAAAAAAAAAAAAAAAAAAA-12-0");
    }

    /// Appends the event of another effect, committed a second before.
    async fn append_at(store: &Interactions, effect: &str, now: Timestamp) -> Appended<Short> {
        let committed_at = now.checked_sub(SignedDuration::from_secs(1)).ok();
        store.append(&agent(), CausedBy { effect, committed_at }, &Short("x".to_owned()), None, now).await.unwrap()
    }

    #[tokio::test]
    async fn a_process_that_read_the_feed_seconds_ago_only_writes() {
        let (store, stub) = table(vec![head(512), event(300, "another", at(0))], vec![(200, json!({}))]).await;
        append_at(&store, "first", at(60)).await;
        stub.calls();
        let Appended::New(appended) = append_at(&store, "second", at(64)).await else { panic!("it is new") };
        assert_eq!((appended.seq, operations(&stub.calls())), (302, vec!["PutItem"]));
        // What it appended is in the feed, whoever asks.
        assert_eq!(append_at(&store, "first", at(64)).await, Appended::Repeated);
        assert!(stub.calls().is_empty());
    }

    #[tokio::test]
    async fn later_it_reads_what_came_since() {
        let items = Mutex::new(vec![vec![head(512), event(300, "another", at(0))], vec![head(512), event(302, "other", at(80))]]);
        let stub = Stub::start(move |call| {
            let query = call.operation.ends_with(".Query");
            let items = if query { items.lock().unwrap().remove(0) } else { Vec::new() };
            Some((200, json!({ "Items": items, "Count": items.len() }).to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        append_at(&store, "first", at(60)).await;
        stub.calls();
        let Appended::New(appended) = append_at(&store, "second", at(90)).await else { panic!("it is new") };
        let calls = stub.calls();
        assert_eq!((appended.seq, operations(&calls)), (303, vec!["Query", "PutItem"]));
        assert_eq!(calls[0].body["ExpressionAttributeValues"][":first"]["S"], "EVENT#000000000302");
        // The look-back goes on in what was known.
        assert_eq!(append_at(&store, "first", at(90)).await, Appended::Repeated);
        let old = CausedBy { effect: "another", committed_at: Some(at(-1)) };
        assert_eq!(store.append(&agent(), old, &Short(String::new()), None, at(91)).await.unwrap(), Appended::Repeated);
        assert!(stub.calls().is_empty());
    }

    #[tokio::test]
    async fn a_repetition_is_one_read() {
        let own = event(300, "int_01JAAAAAAAAAAAAAAAAAAAAAAA-12-0", at(59));
        let (store, stub) = table(vec![head(512), event(301, "another", at(60)), own], vec![(200, json!({}))]).await;
        assert_eq!(append(&store, Some(at(59))).await, Appended::Repeated);
        assert_eq!(operations(&stub.calls()), ["Query"]);
    }

    #[tokio::test]
    async fn a_taken_number_leads_to_the_next_one_and_an_own_event_is_found() {
        let other = lost(&event(301, "another", at(70)));
        let (store, stub) = table(vec![head(512), event(300, "another", at(0))], vec![other.clone(), (200, json!({}))]).await;
        let Appended::New(appended) = append(&store, Some(at(59))).await else { panic!("it is new") };
        assert_eq!((appended.seq, appended.at), (302, at(70)), "times never decrease");
        assert_eq!(operations(&stub.calls()), ["Query", "PutItem", "PutItem"]);
        // A write that was tried again meets itself. The sockets get it, since the first try may not have sent it.
        let own = lost(&event(302, "int_01JAAAAAAAAAAAAAAAAAAAAAAA-12-0", at(70)));
        let (store, _stub) = table(vec![head(512), event(300, "another", at(0))], vec![other, own]).await;
        let Appended::New(appended) = append(&store, Some(at(59))).await else { panic!("it is new") };
        assert_eq!(appended.seq, 302);
    }

    #[tokio::test]
    async fn after_two_taken_numbers_what_is_newer_is_read() {
        let items = Mutex::new(vec![vec![head(512), event(300, "another", at(0))], vec![head(512), event(309, "other", at(71))]]);
        let writes = Mutex::new(vec![lost(&event(301, "another", at(70))), lost(&event(302, "third", at(70))), (200, json!({}))]);
        let stub = Stub::start(move |call| {
            if call.operation.ends_with(".Query") {
                let items = items.lock().unwrap().remove(0);
                return Some((200, json!({ "Items": items, "Count": items.len() }).to_string()));
            }
            let (status, body) = writes.lock().unwrap().remove(0);
            Some((status, body.to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let Appended::New(appended) = append(&store, Some(at(59))).await else { panic!("it is new") };
        let calls = stub.calls();
        assert_eq!((appended.seq, operations(&calls)), (310, vec!["Query", "PutItem", "PutItem", "Query", "PutItem"]));
        assert_eq!(calls[3].body["ExpressionAttributeValues"][":first"]["S"], "EVENT#000000000303", "the rest is known");
    }

    #[tokio::test]
    async fn appends_of_one_process_to_one_feed_wait_for_each_other() {
        let taken = Mutex::new(std::collections::BTreeSet::new());
        let stub = Stub::start(move |call| {
            if call.operation.ends_with(".Query") {
                return Some((200, json!({ "Items": [head(512), event(300, "another", at(0))], "Count": 2 }).to_string()));
            }
            let number = call.body["Item"]["sk"]["S"].as_str().unwrap().to_owned();
            let free = taken.lock().unwrap().insert(number);
            let (status, body) = if free { (200, json!({})) } else { lost(&event(301, "another", at(0))) };
            Some((status, body.to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let effects: Vec<String> = (0..10).map(|number| format!("effect {number}")).collect();
        futures_util::future::join_all(effects.iter().map(|effect| append_at(&store, effect, at(60)))).await;
        let calls = stub.calls();
        let count = |wanted| operations(&calls).iter().filter(|operation| **operation == wanted).count();
        assert_eq!((count("Query"), count("PutItem")), (1, 10));
    }

    #[tokio::test]
    async fn an_event_above_the_floor_raises_it_and_a_job_without_time_leaves_a_mark() {
        let (store, stub) = table(vec![head(512), event(512, "another", at(0))], vec![(200, json!({}))]).await;
        append(&store, Some(at(59))).await;
        let calls = stub.calls();
        assert_eq!(operations(&calls), ["Query", "TransactWriteItems"]);
        let writes = calls[1].body["TransactItems"].as_array().unwrap();
        assert_eq!(writes.len(), 2);
        assert_eq!(writes[0]["Update"]["ExpressionAttributeValues"], json!({ ":last": { "N": "512" }, ":seq": { "N": "768" } }));
        let (store, stub) = table(vec![head(512), event(300, "another", at(0))], vec![(200, json!({}))]).await;
        append(&store, None).await;
        let calls = stub.calls();
        let writes = calls[1].body["TransactItems"].as_array().unwrap();
        assert_eq!(writes[0]["Put"]["Item"]["sk"]["S"], "DONE#int_01JAAAAAAAAAAAAAAAAAAAAAAA-12-0");
        assert_eq!((writes.len(), &writes[1]["Put"]["Item"]["sk"]["S"]), (2, &json!("EVENT#000000000301")));
    }

    #[tokio::test]
    async fn beside_the_version_before_an_append_writes_what_that_version_reads() {
        let mut before = head(300);
        before.as_object_mut().unwrap().remove("own");
        let mut unnamed = event(300, "", at(0));
        unnamed.as_object_mut().unwrap().remove("effect");
        let (store, stub) = table(vec![before, unnamed], vec![(200, json!({}))]).await;
        let Appended::New(appended) = append(&store, Some(at(200))).await else { panic!("it is new") };
        assert_eq!(appended.seq, 301);
        let calls = stub.calls();
        assert_eq!(operations(&calls), ["Query", "TransactWriteItems"]);
        let writes = calls[1].body["TransactItems"].as_array().unwrap();
        assert_eq!(writes[0]["Put"]["Item"]["sk"]["S"], "DONE#int_01JAAAAAAAAAAAAAAAAAAAAAAA-12-0");
        assert_eq!(writes[1]["Update"]["ExpressionAttributeValues"][":seq"]["N"], "301");
    }

    #[tokio::test]
    async fn an_effect_of_a_week_ago_tells_the_client_that_it_is_behind() {
        let (store, stub) = table(vec![head(512), event(300, "another", at(0))], vec![(200, json!({}))]).await;
        let Appended::New(appended) = append(&store, Some(at(-7 * 24 * 3_600))).await else { panic!("it is new") };
        assert_eq!(appended.event, Short::expired());
        let calls = stub.calls();
        // The version before, which knows no such event, shows the late one.
        assert_eq!(calls[1].body["Item"]["data"]["S"].as_str().unwrap().len(), 500);
        assert_eq!(calls[1].body["Item"]["late"]["BOOL"], true);
    }

    #[tokio::test]
    async fn a_client_that_is_up_to_date_costs_one_read() {
        let (store, stub) = table(vec![event(300, "another", at(0)), head(512)], vec![(200, json!({}))]).await;
        let page = store.events_after::<Short>(&agent(), 300, 10, at(60)).await.unwrap();
        assert_eq!(page, Page { events: Vec::new(), last: Some(300) });
        assert_eq!(operations(&stub.calls()), ["Query"]);
    }

    #[tokio::test]
    async fn a_hole_is_told_in_the_place_of_what_is_gone() {
        let items = vec![event(300, "a", at(0)), event(513, "b", at(10)), event(514, "c", at(11)), head(768)];
        let (store, _stub) = table(items, vec![(200, json!({}))]).await;
        let page = store.events_after::<Short>(&agent(), 300, 10, at(60)).await.unwrap();
        let shown: Vec<_> = page.events.iter().map(|event| (event.seq, event.event.0.as_str())).collect();
        assert_eq!((shown, page.last), (vec![(512, "expired"), (513, "x"), (514, "x")], Some(514)));
    }

    fn agent() -> AgentId {
        AgentId::from_ulid(ulid::Ulid::from_parts(1, 1))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_connection_may_be_opening_for_some_seconds_only() {
        let connection = Connection { id: "a".to_owned(), agent: agent(), opened_at: at(0), expires_at: at(7_200) };
        assert!(connection.is_opening(at(0)) && connection.is_opening(at(9)));
        assert!(connection.is_opening(at(-1)), "another machine's clock is behind");
        assert!(!connection.is_opening(at(10)));
    }

    #[test]
    fn a_connection_is_known_for_days_after_its_right_has_ended() {
        let connection = Connection { id: "a".to_owned(), agent: agent(), opened_at: at(0), expires_at: at(7_200) };
        let row = row_of(&connection);
        assert_eq!(connection_of(&agent(), &row), Some(connection));
        assert_eq!(number::<i64>(&row, "expires_at"), Some(at(7_200 + 7 * 24 * 3_600).as_second()));
    }

    #[test]
    fn a_connection_that_was_noted_without_its_time_is_open() {
        let mut row = item(keys::connection(&agent(), "a"));
        row.insert("expires_at".to_owned(), n(at(7_200).as_second()));
        let connection = connection_of(&agent(), &row).unwrap();
        assert_eq!((connection.expires_at, connection.is_opening(at(0))), (at(7_200), false));
    }
}
