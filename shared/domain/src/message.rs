//! Messages of an interaction, what they hold, and how far the provider has got with the sent ones.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, InteractionId, MessageId};

/// One message, in the thread of its interaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Ours.
    pub id: MessageId,
    /// The interaction that it belongs to.
    pub interaction: InteractionId,
    /// Grows with every change; effects and their ids derive from it.
    pub version: u64,
    /// The provider's clock where it gives one, else when we received it. The thread is sorted by it.
    pub at: Timestamp,
    /// The provider's id (`SM…`, `wamid.…`); a sent message has none before the provider took it.
    pub provider_id: Option<String>,
    /// Who wrote it.
    pub author: Author,
    /// What it holds.
    pub content: Content,
    /// Files that came or go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The provider's id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether the customer forwarded it from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// How far it has got; `None` for what the customer wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// The customer.
    Customer,
    /// An agent, by hand.
    Agent {
        /// Which one.
        agent: AgentId,
    },
}

/// What a message holds beside its attachments.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// What was written.
        body: String,
    },
    /// One or more attachments, with a caption or none.
    Media {
        /// The text beside the attachment; may be empty.
        caption: String,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// The place's name.
        label: Option<String>,
        /// The place's address.
        address: Option<String>,
    },
    /// A pressed button.
    Button {
        /// Its label.
        text: String,
        /// What the sender of the button attached to it.
        payload: Option<String>,
    },
    /// A choice from a list.
    ListReply {
        /// The row's id.
        id: String,
        /// The row's title.
        title: String,
    },
    /// A kind that this version does not know; the raw event is kept.
    Unsupported {
        /// The provider's name of the kind.
        kind: String,
    },
}

impl Content {
    /// The text that a person would read, in one line or more; empty for media without caption.
    pub fn readable(&self) -> String {
        match self {
            Content::Text { body } => body.clone(),
            Content::Media { caption } => caption.clone(),
            Content::Location { latitude, longitude, label, address } => {
                let mut text = format!("[location {latitude}, {longitude}]");
                for part in [label, address].into_iter().flatten() {
                    text.push(' ');
                    text.push_str(part);
                }
                text
            }
            Content::Button { text, .. } => text.clone(),
            Content::ListReply { title, .. } => title.clone(),
            Content::Unsupported { kind } => format!("[unsupported: {kind}]"),
        }
    }
}

/// What customers write never reaches a log.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::Text { .. } => "Text(…)",
            Content::Media { .. } => "Media(…)",
            Content::Location { .. } => "Location(…)",
            Content::Button { .. } => "Button(…)",
            Content::ListReply { .. } => "ListReply(…)",
            Content::Unsupported { .. } => "Unsupported(…)",
        })
    }
}

/// A file of a message, and where its copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where the provider keeps it (an address or a media id).
    pub source: String,
    /// The type that the provider declares, e.g. `image/jpeg`.
    pub content_type: String,
    /// The file's name, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Our copy.
    pub copy: Copy,
}

/// Our copy of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Copy {
    /// Not there yet.
    Pending,
    /// In the deployment's bucket.
    Stored {
        /// The object's key.
        key: String,
        /// Bytes.
        size: u64,
        /// The type found by looking at the bytes, else the declared one.
        content_type: String,
    },
    /// Given up, for the reason that the thread shows.
    Failed {
        /// In words for the agent.
        reason: String,
    },
}

/// How far a sent message has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The state; it only moves forwards.
    pub state: DeliveryState,
    /// When it reached that state.
    pub since: Timestamp,
    /// Why it failed, or why its outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// How often sending was tried and refused for a passing reason.
    #[serde(default)]
    pub attempts: u32,
}

/// States of a sent message, in the order in which they may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its turn.
    Queued,
    /// Claimed: the provider is being called, or was when the process died.
    Sending,
    /// The provider was called and nobody knows whether it took the message. Only its own word, or a person, moves it on.
    Unknown,
    /// The provider took it.
    Accepted,
    /// On its way to the customer.
    Sent,
    /// On the customer's device.
    Delivered,
    /// Seen by the customer.
    Read,
    /// Will not arrive.
    Failed,
}

impl DeliveryState {
    /// Whether a report of `next` moves a message on that is in `self`. Reports come repeated and in any order: equal or lower ones change nothing.
    /// A failure counts until the customer's device has confirmed the message; after a failure nothing does.
    pub fn moves_to(self, next: DeliveryState) -> bool {
        use DeliveryState::{Delivered, Failed, Read};
        match (self, next) {
            (Failed, _) | (Delivered | Read, Failed) => false,
            (_, Failed) => true,
            _ => self.rank() < next.rank(),
        }
    }

    fn rank(self) -> u8 {
        match self {
            DeliveryState::Queued => 0,
            DeliveryState::Sending => 1,
            DeliveryState::Unknown => 2,
            DeliveryState::Accepted => 3,
            DeliveryState::Sent => 4,
            DeliveryState::Delivered => 5,
            DeliveryState::Read => 6,
            DeliveryState::Failed => 7,
        }
    }
}

/// Why a message failed, in the words common to all providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryError {
    /// The class that decides what happens next.
    pub class: ErrorClass,
    /// The provider's own code, e.g. `63016`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The common set that every provider's error codes map to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The 24-hour service window is over: only an approved template may be sent.
    WindowExpired,
    /// Too fast; may be tried again later.
    RateLimited,
    /// No such WhatsApp user.
    InvalidRecipient,
    /// The customer can't be reached now.
    Undeliverable,
    /// The template is missing, paused or has other parameters.
    Template,
    /// The attachment was refused.
    Media,
    /// Credentials or the number were refused.
    Authentication,
    /// The provider's own trouble: certainly not sent, may be tried again.
    Temporary,
    /// Refused for good.
    Permanent,
    /// Nobody knows whether it was sent.
    OutcomeUnknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryState::*;

    const ALL: [DeliveryState; 8] = [Queued, Sending, Unknown, Accepted, Sent, Delivered, Read, Failed];

    #[test]
    fn states_only_move_forwards_whatever_the_order_of_the_reports() {
        // No state can be reached again once it was left.
        for start in ALL {
            for mid in ALL.into_iter().filter(|mid| start.moves_to(*mid)) {
                assert!(!mid.moves_to(start), "{start:?} → {mid:?} → {start:?}");
            }
            assert!(!start.moves_to(start));
        }
    }

    #[test]
    fn a_failure_reported_after_delivery_changes_nothing() {
        assert!(!Delivered.moves_to(Failed));
        assert!(!Read.moves_to(Failed));
        assert!(Sent.moves_to(Failed));
        assert!(!Failed.moves_to(Delivered));
    }

    #[test]
    fn an_unknown_outcome_is_settled_by_the_providers_word() {
        for word in [Accepted, Sent, Delivered, Read, Failed] {
            assert!(Unknown.moves_to(word));
        }
        assert!(!Unknown.moves_to(Sending));
    }
}
