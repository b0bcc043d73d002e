//! Why a field was refused: a code for programs beside the words for people.

use serde::Serialize;
use utoipa::ToSchema;

/// Which kind of refusal it is. Stable: a client may say it in its own words, and does not read the message for that.
/// More kinds may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RefusalCode)]
pub enum Code {
    /// Nothing is there, and something has to be.
    Required,
    /// More characters or bytes than `max`.
    TooLong,
    /// More entries than `max`.
    TooMany,
    /// A number or a time that is not from `min` to `max`.
    OutOfRange,
    /// Something else has the same value already.
    NotUnique,
    /// Nothing has this id or name, or the word is none of those that are possible.
    UnknownValue,
    /// No field or parameter has this name.
    UnknownField,
    /// The service sets this field, or it can't be changed any more.
    ReadOnly,
    /// Another type of JSON, such as a text in place of a number.
    WrongType,
    /// The type is right, and the value is not written as it has to be: a key, a phone number, an address, a date.
    WrongFormat,
    /// A text with variables, or a condition, that can't be read at the character that the message names.
    WrongTemplate,
    /// The value by itself is fine, and can't stand here or beside the others.
    NotAllowed,
    /// Anything else: the message says what.
    Invalid,
}

/// The beginnings of the messages of each kind, the first that fits. All APIs build their messages of these words; one
/// with others is [`Code::Invalid`] until a line here knows it.
const WORDS: [(Code, &[&str]); 12] = [
    (Code::WrongTemplate, &["at character "]),
    (Code::UnknownField, &["is not known", "unknown field", "is not a field"]),
    (Code::ReadOnly, &["can't be changed", "is set by this service", "is for a new "]),
    (
        Code::Required,
        &["is required", "is mandatory", "must not be empty", "must name a ", "must have a word", "missing field", "lacks the "],
    ),
    (Code::NotUnique, &["another ", "is there already", "this tag is there already"]),
    (Code::TooLong, &["is too long", "must have 1 to ", "and the other details have more than "]),
    (Code::TooMany, &["can't be added: there are ", "has too many ", "at most ", "makes a report of "]),
    (
        Code::OutOfRange,
        &["must be from ", "must be a whole number from ", "must be a number from ", "must be up to ", "must not be before "],
    ),
    (
        Code::WrongType,
        &[
            "must be a text",
            "must be a list",
            "must be an object",
            "must be a whole number",
            "must be true or false",
            "must be an id, as",
            "invalid type",
        ],
    ),
    (
        Code::UnknownValue,
        &[
            "there is no ",
            "there are no ",
            "does not exist",
            "is no ",
            "is not an id",
            "is not the id",
            "is not a ",
            "is not among ",
            "must be one of ",
            "must be one of: ",
            "must be the ids of ",
            "nothing was uploaded ",
            "unknown variant",
            "the template has no ",
            "has one that ",
        ],
    ),
    (
        Code::NotAllowed,
        &[
            "must be https and lead to a host of the public",
            "must be that of ",
            "must be the type ",
            "must not be an address of this ",
            "must not stand beside ",
            "belongs to ",
            "can't be combined",
            "is only for ",
            "needs ",
            "does not lie on ",
        ],
    ),
    (
        Code::WrongFormat,
        &["must be ", "must have ", "must not have ", "is not an e-mail address", "is a day that does not exist", "invalid "],
    ),
];

/// The words of which one is chosen: `must be all or any`, `must be open, closed or archived`.
fn is_choice(message: &str) -> bool {
    // What stands behind a colon explains it.
    let message = message.split_once(": ").map_or(message, |(rule, _)| rule);
    let Some(words) = message.strip_prefix("must be ") else { return false };
    let Some((before, last)) = words.rsplit_once(" or ") else { return false };
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_word(last) && before.split(", ").all(is_word)
}

/// What a message counts, and how many of it there may be: `must have at most 100 characters`.
fn most(message: &str) -> Option<Code> {
    let counted = message.strip_prefix("must have at most ")?.split_once(' ')?.1;
    let is_text = ["characters", "bytes"].iter().any(|unit| counted.starts_with(unit));
    let has_levels = counted.starts_with("three ") || counted.starts_with("levels");
    Some(if is_text || has_levels { Code::TooLong } else { Code::TooMany })
}

impl Code {
    /// The kind of a message.
    pub(crate) fn of(message: &str) -> Self {
        if is_choice(message) && !message.starts_with("must be true ") {
            return Code::UnknownValue;
        }
        let known = || WORDS.iter().find(|(_, words)| words.iter().any(|word| message.starts_with(word))).map(|(code, _)| *code);
        most(message).or_else(known).unwrap_or(Code::Invalid)
    }

    /// The least and the most that a message of this kind names.
    pub(crate) fn limits(self, message: &str) -> (Option<i64>, Option<i64>) {
        let after = |words: &str| number(message.split_once(words)?.1);
        match self {
            Code::OutOfRange => (after(" from "), after(" to ")),
            Code::TooLong | Code::TooMany => {
                (None, ["at most ", " 1 to ", "more than ", "there are ", "up to "].into_iter().find_map(after))
            }
            Code::WrongFormat if message.starts_with("must be 1 to ") => (Some(1), after(" to ")),
            _ => (None, None),
        }
    }
}

/// The number at the beginning of a text: `4,000 bytes`.
fn number(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ',' || c == '-')).unwrap_or(text.len());
    text[..end].replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_the_code_of_its_kind() {
        for (code, messages) in [
            (Code::Required, &["is required", "is required, or email, and never both", "must not be empty", "missing field `text`"][..]),
            (
                Code::TooLong,
                &["is too long: at most 512 bytes", "must have at most 100 characters", "must have at most 4,000 bytes as JSON"],
            ),
            (Code::TooLong, &["must have at most three levels, with / between them"]),
            (
                Code::TooMany,
                &[
                    "must have at most 1000 agents",
                    "must have at most 200 entries",
                    "can't be added: there are 50 fields, which is the most",
                ],
            ),
            (Code::OutOfRange, &["must be from 1 to 2147483 seconds", "must be a whole number from 0 on", "must be a number from 0 to 1"]),
            (Code::NotUnique, &["another account has this key", "is there already", "this tag is there already"]),
            (
                Code::UnknownValue,
                &["there is no queue with this id", "must be open, closed or archived", "must be all or any", "is no account"],
            ),
            (Code::UnknownValue, &["unknown variant `x`, expected `a`", "must be one of: IT, DE", "does not exist"]),
            (
                Code::UnknownValue,
                &["must be paused or logged_out: agents become ready themselves", "has one that these rows don't have; they have: opened"],
            ),
            (Code::UnknownField, &["is not known", "unknown field `txet`"]),
            (Code::ReadOnly, &["can't be changed", "is set by this service", "is for a new agent only"]),
            (
                Code::WrongType,
                &["must be a text", "must be a whole number", "must be true or false", "invalid type: string \"x\", expected u8"],
            ),
            (Code::WrongFormat, &["must be exactly five ASCII letters or digits", "must be one line", "must not have control characters"]),
            (Code::WrongFormat, &["must be 1 to 200 printable ASCII characters without blanks, or the key file of a service account"]),
            (Code::WrongTemplate, &["at character 4: this tag is never closed"]),
            (Code::NotAllowed, &["belongs to BEDROCK", "must be https and lead to a host of the public Internet"]),
            (Code::Invalid, &["Bedrock needs none: this deployment has its own rights"]),
        ] {
            for message in messages {
                assert_eq!(Code::of(message), code, "{message}");
            }
        }
    }

    #[test]
    fn a_range_and_a_length_name_their_limits() {
        let limits = |message: &str| Code::of(message).limits(message);
        assert_eq!(limits("must be from 1 to 2147483 seconds"), (Some(1), Some(2_147_483)));
        assert_eq!(limits("must be a whole number from 0 on"), (Some(0), None));
        assert_eq!(limits("must be up to 400 days after `from`"), (None, Some(400)));
        assert_eq!(limits("must have at most 4,000 bytes as JSON"), (None, Some(4_000)));
        assert_eq!(limits("must have at most 1000 agents"), (None, Some(1_000)));
        assert_eq!(limits("is too long"), (None, None));
        assert_eq!(limits("must have 1 to 32 characters on one line"), (None, Some(32)));
        assert_eq!(limits("can't be added: there are 50 fields, which is the most"), (None, Some(50)));
        assert_eq!(limits("makes a report of 3000 cells; up to 2000 are possible: one of 3"), (None, Some(2000)));
        assert_eq!(limits("must be 1 to 200 printable ASCII characters"), (Some(1), Some(200)));
    }
}
