//! What a search reads of an interaction's messages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Direction, fold};
use crate::ids::InteractionId;
use crate::interaction::{Interaction, Status};
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
    /// The folded texts of all messages, one a line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The facts of a closed interaction, written when it closed and whenever its thread changes after that. A search
/// reads it in place of the thread, to leave out what does not match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The interaction.
    pub interaction: InteractionId,
    /// When it was closed. One that was opened again has another time, and the document tells nothing any more.
    pub closed_at: Timestamp,
    /// The facts.
    pub facts: Facts,
}

impl Document {
    /// The longest text in bytes: a search reads hundreds of documents at once. A longer thread is searched itself.
    pub const LONGEST: usize = 100_000;

    /// The document of `interaction`, with the messages of its thread; `None` while it is open, and for a thread
    /// that is too long.
    pub fn of(interaction: &Interaction, messages: &[Message]) -> Option<Self> {
        let closed_at = interaction.closed_at.filter(|_| !interaction.is_open())?;
        let facts = Facts::of(interaction, messages);
        (facts.text.len() <= Self::LONGEST).then(|| Self { interaction: interaction.id.clone(), closed_at, facts })
    }

    /// Whether it is about the interaction as it is now, of which `row` tells.
    pub fn tells_of(&self, row: &Row) -> bool {
        // To the millisecond, as compact items keep it.
        let closed_at = row.closed_at.map(Timestamp::as_millisecond);
        row.status == Status::Closed && closed_at == Some(self.closed_at.as_millisecond())
    }
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
        let lines: Vec<String> = messages.iter().filter(told).flat_map(lines).filter(|line| !line.is_empty()).collect();
        let mut seen: Vec<&Message> = messages.iter().filter(told).filter(|message| !message.content.is_note()).collect();
        seen.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        let direction = |message: &&Message| if message.author == Author::Customer { Direction::In } else { Direction::Out };
        Self {
            first_message: seen.first().map(|message| message.at),
            last_message: seen.last().map(|message| message.at),
            direction: seen.last().map(direction),
            variables: interaction.variables.clone(),
            text: lines.join("\n"),
        }
    }

    /// The texts of the messages, one each.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }
}

/// All that a person reads of a message, and its translation as a line of its own. Folding leaves no line break in it.
fn lines(message: &Message) -> impl Iterator<Item = String> {
    let readable = message.content.readable();
    let own = match &message.words {
        Some(words) => fold(&format!("{readable} {words}")),
        None => fold(&readable),
    };
    std::iter::once(own).chain(message.translation.iter().map(|translation| fold(&translation.text)))
}
