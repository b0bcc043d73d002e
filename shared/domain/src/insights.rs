//! Insights: the customer's mood and a summary, as a model reads them out of a conversation.
//!
//! The mood is kept in the interaction and its row. The summary is in the history entry of the decision that took it
//! in: it is up to 2.4 KB long, and the interaction is written anew with every message.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AiAgentId;
use crate::values::Invalid;

/// The customer's mood over the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    /// Content.
    Positive,
    /// Neither content nor discontent.
    Neutral,
    /// Discontent.
    Negative,
    /// Both.
    Mixed,
}

impl Sentiment {
    /// All of them, by name.
    pub const NAMES: [&'static str; 4] = ["positive", "neutral", "negative", "mixed"];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Neutral => "neutral",
            Self::Negative => "negative",
            Self::Mixed => "mixed",
        }
    }

    /// The mood with this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let is = |mood: &Self| mood.name().eq_ignore_ascii_case(name.trim());
        [Self::Positive, Self::Neutral, Self::Negative, Self::Mixed].into_iter().find(is)
    }
}

/// What a conversation was about, in a few sentences.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Summary(String);

impl Summary {
    /// The longest summary, in characters: one paragraph, which is read at a glance.
    pub const LONGEST: usize = 600;

    /// A text as a summary, without blanks around it. One that is too long is cut, and ends with `…` then: models
    /// count badly, and a summary of 700 characters is no failure.
    ///
    /// # Errors
    /// There is no text.
    pub fn of(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        match text.char_indices().nth(Self::LONGEST) {
            _ if text.is_empty() => Err(Invalid("must not be empty")),
            None => Ok(Self(text.to_owned())),
            Some(_) => Ok(Self(text.chars().take(Self::LONGEST - 1).chain(['…']).collect())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It repeats what the customer wrote, so it never reaches a log.
impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Summary(…)")
    }
}

impl TryFrom<String> for Summary {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::of(&text)
    }
}

impl From<Summary> for String {
    fn from(summary: Summary) -> Self {
        summary.0
    }
}

#[cfg(feature = "openapi")]
crate::values::text_schema!(Summary, "What the conversation was about, in a few sentences.", |text| {
    text.max_length(Some(Summary::LONGEST))
});

/// What an interaction keeps of its latest insights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insights {
    /// The customer's mood.
    pub sentiment: Sentiment,
    /// When they were made.
    pub at: Timestamp,
    /// The version of the interaction that took them in. Its history entry has the summary.
    pub version: u64,
}

/// An account's insights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = InsightsSettings))]
pub struct InsightsSettings {
    /// The AI agent that makes them.
    pub ai_agent: AiAgentId,
    /// Whether they are made by themselves when an interaction closes. On request they are made in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(required = false, default = false))]
    pub at_closing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mood_has_one_name_everywhere() {
        for name in Sentiment::NAMES {
            let sentiment = Sentiment::parse(name).unwrap();
            assert_eq!((sentiment.name(), serde_json::to_value(sentiment).unwrap()), (name, name.into()));
            assert_eq!(Sentiment::parse(&format!(" {} ", name.to_uppercase())), Some(sentiment));
        }
        for other in ["", "angry", "positive!"] {
            assert_eq!(Sentiment::parse(other), None);
        }
    }

    #[test]
    fn a_summary_is_never_empty_and_never_longer_than_its_limit() {
        assert_eq!(Summary::of(" Asked for a refund.\n").unwrap().as_str(), "Asked for a refund.");
        assert!(Summary::of(" \n").is_err());
        let whole = "è".repeat(Summary::LONGEST);
        assert_eq!(Summary::of(&whole).unwrap().as_str(), whole);
        let cut = Summary::of(&"è".repeat(Summary::LONGEST + 1)).unwrap();
        assert_eq!((cut.as_str().chars().count(), cut.as_str().chars().last()), (Summary::LONGEST, Some('…')));
        assert!(!format!("{cut:?}").contains('è'));
    }
}
