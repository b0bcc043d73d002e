//! Reads a message's contents: one element of `value.messages[]`, by its type.
//!
//! Sources: Meta, webhook reference of the Cloud API, one page for each type; the recorded updates of
//! `david-lev/pywa`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::inbound::{Annotated, InboundAttachment, ReactionEmoji};
use domain::media_type::{canonical, essence};
use domain::message::{AttachmentKind, ContactCard, Content};
use domain::values::Address;
use serde_json::Value;

use crate::json::{TEXT_LIMIT, VALUE_LIMIT, degrees, id, list, text, value, word, yes};
use crate::{bsuid, phone};

/// The limit for the contact cards of one message, in bytes of all their texts. An event's item must stay far below
/// DynamoDB's 400 KB.
const CARDS_LIMIT: usize = 32 * 1024;

/// The longest kind that is stored, in bytes. Meta's longest has 23.
const KIND_LIMIT: usize = 100;

/// The longest emoji has 35 bytes (a family with skin tones).
const EMOJI_LIMIT: usize = 128;

/// An element of `messages[]`.
pub(crate) enum Element {
    /// A customer's message.
    Message(Content, Option<InboundAttachment>),
    /// An annotation of a message or a customer.
    Annotation(Annotated),
    /// An annotation of this name that doesn't say which message it is about.
    Other(&'static str),
}

/// Reads an element. `from` is the sender.
pub(crate) fn read(message: &Value, from: &Address) -> Element {
    let kind = kind_of(message);
    let annotation = match kind.as_str() {
        "reaction" => reaction(&message["reaction"]).ok_or("reaction"),
        "edit" => edit(&message["edit"]).ok_or("edit"),
        "revoke" => id(&message["revoke"]["original_message_id"]).map(|message| Annotated::Deleted { message }).ok_or("revoke"),
        "system" => Ok(system(&message["system"], from)),
        _ => {
            let (content, attachment) = content(&kind, message);
            return Element::Message(content, attachment);
        }
    };
    annotation.map_or_else(Element::Other, Element::Annotation)
}

/// The message's type, or the type whose object is there.
fn kind_of(message: &Value) -> String {
    const KNOWN: [&str; 9] = ["text", "image", "video", "audio", "document", "sticker", "location", "contacts", "interactive"];
    let inferred = || KNOWN.into_iter().find(|kind| !message[*kind].is_null()).map(str::to_owned);
    text(&message["type"], KIND_LIMIT).or_else(inferred).unwrap_or_else(|| "unknown".to_owned())
}

fn content(kind: &str, message: &Value) -> (Content, Option<InboundAttachment>) {
    let object = &message[kind];
    if let Some(found) = attachment(kind, object) {
        return (Content::Media { caption: text(&object["caption"], TEXT_LIMIT).unwrap_or_default() }, Some(found));
    }
    let content = match kind {
        "text" => text(&object["body"], TEXT_LIMIT).map(|body| Content::Text { body }),
        "location" => place(object),
        "contacts" => cards(object),
        "button" => button(object),
        "interactive" => interactive(object),
        "order" => Some(order(object)),
        _ => None,
    };
    (content.unwrap_or_else(|| unsupported(kind, message)), None)
}

/// A file, if `kind` is one and it can be found: by its id, otherwise by its address, which works for minutes only.
fn attachment(kind: &str, object: &Value) -> Option<InboundAttachment> {
    let kind = match kind {
        "image" => AttachmentKind::Image,
        "video" => AttachmentKind::Video,
        "audio" if yes(&object["voice"]) => AttachmentKind::Voice,
        "audio" => AttachmentKind::Audio,
        "voice" => AttachmentKind::Voice,
        "document" => AttachmentKind::Document,
        "sticker" => AttachmentKind::Sticker,
        _ => return None,
    };
    Some(InboundAttachment {
        source: id(&object["id"]).or_else(|| value(&object["url"])).or_else(|| value(&object["link"]))?,
        content_type: content_type(&object["mime_type"]),
        name: value(&object["filename"]),
        kind: Some(kind),
        sha256: text(&object["sha256"], VALUE_LIMIT).and_then(|digest| sha256(&digest)),
    })
}

/// The declared type with its parameters.
pub(crate) fn content_type(declared: &Value) -> String {
    let declared = value(declared).unwrap_or_default();
    canonical(&declared).unwrap_or_else(|| match essence(&declared) {
        plain if plain.is_empty() => "application/octet-stream".to_owned(),
        plain => plain,
    })
}

/// A digest in lower-case hex. Meta sends it in Base64 or in hex.
fn sha256(digest: &str) -> Option<String> {
    if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(digest.to_ascii_lowercase());
    }
    let bytes: [u8; 32] = STANDARD.decode(digest).ok()?.try_into().ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A place, if the object is one.
pub(crate) fn place(object: &Value) -> Option<Content> {
    Some(Content::Location {
        latitude: degrees(&object["latitude"], 90.0)?,
        longitude: degrees(&object["longitude"], 180.0)?,
        label: value(&object["name"]),
        address: value(&object["address"]),
    })
}

/// Contact cards, if there are any.
pub(crate) fn cards(object: &Value) -> Option<Content> {
    let mut room = CARDS_LIMIT;
    let cards = list(object).iter().map(card).filter(|card| *card != ContactCard::default());
    let kept = cards.take_while(|card| {
        let phones = card.phones.iter().chain(&card.emails).map(String::len).sum::<usize>();
        let size = card.name.len() + phones + card.organization.as_ref().map_or(0, String::len);
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let cards: Vec<ContactCard> = kept.collect();
    (!cards.is_empty()).then_some(Content::Contacts { cards })
}

/// Kaleyra's samples have an object where Meta has a list of phones.
fn card(card: &Value) -> ContactCard {
    let name = &card["name"];
    let full = ["prefix", "first_name", "middle_name", "last_name", "suffix"].into_iter().filter_map(|part| value(&name[part]));
    let phones = list(&card["phones"]).iter().filter_map(|phone| value(&phone["phone"]).or_else(|| value(&phone["wa_id"])));
    let phones: Vec<String> = phones.collect();
    let full = full.collect::<Vec<_>>().join(" ");
    let name = value(&name["formatted_name"]).or_else(|| value(name)).or_else(|| (!full.is_empty()).then_some(full));
    ContactCard {
        name: name.or_else(|| phones.first().cloned()).unwrap_or_default(),
        phones,
        emails: list(&card["emails"]).iter().filter_map(|email| value(&email["email"])).collect(),
        organization: value(&card["org"]["company"]),
    }
}

/// A quick reply of a template.
fn button(object: &Value) -> Option<Content> {
    let (text, payload) = (value(&object["text"]), value(&object["payload"]));
    let label = text.or_else(|| payload.clone())?;
    Some(Content::Button { text: label, payload })
}

/// An answer to buttons, to a list, or to a form. Some requests have the type but not the object.
fn interactive(object: &Value) -> Option<Content> {
    let kind = word(&object["type"]);
    let reply = &object[kind];
    match kind {
        "button_reply" => {
            let (title, payload) = (value(&reply["title"]), value(&reply["id"]));
            let label = title.or_else(|| payload.clone())?;
            Some(Content::Button { text: label, payload })
        }
        "list_reply" => {
            let (title, id) = (value(&reply["title"]), value(&reply["id"]));
            let label = title.or_else(|| id.clone())?;
            Some(Content::ListReply { id: id.unwrap_or_default(), title: label, description: value(&reply["description"]) })
        }
        "nfm_reply" => {
            let answers = match &reply["response_json"] {
                Value::Object(answers) => text(&Value::String(Value::Object(answers.clone()).to_string()), TEXT_LIMIT),
                other => text(other, TEXT_LIMIT),
            };
            Some(Content::Form {
                name: value(&reply["name"]),
                text: value(&reply["body"]).unwrap_or_default(),
                answers: answers.unwrap_or_default(),
            })
        }
        "" => None,
        other => Some(Content::Unsupported {
            kind: other[..other.floor_char_boundary(KIND_LIMIT)].to_owned(),
            detail: value(&reply["response"]).or_else(|| value(&reply["body"])),
        }),
    }
}

/// An order in words: the connector has no form for orders, but an agent can read the text.
fn order(object: &Value) -> Content {
    let mut parts: Vec<String> = value(&object["text"]).into_iter().collect();
    for item in list(&object["product_items"]) {
        let field = |name: &str| value(&item[name]);
        let Some(product) = field("product_retailer_id") else { continue };
        let mut line = format!("{} × {product}", field("quantity").unwrap_or_else(|| "1".to_owned()));
        if let Some(price) = field("item_price") {
            line.push_str(&format!(" ({price} {})", field("currency").unwrap_or_default()).replace(" )", ")"));
        }
        parts.push(line);
    }
    let detail = value(&Value::String(parts.join("; ")));
    Content::Unsupported { kind: "order".to_owned(), detail }
}

/// A kind that WhatsApp does not pass on, or that is not known yet, with Meta's description.
fn unsupported(kind: &str, message: &Value) -> Content {
    let more = &message["unsupported"]["type"];
    let kind = if kind == "unsupported" { text(more, KIND_LIMIT).unwrap_or_else(|| kind.to_owned()) } else { kind.to_owned() };
    let error = list(&message["errors"]).first().unwrap_or(&Value::Null);
    let detail = value(&error["error_data"]["details"]).or_else(|| value(&error["message"])).or_else(|| value(&error["title"]));
    Content::Unsupported { kind, detail }
}

/// A reaction. Without an emoji, or with an empty one, it is a removal.
fn reaction(object: &Value) -> Option<Annotated> {
    let message = id(&object["message_id"])?;
    Some(Annotated::Reaction { message, emoji: text(&object["emoji"], EMOJI_LIMIT).map(ReactionEmoji) })
}

/// An edit: the new text or caption. A file stays the same.
fn edit(object: &Value) -> Option<Annotated> {
    let message = id(&object["original_message_id"])?;
    let edited = Some(&object["message"]).filter(|edited| edited.is_object())?;
    let (content, _) = content(&kind_of(edited), edited);
    Some(Annotated::Edited { message, content })
}

/// A system message. For a changed number or id it holds only the new one; the old one is the sender's.
fn system(object: &Value, from: &Address) -> Annotated {
    let kind = word(&object["type"]);
    let number = || ["wa_id", "new_wa_id"].into_iter().find_map(|name| phone(&id(&object[name])?)).map(Address::Phone);
    let user = || bsuid(&id(&object["user_id"])?);
    let to = match kind {
        "user_changed_number" | "customer_changed_number" => number().or_else(user),
        "user_changed_user_id" => user(),
        _ => None,
    };
    let body = text(&object["body"], TEXT_LIMIT).unwrap_or_else(|| kind[..kind.floor_char_boundary(KIND_LIMIT)].to_owned());
    match to.filter(|to| to != from) {
        Some(to) => Annotated::Moved { to, body },
        None => Annotated::System { body },
    }
}
