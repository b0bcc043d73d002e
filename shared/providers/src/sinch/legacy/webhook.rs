//! Reads a callback: any number of customers' messages and of reports.

use domain::account::Account;
use domain::inbound::{InboundAttachment, InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, Referral};
use jiff::Timestamp;
use serde_json::Value;

use super::super::json::{self, value, whole, word, words, yes};
use crate::meta::content;
use crate::{ParseError, Parsed, Webhook, fingerprint, phone};

/// Reads a verified callback. A message's event has Sinch's id, a report the message's id and its state.
///
/// # Errors
/// The body is not a JSON object.
pub(super) fn parse(webhook: &Webhook<'_>, account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
    let body = json::body(webhook.body)?;
    let reader = Reader { account, received_at };
    let mut events = reader.notifications(&body);
    let statuses: Vec<&Value> = body["statuses"].as_array().into_iter().flatten().collect();
    // The address belongs to one message, but the callback may hold reports on others.
    let alone = statuses.iter().all(|status| status["message_id"] == statuses[0]["message_id"]);
    let reference = webhook.query("ref").filter(|reference| alone && (1..=json::REFERENCE_LIMIT).contains(&reference.len()));
    events.extend(statuses.into_iter().map(|status| reader.status(status, reference.as_deref())));
    if events.is_empty() {
        events.push(Parsed::other(&account.id, received_at, "nothing", &String::from_utf8_lossy(webhook.body)));
    }
    Ok(Parsed::numbered(events))
}

/// The values that all events of a request have in common.
pub(super) struct Reader<'a> {
    pub(super) account: &'a Account,
    pub(super) received_at: Timestamp,
}

impl Reader<'_> {
    /// The messages of a callback, or of an answer in the same form.
    pub(super) fn notifications(&self, body: &Value) -> Vec<Parsed> {
        let notifications = body["notifications"].as_array().into_iter().flatten();
        notifications.map(|notification| self.notification(notification, &body["contacts"])).collect()
    }

    fn notification(&self, notification: &Value, contacts: &Value) -> Parsed {
        let raw = notification.to_string();
        let other = |name: &str| Parsed::other(&self.account.id, self.received_at, name, &raw);
        let message = &notification["message"];
        let kind = word(&message["type"]);
        if kind == "group_event" || !notification["in_group"].is_null() {
            return other("group");
        }
        let Some(from) = json::address(&notification["from"]) else { return other("message_of_nobody") };
        let id = json::id(&notification["message_id"]).unwrap_or_else(|| fingerprint(raw.as_bytes()));
        let (content, attachment) = read_content(message, kind);
        let words = json::beside(message, &content);
        let message = InboundMessage {
            provider_id: id.clone(),
            profile_name: profile_name(contacts, &from),
            from,
            alias: None,
            also: Vec::new(),
            sent_at: json::instant(&notification["timestamp"], self.received_at),
            content,
            attachments: attachment.into_iter().collect(),
            reply_to: json::id(&notification["replying_to"]["message_id"]),
            forwarded: yes(&notification["forwarded"]) || yes(&notification["frequently_forwarded"]),
            username: None,
            referral: read_referral(&notification["referral"]),
            product: [&message["referred_product"], &notification["referred_product"]].into_iter().find_map(content::product),
            words,
            cut: false,
        };
        Parsed::new(&self.account.id, &id, self.received_at, InboundKind::Message(message), &raw)
    }

    fn status(&self, status: &Value, reference: Option<&str>) -> Parsed {
        let raw = status.to_string();
        let (Some(message), Some((name, state))) = (json::id(&status["message_id"]), state_of(word(&status["state"]))) else {
            return Parsed::other(&self.account.id, self.received_at, "status", &raw);
        };
        let update = StatusUpdate {
            provider_id: message.clone(),
            reference: reference.map(ToOwned::to_owned),
            state,
            error: (state == DeliveryState::Failed).then(|| failure(name, status)),
            at: json::instant(&status["timestamp"], self.received_at),
            // Without its plus it might be a number in national form, which would be somebody else's.
            recipients: json::address(&status["recipient"]).filter(|_| word(&status["recipient"]).starts_with('+')).into_iter().collect(),
            charge: None,
        };
        Parsed::new(&self.account.id, &format!("{message}#{name}"), self.received_at, InboundKind::Status(update), &raw)
    }
}

/// The name of the contact that sent the message.
fn profile_name(contacts: &Value, from: &domain::values::Address) -> Option<ProfileName> {
    let mut contacts = contacts.as_array().into_iter().flatten();
    let contact = contacts.find(|contact| json::id(&contact["wa_id"]).and_then(|id| phone(&id)).as_ref() == from.phone())?;
    value(&contact["profile"]["name"]).map(ProfileName)
}

fn read_content(message: &Value, kind: &str) -> (Content, Option<InboundAttachment>) {
    let unsupported = |detail: Option<String>| Content::Unsupported {
        kind: if kind.is_empty() { "unknown".to_owned() } else { kind[..kind.floor_char_boundary(100)].to_owned() },
        detail,
    };
    let media_kind = match kind {
        "image" => Some(AttachmentKind::Image),
        "video" => Some(AttachmentKind::Video),
        "audio" => Some(AttachmentKind::Audio),
        "voice" => Some(AttachmentKind::Voice),
        "document" => Some(AttachmentKind::Document),
        "sticker" => Some(AttachmentKind::Sticker),
        _ => None,
    };
    if let Some(media_kind) = media_kind {
        let caption = whole(&message["caption"]).unwrap_or_default();
        let Some(attachment) = json::untyped_attachment(&message["url"], &message["filename"]) else {
            return (unsupported(words(message)), None);
        };
        let content_type = value(&message["mime_type"]).unwrap_or(attachment.content_type);
        return (Content::Media { caption }, Some(InboundAttachment { content_type, kind: Some(media_kind), ..attachment }));
    }
    let content = match kind {
        "text" => Content::Text { body: whole(&message["body"]).unwrap_or_default() },
        "location" => {
            // The documentation's table has the long names, its sample the short ones.
            let either = |long: &str, short: &str| if message[long].is_null() { message[short].clone() } else { message[long].clone() };
            let (latitude, longitude) = (either("latitude", "lat"), either("longitude", "lng"));
            json::place(&latitude, &longitude, &message["name"], &message["address"], &message["url"])
                .unwrap_or_else(|| unsupported(words(message)))
        }
        "contacts" => content::cards(&message["contacts"]).unwrap_or_else(|| unsupported(words(message))),
        "button" => Content::Button { text: value(&message["text"]).unwrap_or_default(), payload: value(&message["payload"]) },
        "interactive" => {
            let choice = &message["message"];
            let (id, title) = (value(&choice["id"]), value(&choice["title"]));
            match word(&choice["type"]) {
                "button" => Content::Button { text: title.unwrap_or_default(), payload: id },
                "list" => Content::ListReply {
                    id: id.unwrap_or_default(),
                    title: title.unwrap_or_default(),
                    description: value(&choice["description"]),
                },
                _ => unsupported(words(message)),
            }
        }
        "error" => {
            let fault = value(&message["details"]);
            unsupported(words(message).into_iter().chain(fault).reduce(|words, fault| format!("{words}\n{fault}")))
        }
        _ => unsupported(words(message)),
    };
    (content, None)
}

fn read_referral(referral: &Value) -> Option<Referral> {
    let referral = Referral {
        source_type: value(&referral["source_type"]),
        source_id: value(&referral["source_id"]),
        source_url: value(&referral["source_url"]),
        headline: value(&referral["headline"]),
        body: value(&referral["body"]),
        media_url: value(&referral["referral_media"]["url"]),
        click_id: None,
    };
    (referral != Referral::default()).then_some(referral)
}

/// A state of a sent message, in Sinch's words and in ours.
pub(super) fn state_of(state: &str) -> Option<(&'static str, DeliveryState)> {
    Some(match state {
        "queued" => ("queued", DeliveryState::Accepted),
        // The message is at WhatsApp's servers, which have yet to send it.
        "dispatched" => ("dispatched", DeliveryState::Accepted),
        "sent" => ("sent", DeliveryState::Sent),
        "delivered" => ("delivered", DeliveryState::Delivered),
        "read" => ("read", DeliveryState::Read),
        // The message was deleted or expired before it arrived. After its arrival a failure changes nothing.
        "deleted" => ("deleted", DeliveryState::Failed),
        "failed" => ("failed", DeliveryState::Failed),
        "no_opt_in" => ("no_opt_in", DeliveryState::Failed),
        "no_capability" => ("no_capability", DeliveryState::Failed),
        _ => return None,
    })
}

/// The reason of a failure, as far as its state tells. The text with it is for people, and its wording may change.
pub(super) fn failure(state: &str, status: &Value) -> DeliveryError {
    let class = match state {
        "no_capability" => ErrorClass::InvalidRecipient,
        "no_opt_in" | "deleted" => ErrorClass::Undeliverable,
        _ => ErrorClass::Permanent,
    };
    let code = json::id(&status["errors"][0]["code"]).filter(|code| code.len() <= 32 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    DeliveryError { class, code: code.or_else(|| (state != "failed").then(|| state.to_owned())) }
}
