//! What is asked of the providers: whether an account works, which numbers and templates there are, and that webhooks come here.

use api::{Administrator, Anyone, Caller, Error, Id, JsonBody, Listed, Parameters, Problem};
use axum::Json;
use axum::extract::{Path, State};
use domain::account::{Account, Settings};
use domain::agent::Role;
use domain::ids::{AccountId, ListId};
use domain::plan::ActionPlan;
use domain::values::{AccountKey, E164};
use jiff::{SignedDuration, Timestamp};
use providers::{ADAPTERS, Registration, Shape, Source};
use serde::Serialize;
use ulid::Ulid;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, of_provider};
use crate::input::{Errors, Fields, ProviderInput};
use crate::openapi::{ProviderRefusals, Refusals};
use crate::resources::accounts::receive_url;

/// How far back a reconciliation looks unless it is told: a night and the outage before it.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// How far back it may look: 30 s of an API call are enough for some thousand messages, and events are kept, and so recognised, for a month.
const LOOK_BACK_MOST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A provider type that accounts can have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderType {
    /// What an account's `provider.type` says.
    r#type: &'static str,
    /// Its fields, beside `type`.
    fields: Vec<FieldView>,
}

/// A field of a provider type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldView {
    /// Its name.
    name: &'static str,
    /// What it is.
    description: &'static str,
    /// Whether it is write-only.
    secret: bool,
    /// Whether a person must fill it in.
    required: bool,
    /// Whether it is made up when it is left out.
    generated: bool,
    /// The form that it must have, in words; absent: a line of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'static str>,
}

/// The provider types that accounts can have, with their fields.
#[utoipa::path(get, path = "/providers", tag = "providers",
    responses((status = 200, description = "All.", body = Listed<ProviderType>), Refusals))]
pub(crate) async fn list_providers(_: Administrator) -> Listed<ProviderType> {
    let types = ADAPTERS.iter().map(|adapter| ProviderType {
        r#type: adapter.kind(),
        fields: adapter
            .fields()
            .iter()
            .map(|field| FieldView {
                name: field.name,
                description: field.description,
                secret: field.secret,
                required: field.source == Source::Required,
                generated: field.source == Source::Generated,
                shape: match field.shape {
                    Shape::Line => None,
                    Shape::BaseUrl => Some("an https address without a query"),
                    Shape::Checked { expected, .. } => Some(expected),
                },
            })
            .collect(),
    });
    Listed { items: types.collect(), next: None }
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// Whether nothing is wrong.
    ok: bool,
    /// One for each thing that was tried.
    findings: Vec<FindingView>,
}

/// One thing that was tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingView {
    /// `credentials`, `number` or `webhook`.
    subject: &'static str,
    /// Whether it is fine; absent when the provider's API can't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    /// Something worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Tries an account's credentials and number with its provider, and whether webhooks lead to its Receive URL. A check that finds something wrong has
/// worked: it answers 200 with `ok: false`.
#[utoipa::path(post, path = "/accounts/{id}/check", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "What was found.", body = Checked), ProviderRefusals))]
pub(crate) async fn check_account(State(app): State<App>, _: Administrator, Id(id): Id<AccountId>) -> Result<Json<Checked>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    let url = receive_url(&account, &app.public_url);
    let found = app.client.converse(&account, |adapter, connection, answers| adapter.check(connection, &url, answers)).await;
    let findings: Vec<FindingView> = match found {
        Ok(found) => found
            .into_iter()
            .map(|finding| match finding.result {
                Ok(detail) => FindingView {
                    subject: finding.subject,
                    ok: detail.is_some().then_some(true),
                    detail: detail.filter(|text| !text.is_empty()),
                    problem: None,
                },
                Err(problem) => {
                    FindingView { subject: finding.subject, ok: Some(false), detail: None, problem: Some(of_provider(&problem)) }
                }
            })
            .collect(),
        Err(error) => match ApiError::from(error) {
            error @ (ApiError::Provider(_) | ApiError::Converse(_)) => {
                let problem = error.problem();
                if problem.status().is_server_error() && problem.kind().ends_with("unavailable") {
                    return Err(error);
                }
                vec![FindingView { subject: "credentials", ok: Some(false), detail: None, problem: Some(problem) }]
            }
            error => return Err(error),
        },
    };
    Ok(Json(Checked { ok: findings.iter().all(|finding| finding.ok != Some(false)), findings }))
}

/// Numbers to pick one from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Numbers {
    /// The numbers.
    items: Vec<NumberView>,
    /// Why there may be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// A number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberView {
    /// As an account's `phone` takes it.
    phone: String,
    /// The provider's name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The provider's id of it, where accounts have a field for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

const NO_NUMBERS: &str = "The provider lists no number. A number appears once it is registered for WhatsApp with this very provider account; numbers of another \
    project, sub-account or business never do.";

fn numbers(found: Vec<providers::Number>) -> Json<Numbers> {
    let hint = found.is_empty().then_some(NO_NUMBERS);
    let numbers = found.into_iter().map(|number| NumberView { phone: number.phone, name: number.name, id: number.id });
    Json(Numbers { items: numbers.collect(), hint })
}

/// The numbers of an account's provider account.
#[utoipa::path(get, path = "/accounts/{id}/numbers", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The numbers.", body = Numbers), ProviderRefusals))]
pub(crate) async fn account_numbers(State(app): State<App>, _: Administrator, Id(id): Id<AccountId>) -> Result<Json<Numbers>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    let found = app.client.converse(&account, |adapter, connection, answers| adapter.numbers(connection, answers)).await??;
    Ok(numbers(found))
}

/// The numbers of a provider account that no account here has yet: the body is what an account's `provider` would be. Nothing of it is stored.
#[utoipa::path(post, path = "/providers/{type}/numbers", tag = "providers", params(("type" = String, Path)), request_body = ProviderInput,
    responses((status = 200, description = "The numbers.", body = Numbers), ProviderRefusals))]
pub(crate) async fn provider_numbers(
    State(app): State<App>,
    _: Administrator,
    Path(kind): Path<String>,
    JsonBody(mut body): JsonBody,
) -> Result<Json<Numbers>, ApiError> {
    providers::adapter(&kind).ok_or(Error::NotFound)?;
    if let Some(body) = body.as_object_mut() {
        body.entry("type").or_insert_with(|| kind.clone().into());
    }
    let mut errors = Errors::default();
    let input = Fields::open(String::new(), body, &mut errors).and_then(|fields| ProviderInput::parse(fields, None));
    if let Some(input) = &input {
        input.check(&app.allowed_origins, &mut errors);
        if input.kind != kind {
            errors.add("type".to_owned(), "must be the type in the path");
        }
    }
    errors.check()?;
    let input = input.ok_or(Error::Encode)?;
    let unused = || Ok::<_, ApiError>(String::new());
    let client = app.client.with_credentials(input.credentials(None, unused)?.unwrap_or_default());
    let account = stranger(&input)?;
    let found = client.converse(&account, |adapter, connection, answers| adapter.numbers(connection, answers)).await??;
    Ok(numbers(found))
}

/// An account that is none, to ask a provider with: only its provider counts.
fn stranger(input: &ProviderInput) -> Result<Account, ApiError> {
    Ok(Account {
        id: AccountId::from_ulid(Ulid::nil()),
        name: String::new(),
        key: AccountKey::parse("00000").map_err(|_| Error::Encode)?,
        list: ListId::from_ulid(Ulid::nil()),
        domain: None,
        proxy_token: "".into(),
        webhook_secret: None,
        provider: input.public(),
        phone: E164::parse("+10000000").map_err(|_| Error::Encode)?,
        description: None,
        active: false,
        receive_path: "".into(),
        agents: Vec::new(),
        answering_ai_agent: None,
        settings: Settings::default(),
        plan: ActionPlan::default(),
        version: 0,
    })
}

/// A template of the provider's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateView {
    /// What a message's `template.name` says.
    name: String,
    /// What people call it.
    title: String,
    /// What a message's `template.language` says.
    language: String,
    /// The text of its body, with its placeholders.
    body: String,
}

/// The approved templates of an account's provider account, which its agents send. Supervisors may read them too, and the account's agents; for others there
/// is no such account (404).
#[utoipa::path(get, path = "/accounts/{id}/templates", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The approved ones.", body = Listed<TemplateView>), ProviderRefusals))]
pub(crate) async fn account_templates(
    State(app): State<App>,
    Anyone(caller): Anyone,
    Id(id): Id<AccountId>,
) -> Result<Listed<TemplateView>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    sees(&app, &caller, &account).await?;
    let found = app.client.converse(&account, |adapter, connection, answers| adapter.templates(connection, answers)).await??;
    let approved = found.into_iter().filter(|template| template.approved);
    let views = approved.map(|template| TemplateView {
        name: template.name,
        title: template.title,
        language: template.language,
        body: template.body,
    });
    Ok(Listed { items: views.collect(), next: None })
}

/// Fails as if the account were not there, unless the caller oversees or is an agent of it.
async fn sees(app: &App, caller: &Caller, account: &Account) -> Result<(), ApiError> {
    if caller.may(Role::Supervisor) {
        return Ok(());
    }
    let agent = caller.agent(app).await?;
    if agent.is_some_and(|agent| account.agents.contains(&agent)) { Ok(()) } else { Err(Error::NotFound.into()) }
}

/// How webhooks come to an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// Whether the provider was told just now.
    registered: bool,
    /// The Receive URL, as it is pasted into the provider's console.
    receive_url: String,
    /// What a person does there, a sentence a line; absent when nothing is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
}

/// What a person does in the provider's console so that webhooks come to an account.
#[utoipa::path(get, path = "/accounts/{id}/webhook", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "How.", body = WebhookView), Refusals))]
pub(crate) async fn get_webhook(State(app): State<App>, _: Administrator, Id(id): Id<AccountId>) -> Result<Json<WebhookView>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    Ok(Json(by_hand(&account, &app.public_url)))
}

fn by_hand(account: &Account, public_url: &str) -> WebhookView {
    let receive_url = receive_url(account, public_url);
    let instructions = providers::adapter(&account.provider.kind).map(|adapter| adapter.instructions(account, &receive_url));
    WebhookView { registered: false, receive_url, instructions }
}

/// Has the provider send its webhooks to the account's Receive URL, where its API can do that; else says what a person does.
#[utoipa::path(post, path = "/accounts/{id}/webhook", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "Done, or how to do it.", body = WebhookView), ProviderRefusals))]
pub(crate) async fn register_webhook(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<AccountId>,
) -> Result<Json<WebhookView>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    let url = receive_url(&account, &app.public_url);
    let outcome = app.client.converse(&account, |adapter, connection, answers| adapter.register(connection, &url, answers)).await?;
    match outcome {
        Registration::Done => {
            crate::app::changed("webhook", "registered", id.as_str(), &by);
            Ok(Json(WebhookView { registered: true, receive_url: url, instructions: None }))
        }
        Registration::ByHand => Ok(Json(by_hand(&account, &app.public_url))),
        Registration::Failed(problem) => Err(problem.into()),
    }
}

/// What a reconciliation found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReconciledView {
    /// Customers' messages that the provider lists.
    listed: usize,
    /// Of them, those that were not here and are now on their way.
    new: usize,
}

/// Looks for messages at the provider whose webhooks were lost, and takes them in as if the webhooks had come. A schedule does the same every quarter of an
/// hour for the last two hours.
#[utoipa::path(post, path = "/accounts/{id}/reconcile", tag = "providers",
    params(("id" = String, Path), ("since" = Option<String>, Query, description = "RFC 3339; 24 hours ago unless told, 7 days ago at most.")),
    responses((status = 200, description = "What was found.", body = ReconciledView), ProviderRefusals))]
pub(crate) async fn reconcile_account(
    State(app): State<App>,
    _: Administrator,
    Id(id): Id<AccountId>,
    parameters: Parameters,
) -> Result<Json<ReconciledView>, ApiError> {
    let now = cloud::time::now();
    let since = since(parameters.get("since"), now)?;
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    let found = receive::reconcile(&app.client, &app.ingest, &account, since, now).await?;
    Ok(Json(ReconciledView { listed: found.listed, new: found.new }))
}

fn since(asked: Option<&str>, now: Timestamp) -> Result<Timestamp, Errors> {
    match asked.map(str::parse::<Timestamp>) {
        None => Ok(now - LOOK_BACK),
        Some(Ok(since)) if since <= now && now.duration_since(since) <= LOOK_BACK_MOST => Ok(since),
        Some(_) => Err(Errors::one("since", "must be a time of the last 7 days, such as 2026-01-31T12:00:00Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconciliation_looks_back_a_day_or_as_far_as_told_within_a_week() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(since(None, now).unwrap(), "2026-01-30T12:00:00Z".parse().unwrap());
        assert_eq!(since(Some("2026-01-24T12:00:00Z"), now).unwrap(), "2026-01-24T12:00:00Z".parse().unwrap());
        for bad in ["2026-01-24T11:59:59Z", "2026-01-31T12:00:01Z", "yesterday", ""] {
            assert!(since(Some(bad), now).is_err(), "{bad}");
        }
    }
}
