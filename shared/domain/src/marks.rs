//! What an interaction is marked with: tags, a priority and variables. All of it lies in the interaction's item, which has to stay under 4 KB.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::values::Invalid;

/// A label on an interaction: 1 to 32 characters on one line, without blanks around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// As many as an interaction may have: with 32 characters each they take a quarter of the item at most.
    pub const MOST: usize = 20;

    /// Takes 1 to 32 characters on one line.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 32 || text.chars().any(char::is_control) {
            return Err(Invalid("must have 1 to 32 characters on one line"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The tag as it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Among those that wait: 0 to 9, 0 unless told, the higher is served first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// Takes 0 to 9.
    pub fn new(priority: i64) -> Result<Self, Invalid> {
        match u8::try_from(priority) {
            Ok(priority @ 0..=9) => Ok(Self(priority)),
            _ => Err(Invalid("must be from 0 to 9")),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Whether it is the one of what nobody marked.
    pub fn is_default(&self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<i64> for Priority {
    type Error = Invalid;
    fn try_from(priority: i64) -> Result<Self, Invalid> {
        Self::new(priority)
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> i64 {
        i64::from(priority.0)
    }
}

/// The name of a variable: a letter, then letters, digits and `_`, 32 characters at most; the form that conditions can name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);

impl VariableName {
    /// Takes a letter, then letters, digits and `_`, 32 characters at most; ASCII only.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
        if begins && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be a letter, then letters, digits or _, at most 32 in all"))
        }
    }

    /// The name as it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! from_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
from_text!(Tag VariableName);

/// Variables of an interaction by name. Their values may come from other systems and tell of a customer: they don't show in `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<VariableName, String>);

impl Variables {
    /// The bytes of all names and values together: a quarter of the item.
    pub const MOST_BYTES: usize = 1_024;

    /// The value; empty when it was never set.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known.as_str() == name).map_or("", |(_, value)| value)
    }

    /// Sets a variable; an empty value removes it. Tells whether there was room; without room nothing changes.
    #[must_use]
    pub fn set(&mut self, name: &VariableName, value: &str) -> bool {
        if value.is_empty() {
            self.0.remove(name);
            return true;
        }
        let others = self.0.iter().filter(|(known, _)| *known != name).map(|(known, value)| known.0.len() + value.len());
        if others.sum::<usize>() + name.0.len() + value.len() > Self::MOST_BYTES {
            return false;
        }
        self.0.insert(name.clone(), value.to_owned());
        true
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_0_to_9() {
        assert!(Priority::new(-1).is_err() && Priority::new(10).is_err());
        assert_eq!(Priority::new(9).map(Priority::get), Ok(9));
    }

    #[test]
    fn a_tag_is_one_short_line() {
        assert_eq!(Tag::parse(" VIP ").unwrap().as_str(), "VIP");
        for bad in ["", "  ", "a\nb", &"x".repeat(33)] {
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn variables_take_what_there_is_room_for_and_do_not_show_their_values() {
        let name = VariableName::parse("lang").unwrap();
        let mut variables = Variables::default();
        assert!(variables.set(&name, "it") && variables.get("lang") == "it" && variables.get("other").is_empty());
        assert!(!variables.set(&name, &"x".repeat(Variables::MOST_BYTES)));
        assert_eq!(variables.get("lang"), "it");
        assert!(!format!("{variables:?}").contains("it"));
        assert!(variables.set(&name, "") && variables.is_empty());
        for bad in ["", "1a", "a b", "è", "a.b", &"x".repeat(33)] {
            assert!(VariableName::parse(bad).is_err(), "{bad}");
        }
    }
}
