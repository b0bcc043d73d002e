//! Variables that the action plan and other systems set on an interaction. They are stored in its item, which must
//! stay under 4 KB.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::values::{Invalid, from_text};

/// The name of a variable: a letter, then letters, digits and `_`, at most 32 characters. Conditions can use every
/// such name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);

impl VariableName {
    /// Accepts a letter, then letters, digits and `_`, at most 32 characters; ASCII only.
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

from_text!(VariableName);

#[cfg(feature = "openapi")]
crate::values::text_schema!(VariableName, "The name of a variable.", |text| { text.pattern(Some("^[A-Za-z][A-Za-z0-9_]{0,31}$")) });

/// Variables of an interaction by name. Their values may come from other systems and hold personal data, so `Debug`
/// does not show them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<VariableName, String>);

impl Variables {
    /// The most bytes of all names and values together: a quarter of the item.
    pub const MOST_BYTES: usize = 1_024;

    /// The value; empty if the variable was never set.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known.as_str() == name).map_or("", |(_, value)| value)
    }

    /// Sets a variable; an empty value removes it. Returns whether there was room. Without room nothing changes.
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

    /// Whether there are no variables.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All variables, by name.
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
    fn variables_are_set_while_there_is_room_and_their_values_are_not_shown() {
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
