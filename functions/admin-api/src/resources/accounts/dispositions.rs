//! The dispositions of an account. Supervisors manage them, although only administrators see and change the account.

use api::{Id, IfMatch, JsonBody, Overseer, Versioned};
use axum::extract::State;
use domain::account::Account;
use domain::ids::AccountId;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{DISPOSITIONS, Errors, REQUIRED, disposition, whole};
use crate::openapi::{Refusals, WriteRefusals};
use crate::resource::{Writer, edit};

/// The dispositions of an account.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct AccountDispositionsInput {
    /// The account's own dispositions, in addition to the general ones. Each has up to three levels separated by `/`.
    #[schema(max_items = 200)]
    dispositions: Vec<String>,
}

/// The dispositions of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountDispositions)]
pub(crate) struct AccountDispositionsView {
    /// The account's id.
    id: AccountId,
    /// The account's own dispositions, in addition to the general ones.
    dispositions: Vec<String>,
    /// The account's version. It increases with every change of the account. The `ETag` has the same value.
    version: u64,
}

impl AccountDispositionsInput {
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        whole(body, shown, |fields| {
            // An absent list would empty it.
            if !fields.has("dispositions") {
                fields.refuse("dispositions", REQUIRED);
            }
            Some(Self { dispositions: fields.set("dispositions", DISPOSITIONS, "must have at most 200 entries", disposition) })
        })
    }
}

fn view(account: Account, version: u64) -> AccountDispositionsView {
    AccountDispositionsView { id: account.id, dispositions: account.settings.dispositions, version }
}

/// Returns the dispositions of an account.
///
/// The general ones, which all accounts have, are under `/dispositions`.
#[utoipa::path(get, path = "/accounts/{id}/dispositions", tag = "dispositions", params(("id" = String, Path)),
    responses((status = 200, description = "The dispositions.", body = AccountDispositionsView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn account_dispositions(
    State(app): State<App>,
    _: Overseer,
    Id(id): Id<AccountId>,
) -> Result<Versioned<AccountDispositionsView>, ApiError> {
    let (account, version) = app.load::<Account>(id.as_str()).await?;
    Ok(Versioned::new(view(account, version), version))
}

/// Replaces the dispositions of an account.
///
/// Interactions that were closed with one that is gone keep it. 422: the account's plan closes with one that would be
/// missing.
#[utoipa::path(put, path = "/accounts/{id}/dispositions", tag = "dispositions", request_body = AccountDispositionsInput,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "Replaced.", body = AccountDispositionsView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_account_dispositions(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<AccountId>,
    condition: IfMatch,
    JsonBody(body): JsonBody,
) -> Result<Versioned<AccountDispositionsView>, ApiError> {
    let (account, version) = app.load::<Account>(id.as_str()).await?;
    let shown = json!(view(account, version));
    let AccountDispositionsInput { dispositions } = AccountDispositionsInput::parse(body, Some(&shown))?;
    let written = edit(&app, Writer::<Account>::of(by), id.clone(), Some(condition), |account| {
        account["settings"]["dispositions"] = json!(dispositions);
    });
    let version = written.await?.version;
    Ok(Versioned::new(AccountDispositionsView { id, dispositions, version }, version))
}
