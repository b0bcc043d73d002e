//! Triggers: other systems that are told what happens.

use std::collections::BTreeSet;

use api::{Body, Id, IfMatch, Listed, Versioned};
use axum::Json;
use axum::extract::State;
use cloud::egress::Origin;
use domain::account::{Account, ReplacedSecret};
use domain::agent::Role;
use domain::ids::{AccountId, TriggerId};
use domain::plan::WebhookUrl;
use domain::search::{Combine, ConditionInput, Search, SearchInput, ValueInput};
use domain::trigger::{Disabled, Tried, TriedOutcome, Trigger, TriggerEvent};
use engine::ports::{TriggerCalls, World};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{DESCRIPTION, Errors, Fields, NAME, Refusal, UNKNOWN_ACCOUNT, boolean, id, line, parsed, text};
use crate::openapi::{Refusals, WriteRefusals};
use crate::resource::{Change, Reader, Resource, Writer, rewrite};
use crate::resources::accounts::{Rotation, webhook_secret};
use crate::shells::shells;

/// The most accounts of a trigger. One that waits for more waits for all.
const ACCOUNTS: usize = 100;

/// How many tries the log shows: a screen, and what the last hour of a quiet account holds.
const TRIES: usize = 50;

const EVENT: Refusal =
    "must be interaction.opened, interaction.closed, offer.accepted, offer.rejected, message.incoming or message.outgoing";

/// Another system that is told what happens.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct TriggerInput {
    /// The name of the trigger.
    #[schema(min_length = 1, max_length = 200, example = "CRM")]
    name: String,
    /// Its purpose, for people.
    #[schema(max_length = 2_000)]
    description: Option<String>,
    /// Whether it is on. Switching it on again forgets the earlier failures.
    #[schema(required = false, default = true)]
    active: bool,
    /// The ids of the accounts whose events it waits for. None: all accounts.
    #[schema(required = false, max_items = 100)]
    accounts: Vec<AccountId>,
    /// The events.
    #[schema(min_items = 1)]
    events: Vec<TriggerEvent>,
    /// The conditions on the interaction, as it was at the event. Without any, each event is told.
    #[schema(required = false)]
    search: SearchInput,
    /// The address: https, a host of the public Internet, and not this deployment's own.
    #[schema(value_type = String, max_length = 512, example = "https://crm.example.com/whatsapp")]
    url: WebhookUrl,
}

/// Another system that is told what happens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trigger)]
pub(crate) struct TriggerView {
    /// The trigger's id.
    id: TriggerId,
    /// The name of the trigger.
    name: String,
    /// Its purpose, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether it is on.
    active: bool,
    /// The ids of the accounts whose events it waits for. None: all accounts.
    accounts: Vec<AccountId>,
    /// The events.
    events: BTreeSet<TriggerEvent>,
    /// The conditions on the interaction, as it was at the event.
    search: SearchInput,
    /// The address.
    #[schema(value_type = String)]
    url: WebhookUrl,
    /// When the key that signs the calls was generated. It is shown only once, when it is rotated.
    secret_set_at: Timestamp,
    /// Until when calls are also signed with the previous key.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<Timestamp>,
    /// Why the service switched it off, until somebody switches it on again.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<Disabled>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

/// The fields that the service sets.
const SET_HERE: [&str; 5] = ["id", "version", "secret_set_at", "previous_secret_until", "disabled"];

impl Resource for Trigger {
    type Id = TriggerId;
    type Input = TriggerInput;
    type View = TriggerView;
    const PLACE: &'static str = "triggers";
    const READERS: Role = Role::Admin;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<TriggerInput, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let name = fields.required("name", line(NAME));
            let description = fields.optional("description", text(DESCRIPTION));
            let active = fields.optional("active", boolean).unwrap_or(true);
            let accounts = fields.set("accounts", ACCOUNTS, "must have at most 100 accounts", id(UNKNOWN_ACCOUNT));
            let has_events = fields.has("events");
            let none = fields.is_empty("events");
            let events =
                fields.set("events", TriggerEvent::ALL.len(), "must have each event once", parsed_each(TriggerEvent::parse, EVENT));
            if none {
                fields.refuse("events", if has_events { "must have an event" } else { crate::input::REQUIRED });
            }
            let search = fields.object("search").map_or_else(SearchInput::default, conditions);
            let url = fields.required("url", parsed(|text| WebhookUrl::parse(text).map_err(|invalid| invalid.0)));
            fields.finish_with(&SET_HERE, shown);
            Some(TriggerInput { name: name?, description, active, accounts, events, search, url: url? })
        });
        if let Some(Err(faults)) = input.as_ref().map(|input| input.search.check()) {
            faults.into_iter().for_each(|fault| errors.add(format!("search.{}", fault.place), fault.message));
        }
        match input {
            Some(input) => errors.check().map(|()| input),
            None => Err(errors),
        }
    }

    fn make(id: TriggerId, input: &mut TriggerInput, before: Option<&Self>) -> Result<Self, ApiError> {
        let TriggerInput { name, description, active, accounts, events, search, url } = input;
        let (secret, secret_set_at) = match before {
            Some(before) => (before.secret.clone(), before.secret_set_at),
            None => (webhook_secret()?, cloud::time::now()),
        };
        Ok(Self {
            id,
            name: name.clone(),
            description: description.clone(),
            active: *active,
            accounts: accounts.clone(),
            events: events.iter().copied().collect(),
            search: search.clone(),
            url: url.clone(),
            secret,
            secret_set_at,
            replaced_secret: before.and_then(|before| before.replaced_secret.clone()),
            disabled: before.and_then(|before| before.disabled.clone()).filter(|_| !*active),
        })
    }

    fn view(self, version: u64, _: &App) -> TriggerView {
        let Self { id, name, description, active, accounts, events, search, url, secret_set_at, replaced_secret, disabled, .. } = self;
        let previous_secret_until = replaced_secret.map(|replaced| replaced.until);
        TriggerView {
            id,
            name,
            description,
            active,
            accounts,
            events,
            search,
            url,
            secret_set_at,
            previous_secret_until,
            disabled,
            version,
        }
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        let Change { before, after, .. } = change;
        if before.is_none() && app.configuration().all::<Trigger>().await?.len() >= Trigger::MOST {
            return Err(Errors::one("name", format!("can't be added: there are {} triggers, which is the most", Trigger::MOST)).into());
        }
        let accounts = app.configuration().all::<Account>().await?;
        let mut errors = Errors::default();
        for (index, wanted) in after.accounts.iter().enumerate() {
            if !accounts.iter().any(|(account, _)| account.id == *wanted) {
                errors.add(format!("accounts[{index}]"), UNKNOWN_ACCOUNT);
            }
        }
        if is_own(after.url.as_str(), &app.public_url, accounts.iter().map(|(account, _)| account)) {
            errors.add("url", "must not be an address of this deployment");
        } else if before.is_none_or(|before| before.url != after.url) && !app.refused([after.url.as_str().to_owned()]).await.is_empty() {
            errors.add("url", "must be https and lead to a host of the public Internet");
        }
        Ok(errors.check()?)
    }

    /// Failures of a time before the trigger was switched on again don't count.
    async fn finish(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        let switched_on = change.after.active && change.before.is_some_and(|before| !before.active);
        if switched_on {
            app.engine.store.put_health(&change.after.id, None).await?;
        }
        Ok(())
    }
}

/// Whether a trigger would call this deployment, so that one call causes the next.
fn is_own<'a>(url: &str, public_url: &str, mut accounts: impl Iterator<Item = &'a Account>) -> bool {
    let origin = |url: &str| url.parse::<Origin>().ok();
    let Some(called) = origin(url) else { return false };
    let is = |other: &str| origin(other).as_ref() == Some(&called);
    is(public_url) || accounts.any(|account| account.domain.as_ref().is_some_and(|domain| is(&format!("https://{domain}"))))
}

/// A text of a list that is parsed further.
fn parsed_each<T>(parse: impl Fn(&str) -> Option<T>, message: Refusal) -> impl Fn(Value) -> Result<T, Refusal> {
    move |value| value.as_str().and_then(&parse).ok_or(message)
}

fn conditions(mut fields: Fields<'_>) -> SearchInput {
    let combine = |text: &str| match text {
        "all" => Ok(Combine::All),
        "any" => Ok(Combine::Any),
        _ => Err("must be all or any"),
    };
    let combine = fields.optional("match", parsed(combine)).unwrap_or_default();
    let conditions = fields.list("conditions", Search::MOST_CONDITIONS, "must have at most 20 conditions", condition);
    let zone = fields.optional("zone", parsed(|text: &str| Ok(text.to_owned())));
    fields.finish();
    SearchInput { combine, conditions, zone }
}

fn condition(path: String, value: Value, errors: &mut Errors) -> Option<ConditionInput> {
    let mut fields = Fields::open(path, value, errors)?;
    let word = || parsed(|text: &str| Ok(text.to_owned()));
    let field = fields.required("field", word());
    let operator = fields.required("operator", word());
    let value = fields.optional("value", |value| match value {
        Value::String(text) => Ok(ValueInput::Text(text)),
        Value::Number(number) => number.as_i64().map(ValueInput::Number).ok_or("must be a text or a whole number"),
        _ => Err("must be a text or a whole number"),
    });
    let disabled = fields.optional("disabled", boolean).unwrap_or(false);
    fields.finish();
    Some(ConditionInput { field: field?, operator: operator?, value, disabled })
}

shells! {
    Trigger: TriggerInput => TriggerView, "triggers", "/triggers", "/triggers/{id}";

    /// Lists the triggers.
    list list_triggers;

    /// Adds a trigger, 50 at most.
    ///
    /// Names need not be unique: a repeated POST adds a second trigger. Its key is generated; rotate it to see one.
    create create_trigger;

    /// Returns a trigger.
    get get_trigger;

    /// Replaces a trigger.
    ///
    /// It takes effect within five seconds. Calls that it owes already are made as it was.
    put put_trigger;

    /// Changes fields of a trigger.
    ///
    /// It takes effect within five seconds. While it is off, nothing is told, and what it owes is forgotten.
    patch patch_trigger;

    /// Deletes a trigger.
    delete delete_trigger;
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerSecret {
    /// The key that signs the calls from now on, in the form of Standard Webhooks. It is shown only here.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// Until when calls are also signed with the previous key. Absent: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<Timestamp>,
    /// The trigger's version now.
    version: u64,
}

/// Generates a new key for a trigger, and shows it once.
///
/// Until the previous key ends, calls carry a signature for each, so that the other system may use either.
#[utoipa::path(post, path = "/triggers/{id}/secret/rotate", tag = "triggers",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body(content = Rotation),
    responses((status = 200, description = "The new key.", body = TriggerSecret, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn rotate_trigger_secret(
    State(app): State<App>,
    writer: Writer<Trigger>,
    Id(id): Id<TriggerId>,
    condition: IfMatch,
    Body(wanted): Body<Rotation>,
) -> Result<Versioned<TriggerSecret>, ApiError> {
    let now = app.engine.world.now();
    let (secret, validity) = (webhook_secret()?, wanted.validity()?);
    let until = (!validity.is_zero()).then(|| now + validity);
    let shown = secret.reveal().to_owned();
    let rotated = |before: &Trigger| {
        let replaced_secret = until.map(|until| ReplacedSecret { secret: before.secret.clone(), until });
        Ok(Some((Trigger { secret, secret_set_at: now, replaced_secret, ..before.clone() }, Vec::new())))
    };
    let Versioned { version, .. } = rewrite(&app, &writer, &id, &condition, "rotated", rotated).await?;
    Ok(Versioned::new(TriggerSecret { secret: shown, previous_secret_until: until, version }, version))
}

/// Lists the latest 50 tries of a trigger's calls, newest first.
///
/// Tries are kept for four days. The texts of answers that repeat the customer's name, number or words are left out.
#[utoipa::path(get, path = "/triggers/{id}/deliveries", tag = "triggers", params(("id" = String, Path)),
    responses((status = 200, description = "The tries.", body = Listed<Tried>), Refusals))]
pub(crate) async fn list_trigger_deliveries(
    State(app): State<App>,
    _: Reader<Trigger>,
    Id(id): Id<TriggerId>,
) -> Result<Listed<Tried>, ApiError> {
    app.load::<Trigger>(id.as_str()).await?;
    Ok(Listed { items: app.engine.store.tries(&id, TRIES).await?, next: None })
}

/// What came back from a test.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerTest {
    /// What became of it. Only `delivered` is a success.
    outcome: TriedOutcome,
    /// The status of the answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    ms: u64,
    /// The beginning of the answer's text.
    answer: String,
}

/// Calls a trigger's system now with an event that did not happen, and returns what came back.
///
/// The call is signed like any other. Its `data.test` is `true`. It works while the trigger is off, and counts neither
/// as a success nor as a failure.
#[utoipa::path(post, path = "/triggers/{id}/test", tag = "triggers", params(("id" = String, Path)),
    responses((status = 200, description = "What came back.", body = TriggerTest), Refusals))]
pub(crate) async fn test_trigger(State(app): State<App>, _: Writer<Trigger>, Id(id): Id<TriggerId>) -> Result<Json<TriggerTest>, ApiError> {
    let (trigger, _) = app.load::<Trigger>(id.as_str()).await?;
    let accounts = app.configuration().all::<Account>().await?;
    let is_its = |account: &&Account| trigger.accounts.is_empty() || trigger.accounts.contains(&account.id);
    let Some(account) = accounts.iter().map(|(account, _)| account).find(is_its) else {
        return Err(Errors::one("accounts", "there is no account whose event could be told").into());
    };
    let (now, call) = (app.engine.world.now(), format!("test-{}", cloud::ids::ulid()));
    let body = hooks::sample(&trigger, account, &call, now);
    let called = hooks::call(&app.egress, &trigger, &call, body, now).await;
    Ok(Json(TriggerTest { outcome: called.outcome, status: called.status(), ms: called.ms, answer: called.text }))
}

#[cfg(test)]
mod tests {
    use domain::fixtures;
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    fn body() -> Value {
        json!({"name": "CRM", "events": ["message.incoming"], "url": "https://crm.example.com/whatsapp"})
    }

    #[test]
    fn a_trigger_waits_for_events_of_all_accounts_without_conditions_by_default() {
        let input = Trigger::parse(body(), None).unwrap();
        let trigger = Trigger::make(fixtures::trigger().id, &mut Trigger::parse(body(), None).unwrap(), None).unwrap();
        assert!(input.active && input.accounts.is_empty() && input.search.conditions.is_empty());
        assert!(trigger.secret.reveal().starts_with("whsec_") && trigger.disabled.is_none());
    }

    #[test]
    fn switching_it_on_forgets_why_it_was_switched_off_and_keeps_its_key() {
        let why = domain::trigger::WhyDisabled::Gone;
        let off = Trigger { active: false, disabled: Some(Disabled { at: Timestamp::UNIX_EPOCH, why }), ..fixtures::trigger() };
        let mut body = body();
        for (active, is_disabled) in [(false, true), (true, false)] {
            body["active"] = json!(active);
            let after = Trigger::make(off.id.clone(), &mut Trigger::parse(body.clone(), None).unwrap(), Some(&off)).unwrap();
            assert_eq!((after.disabled.is_some(), after.secret), (is_disabled, off.secret.clone()), "{active}");
        }
    }

    #[test]
    fn every_bad_field_of_a_trigger_is_named() {
        let condition = json!({"field": "status", "operator": "equals", "value": "open"});
        let search = |conditions: Value| json!({"match": "any", "conditions": conditions});
        for (field, bad, named) in [
            ("name", json!(""), "name"),
            ("description", json!("x".repeat(2_001)), "description"),
            ("active", json!("yes"), "active"),
            ("accounts", json!(["que_1"]), "accounts[0]"),
            ("accounts", json!(vec![fixtures::account().id; 101]), "accounts"),
            ("events", json!(null), "events"),
            ("events", json!([]), "events"),
            ("events", json!(["message.incoming", "message"]), "events[1]"),
            ("events", json!(["message.incoming", "message.incoming"]), "events[1]"),
            ("url", json!(null), "url"),
            ("url", json!("ftp://crm.example.com"), "url"),
            ("url", json!("https://user:pass@crm.example.com"), "url"),
            ("url", json!(format!("https://crm.example.com/{}", "x".repeat(500))), "url"),
            ("secret", json!("whsec_b3du"), "secret"),
            ("disabled", json!({}), "disabled"),
            ("colour", json!("red"), "colour"),
            ("search", json!([]), "search"),
            ("search", json!({"match": "some"}), "search.match"),
            ("search", json!({"zone": "Rome"}), "search.zone"),
            ("search", json!({"text": "x"}), "search.text"),
            ("search", search(json!(vec![condition.clone(); 21])), "search.conditions"),
            ("search", search(json!([condition, {"field": "colour", "operator": "equals", "value": "x"}])), "search.conditions[1].field"),
            ("search", search(json!([{"field": "status", "operator": "before", "value": "x"}])), "search.conditions[0].operator"),
            ("search", search(json!([{"field": "status", "operator": "equals", "value": "x"}])), "search.conditions[0].value"),
            ("search", search(json!([{"field": "status", "operator": "equals", "value": []}])), "search.conditions[0].value"),
            ("search", search(json!([{"operator": "equals"}])), "search.conditions[0].field"),
            ("search", search(json!([{"field": "id", "operator": "is_empty", "not": true}])), "search.conditions[0].not"),
        ] {
            let mut body = body();
            body[field] = bad.clone();
            assert_eq!(names(Trigger::parse(body, None)).first().map(String::as_str), Some(named), "{field}: {bad}");
        }
    }

    #[test]
    fn an_address_of_this_deployment_is_known_however_it_is_written() {
        let mut account = fixtures::account();
        account.domain = Some("wa.example.com".to_owned());
        let own = |url: &str| is_own(url, "https://api.example.com/prod", std::iter::once(&account));
        for url in ["https://api.example.com/admin/x", "https://API.example.com:443/", "https://wa.example.com/receive/x"] {
            assert!(own(url), "{url}");
        }
        for url in ["https://crm.example.com/", "https://api.example.com:8443/", "https://api.example.com.evil.example/"] {
            assert!(!own(url), "{url}");
        }
    }
}
