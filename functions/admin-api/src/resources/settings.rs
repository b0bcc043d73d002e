//! The settings of the deployment.

use api::{Administrator, Body, Errors, IfMatch, Versioned};
use axum::extract::State;
use domain::settings::Settings;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::{Refusals, WriteRefusals};
use crate::resource::{DryRun, Mode, Outcome};
use crate::resources::singleton;

/// Settings of the whole deployment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsInput {
    /// The seconds after which an agent who lost the last connection is logged out.
    #[schema(minimum = 5, maximum = 600, example = 30)]
    connection_grace: u32,
    /// As it was read; it is not changed here.
    #[serde(default, rename = "version")]
    _version: Option<u64>,
}

/// Settings of the whole deployment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub(crate) struct SettingsView {
    /// The seconds after which an agent who lost the last connection is logged out.
    connection_grace: u32,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl SettingsView {
    fn of(Settings { connection_grace }: Settings, version: u64) -> Versioned<Self> {
        Versioned::new(Self { connection_grace, version }, version)
    }
}

/// Returns the settings of the deployment.
#[utoipa::path(get, path = "/settings", tag = "settings",
    responses((status = 200, description = "The settings.", body = SettingsView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_settings(State(app): State<App>, _: Administrator) -> Result<Versioned<SettingsView>, ApiError> {
    let (settings, version) = app.configuration().singleton().await?;
    Ok(SettingsView::of(settings, version))
}

/// Replaces the settings of the deployment.
///
/// They hold for connections that are lost from then on.
#[utoipa::path(put, path = "/settings", tag = "settings", params(("If-Match" = String, Header), DryRun), request_body = SettingsInput,
    responses((status = 200, description = "Changed, or would be.", body = SettingsView,
        headers(("ETag" = String, description = "Absent in a dry run"))), WriteRefusals))]
pub(crate) async fn put_settings(
    State(app): State<App>,
    Administrator(by): Administrator,
    mode: Mode,
    condition: IfMatch,
    Body(SettingsInput { connection_grace, .. }): Body<SettingsInput>,
) -> Result<Outcome<SettingsView>, ApiError> {
    if !(Settings::LEAST_GRACE..=Settings::MOST_GRACE).contains(&connection_grace) {
        let rule = format!("must be from {} to {} seconds", Settings::LEAST_GRACE, Settings::MOST_GRACE);
        return Err(Errors::one("connection_grace", rule).into());
    }
    let settings = Settings { connection_grace };
    let version = singleton::replace(&app, &by, mode, &condition, &settings).await?;
    Ok(Outcome::of(mode, SettingsView::of(settings, version)))
}
