//! Language models behind one port: a prompt in, an answer with the tokens that it cost out.
//!
//! | module | what it does | I/O |
//! |---|---|---|
//! | [`prompt`] | puts instructions, knowledge and a conversation into a prompt | none |
//! | [`answer`] | decides what a model's reply is worth: a text, an escalation, or nothing | none |
//! | `openai`, `bedrock` | the bodies of two protocols | none |
//! | [`Models`] | carries them out: one attempt, a time limit, a token limit | yes |
//!
//! Neither texts nor keys reach a log or an error.

pub mod answer;
mod bedrock;
mod client;
mod openai;
pub mod prompt;

pub use client::{Models, NoInsights};

/// What a model replied, in whichever protocol.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// The tools that it calls: each with its name, and its arguments as JSON (`null` if they can't be read).
    pub calls: Vec<(String, serde_json::Value)>,
    /// Why it ended.
    pub stop: Stop,
    /// The tokens that it cost.
    pub usage: Usage,
}

/// A reply repeats what customers wrote, so it never reaches a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("stop", &self.stop).field("usage", &self.usage).finish_non_exhaustive()
    }
}

/// Why a model ended its reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stop {
    /// It had said everything.
    #[default]
    End,
    /// It calls a tool.
    Tool,
    /// It reached the limit of tokens.
    Length,
    /// A filter or a guardrail stopped it, or it refused.
    Filtered,
    /// The service could not read what the model said.
    Malformed,
    /// The prompt is longer than the model can read.
    TooMuch,
    /// A word that this version does not know.
    Unknown,
}

/// The tokens of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt.
    pub input: u64,
    /// Of the reply.
    pub output: u64,
}

/// A passage that an AI agent knows about a question.
#[derive(Clone, PartialEq, Eq)]
pub struct Passage {
    /// A title: that of a text, or the last part of a document's address.
    pub title: String,
    /// The address of the document, where the knowledge base tells it.
    pub location: Option<String>,
    /// The text.
    pub text: String,
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passage(…)")
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A rate limit. Later it works.
    #[error("the model is busy")]
    Busy,
    /// The service's account has nothing left to spend.
    #[error("the service's quota is used up")]
    UsedUp,
    /// The service refuses the key, or this deployment's role.
    #[error("the key or the role is refused")]
    Refused,
    /// The service wants a key and there is none.
    #[error("there is no key")]
    NoKey,
    /// The service does not know the model or the knowledge base, or not in this region.
    #[error("there is no such model")]
    Unknown,
    /// The service does not take the request, for instance a temperature.
    #[error("the request is not taken")]
    NotTaken,
    /// The prompt is longer than the model can read.
    #[error("the prompt is too long")]
    TooLong,
    /// The address may not be called.
    #[error("the address is refused")]
    Address,
    /// No answer, or one that can't be read.
    #[error("no usable answer")]
    Failed,
    /// There was no time left.
    #[error("no time left")]
    Late,
}

impl ModelError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub fn passes(self) -> bool {
        match self {
            Self::Busy | Self::Failed | Self::Late => true,
            Self::UsedUp | Self::Refused | Self::NoKey | Self::Unknown | Self::NotTaken | Self::TooLong | Self::Address => false,
        }
    }

    /// The label of a metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::UsedUp => "used_up",
            Self::Refused => "refused",
            Self::NoKey => "no_key",
            Self::Unknown => "unknown_model",
            Self::NotTaken => "not_taken",
            Self::TooLong => "too_long",
            Self::Address => "address",
            Self::Failed => "failed",
            Self::Late => "late",
        }
    }
}
