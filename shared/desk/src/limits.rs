//! How often an agent may do what costs money, an hour. The limits are far above what people do. They stop a script,
//! and whoever has stolen a token.

use cloud::config::{ConfigError, Env};
use domain::ids::AgentId;
use store::Counted;

use crate::{Desk, Failure};

/// A new conversation is a paid template to a person. One every half a minute is more than anybody writes by hand.
const CONVERSATIONS: u32 = 120;

/// A message carries one file, and an agent has up to 100 conversations.
const UPLOADS: u32 = 600;

/// A transcript is a file of its own with all attachments. One every half a minute is more than anybody reads.
const TRANSCRIPTS: u32 = 120;

/// A long thread in a foreign language has some hundred messages. At their longest these cost $1.50 by list prices.
const TRANSLATIONS: u32 = 1_000;

/// One every half a minute is more than anybody reads. With all the knowledge that an AI agent can have, a question is
/// some 12,000 tokens: a few cents.
const QUESTIONS: u32 = 120;

/// A call is a meeting of minutes. One every two minutes is more than anybody talks.
const VIDEO_CALLS: u32 = 30;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// A conversation that the agent starts.
    Conversation,
    /// A file that the agent uploads.
    Upload,
    /// A transcript that the agent requests.
    Transcript,
    /// A message or a draft that the agent has translated.
    Translation,
    /// A question to an AI agent, or a draft by one.
    Question,
    /// A video call that the agent starts.
    VideoCall,
}

/// The limits of an agent, an hour. 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    conversations: u32,
    uploads: u32,
    transcripts: u32,
    translations: u32,
    questions: u32,
    video_calls: u32,
}

impl Limits {
    /// Reads `CONVERSATIONS_PER_HOUR` (120), `UPLOADS_PER_HOUR` (600), `TRANSCRIPTS_PER_HOUR` (120),
    /// `TRANSLATIONS_PER_HOUR` (1000), `QUESTIONS_PER_HOUR` (120) and `VIDEO_CALLS_PER_HOUR` (30).
    ///
    /// # Errors
    /// One of them is not a number.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let number = |name, usual| Ok(env.parsed(name, "a whole number from 0 on")?.unwrap_or(usual));
        Ok(Self {
            conversations: number("CONVERSATIONS_PER_HOUR", CONVERSATIONS)?,
            uploads: number("UPLOADS_PER_HOUR", UPLOADS)?,
            transcripts: number("TRANSCRIPTS_PER_HOUR", TRANSCRIPTS)?,
            translations: number("TRANSLATIONS_PER_HOUR", TRANSLATIONS)?,
            questions: number("QUESTIONS_PER_HOUR", QUESTIONS)?,
            video_calls: number("VIDEO_CALLS_PER_HOUR", VIDEO_CALLS)?,
        })
    }

    fn of(self, what: Limited) -> (&'static str, u32) {
        match what {
            Limited::Conversation => ("conversation", self.conversations),
            Limited::Upload => ("upload", self.uploads),
            Limited::Transcript => ("transcript", self.transcripts),
            Limited::Translation => ("translation", self.translations),
            Limited::Question => ("question", self.questions),
            Limited::VideoCall => ("video_call", self.video_calls),
        }
    }
}

impl Desk {
    /// Counts what the agent is about to do.
    ///
    /// # Errors
    /// The agent did it too often in this hour (429), or the table can't be written.
    pub async fn count(&self, agent: &AgentId, what: Limited) -> Result<(), Failure> {
        self.count_several(agent, what, 1).await
    }

    /// Counts `uses` of what the agent is about to do, all or none of them.
    ///
    /// # Errors
    /// The agent had reached the limit in this hour (429), or the table can't be written.
    pub async fn count_several(&self, agent: &AgentId, what: Limited, uses: usize) -> Result<(), Failure> {
        let (name, most) = self.limits.of(what);
        let uses = u32::try_from(uses).unwrap_or(u32::MAX);
        if most == 0 || uses == 0 {
            return Ok(());
        }
        match self.store().count(agent.as_str(), name, uses, most, self.now()).await? {
            Counted::Within => Ok(()),
            Counted::Over { seconds } => Err(Failure::TooOften { what: name, most, seconds }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_default_and_can_be_set_or_switched_off() {
        let usual = Limits::from_env(&Env::from_pairs([("A", "b")])).unwrap();
        let all = Limits { conversations: 120, uploads: 600, transcripts: 120, translations: 1_000, questions: 120, video_calls: 30 };
        assert_eq!(usual, all);
        let set = Env::from_pairs([("CONVERSATIONS_PER_HOUR", "5"), ("UPLOADS_PER_HOUR", "0")]);
        assert_eq!(Limits::from_env(&set).unwrap(), Limits { conversations: 5, uploads: 0, ..all });
        assert!(Limits::from_env(&Env::from_pairs([("TRANSCRIPTS_PER_HOUR", "-1")])).is_err());
    }
}
