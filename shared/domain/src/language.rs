//! Languages, and what a message says in another one.

use serde::{Deserialize, Serialize};

use crate::values::Invalid;

/// A language, as BCP 47 writes it: `it`, `pt-BR`, `zh-Hant`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

impl Language {
    /// Reads a code in any case: a language of two or three letters, then a script, a region, or both. `_` counts as
    /// `-`. Whether a provider translates the language is its own matter.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refused = Invalid("must be the code of a language such as it, pt-BR or zh-Hant");
        let mut parts = text.split(['-', '_']);
        let letters =
            |part: &str, long: std::ops::RangeInclusive<usize>| long.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
        let Some(primary) = parts.next().filter(|primary| letters(primary, 2..=3)) else { return Err(refused) };
        let (mut code, mut has_script, mut has_region) = (primary.to_ascii_lowercase(), false, false);
        for part in parts {
            let written = if letters(part, 4..=4) && !has_script && !has_region {
                has_script = true;
                part[..1].to_ascii_uppercase() + &part[1..].to_ascii_lowercase()
            } else if (letters(part, 2..=2) || part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit())) && !has_region {
                has_region = true;
                part.to_ascii_uppercase()
            } else {
                return Err(refused);
            };
            code.push('-');
            code.push_str(&written);
        }
        Ok(Self(code))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without script and region.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// Whether both are the same language, in whatever script or region.
    pub fn is_like(&self, other: &Self) -> bool {
        self.primary() == other.primary()
    }
}

crate::values::from_text!(Language);
#[cfg(feature = "openapi")]
crate::values::text_schema!(Language, "A language as BCP 47 writes it, such as `it`, `pt-BR` or `zh-Hant`.", |text| {
    text.pattern(Some("^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"))
});

/// A service that translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Translator {
    /// Amazon Translate.
    Aws,
    /// Google Cloud Translation.
    Google,
}

/// What a message says in the agents' language, beside what the customer wrote or reads.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MessageTranslation))]
pub struct Rendering {
    /// The text in the agents' language. In a message that an agent sent it is what the agent wrote.
    pub text: String,
    /// The agents' language.
    pub language: Language,
    /// The language of the message itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Language>,
    /// The service that translated.
    pub by: Translator,
}

/// The text is a customer's or an agent's, so it never reaches a log.
impl std::fmt::Debug for Rendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendering").field("language", &self.language).field("from", &self.from).finish_non_exhaustive()
    }
}

/// The longest text that is translated, in bytes: the most that Amazon Translate takes at once. A text that long is
/// several screens.
pub const LONGEST_TRANSLATED: usize = 10_000;

/// From how many characters on a service knows the language of a text: Comprehend's documentation names 20 as the
/// least. A shorter text does not decide which language the customer speaks.
pub const SURELY_DETECTED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_in_any_case_and_written_in_one() {
        for (text, code) in [
            ("it", "it"),
            ("IT", "it"),
            ("pt_br", "pt-BR"),
            ("zh-hant", "zh-Hant"),
            ("zh-HANT-hk", "zh-Hant-HK"),
            ("es-419", "es-419"),
            ("fil", "fil"),
        ] {
            assert_eq!(Language::parse(text).unwrap().as_str(), code);
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "i", "ital", "it-", "-it", "it-IT-it", "it-Latn-Latn", "i1", "it it", "pt-BR-x", "auto-", "à", "itàà"] {
            assert!(Language::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_region_makes_no_other_language() {
        let read = |text| Language::parse(text).unwrap();
        assert!(read("pt-BR").is_like(&read("pt")));
        assert!(!read("pt").is_like(&read("es")));
    }
}
