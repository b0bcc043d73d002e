//! Notifications of agents: one item for each interaction and each account, which the next news of it replaces, and
//! one that tells up to when all were read.

use domain::effect::InteractionKey;
use domain::ids::AgentId;
use domain::message::{Author, Message};
use domain::note::Note;
use jiff::{SignedDuration, Timestamp};

use crate::codec::{Item, PortResult, data_item, failed, from_data, item, key_item, n, number, s, text};
use crate::interactions::{Interactions, expires};
use crate::keys;
use crate::table::Put;
use crate::transaction::Expression;

/// How long a notification is kept: who comes back from a holiday still finds it.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// An agent's notification.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptNote {
    /// The notification.
    pub note: Note,
    /// Whether the agent has marked it as read.
    pub marked: bool,
}

impl Interactions {
    /// Keeps an agent's notification, unless there is one at least as new about the same thing. So a repetition does
    /// not bring back what was read.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put_note(&self, agent: &AgentId, note: &Note) -> PortResult<()> {
        let mut kept = data_item(keys::note(agent, note.id()), note)?;
        kept.insert("version".to_owned(), n(note.version));
        kept.insert("expires_at".to_owned(), expires(note.at, KEPT));
        let newer = Expression::new("attribute_not_exists(pk) OR version < :version").value(":version", n(note.version));
        match self.table.put_if(kept, newer).await? {
            Put::Done | Put::Lost(_) | Put::Rival => Ok(()),
        }
    }

    /// An agent's notifications of the last 30 days, in no order.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn notes(&self, agent: &AgentId, now: Timestamp) -> PortResult<Vec<KeptNote>> {
        let items = self.table.all(keys::notes(agent), "").await?;
        let read = items.iter().find(|item| text(item, "sk") == Some(keys::NOTES_READ));
        let all_until = read.and_then(|item| number::<i64>(item, "until"));
        // The table removes expired items days later.
        let lives = |item: &&Item| number::<i64>(item, "expires_at").is_some_and(|until| now.as_second() < until);
        let notes = items.iter().filter(|item| text(item, "sk") != Some(keys::NOTES_READ)).filter(lives);
        let kept = notes.map(|item| {
            let note: Note = from_data(item)?;
            let marked = item.contains_key("read") || all_until.is_some_and(|until| note.at.as_millisecond() <= until);
            Ok(KeptNote { note, marked })
        });
        kept.collect()
    }

    /// Marks one of an agent's notifications as read, by its id. Whether there is one.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn read_note(&self, agent: &AgentId, id: &str) -> PortResult<bool> {
        use aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException;
        let update = self.table.client.update_item().table_name(&*self.table.name).set_key(Some(key_item(keys::note(agent, id))));
        let update = update.update_expression("SET #read = :one").condition_expression("attribute_exists(#data)");
        let update = update.expression_attribute_names("#read", "read").expression_attribute_names("#data", "data");
        match update.expression_attribute_values(":one", n(1)).send().await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.as_service_error(), Some(ConditionalCheckFailedException(_))) => Ok(false),
            Err(error) => Err(failed("UpdateItem")(error)),
        }
    }

    /// Marks all of an agent's notifications up to `until` as read.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn read_notes(&self, agent: &AgentId, until: Timestamp) -> PortResult<()> {
        let mut read = item(keys::notes_read(agent));
        read.insert("until".to_owned(), n(until.as_millisecond()));
        read.insert("expires_at".to_owned(), expires(until, KEPT));
        let later = Expression::new("attribute_not_exists(pk) OR #until < :until").name("#until", "until");
        self.table.put_if(read, later.value(":until", n(until.as_millisecond()))).await.map(drop)
    }

    /// How many messages the customer has written in an interaction's own thread since `from`, up to `most`.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn heard_since(&self, place: &InteractionKey, from: Timestamp, most: i32) -> PortResult<usize> {
        let (from, to) = keys::messages_from(&place.interaction, from);
        let query = self.table.query().limit(most);
        let query = query
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", s(keys::conversation(&place.conversation)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to));
        let messages = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        let messages: Vec<Message> = messages.iter().map(from_data).collect::<PortResult<_>>()?;
        Ok(messages.iter().filter(|message| message.author == Author::Customer).count())
    }
}
