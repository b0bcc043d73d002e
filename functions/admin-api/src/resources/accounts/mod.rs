//! Accounts: connected numbers.

mod leaving;
mod secrets;

use api::{Error, FieldError, FromPath, OptionalIfMatch, Versioned};
use axum::extract::State;
use domain::account::{Account, Credentials, List, Provider};
use domain::agent::{Agent, Role};
use domain::catalog::{Disposition, Pause};
use domain::effect::Target;
use domain::ids::{AccountId, AgentId, AiAgentId, ListId};
use domain::interval::Interval;
use domain::plan::{ActionPlan, PlanStep};
use domain::queue::Queue;
use domain::values::{AccountKey, E164};
use domain::wakes;
use providers::Source;
use serde::Serialize;
use serde_json::Value;
use store::Extra;
use utoipa::ToSchema;

pub(crate) use leaving::*;

use secrets::{changed_secrets, forget_secret, hash, path_token, receive_path, rotate, token, webhook_secret};

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
    /// Its id.
    id: AccountId,
    /// Display name.
    name: String,
    /// Shown on the agents' tabs.
    #[schema(value_type = String)]
    key: AccountKey,
    /// Id of the list where new contacts are saved.
    list: ListId,
    /// The public host that the Receive URL is built on; absent: this deployment's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// Which provider, without its secrets.
    provider: Provider,
    /// E.164.
    #[schema(value_type = String)]
    phone: E164,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether what arrives is routed.
    active: bool,
    /// Ids of the agents who see and handle its interactions.
    agents: Vec<AgentId>,
    /// Id of the AI agent that answers customers while AI is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    answering_ai_agent: Option<AiAgentId>,
    /// Waits, timeouts, and what agents may and must do.
    settings: AccountSettings,
    /// Routing steps, in order.
    plan: Vec<PlanStep>,
    /// Grows with every change of the plan.
    plan_version: u64,
    /// To be pasted into the provider's console as it is, with what follows the `#`.
    receive_url: String,
    /// What a proxy in front of `domain` must send in `X-Proxy-Token`.
    proxy_token: String,
    /// With which the requests of Webhook steps are signed (Standard Webhooks); absent until the account is next
    /// changed, if it is older than they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// What works, but not as well as it could.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<FieldError>,
    /// Grows with every change; the `ETag`.
    version: u64,
}

/// Where an account's provider sends its webhooks, with what the provider's console wants behind it.
pub(crate) fn receive_url(account: &Account, public_url: &str) -> String {
    let base = account.domain.as_ref().map_or_else(|| public_url.to_owned(), |domain| format!("https://{domain}"));
    let suffix = providers::adapter(&account.provider.kind).map_or("", |adapter| adapter.receive_url_suffix());
    format!("{base}{}{suffix}", account.receive_path.reveal())
}

/// What works, but not as well as it could.
fn warnings(account: &Account) -> Vec<FieldError> {
    let recontacts = providers::adapter(&account.provider.kind).is_some_and(|adapter| adapter.wants_recontact_template());
    let message = "without it agents can't write to customers once the 24-hour window is over, unless they name a template themselves";
    match recontacts && account.settings.recontact.is_none() {
        true => vec![FieldError { field: "settings.recontact".to_owned(), message: message.to_owned() }],
        false => Vec::new(),
    }
}

fn view(account: Account, version: u64, public_url: &str) -> AccountView {
    AccountView {
        warnings: warnings(&account),
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
        version,
    }
}

fn next_plan(before: &ActionPlan, steps: &[PlanStep]) -> ActionPlan {
    if before.steps == steps { before.clone() } else { ActionPlan { version: before.version + 1, steps: steps.to_vec() } }
}

/// Fails when the account refers to something that is not there, its key is taken, or nobody would answer.
async fn check(app: &App, input: &AccountInput, own: &AccountId) -> Result<(), ApiError> {
    let configuration = app.configuration();
    let (lists, pauses, dispositions, agents, queues, intervals, accounts) = tokio::try_join!(
        configuration.all::<List>(),
        configuration.all::<Pause>(),
        configuration.all::<Disposition>(),
        configuration.all::<Agent>(),
        configuration.all::<Queue>(),
        configuration.all::<Interval>(),
        configuration.all::<Account>(),
    )?;
    let around = Surroundings {
        lists: lists.into_iter().map(|(list, _)| list.id).collect(),
        pauses: pauses.into_iter().map(|(pause, _)| pause.id).collect(),
        dispositions: dispositions.into_iter().map(|(disposition, _)| disposition.name).collect(),
        agents: agents.into_iter().map(|(agent, _)| (agent.id, agent.whatsapp)).collect(),
        queues: queues.into_iter().map(|(queue, _)| queue.id).collect(),
        intervals: intervals.into_iter().map(|(interval, _)| interval.id).collect(),
        keys: accounts.into_iter().filter(|(account, _)| account.id != *own).map(|(account, _)| account.key.to_string()).collect(),
        allowed: app.allowed_origins.to_vec(),
    };
    input.check(&around)?;
    if input.has_somebody(&around) { Ok(()) } else { Err(ApiError::NoAgent { accounts: vec![input.key.to_string()] }) }
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
        input.provider.complete(token)?;
        let plan = match before {
            Some(before) => next_plan(&before.plan, &input.plan),
            None => ActionPlan { version: 1, steps: input.plan.clone() },
        };
        let receive_path = match before {
            // The function that a Receive URL leads to depends on the type; the token stays.
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
            phone: input.phone.clone(),
            description: input.description.clone(),
            active: input.active,
            receive_path,
            agents: input.agents.clone(),
            answering_ai_agent: input.answering_ai_agent.clone(),
            settings: input.settings.clone().into(),
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

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        check(app, change.input, &change.after.id).await
    }

    /// The secret first: a failure between the two leaves a secret that nobody uses, not an account that can neither
    /// verify nor send. Should the account be changed by somebody else meanwhile (412), a new secret is used already:
    /// signatures are accepted with both.
    async fn prepare(app: &App, change: &Change<'_, Self>) -> Result<Vec<String>, ApiError> {
        match change.before {
            None => {
                let credentials = change.input.provider.credentials(None, token)?.unwrap_or_default();
                app.secrets.create(&change.after.id, &credentials).await?;
                Ok(changed_secrets(&Credentials::default(), &credentials))
            }
            Some(_) => rotate(app, &change.after.id, &change.input.provider).await,
        }
    }

    /// Tokens and the Receive URL are shown to administrators, and by the audit trail to nobody. So are the fields
    /// that are made up where they are left out: the verify token of a webhook.
    fn is_hidden(path: &str) -> bool {
        let generated = |name: &str| {
            let fields = providers::ADAPTERS.iter().flat_map(|adapter| adapter.fields());
            fields.into_iter().any(|field| field.name == name && (field.secret || field.source == Source::Generated))
        };
        ["receive_url", "proxy_token", "webhook_secret"].contains(&path) || path.strip_prefix("provider.").is_some_and(generated)
    }

    const DERIVED: &'static [&'static str] = &["id", "version", "plan_version", "warnings"];

    async fn take_back(app: &App, change: &Change<'_, Self>, refused: &ApiError) {
        // When the answer got lost the account may be there.
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

    /// Waiting interactions that may have somebody else to be offered to, or another way to go.
    fn wakes(before: &Self, after: &Self) -> Vec<Target> {
        wakes::of_account(before, after).into_iter().collect()
    }
}

shells! {
    Account: AccountInput => AccountView, "accounts", "/accounts", "/accounts/{id}";

    /// Lists the accounts.
    list list_accounts;

    /// Connects a number.
    ///
    /// A POST that is repeated is refused (422), as the key is taken.
    create create_account;

    /// Reads an account.
    get get_account;

    /// Replaces an account.
    ///
    /// Secrets that are left out stay; a new one is used at once, and signatures made with the one before are still
    /// accepted. Another provider type, or another `base_url`, wants all secrets again (422 otherwise), and another
    /// type gets another Receive URL. Refused (409, `no-agent`) when an active account would have nobody to answer.
    /// Interactions that wait are looked at again.
    put put_account;

    /// Changes fields of an account.
    ///
    /// Secrets that are left out stay; `null` removes an optional one and makes a generated one anew. Otherwise as
    /// PUT.
    patch patch_account;
}

/// Adds an agent to an account, as its last.
///
/// For an agent who is in it already nothing changes.
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

/// Takes an agent out of an account.
///
/// Refused (409, `no-agent`) when an active account would have nobody to answer. For an agent who is not in it nothing
/// changes.
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

/// The place of the whitelist's lists in the view of an account.
const WHITELIST: [&str; 3] = ["settings", "whitelist", "lists"];

/// Adds a contact list to an account's whitelist.
///
/// For a list that is in it already nothing changes. An account that has no whitelist gets one with PUT or PATCH,
/// since it needs a reply (422 otherwise).
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

/// Takes a contact list out of an account's whitelist.
///
/// The last one stays (422): with none, everybody would be turned away. For a list that is not in it nothing changes.
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

    use domain::plan::Step;

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
            provider: Provider { kind: "TWILIO".into(), fields: [("account_sid".to_owned(), format!("AC{}", "0".repeat(32)))].into() },
            phone: E164::parse("+1234567890").unwrap(),
            description: None,
            active: true,
            receive_path: "/receive/twilio/t0ken".into(),
            agents: vec![AgentId::from_ulid(Ulid(1))],
            answering_ai_agent: None,
            settings: Settings::default(),
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
