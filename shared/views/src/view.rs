//! What agents see of an interaction and of a message: the same in the API's answers and in the pushed events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use domain::agent::{Presence, PresenceState, PresenceWord};
use domain::ids::{AccountId, AgentId, AiAgentId, ContactId, InteractionId, MessageId};
use domain::interaction::{Interaction, Stage, Status};
use domain::message::{AttachmentKind, Author, Content, Copy, DeliveryError, DeliveryState, Message, Reaction, Referral};
use domain::news::News;
use domain::notification::Notification;
use domain::priority::Priority;
use domain::tag::Tag;

/// An interaction as agents see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InteractionView {
    /// Its id.
    pub id: InteractionId,
    /// The account's id.
    pub account: AccountId,
    /// The contact's id.
    pub contact: ContactId,
    /// The customer's phone number, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_phone: Option<String>,
    /// What the customer is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// Open or closed.
    pub status: Status,
    /// Grows with every change.
    pub version: u64,
    /// The agent who has it.
    pub agent: Option<AgentId>,
    /// Whether something came that its agent has not seen.
    pub unread: bool,
    /// Whether its agent has the tab open.
    pub tab_open: bool,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Whether it is closed and hidden from lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// With which disposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// The time of the latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_at: Option<Timestamp>,
    /// What it is marked with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// 0 to 9; the higher is served first.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// The AI agent that it was handed to, until a person accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiAgentId>,
    /// The older interaction of the same customer that it was merged into: it goes on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<InteractionId>,
    /// Since when its agent, who asked to close it, owes the disposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up_since: Option<Timestamp>,
    /// What it waits on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_on: Option<WaitsOn>,
    /// The offer that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferView>,
}

/// An offer as agents see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferView {
    /// Its number within the interaction.
    pub id: u64,
    /// Until when; absent: until somebody takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl From<&Interaction> for InteractionView {
    fn from(interaction: &Interaction) -> Self {
        Self {
            id: interaction.id.clone(),
            account: interaction.account.clone(),
            contact: interaction.contact.clone(),
            customer_phone: interaction.address.phone().map(|phone| phone.as_str().to_owned()),
            customer_name: interaction.customer_name.as_ref().map(|name| name.0.clone()),
            status: interaction.status,
            version: interaction.version,
            agent: interaction.agent.clone(),
            unread: interaction.unread,
            tab_open: interaction.tab_open,
            opened_at: interaction.opened_at,
            closed_at: interaction.closed_at,
            archived: interaction.archived,
            disposition: interaction.disposition.clone(),
            last_message_at: interaction.last_message.as_ref().map(|last| last.at),
            tags: interaction.tags.clone(),
            priority: interaction.priority,
            ai: interaction.ai.clone(),
            merged_into: interaction.merged_into.as_ref().map(|into| into.interaction.clone()),
            wrap_up_since: interaction.wrap_up.as_ref().map(|wrap_up| wrap_up.since),
            waits_on: interaction.wait.as_ref().map(|wait| (&wait.stage).into()),
            offer: interaction.offer().map(|offer| OfferView { id: offer.id, until: offer.until }),
        }
    }
}

/// What an interaction waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitsOn {
    /// Its own agent, who was not there when a message came.
    AssignedAgent,
    /// The queue through which that agent accepted.
    AssignedQueue,
    /// The agents of a step of the action plan.
    Step,
    /// The answer of another system that a step of the action plan asked.
    Webhook,
    /// The agent or queue that it is handed over to; until then its agent keeps it.
    Transfer,
    /// Any agent of the account: the plan has run out.
    Exhausted,
    /// The account, which is switched off.
    Inactive,
}

impl From<&Stage> for WaitsOn {
    fn from(stage: &Stage) -> Self {
        match stage {
            Stage::AssignedAgent => Self::AssignedAgent,
            Stage::AssignedQueue => Self::AssignedQueue,
            Stage::Step { .. } => Self::Step,
            Stage::Webhook { .. } => Self::Webhook,
            Stage::Transfer => Self::Transfer,
            Stage::Exhausted => Self::Exhausted,
            Stage::Inactive => Self::Inactive,
        }
    }
}

/// A message as agents see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// The interaction's id.
    pub interaction: InteractionId,
    /// Its time in the thread.
    pub at: Timestamp,
    /// By `kind`: `customer`, `agent` (with `agent`, the id), or `system` for what the service answers by itself and what the provider reports.
    pub author: Author,
    /// What it holds, by `type`: `text`, `media`, `location`, `button`, `list_reply`, `contacts`, `form`, `template`, `reaction`, `system`,
    /// `unsupported`, and `note`, which the customer never sees.
    pub content: Content,
    /// Its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentView>,
    /// The id of the message that it answers or reacts to; where that message is not known here, the provider's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether it was forwarded from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The advertisement or post that led the customer here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// The reactions that stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// When the customer edited it last; what it said before is in the transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// When the customer deleted it on their side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// How far it has got, if an agent sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Why it failed, or why its outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// Grows with every change.
    pub version: u64,
}

/// A file of a message as agents see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttachmentView {
    /// Its place in the message.
    pub index: usize,
    /// Its type.
    pub content_type: String,
    /// Its name, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What WhatsApp calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// Where our copy of it stands.
    pub state: AttachmentState,
    /// Bytes, once stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Why the copy failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where the copy of a file stands.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttachmentState {
    /// Not there yet.
    Pending,
    /// It can be downloaded.
    Stored,
    /// Given up; `reason` says why.
    Failed,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        let attachments = message.attachments.iter().enumerate().map(|(index, attachment)| {
            let (state, size, reason, found) = match &attachment.copy {
                Copy::Pending => (AttachmentState::Pending, None, None, None),
                Copy::Stored { size, content_type, .. } => (AttachmentState::Stored, Some(*size), None, Some(content_type)),
                Copy::Failed { reason } => (AttachmentState::Failed, None, Some(reason.clone()), None),
            };
            AttachmentView {
                index,
                content_type: found.unwrap_or(&attachment.content_type).clone(),
                name: attachment.name.clone(),
                kind: Some(attachment.kind.unwrap_or_else(|| AttachmentKind::of_type(found.unwrap_or(&attachment.content_type)))),
                state,
                size,
                reason,
            }
        });
        Self {
            id: message.id.clone(),
            interaction: message.interaction.clone(),
            at: message.at,
            author: message.author.clone(),
            content: message.content.clone(),
            attachments: attachments.collect(),
            reply_to: message.answers.as_ref().map(ToString::to_string).or_else(|| message.reply_to.clone()),
            forwarded: message.forwarded,
            referral: message.referral.clone(),
            reactions: message.standing_reactions().cloned().collect(),
            edited_at: message.edits.last().map(|edit| edit.at),
            deleted_at: message.deleted_at,
            state: message.delivery.as_ref().map(|delivery| delivery.state),
            error: message.delivery.as_ref().and_then(|delivery| delivery.error.clone()),
            version: message.version,
        }
    }
}

/// What is pushed to agents, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentEvent {
    /// An interaction is offered.
    Offered {
        /// The interaction.
        interaction: InteractionView,
        /// The offer's number.
        offer: u64,
        /// Until when; absent: until somebody takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// What the screen shows, and how it makes itself noticed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<Notification>,
    },
    /// An offer is gone.
    Withdrawn {
        /// The interaction's id.
        interaction: InteractionId,
        /// The offer's number.
        offer: u64,
        /// Who took it, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_by: Option<AgentId>,
    },
    /// A message came or went.
    Message {
        /// The message.
        message: MessageView,
    },
    /// A message got further, or its attachment did.
    MessageState {
        /// The message.
        message: MessageView,
    },
    /// The interaction changed: agent, status, unread.
    Interaction {
        /// The interaction.
        interaction: InteractionView,
    },
    /// The agent's own presence changed; while it is not `ready`, no offers but those of own interactions stand.
    Presence {
        /// As it is when the event is delivered.
        state: PresenceWord,
        /// Why paused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
}

impl AgentEvent {
    /// What an agent is told of the own presence.
    pub fn of_presence(presence: &Presence) -> Self {
        let state = presence.state();
        let word = state.word();
        let reason = if let PresenceState::Paused { reason } = state { Some(reason) } else { None };
        Self::Presence { state: word, reason, since: Some(presence.since) }
    }
}

impl From<&News> for AgentEvent {
    fn from(news: &News) -> Self {
        match news {
            News::Offered { interaction, offer, until, notification } => {
                Self::Offered { interaction: (&**interaction).into(), offer: *offer, until: *until, notification: notification.clone() }
            }
            News::Withdrawn { interaction, offer, taken_by } => {
                Self::Withdrawn { interaction: interaction.clone(), offer: *offer, taken_by: taken_by.clone() }
            }
            News::Message { message } => Self::Message { message: (&**message).into() },
            News::MessageState { message } => Self::MessageState { message: (&**message).into() },
            News::Interaction { interaction } => Self::Interaction { interaction: (&**interaction).into() },
            News::Presence { state } => Self::Presence { state: *state, reason: None, since: None },
        }
    }
}
