//! Messages of an interaction, their content, and the delivery state of sent ones.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, InteractionId, MessageId};
use crate::media_type::essence;
pub use crate::template::{ApprovedTemplate, TemplateButton, TemplateButtonKind, TemplateCard, TemplateHeader, TemplateParameter};
use crate::values::to_millisecond;

/// One message in the thread of its interaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The message's id.
    pub id: MessageId,
    /// The interaction that the message belongs to.
    pub interaction: InteractionId,
    /// The version; every change adds one. Effects and their ids derive from it.
    pub version: u64,
    /// The provider's time where it gives one, else the time of receipt. The thread is sorted by it.
    pub at: Timestamp,
    /// The provider's id (`SM…`, `wamid.…`). A sent message has none until the provider accepts it.
    pub provider_id: Option<String>,
    /// The author.
    pub author: Author,
    /// The content.
    pub content: Content,
    /// Files that belong to the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The provider's id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The id of the message that this one answers or reacts to, where it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<MessageId>,
    /// The message that failed, or whose outcome is unknown, and that this one repeats because somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_of: Option<MessageId>,
    /// Whether the customer forwarded it from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The advertisement or post that led the customer to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Reactions, at most one per side. A reaction that was taken back stays here without an emoji, so that an older
    /// one that arrives late does not replace it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// The content before each edit by the customer, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// When the customer deleted the message on their side. The content is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// The delivery state; `None` for a customer's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// Limit on the edits that are kept. A hundred edits of a long text would fill an item (400 KB). The first and the
/// latest ones are kept: 20 of at most 16 KB (4096 characters of 4 bytes).
const EDITS_KEPT: usize = 20;

impl Message {
    /// A message in its first version, with content only. Times have milliseconds, so that a message and its key
    /// agree.
    pub fn new(id: MessageId, interaction: InteractionId, at: Timestamp, author: Author, content: Content) -> Self {
        Self {
            id,
            interaction,
            version: 1,
            at: to_millisecond(at),
            provider_id: None,
            author,
            content,
            attachments: Vec::new(),
            reply_to: None,
            answers: None,
            again_of: None,
            forwarded: false,
            referral: None,
            reactions: Vec::new(),
            edits: Vec::new(),
            deleted_at: None,
            delivery: None,
        }
    }

    /// The message, waiting to be sent to the customer.
    #[must_use]
    pub fn queued(self, since: Timestamp) -> Self {
        Self { delivery: Some(Delivery { state: DeliveryState::Queued, since, error: None, attempts: 0 }), ..self }
    }

    /// Reactions that were not taken back.
    pub fn standing_reactions(&self) -> impl Iterator<Item = &Reaction> {
        self.reactions.iter().filter(|reaction| !reaction.emoji.is_empty())
    }

    /// Records that the customer reacts with `emoji`, or takes the reaction back. The newest reaction counts, in
    /// whatever order they arrive. Returns whether anything changed.
    pub fn reacted(&mut self, emoji: Option<&str>, at: Timestamp) -> bool {
        let reaction = Reaction { author: Author::Customer, emoji: emoji.unwrap_or_default().to_owned(), at };
        match self.reactions.iter_mut().find(|reaction| reaction.author == Author::Customer) {
            Some(known) if known.at > at || *known == reaction => return false,
            Some(known) => *known = reaction,
            None => self.reactions.push(reaction),
        }
        true
    }

    /// Records that the customer edited the message: it says `content` since `at`. If a later edit arrived first,
    /// this one only joins the history. Returns whether anything changed.
    pub fn edited(&mut self, content: Content, at: Timestamp) -> bool {
        match self.edits.iter().position(|edit| edit.at > at) {
            Some(place) => {
                if place.checked_sub(1).is_some_and(|before| self.edits[before].at == at) {
                    return false;
                }
                let before = std::mem::replace(&mut self.edits[place].before, content);
                self.edits.insert(place, Edit { at, before });
            }
            None if self.content == content => return false,
            None => {
                let before = std::mem::replace(&mut self.content, content);
                self.edits.push(Edit { at, before });
            }
        }
        if self.edits.len() > EDITS_KEPT {
            self.edits.remove(1);
        }
        true
    }

    /// Records that the customer deleted the message. The content is kept. Returns whether anything changed.
    pub fn deleted(&mut self, at: Timestamp) -> bool {
        let deleted_at = self.deleted_at.map_or(at, |known| known.min(at));
        self.deleted_at.replace(deleted_at) != Some(deleted_at)
    }
}

/// The author of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// The customer.
    Customer,
    /// A human agent.
    Agent {
        /// The agent's id.
        agent: AgentId,
    },
    /// The service itself, for automatic replies and for the provider's reports about the customer.
    System,
}

/// The advertisement or post through which a customer came.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Referral {
    /// `ad` or `post`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// The provider's id of the advertisement or post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The address of the advertisement or post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// The headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The address of the picture or video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// The id of the click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
}

/// The campaign is the customer's private data, so it never reaches a log.
impl std::fmt::Debug for Referral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Referral(…)")
    }
}

/// A reaction to a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// The person who reacted.
    pub author: Author,
    /// One emoji; empty when the reaction was taken back.
    pub emoji: String,
    /// The time of the reaction.
    pub at: Timestamp,
}

/// A reaction is a customer's words, so its emoji never reaches a log.
impl std::fmt::Debug for Reaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reaction").field("author", &self.author).finish_non_exhaustive()
    }
}

/// The content of a message before an edit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The time of the edit.
    pub at: Timestamp,
    /// The content until then.
    pub before: Content,
}

/// The content of a message, without its attachments.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// A text.
    Text {
        /// The text itself.
        body: String,
    },
    /// One or more attachments, with or without a caption.
    Media {
        /// The caption; may be empty.
        caption: String,
    },
    /// A location.
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
    /// A button that the customer pressed.
    Button {
        /// The button's label.
        text: String,
        /// The payload that the sender of the button attached to it.
        payload: Option<String>,
    },
    /// A choice from a list.
    ListReply {
        /// The row's id.
        id: String,
        /// The row's title.
        title: String,
        /// The text below the row's title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// Contact cards.
    Contacts {
        /// The cards, one or more.
        cards: Vec<ContactCard>,
    },
    /// The answers of a form that the customer filled in (a WhatsApp Flow).
    Form {
        /// The form's name.
        name: Option<String>,
        /// The label beside the form.
        text: String,
        /// The answers, as the JSON text that the provider sent.
        answers: String,
    },
    /// An approved template, the only kind that may be sent outside the 24-hour service window.
    Template(ApprovedTemplate),
    /// A reaction that an agent sends to another message. A customer's reaction is stored with the message itself
    /// ([`Message::reactions`]), unless that message is not known here.
    Reaction {
        /// The provider's id of the other message.
        message: String,
        /// One emoji; empty to take the reaction back.
        emoji: String,
    },
    /// A report from the provider about the customer, such as a changed number or identity.
    System {
        /// The report in words.
        body: String,
    },
    /// A note by an agent or a supervisor for colleagues. It is never sent to the provider.
    Note {
        /// The text of the note.
        body: String,
    },
    /// A kind of content that this version does not know. The raw event is kept.
    Unsupported {
        /// The provider's name of the kind.
        kind: String,
        /// The provider's explanation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// One contact card.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ContactCard {
    /// The displayed name.
    pub name: String,
    /// Phone numbers as the sender wrote them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<String>,
    /// Email addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// The company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}

impl Content {
    /// Whether the content may be sent outside the 24-hour service window.
    pub fn is_template(&self) -> bool {
        matches!(self, Content::Template(_))
    }

    /// Whether the content is for colleagues only.
    pub fn is_note(&self) -> bool {
        matches!(self, Content::Note { .. })
    }

    /// The name of the content's kind, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Text { .. } => "text",
            Content::Media { .. } => "media",
            Content::Location { .. } => "location",
            Content::Button { .. } => "button",
            Content::ListReply { .. } => "list_reply",
            Content::Contacts { .. } => "contacts",
            Content::Form { .. } => "form",
            Content::Template(_) => "template",
            Content::Reaction { .. } => "reaction",
            Content::System { .. } => "system",
            Content::Note { .. } => "note",
            Content::Unsupported { .. } => "unsupported",
        }
    }

    /// The text that a person would read, on one line or more; empty for media without a caption.
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
            Content::Contacts { cards } => {
                let cards: Vec<_> = cards
                    .iter()
                    .map(|card| std::iter::once(&card.name).chain(&card.phones).chain(&card.emails).cloned().collect::<Vec<_>>().join(" "))
                    .collect();
                format!("[contact {}]", cards.join(", "))
            }
            Content::Form { text, answers, .. } => format!("{text} {answers}"),
            Content::Template(template) => {
                let mut text = format!("[template {}]", template.name);
                for parameter in &template.body {
                    text.push(' ');
                    text.push_str(parameter.text());
                }
                text
            }
            Content::Reaction { emoji, .. } if emoji.is_empty() => "[reaction removed]".to_owned(),
            Content::Reaction { emoji, .. } => emoji.clone(),
            Content::System { body } | Content::Note { body } => body.clone(),
            Content::Unsupported { kind, detail: None } => format!("[unsupported: {kind}]"),
            Content::Unsupported { kind, detail: Some(detail) } => format!("[unsupported: {kind}] {detail}"),
        }
    }
}

/// Customers' words never reach a log.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::Text { .. } => "Text(…)",
            Content::Media { .. } => "Media(…)",
            Content::Location { .. } => "Location(…)",
            Content::Button { .. } => "Button(…)",
            Content::ListReply { .. } => "ListReply(…)",
            Content::Contacts { .. } => "Contacts(…)",
            Content::Form { .. } => "Form(…)",
            Content::Template(_) => "Template(…)",
            Content::Reaction { .. } => "Reaction(…)",
            Content::System { .. } => "System(…)",
            Content::Note { .. } => "Note(…)",
            Content::Unsupported { .. } => "Unsupported(…)",
        })
    }
}

/// A file of a message, with the state of our copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file's place at the provider (an address or a media id).
    pub source: String,
    /// The type that the provider declares, e.g. `image/jpeg`.
    pub content_type: String,
    /// The file's name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// WhatsApp's kind of file, where the provider gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// SHA-256 of the bytes in lower-case hex, where the provider declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The state of our copy.
    pub copy: Copy,
}

/// WhatsApp's kinds of file.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A recording that is sent as a file.
    Audio,
    /// A voice note.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
}

impl AttachmentKind {
    /// The kind in which a file of this content type is sent. WebP is a sticker on WhatsApp, since pictures are JPEG
    /// or PNG.
    pub fn of_type(content_type: &str) -> Self {
        let base = essence(content_type);
        match base.split('/').next().unwrap_or_default() {
            "image" if base == "image/webp" => Self::Sticker,
            "image" if base == "image/jpeg" || base == "image/png" => Self::Image,
            "video" => Self::Video,
            "audio" => Self::Audio,
            _ => Self::Document,
        }
    }
}

/// Our copy of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Copy {
    /// The file is not copied yet.
    Pending,
    /// The copy is in the deployment's bucket.
    Stored {
        /// The object's key.
        key: String,
        /// The size in bytes.
        size: u64,
        /// The type found in the bytes, else the declared one.
        content_type: String,
    },
    /// Copying was given up.
    Failed {
        /// The reason in words, for the agent.
        reason: String,
    },
}

/// The delivery of a sent message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The state. It only moves forwards.
    pub state: DeliveryState,
    /// The time at which the message reached that state.
    pub since: Timestamp,
    /// The reason for a failure or an unknown outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// How often the provider refused the message for a temporary reason.
    #[serde(default)]
    pub attempts: u32,
}

/// States of a sent message, in the order in which they may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The message waits to be sent.
    Queued,
    /// The message is claimed. The provider is being called, or was being called when the process died.
    Sending,
    /// The provider was called, but its answer is missing, so it may or may not have the message. Only a report from
    /// the provider or a person's decision changes this state.
    Unknown,
    /// The provider accepted the message.
    Accepted,
    /// The message is on its way to the customer.
    Sent,
    /// The message is on the customer's device.
    Delivered,
    /// The customer has read the message.
    Read,
    /// The message will not arrive.
    Failed,
}

impl DeliveryState {
    /// Whether a report of `next` moves on a message that is in `self`. Reports arrive repeatedly and in any order,
    /// so equal or lower ones change nothing. A failure counts until the customer's device has confirmed the
    /// message. After a failure no report counts.
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

/// The error of a message, in terms common to all providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryError {
    /// The class that decides what happens next.
    pub class: ErrorClass,
    /// The provider's own code, e.g. `63016`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The common classes to which every provider's error codes map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The 24-hour service window is over. Only an approved template may be sent.
    WindowExpired,
    /// The provider's rate limit was reached. The message may be tried again later.
    RateLimited,
    /// The number has no WhatsApp user.
    InvalidRecipient,
    /// The customer can't be reached now.
    Undeliverable,
    /// The template is missing or paused, or has other parameters.
    Template,
    /// The provider refused the attachment.
    Media,
    /// The provider refused the credentials or the number.
    Authentication,
    /// The provider has a temporary fault and certainly did not send the message. It may be tried again.
    Temporary,
    /// The provider refused the message permanently.
    Permanent,
    /// The message may or may not have been sent.
    OutcomeUnknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryState::*;

    const ALL: [DeliveryState; 8] = [Queued, Sending, Unknown, Accepted, Sent, Delivered, Read, Failed];

    #[test]
    fn states_only_move_forwards_in_any_order_of_reports() {
        // A state can't be reached again once the message has left it.
        for start in ALL {
            for mid in ALL.into_iter().filter(|mid| start.moves_to(*mid)) {
                assert!(!mid.moves_to(start), "{start:?} → {mid:?} → {start:?}");
            }
            assert!(!start.moves_to(start));
        }
    }

    fn text(body: &str) -> Content {
        Content::Text { body: body.to_owned() }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_customers_newest_reaction_stands_in_any_order_of_arrival() {
        let reactions = [(Some("👍"), 1), (Some("❤️"), 2), (None, 3)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut message = crate::fixtures::message(second(0));
            for index in order {
                let (emoji, at) = reactions[index];
                message.reacted(emoji, second(at));
                assert!(!message.reacted(emoji, second(at)) && message.reactions.len() == 1);
            }
            assert_eq!(message.standing_reactions().count(), 0, "{order:?}");
        }
        let mut message = crate::fixtures::message(second(0));
        assert!(message.reacted(Some("👍"), second(5)) && !message.reacted(None, second(4)));
        assert_eq!(message.standing_reactions().map(|reaction| reaction.emoji.as_str()).collect::<Vec<_>>(), ["👍"]);
    }

    #[test]
    fn the_latest_edit_stands_in_any_order_of_arrival() {
        for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let mut message = crate::fixtures::message(second(0));
            for number in order {
                assert!(message.edited(text(&number.to_string()), second(number)));
                assert!(!message.edited(text(&number.to_string()), second(number)), "{order:?}");
            }
            assert_eq!(message.content, text("3"));
            let before: Vec<_> = message.edits.iter().map(|edit| edit.before.readable()).collect();
            assert_eq!(before, ["Buongiorno", "1", "2"], "{order:?}");
        }
    }

    #[test]
    fn a_message_edited_often_keeps_its_first_words_and_a_small_item() {
        let mut message = crate::fixtures::message(second(0));
        for number in 1..=100 {
            message.edited(text(&number.to_string()), second(number));
        }
        assert_eq!((message.edits.len(), message.edits[0].before.readable().as_str()), (EDITS_KEPT, "Buongiorno"));
        assert_eq!(message.content, text("100"));
    }

    #[test]
    fn a_deleted_message_keeps_its_content() {
        let mut message = crate::fixtures::message(second(0));
        assert!(message.deleted(second(2)) && !message.deleted(second(3)));
        assert_eq!((message.deleted_at, message.content.readable().as_str()), (Some(second(2)), "Buongiorno"));
    }

    #[test]
    fn a_failure_reported_after_delivery_changes_nothing() {
        assert!(!Delivered.moves_to(Failed));
        assert!(!Read.moves_to(Failed));
        assert!(Sent.moves_to(Failed));
        assert!(!Failed.moves_to(Delivered));
    }

    #[test]
    fn a_report_from_the_provider_settles_an_unknown_outcome() {
        for word in [Accepted, Sent, Delivered, Read, Failed] {
            assert!(Unknown.moves_to(word));
        }
        assert!(!Unknown.moves_to(Sending));
    }
}
