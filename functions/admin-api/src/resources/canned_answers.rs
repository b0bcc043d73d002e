//! Canned answers: prepared texts.

use api::{Caller, Listed, Page, Parameters};
use axum::extract::State;
use domain::account::Account;
use domain::agent::Role;
use domain::catalog::CannedAnswer;
use domain::ids::{AccountId, CannedAnswerId};
use domain::text_template::TextTemplate;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer_files::{AnswerFileView, forget_file};
use crate::app::{App, written};
use crate::error::ApiError;
use crate::input::{Errors, NAME, UNKNOWN_ACCOUNT, id, line, text, whole_beside};
use crate::resource::{Change, Reader, Resource, Stored, list};
use crate::shells::shells;

/// A canned answer.
#[derive(PartialEq, ToSchema)]
pub(crate) struct CannedAnswerInput {
    /// The id of the account that the answer is for. If absent: for all accounts.
    account: Option<AccountId>,
    /// The title that agents search by.
    #[schema(min_length = 1, max_length = 200, example = "Opening hours")]
    title: String,
    /// The text of the answer; a Mustache template with the variables of the notification and `{{agent.name}}`.
    #[schema(min_length = 1, max_length = 4_096, example = "Good morning {{contact.firstName}}, {{agent.name}} speaking.")]
    text: String,
}

/// Texts for customers never reach a log.
impl std::fmt::Debug for CannedAnswerInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CannedAnswerInput").field("account", &self.account).finish_non_exhaustive()
    }
}

/// A canned answer.
#[derive(Serialize, ToSchema)]
#[schema(as = CannedAnswer)]
pub(crate) struct CannedAnswerView {
    /// The answer's id.
    id: CannedAnswerId,
    /// The id of the account that the answer is for. If absent: for all accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// The title that agents search by.
    title: String,
    /// The text of the answer.
    text: String,
    /// The file that goes with it: `PUT /canned-answers/{id}/attachment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<AnswerFileView>,
    /// Increases with every change. The `ETag` has the same value.
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
        whole_beside(body, shown, &["attachment"], |fields| {
            let account = fields.optional("account", id(UNKNOWN_ACCOUNT));
            let title = fields.required("title", line(NAME));
            let text = fields.required("text", text(CannedAnswer::LONGEST));
            if let Some(error) = text.as_ref().and_then(|text| TextTemplate::of_any_length(text).err()) {
                fields.refuse_with("text", error.to_string());
            }
            Some(CannedAnswerInput { account, title: title?, text: text? })
        })
    }

    fn make(id: CannedAnswerId, input: &mut CannedAnswerInput, before: Option<&Self>) -> Result<Self, ApiError> {
        let CannedAnswerInput { account, title, text } = input;
        let attachment = before.and_then(|before| before.attachment.clone());
        Ok(Self { id, account: account.clone(), title: title.clone(), text: text.clone(), attachment })
    }

    fn patched(_: &mut CannedAnswerInput, patch: &Value) -> Result<(), Errors> {
        // The merged document would only leave the file as it is.
        if patch.get("attachment").is_some_and(Value::is_null) {
            return Err(Errors::one("attachment", "is taken off by DELETE /canned-answers/{id}/attachment"));
        }
        Ok(())
    }

    fn view(self, version: u64, _: &App) -> CannedAnswerView {
        let Self { id, account, title, text, attachment } = self;
        CannedAnswerView { id, account, title, text, attachment: attachment.map(AnswerFileView::from), version }
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        match &change.after.account {
            Some(account) if app.configuration().get::<Account>(account.as_str()).await?.is_none() => {
                Err(Errors::one("account", UNKNOWN_ACCOUNT).into())
            }
            _ => Ok(()),
        }
    }

    async fn left(&self, app: &App) {
        forget_file(app, self.attachment.as_ref()).await;
    }
}

/// Deletes a deleted account's own canned answers. The account's deletion does not depend on it. An answer that can't
/// be deleted is shown to no agent, and the log names it so that an operator can delete it.
pub(crate) async fn forget_answers(app: &App, by: &Caller, account: &AccountId) {
    let forgotten = async {
        let answers = app.configuration().all::<CannedAnswer>().await?;
        for (answer, version) in answers.into_iter().filter(|(answer, _)| answer.account.as_ref() == Some(account)) {
            let stored = Stored::of(app, answer, version)?;
            let (entry, _) = stored.deleted(app, by).await?;
            written(app.configuration().delete(&stored.before, version, &entry).await?)?;
            forget_file(app, stored.before.attachment.as_ref()).await;
        }
        Ok::<_, ApiError>(())
    };
    if let Err(error) = forgotten.await {
        tracing::error!(event = "admin.canned_answers_left", account = account.as_str(), %error);
    }
}

/// Lists the canned answers.
///
/// The agent API shows an account's own answers and the general ones together, and so does `account` here.
#[utoipa::path(get, path = "/canned-answers", tag = "canned-answers",
    params(
        crate::openapi::PageParams,
        ("search" = Option<String>, Query, description = "Words that must all appear in the title or the text. Case is ignored."),
        ("account" = Option<String>, Query, description = "The id of an account: only its own answers and the general ones")
    ),
    responses((status = 200, description = "A page.", body = Listed<CannedAnswerView>), crate::openapi::Refusals))]
pub(crate) async fn list_canned_answers(
    State(app): State<App>,
    reader: Reader<CannedAnswer>,
    parameters: Parameters,
) -> Result<Listed<CannedAnswerView>, ApiError> {
    let (words, account) = (parameters.get("search").unwrap_or_default(), parameters.id::<AccountId>("account")?);
    if words.trim().is_empty() && account.is_none() {
        return list(&app, reader, &parameters).await;
    }
    let page = Page::of::<CannedAnswerId>(&parameters)?;
    let limit = usize::try_from(page.limit).unwrap_or_default();
    let mut found = app.configuration().all::<CannedAnswer>().await?;
    let follows = |answer: &CannedAnswer| page.after.as_deref().is_none_or(|after| answer.id.as_str() > after);
    found.retain(|(answer, _)| follows(answer) && answer.found_by(account.as_ref(), words));
    found.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(last, _)| last.id.to_string());
    Ok(Listed { items: found.into_iter().map(|(answer, version)| answer.view(version, &app)).collect(), next })
}

shells! {
    CannedAnswer: CannedAnswerInput => CannedAnswerView, "canned-answers", "/canned-answers", "/canned-answers/{id}";

    /// Creates a canned answer.
    ///
    /// Titles need not be unique: a repeated POST creates a second answer.
    create create_canned_answer;

    /// Returns a canned answer.
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
            ("text", json!("Dear {{contact.name")),
            ("text", json!("{{#queue}}")),
            ("version", json!(1)),
            ("colour", json!("red")),
        ] {
            let mut body = body.clone();
            body[field] = bad;
            assert_eq!(names(CannedAnswer::parse(body, None)), [field]);
        }
        let refused = CannedAnswer::parse(json!({"title": "Hi", "text": "Dear {{> name}}"}), None).unwrap_err();
        assert!(refused.iter().next().unwrap().message.starts_with("at character 6: "), "{refused:?}");
        assert_eq!(names(CannedAnswer::parse(json!({}), None)), ["title", "text"]);
    }

    #[test]
    fn a_canned_answer_does_not_show_in_debug() {
        let answer = CannedAnswer::parse(json!({"title": "Hours", "text": "9 to 18"}), None).unwrap();
        assert!(!format!("{answer:?}").contains("18"));
    }
}
