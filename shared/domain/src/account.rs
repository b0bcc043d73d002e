//! WhatsApp accounts: connected numbers and their settings. Secrets are kept in the secret store instead.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, AgentId, AiAgentId, ListId, PauseId};
use crate::insights::InsightsSettings;
use crate::interval::ZoneName;
use crate::language::{Language, Translator};
use crate::plan::ActionPlan;
use crate::template::{ApprovedTemplate, LONGEST_PARAMETER, Misfit, TemplateButton, TemplateCard, TemplateHeader, TemplateParameter};
use crate::text_template::{Groups, TextTemplate};
use crate::values::{AccountKey, E164, Invalid, Seconds, Secret};
use crate::video::VideoSettings;

/// A connected number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The account's id.
    pub id: AccountId,
    /// The displayed name.
    pub name: String,
    /// The short key on the agents' tabs, unique among all accounts.
    pub key: AccountKey,
    /// The contact list in which new contacts of this account are saved.
    pub list: ListId,
    /// The public host of the Receive URL; `None` for this deployment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The token that a customer's proxy must send in `X-Proxy-Token` when `domain` is not this deployment's own. It
    /// is stored in [`ProxyTokens`], apart from the account, and empty where nobody looked there. The versions before
    /// stored it here.
    #[serde(default = "no_token", skip_serializing_if = "is_no_token")]
    pub proxy_token: Secret,
    /// The secret that signs requests to other systems, so that they can verify the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// The provider's type and public fields.
    pub provider: Provider,
    /// The connected number.
    pub phone: E164,
    /// A description for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether interactions are routed. An inactive account stores what arrives and routes nothing.
    pub active: bool,
    /// The path of the Receive URL under the public host. It holds a token that can't be guessed.
    pub receive_path: Secret,
    /// The secrets that were replaced: until when each is accepted.
    #[serde(default, skip_serializing_if = "Replaced::is_empty")]
    pub replaced: Replaced,
    /// The agents assigned to the account. Only they see and handle its interactions.
    pub agents: Vec<AgentId>,
    /// The AI agent that may answer the account's customers, once an agent switches it on or the plan hands over to
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answering_ai_agent: Option<AiAgentId>,
    /// When the key of the translation's provider was set; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation_key_set_at: Option<Timestamp>,
    /// When the key of the provider of video calls was set; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_key_set_at: Option<Timestamp>,
    /// Waits and timeouts.
    pub settings: Settings,
    /// The action plan, which routes interactions.
    pub plan: ActionPlan,
    /// The version; every change adds one. It is the `ETag`.
    pub version: u64,
}

fn no_token() -> Secret {
    Secret::new("")
}

fn is_no_token(token: &Secret) -> bool {
    token.reveal().is_empty()
}

impl Account {
    /// The account without its proxy's tokens, as it is stored.
    #[must_use]
    pub fn without_proxy_tokens(&self) -> Self {
        let mut account = self.clone();
        account.proxy_token = no_token();
        account.replaced.proxy_token = None;
        account
    }

    /// Takes the proxy's tokens from the account's own item for them, if there is one.
    pub fn take_proxy_tokens(&mut self, own: Option<ProxyTokens>) {
        if let Some(ProxyTokens { current, previous, .. }) = ProxyTokens::choose(self, own) {
            self.proxy_token = current;
            self.replaced.proxy_token = previous;
        }
    }
}

/// The tokens that an account's proxy may send, in an item of their own: not everybody who reads accounts may read
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTokens {
    /// The account's version that they belong to. If the account has another and tokens of its own, a version before
    /// wrote it since.
    pub of: u64,
    /// The present one.
    pub current: Secret,
    /// The one that it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReplacedSecret>,
}

impl ProxyTokens {
    /// The tokens as the account has them; `None` if it has none.
    pub fn of(account: &Account) -> Option<Self> {
        let Account { version, proxy_token, replaced, .. } = account;
        (!is_no_token(proxy_token)).then(|| Self { of: *version, current: proxy_token.clone(), previous: replaced.proxy_token.clone() })
    }

    /// The tokens of an account, given its own item if there is one.
    pub fn choose(account: &Account, own: Option<Self>) -> Option<Self> {
        let told = Self::of(account);
        own.filter(|own| told.is_none() || own.of == account.version).or(told)
    }

    /// The tokens that are accepted, the present one first.
    pub fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let previous = self.previous.as_ref().and_then(|previous| previous.at(now));
        std::iter::once(&self.current).chain(previous).filter(|token| !is_no_token(token))
    }
}

/// The secrets of an account that were replaced. Each is accepted until its time, so that the other side can change at
/// leisure; then it is worth nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replaced {
    /// The token of the previous Receive URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_token: Option<ReplacedToken>,
    /// The previous secret that signs requests to other systems. Requests are signed with both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<ReplacedSecret>,
    /// The previous token of the customer's proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_token: Option<ReplacedSecret>,
    /// Provider secrets that were replaced before this time are not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_revoked_at: Option<Timestamp>,
}

impl Replaced {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A replaced token, which is known by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedToken {
    /// SHA-256, hex.
    pub hash: String,
    /// Until when it is accepted.
    pub until: Timestamp,
}

/// A replaced secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedSecret {
    /// The secret.
    pub secret: Secret,
    /// Until when it is accepted.
    pub until: Timestamp,
}

impl ReplacedSecret {
    /// The secret, while it is accepted.
    pub fn at(&self, now: Timestamp) -> Option<&Secret> {
        (now < self.until).then_some(&self.secret)
    }
}

impl Account {
    /// The secrets that sign requests to other systems, the present one first.
    pub fn webhook_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let previous = self.replaced.webhook_secret.as_ref().and_then(|previous| previous.at(now));
        self.webhook_secret.iter().chain(previous)
    }

    /// Whether the account needs this AI agent: to answer customers, to help agents, or in a step of its plan.
    pub fn uses_ai_agent(&self, agent: &AiAgentId) -> bool {
        let chosen = [&self.answering_ai_agent, &self.settings.assistant].into_iter().flatten();
        let insights = self.settings.insights.iter().map(|insights| &insights.ai_agent);
        chosen.chain(insights).chain(self.plan.ai_agents()).any(|used| used == agent)
    }
}

/// A provider type with its public fields, as its module in `providers` reads them. Secret fields are in
/// [`Credentials`].
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
    /// A public field; empty when it is absent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The fields may hold phone numbers and customers' hosts, so only the type is shown.
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

    /// The credentials with one field added or replaced.
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
    /// After how many minutes without an answer from the customer an interaction closes by itself; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity_timeout: Option<Minutes>,
    /// Whether an agent must give a disposition to close.
    #[serde(default)]
    pub mandatory_disposition: bool,
    /// The dispositions that an agent may choose beside the global ones. If there are neither, any text is allowed.
    #[serde(default)]
    pub dispositions: Vec<String>,
    /// The pause that an agent is on after asking to close without a disposition, until it is given. Used where a
    /// disposition is mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition_pause: Option<PauseId>,
    /// The time zone used by plan conditions.
    #[serde(default)]
    pub time_zone: ZoneName,
    /// How a new interaction is announced to agents.
    #[serde(default)]
    pub notification: Announcement,
    /// Whether agents may transfer interactions to another agent, and how long a transfer waits to be accepted.
    #[serde(default)]
    pub transfer_to_agent: TransferRule,
    /// The same for transfers to a queue.
    #[serde(default)]
    pub transfer_to_queue: TransferRule,
    /// The whitelist. Other contacts get an automatic reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whitelist: Option<Whitelist>,
    /// The template that agents may send when the service window is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recontact: Option<Recontact>,
    /// Translation between the customers' languages and the agents'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<Translation>,
    /// The AI agent that helps the account's agents with questions; `None`: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant: Option<AiAgentId>,
    /// The customers' moods and summaries; `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insights: Option<InsightsSettings>,
    /// Video calls; `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoSettings>,
}

impl Settings {
    /// The agents' language, as far as their account's translation tells it.
    pub fn agents_language(&self) -> Option<&Language> {
        self.translation.as_ref().map(|translation| &translation.language)
    }
}

/// The contacts whose interactions are opened. Other contacts only get an automatic reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WhitelistSettings))]
pub struct Whitelist {
    /// Whether the whitelist is used.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub enabled: bool,
    /// The lists. A contact must be on one of them.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 50))]
    pub lists: Vec<ListId>,
    /// The automatic reply to other contacts; a template with variables.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 2_048))]
    pub reply: TextTemplate,
}

/// Translation between the customers' languages and the agents'. The key of a provider that needs one is in the secret
/// store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TranslationSettings))]
pub struct Translation {
    /// Whether agents can have messages translated.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub enabled: bool,
    /// The service. `GOOGLE` needs a key (`PUT …/translation/key`).
    pub provider: Translator,
    /// The agents' language: what customers write is translated into it, and what agents write from it.
    pub language: Language,
}

/// The approved template with which agents write to a customer when the service window is over. The texts of its
/// parameters may use the variables of the notification.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecontactSettings))]
pub struct Recontact {
    /// The template's name with the provider, or its id where the provider's templates have ids instead.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 512))]
    pub name: String,
    /// The template's language, e.g. `it` or `en_US`; empty where the id implies it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_length = 15))]
    pub language: String,
    /// The header's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TemplateHeader>,
    /// The parameters of the template's body: in order, or with their names. One that may be empty for a customer,
    /// such as `{{contact.name}}`, needs a fallback: `{{contact.name}}{{^contact.name}}customer{{/contact.name}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub parameters: Vec<TemplateParameter>,
    /// The buttons' parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    pub buttons: Vec<TemplateButton>,
    /// The cards of a carousel, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    pub cards: Vec<TemplateCard>,
}

/// The texts are for customers, so they never reach a log.
impl std::fmt::Debug for Recontact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recontact").field("name", &self.name).field("language", &self.language).finish_non_exhaustive()
    }
}

impl From<ApprovedTemplate> for Recontact {
    fn from(template: ApprovedTemplate) -> Self {
        let ApprovedTemplate { name, language, header, body: parameters, buttons, cards, offer_ends_at: _ } = template;
        Self { name, language, header, parameters, buttons, cards }
    }
}

impl Recontact {
    /// The template, with the variables as they are written.
    pub fn template(&self) -> ApprovedTemplate {
        let Self { name, language, header, parameters: body, buttons, cards } = self.clone();
        ApprovedTemplate { name, language, header, body, buttons, cards, offer_ends_at: None }
    }

    /// The template with its variables filled in from `groups`. Each text becomes one line that the provider takes.
    ///
    /// # Errors
    /// The parameters that are empty for this customer, or that no template can hold.
    pub fn filled(&self, groups: &Groups<'_>) -> Result<ApprovedTemplate, Vec<Misfit>> {
        self.template().filled(|text| match TextTemplate::parse(text) {
            Ok(template) => template.render(groups, LONGEST_PARAMETER),
            // The edge has parsed every one.
            Err(_) => text.to_owned(),
        })
    }
}

/// How an account announces interactions to agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotificationSettings))]
#[serde(default)]
pub struct Announcement {
    /// Whether the screen plays a sound.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub sound: bool,
    /// Whether the screen shakes the announcement.
    #[cfg_attr(feature = "openapi", schema(required = false, default = false))]
    pub shake: bool,
    /// How the screen colours the announcement.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub style: AnnouncementStyle,
    /// The text of the announcement; a template with variables.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, min_length = 1, max_length = 2_048))]
    pub template: TextTemplate,
}

/// How a screen colours an announcement. Colleagues who serve several accounts tell them apart by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotificationStyle))]
#[serde(rename_all = "snake_case")]
pub enum AnnouncementStyle {
    /// Like anything else on the screen.
    #[default]
    Neutral,
    /// Like a piece of information.
    Info,
    /// Like good news.
    Success,
    /// Like a warning.
    Warning,
    /// Like an alarm.
    Danger,
}

impl Announcement {
    /// The default text: the account, the queue if there is one, and the sender.
    pub const TEMPLATE: &str = "{{account.name}}{{#queue}} · {{queue.name}}{{/queue}}: \
                                {{#contact.name}}{{contact.name}}{{/contact.name}}{{^contact.name}}{{contact.address}}{{/contact.name}}";
}

impl Default for Announcement {
    fn default() -> Self {
        Self { sound: true, shake: false, style: AnnouncementStyle::default(), template: TextTemplate::trusted(Self::TEMPLATE) }
    }
}

/// Whether agents may transfer interactions, and for how long a transfer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TransferSettings))]
#[serde(default)]
pub struct TransferRule {
    /// Whether transfers are allowed.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub enabled: bool,
    /// How long a transfer waits to be accepted, in seconds, before the interaction goes back to its agent.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 30, minimum = 1, maximum = 2_147_483))]
    pub timeout: Seconds,
}

impl Default for TransferRule {
    /// Transfers are on and wait 30 seconds.
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
            translation: None,
            assistant: None,
            insights: None,
            video: None,
        }
    }
}

/// A number of minutes, from 1 to 525600 (a year).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Minutes(u32);

impl Minutes {
    /// Accepts 1 to 525600.
    pub fn new(minutes: i64) -> Result<Self, Invalid> {
        match u32::try_from(minutes) {
            Ok(minutes @ 1..=525_600) => Ok(Self(minutes)),
            _ => Err(Invalid("must be from 1 to 525600 minutes")),
        }
    }

    /// The instant that lies this much after `instant`.
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
    /// The list's id.
    pub id: ListId,
    /// The list's name.
    pub name: String,
}

/// What is kept of an account that was deleted, for the lists that still show its interactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedAccount {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its key, which another account may have now.
    pub key: AccountKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounts_own_item_tells_its_proxys_tokens_unless_the_version_before_wrote_the_account_since() {
        let account = crate::fixtures::account();
        let of = |version: u64, token: &str| Account { version, proxy_token: token.into(), ..account.clone() };
        let current = |account: &Account, own: &Account| {
            let tokens = ProxyTokens::choose(account, ProxyTokens::of(own));
            tokens.map(|tokens| tokens.current.reveal().to_owned())
        };
        assert_eq!(current(&of(2, "field"), &of(2, "item")).as_deref(), Some("item"));
        assert_eq!(current(&of(3, "field"), &of(2, "item")).as_deref(), Some("field"), "written without its item");
        assert_eq!(current(&of(2, "field"), &of(3, "item")).as_deref(), Some("field"), "a cached account");
        assert_eq!(current(&of(9, ""), &of(2, "item")).as_deref(), Some("item"), "a later version wrote the account");
        assert_eq!(current(&of(2, "field"), &of(2, "")).as_deref(), Some("field"), "no item");
        assert_eq!(current(&of(2, ""), &of(2, "")), None);
        // An empty token is never right, whatever is sent.
        let empty = ProxyTokens { of: 1, current: "".into(), previous: None };
        assert_eq!(empty.accepted(Timestamp::UNIX_EPOCH).count(), 0);
    }

    #[test]
    fn an_account_is_stored_without_its_proxys_tokens_and_gets_them_back() {
        let until = Timestamp::from_second(1_800_000_000).unwrap();
        let mut account = crate::fixtures::account();
        account.replaced.proxy_token = Some(ReplacedSecret { secret: "previous".into(), until });
        let tokens = ProxyTokens::of(&account).unwrap();
        let stored = serde_json::to_string(&account.without_proxy_tokens()).unwrap();
        assert!(!stored.contains("proxy_token") && !stored.contains("previous"), "{stored}");
        let mut read: Account = serde_json::from_str(&stored).unwrap();
        read.take_proxy_tokens(None);
        assert_eq!(read, account.without_proxy_tokens(), "an account without tokens stays without");
        read.take_proxy_tokens(Some(tokens.clone()));
        assert_eq!(read, account);
        // An account of a version before, which it wrote after its item.
        let mut older = Account { proxy_token: "newer".into(), version: tokens.of + 1, ..account.without_proxy_tokens() };
        older.take_proxy_tokens(Some(tokens));
        assert_eq!((older.proxy_token, older.replaced.proxy_token), ("newer".into(), None));
    }
}
