//! The route that shows what the providers say about an account.

use api::{Administrator, Error, Id, Listed, Parameters};
use axum::extract::State;
use domain::ids::AccountId;
use engine::ports::Directory;
use jiff::Timestamp;
use serde::Serialize;
use store::KeptAlert;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::Refusals;

/// What the provider says about an account: a restriction, a template's state, a number's quality.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertView {
    /// The alert's id, unique within the account.
    id: String,
    /// The provider's time, otherwise the time when the alert arrived.
    at: Timestamp,
    /// The provider's name of the kind, e.g. `account_update`.
    name: String,
    /// What happened, in the provider's word, e.g. `DISABLED_UPDATE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// All that the provider says, one name and value a line.
    detail: String,
    /// `false`: the request carried no proof of origin, so somebody may have made it up. Otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<bool>,
}

fn view(KeptAlert { id, received_at, alert }: KeptAlert) -> AlertView {
    AlertView {
        id,
        at: alert.at.unwrap_or(received_at),
        name: alert.name,
        event: alert.event,
        detail: alert.detail,
        proven: alert.unproven.then_some(false),
    }
}

/// Lists what the provider says about an account, newest first.
///
/// Restrictions, limits, the states and quality of templates, the number's quality and name, and errors. Alerts are
/// kept for 90 days. The provider sends some kinds only if its app subscribes to them.
#[utoipa::path(get, path = "/accounts/{id}/alerts", tag = "providers",
    params(("id" = String, Path, description = "The account's id."), api::PageParams),
    responses((status = 200, description = "A page.", body = Listed<AlertView>), Refusals))]
pub(crate) async fn list_alerts(
    State(app): State<App>,
    _: Administrator,
    Id(id): Id<AccountId>,
    parameters: Parameters,
) -> Result<Listed<AlertView>, ApiError> {
    let limit = parameters.limit(50, 100)?;
    app.configuration().account(&id).await?.ok_or(Error::NotFound)?;
    let (alerts, next) = app.engine.store.alerts(&id, parameters.get("after"), limit).await?;
    Ok(Listed { items: alerts.into_iter().map(view).collect(), next })
}
