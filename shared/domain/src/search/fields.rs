//! The fields of a search, and the operators of each.

use serde::{Deserialize, Serialize};

use crate::insights::Sentiment;
use crate::variables::VariableName;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FieldKind))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A text, or several.
    Text,
    /// The texts of all messages. A condition holds if it does for one message; it never spans two.
    Messages,
    /// Tags.
    Tags,
    /// A point in time. Values are days, such as `2026-03-29`.
    Time,
    /// A whole number.
    Number,
    /// One of a few words.
    Choice,
}

/// What a condition asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// It is the value. For a time: it is within the day.
    Equals,
    /// It is not the value, or has none.
    Differs,
    /// The value is a part of it.
    Contains,
    /// It begins with the value.
    StartsWith,
    /// It ends with the value.
    EndsWith,
    /// It is before the beginning of the day.
    Before,
    /// It is after the end of the day.
    After,
    /// It is less than the value.
    Less,
    /// It is greater than the value.
    Greater,
    /// It has no value.
    IsEmpty,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Equals,
        Self::Differs,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Before,
        Self::After,
        Self::Less,
        Self::Greater,
        Self::IsEmpty,
    ];

    /// The word in a condition.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::Differs => "differs",
            Self::Contains => "contains",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::Before => "before",
            Self::After => "after",
            Self::Less => "less",
            Self::Greater => "greater",
            Self::IsEmpty => "is_empty",
        }
    }
}

/// What a condition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The interaction's id.
    Id,
    /// The account: its id, its name or its key.
    Account,
    /// The contact's id.
    ContactId,
    /// The customer's name.
    ContactName,
    /// The customer's number.
    ContactPhone,
    /// The agent: id or name.
    Agent,
    /// The queue that was accepted through, otherwise those that were asked: id or name.
    Queue,
    /// Open, closed or archived.
    Status,
    /// Read or unread.
    Read,
    /// The tags.
    Tags,
    /// The disposition.
    Disposition,
    /// The time of opening.
    Opened,
    /// The time of closing.
    Closed,
    /// The time of the first message.
    FirstMessage,
    /// The time of the latest message.
    LastMessage,
    /// The text of the messages.
    Text,
    /// The direction of the latest message.
    Direction,
    /// The priority.
    Priority,
    /// The customer's mood, as the AI told it.
    Sentiment,
    /// A variable that the plan has set.
    Variable(VariableName),
}

impl Field {
    /// The beginning of the name of a variable's field.
    pub const VARIABLES: &'static str = "variables.";

    /// All fields but the variables, by name.
    pub const NAMED: [(&'static str, Self); 19] = [
        ("id", Self::Id),
        ("account", Self::Account),
        ("contact_id", Self::ContactId),
        ("contact_name", Self::ContactName),
        ("contact_phone", Self::ContactPhone),
        ("agent", Self::Agent),
        ("queue", Self::Queue),
        ("status", Self::Status),
        ("read", Self::Read),
        ("tags", Self::Tags),
        ("disposition", Self::Disposition),
        ("opened", Self::Opened),
        ("closed", Self::Closed),
        ("first_message", Self::FirstMessage),
        ("last_message", Self::LastMessage),
        ("text", Self::Text),
        ("direction", Self::Direction),
        ("priority", Self::Priority),
        ("sentiment", Self::Sentiment),
    ];

    /// The field with this name.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(variable) = name.strip_prefix(Self::VARIABLES) {
            return VariableName::parse(variable).ok().map(Self::Variable);
        }
        Self::NAMED.into_iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text => Kind::Messages,
            Self::Tags => Kind::Tags,
            Self::Opened | Self::Closed | Self::FirstMessage | Self::LastMessage => Kind::Time,
            Self::Priority => Kind::Number,
            Self::Status | Self::Read | Self::Direction | Self::Sentiment => Kind::Choice,
            Self::Id
            | Self::Account
            | Self::ContactId
            | Self::ContactName
            | Self::ContactPhone
            | Self::Agent
            | Self::Queue
            | Self::Disposition
            | Self::Variable(_) => Kind::Text,
        }
    }

    /// What may be asked of it.
    pub fn operators(&self) -> &'static [Operator] {
        use Operator::{After, Before, Contains, Differs, EndsWith, Equals, Greater, IsEmpty, Less, StartsWith};
        match self.kind() {
            Kind::Text | Kind::Messages => &[Equals, Differs, Contains, StartsWith, EndsWith, IsEmpty],
            Kind::Tags => &[Equals, Differs, Contains, IsEmpty],
            Kind::Time => &[Equals, Before, After, IsEmpty],
            Kind::Number => &[Equals, Differs, Less, Greater],
            Kind::Choice => &[Equals, Differs, IsEmpty],
        }
    }

    /// The words that it may hold, if they are a few.
    pub fn choices(&self) -> &'static [&'static str] {
        match self {
            Self::Status => &["open", "closed", "archived"],
            Self::Read => &["read", "unread"],
            Self::Direction => &["in", "out"],
            Self::Sentiment => &Sentiment::NAMES,
            _ => &[],
        }
    }

    /// Whether only the messages and variables tell it, and not the row.
    pub fn is_fact(&self) -> bool {
        matches!(self, Self::FirstMessage | Self::LastMessage | Self::Text | Self::Direction | Self::Variable(_))
    }
}
