//! Agents' views of interactions and messages, the same in the API's answers and in the pushed events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use domain::agent::{Presence, PresenceState, PresenceWord};
use domain::history::Escalated;
use domain::ids::{AccountId, AgentId, AiAgentId, ContactId, InteractionId, MessageId};
use domain::insights::{Insights, Sentiment, Summary};
use domain::interaction::{Interaction, Stage, Status};
use domain::language::{Language, Rendering};
use domain::message::{
    AttachmentKind, Author, Content, Copy, DeliveryError, DeliveryState, Measures, Message, Origin, Product, Reaction, Referral,
};
use domain::news::{News, Told};
use domain::note::{AlertNote, Note, NoteKind, TriggerNote};
use domain::notification::Notification;
use domain::priority::Priority;
use domain::tag::Tag;
use domain::values::ClientId;

/// An interaction as agents see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InteractionView {
    /// The interaction's id.
    pub id: InteractionId,
    /// The account's id.
    pub account: AccountId,
    /// The contact's id.
    pub contact: ContactId,
    /// The phone number to which answers go: the one that the customer wrote from last. Absent if it was a user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_phone: Option<String>,
    /// The provider's id of the customer (BSUID) to which answers go. Absent if the customer wrote from a phone
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_user_id: Option<String>,
    /// When the address to which answers go changed last while the interaction was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_changed_at: Option<Timestamp>,
    /// The customer's name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// Whether the interaction is open or closed.
    pub status: Status,
    /// The version; every change adds one.
    pub version: u64,
    /// The agent who has the interaction; `null` if there is none.
    pub agent: Option<AgentId>,
    /// Since when that agent has it; of a closed interaction, when the agent got it. Absent without an agent, and
    /// where an earlier version of this software gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// Whether something arrived that the interaction's agent has not seen.
    pub unread: bool,
    /// How many of the customer's messages that agent, or nobody yet, has not seen. Absent: none. An interaction that
    /// came back from a transfer, or was given to another agent, is unread without them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_count: u32,
    /// Whether the interaction's agent has the tab open.
    pub tab_open: bool,
    /// The time of opening.
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
    /// The time of the latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_at: Option<Timestamp>,
    /// The interaction's tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The priority, 0 to 9. The higher one is served first.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// The AI agent that answers the customer. Absent while none is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiAgentId>,
    /// The customer's language: as an agent chose it, else as it was detected last. Absent while it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The latest insights: the customer's mood, and in the answer for one interaction a summary. Absent as long as
    /// none were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insights: Option<InsightsView>,
    /// The older interaction of the same customer into which this one was merged. The conversation goes on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<InteractionId>,
    /// When the interaction's agent asked to close it, while the disposition is still missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up_since: Option<Timestamp>,
    /// The stage that the interaction waits on, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_on: Option<WaitsOn>,
    /// The current offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferView>,
}

/// What a model read out of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsightsView {
    /// The customer's mood.
    pub sentiment: Sentiment,
    /// When they were made.
    pub at: Timestamp,
    /// What the conversation was about. Only in the answer for one interaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

impl InteractionView {
    /// The same with the summary of its insights.
    #[must_use]
    pub fn with_summary(mut self, summary: Option<Summary>) -> Self {
        if let Some(insights) = &mut self.insights {
            insights.summary = summary;
        }
        self
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An offer as agents see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferView {
    /// The offer's number within the interaction.
    pub id: u64,
    /// The deadline; absent when the offer lasts until somebody accepts.
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
            customer_user_id: interaction.address.user_id().map(str::to_owned),
            address_changed_at: interaction.address_changed_at,
            customer_name: interaction.customer_name.as_ref().map(|name| name.0.clone()),
            status: interaction.status,
            version: interaction.version,
            agent: interaction.agent.clone(),
            assigned_at: interaction.assigned_at,
            unread: interaction.unread,
            unread_count: interaction.unread_count,
            tab_open: interaction.tab_open,
            opened_at: interaction.opened_at,
            closed_at: interaction.closed_at,
            archived: interaction.archived,
            disposition: interaction.disposition.clone(),
            last_message_at: interaction.last_message.as_ref().map(|last| last.at),
            tags: interaction.tags.clone(),
            priority: interaction.priority,
            ai: interaction.answered_by().cloned(),
            language: interaction.language.clone(),
            insights: interaction.insights.map(|Insights { sentiment, at, .. }| InsightsView { sentiment, at, summary: None }),
            merged_into: interaction.merged_into.as_ref().map(|into| into.interaction.clone()),
            wrap_up_since: interaction.wrap_up.as_ref().map(|wrap_up| wrap_up.since),
            waits_on: interaction.wait.as_ref().map(|wait| (&wait.stage).into()),
            offer: interaction.offer().map(|offer| OfferView { id: offer.id, until: offer.until }),
        }
    }
}

/// The stage that an interaction waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitsOn {
    /// The interaction's own agent, who was not there when a message arrived.
    AssignedAgent,
    /// The queue through which that agent accepted.
    AssignedQueue,
    /// The agents of a step of the action plan.
    Step,
    /// The answer of another system that a step of the action plan called.
    Webhook,
    /// The agent or queue to which the interaction is transferred. Its agent keeps it until then.
    Transfer,
    /// Any available agent of the account, since the plan has run out.
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
    /// The message's id.
    pub id: MessageId,
    /// The interaction's id.
    pub interaction: InteractionId,
    /// The message's time in the thread.
    pub at: Timestamp,
    /// The author, by `kind`: `customer`, `agent` (with the agent's id in `agent`), or `system` for automatic
    /// replies and the provider's reports.
    pub author: Author,
    /// The address from which the customer wrote it: a phone number or a user id. Absent in messages of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The address to which it is sent: a phone number or a user id. Absent in messages of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The content, by `type`: `text`, `media`, `location`, `button`, `list_reply`, `contacts`, `form`, `template`,
    /// `reaction`, `system`, `unsupported`, or `note`, which the customer never sees.
    pub content: Content,
    /// The message's files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentView>,
    /// The id of the message that this one answers or reacts to. If that message is not known here, it is the
    /// provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The id of the message that failed, or whose outcome is unknown, and that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_of: Option<MessageId>,
    /// The id that its sender's client gave it. The client that sent it knows it again by that; another agent's client
    /// may have given the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub client_id: Option<ClientId>,
    /// What it says in the agents' language, if it was translated, or if an agent wrote it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<Rendering>,
    /// Whether the customer forwarded it from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The customer's words that came beside a content that has no place for them, such as a text beside a location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Whether a text is not whole. Events carry the first 4 KB of a text; the thread has all, up to WhatsApp's own
    /// limit of 65,536 characters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// The product that the customer asks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// Where the message was written, if not through this system: in the business's own phone app, in another system,
    /// or before the number was connected. If the author is `system`, the business wrote it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// `false`: the request that told of a message from elsewhere carried no proof of origin, so somebody may have
    /// made it up. Otherwise absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<bool>,
    /// The advertisement or post that led the customer to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Reactions that were not taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// When the customer last edited the message. Earlier texts are in the transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// When the customer deleted the message on their side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// The delivery state, if an agent sent the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// The reason for a failure or an unknown outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// The version; every change adds one.
    pub version: u64,
}

/// A file of a message as agents see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttachmentView {
    /// The file's place in the message, from 0.
    pub index: usize,
    /// The content type, e.g. `image/jpeg`.
    pub content_type: String,
    /// The file's name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// WhatsApp's kind of file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// The state of our copy.
    pub state: AttachmentState,
    /// The size in bytes, once the file is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The width of a stored picture, sticker or video in pixels, as a viewer shows it, if the file tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels. There are both or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How long a stored recording or video plays, in whole seconds, if the file tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u32>,
    /// The reason why the copy failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The state of a file's copy.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttachmentState {
    /// The file is not copied yet.
    Pending,
    /// The file can be downloaded.
    Stored,
    /// Copying was given up. The reason is in `reason`.
    Failed,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        let attachments = message.attachments.iter().enumerate().map(|(index, attachment)| {
            let (state, size, reason, found, measures) = match &attachment.copy {
                Copy::Pending => (AttachmentState::Pending, None, None, None, Measures::default()),
                Copy::Stored { size, content_type, measures, .. } => {
                    (AttachmentState::Stored, Some(*size), None, Some(content_type), *measures)
                }
                Copy::Failed { reason } => (AttachmentState::Failed, None, Some(reason.clone()), None, Measures::default()),
            };
            AttachmentView {
                index,
                content_type: found.unwrap_or(&attachment.content_type).clone(),
                name: attachment.name.clone(),
                kind: Some(attachment.kind.unwrap_or_else(|| AttachmentKind::of_type(found.unwrap_or(&attachment.content_type)))),
                state,
                size,
                width: measures.width,
                height: measures.height,
                duration: measures.duration,
                reason,
            }
        });
        Self {
            id: message.id.clone(),
            interaction: message.interaction.clone(),
            at: message.at,
            author: message.author.clone(),
            from: message.from.as_ref().map(|from| from.text().to_owned()),
            to: message.to.as_ref().map(|to| to.text().to_owned()),
            content: message.content.clone(),
            attachments: attachments.collect(),
            reply_to: message.answers.as_ref().map(ToString::to_string).or_else(|| message.reply_to.clone()),
            again_of: message.again_of.clone(),
            client_id: message.client_id.clone(),
            translation: message.translation.clone(),
            forwarded: message.forwarded,
            words: message.words.clone(),
            cut: message.cut,
            product: message.product.clone(),
            origin: message.origin,
            proven: message.unproven.then_some(false),
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

/// An event pushed to agents, by `type`.
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
        /// The deadline; absent when the offer lasts until somebody accepts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// The notification that the screen shows, with its sound and shaking.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<Notification>,
    },
    /// An offer ended.
    Withdrawn {
        /// The interaction's id.
        interaction: InteractionId,
        /// The offer's number.
        offer: u64,
        /// The agent who accepted, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_by: Option<AgentId>,
    },
    /// A message was received or sent.
    Message {
        /// The message.
        message: MessageView,
    },
    /// The state of a message or of its attachment changed.
    MessageState {
        /// The message.
        message: MessageView,
    },
    /// The interaction changed, e.g. its agent, its status or whether it is unread.
    Interaction {
        /// The interaction.
        interaction: InteractionView,
    },
    /// The agent's own presence changed. Unless it is `ready`, only offers of the agent's own interactions stay.
    Presence {
        /// The state when the event is delivered.
        state: PresenceWord,
        /// The reason of the pause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The time of the latest change of state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        /// Who chose the state for the agent: a supervisor's agent id, or the `sub` of a token without an agent's
        /// record. Absent: the agent, or the system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// That person's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_name: Option<String>,
    },
    /// The agent is notified of something. `GET /notifications` lists all of the last 30 days.
    Notification {
        /// The notification.
        notification: NotificationView,
    },
    /// Something happened to an interaction of an account that the agent does not belong to (any more). The
    /// interaction can be taken off the screen.
    Withheld {
        /// The interaction's id.
        interaction: InteractionId,
    },
    /// The event was about an interaction that was deleted. It can be taken off the screen.
    Deleted {
        /// The interaction's id.
        interaction: InteractionId,
    },
    /// Something changed that `GET /me` shows: the own record or place, an account, a queue, or what is chosen from.
    /// Read it again.
    Configuration,
    /// Events that the client does not have are gone, up to this number. Read the interactions and the presence anew.
    Expired,
}

/// A notification as its agent sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationView {
    /// Its id. There is one for each interaction, account and trigger; the next news of it replaces it.
    pub id: String,
    /// Why the agent is notified.
    pub kind: NoteKind,
    /// When.
    pub at: Timestamp,
    /// The account. Absent: it is about a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The interaction that it leads to. Absent: it is about the account or the trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction: Option<InteractionId>,
    /// Why the AI agent handed over, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Escalated>,
    /// What the provider says. `GET /admin/accounts/{id}/alerts` tells more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertNote>,
    /// The trigger that the service switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerNote>,
}

impl From<&Note> for NotificationView {
    fn from(note: &Note) -> Self {
        Self {
            id: note.id().to_owned(),
            kind: note.kind,
            at: note.at,
            account: note.account.clone(),
            interaction: note.interaction.as_ref().map(|place| place.interaction.clone()),
            escalated: note.escalated,
            alert: note.alert.clone(),
            trigger: note.trigger.clone(),
        }
    }
}

impl Told for AgentEvent {
    /// A withdrawn offer shows nothing of a customer, and it must reach the agent who was taken off the account.
    fn shows(&self) -> Option<&InteractionId> {
        match self {
            Self::Offered { interaction, .. } | Self::Interaction { interaction } => Some(&interaction.id),
            Self::Message { message } | Self::MessageState { message } => Some(&message.interaction),
            Self::Notification { notification } => notification.interaction.as_ref(),
            Self::Withdrawn { .. }
            | Self::Presence { .. }
            | Self::Withheld { .. }
            | Self::Deleted { .. }
            | Self::Configuration
            | Self::Expired => None,
        }
    }

    fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Offered { interaction, .. } | Self::Interaction { interaction } => Some(&interaction.account),
            Self::Notification { notification } => notification.account.as_ref(),
            Self::Message { .. }
            | Self::MessageState { .. }
            | Self::Withdrawn { .. }
            | Self::Presence { .. }
            | Self::Withheld { .. }
            | Self::Deleted { .. }
            | Self::Configuration
            | Self::Expired => None,
        }
    }

    fn withheld(interaction: InteractionId) -> Self {
        Self::Withheld { interaction }
    }

    fn expired() -> Self {
        Self::Expired
    }

    fn deleted(interaction: InteractionId) -> Self {
        Self::Deleted { interaction }
    }
}

impl AgentEvent {
    /// The event that tells an agent about the agent's own presence. The name of whoever chose it is added by those
    /// who know names.
    pub fn of_presence(presence: &Presence) -> Self {
        let state = presence.state();
        let word = state.word();
        let reason = if let PresenceState::Paused { reason } = state { Some(reason) } else { None };
        Self::Presence { state: word, reason, since: Some(presence.since), by: presence.forced_by.clone(), by_name: None }
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
            News::Message { message } => Self::Message { message: (&message.short()).into() },
            News::MessageState { message } => Self::MessageState { message: (&message.short()).into() },
            News::Interaction { interaction, .. } => Self::Interaction { interaction: (&**interaction).into() },
            News::Alert { account, alert, at } => {
                let note = Note::of_alert(account.clone(), alert.clone(), *at, *at);
                Self::Notification { notification: (&note).into() }
            }
            News::TriggerDisabled { trigger, at } => {
                Self::Notification { notification: (&Note::of_trigger(trigger.clone(), *at, *at)).into() }
            }
            News::Presence { state } => Self::Presence { state: *state, reason: None, since: None, by: None, by_name: None },
            News::Configuration => Self::Configuration,
        }
    }
}
