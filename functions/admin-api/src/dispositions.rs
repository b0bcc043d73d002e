//! Dispositions of all accounts: wrap-up codes.

use api::Error;
use axum::extract::State;
use domain::account::Account;
use domain::catalog::Disposition;
use domain::ids::DispositionId;
use domain::plan::Step;
use http::StatusCode;
use serde::Serialize;
use store::Write;
use utoipa::ToSchema;

use crate::app::{App, changed, delete_unused, settled, written};
use crate::error::ApiError;
use crate::input::DispositionInput;
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Body, Id, IfMatch, Overseer, Page, Parameters};

/// A wrap-up code of all accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disposition)]
pub(crate) struct DispositionView {
    /// Its id.
    #[schema(value_type = String)]
    id: DispositionId,
    /// One to three levels with `/` between them.
    name: String,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(disposition: Disposition, version: u64) -> DispositionView {
    let Disposition { id, name } = disposition;
    DispositionView { id, name, version }
}

/// Makes a disposition.
///
/// A POST that is repeated is refused (422), as the name is taken.
#[utoipa::path(post, path = "/dispositions", tag = "dispositions", request_body = DispositionInput,
    responses((status = 201, description = "Made.", body = DispositionView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_disposition(
    State(app): State<App>,
    Overseer(by): Overseer,
    Body(body): Body,
) -> Result<Versioned<DispositionView>, ApiError> {
    let input = DispositionInput::parse(body, None)?;
    let disposition = Disposition { id: DispositionId::from_ulid(cloud::ids::ulid()), name: input.name };
    let version = written(app.configuration().put(&disposition, Write::New, Vec::new()).await?)?;
    changed("disposition", "created", disposition.id.as_str(), &by);
    let place = app.place("dispositions", disposition.id.as_str());
    Ok(Versioned::made(view(disposition, version), place))
}

/// The dispositions. An account's own are in its settings.
#[utoipa::path(get, path = "/dispositions", tag = "dispositions", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<DispositionView>), Refusals))]
pub(crate) async fn list_dispositions(
    State(app): State<App>,
    _: Overseer,
    parameters: Parameters,
) -> Result<Listed<DispositionView>, ApiError> {
    app.list(&Page::of::<DispositionId>(&parameters)?, view).await
}

/// One disposition.
#[utoipa::path(get, path = "/dispositions/{id}", tag = "dispositions", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = DispositionView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_disposition(
    State(app): State<App>,
    _: Overseer,
    Id(id): Id<DispositionId>,
) -> Result<Versioned<DispositionView>, ApiError> {
    let (disposition, version) = app.load::<Disposition>(id.as_str()).await?;
    Ok(Versioned::new(view(disposition, version), version))
}

/// Whether an account's plan closes with a disposition that the account has not itself.
fn closes_with(account: &Account, name: &str) -> bool {
    let own = account.settings.dispositions.iter().any(|own| own == name);
    let closes = |step: &Step| matches!(step, Step::Close { disposition: Some(disposition) } if disposition == name);
    !own && account.plan.steps.iter().any(|step| closes(&step.step))
}

/// Replaces a disposition. What was closed with it keeps the name that it had. Refused (409, `in-use`) when the name changes with which an account's plan closes.
#[utoipa::path(put, path = "/dispositions/{id}", tag = "dispositions", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = DispositionInput,
    responses((status = 200, description = "Replaced.", body = DispositionView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_disposition(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<DispositionId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<DispositionView>, ApiError> {
    let (before, version) = app.load::<Disposition>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let disposition = Disposition { id, name: DispositionInput::parse(body, Some(&shown))?.name };
    let write = Write::Replace { before: &before, version };
    let mut attempts = app.attempts();
    let version = loop {
        let at = attempts.next().await?;
        if before.name != disposition.name {
            let users = app.accounts_with(|account| closes_with(account, &before.name)).await?;
            if !users.is_empty() {
                return Err(ApiError::InUse { users });
            }
        }
        if let Some(version) = settled(app.configuration().put_at(at, &disposition, &write, &[]).await?)? {
            break version;
        }
    };
    changed("disposition", "replaced", disposition.id.as_str(), &by);
    Ok(Versioned::new(view(disposition, version), version))
}

/// Deletes a disposition. What was closed with it keeps it. Refused (409, `in-use`) while an account's plan closes with it.
#[utoipa::path(delete, path = "/dispositions/{id}", tag = "dispositions", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_disposition(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<DispositionId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (disposition, version) = app.load::<Disposition>(id.as_str()).await?;
    condition.check(version)?;
    delete_unused(&app, &disposition, version, |account| closes_with(account, &disposition.name)).await?;
    changed("disposition", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
