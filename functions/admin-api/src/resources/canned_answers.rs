//! Canned answers: prepared texts.

use api::Caller;
use domain::account::Account;
use domain::agent::Role;
use domain::catalog::CannedAnswer;
use domain::ids::{AccountId, CannedAnswerId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::{App, written};
use crate::error::ApiError;
use crate::input::{Errors, NAME, UNKNOWN_ACCOUNT, id, line, text, whole};
use crate::resource::{Change, Resource, Stored};
use crate::shells::shells;

/// The longest text that WhatsApp takes in one message.
const TEXT: usize = 4_096;

/// A prepared text.
#[derive(PartialEq, ToSchema)]
pub(crate) struct CannedAnswerInput {
    /// Id of the account that it is for; absent: for all of them.
    account: Option<AccountId>,
    /// How agents find it.
    #[schema(min_length = 1, max_length = 200, example = "Opening hours")]
    title: String,
    /// What it says.
    #[schema(min_length = 1, max_length = 4_096)]
    text: String,
}

/// What is said to customers never reaches a log.
impl std::fmt::Debug for CannedAnswerInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CannedAnswerInput").field("account", &self.account).finish_non_exhaustive()
    }
}

/// A prepared text.
#[derive(Serialize, ToSchema)]
#[schema(as = CannedAnswer)]
pub(crate) struct CannedAnswerView {
    /// Its id.
    id: CannedAnswerId,
    /// Id of the account that it is for; absent: for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// How agents find it.
    title: String,
    /// What it says.
    text: String,
    /// Grows with every change; the `ETag`.
    version: u64,
}

impl Resource for CannedAnswer {
    type Id = CannedAnswerId;
    type Input = CannedAnswerInput;
    type View = CannedAnswerView;
    const PLACE: &'static str = "canned-answers";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Supervisor;

    fn parse(body: Value, shown: Option<&Value>) -> Result<CannedAnswerInput, Errors> {
        whole(body, shown, |fields| {
            let account = fields.optional("account", id(UNKNOWN_ACCOUNT));
            let title = fields.required("title", line(NAME));
            let text = fields.required("text", text(TEXT));
            Some(CannedAnswerInput { account, title: title?, text: text? })
        })
    }

    fn make(id: CannedAnswerId, input: &mut CannedAnswerInput, _: Option<&Self>) -> Result<Self, ApiError> {
        let CannedAnswerInput { account, title, text } = input;
        Ok(Self { id, account: account.clone(), title: title.clone(), text: text.clone() })
    }

    fn view(self, version: u64, _: &App) -> CannedAnswerView {
        let Self { id, account, title, text } = self;
        CannedAnswerView { id, account, title, text, version }
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        match &change.after.account {
            Some(account) if app.configuration().get::<Account>(account.as_str()).await?.is_none() => {
                Err(Errors::one("account", UNKNOWN_ACCOUNT).into())
            }
            _ => Ok(()),
        }
    }
}

/// Deletes what an account had of its own, once it is deleted itself. The account is what counts: an answer that stays
/// is shown to no agent, and is logged, for a person to delete.
pub(crate) async fn forget_answers(app: &App, by: &Caller, account: &AccountId) {
    let forgotten = async {
        let answers = app.configuration().all::<CannedAnswer>().await?;
        for (answer, version) in answers.into_iter().filter(|(answer, _)| answer.account.as_ref() == Some(account)) {
            let stored = Stored::of(app, answer, version)?;
            let entry = stored.deleted(app, by).await?;
            written(app.configuration().delete(&stored.before, version, &entry).await?)?;
        }
        Ok::<_, ApiError>(())
    };
    if let Err(error) = forgotten.await {
        tracing::error!(event = "admin.canned_answers_left", account = account.as_str(), %error);
    }
}

shells! {
    CannedAnswer: CannedAnswerInput => CannedAnswerView, "canned-answers", "/canned-answers", "/canned-answers/{id}";

    /// Lists the canned answers.
    ///
    /// Agents see those of an account and the general ones together.
    list list_canned_answers;

    /// Makes a canned answer.
    ///
    /// Titles need not be unique: a POST that is repeated makes a second one.
    create create_canned_answer;

    /// Reads a canned answer.
    get get_canned_answer;

    /// Replaces a canned answer.
    put put_canned_answer;

    /// Changes fields of a canned answer.
    patch patch_canned_answer;

    /// Deletes a canned answer.
    delete delete_canned_answer;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_canned_answer_fits_one_message_and_is_found_by_its_title() {
        let account = AccountId::from_ulid(ulid::Ulid(1));
        let body = json!({"account": account, "title": "Hours", "text": "9 to 18\nsee you"});
        let answer = CannedAnswer::parse(body.clone(), None).unwrap();
        assert_eq!((answer.account, answer.text.as_str()), (Some(account), "9 to 18\nsee you"));
        assert!(CannedAnswer::parse(json!({"title": "Hours", "text": "è".repeat(4_096)}), None).unwrap().account.is_none());
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
            assert_eq!(names(CannedAnswer::parse(body, None)), [field]);
        }
        assert_eq!(names(CannedAnswer::parse(json!({}), None)), ["title", "text"]);
    }

    #[test]
    fn a_canned_answer_does_not_show_in_debug() {
        let answer = CannedAnswer::parse(json!({"title": "Hours", "text": "9 to 18"}), None).unwrap();
        assert!(!format!("{answer:?}").contains("18"));
    }
}
