//! Accounts: connected WhatsApp numbers.

mod dispositions;
mod leaving;
mod lending;
mod rehearsal;
mod rotation;
mod secrets;
mod translation;
mod video;

use std::collections::BTreeSet;

use api::{Error, FromPath, OptionalIfMatch, Versioned};
use axum::extract::State;
use domain::account::{Account, Credentials, List, Provider};
use domain::agent::{Agent, Role};
use domain::ai_agent::AiAgent;
use domain::catalog::{Disposition, Pause};
use domain::effect::Target;
use domain::ids::{AccountId, AgentId, AiAgentId, ListId};
use domain::interval::Interval;
use domain::language::Translator;
use domain::plan::{ActionPlan, PlanStep, Step};
use domain::queue::Queue;
use domain::screens::Screens;
use domain::values::{AccountKey, E164};
use domain::wakes;
use jiff::Timestamp;
use providers::Source;
use serde::Serialize;
use serde_json::Value;
use store::Extra;
use utoipa::ToSchema;

pub(crate) use dispositions::*;
pub(crate) use leaving::*;
pub(crate) use lending::lend;
pub(crate) use rehearsal::*;
pub(crate) use rotation::*;
pub(crate) use secrets::webhook_secret;
pub(crate) use translation::*;
pub(crate) use video::*;

use secrets::{changed_secrets, forget_secret, hash, narrow, path_token, receive_path, rotate, store, token};

use crate::app::App;
use crate::error::ApiError;
use crate::input::{AccountInput, AccountSettings, Errors, Surroundings};
use crate::openapi::WriteRefusals;
use crate::resource::{Change, Resource, Writer, edit, put_in, take_out};
use crate::shells::shells;

/// A connected WhatsApp number. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    /// The account's id.
    id: AccountId,
    /// Display name.
    name: String,
    /// The key that agents' tabs show.
    #[schema(value_type = String)]
    key: AccountKey,
    /// The id of the list where new contacts are saved.
    list: ListId,
    /// The public host of the Receive URL. If absent: this deployment's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// The provider, without its secrets.
    provider: Provider,
    /// E.164.
    #[schema(value_type = String)]
    phone: E164,
    /// A note for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether incoming messages are routed.
    active: bool,
    /// The ids of the agents who see and handle the account's interactions.
    agents: Vec<AgentId>,
    /// The id of the AI agent that answers customers while AI is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    answering_ai_agent: Option<AiAgentId>,
    /// Waits, timeouts, and rules for agents.
    settings: AccountSettings,
    /// Routing steps, in order.
    plan: Vec<PlanStep>,
    /// Increases with every change of the plan.
    plan_version: u64,
    /// The address to paste into the provider's console, including the part after the `#`.
    receive_url: String,
    /// The value that a proxy in front of `domain` must send in `X-Proxy-Token`.
    proxy_token: String,
    /// The key that signs the requests of Webhook steps (Standard Webhooks). An account that is older than this
    /// feature gets one with its next change.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// Until when previous secrets are accepted. Absent if none was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_secrets: Option<ReplacedSecrets>,
    /// When the key of the translation's provider was set. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    translation_key_set_at: Option<Timestamp>,
    /// When the key of the provider of video calls was set. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    video_key_set_at: Option<Timestamp>,
    /// Settings that work but could be better.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<AccountWarning>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

/// The address for a provider's webhooks, with the suffix that the provider's console needs.
pub(crate) fn receive_url(account: &Account, public_url: &str) -> String {
    let base = account.domain.as_ref().map_or_else(|| public_url.to_owned(), |domain| format!("https://{domain}"));
    let adapter = providers::adapter(&account.provider.kind);
    let suffix = adapter.map_or("", |adapter| adapter.receive_url_suffix());
    let query = adapter.map(|adapter| adapter.receive_query(&account.provider)).filter(|query| !query.is_empty());
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{base}{}{query}{suffix}", account.receive_path.reveal())
}

/// A setting that works but could be better.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountWarning {
    /// The setting: `settings.recontact`.
    field: String,
    /// What could be better, in words for an administrator.
    message: String,
}

/// Settings that work but could be better.
fn warnings(account: &Account) -> Vec<AccountWarning> {
    let adapter = providers::adapter(&account.provider.kind);
    let recontacts = adapter.is_some_and(|adapter| adapter.wants_recontact_template());
    let no_template = "without it agents can't write to customers once the 24-hour window is over, unless they name a template themselves";
    // A signature is not visible here: its key is a secret. The check knows it.
    let guarded = adapter.is_none_or(|adapter| adapter.proves_origin(&account.provider, &Credentials::default()));
    let warning = |field: &str, message: &str| AccountWarning { field: field.to_owned(), message: message.to_owned() };
    let template = (recontacts && account.settings.recontact.is_none()).then(|| warning("settings.recontact", no_template));
    let guard = (!guarded).then(|| warning("provider", NO_PROOF));
    let translated_by =
        account.settings.translation.as_ref().filter(|translation| translation.enabled).map(|translation| translation.provider);
    let keyless = translated_by == Some(Translator::Google) && account.translation_key_set_at.is_none();
    let key = keyless.then(|| warning("settings.translation", "nothing is translated until Google's key is set: PUT …/translation/key"));
    let calls = account.settings.video.as_ref().is_some_and(|video| video.enabled) && account.video_key_set_at.is_none();
    let video = calls.then(|| warning("settings.video", "no call can be started until Vidaoo's key is set: PUT …/video/key"));
    template.into_iter().chain(guard).chain(key).chain(video).collect()
}

/// The warning about an account whose callbacks prove nothing.
pub(crate) const NO_PROOF: &str = "callbacks carry no proof of origin, unless the provider signs them with a key that is set here: whoever knows the \
    Receive URL can write as any customer, so nothing that they say about a customer's addresses or name is believed. Set \
    callback_token, or callback_header, or callback_user";

fn view(account: Account, version: u64, public_url: &str) -> AccountView {
    AccountView {
        warnings: warnings(&account),
        replaced_secrets: ReplacedSecrets::of(&account),
        receive_url: receive_url(&account, public_url),
        id: account.id,
        name: account.name,
        key: account.key,
        list: account.list,
        domain: account.domain,
        provider: account.provider,
        phone: account.phone,
        description: account.description,
        active: account.active,
        agents: account.agents,
        answering_ai_agent: account.answering_ai_agent,
        settings: account.settings.into(),
        plan: account.plan.steps,
        plan_version: account.plan.version,
        proxy_token: account.proxy_token.reveal().to_owned(),
        webhook_secret: account.webhook_secret.map(|secret| secret.reveal().to_owned()),
        translation_key_set_at: account.translation_key_set_at,
        video_key_set_at: account.video_key_set_at,
        version,
    }
}

fn next_plan(before: &ActionPlan, steps: &[PlanStep]) -> ActionPlan {
    if before.steps == steps { before.clone() } else { ActionPlan { version: before.version + 1, steps: steps.to_vec() } }
}

/// Fails if the account refers to a resource that does not exist, its key is taken, an address is not public, or no
/// agent could answer. Addresses that the account has already are not vetted again: they are whenever they are used.
async fn check(app: &App, input: &AccountInput, before: Option<&Account>, own: &AccountId) -> Result<(), ApiError> {
    let configuration = app.configuration();
    let (lists, pauses, dispositions, agents, ai_agents, queues, intervals, accounts) = tokio::try_join!(
        configuration.all::<List>(),
        configuration.all::<Pause>(),
        configuration.all::<Disposition>(),
        configuration.all::<Agent>(),
        configuration.all::<AiAgent>(),
        configuration.all::<Queue>(),
        configuration.all::<Interval>(),
        configuration.all::<Account>(),
    )?;
    let had = before.map(addresses).unwrap_or_default();
    let around = Surroundings {
        lists: lists.into_iter().map(|(list, _)| list.id).collect(),
        pauses: pauses.into_iter().map(|(pause, _)| pause.id).collect(),
        dispositions: dispositions.into_iter().map(|(disposition, _)| disposition.name).collect(),
        agents: agents.into_iter().map(|(agent, _)| (agent.id, agent.whatsapp)).collect(),
        ai_agents: ai_agents.into_iter().map(|(agent, _)| agent.id).collect(),
        queues: queues.into_iter().map(|(queue, _)| queue.id).collect(),
        intervals: intervals.into_iter().map(|(interval, _)| interval.id).collect(),
        keys: accounts.into_iter().filter(|(account, _)| account.id != *own).map(|(account, _)| account.key.to_string()).collect(),
        refused: app.refused(input.addresses().filter(|url| !had.contains(url.as_str()))).await,
    };
    input.check(&around)?;
    if input.has_somebody(&around) { Ok(()) } else { Err(ApiError::NoAgent { accounts: vec![input.key.to_string()] }) }
}

/// The values of an account that may be addresses: the public fields of its provider and its Webhook steps.
fn addresses(account: &Account) -> BTreeSet<&str> {
    let steps = account.plan.steps.iter().filter_map(|step| match &step.step {
        Step::Webhook { url } => Some(url.as_str()),
        _ => None,
    });
    account.provider.fields.values().map(String::as_str).chain(steps).collect()
}

impl Resource for Account {
    type Id = AccountId;
    type Input = AccountInput;
    type View = AccountView;
    const PLACE: &'static str = "accounts";
    const READERS: Role = Role::Admin;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<AccountInput, Errors> {
        AccountInput::parse(body, shown)
    }

    fn make(id: AccountId, input: &mut AccountInput, before: Option<&Self>) -> Result<Self, ApiError> {
        let made = before.is_none_or(|before| before.provider.kind != input.provider.kind);
        input.provider.complete(made, token)?;
        let plan = match before {
            Some(before) => next_plan(&before.plan, &input.plan),
            None => ActionPlan { version: 1, steps: input.plan.clone() },
        };
        let receive_path = match before {
            // The type determines the function behind a Receive URL. The token stays.
            Some(before) if before.provider.kind == input.provider.kind => before.receive_path.clone(),
            Some(before) => receive_path(&input.provider.kind, path_token(before)),
            None => receive_path(&input.provider.kind, &token()?),
        };
        let webhook_secret = match before.and_then(|before| before.webhook_secret.clone()) {
            Some(secret) => secret,
            None => webhook_secret()?,
        };
        Ok(Self {
            id,
            provider: input.provider.public(),
            name: input.name.clone(),
            key: input.key.clone(),
            list: input.list.clone(),
            domain: input.domain.clone(),
            proxy_token: match before {
                Some(before) => before.proxy_token.clone(),
                None => token()?.into(),
            },
            webhook_secret: Some(webhook_secret),
            replaced: before.map(|before| before.replaced.clone()).unwrap_or_default(),
            phone: input.phone.clone(),
            description: input.description.clone(),
            active: input.active,
            receive_path,
            agents: input.agents.clone(),
            answering_ai_agent: input.answering_ai_agent.clone(),
            settings: input.settings.clone().into(),
            translation_key_set_at: before.and_then(|before| before.translation_key_set_at),
            video_key_set_at: before.and_then(|before| before.video_key_set_at),
            plan,
            version: before.map_or(1, |before| before.version + 1),
        })
    }

    fn view(self, version: u64, app: &App) -> AccountView {
        view(self, version, &app.public_url)
    }

    fn patched(input: &mut AccountInput, patch: &Value) -> Result<(), Errors> {
        input.provider.patched(&patch["provider"])
    }

    fn is_secret(input: &AccountInput) -> bool {
        input.provider.writes_secrets()
    }

    async fn expand(app: &App, body: &mut Value) -> Result<(), ApiError> {
        match body.get_mut("provider") {
            Some(provider) => lend(app, provider, "provider.").await,
            None => Ok(()),
        }
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        check(app, change.input, change.before, &change.after.id).await
    }

    /// The secret is written first. A failure between the two writes then leaves an unused secret, and not an account
    /// that can neither verify nor send. If another change comes first (412), the new secret is already in use, and
    /// signatures made with either secret are accepted.
    async fn prepare(app: &App, change: &Change<'_, Self>) -> Result<Vec<String>, ApiError> {
        match change.before {
            None => {
                let credentials = change.input.provider.credentials(None, token)?.unwrap_or_default();
                store(app, change.after, &credentials).await?;
                Ok(changed_secrets(&Credentials::default(), &credentials))
            }
            Some(before) => rotate(app, before, change.after, &change.input.provider).await,
        }
    }

    async fn finish(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        match change.before {
            Some(before) => narrow(app, before, change.after).await,
            None => Ok(()),
        }
    }

    /// Administrators see tokens and the Receive URL, but the audit trail hides them. It also hides generated fields,
    /// such as the verify token of a webhook.
    fn is_hidden(path: &str) -> bool {
        let generated = |name: &str| {
            let fields = providers::ADAPTERS.iter().flat_map(|adapter| adapter.fields());
            fields.into_iter().any(|field| field.name == name && (field.secret || matches!(field.source, Source::Generated | Source::Made)))
        };
        ["receive_url", "proxy_token", "webhook_secret"].contains(&path) || path.strip_prefix("provider.").is_some_and(generated)
    }

    const DERIVED: &'static [&'static str] = &["id", "version", "plan_version", "warnings"];

    async fn take_back(app: &App, change: &Change<'_, Self>, refused: &ApiError) {
        // If the response was lost, the account may exist.
        if change.before.is_none() && !matches!(refused, ApiError::Kit(Error::Port(_))) {
            forget_secret(app, &change.after.id, true).await;
        }
    }

    fn extra(change: &Change<'_, Self>) -> Vec<Extra> {
        let Change { before, after, .. } = change;
        let account = || after.id.clone();
        let token = before.is_none().then(|| Extra::ReceiveToken { hash: hash(path_token(after)), account: account() });
        let is_new = before.is_none_or(|before| before.plan != after.plan);
        let plan = is_new.then(|| Extra::Plan { account: account(), plan: after.plan.clone() });
        token.into_iter().chain(plan).collect()
    }

    fn screens(before: Option<&Self>, after: Option<&Self>) -> Option<Screens> {
        Screens::of_account(before, after)
    }

    /// Waiting interactions that could now be offered to another agent or take another route.
    fn wakes(before: &Self, after: &Self) -> Vec<Target> {
        wakes::of_account(before, after).into_iter().collect()
    }
}

shells! {
    Account: AccountInput => AccountView, "accounts", "/accounts", "/accounts/{id}";

    /// Lists the accounts.
    list list_accounts;

    /// Creates an account: connects a number.
    ///
    /// Keys are unique, so a repeated POST is refused (422).
    create create_account;

    /// Returns an account.
    get get_account;

    /// Replaces an account.
    ///
    /// Omitted secrets stay. A new secret is used at once, and signatures made with the previous one are accepted
    /// for 24 hours, unless that is ended (`DELETE …/secrets/provider/previous`). Another provider type, or another
    /// `base_url`, requires all secrets again (422 otherwise). Another type also gets another Receive URL. Refused
    /// (409, `no-agent`) if an active account would have no agent to answer. Waiting interactions are routed again.
    put put_account;

    /// Changes fields of an account.
    ///
    /// Omitted secrets stay. `null` removes an optional secret and generates a generated one again. All other rules
    /// are those of PUT.
    patch patch_account;
}

/// Adds an agent to an account, as the last one.
///
/// If the account already has the agent, nothing changes.
#[utoipa::path(put, path = "/accounts/{id}/agents/{agent}", tag = "accounts",
    params(("id" = String, Path), ("agent" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_account_agent(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath((account, agent)): FromPath<(AccountId, AgentId)>,
    OptionalIfMatch(condition): OptionalIfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    app.load::<Agent>(agent.as_str()).await?;
    edit(&app, writer, account, condition, |view| put_in(view, &["agents"], agent.as_str())).await
}

/// Removes an agent from an account.
///
/// Refused (409, `no-agent`) if an active account would have no agent to answer. If the account does not have the
/// agent, nothing changes.
#[utoipa::path(delete, path = "/accounts/{id}/agents/{agent}", tag = "accounts",
    params(("id" = String, Path), ("agent" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_account_agent(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath((account, agent)): FromPath<(AccountId, AgentId)>,
    OptionalIfMatch(condition): OptionalIfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    edit(&app, writer, account, condition, |view| take_out(view, &["agents"], agent.as_str())).await
}

/// The path of the whitelist's lists in the view of an account.
const WHITELIST: [&str; 3] = ["settings", "whitelist", "lists"];

/// Adds a contact list to an account's whitelist.
///
/// If the list is already in it, nothing changes. 422: the account has no whitelist yet. Create it with PUT or PATCH,
/// because a whitelist needs a reply.
#[utoipa::path(put, path = "/accounts/{id}/whitelist/{list}", tag = "accounts",
    params(("id" = String, Path), ("list" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_whitelisted(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath((account, list)): FromPath<(AccountId, ListId)>,
    OptionalIfMatch(condition): OptionalIfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    app.load::<List>(list.as_str()).await?;
    edit(&app, writer, account, condition, |view| put_in(view, &WHITELIST, list.as_str())).await
}

/// Removes a contact list from an account's whitelist.
///
/// The last list stays (422), because without a list every customer would be turned away. If the list is not in it,
/// nothing changes.
#[utoipa::path(delete, path = "/accounts/{id}/whitelist/{list}", tag = "accounts",
    params(("id" = String, Path), ("list" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_whitelisted(
    State(app): State<App>,
    writer: Writer<Account>,
    FromPath((account, list)): FromPath<(AccountId, ListId)>,
    OptionalIfMatch(condition): OptionalIfMatch,
) -> Result<Versioned<AccountView>, ApiError> {
    edit(&app, writer, account, condition, |view| take_out(view, &WHITELIST, list.as_str())).await
}

#[cfg(test)]
mod tests {
    use domain::account::Settings;
    use domain::ids::QueueId;
    use ulid::Ulid;

    use super::*;

    fn account() -> Account {
        Account {
            id: AccountId::from_ulid(Ulid(1)),
            name: "Sales".into(),
            key: AccountKey::parse("SALES").unwrap(),
            list: ListId::from_ulid(Ulid(1)),
            domain: None,
            proxy_token: "proxy".into(),
            webhook_secret: None,
            replaced: domain::account::Replaced::default(),
            provider: Provider { kind: "TWILIO".into(), fields: [("account_sid".to_owned(), format!("AC{}", "0".repeat(32)))].into() },
            phone: E164::parse("+1234567890").unwrap(),
            description: None,
            active: true,
            receive_path: "/receive/twilio/t0ken".into(),
            agents: vec![AgentId::from_ulid(Ulid(1))],
            answering_ai_agent: None,
            settings: Settings::default(),
            translation_key_set_at: None,
            video_key_set_at: None,
            plan: ActionPlan { version: 1, steps: vec![step(1)] },
            version: 1,
        }
    }

    fn step(queue: u128) -> PlanStep {
        Step::Queue { queue: QueueId::from_ulid(Ulid(queue)), timeout: Step::TIMEOUT }.into()
    }

    #[test]
    fn a_receive_url_is_on_the_deployments_host_or_on_the_accounts_own() {
        let mut account = account();
        let own = receive_url(&account, "https://api.example.com/x");
        assert_eq!(own, "https://api.example.com/x/receive/twilio/t0ken#rc=3&rp=ct,rt,5xx&tt=15000");
        account.domain = Some("wa.example.com".into());
        let fronted = receive_url(&account, "https://api.example.com/x");
        assert_eq!(fronted, "https://wa.example.com/receive/twilio/t0ken#rc=3&rp=ct,rt,5xx&tt=15000");
    }

    #[test]
    fn a_changed_plan_has_the_next_version() {
        let before = account().plan;
        assert_eq!(next_plan(&before, &[step(1)]), before);
        assert_eq!(next_plan(&before, &[step(2)]).version, 2);
        assert_eq!(next_plan(&before, &[]).version, 2);
    }
}
