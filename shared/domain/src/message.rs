//! Messages of an interaction, their content, and the delivery state of sent ones.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, AiAgentId, ClaimId, InteractionId, MessageId, QueueId};
use crate::language::Rendering;
use crate::media_type::essence;
use crate::pricing::Charge;
pub use crate::template::{ApprovedTemplate, TemplateButton, TemplateButtonKind, TemplateCard, TemplateHeader, TemplateParameter};
use crate::values::{Address, ClientId, to_millisecond};

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
    /// The address from which the customer wrote it. Messages of the version before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// The address to which it is sent: the one that the customer wrote from last when the message was written. A
    /// later change of address doesn't turn the message to somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
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
    /// The id that the client gave it which sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Whether the customer forwarded it from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// Words that came beside a content that has no place for them, such as a text beside a location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Whether a text of the message is not whole: it was longer than [`LONGEST_TEXT`], or this is a short form.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What it says in the agents' language, if it was translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<Rendering>,
    /// The product that the customer asks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// The advertisement or post that led the customer to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Where the message was written, if not through this deployment. With [`Author::System`] the business wrote it
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whether a message from elsewhere came without proof: anybody who knows the account's Receive URL may have made
    /// it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
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
    /// The queue through which the agent who wrote it had the interaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueId>,
    /// What the provider has said about its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// The decision that brought the message, if the message says all that its history entry would say
    /// ([`crate::history::entry_of`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// The webhooks' events that made or changed it, if they are not named by `provider_id`; the latest of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// A decision about an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Its time.
    pub at: Timestamp,
    /// The version of the interaction that it made.
    pub version: u64,
}

/// How many events a message names. A customer may react and edit without end; events themselves are kept 30 days.
const MOST_EVENTS: usize = 100;

/// The longest text of WhatsApp's clients, in characters (Unicode scalar values). A longer one is cut, and says so.
pub const LONGEST_TEXT: usize = 65_536;

/// The room for all texts of a message's contents, in bytes: the longest text with characters of four bytes takes
/// 262,144. With attachments, an advertisement and ids (90 KB at most) the item stays below DynamoDB's 400 KB.
pub const CONTENT_ROOM: usize = 300_000;

/// The beginning of a text that feeds, sockets and notices carry, in bytes: more than a screen shows. The message
/// itself has all.
pub const SHORT: usize = 4 * 1024;

/// Limit on the edits that are kept: the first one and the latest ones.
const EDITS_KEPT: usize = 20;

/// The room for the texts of a message and of its edits, in bytes. Beyond it the longest earlier texts are cut.
const EDITED_ROOM: usize = CONTENT_ROOM + 40_000;

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
            from: None,
            to: None,
            content,
            attachments: Vec::new(),
            reply_to: None,
            answers: None,
            again_of: None,
            client_id: None,
            forwarded: false,
            words: None,
            cut: false,
            translation: None,
            product: None,
            referral: None,
            origin: None,
            unproven: false,
            reactions: Vec::new(),
            edits: Vec::new(),
            deleted_at: None,
            delivery: None,
            queue: None,
            charge: None,
            decided: None,
            events: Vec::new(),
        }
    }

    /// Notes that a webhook's event made or changed the message, so that a deletion finds the event. One that is named
    /// like the message at the provider is found by that.
    pub fn came_with(&mut self, event: &str) {
        if self.provider_id.as_deref() == Some(event) || self.events.iter().any(|known| known == event) {
            return;
        }
        if self.events.len() >= MOST_EVENTS {
            self.events.remove(0);
        }
        self.events.push(event.to_owned());
    }

    /// The message, waiting to be sent to the customer at this address.
    #[must_use]
    pub fn queued(self, since: Timestamp, to: &Address) -> Self {
        let delivery = Delivery { state: DeliveryState::Queued, since, error: None, attempts: 0, claim: None };
        Self { to: Some(to.clone()), delivery: Some(delivery), ..self }
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
        self.edited_to(content, false, at)
    }

    /// As [`edited`](Self::edited), to a content that may have been `cut`.
    pub fn edited_to(&mut self, content: Content, cut: bool, at: Timestamp) -> bool {
        match self.edits.iter().position(|edit| edit.at > at) {
            Some(place) => {
                if place.checked_sub(1).is_some_and(|before| self.edits[before].at == at) {
                    return false;
                }
                let before = std::mem::replace(&mut self.edits[place].before, content);
                let cut = std::mem::replace(&mut self.edits[place].cut, cut);
                self.edits.insert(place, Edit { at, before, cut });
            }
            None if self.content == content => return false,
            None => {
                let before = std::mem::replace(&mut self.content, content);
                let cut = std::mem::replace(&mut self.cut, cut);
                self.edits.push(Edit { at, before, cut });
                // It translates what is no longer there.
                self.translation = None;
            }
        }
        if self.edits.len() > EDITS_KEPT {
            self.edits.remove(1);
        }
        self.fit_edits();
        true
    }

    /// About how many bytes the message takes where it is shown: its texts, and some for everything else.
    pub fn weight(&self) -> usize {
        /// Ids, times, states and a file or two.
        const REST: usize = 1_000;
        self.content.weight()
            + self.words.as_deref().map_or(0, weight)
            + self.translation.as_ref().map_or(0, |translation| weight(&translation.text))
            + REST
    }

    /// Cuts the longest earlier texts if an item could not hold all. Each says that it was cut.
    fn fit_edits(&mut self) {
        let own = self.content.weight() + self.words.as_deref().map_or(0, weight);
        let room = EDITED_ROOM.saturating_sub(own);
        loop {
            let weights = self.edits.iter().map(|edit| edit.before.weight());
            let excess = weights.sum::<usize>().saturating_sub(room);
            let Some(longest) = self.edits.iter_mut().max_by_key(|edit| edit.before.weight()).filter(|_| excess > 0) else { return };
            let mut left = longest.before.weight().saturating_sub(excess);
            longest.cut |= longest.before.limit(&mut left);
        }
    }

    /// The message as feeds and sockets carry it: with the beginning of its texts, and its latest edit only.
    #[must_use]
    pub fn short(&self) -> Self {
        let mut edits: Vec<Edit> = Vec::new();
        if let Some(edit) = self.edits.last() {
            let mut before = edit.before.clone();
            let cut = before.limit(&mut { SHORT }) || edit.cut;
            edits.push(Edit { at: edit.at, before, cut });
        }
        let mut short = Self { edits, ..self.clone() };
        let mut room = SHORT;
        let cut = short.content.limit(&mut room) | short.words.as_mut().is_some_and(|words| limit(words, &mut room));
        short.cut |= cut;
        // Half a translation would pass for the whole one.
        short.translation = short.translation.filter(|translation| translation.text.len() <= SHORT);
        short
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
    /// An AI agent. The version before does not know it, and has none that answers.
    Ai {
        /// The AI agent's id.
        ai_agent: AiAgentId,
        /// Its name when it wrote.
        name: String,
    },
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

impl Referral {
    /// Its texts, in the order in which a person reads them.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let Self { source_type, source_id, source_url, headline, body, media_url, click_id } = self;
        [source_type, headline, body, source_url, source_id, media_url, click_id].into_iter().flatten().map(String::as_str)
    }
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
    /// Whether a text of it is not whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// The product of a catalogue that a message is about.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Product {
    /// The seller's own id of the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retailer_id: Option<String>,
    /// The catalogue's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
}

/// A customer's interests never reach a log.
impl std::fmt::Debug for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Product(…)")
    }
}

/// The place outside this deployment where a message was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The business's own WhatsApp app, on the same number.
    PhoneApp,
    /// Another system on the same number.
    OtherSystem,
    /// The chats from before the number was connected.
    History,
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
        /// The place's page on the web.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
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
        /// The customer's words, if there are any, and the provider's explanation.
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
    /// The department in the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The title in the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The birthday, as the sender wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
    /// What is known of some of `phones` and `emails`, and of pages on the web.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<CardDetail>,
    /// Postal addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<CardAddress>,
}

/// A phone, an e-mail address or a page of a contact card, with its type.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CardDetail {
    /// `phone`, `email` or `url`.
    pub of: String,
    /// The number or address; for a phone or an e-mail address as in `phones` or `emails`.
    pub value: String,
    /// The sender's word for it, e.g. `WORK`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// WhatsApp's id of a phone number that is on WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
}

/// A postal address of a contact card.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CardAddress {
    /// The sender's word for it, e.g. `HOME`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// The postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// The city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The state or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The country's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
}

impl ContactCard {
    /// All its texts.
    fn texts_mut(&mut self) -> Vec<&mut String> {
        let mut texts: Vec<&mut String> = vec![&mut self.name];
        texts.extend(self.phones.iter_mut().chain(&mut self.emails));
        texts.extend([&mut self.organization, &mut self.department, &mut self.title, &mut self.birthday].into_iter().flatten());
        for CardDetail { of, value, kind, wa_id } in &mut self.details {
            texts.extend([of, value]);
            texts.extend([kind, wa_id].into_iter().flatten());
        }
        for CardAddress { kind, street, zip, city, state, country, country_code } in &mut self.addresses {
            texts.extend([kind, street, zip, city, state, country, country_code].into_iter().flatten());
        }
        texts
    }

    /// Its texts in the order in which a person reads them, each once.
    fn readable(&self) -> String {
        let mut parts: Vec<&str> = vec![&self.name];
        parts.extend(self.phones.iter().chain(&self.emails).map(String::as_str));
        parts.extend([&self.title, &self.department, &self.organization, &self.birthday].into_iter().flatten().map(String::as_str));
        for CardDetail { value, wa_id, .. } in &self.details {
            parts.extend(std::iter::once(value).chain(wa_id).map(String::as_str));
        }
        for CardAddress { kind: _, street, zip, city, state, country, country_code } in &self.addresses {
            let country = country.as_ref().or(country_code.as_ref());
            parts.extend([street, zip, city, state].into_iter().flatten().chain(country).map(String::as_str));
        }
        let mut shown: Vec<&str> = Vec::new();
        for part in parts {
            if !part.is_empty() && !shown.contains(&part) {
                shown.push(part);
            }
        }
        shown.join(" ")
    }
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

    /// Cuts the texts to [`LONGEST_TEXT`] each and to `room` bytes together, which shrinks by what they take. Returns
    /// whether anything was cut.
    pub fn limit(&mut self, room: &mut usize) -> bool {
        let mut cut = false;
        for text in self.texts_mut() {
            cut |= limit(text, room);
        }
        if let (Content::Contacts { cards }, true) = (&mut *self, cut) {
            // A short form must not consist of empty cards.
            for card in &mut *cards {
                card.phones.retain(|phone| !phone.is_empty());
                card.emails.retain(|email| !email.is_empty());
                card.details.retain(|detail| !detail.value.is_empty());
                card.addresses.retain_mut(|address| {
                    let CardAddress { street, zip, city, state, country, country_code, .. } = address;
                    [street, zip, city, state, country, country_code].into_iter().flatten().any(|text| !text.is_empty())
                });
            }
            let named = |card: &ContactCard| !card.name.is_empty() || !card.phones.is_empty() || !card.emails.is_empty();
            cards.retain(named);
        }
        cut
    }

    /// The bytes that the texts take, as [`limit`](Self::limit) counts them.
    pub fn weight(&self) -> usize {
        self.clone().texts_mut().into_iter().map(|text| weight(text)).sum()
    }

    /// All texts that somebody wrote, or that are of no certain length.
    fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Content::Text { body } | Content::System { body } | Content::Note { body } => vec![body],
            Content::Media { caption } => vec![caption],
            Content::Location { label, address, url, .. } => [label, address, url].into_iter().flatten().collect(),
            Content::Button { text, payload } => std::iter::once(text).chain(payload).collect(),
            Content::ListReply { id, title, description } => [title, id].into_iter().chain(description).collect(),
            Content::Contacts { cards } => cards.iter_mut().flat_map(ContactCard::texts_mut).collect(),
            Content::Form { name, text, answers } => [text, answers].into_iter().chain(name).collect(),
            Content::Reaction { message, emoji } => vec![emoji, message],
            Content::Unsupported { kind, detail } => std::iter::once(kind).chain(detail).collect(),
            // A template is the business's own, and the provider limits it.
            Content::Template(_) => Vec::new(),
        }
    }

    /// The text that a person would read, on one line or more; empty for media without a caption.
    pub fn readable(&self) -> String {
        match self {
            Content::Text { body } => body.clone(),
            Content::Media { caption } => caption.clone(),
            Content::Location { latitude, longitude, label, address, url } => {
                let mut text = format!("[location {latitude}, {longitude}]");
                for part in [label, address, url].into_iter().flatten() {
                    text.push(' ');
                    text.push_str(part);
                }
                text
            }
            Content::Button { text, .. } => text.clone(),
            Content::ListReply { title, .. } => title.clone(),
            Content::Contacts { cards } => {
                let cards: Vec<_> = cards.iter().map(ContactCard::readable).collect();
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

/// Cuts a text to [`LONGEST_TEXT`] characters and to `room` bytes, which shrinks by what it takes. Returns whether it
/// was cut.
pub fn limit(text: &mut String, room: &mut usize) -> bool {
    // Most texts are short, and need no count.
    if text.len() * 4 <= *room && text.len() <= LONGEST_TEXT {
        *room -= weight(text);
        return false;
    }
    let mut end = 0;
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST_TEXT || weight_of(c) > *room {
            break;
        }
        *room -= weight_of(c);
        end += c.len_utf8();
    }
    let cut = end < text.len();
    text.truncate(end);
    cut
}

/// The bytes that a text takes.
fn weight(text: &str) -> usize {
    text.chars().map(weight_of).sum()
}

/// A control character takes six bytes in JSON. At the weight of the largest character, a text's JSON is at most
/// half as long again as its weight.
fn weight_of(c: char) -> usize {
    if c.is_control() { 4 } else { c.len_utf8() }
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
        /// What its bytes tell of its size on a screen. Copies of the version before have none.
        #[serde(default, skip_serializing_if = "Measures::is_empty")]
        measures: Measures,
        /// Whether a small picture of it is beside it, under [`thumbnail_key`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        thumbnail: bool,
    },
    /// Copying was given up.
    Failed {
        /// The reason in words, for the agent.
        reason: String,
    },
}

/// How large a picture is and how long a recording plays, if the file's bytes tell.
#[derive(Debug, Clone, std::marker::Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Measures {
    /// The width of a picture, sticker or video in pixels, as a viewer shows it: turned as its camera was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels. A file has both or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How long a recording or video plays, in whole seconds; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u32>,
}

impl Measures {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The key of the small picture of the object `key`. It begins like the key, so what deletes the files of an
/// interaction deletes it, too.
pub fn thumbnail_key(key: &str) -> String {
    format!("{key}.thumbnail")
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
    /// In the state [`Sending`](DeliveryState::Sending): the attempt that claimed the message. Claims of the version
    /// before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimId>,
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

    /// Whether agents are told at once that a message went from `before` to `self`. On the way to the customer they
    /// would learn nothing that they act on, unless it ends a doubt: they may send an unknown message again.
    pub fn is_news(self, before: Option<DeliveryState>) -> bool {
        match self {
            DeliveryState::Sending => false,
            DeliveryState::Accepted | DeliveryState::Sent => before == Some(DeliveryState::Unknown),
            DeliveryState::Queued | DeliveryState::Unknown | DeliveryState::Delivered | DeliveryState::Read | DeliveryState::Failed => true,
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

    #[test]
    fn a_copy_of_the_version_before_has_no_measures_and_one_without_them_has_its_form() {
        let before = r#"{"state":"stored","key":"media/x","size":7,"content_type":"image/png"}"#;
        let copy: Copy = serde_json::from_str(before).unwrap();
        assert!(matches!(&copy, Copy::Stored { measures, thumbnail: false, .. } if measures.is_empty()));
        assert_eq!(serde_json::to_string(&copy).unwrap(), before);
        let measures = Measures { width: Some(4), height: Some(3), duration: None };
        let copy = Copy::Stored { key: "k".into(), size: 7, content_type: "image/png".into(), measures, thumbnail: true };
        let now = serde_json::to_value(&copy).unwrap();
        assert_eq!((&now["measures"], &now["thumbnail"]), (&serde_json::json!({"width": 4, "height": 3}), &true.into()));
        assert_eq!(serde_json::from_value::<Copy>(now).unwrap(), copy);
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
    fn a_text_of_whatsapps_full_length_is_whole_in_its_item_and_short_in_news() {
        for c in ["\u{1f600}", "\u{1}", "ü", "\"", "a"] {
            let mut content = text(&c.repeat(LONGEST_TEXT));
            assert!(!content.limit(&mut { CONTENT_ROOM }), "{c}");
            assert_eq!(content, text(&c.repeat(LONGEST_TEXT)));
            assert!(serde_json::to_string(&content).unwrap().len() < 512 * 1024);
            let message = Message { content, ..crate::fixtures::message(second(0)) };
            let short = message.short();
            assert!(short.cut && !message.cut);
            let Content::Text { body } = &short.content else { panic!("another content") };
            assert!(body.len() <= SHORT && weight(body) > SHORT - 4, "{c}");
            assert!(serde_json::to_string(&short).unwrap().len() < 32 * 1024);
        }
        let mut longer = text(&"a".repeat(LONGEST_TEXT + 1));
        assert!(longer.limit(&mut { CONTENT_ROOM }));
        assert_eq!(longer, text(&"a".repeat(LONGEST_TEXT)));
        let plain = crate::fixtures::message(second(0));
        assert_eq!(plain.short(), plain);
    }

    #[test]
    fn all_texts_of_a_content_share_one_room() {
        let mut form = Content::Form { name: Some("f".repeat(40_000)), text: "t".repeat(60_000), answers: "ü".repeat(65_536) };
        assert!(!form.clone().limit(&mut { CONTENT_ROOM }));
        assert!(form.limit(&mut { 100_000 }));
        assert_eq!(form.weight(), 100_000);
        let phones: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let card = ContactCard { name: "Anna".into(), phones, ..ContactCard::default() };
        let mut cards = Content::Contacts { cards: vec![card; 300] };
        assert!(cards.limit(&mut { SHORT }));
        let Content::Contacts { cards } = &cards else { panic!("another content") };
        assert!((1..10).contains(&cards.len()) && cards[0].phones.len() == 1_000);
    }

    #[test]
    fn a_message_with_long_edits_fits_its_item_and_says_what_was_cut() {
        let long = |n: i64| text(&format!("{n}{}", "\u{1f600}".repeat(LONGEST_TEXT - 1)));
        let mut message = Message { content: long(0), ..crate::fixtures::message(second(0)) };
        for n in 1..=5 {
            assert!(message.edited(long(n), second(n)));
        }
        assert_eq!((&message.content, message.cut), (&long(5), false));
        assert!(message.edits.iter().all(|edit| edit.cut));
        let all: usize = message.edits.iter().map(|edit| edit.before.weight()).sum();
        assert!(all + message.content.weight() <= EDITED_ROOM);
        // Texts of a usual length keep all their edits.
        let mut usual = crate::fixtures::message(second(0));
        for n in 1..=10 {
            usual.edited(text(&format!("{n}{}", "a".repeat(20_000))), second(n));
        }
        assert!(usual.edits.iter().all(|edit| !edit.cut) && usual.edits.len() == 10);
    }

    #[test]
    fn what_the_version_before_stored_is_read() {
        let card: ContactCard = serde_json::from_str(r#"{"name":"Anna","phones":["+39 1"],"organization":"Esempio"}"#).unwrap();
        assert_eq!((card.name.as_str(), card.details.len()), ("Anna", 0));
        let place = r#"{"type":"location","latitude":1.5,"longitude":2.5,"label":null,"address":null}"#;
        let place: Content = serde_json::from_str(place).unwrap();
        assert_eq!(place, Content::Location { latitude: 1.5, longitude: 2.5, label: None, address: None, url: None });
        let edit: Edit = serde_json::from_str(r#"{"at":"2026-01-01T00:00:00Z","before":{"type":"text","body":"a"}}"#).unwrap();
        assert!(!edit.cut);
        let claimed = r#"{"state":"sending","since":"2026-01-01T00:00:00Z","attempts":1}"#;
        let claimed: Delivery = serde_json::from_str(claimed).unwrap();
        assert_eq!((claimed.state, claimed.claim.as_ref()), (Sending, None));
        assert!(serde_json::to_value(&claimed).unwrap().get("claim").is_none());
        // A short text is stored as before.
        let stored = serde_json::to_value(crate::fixtures::message(second(0))).unwrap();
        for new in ["words", "cut", "product", "origin"] {
            assert!(stored.get(new).is_none(), "{new}");
        }
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

    #[test]
    fn what_happens_on_the_way_to_the_customer_is_news_only_if_it_ends_a_doubt() {
        use DeliveryState::{Accepted, Delivered, Failed, Queued, Read, Sending, Sent, Unknown};
        for state in [Accepted, Sent] {
            assert!(!state.is_news(None) && !state.is_news(Some(Sending)) && !state.is_news(Some(Queued)));
            assert!(state.is_news(Some(Unknown)));
        }
        assert!(!Sending.is_news(Some(Unknown)));
        assert!([Queued, Unknown, Delivered, Read, Failed].into_iter().all(|state| state.is_news(Some(Sending))));
    }
}
