//! Canned answers.

use std::sync::Arc;

use api::{AgentCaller, Error, FromPath, Parameters};
use axum::Json;
use axum::extract::State;
use cloud::objects::LINK_LIFETIME;
use desk::{Link, Located};
use domain::account::Account;
use domain::catalog::{AnswerFile, CannedAnswer};
use domain::ids::{AccountId, CannedAnswerId};
use domain::message::Content;
use engine::ports::Store;
use providers::OutgoingAttachment;
use serde::Serialize;
use utoipa::ToSchema;

use super::outgoing::{LONGEST_CAPTION, NOT_AN_ANSWER};
use crate::app::App;
use crate::problem::Failure;

/// As many answers as a person scans before refining the search.
const SHOWN: i32 = 50;
/// An answer has at most 4096 characters (16 KB), so 200 stay far below the 6 MB limit of a Lambda response.
const SHOWN_AT_MOST: i32 = 200;

/// The canned answers that match the search.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answers {
    /// The account's own answers and the general ones together, sorted by title.
    items: Vec<AnswerView>,
    /// The total number of matches. If it exceeds the number of items, the agent can refine the search.
    total: usize,
}

/// A canned answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerView {
    /// Its id.
    id: String,
    /// `local`: for this account only. `general`: for all accounts.
    scope: &'static str,
    /// The title that agents search by.
    title: String,
    /// The text of the answer, with its variables.
    text: String,
    /// The text for the customer of the `interaction` in the request, as from the caller. Clients send this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    filled: Option<String>,
    /// The file that goes with it. A message with `canned_answer` sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<AnswerFileView>,
}

/// The file of a canned answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnswerFile)]
pub(crate) struct AnswerFileView {
    /// The name that the customer sees.
    name: String,
    /// The media type.
    content_type: String,
    /// The size in bytes.
    size: u64,
    /// Whether the account's provider takes a caption with it. If not, the text goes as a message of its own.
    captioned: bool,
}

impl AnswerFileView {
    fn of(file: &AnswerFile, account: &Account) -> Self {
        let captioned = takes_caption(account, file);
        Self { name: file.name.clone(), content_type: file.content_type.clone(), size: file.size, captioned }
    }
}

/// Whether the account's provider takes a caption with the file.
fn takes_caption(account: &Account, file: &AnswerFile) -> bool {
    let Some(adapter) = providers::adapter(&account.provider.kind) else { return false };
    let Ok(kind) = providers::kind_of_file(adapter, &file.content_type, file.size) else { return false };
    // The address is made when the message leaves.
    let sent = OutgoingAttachment { url: "https://h.example/f", kind, content_type: &file.content_type, name: Some(&file.name) };
    adapter.fits(&Content::Media { caption: "a".to_owned() }, Some(&sent)).is_ok()
}

/// Lists an account's canned answers, including the general ones.
///
/// Agents see the accounts they belong to. Supervisors, admins and owners see all accounts.
#[utoipa::path(
    get, path = "/accounts/{id}/canned-answers", operation_id = "list_canned_answers", tag = "messages",
    params(
        ("id" = String, Path, description = "The account's id"),
        ("search" = Option<String>, Query, description = "Words that must all appear in the title or the text. Case is ignored."),
        ("interaction" = Option<String>, Query, description = "The id of an interaction of this account. Each answer is then `filled` for its customer."),
        ("limit" = Option<u32>, Query, description = "1 to 200; the default is 50")
    ),
    responses((status = OK, body = Answers), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Json<Answers>, Failure> {
    let limit = usize::try_from(parameters.limit(SHOWN, SHOWN_AT_MOST)?).unwrap_or_default();
    let account = app.account(&caller, &id).await?;
    let all = app.directory().canned_answers().await?;
    let (answers, total) = found(&all, &account.id, parameters.get("search").unwrap_or_default(), limit);
    let filled = match parameters.get("interaction") {
        Some(id) => filled(&app, &caller, &account, id, &answers).await?.into_iter().map(Some).collect(),
        None => vec![None; answers.len()],
    };
    let items = answers.into_iter().zip(filled).map(|(answer, filled)| AnswerView {
        id: answer.id.to_string(),
        scope: if answer.account.is_some() { "local" } else { "general" },
        title: answer.title.clone(),
        text: answer.text.clone(),
        filled,
        attachment: answer.attachment.as_ref().map(|file| AnswerFileView::of(file, &account)),
    });
    Ok(Json(Answers { items: items.collect(), total }))
}

/// Returns a download link to the file of a canned answer.
///
/// Browsers save the file and never display it.
#[utoipa::path(
    get, path = "/accounts/{id}/canned-answers/{answer}/attachment", operation_id = "get_answer_file", tag = "messages",
    params(
        ("id" = String, Path, description = "The account's id"),
        ("answer" = String, Path, description = "The id of an answer of the account, or of a general one")
    ),
    responses((status = OK, body = Link), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath((id, answer)): FromPath<(String, String)>,
) -> Result<Json<Link>, Failure> {
    let account = app.account(&caller, &id).await?;
    let answer: CannedAnswerId = answer.parse().map_err(|_| Error::NotFound)?;
    let file = of_account(&app, &account.id, &answer).await?.and_then(|answer| answer.attachment).ok_or(Error::NotFound)?;
    let expires_at = app.now() + LINK_LIFETIME;
    Ok(Json(Link { url: app.desk.objects.link(&file.key, &file.name).await?, expires_at }))
}

/// The answer with this id, if agents of the account see it. It is read past the cache: its file may just have been
/// replaced, and the one before is gone.
async fn of_account(app: &App, account: &AccountId, id: &CannedAnswerId) -> Result<Option<CannedAnswer>, Failure> {
    let found = app.directory().get::<CannedAnswer>(id.as_str()).await?;
    Ok(found.map(|(answer, _)| answer).filter(|answer| answer.found_by(Some(account), "")))
}

/// The file of a canned answer, and the text that goes with it: `caption`, or its own text for the customer.
pub(crate) async fn chosen(
    app: &App,
    caller: &AgentCaller,
    place: &Located,
    id: &CannedAnswerId,
    caption: Option<String>,
) -> Result<(Option<AnswerFile>, String), Failure> {
    let account = place.account()?;
    let answer = of_account(app, &account.id, id).await?.ok_or_else(|| Failure::field("canned_answer", NOT_AN_ANSWER))?;
    let text = match caption {
        Some(caption) => caption,
        None => filled(app, caller, account, place.key.interaction.as_str(), &[&answer]).await?.pop().unwrap_or_default(),
    };
    if text.trim().is_empty() && answer.attachment.is_none() {
        return Err(Failure::field("canned_answer", "has neither a text for this customer nor a file"));
    }
    let limit = providers::adapter(&account.provider.kind).map_or(0, |adapter| adapter.text_limit());
    let (field, most) = if answer.attachment.is_some() { ("caption", LONGEST_CAPTION.min(limit)) } else { ("canned_answer", limit) };
    if text.chars().count() > most {
        return Err(Failure::field(field, &format!("the text for this customer has more than {most} characters")));
    }
    if !text.trim().is_empty() && answer.attachment.as_ref().is_some_and(|file| !takes_caption(account, file)) {
        return Err(Failure::field("caption", "can't go with this file: leave it empty, and send the text as a message of its own"));
    }
    Ok((answer.attachment, text))
}

/// The answers that match, at most `limit`, and how many match in total.
fn found<'a>(all: &'a [CannedAnswer], account: &AccountId, words: &str, limit: usize) -> (Vec<&'a CannedAnswer>, usize) {
    let mut found: Vec<&CannedAnswer> = all.iter().filter(|answer| answer.found_by(Some(account), words)).collect();
    // If two answers share a title, the account's own comes first.
    found.sort_by_key(|answer| (answer.title.to_lowercase(), answer.account.is_none(), answer.id.clone()));
    let total = found.len();
    found.truncate(limit);
    (found, total)
}

/// The texts of the answers for the customer of an interaction of the account.
async fn filled(app: &App, caller: &AgentCaller, account: &Account, id: &str, answers: &[&CannedAnswer]) -> Result<Vec<String>, Failure> {
    let other = || Failure::field("interaction", "must be the id of an interaction of this account");
    let place = match app.desk.locate(caller, id).await {
        Err(desk::Failure::Kit(Error::NotFound)) => return Err(other()),
        place => place?,
    };
    if place.key.conversation.account != account.id {
        return Err(other());
    }
    let interaction = app.store().interaction(&place.key).await?.ok_or_else(other)?;
    let name = app.desk.agent(&caller.agent).await?.map(|agent| agent.name).unwrap_or_default();
    Ok(app.desk.engine.filled(account, &interaction, &name, answers).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn the_accounts_own_and_the_general_answers_are_shown_together() {
        let account = |number| AccountId::from_ulid(Ulid::from_parts(1, number));
        let answer = |number: u128, of: Option<u128>, title: &str| CannedAnswer {
            id: CannedAnswerId::from_ulid(Ulid::from_parts(1, number)),
            account: of.map(account),
            title: title.to_owned(),
            text: "Siamo aperti".to_owned(),
            attachment: None,
        };
        let all = [answer(1, None, "Orari"), answer(2, Some(1), "orari"), answer(3, Some(2), "Orari"), answer(4, None, "Bentornati")];
        let shown = |words: &str, limit| {
            let (found, total) = found(&all, &account(1), words, limit);
            let scope = |answer: &CannedAnswer| if answer.account.is_some() { "local" } else { "general" };
            (found.into_iter().map(|answer| format!("{} {}", scope(answer), answer.title)).collect::<Vec<_>>(), total)
        };
        assert_eq!(shown("", 50), (vec!["general Bentornati".to_owned(), "local orari".to_owned(), "general Orari".to_owned()], 3));
        assert_eq!(shown("orari APERTI", 1), (vec!["local orari".to_owned()], 2));
        assert_eq!(shown("chiusi", 50), (Vec::new(), 0));
    }
}
