//! Canned answers.

use std::sync::Arc;

use api::{AgentCaller, Error, FromPath, Parameters};
use axum::Json;
use axum::extract::State;
use domain::account::Account;
use domain::catalog::CannedAnswer;
use domain::ids::AccountId;
use engine::ports::Store;
use serde::Serialize;
use utoipa::ToSchema;

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
    });
    Ok(Json(Answers { items: items.collect(), total }))
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
    use domain::ids::CannedAnswerId;
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
