//! Searches that people keep by name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SearchInput, fold};

/// A search that somebody keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// The person whose search it is: the agent's id, or the `sub` of the token if there is no agent record.
    pub owner: String,
    /// Its name, unique among the searches of its owner.
    pub name: String,
    /// Whether all supervisors see it.
    pub shared: bool,
    /// The search as it was written, which was checked.
    pub search: SearchInput,
    /// The person who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
}

impl SavedSearch {
    /// The most searches of one person: more than a menu can show.
    pub const MOST: usize = 50;

    /// The longest name, in characters: a line of a menu.
    pub const LONGEST_NAME: usize = 100;

    /// The longest key of a name, in bytes. Some characters stand for a whole phrase, and a sort key takes 1,024
    /// bytes with the owner.
    const LONGEST_KEY: usize = 400;

    /// What a name is known by, without case and accents. `None`: it is no name. A slash would end the name in a path.
    pub fn key_of(name: &str) -> Option<String> {
        let written = !name.contains('/') && !name.chars().any(char::is_control) && name.chars().count() <= Self::LONGEST_NAME;
        Some(fold(name)).filter(|key| written && (1..=Self::LONGEST_KEY).contains(&key.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_without_case_and_accents_and_a_text_that_is_none_is_refused() {
        assert_eq!(SavedSearch::key_of("Perché  NO?"), Some("perche no?".to_owned()));
        let long = "é".repeat(SavedSearch::LONGEST_NAME);
        assert!(SavedSearch::key_of(&long).is_some());
        // A sign that is written out as eighteen letters.
        for name in ["", "  ", "a/b", "a\nb", &format!("{long}x"), &"\u{fdfa}".repeat(90)] {
            assert_eq!(SavedSearch::key_of(name), None, "{name:?}");
        }
    }
}
