//! The row by which lists and searches find an interaction without reading it.
//!
//! It is derived from the interaction and written with each of its versions. It has nothing that every message
//! changes, such as the latest message: a version that leaves the row as it was costs the index nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::effect::Target;
use crate::ids::{AccountId, AgentId, InteractionId, QueueId};
use crate::inbound::ProfileName;
use crate::insights::Sentiment;
use crate::interaction::{Interaction, Status};
use crate::priority::Priority;
use crate::tag::Tag;
use crate::text_template::fingerprint;
use crate::values::E164;

/// What lists filter by.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Whether the interaction is open or closed.
    pub status: Status,
    /// Whether it is closed and hidden from lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// The agent who has it, or had it when it closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The queue through which the agent accepted; otherwise those in which it waits or waited.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub queues: BTreeSet<QueueId>,
    /// Whether something arrived that its agent has not seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The disposition with which it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// The time of closing.
    #[serde(default, rename = "closed", skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// The customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ProfileName>,
    /// The customer's number; `None` for a customer who is known by a user id alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<E164>,
    /// Its priority among those that wait.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// The customer's mood, once insights tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<Sentiment>,
}

/// A customer's name never reaches a log.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("status", &self.status).field("archived", &self.archived).finish_non_exhaustive()
    }
}

impl Row {
    /// The row of `interaction`.
    pub fn of(interaction: &Interaction) -> Self {
        Self {
            status: interaction.status,
            archived: interaction.archived,
            agent: interaction.agent.clone(),
            queues: queues(interaction),
            unread: interaction.unread,
            tags: interaction.tags.clone(),
            disposition: interaction.disposition.clone(),
            closed_at: interaction.closed_at,
            name: interaction.customer_name.clone(),
            phone: interaction.address.phone().cloned(),
            priority: interaction.priority,
            sentiment: interaction.insights.map(|insights| insights.sentiment),
        }
    }
}

/// A wait that asks no queue, such as one for another system's answer, is within a run that may have tried some.
fn queues(interaction: &Interaction) -> BTreeSet<QueueId> {
    if let Some(queue) = &interaction.accepted_via {
        return BTreeSet::from([queue.clone()]);
    }
    let asked = interaction.wait.iter().flat_map(|wait| &wait.targets).filter_map(|target| match target {
        Target::Queue(queue) => Some(queue.clone()),
        Target::Agent(_) | Target::Account(_) => None,
    });
    let asked: BTreeSet<QueueId> = asked.collect();
    if asked.is_empty() { interaction.tried.iter().cloned().collect() } else { asked }
}

/// What must hold of a row. All that is given must.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Its state; without one, archived interactions are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Whether something arrived that its agent has not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<bool>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// One of its queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueId>,
    /// Tags that it has, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// The state of an interaction in lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is under way.
    Open,
    /// It is closed, and not archived.
    Closed,
    /// It is closed and hidden from lists.
    Archived,
}

impl Row {
    /// Its state.
    pub fn state(&self) -> State {
        match self.status {
            Status::Open => State::Open,
            Status::Closed if self.archived => State::Archived,
            Status::Closed => State::Closed,
        }
    }
}

impl Filter {
    /// Whether a list with this filter shows the row.
    pub fn matches(&self, row: &Row) -> bool {
        let state = match self.state {
            Some(state) => row.state() == state,
            None => row.state() != State::Archived,
        };
        state
            && self.unread.is_none_or(|unread| row.unread == unread)
            && self.agent.as_ref().is_none_or(|agent| row.agent.as_ref() == Some(agent))
            && self.queue.as_ref().is_none_or(|queue| row.queues.contains(queue))
            && self.tags.iter().all(|tag| row.tags.contains(tag))
    }

    /// Whether it takes all rows of the shelves that it asks for.
    pub fn takes_all(&self) -> bool {
        let Self { state, unread, agent, queue, tags } = self;
        !matches!(state, Some(State::Open | State::Closed)) && unread.is_none() && agent.is_none() && queue.is_none() && tags.is_empty()
    }
}

/// A stretch of time: from its first instant until before its last one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Span {
    /// The first instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The first instant after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether `at` is in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// The place after which the next page begins, as clients send it back. It is bound to what was asked for. It guards
/// against mistakes only: a forged one shows nothing that its maker may not see.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// The cursor after `position` of what `asked` describes.
    pub fn write(position: &Position, asked: &str) -> String {
        let place = format!("{}-{}", position.opened, position.interaction);
        format!("{place}-{:08x}", fingerprint(&format!("{place} {asked}")))
    }

    /// The position of a cursor of what `asked` describes.
    pub fn read(text: &str, asked: &str) -> Option<Position> {
        let (place, _) = text.rsplit_once('-')?;
        let (opened, interaction) = place.split_once('-')?;
        let opened = opened.parse().ok().filter(|opened| Timestamp::from_millisecond(*opened).is_ok())?;
        let position = Position { opened, interaction: interaction.parse().ok()? };
        (Self::write(&position, asked) == text).then_some(position)
    }
}

/// A row with its place in the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The list that it is in.
    pub shelf: Shelf,
    /// Its place there, by the time of opening, which never changes.
    pub position: Position,
    /// The row.
    pub row: Row,
}

impl Listing {
    /// The place and row of `interaction`. One that was merged into an older one has none: its messages are in the
    /// older one's thread, so a list that showed both would show one conversation twice.
    pub fn of(interaction: &Interaction) -> Option<Self> {
        let Interaction { id, account, archived, .. } = interaction;
        let listing = || Self {
            shelf: Shelf::of(account, *archived, id),
            position: Position::of(interaction.opened_at, id),
            row: Row::of(interaction),
        };
        interaction.merged_into.is_none().then(listing)
    }
}

/// A part of an account's interactions. An account has several: a key whose rows only grow is never split by
/// DynamoDB, and would take some 1,000 writes a second at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shelf {
    account: AccountId,
    archived: bool,
    shard: u32,
}

impl Shelf {
    /// The shards of an account's interactions. With six writes an interaction they take 660 new ones a second, and
    /// a page asks each of them once.
    pub const SHARDS: u32 = 4;

    /// The shelf of an interaction.
    pub fn of(account: &AccountId, archived: bool, interaction: &InteractionId) -> Self {
        // The first bits of an id are its time. The hash spreads those of one millisecond too.
        Self { account: account.clone(), archived, shard: fingerprint(interaction.as_str()) % Self::SHARDS }
    }

    /// All shelves of an account: those of its archived interactions, or of all others.
    pub fn all(account: &AccountId, archived: bool) -> impl Iterator<Item = Self> {
        (0..Self::SHARDS).map(move |shard| Self { account: account.clone(), archived, shard })
    }

    /// The account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Whether it is one of archived interactions.
    pub fn is_of_archived(&self) -> bool {
        self.archived
    }

    /// Its key: `acc_…#2`, or `acc_…#A2` for archived interactions.
    pub fn key(&self) -> String {
        format!("{}#{}{}", self.account, if self.archived { "A" } else { "" }, self.shard)
    }
}

/// The place of an interaction in its list: when it was opened, and its id. Places sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    opened: i64,
    interaction: InteractionId,
}

impl Position {
    /// The place of the interaction that was opened at `opened_at`.
    pub fn of(opened_at: Timestamp, interaction: &InteractionId) -> Self {
        Self { opened: opened_at.as_millisecond().max(0), interaction: interaction.clone() }
    }

    /// The interaction.
    pub fn interaction(&self) -> &InteractionId {
        &self.interaction
    }

    /// The time of opening, to the millisecond.
    pub fn opened_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.opened).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Its key: milliseconds in 15 digits, which is enough until the year 33658, then the id.
    pub fn key(&self) -> String {
        format!("{}{}", Self::from(self.opened_at()), self.interaction)
    }

    /// The place before all of those opened at `at` or later.
    pub fn before_all(at: Timestamp) -> Self {
        Self::of(at, &InteractionId::from_ulid(Ulid::nil()))
    }

    /// The key before all of those opened at `at` or later.
    pub fn from(at: Timestamp) -> String {
        format!("{:015}#", at.as_millisecond().max(0))
    }

    /// The place with this key.
    pub fn parse(key: &str) -> Option<Self> {
        let (opened, interaction) = key.split_once('#')?;
        let digits = opened.len() == 15 && opened.bytes().all(|byte| byte.is_ascii_digit());
        let opened = opened.parse().ok().filter(|_| digits)?;
        Timestamp::from_millisecond(opened).ok()?;
        Some(Self { opened, interaction: interaction.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fixtures;
    use crate::interaction::{LastMessage, Stage, Wait};
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn open() -> Interaction {
        fixtures::interaction(Status::Open, at("2026-03-01T12:00:00.25Z"))
    }

    fn queue(number: u128) -> QueueId {
        QueueId::from_ulid(Ulid(number))
    }

    fn waits_for(targets: Vec<Target>) -> Option<Wait> {
        let stage = Stage::Step { index: 0, plan: 1 };
        Some(Wait { id: 1, stage, targets, until: None, rejected: Vec::new(), missed: Vec::new(), offer: None })
    }

    #[test]
    fn a_message_that_the_agent_sees_at_once_leaves_the_row_as_it_was() {
        let before = Interaction { tab_open: true, ..open() };
        let last = Some(LastMessage { at: at("2026-03-01T13:00:00Z"), from_customer: true });
        let after = Interaction { version: 2, last_message: last, heard_at: Some(before.opened_at), ..before.clone() };
        assert_eq!(Listing::of(&after), Listing::of(&before));
    }

    #[test]
    fn the_queue_that_was_accepted_through_counts_and_otherwise_those_that_were_asked() {
        let tried = Interaction { tried: vec![queue(1), queue(2)], ..open() };
        assert_eq!(Row::of(&tried).queues, [queue(1), queue(2)].into());
        let asks = Interaction { wait: waits_for(vec![Target::Queue(queue(2))]), ..tried.clone() };
        assert_eq!(Row::of(&asks).queues, [queue(2)].into());
        let asks_an_agent = Interaction { wait: waits_for(vec![Target::Agent(AgentId::from_ulid(Ulid(9)))]), ..tried };
        assert_eq!(Row::of(&asks_an_agent).queues, [queue(1), queue(2)].into());
        let accepted = Interaction { accepted_via: Some(queue(3)), ..asks };
        assert_eq!(Row::of(&accepted).queues, [queue(3)].into());
    }

    #[test]
    fn an_archived_interaction_is_on_a_shelf_of_its_own_and_a_merged_one_on_none() {
        let closed = Interaction { status: Status::Closed, ..open() };
        let shelf = Listing::of(&closed).unwrap().shelf;
        assert!(Shelf::all(&closed.account, false).any(|one| one == shelf));
        let archived = Interaction { archived: true, ..closed.clone() };
        let shelf = Listing::of(&archived).unwrap().shelf;
        assert!(Shelf::all(&closed.account, true).any(|one| one == shelf) && shelf.key().contains("#A"));
        let merged = Interaction { merged_into: Some(open().key()), ..closed };
        assert_eq!(Listing::of(&merged), None);
    }

    #[test]
    fn interactions_of_one_millisecond_are_spread_over_all_shelves() {
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..4_000 {
            let id = InteractionId::from_ulid(Ulid::from_parts(1, number));
            *count.entry(Shelf::of(&open().account, false, &id).key()).or_default() += 1;
        }
        assert_eq!(count.len(), 4);
        assert!(count.values().all(|count| (800..1_200).contains(count)), "{count:?}");
    }

    #[test]
    fn a_row_is_stored_without_what_it_lacks() {
        let row = Row::of(&open());
        let stored = serde_json::to_value(&row).unwrap();
        assert_eq!(stored, serde_json::json!({"status": "open", "phone": "+393331234567"}));
        assert_eq!(serde_json::from_value::<Row>(stored).unwrap(), row);
    }

    proptest! {
        #[test]
        fn places_sort_by_time_and_are_read_as_they_were_written(one in 0..4_102_444_800_000_i64, other in 0..4_102_444_800_000_i64, id: u128) {
            let place = |ms, id| Position::of(Timestamp::from_millisecond(ms).unwrap(), &InteractionId::from_ulid(Ulid(id)));
            let (first, second) = (place(one, id), place(other, 7));
            prop_assert_eq!(first.key().cmp(&second.key()), first.cmp(&second));
            prop_assert_eq!(Position::parse(&first.key()), Some(first.clone()));
            prop_assert!(Position::from(first.opened_at()) < first.key());
            prop_assert_eq!(first.opened_at().as_millisecond(), one);
        }
    }

    #[test]
    fn a_filter_asks_for_all_that_is_given() {
        let (agent, tag) = (AgentId::from_ulid(Ulid(1)), Tag::parse("VIP").unwrap());
        let row = Row { agent: Some(agent.clone()), tags: vec![tag.clone()], queues: [queue(1)].into(), unread: true, ..Row::of(&open()) };
        let archived = Row { status: Status::Closed, archived: true, ..row.clone() };
        let all = Filter { state: Some(State::Open), unread: Some(true), agent: Some(agent), queue: Some(queue(1)), tags: vec![tag] };
        assert!(all.matches(&row) && !all.matches(&archived) && !all.takes_all());
        assert!(Filter::default().matches(&row) && !Filter::default().matches(&archived) && Filter::default().takes_all());
        assert!(Filter { state: Some(State::Archived), ..all.clone() }.matches(&archived));
        let closed = Row { archived: false, ..archived };
        assert!(Filter { state: Some(State::Closed), ..all.clone() }.matches(&closed));
        for other in [
            Filter { unread: Some(false), ..all.clone() },
            Filter { agent: Some(AgentId::from_ulid(Ulid(2))), ..all.clone() },
            Filter { queue: Some(queue(2)), ..all.clone() },
            Filter { tags: vec![all.tags[0].clone(), Tag::parse("Gold").unwrap()], ..all.clone() },
        ] {
            assert!(!other.matches(&row), "{other:?}");
        }
    }

    #[test]
    fn a_cursor_is_read_for_what_it_was_written_for_and_for_nothing_else() {
        let position = Position::of(open().opened_at, &open().id);
        let cursor = Cursor::write(&position, "this list");
        assert_eq!(Cursor::read(&cursor, "this list"), Some(position));
        assert_eq!(Cursor::read(&cursor, "that list"), None);
        for place in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[place] = if tampered[place] == b'1' { b'2' } else { b'1' };
            assert_eq!(Cursor::read(&String::from_utf8(tampered).unwrap(), "this list"), None, "{place}");
        }
        for bad in ["", "-", "--", "1-2-3"] {
            assert_eq!(Cursor::read(bad, "this list"), None);
        }
    }

    #[test]
    fn a_place_of_another_form_is_refused() {
        for bad in [
            "",
            "1#int_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "000000000000001#msg_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "999999999999999#int_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "-00000000000001#int_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }
}
