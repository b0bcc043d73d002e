//! Messages of an interaction, what they hold, and how far the provider has got with the sent ones.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, InteractionId, MessageId};
use crate::values::to_millisecond;

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
    /// Our id of the message that this one answers or reacts to, where it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<MessageId>,
    /// Whether the customer forwarded it from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The advertisement or post that led the customer here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Reactions, at most one of each side; one with no emoji was taken back, and is kept so that an older one that comes late does not come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// What it said before the customer edited it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// When the customer deleted it on their side; what it said is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// How far it has got; `None` for what the customer wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// A hundred edits of a long text would fill an item (400 KB): the first and the latest of what was said before are kept, 20 times at most 16 KB (4096
/// characters of 4 bytes).
const EDITS_KEPT: usize = 20;

impl Message {
    /// A message in its first version, with nothing but its content. The thread's clock has milliseconds, so that a message and its key agree.
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
            forwarded: false,
            referral: None,
            reactions: Vec::new(),
            edits: Vec::new(),
            deleted_at: None,
            delivery: None,
        }
    }

    /// The message on its way to the customer.
    #[must_use]
    pub fn queued(self, since: Timestamp) -> Self {
        Self { delivery: Some(Delivery { state: DeliveryState::Queued, since, error: None, attempts: 0 }), ..self }
    }

    /// Reactions that stand.
    pub fn standing_reactions(&self) -> impl Iterator<Item = &Reaction> {
        self.reactions.iter().filter(|reaction| !reaction.emoji.is_empty())
    }

    /// The customer reacts with `emoji`, or takes the reaction back. The newest counts, in whatever order they come. Tells whether anything changed.
    pub fn reacted(&mut self, emoji: Option<&str>, at: Timestamp) -> bool {
        let reaction = Reaction { author: Author::Customer, emoji: emoji.unwrap_or_default().to_owned(), at };
        match self.reactions.iter_mut().find(|reaction| reaction.author == Author::Customer) {
            Some(known) if known.at > at || *known == reaction => return false,
            Some(known) => *known = reaction,
            None => self.reactions.push(reaction),
        }
        true
    }

    /// The customer edited it: it says `content` since `at`. An edit that is overtaken by a later one goes into the history alone. Tells whether anything
    /// changed.
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

    /// The customer deleted it; what it said is kept. Tells whether anything changed.
    pub fn deleted(&mut self, at: Timestamp) -> bool {
        let deleted_at = self.deleted_at.map_or(at, |known| known.min(at));
        self.deleted_at.replace(deleted_at) != Some(deleted_at)
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// The customer.
    Customer,
    /// An agent, by hand.
    Agent {
        /// Which one.
        agent: AgentId,
    },
    /// The service itself: what the provider reports about the customer.
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
    /// The provider's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// Its headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The address of its picture or video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// The id of the click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
}

/// Which campaign a customer answered is theirs; never in a log.
impl std::fmt::Debug for Referral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Referral(…)")
    }
}

/// A reaction that stands at a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// Whose.
    pub author: Author,
    /// One emoji; empty: taken back.
    pub emoji: String,
    /// Since when.
    pub at: Timestamp,
}

/// A reaction is what a customer says.
impl std::fmt::Debug for Reaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reaction").field("author", &self.author).finish_non_exhaustive()
    }
}

/// What a message said before it was edited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// When it was edited.
    pub at: Timestamp,
    /// What it said until then.
    pub before: Content,
}

/// What a message holds beside its attachments.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
        /// The text below the title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// Contact cards.
    Contacts {
        /// One or more.
        cards: Vec<ContactCard>,
    },
    /// The answers of a form that the customer filled in (a WhatsApp Flow).
    Form {
        /// The form's name.
        name: Option<String>,
        /// The label beside it.
        text: String,
        /// The answers, as the JSON text that came.
        answers: String,
    },
    /// An approved template: the one kind that may be sent outside the 24-hour service window.
    Template(ApprovedTemplate),
    /// A reaction to another message: what an agent sends. What customers send stands at the message itself ([`Message::reactions`]), unless that message is
    /// not known here.
    Reaction {
        /// The provider's id of the message.
        message: String,
        /// One emoji; empty: the reaction is taken back.
        emoji: String,
    },
    /// What the provider reports about the customer: a changed number, a changed identity.
    System {
        /// In words.
        body: String,
    },
    /// What an agent or a supervisor wrote for colleagues: no provider is ever given it.
    Note {
        /// The text.
        body: String,
    },
    /// A kind that this version does not know; the raw event is kept.
    Unsupported {
        /// The provider's name of the kind.
        kind: String,
        /// What the provider says about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// One contact card.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ContactCard {
    /// The name as it is shown.
    pub name: String,
    /// Phone numbers as they were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<String>,
    /// Mail addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// Company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}

/// An approved template with its parameters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovedTemplate {
    /// Its name with the provider; where templates have ids instead of names, the id.
    pub name: String,
    /// Its language, e.g. `it` or `en_US`; empty where the id says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// What stands in its header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TemplateHeader>,
    /// The body's parameters, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<String>,
    /// The buttons' parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<TemplateButton>,
}

/// What is filled in never reaches a log.
impl std::fmt::Debug for ApprovedTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("name", &self.name).field("language", &self.language).finish_non_exhaustive()
    }
}

/// The parameter of a template's header.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TemplateHeader {
    /// A text.
    Text {
        /// What is filled in.
        text: String,
    },
    /// A picture.
    Image {
        /// A public https address.
        url: String,
    },
    /// A video.
    Video {
        /// A public https address.
        url: String,
    },
    /// A document.
    Document {
        /// A public https address.
        url: String,
        /// The file's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// The parameter of one of a template's buttons.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateButton {
    /// Its place, from 0.
    pub index: u32,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: TemplateButtonKind,
    /// The payload that comes back, or what is appended to the address.
    pub value: String,
}

/// What a template's button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TemplateButtonKind {
    /// Answers with a payload.
    QuickReply,
    /// Opens an address.
    Url,
}

impl Content {
    /// Whether it may be sent outside the 24-hour service window.
    pub fn is_template(&self) -> bool {
        matches!(self, Content::Template(_))
    }

    /// Whether it is for colleagues only.
    pub fn is_note(&self) -> bool {
        matches!(self, Content::Note { .. })
    }

    /// The name of its kind, as it is stored.
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
                    text.push_str(parameter);
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

/// What customers write never reaches a log.
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
    /// What WhatsApp calls it, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// SHA-256 of the bytes in lower-case hex, where the provider declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Our copy.
    pub copy: Copy,
}

/// What WhatsApp calls a file.
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
    /// What a file of this type is sent as. WebP is a sticker on WhatsApp, since pictures are JPEG or PNG.
    pub fn of_type(content_type: &str) -> Self {
        let base = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryError {
    /// The class that decides what happens next.
    pub class: ErrorClass,
    /// The provider's own code, e.g. `63016`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The common set that every provider's error codes map to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

    fn text(body: &str) -> Content {
        Content::Text { body: body.to_owned() }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn of_the_customers_reactions_the_newest_stands_in_whatever_order_they_come() {
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
    fn edits_end_with_the_latest_in_whatever_order_they_come() {
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
    fn however_often_a_message_is_edited_its_first_words_are_kept_and_its_item_stays_small() {
        let mut message = crate::fixtures::message(second(0));
        for number in 1..=100 {
            message.edited(text(&number.to_string()), second(number));
        }
        assert_eq!((message.edits.len(), message.edits[0].before.readable().as_str()), (EDITS_KEPT, "Buongiorno"));
        assert_eq!(message.content, text("100"));
    }

    #[test]
    fn a_deleted_message_keeps_what_it_said() {
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
    fn an_unknown_outcome_is_settled_by_the_providers_word() {
        for word in [Accepted, Sent, Delivered, Read, Failed] {
            assert!(Unknown.moves_to(word));
        }
        assert!(!Unknown.moves_to(Sending));
    }
}
