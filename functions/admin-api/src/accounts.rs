//! Accounts: connected numbers.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use api::{Error, FieldError};
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cloud::secrets::SecretError;
use domain::account::{Account, Credentials, List, Provider};
use domain::agent::Agent;
use domain::catalog::{Disposition, Pause};
use domain::decide::{Event, Refusal};
use domain::effect::{InteractionKey, Target};
use domain::ids::{AccountId, AgentId, AiAgentId, InteractionId, ListId};
use domain::interval::Interval;
use domain::plan::{ActionPlan, PlanStep};
use domain::queue::Queue;
use domain::values::{AccountKey, E164, Secret};
use engine::ports::{Idempotency, Store, World};
use engine::{EngineError, Told};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use jiff::SignedDuration;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::{Extra, Leaving, Write};
use utoipa::ToSchema;

use crate::app::{App, changed, new_account_id, owed, settled, written};
use crate::canned_answers::forget_answers;
use crate::error::ApiError;
use crate::input::{AccountInput, AccountSettings, Errors, PlanStepSchema, ProviderInput, Surroundings};
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Administrator, Body, Id, IfMatch, Page, Parameters};

/// Random bytes of a token: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

/// Queries that are under way at once when open interactions are looked for: a few milliseconds each, for thousands of agents within the API's 30 s.
const QUERIES: usize = 16;

/// How many interactions are read from the index: what one query reads, and far more than anybody closes by hand.
const INDEXED: usize = 1000;

/// How many interactions a request closes: with [`CLOSING`] at once and a tenth of a second each, three seconds of the 30 s that the API has.
const CLOSED: usize = 200;

/// Closes that are under way at once. Those of one agent are rivals for that agent's presence: more would lose more often than they win.
const CLOSING: usize = 8;

/// How long an account may take to leave: the function ends after 29 s, and clocks differ a little. Whoever dies in between keeps customers waiting no longer.
const LEAVES: SignedDuration = SignedDuration::from_secs(60);

/// How many interactions a refusal names; it counts all.
const NAMED: usize = 10;

/// A connected WhatsApp number. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    /// Its id.
    #[schema(value_type = String)]
    id: AccountId,
    /// Display name.
    name: String,
    /// Shown on the agents' tabs.
    #[schema(value_type = String)]
    key: AccountKey,
    /// Id of the list where new contacts are saved.
    #[schema(value_type = String)]
    list: ListId,
    /// The public host that the Receive URL is built on; absent: this deployment's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// Which provider, without its secrets.
    #[schema(value_type = ProviderView)]
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
    #[schema(value_type = Vec<String>)]
    agents: Vec<AgentId>,
    /// Id of the AI agent that answers customers while AI is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    answering_ai_agent: Option<AiAgentId>,
    /// Waits, timeouts, and what agents may and must do.
    settings: AccountSettings,
    /// Routing steps, in order.
    #[schema(value_type = Vec<PlanStepSchema>)]
    plan: Vec<PlanStep>,
    /// Grows with every change of the plan.
    plan_version: u64,
    /// To be pasted into the provider's console as it is, with what follows the `#`.
    receive_url: String,
    /// What a proxy in front of `domain` must send in `X-Proxy-Token`.
    proxy_token: String,
    /// With which the requests of Webhook steps are signed (Standard Webhooks); absent until the account is next changed, if it is older than they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// What works, but not as well as it could.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<FieldError>,
    /// Grows with every change; the `ETag`.
    version: u64,
}

/// Which provider, without its secrets.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct ProviderView {
    /// One of the types that `GET /providers` lists; beside it the type's public fields.
    r#type: String,
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

fn view(account: Account, public_url: &str) -> AccountView {
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
        version: account.version,
    }
}

/// Connects a number.
///
/// A POST that is repeated is refused (422), as the key is taken.
#[utoipa::path(post, path = "/accounts", tag = "accounts", request_body = AccountInput,
    responses((status = 201, description = "Connected.", body = AccountView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_account(
    State(app): State<App>,
    Administrator(by): Administrator,
    Body(body): Body,
) -> Result<Versioned<AccountView>, ApiError> {
    let mut input = AccountInput::parse(body, None)?;
    check(&app, &input, None).await?;
    input.provider.complete(self::token)?;
    let credentials = input.provider.credentials(None, self::token)?.unwrap_or_default();
    let token = token()?;
    let plan = ActionPlan { version: 1, steps: input.plan.clone() };
    let made = Made {
        id: new_account_id(),
        proxy_token: self::token()?.into(),
        webhook_secret: webhook_secret()?,
        receive_path: receive_path(&input.provider.kind, &token),
    };
    let account = account_of(made, &input, plan.clone(), 1);
    // The secret first: a failure between the two leaves a secret that nobody uses, not an account that can neither verify nor send.
    app.secrets.create(&account.id, &credentials).await?;
    let extra =
        [Extra::ReceiveToken { hash: hash(&token), account: account.id.clone() }, Extra::Plan { account: account.id.clone(), plan }];
    if let Err(refused) = checked(&app, &input, None, &account, Write::New, &extra).await {
        // When the answer got lost the account may be there.
        if !matches!(refused, ApiError::Kit(Error::Port(_))) {
            forget_secret(&app, &account.id, true).await;
        }
        return Err(refused);
    }
    changed("account", "created", account.id.as_str(), &by);
    let place = app.place("accounts", account.id.as_str());
    Ok(Versioned::made(view(account, &app.public_url), place))
}

/// The accounts.
#[utoipa::path(get, path = "/accounts", tag = "accounts", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<AccountView>), Refusals))]
pub(crate) async fn list_accounts(
    State(app): State<App>,
    _: Administrator,
    parameters: Parameters,
) -> Result<Listed<AccountView>, ApiError> {
    app.list(&Page::of::<AccountId>(&parameters)?, |account, _| view(account, &app.public_url)).await
}

/// One account.
#[utoipa::path(get, path = "/accounts/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = AccountView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_account(
    State(app): State<App>,
    _: Administrator,
    Id(id): Id<AccountId>,
) -> Result<Versioned<AccountView>, ApiError> {
    let (account, version) = app.load::<Account>(id.as_str()).await?;
    Ok(Versioned::new(view(account, &app.public_url), version))
}

/// Replaces an account. Secrets that are left out stay; a new one is used at once, and signatures made with the one before are still accepted. Another
/// provider type, or another `base_url`, wants all secrets again (422 otherwise), and another type gets another Receive URL. Refused (409, `no-agent`) when an active account would have nobody to answer. What waits is looked at again.
#[utoipa::path(put, path = "/accounts/{id}", tag = "accounts", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = AccountInput,
    responses((status = 200, description = "Replaced.", body = AccountView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_account(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<AccountId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<AccountView>, ApiError> {
    let (before, version) = app.load::<Account>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), &app.public_url)).map_err(|_| Error::Encode)?;
    let mut input = AccountInput::parse(body, Some(&shown))?;
    check(&app, &input, Some(&id)).await?;
    input.provider.complete(self::token)?;
    let plan = next_plan(&before.plan, &input.plan);
    let mut extra = if plan == before.plan { Vec::new() } else { vec![Extra::Plan { account: id.clone(), plan: plan.clone() }] };
    // The secret first, as when an account is made. Should the account be changed by somebody else meanwhile (412), the new secret is used already:
    // signatures are accepted with both.
    rotate(&app, &id, &input.provider).await?;
    let token = path_token(&before);
    // The function that a Receive URL leads to depends on the type; the token stays.
    let receive_path =
        if input.provider.kind == before.provider.kind { before.receive_path.clone() } else { receive_path(&input.provider.kind, token) };
    let webhook_secret = match &before.webhook_secret {
        Some(secret) => secret.clone(),
        None => webhook_secret()?,
    };
    let made = Made { id, proxy_token: before.proxy_token.clone(), webhook_secret, receive_path };
    let account = account_of(made, &input, plan, version + 1);
    let owed = owed(to_wake(&before, &account));
    extra.extend(owed.iter().cloned().map(Extra::Wakes));
    let version = checked(&app, &input, Some(&account.id), &account, Write::Replace { before: &before, version }, &extra).await?;
    changed("account", "replaced", account.id.as_str(), &by);
    app.wake(owed).await;
    Ok(Versioned::new(view(account, &app.public_url), version))
}

/// Deletes an account, when `confirm` repeats its key (422 otherwise). Refused (409, `open-interactions`) while it has open interactions, unless `close` is
/// `true`: then the system closes them first, two hundred a request. It is still a 409 while some are left; a repetition goes on. Customers who write meanwhile
/// are kept waiting for the outcome. Its secret can be restored in Secrets Manager for seven days; its canned answers go with it.
#[utoipa::path(delete, path = "/accounts/{id}", tag = "accounts",
    params(("id" = String, Path), ("If-Match" = String, Header), ("confirm" = String, Query, description = "The account's key."),
        ("close" = Option<bool>, Query, description = "Whether its open interactions are closed.")),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_account(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<AccountId>,
    condition: IfMatch,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    let (account, version) = app.load::<Account>(id.as_str()).await?;
    condition.check(version)?;
    if parameters.get("confirm") != Some(account.key.as_str()) {
        return Err(Errors::one("confirm", "must be the account's key: send ?confirm=<key>").into());
    }
    let close = match parameters.get("close") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Errors::one("close", "must be true or false").into()),
    };
    let until = app.engine.world.now() + LEAVES;
    let leaving = app.configuration().leave(&id, cloud::ids::ulid().to_string(), until).await?;
    if let Err(refused) = leave(&app, &account, version, &leaving, close).await {
        // When the answer got lost the account may be gone, and else it stays in a minute.
        if !matches!(refused, ApiError::Kit(Error::Port(_))) {
            app.configuration().stay(&leaving).await?;
        }
        return Err(refused);
    }
    changed("account", "deleted", id.as_str(), &by);
    forget_secret(&app, &id, false).await;
    forget_answers(&app, &id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes an account on which nothing is opened any more, if nothing is open.
async fn leave(app: &App, account: &Account, version: u64, leaving: &Leaving, close: bool) -> Result<(), ApiError> {
    let mut open = open_interactions(app, &account.id).await?;
    let mut closed = HashSet::new();
    if close && !open.is_empty() {
        closed = close_some(app, &open).await?;
        open = open_interactions(app, &account.id).await?;
        open.retain(|open| !closed.contains(&open.interaction));
    }
    if !open.is_empty() {
        let interactions = open.iter().take(NAMED).map(|open| open.interaction.to_string()).collect();
        return Err(ApiError::OpenInteractions { count: open.len(), interactions, closed: closed.len() });
    }
    let token = hash(path_token(account));
    written(app.configuration().delete_account(account, version, &token, leaving).await?).map(drop)
}

/// Has the system close interactions of an account that leaves, as many as a request has time for, and tells which are.
async fn close_some(app: &App, open: &[InteractionKey]) -> Result<HashSet<InteractionId>, ApiError> {
    let closing = stream::iter(open.iter().take(CLOSED).cloned()).map(|key| async move {
        match app.engine.tell(&key, Event::AccountLeaves, Idempotency::Guarded).await {
            Ok(Told::Changed { .. } | Told::AlreadyDone(_) | Told::Refused(Refusal::Closed, _)) | Err(EngineError::NotFound) => {
                Ok(Some(key.interaction))
            }
            // A repetition of the request finds it again.
            Ok(Told::Refused(..)) | Err(EngineError::Busy) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let closed: Vec<Option<InteractionId>> = closing.buffer_unordered(CLOSING).try_collect().await?;
    Ok(closed.into_iter().flatten().collect())
}

/// What an account was given when it was made.
struct Made {
    id: AccountId,
    proxy_token: Secret,
    webhook_secret: Secret,
    receive_path: Secret,
}

fn account_of(made: Made, input: &AccountInput, plan: ActionPlan, version: u64) -> Account {
    Account {
        id: made.id,
        provider: input.provider.public(),
        name: input.name.clone(),
        key: input.key.clone(),
        list: input.list.clone(),
        domain: input.domain.clone(),
        proxy_token: made.proxy_token,
        webhook_secret: Some(made.webhook_secret),
        phone: input.phone.clone(),
        description: input.description.clone(),
        active: input.active,
        receive_path: made.receive_path,
        agents: input.agents.clone(),
        answering_ai_agent: input.answering_ai_agent.clone(),
        settings: input.settings.clone().into(),
        plan,
        version,
    }
}

fn next_plan(before: &ActionPlan, steps: &[PlanStep]) -> ActionPlan {
    if before.steps == steps { before.clone() } else { ActionPlan { version: before.version + 1, steps: steps.to_vec() } }
}

/// Fails when the account refers to something that is not there, its key is taken, or nobody would answer.
async fn check(app: &App, input: &AccountInput, own: Option<&AccountId>) -> Result<(), ApiError> {
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
        keys: accounts.into_iter().filter(|(account, _)| Some(&account.id) != own).map(|(account, _)| account.key.to_string()).collect(),
        allowed: app.allowed_origins.to_vec(),
    };
    input.check(&around)?;
    if input.has_somebody(&around) { Ok(()) } else { Err(ApiError::NoAgent { accounts: vec![input.key.to_string()] }) }
}

/// Writes an account of which [`check`] finds nothing wrong when it is written.
async fn checked(
    app: &App,
    input: &AccountInput,
    own: Option<&AccountId>,
    account: &Account,
    write: Write<'_, Account>,
    extra: &[Extra],
) -> Result<u64, ApiError> {
    let mut attempts = app.attempts();
    loop {
        let at = attempts.next().await?;
        check(app, input, own).await?;
        if let Some(version) = settled(app.configuration().put_at(at, account, &write, extra).await?)? {
            return Ok(version);
        }
    }
}

/// Whose waiting interactions may have somebody else to be offered to, or another way to go.
fn to_wake(before: &Account, after: &Account) -> BTreeSet<Target> {
    if (&before.agents, &before.plan, before.active) == (&after.agents, &after.plan, after.active) {
        return BTreeSet::new();
    }
    let plans = || [&before.plan, &after.plan].into_iter();
    let queues = plans().flat_map(ActionPlan::queues).cloned().map(Target::Queue);
    let agents = plans().flat_map(ActionPlan::agents).cloned().map(Target::Agent);
    // What those hold here who left goes on without them; at whoever came rings what rings at all of a queue.
    let left = before.agents.iter().filter(|agent| !after.agents.contains(agent)).cloned().map(Target::Agent);
    let came = after.agents.iter().filter(|agent| !before.agents.contains(agent)).cloned().map(Target::Agent);
    queues.chain(agents).chain(left).chain(came).chain([Target::Account(after.id.clone())]).collect()
}

/// The path of a Receive URL: to the function of the type's provider.
fn receive_path(kind: &str, token: &str) -> Secret {
    let name = providers::adapter(kind).map_or("", |adapter| adapter.receive_name());
    format!("/receive/{name}/{token}").into()
}

/// The token at the end of an account's Receive URL.
fn path_token(account: &Account) -> &str {
    account.receive_path.reveal().rsplit('/').next().unwrap_or_default()
}

/// Writes the secrets that were given, beside those that stay. Nothing is read when nothing was given and nothing goes elsewhere.
async fn rotate(app: &App, id: &AccountId, provider: &ProviderInput) -> Result<(), ApiError> {
    if provider.secrets.is_empty() && !provider.elsewhere {
        return Ok(());
    }
    let stored = match app.secrets.read::<Credentials>(id).await {
        Ok(versions) => Some(versions.current),
        // Lost by hand: the account gets a new one.
        Err(SecretError::Missing | SecretError::Malformed) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(credentials) = provider.credentials(stored.as_ref(), token)? else { return Ok(()) };
    match app.secrets.put(id, &credentials).await {
        Err(SecretError::Missing) => Ok(app.secrets.create(id, &credentials).await?),
        outcome => Ok(outcome?),
    }
}

/// Deletes the secret of an account that is not there (any more). The account is what counts: a secret that stays is logged, for a person to remove.
async fn forget_secret(app: &App, id: &AccountId, forced: bool) {
    if let Err(error) = app.secrets.delete(id, forced).await {
        tracing::error!(event = "admin.secret_left", account = id.as_str(), %error);
    }
}

/// The open interactions of an account. Each is in an agent's load or among the rows that wait, or both, unless another system is asked about it: such are in the
/// index, which is a moment behind and alone would not be enough.
async fn open_interactions(app: &App, id: &AccountId) -> Result<Vec<InteractionKey>, ApiError> {
    let (agents, queues) = tokio::try_join!(app.configuration().all::<Agent>(), app.configuration().all::<Queue>())?;
    let agents: Vec<AgentId> = agents.into_iter().map(|(agent, _)| agent.id).collect();
    // Not only those of the present plan: runs go on with the plan that they began with.
    let targets = queues.into_iter().map(|(queue, _)| Target::Queue(queue.id)).chain(agents.iter().cloned().map(Target::Agent));
    let targets: Vec<Target> = targets.chain([Target::Account(id.clone())]).collect();
    let store = &app.engine.store;
    let waiting = stream::iter(targets).map(|target| async move { store.waiting(&target).await });
    let waiting: Vec<_> = waiting.buffer_unordered(QUERIES).try_collect().await?;
    let rows = waiting.into_iter().flatten().map(|row| row.interaction).filter(|row| row.conversation.account == *id);
    let mut open: BTreeMap<InteractionId, InteractionKey> = rows.map(|row| (row.interaction.clone(), row)).collect();
    // Not only the account's agents: who was taken off it may still hold one.
    let presences = store.presences(&agents).await?;
    let held: HashSet<InteractionId> = presences.into_values().flat_map(|presence| presence.load).collect();
    let held = store.interactions(&held.into_iter().collect::<Vec<_>>()).await?;
    let indexed = store.interactions_at(&store.open_interactions(id, None, INDEXED).await?).await?;
    let found = held.into_iter().chain(indexed).filter(|held| held.account == *id && held.is_open());
    open.extend(found.map(|held| (held.id.clone(), held.key())));
    Ok(open.into_values().collect())
}

fn token() -> Result<String, ApiError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A secret in the form of the Standard Webhooks specification: `whsec_` and the base64 of the key.
fn webhook_secret() -> Result<Secret, ApiError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::NoRandomness)?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)).into())
}

/// SHA-256 of a token's text, in hex.
fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
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
    fn tokens_are_unguessable_and_found_by_their_hash() {
        let (one, another) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, another);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_changed_plan_has_the_next_version() {
        let before = account().plan;
        assert_eq!(next_plan(&before, &[step(1)]), before);
        assert_eq!(next_plan(&before, &[step(2)]).version, 2);
        assert_eq!(next_plan(&before, &[]).version, 2);
    }

    #[test]
    fn waiting_interactions_notice_new_agents_a_new_plan_and_that_the_account_is_on() {
        let before = account();
        let changed = |change: fn(&mut Account)| {
            let mut after = account();
            change(&mut after);
            to_wake(&before, &after)
        };
        assert!(changed(|_| {}).is_empty());
        assert!(changed(|account| account.name = "Other".into()).is_empty());
        let (whole, old) = (Target::Account(before.id.clone()), Target::Queue(QueueId::from_ulid(Ulid(1))));
        let gone = Target::Agent(AgentId::from_ulid(Ulid(1)));
        assert_eq!(changed(|account| account.agents.clear()), BTreeSet::from([whole.clone(), old.clone(), gone]));
        assert_eq!(changed(|account| account.active = false), BTreeSet::from([whole.clone(), old.clone()]));
        let new = Target::Queue(QueueId::from_ulid(Ulid(2)));
        assert_eq!(changed(|account| account.plan.steps = vec![step(2)]), BTreeSet::from([whole, old, new]));
    }
}
