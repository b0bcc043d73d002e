//! Canned answers: prepared texts.

use api::Error;
use axum::extract::State;
use domain::account::Account;
use domain::catalog::CannedAnswer;
use domain::ids::{AccountId, CannedAnswerId};
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, settled, written};
use crate::error::ApiError;
use crate::input::{CannedAnswerInput, Errors, UNKNOWN_ACCOUNT};
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Body, Id, IfMatch, Overseer, Page, Parameters};

/// A prepared text.
#[derive(Serialize, ToSchema)]
#[schema(as = CannedAnswer)]
pub(crate) struct CannedAnswerView {
    /// Its id.
    #[schema(value_type = String)]
    id: CannedAnswerId,
    /// Id of the account that it is for; absent: for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// How agents find it.
    title: String,
    /// What it says.
    text: String,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(answer: CannedAnswer, version: u64) -> CannedAnswerView {
    let CannedAnswer { id, account, title, text } = answer;
    CannedAnswerView { id, account, title, text, version }
}

fn answer_of(id: CannedAnswerId, input: CannedAnswerInput) -> CannedAnswer {
    let CannedAnswerInput { account, title, text } = input;
    CannedAnswer { id, account, title, text }
}

/// Writes an answer; fails when the account that it is for is not there.
async fn checked(app: &App, answer: &CannedAnswer, write: Write<'_, CannedAnswer>) -> Result<u64, ApiError> {
    let (configuration, mut attempts) = (app.configuration(), app.attempts());
    loop {
        let at = attempts.next().await?;
        if let Some(account) = &answer.account
            && configuration.get::<Account>(account.as_str()).await?.is_none()
        {
            return Err(Errors::one("account", UNKNOWN_ACCOUNT).into());
        }
        if let Some(version) = settled(configuration.put_at(at, answer, &write, &[]).await?)? {
            return Ok(version);
        }
    }
}

/// Deletes what an account had of its own, once it is deleted itself. The account is what counts: an answer that stays is shown to no agent, and is logged,
/// for a person to delete.
pub(crate) async fn forget_answers(app: &App, account: &AccountId) {
    let forgotten = async {
        let answers = app.configuration().all::<CannedAnswer>().await?;
        for (answer, version) in answers.iter().filter(|(answer, _)| answer.account.as_ref() == Some(account)) {
            written(app.configuration().delete(answer, *version).await?)?;
        }
        Ok::<_, ApiError>(())
    };
    if let Err(error) = forgotten.await {
        tracing::error!(event = "admin.canned_answers_left", account = account.as_str(), %error);
    }
}

/// Makes a canned answer.
///
/// Titles need not be unique: a POST that is repeated makes a second one.
#[utoipa::path(post, path = "/canned-answers", tag = "canned-answers", request_body = CannedAnswerInput,
    responses((status = 201, description = "Made.", body = CannedAnswerView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_canned_answer(
    State(app): State<App>,
    Overseer(by): Overseer,
    Body(body): Body,
) -> Result<Versioned<CannedAnswerView>, ApiError> {
    let input = CannedAnswerInput::parse(body, None)?;
    let answer = answer_of(CannedAnswerId::from_ulid(cloud::ids::ulid()), input);
    let version = checked(&app, &answer, Write::New).await?;
    changed("canned_answer", "created", answer.id.as_str(), &by);
    let place = app.place("canned-answers", answer.id.as_str());
    Ok(Versioned::made(view(answer, version), place))
}

/// The canned answers. Agents see those of an account and the general ones together.
#[utoipa::path(get, path = "/canned-answers", tag = "canned-answers", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<CannedAnswerView>), Refusals))]
pub(crate) async fn list_canned_answers(
    State(app): State<App>,
    _: Overseer,
    parameters: Parameters,
) -> Result<Listed<CannedAnswerView>, ApiError> {
    app.list(&Page::of::<CannedAnswerId>(&parameters)?, view).await
}

/// One canned answer.
#[utoipa::path(get, path = "/canned-answers/{id}", tag = "canned-answers", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = CannedAnswerView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_canned_answer(
    State(app): State<App>,
    _: Overseer,
    Id(id): Id<CannedAnswerId>,
) -> Result<Versioned<CannedAnswerView>, ApiError> {
    let (answer, version) = app.load::<CannedAnswer>(id.as_str()).await?;
    Ok(Versioned::new(view(answer, version), version))
}

/// Replaces a canned answer.
#[utoipa::path(put, path = "/canned-answers/{id}", tag = "canned-answers", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = CannedAnswerInput,
    responses((status = 200, description = "Replaced.", body = CannedAnswerView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_canned_answer(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<CannedAnswerId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<CannedAnswerView>, ApiError> {
    let (before, version) = app.load::<CannedAnswer>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let input = CannedAnswerInput::parse(body, Some(&shown))?;
    let answer = answer_of(id, input);
    let version = checked(&app, &answer, Write::Replace { before: &before, version }).await?;
    changed("canned_answer", "replaced", answer.id.as_str(), &by);
    Ok(Versioned::new(view(answer, version), version))
}

/// Deletes a canned answer.
#[utoipa::path(delete, path = "/canned-answers/{id}", tag = "canned-answers", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_canned_answer(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<CannedAnswerId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (answer, version) = app.load::<CannedAnswer>(id.as_str()).await?;
    condition.check(version)?;
    written(app.configuration().delete(&answer, version).await?)?;
    changed("canned_answer", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
