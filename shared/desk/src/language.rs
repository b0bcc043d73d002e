//! The customer's language.

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use domain::decide::Event;
use domain::language::Language;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::interactions::tell;
use crate::{Desk, Failure};

/// The customer's language.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerLanguage {
    /// Its code, such as `pt` or `zh-Hant`. `null`: it is detected again with the next translation.
    #[schema(example = "pt")]
    language: Option<String>,
}

/// Sets the customer's language.
///
/// Translations into and out of it use it from now on, whatever is detected. The interaction's agent may set it, and
/// so may supervisors, admins and owners.
#[utoipa::path(
    put, path = "/interactions/{id}/language", tag = "interactions", request_body = CustomerLanguage,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn set_language(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(CustomerLanguage { language }): Body<CustomerLanguage>,
) -> Result<Json<InteractionView>, Failure> {
    let language = language.map(|code| Language::parse(&code).map_err(|invalid| Failure::field("language", invalid.0))).transpose()?;
    let (by, oversees) = (command.caller.agent.clone(), command.caller.oversees());
    tell(&desk, &command, &id, Event::LanguageChosen { by, oversees, language }).await
}
