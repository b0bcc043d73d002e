//! What agents choose from: pauses, dispositions, tags, canned answers.

use domain::catalog::disposition_path;
use domain::ids::AccountId;
use domain::tag::Tag;
use serde_json::Value;
use utoipa::ToSchema;

use super::NAME;
use super::fields::{Errors, Fields, Refusal, UNKNOWN_ACCOUNT, id, line, parsed, text};

/// A pause is chosen as the reason of a presence, which is a word or two on a supervisor's screen.
const PAUSE: usize = 100;
/// The longest text that WhatsApp takes in one message.
const TEXT: usize = 4_096;

/// A reason for being unavailable.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct PauseInput {
    /// What agents choose, and supervisors see; no two pauses share one.
    #[schema(min_length = 1, max_length = 100, example = "Lunch")]
    pub(crate) name: String,
}

impl PauseInput {
    /// Parses the body of a POST, or of a PUT on what is `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        whole(body, shown, |fields| Some(Self { name: fields.required("name", line(PAUSE))? }))
    }
}

/// A wrap-up code of all accounts.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct DispositionInput {
    /// One to three levels with `/` between them; no two dispositions share one.
    #[schema(min_length = 1, max_length = 100, example = "Complaint/Delivery/Late")]
    pub(crate) name: String,
}

impl DispositionInput {
    /// Parses the body of a POST, or of a PUT on what is `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        whole(body, shown, |fields| Some(Self { name: fields.required("name", disposition)? }))
    }
}

/// A disposition of one to three levels.
pub(super) fn disposition(value: Value) -> Result<String, Refusal> {
    parsed(|text| disposition_path(text).map_err(|invalid| invalid.0))(value)
}

/// A tag that agents choose from.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct TagInput {
    /// 1 to 32 characters on one line; no two tags share them.
    #[schema(value_type = String, min_length = 1, max_length = 32, example = "vip")]
    pub(crate) tag: Tag,
}

impl TagInput {
    /// Parses the body of a POST, or of a PUT on what is `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let tag = |text: &str| Tag::parse(text).map_err(|invalid| invalid.0);
        whole(body, shown, |fields| Some(Self { tag: fields.required("tag", parsed(tag))? }))
    }
}

/// A prepared text.
#[derive(PartialEq, ToSchema)]
pub(crate) struct CannedAnswerInput {
    /// Id of the account that it is for; absent: for all of them.
    #[schema(value_type = Option<String>)]
    pub(crate) account: Option<AccountId>,
    /// How agents find it.
    #[schema(min_length = 1, max_length = 200, example = "Opening hours")]
    pub(crate) title: String,
    /// What it says.
    #[schema(min_length = 1, max_length = 4_096)]
    pub(crate) text: String,
}

/// What is said to customers never reaches a log.
impl std::fmt::Debug for CannedAnswerInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CannedAnswerInput").field("account", &self.account).finish_non_exhaustive()
    }
}

impl CannedAnswerInput {
    /// Parses the body of a POST, or of a PUT on what is `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        whole(body, shown, |fields| {
            let account = fields.optional("account", id(UNKNOWN_ACCOUNT));
            let title = fields.required("title", line(NAME));
            let text = fields.required("text", text(TEXT));
            Some(Self { account, title: title?, text: text? })
        })
    }
}

/// A body of which the service sets id and version.
fn whole<T>(body: Value, shown: Option<&Value>, take: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Errors> {
    let mut errors = Errors::default();
    let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
        let input = take(&mut fields);
        fields.finish_with(&["id", "version"], shown);
        input
    });
    match input {
        Some(input) => errors.check().map(|()| input),
        None => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields::testing::names;
    use super::*;

    #[test]
    fn a_pause_has_a_short_name_on_one_line() {
        assert_eq!(PauseInput::parse(json!({"name": " Lunch "}), None).unwrap().name, "Lunch");
        for bad in [json!(null), json!(""), json!("a\nb"), json!("x".repeat(101)), json!(1)] {
            assert_eq!(names(PauseInput::parse(json!({"name": bad}), None)), ["name"]);
        }
        assert_eq!(names(PauseInput::parse(json!({"name": "a", "id": "pau_1", "colour": 1}), None)), ["colour", "id"]);
    }

    #[test]
    fn a_disposition_is_a_path_of_three_levels_at_most() {
        assert_eq!(DispositionInput::parse(json!({"name": "Complaint / Late"}), None).unwrap().name, "Complaint/Late");
        for bad in [json!(null), json!(""), json!("a//b"), json!("a/b/c/d"), json!("x".repeat(101)), json!(["a", "b"])] {
            assert_eq!(names(DispositionInput::parse(json!({"name": bad}), None)), ["name"]);
        }
    }

    #[test]
    fn a_tag_is_one_that_an_interaction_can_have() {
        assert_eq!(TagInput::parse(json!({"tag": "vip"}), None).unwrap().tag.as_str(), "vip");
        for bad in [json!(null), json!(" "), json!("x".repeat(33)), json!("a\nb"), json!(7)] {
            assert_eq!(names(TagInput::parse(json!({"tag": bad}), None)), ["tag"]);
        }
    }

    #[test]
    fn a_canned_answer_fits_one_message_and_is_found_by_its_title() {
        let account = AccountId::from_ulid(ulid::Ulid(1));
        let body = json!({"account": account, "title": "Hours", "text": "9 to 18\nsee you"});
        let answer = CannedAnswerInput::parse(body.clone(), None).unwrap();
        assert_eq!((answer.account, answer.text.as_str()), (Some(account), "9 to 18\nsee you"));
        assert!(CannedAnswerInput::parse(json!({"title": "Hours", "text": "è".repeat(4_096)}), None).unwrap().account.is_none());
        for (field, bad) in [
            ("account", json!("que_1")),
            ("account", json!(1)),
            ("title", json!(null)),
            ("title", json!("a\nb")),
            ("title", json!("x".repeat(201))),
            ("text", json!(null)),
            ("text", json!(" ")),
            ("text", json!("x".repeat(4_097))),
            ("version", json!(1)),
            ("colour", json!("red")),
        ] {
            let mut body = body.clone();
            body[field] = bad;
            assert_eq!(names(CannedAnswerInput::parse(body, None)), [field]);
        }
        assert_eq!(names(CannedAnswerInput::parse(json!({}), None)), ["title", "text"]);
    }

    #[test]
    fn a_canned_answer_does_not_show_in_debug() {
        let answer = CannedAnswerInput::parse(json!({"title": "Hours", "text": "9 to 18"}), None).unwrap();
        assert!(!format!("{answer:?}").contains("18"));
    }
}
