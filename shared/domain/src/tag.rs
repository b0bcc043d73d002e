//! Labels on an interaction.

use serde::{Deserialize, Serialize};

use crate::values::{Invalid, from_text};

/// A label on an interaction: 1 to 32 characters on one line, without blanks around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// The most tags of an interaction. With 32 characters each they take at most a quarter of the item.
    pub const MOST: usize = 20;

    /// Accepts 1 to 32 characters on one line.
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

from_text!(Tag);

#[cfg(feature = "openapi")]
crate::values::text_schema!(Tag as "TagName", "A label on an interaction, on one line without blanks around it.", |text| {
    text.min_length(Some(1)).max_length(Some(32))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_short_line() {
        assert_eq!(Tag::parse(" VIP ").unwrap().as_str(), "VIP");
        for bad in ["", "  ", "a\nb", &"x".repeat(33)] {
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }
}
