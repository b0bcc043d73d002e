//! Each agent's feed: a gapless sequence of events, the sockets that get it, and the tickets that open them.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use domain::ids::{AccountId, AgentId, InteractionId};
use domain::news::Told;
use engine::ports::{PortError, Store, System, World};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Item, PortResult, data_item, failed, from_data, item, key_item, n, number, s, text};
use crate::config::Configuration;
use crate::interactions::{Interactions, expires};
use crate::keys;
use crate::transaction::{Cause, Expression, Outcome};

/// How long events are kept. A client that was away longer reads its interactions anew.
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the marks of done effects are kept: longer than a push message can live in its queue and dead-letter
/// queue together.
const DONE_KEPT: SignedDuration = SignedDuration::from_hours(29 * 24);

/// How long a connection's row is kept. If a connection ended without notice, the next event that it doesn't accept
/// reveals that. Until then the row must exist, even after the right has ended, so it is kept as long as an event.
const CONNECTION_KEPT: SignedDuration = EVENTS_KEPT;

/// The attempts at one append. The only rivals are the other conversations of the same agent.
const ATTEMPTS: u32 = 12;

/// How long a connection may be opening. It is noted before API Gateway opens it, and until then a post is answered
/// as if it were gone. That takes well under a second, or some seconds with a cold start and a slow network.
const OPENING: SignedDuration = SignedDuration::from_secs(10);

/// One event of a feed. The event itself is a view, which is not the store's concern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedEvent<E> {
    /// Its number. The first is 1, and there are no gaps.
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

/// The condition that an append lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It was appended before.
    Repeated,
    /// Another event has its number.
    Place,
}

impl Connection {
    /// Whether the connection may not be open yet. Its client asks for the events that it misses until then.
    pub fn is_opening(&self, now: Timestamp) -> bool {
        now.duration_since(self.opened_at) < OPENING
    }
}

impl Interactions {
    /// Appends an event under the id of the effect that caused it, so that a repetition changes nothing. `account` is
    /// the account whose customer it shows.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn append<E>(
        &self,
        agent: &AgentId,
        effect: &str,
        event: &E,
        account: Option<&AccountId>,
        now: Timestamp,
    ) -> PortResult<Appended<E>>
    where
        E: Serialize + Clone,
    {
        for attempt in 1..=ATTEMPTS {
            let last = self.last_event(agent).await?;
            let seq = last + 1;
            let mut entry = data_item(keys::feed_event(agent, seq), event)?;
            entry.insert("at".to_owned(), n(now.as_millisecond()));
            entry.extend(account.map(|account| ("account".to_owned(), s(account.as_str()))));
            entry.insert("expires_at".to_owned(), expires(now, EVENTS_KEPT));
            let mut done = item(keys::feed_done(agent, effect));
            done.insert("expires_at".to_owned(), expires(now, DONE_KEPT));
            // Nothing was appended since.
            let last = if last == 0 {
                Expression::new("attribute_not_exists(seq)")
            } else {
                Expression::new("seq = :last").value(":last", n(last))
            };
            let mut transaction = self.table.transaction();
            transaction.put_new(done, Lost::Repeated);
            transaction.update(keys::feed_head(agent), Expression::new("SET seq = :seq").value(":seq", n(seq)), Some(last), Lost::Place);
            transaction.put_new(entry, Lost::Place);
            match transaction.send().await? {
                Outcome::Done => {
                    return Ok(Appended::New(Box::new(FeedEvent { seq, at: now, account: account.cloned(), event: event.clone() })));
                }
                Outcome::Lost(lost) if lost.contains(&(Lost::Repeated, Cause::Condition)) => return Ok(Appended::Repeated),
                Outcome::Lost(_) | Outcome::UnderWay => {}
            }
            System.pause(attempt).await;
        }
        Err(PortError { operation: "append", reason: format!("still in conflict after {ATTEMPTS} attempts") })
    }

    /// The agent's connections, including those whose right has ended, because their end may not have been noticed.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn connections(&self, agent: &AgentId) -> PortResult<Vec<Connection>> {
        Ok(self.table.all(keys::feed(agent), "CONN#").await?.iter().filter_map(|item| connection_of(agent, item)).collect())
    }

    /// The events after number `after` as the agent may read them now, oldest first, at most `limit`. An event of an
    /// account that the agent does not belong to any more keeps its number, and its content is withheld.
    ///
    /// # Errors
    /// A table can't be read.
    pub async fn events_for<E>(
        &self,
        configuration: &Configuration,
        reader: Reader<'_>,
        after: u64,
        limit: i32,
    ) -> PortResult<Vec<FeedEvent<E>>>
    where
        E: Told + DeserializeOwned + Send + Sync,
    {
        let mut events = self.events_after::<E>(reader.agent, after, limit).await?;
        if reader.oversees {
            return Ok(events);
        }
        let places = self.places(&events).await?;
        let mut known = BTreeMap::new();
        for event in &mut events {
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
        Ok(events)
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

    async fn events_after<E>(&self, agent: &AgentId, after: u64, limit: i32) -> PortResult<Vec<FeedEvent<E>>>
    where
        E: DeserializeOwned,
    {
        let query = self.table.query().limit(limit);
        let query = query
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", s(keys::feed(agent)))
            .expression_attribute_values(":first", s(keys::feed_event(agent, after.saturating_add(1)).sk))
            .expression_attribute_values(":last", s("EVENT#~"));
        let items = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        let parse = |item: &Item| {
            let seq = text(item, "sk").and_then(|sk| sk.strip_prefix("EVENT#")).and_then(|seq| seq.parse().ok()).unwrap_or_default();
            let at = number(item, "at").and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
            let account = text(item, "account").and_then(|account| account.parse().ok());
            Ok(FeedEvent { seq, at, account, event: from_data(item)? })
        };
        items.iter().map(parse).collect()
    }

    /// The number of the feed's last event; 0 if there is none.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn last_event(&self, agent: &AgentId) -> PortResult<u64> {
        Ok(self.table.get(keys::feed_head(agent)).await?.as_ref().and_then(|head| number(head, "seq")).unwrap_or(0))
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
        lost.insert("expires_at".to_owned(), expires(at, DONE_KEPT));
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
    use super::*;

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
