//! AI agents: language models with instructions and knowledge. The key of their service is written, never shown.

use std::ops::RangeInclusive;

use api::{Body, FromPath, IfMatch, Versioned};
use axum::extract::State;
use domain::agent::Role;
use domain::ai_agent::{AiAgent, Escalation, Guardrail, Knowledge, KnowledgeBase, KnowledgeText, Limits, ModelProvider, TokenPrice};
use domain::ids::AiAgentId;
use domain::language::Language;
use domain::pricing::{Amount, Currency};
use domain::values::{Invalid, Secret};
use engine::ports::World;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, Fields, NAME, NOT_PUBLIC, REQUIRED, Refusal, integer, line, parsed, text};
use crate::openapi::WriteRefusals;
use crate::resource::{Change, Resource, Stored, Writer, rewrite};
use crate::shells::shells;

/// Bedrock's ids have some 60 characters, and the ARN of an inference profile some 150.
const MODEL: usize = 200;
/// Addresses of APIs are short.
const ADDRESS: usize = 500;
/// AWS's longest name of a region has 14 characters.
const REGION: usize = 25;
/// Titles of documents.
const TITLE: usize = 200;
/// With more than this, a knowledge base serves better.
const TEXTS: usize = 50;
/// A phrase is a few words, and each message is searched for all of them.
const PHRASES: usize = 20;
const PHRASE: usize = 100;
/// A WhatsApp message that is read at a glance.
const MESSAGE: usize = 1_000;
/// OpenAI's keys have some 160 characters, and tokens of gateways up to a few thousand.
const LONGEST_KEY: usize = 4_096;

/// The fields that the service sets.
const SET_HERE: [&str; 3] = ["id", "key_set_at", "version"];

/// An AI agent.
#[derive(PartialEq, ToSchema)]
pub(crate) struct AiAgentInput {
    /// The name that agents and supervisors see.
    #[schema(min_length = 1, max_length = 200, example = "Ada")]
    name: String,
    /// The service that runs the model: `BEDROCK`, or `OPENAI_COMPATIBLE` for any API of chat completions.
    provider: ModelProvider,
    /// The model's id with the provider; for Bedrock also the id or ARN of an inference profile.
    #[schema(min_length = 1, max_length = 200, example = "eu.amazon.nova-lite-v1:0")]
    model: String,
    /// The AWS region of the model (Bedrock) and of the knowledge base. If absent: the stack's own.
    #[schema(example = "eu-central-1")]
    region: Option<String>,
    /// The address of the API, with its version: what stands before `/chat/completions`. Required for
    /// `OPENAI_COMPATIBLE`. Once it changes, the key must be set again.
    #[schema(max_length = 500, example = "https://api.openai.com/v1")]
    base_url: Option<String>,
    /// What it is for and how it answers.
    #[schema(min_length = 1, max_length = 8_000)]
    instructions: String,
    /// What it knows beside the conversation.
    #[schema(required = false)]
    knowledge: Knowledge,
    /// From 0 (always the likeliest words) to 1. If absent: the model's own default. Some models take none.
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f64>,
    /// The most tokens of an answer. Models that think before they answer count their thoughts too.
    #[schema(value_type = i64, required = false, default = 800, minimum = 16, maximum = 8_192)]
    max_tokens: u32,
    /// The language of its answers. If absent: the language of whoever asks.
    language: Option<Language>,
    /// The text that tells a customer, before the first answer, that no person answers.
    #[schema(min_length = 1, max_length = 1_000)]
    disclosure: Option<String>,
    /// When it hands over to a person, beside its own decision to.
    #[schema(required = false)]
    escalation: Escalation,
    /// How often and how long it answers customers before people take over.
    #[schema(required = false)]
    limits: Limits,
    /// Bedrock's guardrail.
    guardrail: Option<Guardrail>,
    /// What a million tokens cost, for reports. If absent: they tell no cost.
    price: Option<TokenPrice>,
}

/// The company's own texts never reach a log.
impl std::fmt::Debug for AiAgentInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiAgentInput").field("provider", &self.provider).field("model", &self.model).finish_non_exhaustive()
    }
}

/// An AI agent. Its key is never shown.
#[derive(Serialize, ToSchema)]
#[schema(as = AiAgent)]
pub(crate) struct AiAgentView {
    /// The AI agent's id.
    id: AiAgentId,
    /// The name that agents and supervisors see.
    name: String,
    /// The service that runs the model.
    provider: ModelProvider,
    /// The model's id with the provider.
    model: String,
    /// The AWS region of the model (Bedrock) and of the knowledge base. If absent: the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The address of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// When the API's key was set. Absent if there is none, or if the address has changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_set_at: Option<Timestamp>,
    /// What it is for and how it answers.
    instructions: String,
    /// What it knows beside the conversation.
    knowledge: Knowledge,
    /// From 0 (always the likeliest words) to 1. If absent: the model's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    /// The most tokens of an answer.
    #[schema(value_type = i64)]
    max_tokens: u32,
    /// The language of its answers. If absent: the language of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
    /// The text that tells a customer, before the first answer, that no person answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    disclosure: Option<String>,
    /// When it hands over to a person, beside its own decision to.
    escalation: Escalation,
    /// How often and how long it answers customers before people take over.
    limits: Limits,
    /// Bedrock's guardrail.
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail: Option<Guardrail>,
    /// What a million tokens cost. If absent: reports tell no cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<TokenPrice>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl AiAgentInput {
    /// Parses the body of a POST, or of a PUT on the document `shown`.
    fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let input = read(&mut fields);
            fields.finish_with(&SET_HERE, shown);
            input
        });
        match input {
            Some(input) => errors.check().map(|()| input),
            None => Err(errors),
        }
    }
}

fn read(fields: &mut Fields<'_>) -> Option<AiAgentInput> {
    let name = fields.required("name", line(NAME));
    let provider = fields.required("provider", |value| serde_json::from_value(value).map_err(|_| "must be BEDROCK or OPENAI_COMPATIBLE"));
    let model = fields.required("model", parsed(graphic(MODEL)));
    let region = fields.optional("region", parsed(region));
    let has_address = fields.has("base_url");
    let base_url = fields.optional("base_url", parsed(address));
    let has_guardrail = fields.has("guardrail");
    let instructions = fields.required("instructions", document(AiAgent::LONGEST_INSTRUCTIONS));
    let knowledge = fields.object("knowledge").map(knowledge).unwrap_or_default();
    let temperature = fields.optional("temperature", temperature);
    let max_tokens = fields.optional("max_tokens", integer(tokens)).unwrap_or(AiAgent::USUAL_TOKENS);
    let language = fields.optional("language", parsed(|text| Language::parse(text).map_err(|invalid| invalid.0)));
    let disclosure = fields.optional("disclosure", document(MESSAGE));
    let escalation = fields.object("escalation").map(escalation).unwrap_or_default();
    let limits = fields.object("limits").map(limits).unwrap_or_default();
    let guardrail = fields.object("guardrail").and_then(guardrail);
    let price = fields.object("price").and_then(price);
    match provider {
        Some(ModelProvider::Bedrock) if has_address => fields.refuse("base_url", "belongs to OPENAI_COMPATIBLE"),
        Some(ModelProvider::OpenaiCompatible) if !has_address => fields.refuse("base_url", REQUIRED),
        Some(ModelProvider::OpenaiCompatible) if has_guardrail => fields.refuse("guardrail", "belongs to BEDROCK"),
        _ => {}
    }
    Some(AiAgentInput {
        name: name?,
        provider: provider?,
        model: model?,
        region,
        base_url,
        instructions: instructions?,
        knowledge,
        temperature,
        max_tokens,
        language,
        disclosure,
        escalation,
        limits,
        guardrail,
        price,
    })
}

/// A word of printable ASCII characters.
fn graphic(most: usize) -> impl Fn(&str) -> Result<String, Refusal> {
    move |text| {
        let printable = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_graphic());
        if printable { Ok(text.to_owned()) } else { Err("must be 1 to 200 printable ASCII characters without blanks") }
    }
}

fn region(text: &str) -> Result<String, Refusal> {
    let parts: Vec<&str> = text.split('-').collect();
    let (last, names) = parts.split_last().unwrap_or((&"", &[]));
    let is_name = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = last.len() == 1 && last.bytes().all(|b| b.is_ascii_digit());
    let is_region = text.len() <= REGION && names.len() >= 2 && names.iter().all(is_name) && is_number;
    if is_region { Ok(text.to_owned()) } else { Err("must be an AWS region such as eu-central-1") }
}

/// The address without a slash at the end. Whether it is public is checked when it is saved, and whenever it is
/// called.
fn address(text: &str) -> Result<String, Refusal> {
    let address = text.trim_end_matches('/');
    let plain = address.len() <= ADDRESS && address.bytes().all(|b| b.is_ascii_graphic()) && !address.contains(['?', '#']);
    let is_web = ["https://", "http://"].iter().any(|scheme| address.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if plain && is_web { Ok(address.to_owned()) } else { Err("must be an address such as https://api.openai.com/v1") }
}

/// A text of several lines, as people paste it: with tabs, and with line ends of any system.
fn document(most: usize) -> impl Fn(Value) -> Result<String, Refusal> {
    move |value| match value {
        Value::String(pasted) => text(most)(Value::String(pasted.replace("\r\n", "\n").replace('\t', " "))),
        value => text(most)(value),
    }
}

fn temperature(value: Value) -> Result<f64, Refusal> {
    value.as_f64().filter(|temperature| (0.0..=1.0).contains(temperature)).ok_or("must be a number from 0 to 1")
}

fn tokens(tokens: i64) -> Result<u32, Invalid> {
    // Fewer than 16 are refused by some services, and hold no sentence.
    let range = 16..=AiAgent::MOST_TOKENS;
    u32::try_from(tokens).ok().filter(|tokens| range.contains(tokens)).ok_or(Invalid("must be from 16 to 8192"))
}

fn knowledge(mut fields: Fields<'_>) -> Knowledge {
    let base = fields.object("base").and_then(|mut fields| {
        let id = fields.required("id", parsed(base_id));
        let results = fields.optional("results", integer(results)).unwrap_or(KnowledgeBase::USUAL_RESULTS);
        fields.finish();
        Some(KnowledgeBase { id: id?, results })
    });
    let texts = fields.list("texts", TEXTS, "must have at most 50 texts", |path, value, errors| {
        let mut fields = Fields::open(path, value, errors)?;
        let title = fields.required("title", line(TITLE));
        let text = fields.required("text", document(AiAgent::LONGEST_TEXTS));
        fields.finish();
        Some(KnowledgeText { title: title?, text: text? })
    });
    if texts.iter().map(|known| known.text.chars().count()).sum::<usize>() > AiAgent::LONGEST_TEXTS {
        fields.refuse("texts", "must have at most 30000 characters in all");
    }
    fields.finish();
    Knowledge { base, texts }
}

fn base_id(text: &str) -> Result<String, Refusal> {
    let is_id = text.len() == 10 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_id { Ok(text.to_owned()) } else { Err("must be the id of a knowledge base: ten letters and digits") }
}

fn results(results: i64) -> Result<u32, Invalid> {
    let range = 1..=KnowledgeBase::MOST_RESULTS;
    u32::try_from(results).ok().filter(|results| range.contains(results)).ok_or(Invalid("must be from 1 to 20"))
}

fn escalation(mut fields: Fields<'_>) -> Escalation {
    let phrases = fields.set("phrases", PHRASES, "must have at most 20 phrases", |value| {
        let phrase = line(PHRASE)(value)?;
        if phrase.chars().any(char::is_alphanumeric) { Ok(phrase) } else { Err("must have a word") }
    });
    let message = fields.optional("message", document(MESSAGE));
    fields.finish();
    Escalation { phrases, message }
}

fn limits(mut fields: Fields<'_>) -> Limits {
    let usual = Limits::default();
    let mut limit = |name, range: RangeInclusive<u32>, refusal: Refusal, usual| {
        let within = move |limit: i64| u32::try_from(limit).ok().filter(|limit| range.contains(limit)).ok_or(Invalid(refusal));
        fields.optional(name, integer(within)).unwrap_or(usual)
    };
    let limits = Limits {
        in_a_row: limit("in_a_row", Limits::IN_A_ROW, "must be from 1 to 100", usual.in_a_row),
        an_hour: limit("an_hour", Limits::AN_HOUR, "must be from 1 to 600", usual.an_hour),
        dropped: limit("dropped", Limits::DROPPED, "must be from 0 to 10", usual.dropped),
        seconds: limit("seconds", Limits::SECONDS, "must be from 5 to 50", usual.seconds),
    };
    fields.finish();
    limits
}

fn guardrail(mut fields: Fields<'_>) -> Option<Guardrail> {
    let id = fields.required("id", parsed(graphic(MODEL)));
    let version = fields.required("version", parsed(version));
    fields.finish();
    Some(Guardrail { id: id?, version: version? })
}

fn price(mut fields: Fields<'_>) -> Option<TokenPrice> {
    let amount = |text: &str| Amount::parse(text).map_err(|invalid| invalid.0);
    let input = fields.required("input", parsed(amount));
    let output = fields.required("output", parsed(amount));
    let currency = fields.required("currency", parsed(|text| Currency::parse(text).map_err(|invalid| invalid.0)));
    fields.finish();
    Some(TokenPrice { input: input?, output: output?, currency: currency? })
}

fn version(text: &str) -> Result<String, Refusal> {
    let is_number = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if text == "DRAFT" || is_number { Ok(text.to_owned()) } else { Err("must be the number of a version, or DRAFT") }
}

impl Resource for AiAgent {
    type Id = AiAgentId;
    type Input = AiAgentInput;
    type View = AiAgentView;
    const PLACE: &'static str = "ai-agents";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Admin;
    const DERIVED: &'static [&'static str] = &["id", "version"];

    fn parse(body: Value, shown: Option<&Value>) -> Result<AiAgentInput, Errors> {
        AiAgentInput::parse(body, shown)
    }

    fn make(id: AiAgentId, input: &mut AiAgentInput, before: Option<&Self>) -> Result<Self, ApiError> {
        // A key is for the address that it was set for: whoever changes the address must know the key.
        let key_set_at = before.filter(|before| before.base_url == input.base_url).and_then(|before| before.key_set_at);
        Ok(Self {
            id,
            name: input.name.clone(),
            provider: input.provider,
            model: input.model.clone(),
            region: input.region.clone(),
            base_url: input.base_url.clone(),
            key_set_at,
            instructions: input.instructions.clone(),
            knowledge: input.knowledge.clone(),
            temperature: input.temperature,
            max_tokens: input.max_tokens,
            language: input.language.clone(),
            disclosure: input.disclosure.clone(),
            escalation: input.escalation.clone(),
            limits: input.limits,
            guardrail: input.guardrail.clone(),
            price: input.price,
        })
    }

    fn view(self, version: u64, _: &App) -> AiAgentView {
        AiAgentView {
            id: self.id,
            name: self.name,
            provider: self.provider,
            model: self.model,
            region: self.region,
            base_url: self.base_url,
            key_set_at: self.key_set_at,
            instructions: self.instructions,
            knowledge: self.knowledge,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            language: self.language,
            disclosure: self.disclosure,
            escalation: self.escalation,
            limits: self.limits,
            guardrail: self.guardrail,
            price: self.price,
            version,
        }
    }

    /// An address that stays is not vetted again: it is whenever it is called.
    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        let stays = change.before.is_some_and(|before| before.base_url == change.after.base_url);
        let new = change.after.base_url.iter().filter(|_| !stays).cloned();
        if app.refused(new).await.is_empty() { Ok(()) } else { Err(Errors::one("base_url", NOT_PUBLIC).into()) }
    }

    /// Accounts that use it. Without it, nobody would answer or help there.
    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        app.accounts_with(|account| account.uses_ai_agent(&self.id)).await
    }

    /// Its key is of no use to anybody.
    async fn left(&self, app: &App) {
        if let Err(error) = app.ai_keys.delete(&self.id, true).await {
            tracing::error!(event = "admin.ai_key_left", ai_agent = self.id.as_str(), %error);
        }
    }
}

shells! {
    AiAgent: AiAgentInput => AiAgentView, "ai-agents", "/ai-agents", "/ai-agents/{id}";

    /// Lists the AI agents.
    ///
    /// Supervisors may read them too.
    list list_ai_agents;

    /// Creates an AI agent.
    ///
    /// Its key comes by a call of its own. Names need not be unique: a repeated POST creates a second one.
    create create_ai_agent;

    /// Returns an AI agent.
    ///
    /// Supervisors may read it too.
    get get_ai_agent;

    /// Replaces an AI agent.
    ///
    /// A changed `base_url` leaves it without a key.
    put put_ai_agent;

    /// Changes fields of an AI agent.
    ///
    /// A changed `base_url` leaves it without a key.
    patch patch_ai_agent;

    /// Deletes an AI agent, with its key.
    ///
    /// Refused (409, `in-use`) while an account uses it.
    delete delete_ai_agent;
}

/// The key of an AI agent's API.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AiKey {
    /// The key, which is sent to `base_url` as a bearer token.
    #[schema(min_length = 1, max_length = 4_096, write_only = true)]
    key: String,
}

impl std::fmt::Debug for AiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AiKey(…)")
    }
}

/// Sets the key of an AI agent's API.
///
/// It is used from now on and never shown. Bedrock needs no key (422).
#[utoipa::path(put, path = "/ai-agents/{id}/key", tag = "ai-agents",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body(content = AiKey),
    responses((status = 200, description = "The AI agent.", body = AiAgentView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_ai_key(
    State(app): State<App>,
    writer: Writer<AiAgent>,
    FromPath(id): FromPath<AiAgentId>,
    condition: IfMatch,
    Body(AiKey { key }): Body<AiKey>,
) -> Result<Versioned<AiAgentView>, ApiError> {
    let printable = !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_graphic());
    if !printable {
        return Err(Errors::one("key", "must be 1 to 4096 printable ASCII characters without blanks").into());
    }
    // An AI agent that does not exist gets no secret, and a refused change (412) leaves the key as it is.
    let stored = Stored::<AiAgent>::load(&app, &writer, &id, Some(&condition)).await?;
    if stored.before.base_url.is_none() {
        return Err(Errors::one("key", "Bedrock needs none: this deployment has its own rights").into());
    }
    app.ai_keys.keep(&id, &Secret::from(key)).await?;
    let now = app.engine.world.now();
    rewrite(&app, &writer, &id, &condition, "key set", |before| Ok(Some((with_key(before, Some(now)), Vec::new())))).await
}

/// Removes the key of an AI agent's API.
///
/// If there is none, nothing changes.
#[utoipa::path(delete, path = "/ai-agents/{id}/key", tag = "ai-agents",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "The AI agent.", body = AiAgentView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_ai_key(
    State(app): State<App>,
    writer: Writer<AiAgent>,
    FromPath(id): FromPath<AiAgentId>,
    condition: IfMatch,
) -> Result<Versioned<AiAgentView>, ApiError> {
    let without = |before: &AiAgent| Ok(before.key_set_at.map(|_| (with_key(before, None), Vec::new())));
    let shown = rewrite(&app, &writer, &id, &condition, "key removed", without).await?;
    app.ai_keys.delete(&id, true).await?;
    Ok(shown)
}

fn with_key(before: &AiAgent, set_at: Option<Timestamp>) -> AiAgent {
    AiAgent { key_set_at: set_at, ..before.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    fn body() -> Value {
        json!({
            "name": "Ada",
            "provider": "OPENAI_COMPATIBLE",
            "model": "small",
            "base_url": "https://api.example.com/v1/",
            "instructions": "Answer.\r\n\tBriefly.",
            "knowledge": {"base": {"id": "KB12345678"}, "texts": [{"title": "Hours", "text": "9 to 18"}]},
            "escalation": {"phrases": ["operator"], "message": "One moment."},
            "limits": {},
        })
    }

    fn made(input: Value, before: Option<&AiAgent>) -> AiAgent {
        let mut input = AiAgentInput::parse(input, None).unwrap();
        AiAgent::make(AiAgentId::from_ulid(ulid::Ulid(1)), &mut input, before).unwrap()
    }

    #[test]
    fn an_ai_agent_has_its_defaults_and_texts_as_people_paste_them() {
        let agent = made(body(), None);
        assert_eq!((agent.max_tokens, agent.temperature, agent.key_set_at), (800, None, None));
        assert_eq!((agent.base_url.as_deref(), agent.instructions.as_str()), (Some("https://api.example.com/v1"), "Answer.\n Briefly."));
        assert_eq!(agent.knowledge.base.unwrap().results, 5);
        assert_eq!(agent.limits, Limits { in_a_row: 20, an_hour: 60, dropped: 3, seconds: 50 });
        let mut limited = body();
        limited["limits"] = json!({"in_a_row": 1, "dropped": 0});
        assert_eq!(made(limited, None).limits, Limits { in_a_row: 1, dropped: 0, ..Limits::default() });
    }

    #[test]
    fn each_field_that_is_refused_is_named() {
        let long = |n: usize| json!({"title": "x", "text": "è".repeat(n)});
        for (field, bad) in [
            ("name", json!("a\nb")),
            ("provider", json!("OPENAI")),
            ("model", json!("a b")),
            ("region", json!("europe")),
            ("region", json!("eu-central")),
            ("base_url", json!("api.example.com")),
            ("base_url", json!("https://api.example.com/v1?key=1")),
            ("base_url", json!(null)),
            ("instructions", json!("x".repeat(8_001))),
            ("instructions", json!(null)),
            ("knowledge", json!([])),
            ("knowledge.base.id", json!("short")),
            ("knowledge.base.results", json!(21)),
            ("knowledge.texts", json!([long(15_000), long(15_001)])),
            ("knowledge.texts[0].title", json!("")),
            ("knowledge.texts[0].colour", json!("red")),
            ("temperature", json!(1.1)),
            ("temperature", json!("hot")),
            ("max_tokens", json!(15)),
            ("max_tokens", json!(8_193)),
            ("language", json!("italian")),
            ("disclosure", json!("x".repeat(1_001))),
            ("escalation.phrases[0]", json!(["?!"])),
            ("escalation.phrases[1]", json!(["operator", "operator"])),
            ("escalation.failures", json!(1)),
            ("limits", json!(20)),
            ("limits.in_a_row", json!(0)),
            ("limits.in_a_row", json!(101)),
            ("limits.an_hour", json!(601)),
            ("limits.dropped", json!(-1)),
            ("limits.seconds", json!(51)),
            ("limits.seconds", json!("fast")),
            ("limits.a_day", json!(1)),
            ("key_set_at", json!("2026-01-01T00:00:00Z")),
            ("api_key", json!("secret")),
        ] {
            let mut body = body();
            let list = field.strip_suffix("[0]").or(field.strip_suffix("[1]")).unwrap_or(field);
            let pointer = format!("/{}", list.replace('.', "/").replace("[0]", "/0"));
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = bad;
            assert_eq!(names(AiAgentInput::parse(body, None)), [field]);
        }
        let most = json!([long(15_000), long(15_000)]);
        let mut whole = body();
        whole["knowledge"]["texts"] = most;
        assert!(AiAgentInput::parse(whole, None).is_ok());
        let mut bedrock = body();
        bedrock["provider"] = json!("BEDROCK");
        assert_eq!(names(AiAgentInput::parse(bedrock.clone(), None)), ["base_url"]);
        bedrock["base_url"] = json!(null);
        bedrock["guardrail"] = json!({"id": "gr1", "version": "01"});
        assert_eq!(names(AiAgentInput::parse(bedrock.clone(), None)), ["guardrail.version"]);
        bedrock["guardrail"]["version"] = json!("DRAFT");
        assert!(AiAgentInput::parse(bedrock, None).is_ok());
        let mut guarded = body();
        guarded["guardrail"] = json!({"id": "gr1", "version": "1"});
        assert_eq!(names(AiAgentInput::parse(guarded, None)), ["guardrail"]);
        assert_eq!(names(AiAgentInput::parse(json!({}), None)), ["name", "provider", "model", "instructions"]);
    }

    #[test]
    fn a_key_is_for_the_address_that_it_was_set_for() {
        let before = with_key(&made(body(), None), Some(Timestamp::UNIX_EPOCH));
        let mut renamed = body();
        renamed["name"] = json!("Eva");
        assert_eq!(made(renamed, Some(&before)).key_set_at, before.key_set_at);
        let mut moved = body();
        moved["base_url"] = json!("https://elsewhere.example.com/v1");
        assert_eq!(made(moved, Some(&before)).key_set_at, None);
    }

    #[test]
    fn neither_texts_nor_a_key_show_in_debug() {
        let shown = format!("{:?} {:?}", AiAgentInput::parse(body(), None).unwrap(), AiKey { key: "s3cret".into() });
        for hidden in ["Briefly", "9 to 18", "One moment", "s3cret"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
