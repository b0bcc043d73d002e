//! WhatsApp accounts: connected numbers and their settings. Secrets are not here; they live in the secret store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, AgentId, AiAgentId, ListId, PauseId};
use crate::interval::ZoneName;
use crate::message;
use crate::plan::ActionPlan;
use crate::text_template::{Groups, TextTemplate};
use crate::values::{AccountKey, E164, Invalid, Seconds, Secret};

/// A connected number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Ours.
    pub id: AccountId,
    /// Display name.
    pub name: String,
    /// Shown on the agents' tabs; unique over all accounts.
    pub key: AccountKey,
    /// The contact list where new contacts of this account are saved.
    pub list: ListId,
    /// The public host that the Receive URL is built on; `None` is this deployment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What a customer's proxy must send in `X-Proxy-Token` when `domain` is not this deployment's own.
    pub proxy_token: Secret,
    /// With which requests to other systems are signed, so that they know where these come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// Type and public fields of the provider.
    pub provider: Provider,
    /// The connected number.
    pub phone: E164,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// An inactive account stores what arrives and routes nothing.
    pub active: bool,
    /// The path of the Receive URL under the public host; holds an unguessable token.
    pub receive_path: Secret,
    /// Only these see and handle its interactions.
    pub agents: Vec<AgentId>,
    /// The AI agent that may answer its customers, once an agent switches it on or the plan hands over to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answering_ai_agent: Option<AiAgentId>,
    /// Waits and timeouts.
    pub settings: Settings,
    /// Routing.
    pub plan: ActionPlan,
    /// Grows with every change; the `ETag`.
    pub version: u64,
}

/// A provider type with its public fields, as its own module in `providers` reads them; what is secret lives in [`Credentials`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Provider {
    /// The type's name, e.g. `META`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The public fields by name.
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

impl Provider {
    /// A field; empty when it is absent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// Fields may name people's numbers and customers' hosts: only the type shows.
impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The secret fields of an account's provider by name, as the secret store keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credentials(pub BTreeMap<String, Secret>);

impl Credentials {
    /// A secret field; `None` when it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|secret| !secret.reveal().is_empty())
    }

    /// With one more field, or another value of it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Secret>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

/// Waits and timeouts of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How long a new message is offered to the interaction's own agent first.
    pub wait_for_assigned_agent: Seconds,
    /// How long it is then offered to the queue through which that agent accepted.
    pub wait_for_assigned_queue: Seconds,
    /// After how many minutes without an answer from the customer an interaction closes by itself; `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity_timeout: Option<Minutes>,
    /// Whether an agent must give a disposition to close.
    #[serde(default)]
    pub mandatory_disposition: bool,
    /// What may be chosen as disposition beside the global ones; with neither, any text.
    #[serde(default)]
    pub dispositions: Vec<String>,
    /// The pause that an agent is on from asking to close, where a disposition is mandatory, until it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition_pause: Option<PauseId>,
    /// Where the clock hangs that conditions of the plan ask for the time.
    #[serde(default)]
    pub time_zone: ZoneName,
    /// How a new interaction is announced to agents.
    #[serde(default)]
    pub notification: Announcement,
    /// Whether agents hand interactions over to another agent, and how long such a one waits to be accepted.
    #[serde(default)]
    pub transfer_to_agent: TransferRule,
    /// The same to a queue.
    #[serde(default)]
    pub transfer_to_queue: TransferRule,
    /// Whose interactions are opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whitelist: Option<Whitelist>,
    /// What agents may send once the service window is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recontact: Option<Recontact>,
}

/// Whose interactions are opened: others get a reply, and that is all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WhitelistSettings))]
pub struct Whitelist {
    /// Whether it is in force.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub enabled: bool,
    /// A contact must be on one of these.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 50))]
    pub lists: Vec<ListId>,
    /// What the others are told.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 2_048))]
    pub reply: TextTemplate,
}

/// The approved template by which agents write to a customer whose service window is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecontactSettings))]
pub struct Recontact {
    /// Its name with the provider, or its id where templates have ids.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 512))]
    pub name: String,
    /// Its language, e.g. `it` or `en_US`; empty where the id says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_length = 15))]
    pub language: String,
    /// The parameters of its body, in order; filled in with the variables of the notification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, max_items = 100))]
    pub parameters: Vec<TextTemplate>,
}

impl Recontact {
    /// The longest parameter, in characters: a whole template has 1024 (Meta's limit of a template's body).
    const LONGEST_PARAMETER: usize = 1_024;

    /// The template as it is sent to somebody, for whom the variables stand for `groups`.
    pub fn filled(&self, groups: &Groups<'_>) -> message::ApprovedTemplate {
        message::ApprovedTemplate {
            name: self.name.clone(),
            language: self.language.clone(),
            header: None,
            body: self.parameters.iter().map(|parameter| parameter.render(groups, Self::LONGEST_PARAMETER)).collect(),
            buttons: Vec::new(),
        }
    }
}

/// How an account announces interactions to agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotificationSettings))]
#[serde(default)]
pub struct Announcement {
    /// Whether it sounds.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub sound: bool,
    /// Whether it shakes.
    #[cfg_attr(feature = "openapi", schema(required = false, default = false))]
    pub shake: bool,
    /// What it says.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, min_length = 1, max_length = 2_048))]
    pub template: TextTemplate,
}

impl Announcement {
    /// What it says unless told: the account, the queue when there is one, and who wrote.
    pub const TEMPLATE: &str = "{{account.name}}{{#queue}} · {{queue.name}}{{/queue}}: \
                                {{#contact.name}}{{contact.name}}{{/contact.name}}{{^contact.name}}{{contact.address}}{{/contact.name}}";
}

impl Default for Announcement {
    fn default() -> Self {
        Self { sound: true, shake: false, template: TextTemplate::trusted(Self::TEMPLATE) }
    }
}

/// Whether interactions are handed over in one of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TransferSettings))]
#[serde(default)]
pub struct TransferRule {
    /// Whether they are at all.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub enabled: bool,
    /// How long one waits to be accepted before it goes back to its agent.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 30, minimum = 1, maximum = 2_147_483))]
    pub timeout: Seconds,
}

impl Default for TransferRule {
    /// On, for 30 seconds.
    fn default() -> Self {
        Self { enabled: true, timeout: Seconds::new(30).unwrap_or(Seconds::MAX) }
    }
}

impl Default for Settings {
    /// 10 seconds for both waits; no inactivity timeout; disposition not mandatory; transfers on, for 30 seconds.
    fn default() -> Self {
        let ten = Seconds::new(10).unwrap_or(Seconds::MAX);
        Self {
            wait_for_assigned_agent: ten,
            wait_for_assigned_queue: ten,
            inactivity_timeout: None,
            mandatory_disposition: false,
            dispositions: Vec::new(),
            disposition_pause: None,
            time_zone: ZoneName::default(),
            notification: Announcement::default(),
            transfer_to_agent: TransferRule::default(),
            transfer_to_queue: TransferRule::default(),
            whitelist: None,
            recontact: None,
        }
    }
}

/// 1 to 525600 minutes (a year).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Minutes(u32);

impl Minutes {
    /// Takes 1 to 525600.
    pub fn new(minutes: i64) -> Result<Self, Invalid> {
        match u32::try_from(minutes) {
            Ok(minutes @ 1..=525_600) => Ok(Self(minutes)),
            _ => Err(Invalid("must be from 1 to 525600 minutes")),
        }
    }

    /// `instant` this much later.
    pub fn after(self, instant: jiff::Timestamp) -> jiff::Timestamp {
        instant.saturating_add(jiff::SignedDuration::from_mins(i64::from(self.0))).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl TryFrom<i64> for Minutes {
    type Error = Invalid;
    fn try_from(minutes: i64) -> Result<Self, Invalid> {
        Self::new(minutes)
    }
}

impl From<Minutes> for i64 {
    fn from(minutes: Minutes) -> i64 {
        i64::from(minutes.0)
    }
}

/// A contact list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Ours.
    pub id: ListId,
    /// For people.
    pub name: String,
}
