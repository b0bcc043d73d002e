//! Advanced search: conditions on interactions, any or all of which must hold.
//!
//! This is the one matcher. Whatever finds candidates, and whatever reads them, asks it. It is pure: names of
//! accounts, agents and queues are passed in ([`Names`]).
//!
//! Texts are compared without regard to case, accents and blanks ([`fold`]): `perche` finds `Perché`. A value that an
//! interaction lacks is empty: *differs* holds for it, and nothing else but *is empty* does.

mod facts;
mod fields;
mod fold;
mod input;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use facts::{Document, Facts};
pub use fields::{Field, Kind, Operator};
pub use fold::fold;
pub use input::{ConditionInput, Fault, SearchInput, ValueInput};
pub use saved::SavedSearch;

use crate::ids::{AccountId, AgentId, ContactId, QueueId};
use crate::insights::Sentiment;
use crate::interaction::Status;
use crate::row::{Position, Row};

/// How the conditions of a search combine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// All must hold.
    #[default]
    All,
    /// At least one must hold.
    Any,
}

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The customer wrote it.
    In,
    /// An agent or the system wrote it.
    Out,
}

impl Direction {
    /// The word in conditions and answers.
    pub fn word(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// A search that was checked: only enabled conditions are left.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    combine: Combine,
    conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    field: Field,
    test: Test,
}

/// What a condition asks of its field.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// It has no value.
    Empty,
    /// A text, folded.
    Text(TextTest, String),
    /// One of a few words.
    Word { word: String, equals: bool },
    /// A number.
    Number(NumberTest, i64),
    /// A stretch of time: from its first instant until before its last one.
    Time(TimeTest, Timestamp, Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextTest {
    Equals,
    Differs,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberTest {
    Equals,
    Differs,
    Less,
    Greater,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeTest {
    Equals,
    Before,
    After,
}

/// The texts by which accounts, agents and queues are found: their names, and an account's key. They are folded.
#[derive(Debug, Clone, Default)]
pub struct Names {
    accounts: BTreeMap<AccountId, Vec<String>>,
    agents: BTreeMap<AgentId, String>,
    queues: BTreeMap<QueueId, String>,
}

impl Names {
    /// Adds an account.
    pub fn account(&mut self, id: &AccountId, name: &str, key: &str) {
        self.accounts.insert(id.clone(), vec![fold(name), fold(key)]);
    }

    /// Adds an agent.
    pub fn agent(&mut self, id: &AgentId, name: &str) {
        self.agents.insert(id.clone(), fold(name));
    }

    /// Adds a queue.
    pub fn queue(&mut self, id: &QueueId, name: &str) {
        self.queues.insert(id.clone(), fold(name));
    }
}

/// An interaction as a search sees it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id, and when it was opened.
    pub position: &'a Position,
    /// Its account.
    pub account: &'a AccountId,
    /// Its contact.
    pub contact: &'a ContactId,
    /// Its row.
    pub row: &'a Row,
    /// What only its messages and variables tell; `None` if nobody has read them.
    pub facts: Option<&'a Facts>,
}

/// What a condition's field holds.
enum Held<'a> {
    /// Texts, folded already or short. A condition holds if it does for one of them.
    Texts(Vec<std::borrow::Cow<'a, str>>),
    Word(Option<&'a str>),
    Number(i64),
    Time(Option<Timestamp>),
}

impl Search {
    /// The most conditions, disabled ones included: more than anybody can read.
    pub const MOST_CONDITIONS: usize = 20;

    /// The longest value, in characters.
    pub const LONGEST_VALUE: usize = 200;

    /// The search for all that was closed before `at`.
    pub fn closed_before(at: Timestamp) -> Self {
        let condition = Condition { field: Field::Closed, test: Test::Time(TimeTest::Before, at, at) };
        Self { combine: Combine::All, conditions: vec![condition] }
    }

    /// Whether it asks for what rows don't have, so that messages must be read.
    pub fn needs_facts(&self) -> bool {
        self.conditions.iter().any(|condition| condition.field.is_fact())
    }

    /// Whether `subject` matches. A search without conditions matches everything.
    pub fn matches(&self, subject: &Subject<'_>, names: &Names) -> bool {
        let mut holds = self.conditions.iter().map(|condition| condition.holds(subject, names));
        match self.combine {
            Combine::All => holds.all(|holds| holds),
            Combine::Any => self.conditions.is_empty() || holds.any(|holds| holds),
        }
    }

    /// Whether `subject` can still match once its facts are known. Without facts, a condition on them is open.
    pub fn may_match(&self, subject: &Subject<'_>, names: &Names) -> bool {
        let unknown = |condition: &Condition| subject.facts.is_none() && condition.field.is_fact();
        let mut holds = self.conditions.iter().map(|condition| unknown(condition) || condition.holds(subject, names));
        match self.combine {
            Combine::All => holds.all(|holds| holds),
            Combine::Any => self.conditions.is_empty() || holds.any(|holds| holds),
        }
    }
}

impl Condition {
    fn holds(&self, subject: &Subject<'_>, names: &Names) -> bool {
        match (&self.test, held(&self.field, subject, names)) {
            (Test::Empty, Held::Texts(texts)) => texts.iter().all(|text| text.is_empty()),
            (Test::Empty, Held::Word(word)) => word.is_none(),
            (Test::Empty, Held::Time(at)) => at.is_none(),
            (Test::Text(test, value), Held::Texts(texts)) => test.holds(&texts, value),
            (Test::Word { word, equals }, Held::Word(held)) => (held == Some(word.as_str())) == *equals,
            (Test::Number(test, value), Held::Number(held)) => match test {
                NumberTest::Equals => held == *value,
                NumberTest::Differs => held != *value,
                NumberTest::Less => held < *value,
                NumberTest::Greater => held > *value,
            },
            (Test::Time(test, from, until), Held::Time(Some(at))) => match test {
                TimeTest::Equals => *from <= at && at < *until,
                TimeTest::Before => at < *from,
                TimeTest::After => at >= *until,
            },
            // An interaction without the time is neither before nor after it. Other pairs are refused as input.
            (Test::Time(..), _) | (Test::Empty | Test::Text(..) | Test::Word { .. } | Test::Number(..), _) => false,
        }
    }
}

impl TextTest {
    fn holds(self, texts: &[std::borrow::Cow<'_, str>], value: &str) -> bool {
        let any = |test: &dyn Fn(&str) -> bool| texts.iter().any(|text| test(text));
        match self {
            TextTest::Equals => any(&|text| text == value),
            TextTest::Differs => !any(&|text| text == value),
            TextTest::Contains => any(&|text| text.contains(value)),
            TextTest::StartsWith => any(&|text| text.starts_with(value)),
            TextTest::EndsWith => any(&|text| text.ends_with(value)),
        }
    }
}

fn held<'a>(field: &Field, subject: &Subject<'a>, names: &'a Names) -> Held<'a> {
    use std::borrow::Cow::{Borrowed, Owned};
    let Subject { position, account, contact, row, facts } = subject;
    let id = |id: &str| Owned(fold(id));
    let facts = *facts;
    match field {
        Field::Id => Held::Texts(vec![id(position.interaction().as_str())]),
        Field::Account => {
            let known = names.accounts.get(*account).into_iter().flatten().map(|text| Borrowed(text.as_str()));
            Held::Texts(std::iter::once(id(account.as_str())).chain(known).collect())
        }
        Field::ContactId => Held::Texts(vec![id(contact.as_str())]),
        Field::ContactName => Held::Texts(row.name.iter().map(|name| Owned(fold(&name.0))).collect()),
        Field::ContactPhone => Held::Texts(row.phone.iter().map(|phone| Borrowed(phone.as_str())).collect()),
        Field::Agent => {
            let name = row.agent.as_ref().and_then(|agent| names.agents.get(agent)).map(|name| Borrowed(name.as_str()));
            Held::Texts(row.agent.iter().map(|agent| id(agent.as_str())).chain(name).collect())
        }
        Field::Queue => {
            let known = row.queues.iter().filter_map(|queue| names.queues.get(queue)).map(|name| Borrowed(name.as_str()));
            Held::Texts(row.queues.iter().map(|queue| id(queue.as_str())).chain(known).collect())
        }
        Field::Disposition => Held::Texts(row.disposition.iter().map(|text| Owned(fold(text))).collect()),
        Field::Tags => Held::Texts(row.tags.iter().map(|tag| Owned(fold(tag.as_str()))).collect()),
        Field::Variable(name) => {
            let value = facts.map_or("", |facts| facts.variables.get(name.as_str()));
            Held::Texts(if value.is_empty() { Vec::new() } else { vec![Owned(fold(value))] })
        }
        Field::Text => Held::Texts(facts.iter().flat_map(|facts| facts.lines()).map(Borrowed).collect()),
        Field::Status => Held::Word(Some(match row.status {
            Status::Open => "open",
            Status::Closed if row.archived => "archived",
            Status::Closed => "closed",
        })),
        Field::Read => Held::Word(Some(if row.unread { "unread" } else { "read" })),
        Field::Direction => Held::Word(facts.and_then(|facts| facts.direction).map(Direction::word)),
        Field::Sentiment => Held::Word(row.sentiment.map(Sentiment::name)),
        Field::Priority => Held::Number(i64::from(row.priority.get())),
        Field::Opened => Held::Time(Some(position.opened_at())),
        Field::Closed => Held::Time(row.closed_at),
        Field::FirstMessage => Held::Time(facts.and_then(|facts| facts.first_message)),
        Field::LastMessage => Held::Time(facts.and_then(|facts| facts.last_message)),
    }
}
