//! Dry runs of an account's plan and of templates: what would happen, before it does.

use std::collections::BTreeMap;

use api::{Administrator, Body, Id};
use axum::Json;
use axum::extract::State;
use domain::account::Account;
use domain::decide::{Ending, RunLine};
use domain::ids::{AccountId, ContactId, QueueId};
use domain::inbound::ProfileName;
use domain::notification::{Notification, Values};
use domain::plan::PlanStep;
use domain::priority::Priority;
use domain::queue::Queue;
use domain::tag::Tag;
use domain::text_template::TextTemplate;
use domain::values::{Address, E164};
use domain::variables::{VariableName, Variables};
use engine::ports::{Directory, World};
use engine::{Customer, EngineError, Met, Trial};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, NAME, UNKNOWN_ACCOUNT, UNKNOWN_QUEUE};
use crate::openapi::{Refusals, WriteRefusals};
use crate::resource::{Stored, Writer};

/// How far from now a rehearsed message may be. Plans know years only by their holidays, which nobody enters for
/// longer.
const FAR: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// WhatsApp's longest text, in characters.
const LONGEST: usize = 4_096;

const UNKNOWN_CONTACT: &str = "there is no contact with this id";
const EITHER: &str = "must not stand beside contact";
const TOO_FAR: &str = "must be up to ten years from now";
const NO_ROOM: &str = "must have at most 1,024 bytes with the other variables";

/// A customer who has never written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleCustomer {
    /// The name of the customer's WhatsApp profile.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// The phone number. If absent, the customer shows only a username.
    #[schema(value_type = Option<String>, example = "+391234567890")]
    phone: Option<E164>,
}

/// What a dry run of a plan assumes. Everything is optional.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanTrialInput {
    /// The steps to try. They are checked as if they were saved. If absent: those of the account.
    #[schema(value_type = Option<Vec<PlanStep>>)]
    plan: Option<Vec<Value>>,
    /// When the customer writes; now if absent.
    at: Option<Timestamp>,
    /// The customer's message.
    #[schema(max_length = 4_096)]
    text: Option<String>,
    /// The id of the contact who writes. Blocks and whitelists hold.
    contact: Option<ContactId>,
    /// Instead of a contact: a customer who has never written.
    customer: Option<SampleCustomer>,
    /// Variables that are set before the plan begins.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    variables: Option<BTreeMap<VariableName, String>>,
    /// What other systems answer. A Webhook step without an entry gets no answer in time.
    answers: Option<Vec<WebhookAnswer>>,
}

/// The answer of another system to a Webhook step.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookAnswer {
    /// The place of the step, from 0.
    step: usize,
    /// The variables that the answer sets.
    #[schema(value_type = BTreeMap<String, String>)]
    variables: BTreeMap<VariableName, String>,
}

/// What a run of a plan would do if nobody answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanRun {
    /// When the customer writes.
    at: Timestamp,
    /// Whether the account is switched on. The run is told as if it were.
    active: bool,
    /// What would happen, in order. A run enters at most 200 steps.
    lines: Vec<RunLine>,
    /// How the run would end.
    ending: Ending,
    /// The interaction's tags at the end.
    tags: Vec<Tag>,
    /// The interaction's priority at the end.
    priority: Priority,
    /// The interaction's variables at the end.
    #[schema(value_type = BTreeMap<String, String>)]
    variables: Variables,
}

/// Tells what a run of an account's plan would do if nobody answered.
///
/// The decisions are those of a real interaction, with a clock that jumps to the end of each wait: steps, skips,
/// conditions with the values that decided them, texts, who would be asked and who of them could be rung now, jumps,
/// and how it ends. Webhook steps call nobody: they get the given answer, or none. An AI agent does not answer
/// either, so the plan goes on behind it. Nothing is stored or sent. A `plan` in the body is checked as if it were
/// saved (422).
#[utoipa::path(post, path = "/accounts/{id}/plan/dry-run", tag = "accounts", params(("id" = String, Path)), request_body = PlanTrialInput,
    responses((status = 200, description = "The run.", body = PlanRun), WriteRefusals))]
pub(crate) async fn try_plan(
    State(app): State<App>,
    writer: Writer<Account>,
    Id(id): Id<AccountId>,
    Body(input): Body<PlanTrialInput>,
) -> Result<Json<PlanRun>, ApiError> {
    let PlanTrialInput { plan, at, text, contact, customer, variables, answers } = input;
    let now = app.engine.world.now();
    let (at, text) = (at.unwrap_or(now), text.unwrap_or_default());
    let mut errors = Errors::default();
    if at.duration_since(now).abs() > FAR {
        errors.add("at", TOO_FAR);
    }
    if text.chars().count() > LONGEST {
        errors.add("text", "must have at most 4,096 characters");
    }
    let mut set = Variables::default();
    if !variables.into_iter().flatten().all(|(name, value)| set.set(&name, &value)) {
        errors.add("variables", NO_ROOM);
    }
    let customer = customer_of(contact, customer, &mut errors);
    errors.check()?;
    let stored = Stored::<Account>::load(&app, &writer, &id, None).await?;
    let active = stored.before.active;
    let account = match plan {
        Some(plan) => stored.try_patch(&app, &writer, id, &json!({ "plan": plan })).await?,
        None => stored.before,
    };
    let answers = answers.into_iter().flatten().map(|answer| (answer.step, answer.variables.into_iter().collect())).collect();
    let trial = Trial { at, customer, text, variables: set, answers };
    // Queues and intervals that another process changed a moment ago count too.
    app.configuration().forget();
    let run = app.engine.rehearse(&account, trial).await.map_err(unknown_contact)?;
    let interaction = run.interaction;
    Ok(Json(PlanRun {
        at,
        active,
        lines: run.lines,
        ending: run.ending,
        tags: interaction.tags,
        priority: interaction.priority,
        variables: interaction.variables,
    }))
}

fn customer_of(contact: Option<ContactId>, customer: Option<SampleCustomer>, errors: &mut Errors) -> Customer {
    let (name, phone) = customer.as_ref().map_or((None, None), |customer| (customer.name.clone(), customer.phone.clone()));
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME) {
        errors.add("customer.name", "must have at most 200 characters");
    }
    match contact {
        Some(contact) => {
            if customer.is_some() {
                errors.add("customer", EITHER);
            }
            Customer::Known(contact)
        }
        None => Customer::New {
            name: name.filter(|name| !name.trim().is_empty()).map(ProfileName),
            address: phone.map_or_else(|| Address::Bsuid(String::new()), Address::Phone),
        },
    }
}

fn unknown_contact(error: EngineError) -> ApiError {
    match error {
        EngineError::NotFound => Errors::one("contact", UNKNOWN_CONTACT).into(),
        error => error.into(),
    }
}

/// Where a template is used. It limits the length of the text.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TemplateUse {
    /// A message to a customer: at most 4,096 characters.
    #[default]
    Reply,
    /// The notification of an offer: at most 240 characters.
    Notification,
}

/// A template to fill in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateTrialInput {
    /// The template.
    #[schema(max_length = 2_048)]
    template: String,
    /// The id of the account whose values are filled in.
    account: AccountId,
    /// Where it is used.
    #[serde(default)]
    #[schema(required = false)]
    used: TemplateUse,
    /// For a notification: the id of the queue that the offer comes through.
    queue: Option<QueueId>,
    /// The id of the contact whose values are filled in.
    contact: Option<ContactId>,
    /// Instead of a contact: a customer who has never written.
    customer: Option<SampleCustomer>,
}

/// A template that is filled in.
#[derive(Serialize, ToSchema)]
pub(crate) struct FilledTemplate {
    /// The text. An empty reply would not be sent.
    text: String,
}

/// Fills in a template: an automatic reply's text, or the notification of an offer.
///
/// A template with an error is refused (422) with the place of the error, as it is when it is saved. Nothing is
/// stored.
#[utoipa::path(post, path = "/templates/dry-run", tag = "accounts", request_body = TemplateTrialInput,
    responses((status = 200, description = "The text.", body = FilledTemplate), Refusals))]
pub(crate) async fn try_template(
    State(app): State<App>,
    _: Administrator,
    Body(input): Body<TemplateTrialInput>,
) -> Result<Json<FilledTemplate>, ApiError> {
    let TemplateTrialInput { template, account, used, queue, contact, customer } = input;
    let mut errors = Errors::default();
    let parsed = TextTemplate::parse(&template);
    if let Err(error) = &parsed {
        errors.add("template", error.to_string());
    }
    let customer = customer_of(contact, customer, &mut errors);
    let account = app.configuration().get::<Account>(account.as_str()).await?;
    if account.is_none() {
        errors.add("account", UNKNOWN_ACCOUNT);
    }
    let queue = match queue {
        Some(id) => {
            let found = app.configuration().get::<Queue>(id.as_str()).await?;
            if found.is_none() {
                errors.add("queue", UNKNOWN_QUEUE);
            }
            found.map(|(queue, _)| queue)
        }
        None => None,
    };
    errors.check()?;
    let (Ok(template), Some((mut account, _))) = (parsed, account) else { return Err(api::Error::Encode.into()) };
    let Met { name, address, .. } = app.engine.introduce(&account, customer).await.map_err(unknown_contact)?;
    let list = app.engine.directory.list(&account.list).await?;
    account.settings.notification.template = template.clone();
    let values = Values { account: &account, queue: queue.as_ref(), list: list.as_ref(), name: name.name.as_ref(), address: &address };
    let text = match used {
        TemplateUse::Reply => template.render(&values.groups(), LONGEST),
        TemplateUse::Notification => Notification::of(&values).text,
    };
    Ok(Json(FilledTemplate { text }))
}
