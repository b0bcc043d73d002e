//! Events from a provider's webhook in the product's own terms, as they are stored, queued and routed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::message::{Attachment, AttachmentKind, Content, Copy, DeliveryError, DeliveryState, Referral};
use crate::values::Address;

/// The longest message group: SQS takes 128 ASCII letters, digits and punctuation marks.
pub const GROUP_LIMIT: usize = 128;

/// One message or one status of a webhook request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundEvent {
    /// The account whose Receive URL was called.
    pub account: AccountId,
    /// The event's id within its account. The same webhook has the same id, however often it arrives.
    pub id: String,
    /// The time at which the request arrived.
    pub received_at: Timestamp,
    /// The event's place within the request.
    pub index: u32,
    /// Whether the request proved its origin: a valid signature, the guard that the account demands, or an answer of
    /// the provider to a question of ours. What any other request says about who a customer is changes nothing.
    /// `None` for events of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<bool>,
    /// The kind of event, with its data.
    pub kind: InboundKind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "most events are messages; a box would cost each of them an allocation")]
pub enum InboundKind {
    /// A customer wrote a message.
    Message(InboundMessage),
    /// The state of a sent message changed.
    Status(StatusUpdate),
    /// Something happened to a message or to the customer. Such an event never opens an interaction, rings, or marks
    /// unread.
    Annotation(Annotation),
    /// A kind that this version does not know, or that the product does not use. It is kept with its raw body and
    /// not routed.
    Other {
        /// The provider's name of the kind.
        name: String,
    },
}

impl InboundEvent {
    /// The first event of a request. It does not say yet whether the request proved its origin.
    pub fn new(account: AccountId, id: String, received_at: Timestamp, kind: InboundKind) -> Self {
        Self { account, id, received_at, index: 0, proven: None, kind }
    }

    /// Whether the request proved its origin.
    pub fn is_proven(&self) -> bool {
        self.proven == Some(true)
    }

    /// The queue's message group, which keeps the events of one customer in order, in at most [`GROUP_LIMIT`]
    /// characters. Two very long addresses may share a group, which only costs a little time.
    pub fn group(&self) -> String {
        let group = match &self.kind {
            InboundKind::Message(message) => format!("{}#{}", self.account, message.from.key()),
            // Some providers mask the customer's address in a status, so a status keeps order with its own message
            // only.
            InboundKind::Status(status) => format!("{}#{}", self.account, status.provider_id),
            // An annotation of a message keeps order with that message only. While it waits for that message, the
            // customer's other messages go on.
            InboundKind::Annotation(annotation) => match annotation.what.message() {
                Some(message) => format!("{}#{message}", self.account),
                None => format!("{}#{}", self.account, annotation.from.key()),
            },
            InboundKind::Other { .. } => format!("{}#{}", self.account, self.id),
        };
        group.chars().filter(char::is_ascii_graphic).take(GROUP_LIMIT).collect()
    }
}

/// A customer's message, as the provider reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The provider's id of the message.
    pub provider_id: String,
    /// The sender: the phone number if there is one.
    pub from: Address,
    /// Another address of the same customer in the same request (the BSUID beside the phone number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Address>,
    /// Further addresses of the same customer in the same request, such as another spelling of the number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Address>,
    /// The name in the customer's WhatsApp profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<ProfileName>,
    /// The provider's time of the message, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// The content.
    pub content: Content,
    /// Attachments to copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<InboundAttachment>,
    /// The provider's id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether the customer forwarded it from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The customer's WhatsApp username, if set. It can change hands, so it is shown and never matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<ProfileName>,
    /// The advertisement or post that led the customer to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
}

/// Something that happened to a message or to a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The provider's id of the event itself.
    pub provider_id: String,
    /// The customer who caused it: the phone number if there is one.
    pub from: Address,
    /// Another address of the same customer in the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Address>,
    /// Further addresses of the same customer in the same request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Address>,
    /// The provider's time of the event, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// The kind of event, with its data.
    pub what: Annotated,
}

/// The kinds of annotations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Annotated {
    /// The customer reacted to a message.
    Reaction {
        /// The provider's id of the message.
        message: String,
        /// One emoji; `None` when the reaction was taken back.
        emoji: Option<ReactionEmoji>,
    },
    /// The customer edited a message.
    Edited {
        /// The provider's id of the message.
        message: String,
        /// The content after the edit.
        content: Content,
    },
    /// The customer deleted a message.
    Deleted {
        /// The provider's id of the message.
        message: String,
    },
    /// The customer has another number or another business-scoped user id, and is the same person under both.
    Moved {
        /// The new address.
        to: Address,
        /// The provider's words.
        body: String,
    },
    /// Another report from the provider about the customer.
    System {
        /// The provider's words.
        body: String,
    },
}

impl Annotated {
    /// The provider's id of the annotated message.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Reaction { message, .. } | Self::Edited { message, .. } | Self::Deleted { message } => Some(message),
            Self::Moved { .. } | Self::System { .. } => None,
        }
    }
}

/// An emoji that a customer chose. It never reaches a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReactionEmoji(pub String);

impl std::fmt::Debug for ReactionEmoji {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReactionEmoji(…)")
    }
}

/// A customer's own name. It never reaches a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ProfileName(pub String);

impl std::fmt::Debug for ProfileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileName(…)")
    }
}

/// An attachment, while only the provider has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundAttachment {
    /// The address or media id.
    pub source: String,
    /// The declared content type.
    pub content_type: String,
    /// The file's name, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// WhatsApp's kind of file, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// SHA-256 of the bytes in lower-case hex, if declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl InboundAttachment {
    /// The attachment of our message, before its file is copied.
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
    /// Our own reference, which the provider got with the message (see [`crate::effect::MessageRef`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The reported state.
    pub state: DeliveryState,
    /// The error, for a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// The provider's time of the report, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The addresses under which the report names the customer, if it names any. They may differ from the one that
    /// the message was sent to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Address>,
}
