//! Canned answers.

use std::sync::Arc;

use api::{AgentCaller, FromPath, Parameters};
use axum::Json;
use axum::extract::State;
use domain::catalog::CannedAnswer;
use domain::ids::AccountId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Failure;

/// What one looks through before typing another word.
const SHOWN: i32 = 50;
/// An answer has at most 4096 characters, 16 KB: 200 are far below the 6 MB that a Lambda may answer.
const SHOWN_AT_MOST: i32 = 200;

/// The prepared texts that were found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answers {
    /// Those of the account and the general ones together, by title.
    items: Vec<AnswerView>,
    /// How many there are in all; when more than are shown, another word narrows it down.
    total: usize,
}

/// A prepared text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerView {
    /// Its id.
    id: String,
    /// `local`: of this account; `general`: of all accounts.
    scope: &'static str,
    /// How agents find it.
    title: String,
    /// What it says.
    text: String,
}

/// The canned answers of an account of the caller, with the general ones; supervisors and up see those of all accounts.
#[utoipa::path(
    get, path = "/accounts/{id}/canned-answers", operation_id = "list_canned_answers", tag = "messages",
    params(
        ("id" = String, Path, description = "The account's id"),
        ("search" = Option<String>, Query, description = "Words that all stand in title or text, in whatever case"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 unless told")
    ),
    responses((status = OK, body = Answers), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Json<Answers>, Failure> {
    let limit = parameters.limit(SHOWN, SHOWN_AT_MOST)?;
    let id = app.account(&caller, &id).await?.id.clone();
    let all = app.directory().canned_answers().await?;
    Ok(Json(found(&all, &id, parameters.get("search").unwrap_or_default(), usize::try_from(limit).unwrap_or_default())))
}

fn found(all: &[CannedAnswer], account: &AccountId, words: &str, limit: usize) -> Answers {
    let mut found: Vec<&CannedAnswer> = all.iter().filter(|answer| answer.found_by(account, words)).collect();
    // The account's own first where both have one of that title.
    found.sort_by_key(|answer| (answer.title.to_lowercase(), answer.account.is_none(), answer.id.clone()));
    let total = found.len();
    let answers = found.into_iter().take(limit).map(|answer| AnswerView {
        id: answer.id.to_string(),
        scope: if answer.account.is_some() { "local" } else { "general" },
        title: answer.title.clone(),
        text: answer.text.clone(),
    });
    Answers { items: answers.collect(), total }
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
        };
        let all = [answer(1, None, "Orari"), answer(2, Some(1), "orari"), answer(3, Some(2), "Orari"), answer(4, None, "Bentornati")];
        let shown = |words: &str, limit| {
            let Answers { items, total } = found(&all, &account(1), words, limit);
            (items.into_iter().map(|answer| format!("{} {}", answer.scope, answer.title)).collect::<Vec<_>>(), total)
        };
        assert_eq!(shown("", 50), (vec!["general Bentornati".to_owned(), "local orari".to_owned(), "general Orari".to_owned()], 3));
        assert_eq!(shown("orari APERTI", 1), (vec!["local orari".to_owned()], 2));
        assert_eq!(shown("chiusi", 50), (Vec::new(), 0));
    }
}
