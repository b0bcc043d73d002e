//! Requests to the providers: checking an account, listing numbers and templates, and setting up webhooks.

use std::sync::OnceLock;

use api::{Administrator, Anyone, Caller, Error, Id, JsonBody, Listed, Parameters, Problem};
use axum::Json;
use axum::extract::{Path, State};
use client::{Client, ConverseError, Given, Web};
use domain::account::{Account, Settings};
use domain::agent::Role;
use domain::ids::{AccountId, ListId};
use domain::plan::ActionPlan;
use domain::template::{ListedTemplate, TemplateCatalogue, TemplateParts};
use domain::values::{AccountKey, E164};
use jiff::{SignedDuration, Timestamp};
use providers::{ADAPTERS, Registration, Shape, Source};
use serde::Serialize;
use serde_json::Value;
use ulid::Ulid;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, of_provider};
use crate::input::{Errors, Fields, ProviderInput, Refusal, parsed};
use crate::openapi::{ProviderRefusals, Refusals};
use crate::resources::accounts::{NO_PROOF, lend, receive_url};

/// How far back a reconciliation looks by default: one night and the outage before it.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// How far back a reconciliation may look. The 30 s of an API call are enough for some thousand messages. Events are
/// kept for a month, so duplicates are recognised.
const LOOK_BACK_MOST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A provider type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderType {
    /// The value of an account's `provider.type`.
    r#type: &'static str,
    /// The fields of the type, besides `type`.
    fields: Vec<FieldView>,
}

/// A field of a provider type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldView {
    /// The field's name.
    name: &'static str,
    /// A description of the field.
    description: &'static str,
    /// Whether the field is write-only.
    secret: bool,
    /// Whether the field is required.
    required: bool,
    /// Whether a value is generated if the field is omitted.
    generated: bool,
    /// The required format, in words. If absent: a line of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'static str>,
}

/// Lists the provider types and their fields.
#[utoipa::path(get, path = "/providers", tag = "providers",
    responses((status = 200, description = "All provider types.", body = Listed<ProviderType>), Refusals))]
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
                generated: matches!(field.source, Source::Generated | Source::Made),
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

/// The result of a check.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// Whether the check found no problems.
    ok: bool,
    /// One entry for each part that was checked.
    findings: Vec<FindingView>,
}

/// One part that was checked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingView {
    /// `credentials`, `number`, `webhook` or `origin`: whether webhooks prove that the provider sent them.
    subject: &'static str,
    /// Whether this part is correct. Absent if the provider's API can't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    /// Additional information.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The problem, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Checks an account with its provider.
///
/// The check covers the credentials, the number, and whether webhooks lead to the account's Receive URL. If the check
/// finds a problem, the response is still 200, with `ok: false`.
#[utoipa::path(post, path = "/accounts/{id}/check", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The findings.", body = Checked), ProviderRefusals))]
pub(crate) async fn check_account(State(app): State<App>, _: Administrator, Id(id): Id<AccountId>) -> Result<Json<Checked>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    let url = receive_url(&account, &app.public_url);
    let proves = OnceLock::new();
    let found = app.client.converse(&account, |adapter, connection, answers| {
        proves.get_or_init(|| adapter.proves_origin(&connection.account.provider, connection.credentials));
        adapter.check(connection, &url, answers)
    });
    let found = found.await;
    let mut findings = views(found)?;
    findings.extend(proves.into_inner().map(|proves| FindingView {
        subject: "origin",
        ok: Some(proves),
        detail: (!proves).then(|| NO_PROOF.to_owned()),
        problem: None,
    }));
    Ok(Json(Checked { ok: findings.iter().all(|finding| finding.ok != Some(false)), findings }))
}

/// The findings as they are shown. A provider that refuses the credentials is a finding; one that can't be asked is an
/// error.
fn views(found: Result<Vec<providers::Finding>, ConverseError>) -> Result<Vec<FindingView>, ApiError> {
    let view = |finding: providers::Finding| match finding.result {
        Ok(detail) => FindingView {
            subject: finding.subject,
            ok: detail.is_some().then_some(true),
            detail: detail.filter(|text| !text.is_empty()),
            problem: None,
        },
        Err(problem) => FindingView { subject: finding.subject, ok: Some(false), detail: None, problem: Some(of_provider(&problem)) },
    };
    match found.map_err(ApiError::from) {
        Ok(found) => Ok(found.into_iter().map(view).collect()),
        Err(error @ (ApiError::Provider(_) | ApiError::Converse(_))) => {
            let problem = error.problem();
            if problem.status().is_server_error() && problem.kind().ends_with("unavailable") {
                return Err(error);
            }
            Ok(vec![FindingView { subject: "credentials", ok: Some(false), detail: None, problem: Some(problem) }])
        }
        Err(error) => Err(error),
    }
}

/// What is tried at a provider before there is an account.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only described")]
pub(crate) struct ProviderCheckInput {
    /// The provider's fields, or `credentials_from`, as for a new account. The field that tells the number
    /// (`phone_number_id` for `META`, `app_id` for `SINCH_V2`) may be left out as long as the number is not known.
    provider: ProviderInput,
    /// The number, as an account's `phone`. If absent, only the credentials are checked.
    phone: Option<String>,
}

/// Checks credentials, and optionally a number, with the provider before there is an account.
///
/// The fields are checked as if the account were saved (422), and then tried. Findings are those of the account's own
/// check, without `webhook` and `origin`, which only an account has: `credentials`, and with a `phone` also `number`.
/// If the check finds a problem, the response is still 200, with `ok: false`. Nothing is stored.
#[utoipa::path(post, path = "/providers/{type}/check", tag = "providers", params(("type" = String, Path)), request_body = ProviderCheckInput,
    responses((status = 200, description = "The findings.", body = Checked), ProviderRefusals))]
pub(crate) async fn check_provider(
    State(app): State<App>,
    Administrator(by): Administrator,
    Path(kind): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Checked>, ApiError> {
    let mut errors = Errors::default();
    let Some(mut fields) = Fields::open(String::new(), body, &mut errors) else { return Err(errors.into()) };
    let provider = fields.required("provider", Ok);
    let phone = fields.optional("phone", parsed(|text| E164::parse(text).map_err(|invalid| invalid.0)));
    fields.finish();
    // The rest of a body with a wrong number is checked too, so that all errors are named at once.
    let tried = match provider {
        Some(provider) => Tried::of(&app, &kind, provider, "provider", phone.is_some(), &mut errors).await?,
        None => None,
    };
    errors.check()?;
    let Tried { client, mut account, number_known } = tried.ok_or(Error::Encode)?;
    let has_phone = phone.is_some();
    if let Some(phone) = phone {
        account.phone = phone;
    }
    let found = client.converse(&account, |adapter, connection, answers| adapter.check(connection, "", answers)).await;
    let mut findings = views(found)?;
    findings.retain(|finding| tells(finding, has_phone, number_known));
    let ok = findings.iter().all(|finding| finding.ok != Some(false));
    tracing::info!(event = "admin.provider_checked", kind = account.provider.kind, ok, by = by.subject);
    Ok(Json(Checked { ok, findings }))
}

/// Whether a finding tells something before there is an account. Where webhooks lead can't be told yet, and without a
/// number only that the id of one, if it was given, is unknown.
fn tells(finding: &FindingView, has_phone: bool, number_known: bool) -> bool {
    let unknown_id = || finding.problem.as_ref().is_some_and(|problem| problem.kind().ends_with("not-found-at-provider"));
    match finding.subject {
        "credentials" => true,
        "number" => has_phone || (number_known && unknown_id()),
        _ => false,
    }
}

/// Credentials that belong to no account yet, ready to be tried.
struct Tried {
    client: Client<Web, Given>,
    account: Account,
    /// Whether the field that tells the number was given.
    number_known: bool,
}

impl Tried {
    /// Reads the `provider` of an account that does not exist, by the rules of a new account: its addresses are
    /// vetted, and what `credentials_from` names is lent to the same address only. `at` is the path of the fields.
    /// `None` if a field was refused.
    async fn of(app: &App, kind: &str, mut body: Value, at: &str, phone: bool, errors: &mut Errors) -> Result<Option<Self>, ApiError> {
        let adapter = providers::adapter(kind).ok_or(Error::NotFound)?;
        let prefix = if at.is_empty() { String::new() } else { format!("{at}.") };
        let mut number_known = true;
        if let Some(body) = body.as_object_mut() {
            body.entry("type").or_insert_with(|| kind.into());
            // Which number it is comes later, and neither the credentials nor a list of numbers depend on it.
            if let Some(field) = adapter.number_field().filter(|field| !phone && body.get(*field).is_none_or(Value::is_null)) {
                number_known = false;
                body.insert(field.to_owned(), NO_NUMBER.into());
            }
        }
        lend(app, &mut body, &prefix).await?;
        let input = Fields::open(at.to_owned(), body, errors).and_then(|fields| ProviderInput::parse(fields, None));
        let Some(input) = input else { return Ok(None) };
        let refused = app.refused(input.addresses().map(str::to_owned)).await;
        input.check(&prefix, &refused, errors);
        if input.kind != kind {
            errors.add(format!("{prefix}type"), OTHER_TYPE);
        }
        let unused = || Ok::<_, ApiError>(String::new());
        let client = app.client.with_credentials(input.credentials(None, unused)?.unwrap_or_default());
        Ok(Some(Self { client, account: stranger(&input)?, number_known }))
    }
}

/// The place of a number's id that is not known yet. No provider gives it.
const NO_NUMBER: &str = "0";

const OTHER_TYPE: Refusal = "must be the type in the path";

/// Numbers to choose from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Numbers {
    /// The numbers.
    items: Vec<NumberView>,
    /// Why the list may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// A number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberView {
    /// The number, in the format of an account's `phone`.
    phone: String,
    /// The provider's name for the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The provider's id of the number, if accounts have a field for it.
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

/// Lists the numbers of an account's provider account.
#[utoipa::path(get, path = "/accounts/{id}/numbers", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The numbers.", body = Numbers), ProviderRefusals))]
pub(crate) async fn account_numbers(State(app): State<App>, _: Administrator, Id(id): Id<AccountId>) -> Result<Json<Numbers>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    let found = app.client.converse(&account, |adapter, connection, answers| adapter.numbers(connection, answers)).await??;
    Ok(numbers(found))
}

/// Lists the numbers of a provider account that are not connected here yet.
///
/// The body has the format of an account's `provider`, with its fields or `credentials_from`. Nothing in it is stored.
#[utoipa::path(post, path = "/providers/{type}/numbers", tag = "providers", params(("type" = String, Path)), request_body = ProviderInput,
    responses((status = 200, description = "The numbers.", body = Numbers), ProviderRefusals))]
pub(crate) async fn provider_numbers(
    State(app): State<App>,
    _: Administrator,
    Path(kind): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Numbers>, ApiError> {
    let mut errors = Errors::default();
    let tried = Tried::of(&app, &kind, body, "", false, &mut errors).await?;
    errors.check()?;
    let Tried { client, account, .. } = tried.ok_or(Error::Encode)?;
    let found = client.converse(&account, |adapter, connection, answers| adapter.numbers(connection, answers)).await??;
    Ok(numbers(found))
}

/// A temporary account for calling a provider. Only its provider matters.
fn stranger(input: &ProviderInput) -> Result<Account, ApiError> {
    Ok(Account {
        id: AccountId::from_ulid(Ulid::nil()),
        name: String::new(),
        key: AccountKey::parse("00000").map_err(|_| Error::Encode)?,
        list: ListId::from_ulid(Ulid::nil()),
        domain: None,
        proxy_token: "".into(),
        webhook_secret: None,
        replaced: domain::account::Replaced::default(),
        provider: input.public(),
        phone: E164::parse("+10000000").map_err(|_| Error::Encode)?,
        description: None,
        active: false,
        receive_path: "".into(),
        agents: Vec::new(),
        answering_ai_agent: None,
        settings: Settings::default(),
        translation_key_set_at: None,
        video_key_set_at: None,
        plan: ActionPlan::default(),
        version: 0,
    })
}

/// A template of the provider, and what a message must give for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateView {
    /// The value for a message's `template.name`.
    name: String,
    /// The template's display name.
    title: String,
    /// The value for a message's `template.language`.
    language: String,
    /// The template's category in lower case, such as `marketing`. Absent if the provider does not tell.
    #[serde(skip_serializing_if = "String::is_empty")]
    category: String,
    /// The provider's word for the template's state in lower case. Only `approved` templates can be sent.
    status: String,
    /// The text of the body, with its placeholders.
    body: String,
    /// The parts of the template, and the parameters that each needs.
    parts: TemplateParts,
}

/// Lists the templates of an account's provider account, and what each needs.
///
/// By default only approved ones. Supervisors and the account's own agents may read them too. Other agents get 404. A
/// message with a template of the list is checked against it for a day: after a change at the provider, list again.
#[utoipa::path(get, path = "/accounts/{id}/templates", tag = "providers",
    params(("id" = String, Path), ("all" = Option<bool>, Query, description = "`true`: also templates that are not approved")),
    responses((status = 200, description = "The templates.", body = Listed<TemplateView>), ProviderRefusals))]
pub(crate) async fn account_templates(
    State(app): State<App>,
    Anyone(caller): Anyone,
    Id(id): Id<AccountId>,
    parameters: Parameters,
) -> Result<Listed<TemplateView>, ApiError> {
    let all = parameters.flag("all")?;
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    sees(&app, &caller, &account).await?;
    let found = app.client.converse(&account, |adapter, connection, answers| adapter.templates(connection, answers)).await??;
    remember(&app, &id, &found).await;
    let shown = found.into_iter().filter(|template| all || template.is_approved());
    let views = shown.map(|template| TemplateView {
        name: template.name,
        title: template.title,
        language: template.language,
        category: template.category,
        status: template.status,
        body: template.parts.text.clone(),
        parts: template.parts,
    });
    Ok(Listed { items: views.collect(), next: None })
}

/// Keeps what the templates need, so that messages are checked before they are queued. Without it the provider checks
/// them, so a failure fails nothing. A list like the last one is written once an hour only.
async fn remember(app: &App, id: &AccountId, found: &[ListedTemplate]) {
    let catalogue = TemplateCatalogue::of(id.clone(), cloud::time::now(), found);
    let kept = async {
        let known = app.configuration().templates(id).await?;
        let same = known.is_some_and(|known| {
            known.templates == catalogue.templates && catalogue.listed_at.duration_since(known.listed_at) < SignedDuration::from_hours(1)
        });
        if same { Ok(()) } else { app.configuration().keep_templates(&catalogue).await }
    };
    if let Err(error) = kept.await {
        tracing::warn!(event = "admin.templates_not_kept", account = id.as_str(), %error);
    }
}

/// Fails as if the account did not exist, unless the caller is a supervisor or higher, or an agent of the account.
async fn sees(app: &App, caller: &Caller, account: &Account) -> Result<(), ApiError> {
    if caller.may(Role::Supervisor) {
        return Ok(());
    }
    let agent = caller.agent(app).await?;
    if agent.is_some_and(|agent| account.agents.contains(&agent)) { Ok(()) } else { Err(Error::NotFound.into()) }
}

/// How webhooks reach an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// Whether this request set the webhook at the provider.
    registered: bool,
    /// The Receive URL, to be pasted into the provider's console.
    receive_url: String,
    /// The remaining steps in the provider's console, one sentence per line. Absent if nothing is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
}

/// Returns the steps in the provider's console that direct webhooks to an account.
#[utoipa::path(get, path = "/accounts/{id}/webhook", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The Receive URL and the steps.", body = WebhookView), Refusals))]
pub(crate) async fn get_webhook(State(app): State<App>, _: Administrator, Id(id): Id<AccountId>) -> Result<Json<WebhookView>, ApiError> {
    let (account, _) = app.load::<Account>(id.as_str()).await?;
    Ok(Json(by_hand(&account, &app.public_url)))
}

fn by_hand(account: &Account, public_url: &str) -> WebhookView {
    let receive_url = receive_url(account, public_url);
    let instructions = providers::adapter(&account.provider.kind).map(|adapter| adapter.instructions(account, &receive_url));
    WebhookView { registered: false, receive_url, instructions }
}

/// Sets an account's Receive URL as the webhook at its provider.
///
/// If the provider's API can't do that, the response has the steps for the provider's console.
#[utoipa::path(post, path = "/accounts/{id}/webhook", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, description = "The webhook is set, or the steps to set it.", body = WebhookView), ProviderRefusals))]
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

/// The result of a reconciliation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReconciledView {
    /// The number of customers' messages that the provider lists.
    listed: usize,
    /// How many of them were missing here. They are now being processed.
    new: usize,
}

/// Fetches messages whose webhooks were lost.
///
/// The messages are processed as if their webhooks had arrived. A schedule does the same every 15 minutes for the
/// last two hours.
#[utoipa::path(post, path = "/accounts/{id}/reconcile", tag = "providers",
    params(("id" = String, Path), ("since" = Option<String>, Query, description = "RFC 3339; the default is 24 hours ago. At most 7 days ago.")),
    responses((status = 200, description = "The result.", body = ReconciledView), ProviderRefusals))]
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
    fn a_check_without_an_account_tells_what_can_be_known() {
        let unknown = providers::Problem::NotFound { field: "phone_number_id" };
        let found = |subject, result| views(Ok(vec![providers::Finding { subject, result }])).unwrap().remove(0);
        let webhook = found("webhook", Err(providers::Problem::WebhookNotSet));
        assert!(!tells(&webhook, true, true));
        assert!(tells(&found("credentials", Ok(None)), false, false));
        for (result, without_a_number) in
            [(Err(unknown), true), (Err(providers::Problem::NumberNotFound), false), (Ok(Some(String::new())), false)]
        {
            let number = found("number", result);
            assert!(tells(&number, true, true));
            assert_eq!(tells(&number, false, true), without_a_number);
            // The id was not given: it is our own stand-in that is unknown.
            assert!(!tells(&number, false, false));
        }
    }

    #[test]
    fn a_reconciliation_looks_back_a_day_by_default_and_a_week_at_most() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(since(None, now).unwrap(), "2026-01-30T12:00:00Z".parse().unwrap());
        assert_eq!(since(Some("2026-01-24T12:00:00Z"), now).unwrap(), "2026-01-24T12:00:00Z".parse().unwrap());
        for bad in ["2026-01-24T11:59:59Z", "2026-01-31T12:00:01Z", "yesterday", ""] {
            assert!(since(Some(bad), now).is_err(), "{bad}");
        }
    }
}
