//! What a provider's webhook says, in the product's own words: the form that is stored, queued and routed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::message::{Attachment, AttachmentKind, Content, Copy, DeliveryError, DeliveryState, Referral};
use crate::values::Address;

/// SQS takes message groups of 128 ASCII letters, digits and punctuation marks.
pub const GROUP_LIMIT: usize = 128;

/// One message or one status of a webhook request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundEvent {
    /// The account whose Receive URL was called.
    pub account: AccountId,
    /// Distinguishes the event within its account: the same webhook, however often it comes, has the same id.
    pub id: String,
    /// When the request came in.
    pub received_at: Timestamp,
    /// The place within the request.
    pub index: u32,
    /// What it says.
    pub kind: InboundKind,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "most events are messages; a box would cost each of them an allocation")]
pub enum InboundKind {
    /// A customer wrote.
    Message(InboundMessage),
    /// A sent message got further.
    Status(StatusUpdate),
    /// Something happened to a message or to the customer: it never opens an interaction, rings, or marks unread.
    Annotation(Annotation),
    /// A kind that this version does not know, or that the product has no place for: kept with its raw body, routed nowhere.
    Other {
        /// The provider's name of the kind.
        name: String,
    },
}

impl InboundEvent {
    /// What keeps events of one customer in order on their way: the queue's message group, in at most [`GROUP_LIMIT`] characters. That two very long
    /// addresses may share a group costs them nothing but a little time.
    pub fn group(&self) -> String {
        let group = match &self.kind {
            InboundKind::Message(message) => format!("{}#{}", self.account, message.from.key()),
            // The customer's address in a status is masked by some providers: a status keeps order with its own message only.
            InboundKind::Status(status) => format!("{}#{}", self.account, status.provider_id),
            // What is said about a message keeps order with that message only: while it waits for the message, the customer goes on writing.
            InboundKind::Annotation(annotation) => match annotation.what.message() {
                Some(message) => format!("{}#{message}", self.account),
                None => format!("{}#{}", self.account, annotation.from.key()),
            },
            InboundKind::Other { .. } => format!("{}#{}", self.account, self.id),
        };
        group.chars().filter(char::is_ascii_graphic).take(GROUP_LIMIT).collect()
    }
}

/// A customer's message as the provider tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The provider's id.
    pub provider_id: String,
    /// Who wrote: the phone number where there is one.
    pub from: Address,
    /// Another name of the same customer in the same request (the BSUID beside the phone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Address>,
    /// The name in the customer's WhatsApp profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<ProfileName>,
    /// The provider's clock, where it gives a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// What it holds.
    pub content: Content,
    /// Attachments to copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<InboundAttachment>,
    /// The provider's id of the message that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Forwarded from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The name by which others find the customer, where one is set. It can change hands: it is shown, never matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<ProfileName>,
    /// The advertisement or post that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
}

/// Something that happened to a message or to a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The provider's id of the event itself.
    pub provider_id: String,
    /// Whose doing: the phone number where there is one.
    pub from: Address,
    /// Another name of the same customer in the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Address>,
    /// The provider's clock, where it gives a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// What happened.
    pub what: Annotated,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Annotated {
    /// The customer reacted to a message.
    Reaction {
        /// The provider's id of the message.
        message: String,
        /// One emoji; `None`: the reaction was taken back.
        emoji: Option<ReactionEmoji>,
    },
    /// The customer edited a message.
    Edited {
        /// The provider's id of the message.
        message: String,
        /// What it says now.
        content: Content,
    },
    /// The customer deleted a message.
    Deleted {
        /// The provider's id of the message.
        message: String,
    },
    /// The customer has another number or another business-scoped user id: the same person from now on.
    Moved {
        /// The new address.
        to: Address,
        /// In words.
        body: String,
    },
    /// Anything else that the provider reports about the customer.
    System {
        /// In words.
        body: String,
    },
}

impl Annotated {
    /// The provider's id of the message that it is about.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Reaction { message, .. } | Self::Edited { message, .. } | Self::Deleted { message } => Some(message),
            Self::Moved { .. } | Self::System { .. } => None,
        }
    }
}

/// An emoji that a customer chose; never in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReactionEmoji(pub String);

impl std::fmt::Debug for ReactionEmoji {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReactionEmoji(…)")
    }
}

/// A customer's own name; never in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ProfileName(pub String);

impl std::fmt::Debug for ProfileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileName(…)")
    }
}

/// An attachment where the provider keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundAttachment {
    /// Address or media id.
    pub source: String,
    /// The declared type.
    pub content_type: String,
    /// The file's name, where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What WhatsApp calls it, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// SHA-256 of the bytes in lower-case hex, where declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl InboundAttachment {
    /// The attachment of our message, before it is copied.
    pub fn to_be_copied(&self) -> Attachment {
        Attachment {
            source: self.source.clone(),
            content_type: self.content_type.clone(),
            name: self.name.clone(),
            kind: self.kind,
            sha256: self.sha256.clone(),
            copy: Copy::Pending,
        }
    }
}

/// A report on a sent message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The provider's id of the message.
    pub provider_id: String,
    /// Our own reference, as it was given to the provider with the message (see [`crate::effect::MessageRef`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The state that it reports.
    pub state: DeliveryState,
    /// Why, for a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// The provider's clock, where it gives a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
