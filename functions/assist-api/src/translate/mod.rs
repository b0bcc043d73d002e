//! Translation behind one port. A text is translated line by line, because no translator promises to keep line breaks;
//! blank lines and line ends stay as they are.

mod aws;
mod codes;
mod google;
mod service_account;

use std::collections::BTreeMap;

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::secrets::{AccountSecrets, SecretError};
use domain::account::{Account, Translation};
use domain::language::{LONGEST_TRANSLATED, Language, Translator};
use domain::values::Secret;

/// Why there is no translation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untranslated {
    /// There is no text.
    #[error("there is no text")]
    Nothing,
    /// The text is over [`LONGEST_TRANSLATED`], or over the translator's own limit.
    #[error("the text is too long")]
    TooLong,
    /// The translator does not translate between these languages.
    #[error("the languages are not supported")]
    Unsupported {
        /// The source; `None` if it was to be detected.
        from: Option<Language>,
        /// The target.
        to: Language,
    },
    /// The translator does not know the language of the text.
    #[error("the language is not clear")]
    Unclear {
        /// Its guess.
        detected: Option<Language>,
    },
    /// A quota is used up.
    #[error("a quota is used up")]
    Busy,
    /// The account has no key.
    #[error("the account has no key")]
    NoKey,
    /// The translator refuses the key or the role.
    #[error("the key or the role is refused")]
    Refused,
    /// No answer, or one that can't be read.
    #[error("no usable answer")]
    Failed,
    /// There was no time left.
    #[error("no time left")]
    Late,
}

/// A translated text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Translated {
    /// The text.
    pub(crate) text: String,
    /// The language that it was translated from.
    pub(crate) from: Language,
}

/// Lines in the target language, in their order, and the language of the source.
type Lines = (Vec<String>, Language);

/// The translators.
pub struct Translators {
    aws: aws::Amazon,
    google: google::Google,
    keys: AccountSecrets<Secret>,
}

impl std::fmt::Debug for Translators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Translators(…)")
    }
}

impl Translators {
    /// Reads `TRANSLATE_REGION`, `TRANSLATE_URL`, `GOOGLE_TRANSLATE_URL`, `GOOGLE_TOKEN_URL` and
    /// `TRANSLATION_KEY_PREFIX`.
    pub(crate) fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            aws: aws::Amazon::from_env(aws, env)?,
            google: google::Google::from_env(env)?,
            keys: AccountSecrets::of_kind(aws, env, "TRANSLATION_KEY_PREFIX")?,
        })
    }

    /// Translates a text for an account. Without `from` the language is detected.
    pub(crate) async fn translate(
        &self,
        account: &Account,
        settings: &Translation,
        text: &str,
        from: Option<&Language>,
        to: &Language,
    ) -> Result<Translated, Untranslated> {
        let lines = distinct_lines(text)?;
        if let Some(from) = from.filter(|from| from.is_like(to)) {
            return Ok(Translated { text: text.to_owned(), from: from.clone() });
        }
        let (translated, from) = match settings.provider {
            Translator::Aws => self.aws.translate(&lines, from, to).await?,
            Translator::Google => self.by_google(account, &lines, from, to).await?,
        };
        if translated.len() != lines.len() {
            return Err(Untranslated::Failed);
        }
        Ok(Translated { text: put_back(text, &lines, &translated), from })
    }

    /// A key that was refused may have been replaced a moment ago.
    async fn by_google(&self, account: &Account, lines: &[&str], from: Option<&Language>, to: &Language) -> Result<Lines, Untranslated> {
        if account.translation_key_set_at.is_none() {
            return Err(Untranslated::NoKey);
        }
        let key = self.keys.get(&account.id, account.version).await.map_err(unread)?;
        match self.google.translate(&key.value, lines, from, to).await {
            Err(Untranslated::Refused) => match self.keys.refetch(&account.id, account.version).await.map_err(unread)? {
                Some(newer) if newer.value.reveal() != key.value.reveal() => self.google.translate(&newer.value, lines, from, to).await,
                _ => Err(Untranslated::Refused),
            },
            outcome => outcome,
        }
    }
}

fn unread(error: SecretError) -> Untranslated {
    match error {
        SecretError::Missing => Untranslated::NoKey,
        error => {
            tracing::error!(event = "assist.key_unread", %error);
            Untranslated::Failed
        }
    }
}

/// The distinct lines that hold a text, the longest first: its language is the surest.
fn distinct_lines(text: &str) -> Result<Vec<&str>, Untranslated> {
    if text.len() > LONGEST_TRANSLATED {
        return Err(Untranslated::TooLong);
    }
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.chars().count()));
    if lines.is_empty() { Err(Untranslated::Nothing) } else { Ok(lines) }
}

/// The text with each line replaced by its translation. Blanks around a line stay.
fn put_back(text: &str, lines: &[&str], translated: &[String]) -> String {
    let by_line: BTreeMap<&str, &str> = lines.iter().copied().zip(translated.iter().map(String::as_str)).collect();
    let mut whole = String::with_capacity(text.len());
    for piece in text.split_inclusive('\n') {
        let line = piece.trim();
        match by_line.get(line) {
            Some(translation) => {
                let start = piece.len() - piece.trim_start().len();
                whole.push_str(&piece[..start]);
                whole.push_str(translation);
                whole.push_str(&piece[start + line.len()..]);
            }
            None => whole.push_str(piece),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_distinct_line_is_translated_once_and_blanks_stay() {
        let text = "Ciao\n\n  buongiorno a tutti \r\nCiao\n";
        let lines = distinct_lines(text).unwrap();
        assert_eq!(lines, ["buongiorno a tutti", "Ciao"]);
        let translated = ["good morning all".to_owned(), "Hello".to_owned()];
        assert_eq!(put_back(text, &lines, &translated), "Hello\n\n  good morning all \r\nHello\n");
    }

    #[test]
    fn what_has_no_text_or_too_much_is_not_sent() {
        assert_eq!(distinct_lines(" \n\t\n"), Err(Untranslated::Nothing));
        assert_eq!(distinct_lines(&"à".repeat(5_001)), Err(Untranslated::TooLong));
        assert!(distinct_lines(&"à".repeat(5_000)).is_ok());
    }

    proptest! {
        #[test]
        fn a_translation_that_changes_nothing_gives_the_text_back(text in "[a-z \\r\\n\\tàé]{0,60}") {
            if let Ok(lines) = distinct_lines(&text) {
                let same: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
                prop_assert_eq!(put_back(&text, &lines, &same), text);
            }
        }
    }
}
