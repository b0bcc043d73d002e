//! Choices for agents: pauses, dispositions, tags, canned answers.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, CannedAnswerId, DispositionId, PauseId, TagId};
use crate::notification::Values;
use crate::tag::Tag;
use crate::text_template::TextTemplate;
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
    /// When to choose it, for agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
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
    /// The text, in which [`Values`] and `{{agent.name}}` are filled in. One of an earlier version may be no template;
    /// it stays as it is.
    pub text: String,
    /// The file that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<AnswerFile>,
}

/// The file of a canned answer, in the deployment's bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerFile {
    /// The object's key.
    pub key: String,
    /// The name that the customer sees.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// The size in bytes.
    pub size: u64,
}

/// Texts for customers never reach a log.
impl std::fmt::Debug for CannedAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CannedAnswer").field("id", &self.id).field("account", &self.account).finish_non_exhaustive()
    }
}

impl CannedAnswer {
    /// The longest text, in characters: WhatsApp's own limit of one message.
    pub const LONGEST: usize = 4_096;

    /// The text for a customer, from `agent`.
    pub fn filled(&self, values: &Values<'_>, agent: &str) -> String {
        let Ok(template) = TextTemplate::of_any_length(&self.text) else { return self.text.clone() };
        let mut groups = values.groups();
        groups.push(("agent", vec![("name", agent)]));
        template.render(&groups, Self::LONGEST)
    }

    /// Whether a search for `words` finds it, in an account or in all: the title or the text holds each word, in any
    /// case.
    pub fn found_by(&self, account: Option<&AccountId>, words: &str) -> bool {
        let (title, text) = (self.title.to_lowercase(), self.text.to_lowercase());
        let there = |account| self.account.as_ref().is_none_or(|own| own == account);
        account.is_none_or(there) && words.to_lowercase().split_whitespace().all(|word| title.contains(word) || text.contains(word))
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
        let text = "Siamo aperti dalle 9 alle 18.".into();
        let own = CannedAnswer { id, account: Some(account(1)), title: "Orari".into(), text, attachment: None };
        let general = CannedAnswer { account: None, ..own.clone() };
        assert!(own.found_by(Some(&account(1)), "ORARI aperti") && own.found_by(Some(&account(1)), ""));
        assert!(
            !own.found_by(Some(&account(1)), "orari chiusi") && !own.found_by(Some(&account(2)), "orari") && own.found_by(None, "orari")
        );
        assert!(general.found_by(Some(&account(2)), "orari"));
    }

    #[test]
    fn an_answer_is_filled_in_for_the_customer_and_the_agent_and_an_old_one_that_is_no_template_stays() {
        let (account, name) = (crate::fixtures::account(), crate::inbound::ProfileName("Ada Lovelace".into()));
        let address = crate::values::Address::Bsuid("IT.1".into());
        let values = Values { account: &account, queue: None, list: None, name: Some(&name), address: &address };
        let id = CannedAnswerId::from_ulid(Ulid::nil());
        let answer = |text: &str| CannedAnswer { id: id.clone(), account: None, title: "Hi".into(), text: text.into(), attachment: None };
        let filled = |text: &str| answer(text).filled(&values, "Anna");
        assert_eq!(filled("Dear {{contact.firstName}}, {{agent.name}} of {{account.name}}"), "Dear Ada, Anna of Roma");
        assert_eq!(filled("{{#contact.phone}}Call {{contact.phone}}{{/contact.phone}}"), "");
        assert_eq!(filled("Take 20 % off: {{CODE"), "Take 20 % off: {{CODE");
        let before: CannedAnswer = serde_json::from_value(serde_json::json!({"id": id, "title": "Hi", "text": "Hello"})).unwrap();
        assert_eq!((before.attachment.as_ref(), before.filled(&values, "Anna").as_str()), (None, "Hello"));
    }
}
