//! Keys: one function for each kind of item, so that each key is defined in one place.

use cloud::digest::sha256_hex;
use domain::business::Business;
use domain::contact::Place;
use domain::contact_index::{Entry, LEAST_DIGITS, shard_of, shelf_of};
use domain::effect::{ConversationKey, InteractionKey, MessageKey, Target};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, JobId, ListId, TriggerId};
use jiff::Timestamp;

/// Partition and sort key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

pub(crate) fn event(account: &AccountId, id: &str) -> Key {
    Key::new(format!("EVT#{account}#{id}"), "EVT")
}

/// The partition of an account's alerts.
pub(crate) fn alerts(account: &AccountId) -> String {
    format!("{ALERTS}{account}")
}

const ALERTS: &str = "ALERT#";

/// The account and the event of the alert at this key.
pub(crate) fn alert_at<'a>(pk: &str, sk: &'a str) -> Option<(AccountId, &'a str)> {
    Some((pk.strip_prefix(ALERTS)?.parse().ok()?, sk.split_once('#')?.1))
}

/// Sorts by time. `event` is the id of the event that brought it.
pub(crate) fn alert(account: &AccountId, at: Timestamp, event: &str) -> Key {
    Key::new(alerts(account), format!("{:015}#{event}", at.as_millisecond().max(0)))
}

pub(crate) fn alias(place: &Place) -> Key {
    Key::new(format!("ALIAS#{}", place.key()), "ALIAS")
}

/// The attribute of an alias with the owner for the accounts of a business.
pub(crate) fn owner_at(business: &Business) -> String {
    format!("{OWNER_AT}{}", business.as_str())
}

/// The attribute of an alias with the owner's other contacts for the accounts of a business.
pub(crate) fn linked_at(business: &Business) -> String {
    format!("linked@{}", business.as_str())
}

/// The business of an attribute with an owner.
pub(crate) fn business_of(attribute: &str) -> Option<Business> {
    attribute.strip_prefix(OWNER_AT).map(Business::from_key)
}

const OWNER_AT: &str = "owner@";

pub(crate) fn contact(id: &ContactId) -> Key {
    Key::new(format!("CON#{id}"), CONTACT)
}

/// The sort key of contacts, and of nothing else.
pub(crate) const CONTACT: &str = "CON";

pub(crate) fn conversation(key: &ConversationKey) -> String {
    format!("CONV#{}#{}", key.account, key.contact)
}

/// The conversation of this partition key.
pub(crate) fn conversation_at(pk: &str) -> Option<ConversationKey> {
    let (account, contact) = pk.strip_prefix("CONV#")?.split_once('#')?;
    Some(ConversationKey { account: account.parse().ok()?, contact: contact.parse().ok()? })
}

/// Sorts after all interactions of the conversation, so that one backward query reads the head and the newest
/// interaction.
pub(crate) const HEAD: &str = "INT~HEAD";

pub(crate) fn head(key: &ConversationKey) -> Key {
    Key::new(conversation(key), HEAD)
}

pub(crate) const INTERACTION_PREFIX: &str = "INT";

/// Sorts before all interactions of a conversation.
pub(crate) const INTERACTIONS: &str = "INT#";

/// The upper bound of the sort keys of interactions up to `newest`; without `newest`, of all interactions.
pub(crate) fn up_to(newest: Option<&InteractionId>) -> String {
    format!("{INTERACTIONS}{}", newest.map_or("~", InteractionId::as_str))
}

pub(crate) fn interaction(key: &InteractionKey) -> Key {
    Key::new(conversation(&key.conversation), format!("{INTERACTIONS}{}", key.interaction))
}

/// The interaction at this key.
pub(crate) fn interaction_at(pk: &str, sk: &str) -> Option<InteractionKey> {
    Some(InteractionKey { conversation: conversation_at(pk)?, interaction: sk.strip_prefix(INTERACTIONS)?.parse().ok()? })
}

/// The index of open interactions, by [`OPEN_OF`] and the sort key.
pub(crate) const OPEN_INDEX: &str = "open-interactions";

/// The attribute that an interaction has while it is open. It holds the account's id.
pub(crate) const OPEN_OF: &str = "open_of";

/// The attribute of an interaction by which the index of lists finds its account and shard:
/// [`Shelf::key`](domain::row::Shelf::key).
pub(crate) const LIST_OF: &str = "list_of";

/// The attribute of an interaction with its place in the index of lists:
/// [`Position::key`](domain::row::Position::key).
pub(crate) const LISTED: &str = "listed";

/// The attribute of an interaction that the index of lists holds.
pub(crate) const ROW: &str = "row";

pub(crate) fn reference(id: &InteractionId) -> Key {
    Key::new(format!("REF#{id}"), "REF")
}

pub(crate) fn messages(interaction: &InteractionId) -> String {
    format!("MSG#{interaction}#")
}

/// The bounds of the sort keys of an interaction's messages up to `at`.
pub(crate) fn messages_until(interaction: &InteractionId, at: Timestamp) -> (String, String) {
    let prefix = messages(interaction);
    let until = format!("{prefix}{}#~", millis(at));
    (prefix, until)
}

/// The bounds of the sort keys of an interaction's messages from `at` on.
pub(crate) fn messages_from(interaction: &InteractionId, at: Timestamp) -> (String, String) {
    let prefix = messages(interaction);
    (format!("{prefix}{}", millis(at)), format!("{prefix}~"))
}

pub(crate) fn message(key: &MessageKey) -> Key {
    let at = millis(key.at);
    let InteractionKey { conversation: of, interaction } = &key.interaction;
    Key::new(conversation(of), format!("MSG#{interaction}#{at}#{}", key.message))
}

/// Milliseconds in 15 digits: enough until the year 33658, and the texts sort like the numbers.
fn millis(at: Timestamp) -> String {
    format!("{:015}", at.as_millisecond().max(0))
}

pub(crate) fn provider_message(account: &AccountId, provider_id: &str) -> Key {
    Key::new(format!("PROV#{account}#{provider_id}"), "PROV")
}

/// Where calls of an interaction begin.
pub(crate) fn calls(interaction: &InteractionId) -> String {
    format!("CALL#{interaction}#")
}

/// The call that a command starts, whose id is a hash.
pub(crate) fn call(key: &InteractionKey, command: &str) -> Key {
    Key::new(conversation(&key.conversation), format!("{}{command}", calls(&key.interaction)))
}

pub(crate) fn history_prefix(interaction: &InteractionId) -> String {
    format!("HIS#{interaction}#")
}

pub(crate) fn history(key: &InteractionKey, version: u64) -> Key {
    Key::new(conversation(&key.conversation), format!("HIS#{}#{version:010}", key.interaction))
}

pub(crate) fn presence(agent: &AgentId) -> Key {
    Key::new(format!("AGENT#{agent}"), "PRESENCE")
}

/// The agent of this partition key of a presence.
pub(crate) fn agent_at(pk: &str) -> Option<AgentId> {
    pk.strip_prefix("AGENT#")?.parse().ok()
}

pub(crate) fn waiting_of(target: &Target) -> String {
    format!("WAIT#{}", target.key())
}

pub(crate) fn waiting(target: &Target, order: &str) -> Key {
    Key::new(waiting_of(target), order)
}

pub(crate) fn cursor(target: &Target) -> Key {
    Key::new(format!("CURSOR#{}", target.key()), "CURSOR")
}

pub(crate) fn command(id: &str) -> Key {
    Key::new(format!("CMD#{id}"), "CMD")
}

/// The attribute of a command's mark with the fingerprint of its body. Marks of the version before have none.
pub(crate) const BODY: &str = "body";

pub(crate) fn limit(who: &str, what: &str, window: i64) -> Key {
    Key::new(format!("LIMIT#{who}#{what}"), window.to_string())
}

/// Sorts after all events of the feed, so that one query reads it with them.
pub(crate) const FEED_HEAD: &str = "HEAD";

/// Sorts before all events of a feed.
pub(crate) const FEED_EVENTS: &str = "EVENT#";

pub(crate) fn feed(agent: &AgentId) -> String {
    format!("FEED#{agent}")
}

pub(crate) fn feed_head(agent: &AgentId) -> Key {
    Key::new(feed(agent), FEED_HEAD)
}

pub(crate) fn feed_event(agent: &AgentId, sequence: u64) -> Key {
    Key::new(feed(agent), format!("{FEED_EVENTS}{sequence:012}"))
}

pub(crate) fn feed_done(agent: &AgentId, effect: &str) -> Key {
    Key::new(feed(agent), format!("DONE#{effect}"))
}

pub(crate) fn connection(agent: &AgentId, connection: &str) -> Key {
    Key::new(feed(agent), format!("CONN#{connection}"))
}

pub(crate) fn connection_lost(agent: &AgentId) -> Key {
    Key::new(feed(agent), "LOST")
}

/// The partition of an agent's notifications.
pub(crate) fn notes(agent: &AgentId) -> String {
    format!("NOTE#{agent}")
}

/// The notification about an interaction or an account.
pub(crate) fn note(agent: &AgentId, of: &str) -> Key {
    Key::new(notes(agent), of)
}

/// Up to when an agent has read all notifications. Sorts apart from the ids of interactions and accounts.
pub(crate) const NOTES_READ: &str = "READ";

pub(crate) fn notes_read(agent: &AgentId) -> Key {
    Key::new(notes(agent), NOTES_READ)
}

pub(crate) fn ticket(hash: &str) -> Key {
    Key::new(format!("TICKET#{hash}"), "TICKET")
}

/// The key by which a connection's agent is found when the connection ends.
pub(crate) fn connection_owner(connection: &str) -> Key {
    Key::new(format!("SOCKET#{connection}"), "SOCKET")
}

/// The partition of all jobs: they are few, and a list of them is one query.
pub(crate) const JOBS: &str = "JOBS";

pub(crate) fn job(id: &JobId) -> Key {
    Key::new(JOBS, id.as_str())
}

/// The partition of the jobs that have not ended.
pub(crate) const UNFINISHED: &str = "JOBS#UNFINISHED";

pub(crate) fn unfinished(id: &JobId) -> Key {
    Key::new(UNFINISHED, id.as_str())
}

/// A part of a job's ids, counted from 0.
pub(crate) fn job_part(id: &JobId, part: u64) -> Key {
    Key::new(format!("JOB#{id}"), format!("PART#{part:06}"))
}

pub(crate) fn tombstone(id: &InteractionId) -> Key {
    Key::new(format!("GONE#{id}"), "GONE")
}

/// The hold of an interaction or a contact.
pub(crate) fn hold(id: &str) -> Key {
    Key::new(format!("HOLD#{id}"), "HOLD")
}

/// The mark of an address whose customer was erased. It tells no address: whoever knows one can only ask for it.
pub(crate) fn erased(place: &Place) -> Key {
    Key::new(format!("ERASED#{}", sha256_hex(place.key())), "ERASED")
}

/// What a preview of a job's ids has counted.
pub(crate) fn preview(id: &JobId) -> Key {
    Key::new(format!("JOB#{id}"), "PREVIEW")
}

/// The partition of all searches that people keep.
pub(crate) const SEARCHES: &str = "SEARCHES";

/// Sorts before all searches of an owner. The length comes first, since an owner may have any characters.
pub(crate) fn saved_searches_of(owner: &str) -> String {
    format!("{:03}#{owner}#", owner.len())
}

pub(crate) fn saved_search(owner: &str, name: &str) -> Key {
    saved_search_at(&format!("{}{name}", saved_searches_of(owner)))
}

/// A search by its sort key.
pub(crate) fn saved_search_at(place: &str) -> Key {
    Key::new(SEARCHES, place)
}

/// The partition of the words that begin as this one does.
pub(crate) fn words_like(word: &str) -> String {
    format!("NAME#{}", shelf_of(word))
}

/// The partition of the numbers that end as this one does, whose digits are reversed.
pub(crate) fn numbers_like(digits: &str) -> String {
    format!("TAIL#{}", digits.get(..LEAST_DIGITS).unwrap_or(digits))
}

/// A shard of the contacts on a list, or of all.
pub(crate) fn listed_in(list: Option<&ListId>, shard: u32) -> String {
    format!("LISTED#{}#{shard}", list.map_or("all", ListId::as_str))
}

/// An entry of the index of contacts. Neither words nor numbers have a `#`.
pub(crate) fn contact_entry(entry: &Entry, contact: &ContactId) -> Key {
    match entry {
        Entry::Word(word) => Key::new(words_like(word), format!("{word}#{contact}")),
        Entry::Number(digits) => Key::new(numbers_like(digits), format!("{digits}#{contact}")),
        Entry::Listed(list) => Key::new(listed_in(list.as_ref(), shard_of(contact)), contact.as_str()),
    }
}

/// The partition of a trigger's calls.
pub(crate) fn trigger(id: &TriggerId) -> String {
    format!("TRIGGER#{id}")
}

/// The failures in a row of the system that a trigger calls.
pub(crate) fn trigger_health(id: &TriggerId) -> Key {
    Key::new(trigger(id), "HEALTH")
}

/// Whose turn it is at the calls that are due.
pub(crate) fn trigger_turn(id: &TriggerId) -> Key {
    Key::new(trigger(id), "TURN")
}

/// A call that waits for its time. Sorts by that.
pub(crate) fn trigger_due(id: &TriggerId, at: Timestamp, call: &str) -> Key {
    Key::new(trigger(id), format!("{TRIGGER_DUE}{:015}#{call}", at.as_millisecond().max(0)))
}

const TRIGGER_DUE: &str = "DUE#";

/// The bounds of the sort keys of calls whose time has come.
pub(crate) fn trigger_due_until(now: Timestamp) -> (String, String) {
    (TRIGGER_DUE.to_owned(), format!("{TRIGGER_DUE}{:015}#~", now.as_millisecond().max(0)))
}

/// Sorts before all tries of a trigger.
pub(crate) const TRIGGER_TRIES: &str = "TRY#";

/// A try of a call.
pub(crate) fn trigger_try(id: &TriggerId, at: Timestamp, call: &str, attempt: u32) -> Key {
    Key::new(trigger(id), format!("{TRIGGER_TRIES}{:015}#{call}#{attempt}", at.as_millisecond().max(0)))
}

/// The kinds of items that carry effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A webhook's event.
    Event,
    /// An interaction.
    Interaction,
    /// A message.
    Message,
    /// A contact.
    Contact,
    /// An agent's presence.
    Presence,
    /// A provider's alert.
    Alert,
    /// An item without effects.
    Other,
}

/// The kind of the item with this key.
pub(crate) fn kind_of(pk: &str, sk: &str) -> Kind {
    if sk == "EVT" {
        Kind::Event
    } else if sk.starts_with("INT#") {
        Kind::Interaction
    } else if sk.starts_with("MSG#") && pk.starts_with("CONV#") {
        Kind::Message
    } else if sk == "CON" {
        Kind::Contact
    } else if sk == "PRESENCE" {
        Kind::Presence
    } else if pk.starts_with(ALERTS) {
        Kind::Alert
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::MessageId;
    use domain::values::{Address, E164};
    use serde_json::{Value, json};
    use ulid::Ulid;

    #[test]
    fn the_head_sorts_after_every_interaction_and_before_nothing_of_the_thread() {
        let newest = format!("INT#{}", InteractionId::from_ulid(Ulid::from_parts(u64::MAX >> 16, u128::MAX)));
        assert!(HEAD > newest.as_str() && HEAD < "MSG#");
    }

    /// A key of each kind of item, by the name of its function.
    fn samples() -> Vec<(&'static str, Key)> {
        let (account, contact_id, agent) = (AccountId::from_ulid(Ulid(1)), ContactId::from_ulid(Ulid(2)), AgentId::from_ulid(Ulid(4)));
        let of = ConversationKey { account: account.clone(), contact: contact_id.clone() };
        let place = InteractionKey { conversation: of.clone(), interaction: InteractionId::from_ulid(Ulid(3)) };
        let of_message = MessageKey { interaction: place.clone(), at: Timestamp::UNIX_EPOCH, message: MessageId::from_ulid(Ulid(5)) };
        let target = Target::Agent(agent.clone());
        let job_id = JobId::from_ulid(Ulid(6));
        let trigger_id = TriggerId::from_ulid(Ulid(7));
        vec![
            ("event", event(&account, "SM1")),
            ("alert", alert(&account, Timestamp::UNIX_EPOCH, "SM1")),
            ("alias", alias(&Place::before(&Address::Bsuid("CON".into())))),
            ("contact", contact(&contact_id)),
            ("head", head(&of)),
            ("interaction", interaction(&place)),
            ("reference", reference(&place.interaction)),
            ("message", message(&of_message)),
            ("provider_message", provider_message(&account, "SM1")),
            ("call", call(&place, "hash")),
            ("history", history(&place, 1)),
            ("presence", presence(&agent)),
            ("waiting", waiting(&target, "2026#int")),
            ("cursor", cursor(&target)),
            ("command", command("c")),
            ("limit", limit(agent.as_str(), "uploads", 1)),
            ("feed_head", feed_head(&agent)),
            ("feed_event", feed_event(&agent, 1)),
            ("feed_done", feed_done(&agent, "e")),
            ("connection", connection(&agent, "c")),
            ("connection_lost", connection_lost(&agent)),
            ("note", note(&agent, "int_1")),
            ("notes_read", notes_read(&agent)),
            ("ticket", ticket("h")),
            ("connection_owner", connection_owner("c")),
            ("job", job(&job_id)),
            ("unfinished", unfinished(&job_id)),
            ("job_part", job_part(&job_id, 0)),
            ("tombstone", tombstone(&place.interaction)),
            ("hold", hold("int_1")),
            ("erased", erased(&Place::before(&Address::Phone(E164::parse("+391234567").unwrap())))),
            ("preview", preview(&job_id)),
            ("saved_search", saved_search("agt_1", "vips")),
            ("saved_search_at", saved_search_at("005#agt_1#vips")),
            ("contact_entry", contact_entry(&Entry::Word("con".into()), &contact_id)),
            ("trigger_health", trigger_health(&trigger_id)),
            ("trigger_turn", trigger_turn(&trigger_id)),
            ("trigger_due", trigger_due(&trigger_id, Timestamp::UNIX_EPOCH, "int_1-1-0")),
            ("trigger_try", trigger_try(&trigger_id, Timestamp::UNIX_EPOCH, "int_1-1-0", 1)),
        ]
    }

    /// The patterns of an event source of the stream in the template.
    fn patterns(source: &str) -> Vec<Value> {
        let template = include_str!("../../../infra/template.yaml");
        let source = template.split(&format!("\n  {source}:\n")).nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        let quoted = source.lines().filter_map(|line| line.trim().strip_prefix("- Pattern: '")?.strip_suffix('\''));
        quoted.map(|pattern| serde_json::from_str(pattern).unwrap()).collect()
    }

    /// As Lambda compares: an object member by member, a list by any of its values or prefixes.
    fn lets_through(pattern: &Value, record: &Value) -> bool {
        match pattern {
            Value::Object(members) => members.iter().all(|(name, pattern)| lets_through(pattern, &record[name])),
            Value::Array(any) => any.iter().any(|one| match one["prefix"].as_str() {
                Some(prefix) => record.as_str().is_some_and(|text| text.starts_with(prefix)),
                None => one == record,
            }),
            _ => panic!("{pattern}"),
        }
    }

    #[test]
    fn the_stream_lets_through_exactly_the_records_that_can_have_effects() {
        let functions = include_str!("keys.rs").lines().filter(|line| line.starts_with("pub(crate) fn ") && line.contains("-> Key {"));
        let functions: Vec<_> = functions.map(|line| line["pub(crate) fn ".len()..].split('(').next().unwrap()).collect();
        assert_eq!(samples().iter().map(|(name, _)| *name).collect::<Vec<_>>(), functions, "each kind needs its sample");
        let patterns = patterns("DispatchStream");
        assert!(!patterns.is_empty());
        for (name, Key { pk, sk }) in samples() {
            let kind = kind_of(&pk, &sk);
            for change in ["INSERT", "MODIFY", "REMOVE"] {
                let record = json!({ "eventName": change, "dynamodb": { "Keys": { "pk": { "S": pk }, "sk": { "S": sk } } } });
                let may_have_effects = match kind {
                    Kind::Other => false,
                    // Later an event is only marked as routed, and an alert does not change.
                    Kind::Event | Kind::Alert => change == "INSERT",
                    Kind::Interaction | Kind::Message | Kind::Contact | Kind::Presence => change != "REMOVE",
                };
                let passes = patterns.iter().any(|pattern| lets_through(pattern, &record));
                assert_eq!(passes, may_have_effects, "{name} {change}");
            }
        }
    }

    #[test]
    fn the_index_is_told_of_every_change_of_a_contact_and_of_nothing_else() {
        let patterns = patterns("IndexStream");
        assert!(!patterns.is_empty());
        for (name, Key { pk, sk }) in samples() {
            for change in ["INSERT", "MODIFY", "REMOVE"] {
                let record = json!({ "eventName": change, "dynamodb": { "Keys": { "pk": { "S": pk }, "sk": { "S": sk } } } });
                let passes = patterns.iter().any(|pattern| lets_through(pattern, &record));
                assert_eq!(passes, name == "contact", "{name} {change}");
            }
        }
    }

    #[test]
    fn an_interactions_key_identifies_it() {
        let conversation = ConversationKey { account: AccountId::from_ulid(Ulid(1)), contact: ContactId::from_ulid(Ulid(2)) };
        let place = InteractionKey { conversation, interaction: InteractionId::from_ulid(Ulid(3)) };
        let Key { pk, sk } = interaction(&place);
        assert_eq!(interaction_at(&pk, &sk), Some(place));
        assert_eq!(interaction_at(&pk, HEAD), None);
    }

    #[test]
    fn a_contact_is_known_by_its_key_and_its_aliases_are_not_contacts() {
        let Key { pk, sk } = contact(&ContactId::from_ulid(Ulid::nil()));
        assert_eq!(kind_of(&pk, &sk), Kind::Contact);
        let Key { pk, sk } = alias(&Place::before(&Address::Bsuid("CON".into())));
        assert_eq!(kind_of(&pk, &sk), Kind::Other);
    }
}
