//! Events from a provider's webhook in the product's own terms, as they are stored, queued and routed.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::message::{
    Attachment, AttachmentKind, CONTENT_ROOM, Content, Copy, DeliveryError, DeliveryState, Origin, Product, Referral, SHORT, limit,
};
use crate::pricing::Charge;
use crate::values::Address;

/// How long events are kept: longer than any provider repeats them (Meta for a week, the longest).
pub const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The most bytes that the texts of an event may take in a queue. As JSON they take half as much again at most, and
/// some queues take 256 KiB. A longer event stays in the table, and the queue gets [`InboundKind::Stored`].
const QUEUED_ROOM: usize = 100_000;

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
    /// A message that was written outside this deployment: by the business itself, or before the number was
    /// connected. Such an event never opens an interaction, rings, or marks unread.
    Elsewhere(Elsewhere),
    /// The provider says something about the account.
    Alert(Alert),
    /// A kind that this version does not know, or that the product does not use. It is kept with its raw body and
    /// not routed.
    Other {
        /// The provider's name of the kind.
        name: String,
    },
    /// In a queue, in place of an event that is too long for it: the table has the event under its id.
    Stored,
}

impl InboundKind {
    /// Cuts texts that are longer than WhatsApp's own. A message that was cut says so.
    pub fn limit(&mut self) {
        match self {
            InboundKind::Message(message) => message.limit(),
            InboundKind::Elsewhere(Elsewhere { content, words, cut, .. }) => {
                let mut room = CONTENT_ROOM;
                *cut |= content.limit(&mut room);
                *cut |= words.as_mut().is_some_and(|words| limit(words, &mut room));
            }
            InboundKind::Alert(alert) => drop(limit(&mut alert.detail, &mut { SHORT })),
            InboundKind::Annotation(Annotation { what: Annotated::Edited { content, cut, .. }, .. }) => {
                *cut |= content.limit(&mut { CONTENT_ROOM });
            }
            InboundKind::Annotation(Annotation {
                what: Annotated::Moved { body, .. } | Annotated::Marketing { body, .. } | Annotated::System { body },
                ..
            }) => {
                limit(body, &mut { CONTENT_ROOM });
            }
            InboundKind::Annotation(_) | InboundKind::Status(_) | InboundKind::Other { .. } | InboundKind::Stored => {}
        }
    }

    /// About how many bytes the texts of the event take.
    pub fn weight(&self) -> usize {
        match self {
            InboundKind::Message(message) => message.weight(),
            InboundKind::Elsewhere(said) => {
                said.content.weight()
                    + said.words.iter().chain(said.attachments.iter().map(|file| &file.source)).map(String::len).sum::<usize>()
            }
            InboundKind::Alert(alert) => alert.detail.len(),
            InboundKind::Annotation(Annotation { what: Annotated::Edited { content, .. }, .. }) => content.weight(),
            InboundKind::Annotation(Annotation {
                what: Annotated::Moved { body, .. } | Annotated::Marketing { body, .. } | Annotated::System { body },
                ..
            }) => body.len(),
            InboundKind::Status(status) => status.weight(),
            InboundKind::Annotation(_) | InboundKind::Other { .. } | InboundKind::Stored => 0,
        }
    }
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

    /// Whether the request is known not to have proved its origin. Events of the version before don't say.
    pub fn is_unproven(&self) -> bool {
        self.proven == Some(false)
    }

    /// The event as the queue takes it.
    pub fn queued(&self) -> Cow<'_, Self> {
        if self.kind.weight() <= QUEUED_ROOM {
            return Cow::Borrowed(self);
        }
        let Self { account, id, received_at, index, proven, .. } = self;
        let (account, id) = (account.clone(), id.clone());
        Cow::Owned(Self { account, id, received_at: *received_at, index: *index, proven: *proven, kind: InboundKind::Stored })
    }

    /// The queue's message group, which keeps the events of one customer in order, in at most [`GROUP_LIMIT`]
    /// characters. Two very long addresses may share a group, which only costs a little time.
    pub fn group(&self) -> String {
        let group = match &self.kind {
            InboundKind::Message(message) => format!("{}#{}", self.account, message.from.key()),
            // Some providers mask the customer's address in a status, so a status keeps order with its own message
            // only.
            InboundKind::Status(status) => format!("{}#{}", self.account, status.provider_id),
            InboundKind::Elsewhere(said) => format!("{}#{}", self.account, said.customer.key()),
            // An annotation of a message keeps order with that message only. While it waits for that message, the
            // customer's other messages go on.
            InboundKind::Annotation(annotation) => match annotation.what.message() {
                Some(message) => format!("{}#{message}", self.account),
                None => format!("{}#{}", self.account, annotation.from.key()),
            },
            InboundKind::Alert(_) | InboundKind::Other { .. } | InboundKind::Stored => format!("{}#{}", self.account, self.id),
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
    /// The product that the customer asks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// Words that came beside a content that has no place for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Whether a text of it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl InboundMessage {
    /// Cuts texts that are longer than WhatsApp's own, and notes that.
    pub fn limit(&mut self) {
        let mut room = CONTENT_ROOM;
        self.cut |= self.content.limit(&mut room);
        self.cut |= self.words.as_mut().is_some_and(|words| limit(words, &mut room));
    }

    fn weight(&self) -> usize {
        let names = [&self.profile_name, &self.username].into_iter().flatten().map(|name| name.0.len());
        let files =
            self.attachments.iter().map(|file| file.source.len() + file.content_type.len() + file.name.as_ref().map_or(0, String::len));
        let referral = self.referral.iter().flat_map(Referral::texts).map(str::len);
        let words = self.words.iter().map(String::len);
        self.content.weight() + names.chain(files).chain(referral).chain(words).sum::<usize>()
    }
}

/// A message of a conversation on the same number that did not go through this deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The provider's id of the message.
    pub provider_id: String,
    /// The customer: the phone number if there is one.
    pub customer: Address,
    /// Another address of the same customer in the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Address>,
    /// The name in the customer's WhatsApp profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<ProfileName>,
    /// Whether the customer wrote it. Otherwise it is the business's, or a line about a call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_customer: bool,
    /// Where it was written; `None` for a line about a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
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
    /// Words that came beside a content that has no place for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Whether a text of it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Elsewhere {
    /// The kind of the content that stands for a file of the history until its details come.
    pub const PLACEHOLDER: &str = "media_placeholder";
}

/// A provider's message about an account: a restriction, a template's state, a number's quality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The provider's name of the kind, e.g. `account_update`.
    pub name: String,
    /// What happened, in the provider's word, e.g. `DISABLED_UPDATE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// All that the provider says, as lines of names and values.
    pub detail: String,
    /// The provider's time, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether it came without proof: anybody who knows the account's Receive URL may have made it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
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
        /// Whether a text of it was cut.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
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
    /// The customer refuses marketing messages of this number, or takes that back.
    Marketing {
        /// Whether the customer refuses them.
        stopped: bool,
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
            Self::Moved { .. } | Self::Marketing { .. } | Self::System { .. } => None,
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
    /// What the report says about the message's price, if it says anything. The version before does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
}

impl StatusUpdate {
    fn weight(&self) -> usize {
        let addresses = self.recipients.iter().map(|recipient| recipient.key().len());
        self.provider_id.len() + self.reference.as_ref().map_or(0, String::len) + addresses.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the version before queued it.
    const BEFORE: &str = r#"{"account":"acc_01ARZ3NDEKTSV4RRFFQ69G5FAV","id":"SM1","received_at":"2026-11-20T10:00:00Z","index":0,
        "kind":{"type":"message","provider_id":"SM1","from":{"phone":"+393331234567"},"content":{"type":"text","body":"Ciao"}}}"#;

    #[test]
    fn an_event_of_the_version_before_is_read_and_a_short_one_is_queued_as_it_is() {
        let event: InboundEvent = serde_json::from_str(BEFORE).unwrap();
        let InboundKind::Message(message) = &event.kind else { panic!("a message") };
        assert_eq!((&message.words, &message.product, message.cut), (&None, &None, false));
        assert!(matches!(event.queued(), Cow::Borrowed(_)));
        let edit = r#"{"what":"edited","message":"wamid.1","content":{"type":"text","body":"x"}}"#;
        assert!(matches!(serde_json::from_str(edit), Ok(Annotated::Edited { cut: false, .. })));
    }

    #[test]
    fn an_event_that_is_too_long_for_a_queue_leaves_only_its_id_there() {
        let mut event: InboundEvent = serde_json::from_str(BEFORE).unwrap();
        if let InboundKind::Message(message) = &mut event.kind {
            message.content = Content::Text { body: "\u{1}".repeat(65_536) };
        }
        let queued = event.queued();
        assert_eq!((&queued.id, queued.received_at, &queued.kind), (&event.id, event.received_at, &InboundKind::Stored));
        assert!(serde_json::to_string(&queued).unwrap().len() < 256);
        if let InboundKind::Message(message) = &mut event.kind {
            message.content = Content::Text { body: "\u{1}".repeat(25_000) };
        }
        assert!(serde_json::to_string(&event.queued()).unwrap().len() < 256 * 1024);
    }
}
