//! The form of every queued body.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The form of every queued body: `{"v":1,"job":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The version of the job's form.
    v: u32,
    /// The job.
    job: T,
}

impl<T> Envelope<T> {
    /// The version that is written.
    pub const VERSION: u32 = 1;

    /// Wraps a job.
    pub fn new(job: T) -> Self {
        Self { v: Self::VERSION, job }
    }

    /// The job within.
    pub fn into_job(self) -> T {
        self.job
    }
}

impl<T: DeserializeOwned> Envelope<T> {
    /// The job in a body.
    pub fn parse(body: &str) -> Result<T, Poison> {
        /// The version alone, so that a later form of the job is named as such.
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let version: Version = serde_json::from_str(body).map_err(|error| Poison::of(&error))?;
        if version.v != Self::VERSION {
            return Err(Poison::Version(version.v));
        }
        serde_json::from_str::<Self>(body).map(Self::into_job).map_err(|error| Poison::of(&error))
    }
}

/// Why a body can't be read. The error tells the place, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// The body is not the expected JSON.
    #[error("not the expected JSON at line {line}, column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The envelope has a version that this program doesn't know.
    #[error("unknown version {0}")]
    Version(u32),
}

impl Poison {
    fn of(error: &serde_json::Error) -> Self {
        Poison::Json { line: error.line(), column: error.column() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> String {
        serde_json::to_string(&Envelope::new(text)).unwrap()
    }

    #[test]
    fn an_envelope_has_a_version_and_a_job() {
        assert_eq!(job("a"), r#"{"v":1,"job":"a"}"#);
        assert_eq!(Envelope::<String>::parse(&job("a")), Ok("a".to_owned()));
        assert_eq!(Envelope::<String>::parse(r#"{"v":2,"job":{"other":1}}"#), Err(Poison::Version(2)));
        assert!(matches!(Envelope::<String>::parse(""), Err(Poison::Json { .. })));
        assert!(matches!(Envelope::<String>::parse(r#""a""#), Err(Poison::Json { .. })));
    }

    #[test]
    fn poison_does_not_quote_the_body() {
        let error = Envelope::<u32>::parse(r#"{"v":1,"job":"+391234567"}"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("391"));
    }
}
