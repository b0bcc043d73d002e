//! One conversation, from its first message to its close.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::active::Active;
use crate::agent::Presence;
use crate::commands::Commands;
use crate::effect::{Audience, ConversationKey, InteractionKey, Target};
use crate::history::Escalated;
use crate::ids::{AccountId, AgentId, AiAgentId, ContactId, InteractionId, QueueId};
use crate::inbound::ProfileName;
use crate::insights::Insights;
use crate::language::Language;
use crate::message::{Content, SHORT, limit};
use crate::priority::Priority;
use crate::tag::Tag;
use crate::text_template::fingerprint;
use crate::values::Address;
use crate::variables::Variables;

/// One conversation. Its item stays under 4 KB, since the messages and the history are items of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// The interaction's id.
    pub id: InteractionId,
    /// The account.
    pub account: AccountId,
    /// The contact.
    pub contact: ContactId,
    /// The address to which answers are sent: the one that the customer wrote from last, by the provider's time.
    pub address: Address,
    /// The provider's time of the message that gave the address; `None` if an agent wrote first, and for
    /// interactions of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_at: Option<Timestamp>,
    /// When the address changed last while the interaction was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_changed_at: Option<Timestamp>,
    /// The customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<ProfileName>,
    /// Whether a person chose the name, so that the customer's profile no longer changes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub name_kept: bool,
    /// Fingerprints of the claims without proof that the thread already tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<u32>,
    /// The version; every commit adds one. Conditions, effects and timers refer to it.
    pub version: u64,
    /// Whether the interaction is open or closed.
    pub status: Status,
    /// The time of opening. It never changes.
    pub opened_at: Timestamp,
    /// The time of closing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Whether the interaction is closed and hidden from lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// The disposition with which it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// The agent who has the interaction, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Since when the agent has it, or had it when it closed. Interactions that the version before gave to their agent
    /// don't tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// The queue through which the agent accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_via: Option<QueueId>,
    /// Whether the interaction's agent has the tab open.
    #[serde(default)]
    pub tab_open: bool,
    /// When the tab was opened. A logout of the agent closes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tab_opened_at: Option<Timestamp>,
    /// Whether something arrived that the interaction's agent has not seen.
    #[serde(default)]
    pub unread: bool,
    /// How many of the customer's messages its agent, or nobody yet, has not seen; none if it is not unread. An
    /// interaction that was given back or to somebody else is unread without them. Messages that came with an earlier
    /// version of this software are not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_count: u32,
    /// Set while the interaction's agent has asked to close it and still owes the disposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUp>,
    /// Whether an agent has written to the customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// Whether an agent wrote first and the customer has not written yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_sided: bool,
    /// The wait for somebody to accept, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// The time at which the oldest unanswered message arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_since: Option<Timestamp>,
    /// How long the customer waited for the agents' answers.
    #[serde(default, skip_serializing_if = "Active::is_none")]
    pub active: Active,
    /// The queues that the plan has tried in this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<QueueId>,
    /// The latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<LastMessage>,
    /// The provider's time of the customer's latest message in the conversation, as far as it was known when this
    /// interaction heard from the customer. While the interaction is open, the conversation's head may be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Timestamp>,
    /// The inactivity timer.
    #[serde(default, skip_serializing_if = "Inactivity::is_idle")]
    pub inactivity: Inactivity,
    /// Tags that the plan and the agents added, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The priority among waiting interactions: the higher one is served first.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// Variables that the plan and the systems it called have set.
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// The AI agent that answers the customer ([`Interaction::answered_by`]). A person who accepts the interaction
    /// ends that. The versions before set it without answering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiAgentId>,
    /// What AI agents have done and owe.
    #[serde(default, skip_serializing_if = "Answering::is_none")]
    pub answering: Answering,
    /// The latest run of the plan.
    #[serde(default, skip_serializing_if = "Run::is_none")]
    pub run: Run,
    /// Newer interactions of the same person that were merged into this one, oldest first. Their messages belong to
    /// its thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<InteractionKey>,
    /// The older interaction into which this one was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<InteractionKey>,
    /// The customer's language, if it is known: as an agent chose it, else as it was detected last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Whether an agent chose the language, so that no detection changes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub language_kept: bool,
    /// The latest insights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insights: Option<Insights>,
    /// Supervisors whose feeds carry the thread. They lie here so that a message to an interaction that nobody watches
    /// costs no look-up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watchers: Vec<Watcher>,
    /// The commands that need no mark; `None` in interactions of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Commands>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What the AI agents of an interaction have done and owe. The answer that is owed lies in the wait: its deadline is
/// the answer's, so that the wait's timer hands over to a person whatever becomes of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answering {
    /// The wait in which the AI agent has the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// Whether the model is being asked. It is asked once for each wait.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
    /// Whether the customer has written since the model was asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// The answers in a row that were not sent because the customer had written meanwhile.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u32,
    /// The messages in a row, answers and those that announce a person, since a person had to do with the interaction.
    #[serde(skip_serializing_if = "is_zero")]
    pub in_a_row: u32,
    /// Whether the customer was told that no person answers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disclosed: bool,
    /// Whether an AI agent has handed over since the customer wrote last. The plan then passes its steps over, so that
    /// no loop asks models again and again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub handed_over: bool,
    /// Why an AI agent handed over last, for whoever is told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Escalated>,
    /// Whether an AI agent has reached a limit here. From then on only people switch one on: two bots that face each
    /// other would begin anew with each run of the plan.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub used_up: bool,
    /// Whether a person has had the interaction or switched the AI agent on or off. From then on only people switch it
    /// on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

impl Answering {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A supervisor whose feed carries the thread of an open interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watcher {
    /// The supervisor.
    pub agent: AgentId,
    /// The beginning. A later logout ends the watch.
    pub since: Timestamp,
    /// The end, unless it is renewed.
    pub until: Timestamp,
}

impl Watcher {
    /// How long a watch lasts: half a shift. One that was forgotten in an open window then stops to fill a feed.
    pub const LASTS: SignedDuration = SignedDuration::from_hours(4);

    /// The most watchers of one interaction. A team has one supervisor, a second one and a trainer; and the item of
    /// the interaction must stay small.
    pub const MOST: usize = 5;

    /// Whether the watch is over: its time is, or the supervisor has logged out since it began. A supervisor need not
    /// log in to watch.
    pub fn has_ended(&self, presence: Option<&Presence>, now: Timestamp) -> bool {
        self.until <= now || presence.is_some_and(|presence| !presence.logged_in() && presence.since > self.since)
    }
}

/// The state of the latest run of the action plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The number of the run, from 1; 0 before the first. If an agent handles the first message without the plan,
    /// that counts as a run.
    pub number: u32,
    /// The number of steps that the run has entered.
    pub entered: u16,
    /// Automatic replies that this interaction already sent, by
    /// [`TextTemplate::fingerprint`](crate::text_template::TextTemplate::fingerprint).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replied: Vec<u32>,
    /// The beginning of the customer's latest message, kept only while the plan uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Heard>,
}

impl Run {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The part of the customer's latest message that a plan's conditions can use.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The kind of the message's content, e.g. `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The beginning of the text: at most [`SHORT`] bytes, so that the item stays small.
    pub text: String,
    /// Whether the text goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Heard {
    /// Takes the part of a message that is kept.
    pub fn of(content: &Content) -> Self {
        let mut text = content.readable();
        let cut = limit(&mut text, &mut { SHORT });
        Self { kind: content.kind().to_owned(), text, cut }
    }
}

/// Customers' words never reach a log.
impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The time between an agent's request to close and the disposition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrapUp {
    /// The agent who owes the disposition.
    pub agent: AgentId,
    /// The pause that the agent is on until then.
    pub pause: String,
    /// The time of the request.
    pub since: Timestamp,
}

/// Whether an interaction is open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The interaction is under way.
    Open,
    /// The interaction is over.
    Closed,
}

/// The latest message of an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    /// The message's time in the thread.
    pub at: Timestamp,
    /// Whether the customer is the author.
    pub from_customer: bool,
}

/// A wait for somebody to accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The version with which it began.
    pub id: u64,
    /// The stage that the interaction waits on.
    pub stage: Stage,
    /// The targets that are asked; empty while the interaction's own agent is asked directly.
    pub targets: Vec<Target>,
    /// The deadline; `None` when the wait lasts until somebody accepts.
    pub until: Option<Timestamp>,
    /// Agents who rejected the interaction during this wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<AgentId>,
    /// Agents who let the interaction ring after the plan had run out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    /// The current offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

/// A missed offer of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The agent.
    pub agent: AgentId,
    /// The time at which the offer stopped ringing.
    pub at: Timestamp,
}

impl Missed {
    /// How long an agent who let an interaction ring is not rung for it again. An agent who is present but
    /// inattentive is then not rung at every agent timeout. A customer whose only agent took a short break does not
    /// wait much longer than this.
    pub const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(5);
}

/// The stage that an interaction waits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// The interaction's own agent, who was not there when a message arrived.
    AssignedAgent,
    /// The queue through which that agent accepted.
    AssignedQueue,
    /// The agents of a step of the action plan.
    Step {
        /// The place of the step, from 0.
        index: usize,
        /// The version of the running plan.
        plan: u64,
    },
    /// The answer of another system that a step of the action plan called.
    Webhook {
        /// The place of the step, from 0.
        index: usize,
        /// The version of the running plan.
        plan: u64,
    },
    /// The agent or queue to which the interaction is transferred. Its agent keeps it until then.
    Transfer,
    /// Any available agent of the account, since the plan has run out.
    Exhausted,
    /// The account, which is switched off.
    Inactive,
}

impl Stage {
    /// The stage's name, without its place in a plan.
    pub fn name(&self) -> &'static str {
        match self {
            Stage::AssignedAgent => "assigned_agent",
            Stage::AssignedQueue => "assigned_queue",
            Stage::Step { .. } => "step",
            Stage::Webhook { .. } => "webhook",
            Stage::Transfer => "transfer",
            Stage::Exhausted => "exhausted",
            Stage::Inactive => "inactive",
        }
    }
}

/// An interaction that is shown to one or more agents and waits to be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The version of the interaction with which the offer was made.
    pub id: u64,
    /// The queue, agent or account for which the offer was made.
    pub target: Target,
    /// The agents who see the offer.
    pub audience: Audience,
    /// The deadline; `None` when the offer lasts until somebody accepts.
    pub until: Option<Timestamp>,
}

/// The inactivity timer. It is re-armed lazily, so that an interaction has one timer instead of one per message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inactivity {
    /// The time at which the interaction closes by itself; `None` while the customer has the last word.
    pub deadline: Option<Timestamp>,
    /// The version that armed the running timer.
    pub armed: Option<u64>,
}

impl Inactivity {
    fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

impl Interaction {
    /// The interaction's partition.
    pub fn conversation(&self) -> ConversationKey {
        ConversationKey { account: self.account.clone(), contact: self.contact.clone() }
    }

    /// The interaction's key.
    pub fn key(&self) -> InteractionKey {
        InteractionKey { conversation: self.conversation(), interaction: self.id.clone() }
    }

    /// Whether the thread already tells this claim without proof, or tells so many that one more says nothing.
    pub fn tells_claim(&self, line: &str) -> bool {
        self.claims.len() >= Self::MOST_CLAIMS || self.claims.contains(&fingerprint(line))
    }

    /// Notes that the thread tells a claim without proof.
    pub fn add_claim(&mut self, line: &str) {
        self.claims.push(fingerprint(line));
    }

    /// The most claims without proof that one thread tells.
    pub(crate) const MOST_CLAIMS: usize = 20;

    /// Whether people see no difference between the interaction and `other`. A field that is not left out here counts.
    pub fn looks_like(&self, other: &Self) -> bool {
        let seen = |interaction: &Self| Self {
            version: 0,
            // Each message is told of by itself.
            unread_count: 0,
            claims: Vec::new(),
            address_at: None,
            tab_opened_at: None,
            answered: false,
            one_sided: false,
            unanswered_since: None,
            active: Active::default(),
            tried: Vec::new(),
            last_message: None,
            heard_at: None,
            inactivity: Inactivity::default(),
            answering: Answering::default(),
            run: Run::default(),
            watchers: Vec::new(),
            insights: None,
            commands: None,
            ..interaction.clone()
        };
        seen(self) == seen(other)
    }

    /// The wait in which an AI agent has the conversation. Nobody is asked in it. Between two messages it has no
    /// deadline; an answer that is owed gives it one.
    pub fn ai_wait(&self) -> Option<&Wait> {
        self.wait.as_ref().filter(|wait| self.ai.is_some() && self.answering.wait == Some(wait.id))
    }

    /// The AI agent that answers the customer's next message, or owes an answer.
    pub fn answered_by(&self) -> Option<&AiAgentId> {
        // Someone must have switched it on while an agent has the interaction. The versions before left marks behind.
        let beside_agent = self.wait.is_none() && self.agent.is_some() && self.answering.by_hand;
        self.ai.as_ref().filter(|_| self.is_open() && (beside_agent || self.ai_wait().is_some()))
    }

    /// Whether the interaction is open.
    pub fn is_open(&self) -> bool {
        self.status == Status::Open
    }

    /// The end of the service window as far as the interaction knows: 24 hours after the customer's latest message.
    pub fn window_until(&self) -> Option<Timestamp> {
        self.heard_at.and_then(|at| at.checked_add(crate::decide::SERVICE_WINDOW).ok())
    }

    /// The current offer.
    pub fn offer(&self) -> Option<&Offer> {
        self.wait.as_ref()?.offer.as_ref()
    }
}
