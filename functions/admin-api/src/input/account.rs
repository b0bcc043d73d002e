//! Accounts: connected WhatsApp numbers.

use std::collections::{BTreeMap, BTreeSet};

use cloud::egress::is_public_name;
use domain::account::{Account, Announcement, AnnouncementStyle, Minutes, Recontact, Settings, TransferRule, Translation, Whitelist};
use domain::ids::{AgentId, AiAgentId, IntervalId, ListId, PauseId, QueueId};
use domain::insights::InsightsSettings;
use domain::interval::ZoneName;
use domain::language::Language;
use domain::plan::{ActionPlan, Fault, Guard, PlanStep, Step};
use domain::template::{ApprovedTemplate, HeaderInput, Misfit, TemplateInput, TextRule};
use domain::values::{AccountKey, E164, Seconds};
use domain::video::VideoSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{
    Errors, Fields, Refusal, UNKNOWN_AGENT, UNKNOWN_AI_AGENT, UNKNOWN_INTERVAL, UNKNOWN_LIST, UNKNOWN_PAUSE, UNKNOWN_QUEUE, boolean,
    disposition, id, integer, line, parsed, text,
};
use super::plan::{filled_template, read, step};
use super::provider::NOT_PUBLIC;
use super::{NAME, PEOPLE, ProviderInput};

/// Room for a note, not for a document.
pub(crate) const DESCRIPTION: usize = 2_000;
/// An interaction whose plan has ended waits with one row for each queue it has tried. One transaction of at most 100
/// actions writes these rows, and the interaction's own item names them all within 4 KB.
const STEPS: usize = ActionPlan::MOST_STEPS;
/// As many as an agent can choose from. It keeps the account's item far below DynamoDB's 400 KB.
pub(crate) const DISPOSITIONS: usize = 200;
/// Each list is looked up when the account is saved, and before an interaction is opened.
const WHITELISTED: usize = 50;
/// A title is read in a list of meetings, a note in a report. Metadata is some fields that automations read.
const VIDEO_TOPIC: usize = 100;
const VIDEO_NOTE: usize = 1_000;
const VIDEO_METADATA: usize = 4_000;
/// WhatsApp's limits: a template's name has at most 512 characters, and a body of 1024 characters holds at most 100
/// parameters. A language looks like `en_US`.
const TEMPLATE_NAME: usize = 512;
const TEMPLATE_PARAMETERS: usize = 100;
/// WhatsApp allows 10 buttons and 10 cards.
const TEMPLATE_BUTTONS: usize = 10;
const TEMPLATE_LANGUAGE: usize = 15;
/// The longest host name (RFC 1035, section 2.3.4).
const HOST: usize = 253;

/// The fields that the service sets.
const SET_HERE: [&str; 10] = [
    "id",
    "receive_url",
    "proxy_token",
    "webhook_secret",
    "replaced_secrets",
    "plan_version",
    "translation_key_set_at",
    "video_key_set_at",
    "warnings",
    "version",
];

/// A connected WhatsApp number.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct AccountInput {
    /// Display name.
    #[schema(min_length = 1, max_length = 200, example = "Sales Italy")]
    pub(crate) name: String,
    /// The key that agents' tabs show. The key is unique.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9]{5}$", example = "SALES")]
    pub(crate) key: AccountKey,
    /// The id of the list where new contacts are saved.
    pub(crate) list: ListId,
    /// The public host (port 443) of the Receive URL. If absent: this deployment's own.
    #[schema(example = "whatsapp.example.com")]
    pub(crate) domain: Option<String>,
    /// The provider, and how to reach it.
    pub(crate) provider: ProviderInput,
    /// The number in E.164 format: `+1234567890` or `whatsapp:+1234567890`.
    #[schema(value_type = String, example = "+1234567890")]
    pub(crate) phone: E164,
    /// A note for administrators.
    #[schema(max_length = 2_000)]
    pub(crate) description: Option<String>,
    /// Whether incoming messages are routed. An inactive account only stores them. An active account needs an agent
    /// with WhatsApp enabled.
    #[schema(required = false, default = true)]
    pub(crate) active: bool,
    /// The ids of the agents who see and handle the account's interactions.
    #[schema(required = false, max_items = 1_000)]
    pub(crate) agents: Vec<AgentId>,
    /// The id of the AI agent that answers customers while AI is on. If absent, only an AI agent from the plan's
    /// Assistant step answers.
    pub(crate) answering_ai_agent: Option<AiAgentId>,
    /// Waits, timeouts, and rules for agents.
    #[schema(required = false)]
    pub(crate) settings: AccountSettings,
    /// Routing steps, in order.
    #[schema(required = false, max_items = 40)]
    pub(crate) plan: Vec<PlanStep>,
}

/// Waits and timeouts of an account, and rules for its agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccountSettings {
    /// How long a new message is offered to the interaction's own agent first, in seconds.
    #[schema(value_type = i64, required = false, default = 10, minimum = 1, maximum = 2_147_483)]
    pub(crate) wait_for_assigned_agent: Seconds,
    /// How long it is then offered to the queue through which that agent accepted, in seconds.
    #[schema(value_type = i64, required = false, default = 10, minimum = 1, maximum = 2_147_483)]
    pub(crate) wait_for_assigned_queue: Seconds,
    /// After how many minutes without a reply from the customer an interaction closes by itself. If absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 525_600)]
    pub(crate) inactivity_timeout: Option<Minutes>,
    /// Whether closing requires a disposition.
    #[schema(required = false, default = false)]
    pub(crate) mandatory_disposition: bool,
    /// The id of the pause for an agent who closes without a required disposition. The pause lasts until the agent
    /// chooses a disposition. If absent, closing without a disposition is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disposition_pause: Option<PauseId>,
    /// The account's own dispositions, in addition to the general ones. Each has up to three levels separated by `/`.
    /// If there are neither own nor general ones, agents may write any text.
    #[schema(required = false, max_items = 200)]
    pub(crate) dispositions: Vec<String>,
    /// Time zone used by plan conditions: a name of the IANA database.
    #[schema(value_type = String, required = false, default = "UTC", example = "Europe/Rome")]
    pub(crate) time_zone: ZoneName,
    /// How a new interaction is announced to agents.
    #[schema(required = false)]
    pub(crate) notification: Announcement,
    /// Whether agents may transfer interactions to other agents, and the time limit for accepting.
    #[schema(required = false)]
    pub(crate) transfer_to_agent: TransferRule,
    /// Whether agents may transfer interactions to queues, and the time limit for accepting.
    #[schema(required = false)]
    pub(crate) transfer_to_queue: TransferRule,
    /// The customers whose messages open interactions. If absent: all customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) whitelist: Option<Whitelist>,
    /// The approved template that agents may send after the 24-hour window ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recontact: Option<Recontact>,
    /// Translation between the customers' languages and the agents'. If absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) translation: Option<Translation>,
    /// The id of the AI agent that helps the account's agents with questions. If absent: none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assistant: Option<AiAgentId>,
    /// The customers' moods and summaries of conversations, on request and at closing. If absent: none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) insights: Option<InsightsSettings>,
    /// Video calls that agents start. If absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video: Option<VideoSettings>,
}

impl From<Settings> for AccountSettings {
    fn from(settings: Settings) -> Self {
        Self {
            wait_for_assigned_agent: settings.wait_for_assigned_agent,
            wait_for_assigned_queue: settings.wait_for_assigned_queue,
            inactivity_timeout: settings.inactivity_timeout,
            mandatory_disposition: settings.mandatory_disposition,
            disposition_pause: settings.disposition_pause,
            dispositions: settings.dispositions,
            time_zone: settings.time_zone,
            notification: settings.notification,
            transfer_to_agent: settings.transfer_to_agent,
            transfer_to_queue: settings.transfer_to_queue,
            whitelist: settings.whitelist,
            recontact: settings.recontact,
            translation: settings.translation,
            assistant: settings.assistant,
            insights: settings.insights,
            video: settings.video,
        }
    }
}

impl From<AccountSettings> for Settings {
    fn from(settings: AccountSettings) -> Self {
        Self {
            wait_for_assigned_agent: settings.wait_for_assigned_agent,
            wait_for_assigned_queue: settings.wait_for_assigned_queue,
            inactivity_timeout: settings.inactivity_timeout,
            mandatory_disposition: settings.mandatory_disposition,
            disposition_pause: settings.disposition_pause,
            dispositions: settings.dispositions,
            time_zone: settings.time_zone,
            notification: settings.notification,
            transfer_to_agent: settings.transfer_to_agent,
            transfer_to_queue: settings.transfer_to_queue,
            whitelist: settings.whitelist,
            recontact: settings.recontact,
            translation: settings.translation,
            assistant: settings.assistant,
            insights: settings.insights,
            video: settings.video,
        }
    }
}

/// The resources that an account refers to, and the keys that its own key must differ from.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// The general dispositions.
    pub(crate) dispositions: BTreeSet<String>,
    /// All contact lists.
    pub(crate) lists: BTreeSet<ListId>,
    /// All pauses.
    pub(crate) pauses: BTreeSet<PauseId>,
    /// All agents, and whether WhatsApp is enabled for them.
    pub(crate) agents: BTreeMap<AgentId, bool>,
    /// All AI agents.
    pub(crate) ai_agents: BTreeSet<AiAgentId>,
    /// All queues.
    pub(crate) queues: BTreeSet<QueueId>,
    /// All intervals.
    pub(crate) intervals: BTreeSet<IntervalId>,
    /// The keys of the other accounts.
    pub(crate) keys: BTreeSet<String>,
    /// The addresses that may not be called, among those that the account has anew.
    pub(crate) refused: BTreeSet<String>,
}

impl AccountInput {
    /// Parses the body of a POST, or of a PUT on the document `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let name = fields.required("name", line(NAME));
            let key = fields.required("key", parsed(|text| AccountKey::parse(text).map_err(|invalid| invalid.0)));
            let list = fields.required("list", id(UNKNOWN_LIST));
            let domain = fields.optional("domain", parsed(host));
            let provider =
                fields.required_object("provider").and_then(|fields| ProviderInput::parse(fields, shown.map(|shown| &shown["provider"])));
            let phone = fields.required("phone", parsed(|text| E164::parse(text).map_err(|invalid| invalid.0)));
            let description = fields.optional("description", text(DESCRIPTION));
            let active = fields.optional("active", boolean).unwrap_or(true);
            let agents = fields.set("agents", PEOPLE, "must have at most 1000 agents", id(UNKNOWN_AGENT));
            let answering_ai_agent = fields.optional("answering_ai_agent", id(UNKNOWN_AI_AGENT));
            let settings = fields.object("settings").map_or_else(|| Settings::default().into(), settings);
            let plan = fields.list("plan", STEPS, "must have at most 40 steps", step);
            fields.finish_with(&SET_HERE, shown);
            Some(Self {
                name: name?,
                key: key?,
                list: list?,
                domain,
                provider: provider?,
                phone: phone?,
                description,
                active,
                agents,
                answering_ai_agent,
                settings,
                plan,
            })
        });
        match input {
            Some(input) => errors.check().map(|()| input),
            None => Err(errors),
        }
    }

    /// Checks that everything the account refers to exists and that its key is free.
    pub(crate) fn check(&self, around: &Surroundings) -> Result<(), Errors> {
        let mut errors = Errors::default();
        if around.keys.contains(self.key.as_str()) {
            errors.add("key".to_owned(), KEY_TAKEN);
        }
        if !around.lists.contains(&self.list) {
            errors.add("list".to_owned(), UNKNOWN_LIST);
        }
        if self.settings.disposition_pause.as_ref().is_some_and(|pause| !around.pauses.contains(pause)) {
            errors.add("settings.disposition_pause".to_owned(), UNKNOWN_PAUSE);
        }
        let whitelisted = self.settings.whitelist.iter().flat_map(|whitelist| whitelist.lists.iter().enumerate());
        for (index, _) in whitelisted.filter(|(_, list)| !around.lists.contains(*list)) {
            errors.add(format!("settings.whitelist.lists[{index}]"), UNKNOWN_LIST);
        }
        for (index, _) in self.agents.iter().enumerate().filter(|(_, agent)| !around.agents.contains_key(*agent)) {
            errors.add(format!("agents[{index}]"), UNKNOWN_AGENT);
        }
        let unknown = |agent: &Option<AiAgentId>| agent.as_ref().is_some_and(|agent| !around.ai_agents.contains(agent));
        if unknown(&self.answering_ai_agent) {
            errors.add("answering_ai_agent".to_owned(), UNKNOWN_AI_AGENT);
        }
        if unknown(&self.settings.assistant) {
            errors.add("settings.assistant".to_owned(), UNKNOWN_AI_AGENT);
        }
        if self.settings.insights.as_ref().is_some_and(|insights| !around.ai_agents.contains(&insights.ai_agent)) {
            errors.add("settings.insights.ai_agent".to_owned(), UNKNOWN_AI_AGENT);
        }
        let any_disposition = self.settings.dispositions.is_empty() && around.dispositions.is_empty();
        let known = |name: &String| any_disposition || self.settings.dispositions.contains(name) || around.dispositions.contains(name);
        for (index, step) in self.plan.iter().enumerate() {
            match &step.step {
                Step::Close { disposition: Some(disposition) } if !known(disposition) => {
                    errors.add(format!("plan[{index}].disposition"), UNKNOWN_DISPOSITION);
                }
                Step::Queue { queue, .. } if !around.queues.contains(queue) => errors.add(format!("plan[{index}].queue"), UNKNOWN_QUEUE),
                Step::Agent { agent, .. } if !around.agents.contains_key(agent) => {
                    errors.add(format!("plan[{index}].agent"), UNKNOWN_AGENT)
                }
                Step::Assistant { ai_agent } if !around.ai_agents.contains(ai_agent) => {
                    errors.add(format!("plan[{index}].ai_agent"), UNKNOWN_AI_AGENT);
                }
                Step::Webhook { url } if around.refused.contains(url.as_str()) => {
                    errors.add(format!("plan[{index}].url"), NOT_PUBLIC);
                }
                _ => {}
            }
            match &step.interval {
                Some(Guard::OnlyWithin(interval)) if !around.intervals.contains(interval) => {
                    errors.add(format!("plan[{index}].interval.only_within"), UNKNOWN_INTERVAL);
                }
                Some(Guard::OnlyOutside(interval)) if !around.intervals.contains(interval) => {
                    errors.add(format!("plan[{index}].interval.only_outside"), UNKNOWN_INTERVAL);
                }
                _ => {}
            }
        }
        let plan = ActionPlan { version: 0, steps: self.plan.clone() };
        for Fault { step, field, reason } in plan.faults() {
            errors.add(format!("plan[{step}].{field}"), reason);
        }
        self.provider.check("provider.", &around.refused, &mut errors);
        errors.check()
    }

    /// The addresses that the account's administrators chose and that are called.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        let steps = self.plan.iter().filter_map(|step| match &step.step {
            Step::Webhook { url } => Some(url.as_str()),
            _ => None,
        });
        self.provider.addresses().chain(steps).map(str::to_owned)
    }

    /// Whether an agent or an AI agent can answer. An inactive account needs none.
    pub(crate) fn has_somebody(&self, around: &Surroundings) -> bool {
        let whatsapp = |agent: &AgentId| around.agents.get(agent).copied().unwrap_or(false);
        somebody_answers(self.active, self.answering_ai_agent.is_some(), &self.agents, whatsapp)
    }
}

/// Neither the account nor the general list has this disposition.
const UNKNOWN_DISPOSITION: Refusal = "must be one of the account's dispositions or of the general ones";

/// Another account has this key.
pub(crate) const KEY_TAKEN: Refusal = "another account has this key";

/// Meetings are told apart by their title.
pub(crate) const TOPIC_TAKEN: Refusal = "another account has this topic";

/// Whether an account with these agents has one who can answer, or an AI agent that may, or needs none because it is
/// inactive.
pub(crate) fn somebody_answers(active: bool, by_ai: bool, agents: &[AgentId], whatsapp: impl Fn(&AgentId) -> bool) -> bool {
    !active || by_ai || agents.iter().any(whatsapp)
}

/// Whether `account` still has an agent to answer without `agent`.
pub(crate) fn answers_without(account: &Account, agent: &AgentId, whatsapp: impl Fn(&AgentId) -> bool) -> bool {
    !account.agents.contains(agent)
        || somebody_answers(account.active, account.answering_ai_agent.is_some(), &account.agents, |other| {
            other != agent && whatsapp(other)
        })
}

fn host(text: &str) -> Result<String, Refusal> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = text.to_ascii_lowercase();
    if text.len() <= HOST && text.split('.').all(label) && is_public_name(&host) {
        Ok(host)
    } else {
        Err("must be a host name such as whatsapp.example.com, without scheme, port or path")
    }
}

fn settings(mut fields: Fields<'_>) -> AccountSettings {
    let default = Settings::default();
    let wait_for_assigned_agent = fields.optional("wait_for_assigned_agent", integer(Seconds::new));
    let wait_for_assigned_queue = fields.optional("wait_for_assigned_queue", integer(Seconds::new));
    let inactivity_timeout = fields.optional("inactivity_timeout", integer(Minutes::new));
    let mandatory_disposition = fields.optional("mandatory_disposition", boolean).unwrap_or(false);
    let disposition_pause = fields.optional("disposition_pause", id(UNKNOWN_PAUSE));
    let dispositions = fields.set("dispositions", DISPOSITIONS, "must have at most 200 entries", disposition);
    let time_zone = fields.optional("time_zone", parsed(|text| ZoneName::parse(text).map_err(|invalid| invalid.0)));
    let notification = fields.object("notification").map_or_else(Announcement::default, announcement);
    let transfer_to_agent = fields.object("transfer_to_agent").map_or_else(TransferRule::default, transfer_rule);
    let transfer_to_queue = fields.object("transfer_to_queue").map_or_else(TransferRule::default, transfer_rule);
    let whitelist = fields.object("whitelist").and_then(whitelist);
    let recontact = fields.object("recontact").and_then(recontact);
    let translation = fields.object("translation").and_then(translation);
    let assistant = fields.optional("assistant", id(UNKNOWN_AI_AGENT));
    let insights = fields.object("insights").and_then(insights);
    let video = fields.object("video").and_then(video);
    fields.finish();
    AccountSettings {
        wait_for_assigned_agent: wait_for_assigned_agent.unwrap_or(default.wait_for_assigned_agent),
        wait_for_assigned_queue: wait_for_assigned_queue.unwrap_or(default.wait_for_assigned_queue),
        inactivity_timeout,
        mandatory_disposition,
        disposition_pause,
        dispositions,
        time_zone: time_zone.unwrap_or_default(),
        notification,
        transfer_to_agent,
        transfer_to_queue,
        whitelist,
        recontact,
        translation,
        assistant,
        insights,
        video,
    }
}

fn whitelist(mut fields: Fields<'_>) -> Option<Whitelist> {
    let enabled = fields.optional("enabled", boolean).unwrap_or(true);
    // Without a list, every customer would be turned away.
    if fields.is_empty("lists") {
        fields.refuse("lists", "must name a list");
    }
    let lists = fields.set("lists", WHITELISTED, "must have at most 50 lists", id(UNKNOWN_LIST));
    let reply = read(&mut fields, "reply", filled_template);
    fields.finish();
    Some(Whitelist { enabled, lists, reply: reply? })
}

fn translation(mut fields: Fields<'_>) -> Option<Translation> {
    let enabled = fields.optional("enabled", boolean).unwrap_or(true);
    let provider = fields.required("provider", |value| serde_json::from_value(value).map_err(|_| "must be AWS or GOOGLE"));
    let language = fields.required("language", parsed(|text| Language::parse(text).map_err(|invalid| invalid.0)));
    fields.finish();
    Some(Translation { enabled, provider: provider?, language: language? })
}

fn insights(mut fields: Fields<'_>) -> Option<InsightsSettings> {
    let at_closing = fields.optional("at_closing", boolean).unwrap_or(false);
    // A patch that takes the AI agent away leaves this.
    if !at_closing && !fields.has("ai_agent") {
        fields.finish();
        return None;
    }
    let ai_agent = fields.required("ai_agent", id(UNKNOWN_AI_AGENT));
    fields.finish();
    Some(InsightsSettings { ai_agent: ai_agent?, at_closing })
}

fn video(mut fields: Fields<'_>) -> Option<VideoSettings> {
    let enabled = fields.optional("enabled", boolean).unwrap_or(true);
    let topic = fields.required("topic", line(VIDEO_TOPIC));
    let note = fields.optional("note", text(VIDEO_NOTE));
    let metadata = fields.optional("metadata", |value| match value {
        Value::Object(metadata) if Value::from(metadata.clone()).to_string().len() <= VIDEO_METADATA => Ok(metadata),
        Value::Object(_) => Err("must have at most 4,000 bytes as JSON"),
        _ => Err("must be an object"),
    });
    fields.finish();
    Some(VideoSettings { enabled, topic: topic?, note, metadata: metadata.unwrap_or_default() })
}

fn recontact(mut fields: Fields<'_>) -> Option<Recontact> {
    let name = fields.required("name", line(TEMPLATE_NAME));
    let language = fields.optional("language", parsed(language)).unwrap_or_default();
    let header = fields.optional("header", |value| {
        serde_json::from_value::<HeaderInput>(value).map_err(|_| "must be a header such as {\"type\": \"image\", \"url\": \"https://…\"}")
    });
    let body = part(&mut fields, "parameters", "must have at most 100 parameters", TEMPLATE_PARAMETERS);
    let buttons = part(&mut fields, "buttons", "must have at most 10 entries", TEMPLATE_BUTTONS);
    let cards = part(&mut fields, "cards", "must have at most 10 entries", TEMPLATE_BUTTONS);
    let read = name.map(|name| TemplateInput { name, language, header, body, buttons, cards, offer_ends_at: None }.read());
    let template = match read {
        Some(Ok((template, None))) => Some(template),
        Some(Ok((_, Some(_)))) => {
            fields.refuse("header.attachment", "is an upload of one interaction: give an address");
            None
        }
        Some(Err(misfits)) => {
            for Misfit { field, message } in misfits {
                fields.refuse_with(&of_recontact(&field), message);
            }
            None
        }
        None => None,
    };
    for (field, text, rule) in template.iter().flat_map(ApprovedTemplate::texts) {
        // An answer may come back without a payload.
        let absent = rule == TextRule::Payload && text.is_empty();
        if let Some(why) = filled_template(&text).err().filter(|_| !absent) {
            fields.refuse_with(&of_recontact(&field), why);
        }
    }
    fields.finish();
    template.map(Recontact::from)
}

/// The field of the recontact template that a field of a template is.
pub(crate) fn of_recontact(field: &str) -> String {
    match field.strip_prefix("body") {
        Some(rest) => format!("parameters{rest}"),
        None => field.to_owned(),
    }
}

fn part<T: DeserializeOwned>(fields: &mut Fields<'_>, name: &str, too_many: Refusal, most: usize) -> Vec<T> {
    fields.list(name, most, too_many, |field, value, errors| match serde_json::from_value(value) {
        Ok(part) => Some(part),
        Err(_) => {
            errors.add(field, "must be a text, or an object as the API's description tells");
            None
        }
    })
}

fn language(text: &str) -> Result<String, Refusal> {
    let plain = text.len() <= TEMPLATE_LANGUAGE && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain { Ok(text.to_owned()) } else { Err("must be a language such as it or en_US") }
}

fn transfer_rule(mut fields: Fields<'_>) -> TransferRule {
    let default = TransferRule::default();
    let enabled = fields.optional("enabled", boolean).unwrap_or(default.enabled);
    let timeout = fields.optional("timeout", integer(Seconds::new)).unwrap_or(default.timeout);
    fields.finish();
    TransferRule { enabled, timeout }
}

fn style(text: &str) -> Result<AnnouncementStyle, Refusal> {
    serde_json::from_value(text.into()).map_err(|_| "must be neutral, info, success, warning or danger")
}

fn announcement(mut fields: Fields<'_>) -> Announcement {
    let default = Announcement::default();
    let sound = fields.optional("sound", boolean).unwrap_or(default.sound);
    let shake = fields.optional("shake", boolean).unwrap_or(default.shake);
    let style = fields.optional("style", parsed(style)).unwrap_or(default.style);
    let template = if fields.has("template") { read(&mut fields, "template", filled_template) } else { None };
    fields.finish();
    Announcement { sound, shake, style, template: template.unwrap_or(default.template) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ulid::Ulid;

    use super::super::fields::testing::names;
    use super::*;

    fn agent(n: u128) -> AgentId {
        AgentId::from_ulid(Ulid(n))
    }

    fn queue(n: u128) -> QueueId {
        QueueId::from_ulid(Ulid(n))
    }

    fn step_of(value: Value) -> PlanStep {
        serde_json::from_value(value).unwrap()
    }

    fn body() -> Value {
        json!({
            "name": "Sales",
            "key": "ABC12",
            "list": ListId::from_ulid(Ulid(1)),
            "domain": "Whatsapp.Example.com",
            "provider": {"type": "TWILIO", "account_sid": format!("AC{}", "0".repeat(32)), "auth_token": "t0ken"},
            "phone": "whatsapp:+1234567890",
            "description": "two\nlines",
            "active": true,
            "agents": [agent(1), agent(2)],
            "settings": {"wait_for_assigned_agent": 5, "wait_for_assigned_queue": 6, "inactivity_timeout": 60,
                "mandatory_disposition": true, "dispositions": ["Sold", "Lost"]},
            "plan": [{"step": "queue", "queue": queue(1), "timeout": 30}, {"step": "agent", "agent": agent(1)}]
        })
    }

    fn around() -> Surroundings {
        Surroundings {
            dispositions: BTreeSet::new(),
            lists: BTreeSet::from([ListId::from_ulid(Ulid(1))]),
            pauses: BTreeSet::from([PauseId::from_ulid(Ulid(1))]),
            agents: BTreeMap::from([(agent(1), true), (agent(2), false)]),
            ai_agents: BTreeSet::new(),
            queues: BTreeSet::from([queue(1)]),
            intervals: BTreeSet::new(),
            keys: BTreeSet::from(["OTHER".to_owned()]),
            refused: BTreeSet::new(),
        }
    }

    #[test]
    fn a_complete_account_is_accepted() {
        let account = AccountInput::parse(body(), None).unwrap();
        assert_eq!(account.domain.as_deref(), Some("whatsapp.example.com"));
        assert_eq!(account.phone.as_str(), "+1234567890");
        assert_eq!(account.provider.secrets["auth_token"].reveal(), "t0ken");
        assert_eq!(account.plan[1].step, Step::Agent { agent: agent(1), timeout: Step::TIMEOUT });
        assert!(account.check(&around()).is_ok() && account.has_somebody(&around()));
    }

    #[test]
    fn omitted_fields_have_their_defaults() {
        let mut body = body();
        for optional in ["domain", "description", "active", "agents", "settings", "plan"] {
            body.as_object_mut().unwrap().remove(optional);
        }
        let account = AccountInput::parse(body, None).unwrap();
        assert!(account.active && account.agents.is_empty() && account.plan.is_empty());
        assert_eq!(Settings::from(account.settings), Settings::default());
    }

    #[test]
    fn every_bad_field_of_an_account_is_named() {
        let sid = format!("AC{}", "0".repeat(32));
        for (pointer, bad, named) in [
            ("/name", json!(" "), "name"),
            ("/name", json!("x".repeat(201)), "name"),
            ("/name", json!(null), "name"),
            ("/name", json!({"a": 1}), "name"),
            ("/key", json!("ABCD"), "key"),
            ("/key", json!("ABC-1"), "key"),
            ("/key", json!("ÀBC1"), "key"),
            ("/key", json!(12345), "key"),
            ("/list", json!("que_1"), "list"),
            ("/list", json!(1), "list"),
            ("/domain", json!("https://example.com"), "domain"),
            ("/domain", json!("example.com:443"), "domain"),
            ("/domain", json!("localhost"), "domain"),
            ("/provider", json!("TWILIO"), "provider"),
            ("/provider", json!(null), "provider"),
            ("/provider/type", json!("PIGEON"), "provider.type"),
            ("/provider/type", json!(null), "provider.type"),
            ("/provider/account_sid", json!("AC12"), "provider.account_sid"),
            ("/provider/account_sid", json!(sid.replace('A', "S")), "provider.account_sid"),
            ("/provider/auth_token", json!(null), "provider.auth_token"),
            ("/provider/auth_token", json!(""), "provider.auth_token"),
            ("/provider/auth_token", json!(5), "provider.auth_token"),
            ("/provider/auth_token", json!("a b"), "provider.auth_token"),
            ("/provider/api_key", json!("x"), "provider.api_key"),
            ("/phone", json!("1234567890"), "phone"),
            ("/phone", json!("+0123"), "phone"),
            ("/phone", json!(1_234_567_890), "phone"),
            ("/description", json!(5), "description"),
            ("/active", json!("on"), "active"),
            ("/agents", json!({}), "agents"),
            ("/agents/0", json!("anna"), "agents[0]"),
            ("/agents/1", json!(agent(1)), "agents[1]"),
            ("/settings", json!([]), "settings"),
            ("/settings/wait_for_assigned_agent", json!(0), "settings.wait_for_assigned_agent"),
            ("/settings/wait_for_assigned_agent", json!(2_147_484), "settings.wait_for_assigned_agent"),
            ("/settings/wait_for_assigned_agent", json!("10"), "settings.wait_for_assigned_agent"),
            ("/settings/wait_for_assigned_queue", json!(0), "settings.wait_for_assigned_queue"),
            ("/settings/wait_for_assigned_queue", json!(1e30), "settings.wait_for_assigned_queue"),
            ("/settings/inactivity_timeout", json!(525_601), "settings.inactivity_timeout"),
            ("/settings/mandatory_disposition", json!(1), "settings.mandatory_disposition"),
            ("/settings/dispositions/1", json!("Sold"), "settings.dispositions[1]"),
            ("/settings/dispositions/0", json!(""), "settings.dispositions[0]"),
            ("/settings/transfer_to_agent", json!({"enabled": "yes"}), "settings.transfer_to_agent.enabled"),
            ("/settings/transfer_to_queue", json!({"timeout": 0}), "settings.transfer_to_queue.timeout"),
            ("/settings/dispositions/0", json!("a/b/c/d"), "settings.dispositions[0]"),
            ("/settings/disposition_pause", json!("lunch"), "settings.disposition_pause"),
            ("/settings/whitelist", json!({"reply": "No."}), "settings.whitelist.lists"),
            ("/settings/whitelist", json!({"lists": [], "reply": "No."}), "settings.whitelist.lists"),
            ("/settings/whitelist", json!({"lists": ["x"], "reply": "No."}), "settings.whitelist.lists[0]"),
            ("/settings/whitelist", json!({"lists": [ListId::from_ulid(Ulid(1))]}), "settings.whitelist.reply"),
            ("/settings/whitelist", json!({"lists": [ListId::from_ulid(Ulid(1))], "reply": "{{"}), "settings.whitelist.reply"),
            ("/settings/insights", json!({"at_closing": true}), "settings.insights.ai_agent"),
            ("/settings/insights", json!({"ai_agent": "ada"}), "settings.insights.ai_agent"),
            ("/settings/video", json!({}), "settings.video.topic"),
            ("/settings/video", json!({"topic": "x".repeat(101)}), "settings.video.topic"),
            ("/settings/video", json!({"topic": "x", "metadata": []}), "settings.video.metadata"),
            ("/settings/video", json!({"topic": "x", "metadata": {"x": "x".repeat(4_000)}}), "settings.video.metadata"),
            ("/settings/recontact", json!({}), "settings.recontact.name"),
            ("/settings/recontact", json!({"name": "a", "language": "it it"}), "settings.recontact.language"),
            ("/settings/recontact", json!({"name": "a", "parameters": ["b", "{{#queue}}"]}), "settings.recontact.parameters[1]"),
            ("/settings/recontact", json!({"name": "a", "parameters": [" "]}), "settings.recontact.parameters[0]"),
            ("/settings/recontact", json!({"name": "a", "header": "b"}), "settings.recontact.header"),
            ("/settings/recontact", json!({"name": "a", "header": {"type": "text", "text": "{{"}}), "settings.recontact.header.text"),
            (
                "/settings/recontact",
                json!({"name": "a", "header": {"type": "image", "attachment": "upl_1"}}),
                "settings.recontact.header.attachment",
            ),
            ("/settings/recontact", json!({"name": "a", "parameters": [{"name": "b"}]}), "settings.recontact.parameters[0]"),
            ("/settings/recontact", json!({"name": "a", "parameters": [7]}), "settings.recontact.parameters[0]"),
            ("/settings/recontact", json!({"name": "a", "buttons": [{"index": 0}]}), "settings.recontact.buttons[0]"),
            ("/answering_ai_agent", json!("robot"), "answering_ai_agent"),
            ("/warnings", json!([]), "warnings"),
            ("/settings/colour", json!("red"), "settings.colour"),
            ("/settings/time_zone", json!("Rome"), "settings.time_zone"),
            ("/settings/notification", json!({"template": "{{#queue}}"}), "settings.notification.template"),
            ("/settings/notification", json!({"template": " "}), "settings.notification.template"),
            ("/settings/notification", json!({"sound": "loud"}), "settings.notification.sound"),
            ("/webhook_secret", json!("x"), "webhook_secret"),
            ("/plan", json!({"steps": []}), "plan"),
            ("/plan", json!(vec![json!({}); 41]), "plan"),
            ("/plan/0", json!("queue"), "plan[0]"),
            ("/plan/0/step", json!("dance"), "plan[0].step"),
            ("/plan/0/queue", json!("que_1"), "plan[0].queue"),
            ("/plan/0/queue", json!(null), "plan[0].queue"),
            ("/plan/0/timeout", json!(0), "plan[0].timeout"),
            ("/plan/0/agent", json!(agent(1)), "plan[0].agent"),
            ("/plan/1/agent", json!([]), "plan[1].agent"),
            ("/id", json!("acc_1"), "id"),
            ("/receive_url", json!("x"), "receive_url"),
            ("/proxy_token", json!("x"), "proxy_token"),
            ("/colour", json!("red"), "colour"),
        ] {
            let mut body = body();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            match body.pointer_mut(parent).unwrap() {
                Value::Array(values) => values[name.parse::<usize>().unwrap()] = bad,
                object => object[name] = bad,
            }
            assert_eq!(names(AccountInput::parse(body, None)), [named], "{pointer}");
        }
    }

    #[test]
    fn all_bad_fields_are_named_at_once() {
        let bad = json!({"key": "A", "phone": 1, "settings": {"wait_for_assigned_agent": 0}, "plan": [{"step": "queue"}], "x": 1});
        let named = ["name", "key", "list", "provider", "phone", "settings.wait_for_assigned_agent", "plan[0].queue", "x"];
        assert_eq!(names(AccountInput::parse(bad, None)), named);
    }

    #[test]
    fn unknown_references_are_named_by_path() {
        let mut account = AccountInput::parse(body(), None).unwrap();
        account.key = AccountKey::parse("OTHER").unwrap();
        account.agents.push(agent(9));
        account.plan.push(Step::Queue { queue: queue(9), timeout: Step::TIMEOUT }.into());
        account.plan.push(Step::Agent { agent: agent(9), timeout: Step::TIMEOUT }.into());
        account.plan.push(step_of(json!({"step": "webhook", "url": "http://inside.example/a"})));
        account.plan.push(step_of(json!({"step": "webhook", "url": "http://allowed.example:8080/a"})));
        account.plan.push(step_of(json!({"step": "goto_if", "condition": "a = 1", "then": "nowhere", "else": 9})));
        let interval = IntervalId::from_ulid(Ulid(9));
        account.plan.push(step_of(json!({"step": "noop", "interval": {"only_outside": interval}})));
        account.settings.disposition_pause = Some(PauseId::from_ulid(Ulid(9)));
        let reply = filled_template("No.").unwrap();
        account.settings.whitelist = Some(Whitelist { enabled: true, lists: [1, 9].map(|n| ListId::from_ulid(Ulid(n))).into(), reply });
        let refused = BTreeSet::from(["http://inside.example/a".to_owned()]);
        assert!(account.addresses().any(|url| refused.contains(&url)));
        let around = Surroundings { lists: BTreeSet::new(), refused, ..around() };
        let whitelisted = ["settings.whitelist.lists[0]", "settings.whitelist.lists[1]"];
        assert_eq!(
            names(account.check(&around)),
            [
                "key",
                "list",
                "settings.disposition_pause",
                whitelisted[0],
                whitelisted[1],
                "agents[2]",
                "plan[2].queue",
                "plan[3].agent",
                "plan[4].url",
                "plan[7].interval.only_outside",
                "plan[6].then",
                "plan[6].else"
            ]
        );
    }

    #[test]
    fn a_plan_closes_with_a_configured_disposition_or_with_any_text_if_there_are_none() {
        let mut account = AccountInput::parse(body(), None).unwrap();
        account.plan = ["Sold", "Spam"].map(|name| step_of(json!({"step": "close", "disposition": name}))).into();
        assert_eq!(names(account.check(&around())), ["plan[1].disposition"]);
        let general = |name: &str| Surroundings { dispositions: BTreeSet::from([name.to_owned()]), ..around() };
        assert_eq!(account.check(&general("Spam")), Ok(()));
        account.settings.dispositions.clear();
        assert_eq!(account.check(&around()), Ok(()));
        assert_eq!(names(account.check(&general("Spam"))), ["plan[0].disposition"]);
    }

    #[test]
    fn an_active_account_needs_an_agent_with_whatsapp_enabled_or_an_ai_agent() {
        let mut account = AccountInput::parse(body(), None).unwrap();
        account.agents = vec![agent(2)];
        assert!(!account.has_somebody(&around()));
        account.agents = vec![];
        assert!(!account.has_somebody(&around()));
        account.answering_ai_agent = Some("aia_00000000000000000000000001".parse().unwrap());
        assert!(account.has_somebody(&around()), "an AI agent may answer");
        account.answering_ai_agent = None;
        account.active = false;
        assert!(account.has_somebody(&around()));
    }

    #[test]
    fn a_put_may_omit_the_secret_and_send_back_the_shown_document() {
        let mut body = body();
        body["provider"].as_object_mut().unwrap().remove("auth_token");
        let mut shown = body.clone();
        for (name, value) in [("id", "acc_1"), ("receive_url", "https://x"), ("proxy_token", "p")] {
            shown[name] = json!(value);
        }
        shown["version"] = json!(3);
        assert!(AccountInput::parse(shown.clone(), Some(&shown)).unwrap().provider.secrets.is_empty());
        let mut changed = shown.clone();
        changed["proxy_token"] = json!("another");
        assert_eq!(names(AccountInput::parse(changed, Some(&shown))), ["proxy_token"]);
        assert_eq!(names(AccountInput::parse(body, None)), ["provider.auth_token"]);
    }

    #[test]
    fn refusals_repeat_no_secret_and_no_phone_number() {
        let mut body = body();
        body["phone"] = json!("+39 06 987");
        body["provider"]["auth_token"] = json!("s3cr et");
        let refused = format!("{:?}", AccountInput::parse(body, None).unwrap_err());
        assert!(!refused.contains("987") && !refused.contains("s3cr"));
    }
}
