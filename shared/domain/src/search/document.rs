//! The document of an interaction: what a search reads in place of its messages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Direction, fold};
use crate::interaction::Interaction;
use crate::message::{Author, Content, Message};
use crate::row::Row;
use crate::variables::Variables;

/// What only an interaction's messages and variables tell.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The time of the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_message: Option<Timestamp>,
    /// The time of the latest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Timestamp>,
    /// The direction of the latest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The variables that the plan has set.
    #[serde(skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// The customer's mood. Nothing tells it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<String>,
    /// The folded texts of all messages, one a line. It is stored apart from the rest, deflated.
    #[serde(skip)]
    pub text: String,
}

/// Customers' words never reach a log.
impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("last_message", &self.last_message).field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Facts {
    /// The facts of `interaction` with the messages of its thread, those of the interactions that it absorbed
    /// included.
    ///
    /// Reactions and the provider's reports are no messages here. Notes are searched like messages, but are neither
    /// the first nor the latest one: no customer sees them.
    pub fn of(interaction: &Interaction, messages: &[Message]) -> Self {
        let told = |message: &&Message| !matches!(message.content, Content::Reaction { .. } | Content::System { .. });
        let lines: Vec<String> = messages.iter().filter(told).map(line).filter(|line| !line.is_empty()).collect();
        let mut seen: Vec<&Message> = messages.iter().filter(told).filter(|message| !message.content.is_note()).collect();
        seen.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        let direction = |message: &&Message| if message.author == Author::Customer { Direction::In } else { Direction::Out };
        Self {
            first_message: seen.first().map(|message| message.at),
            last_message: seen.last().map(|message| message.at),
            direction: seen.last().map(direction),
            variables: interaction.variables.clone(),
            sentiment: None,
            text: lines.join("\n"),
        }
    }

    /// The texts of the messages, one each.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }
}

/// All that a person reads of a message. Folding leaves no line break in it.
fn line(message: &Message) -> String {
    let readable = message.content.readable();
    match &message.words {
        Some(words) => fold(&format!("{readable} {words}")),
        None => fold(&readable),
    }
}

/// A closed interaction as it is searched. It is derived: whoever makes it anew from the interaction and its messages
/// gets the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The version of the interaction that it was made from.
    pub version: u64,
    /// The row.
    pub row: Row,
    /// The facts, with the text.
    pub facts: Facts,
}

impl Document {
    /// The document of `interaction` with the messages of its thread. One that was merged into an older one has
    /// none, as it has no row.
    pub fn of(interaction: &Interaction, messages: &[Message]) -> Option<Self> {
        let document = || Self { version: interaction.version, row: Row::of(interaction), facts: Facts::of(interaction, messages) };
        interaction.merged_into.is_none().then(document)
    }
}
