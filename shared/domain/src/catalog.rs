//! Choices for agents: pauses, dispositions, tags, canned answers.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, CannedAnswerId, DispositionId, PauseId, TagId};
use crate::tag::Tag;
use crate::values::Invalid;

/// A reason for being unavailable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Ours.
    pub id: PauseId,
    /// The name that agents choose and supervisors see.
    pub name: String,
}

/// A disposition of all accounts. An account has its own beside these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposition {
    /// Ours.
    pub id: DispositionId,
    /// Up to three levels, in the form of [`disposition_path`].
    pub name: String,
}

/// The most levels of a disposition.
pub const DISPOSITION_LEVELS: usize = 3;

/// The longest disposition, in characters. It is stored in the interaction's item, which stays small.
const LONGEST_DISPOSITION: usize = 100;

/// Reads a disposition of one to three levels with `/` between them, e.g. `Complaint/Delivery/Late`, of at most 100
/// characters. Blanks around the levels are removed.
///
/// # Errors
/// The text is not a disposition. The error says why.
pub fn disposition_path(text: &str) -> Result<String, Invalid> {
    let levels: Vec<&str> = text.split('/').map(str::trim).collect();
    if levels.len() > DISPOSITION_LEVELS {
        return Err(Invalid("must have at most three levels, with / between them"));
    }
    if levels.iter().any(|level| level.is_empty() || level.chars().any(char::is_control)) {
        return Err(Invalid("must have a name on each level, on one line"));
    }
    let path = levels.join("/");
    if path.chars().count() > LONGEST_DISPOSITION {
        return Err(Invalid("must have at most 100 characters"));
    }
    Ok(path)
}

/// A tag that agents choose. If no tag is configured, they write their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTag {
    /// Ours.
    pub id: TagId,
    /// The tag.
    pub tag: Tag,
}

/// A prepared text. Agents see those of their account and the general ones together.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannedAnswer {
    /// Ours.
    pub id: CannedAnswerId,
    /// The account that it is for; `None`: all accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The title, by which agents find it.
    pub title: String,
    /// The text.
    pub text: String,
}

/// Texts for customers never reach a log.
impl std::fmt::Debug for CannedAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CannedAnswer").field("id", &self.id).field("account", &self.account).finish_non_exhaustive()
    }
}

impl CannedAnswer {
    /// Whether a search for `words` in an account finds it: the title or the text holds each word, in any case.
    pub fn found_by(&self, account: &AccountId, words: &str) -> bool {
        let (title, text) = (self.title.to_lowercase(), self.text.to_lowercase());
        self.account.as_ref().is_none_or(|own| own == account)
            && words.to_lowercase().split_whitespace().all(|word| title.contains(word) || text.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn a_disposition_has_one_to_three_levels() {
        assert_eq!(disposition_path(" Complaint / Delivery/Late "), Ok("Complaint/Delivery/Late".to_owned()));
        assert_eq!(disposition_path("Sold"), Ok("Sold".to_owned()));
        for bad in ["", " ", "a//b", "/a", "a/", "a/b/c/d", "a\nb", &"x".repeat(101)] {
            assert!(disposition_path(bad).is_err(), "{bad}");
        }
        assert!(disposition_path(&"è".repeat(100)).is_ok());
    }

    #[test]
    fn an_agent_finds_the_answers_of_the_account_and_the_general_ones() {
        let account = |number| AccountId::from_ulid(Ulid::from_parts(1, number));
        let id = CannedAnswerId::from_ulid(Ulid::nil());
        let own = CannedAnswer { id, account: Some(account(1)), title: "Orari".into(), text: "Siamo aperti dalle 9 alle 18.".into() };
        let general = CannedAnswer { account: None, ..own.clone() };
        assert!(own.found_by(&account(1), "ORARI aperti") && own.found_by(&account(1), ""));
        assert!(!own.found_by(&account(1), "orari chiusi") && !own.found_by(&account(2), "orari"));
        assert!(general.found_by(&account(2), "orari"));
    }
}
