//! What a webhook says: up to 1,000 updates of several kinds, of several numbers.
//!
//! Each message, status and error is read by itself, so that one that can't be read costs no other. What is not about a message or a customer is kept under
//! the name of its `field`. Messages of groups are kept too and routed nowhere: they are not a conversation with one customer, and an answer would go to one
//! of its members alone.

use domain::ids::AccountId;
use domain::inbound::{Annotated, Annotation, InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{DeliveryState, Referral};
use domain::values::Address;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::content::{self, Element};
use super::errors;
use crate::json;
use crate::{ParseError, Parsed, bsuid, fingerprint, phone};

/// Our reference is about 110 bytes; what is longer is not ours.
const REFERENCE_LIMIT: usize = 256;

/// Reads a verified request: a message has the id of WhatsApp's message, a status the message's id and its state.
///
/// # Errors
/// The body is no JSON object.
pub(super) fn parse(body: &[u8], account: &AccountId, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
    let reader = Reader { account, received_at, state_of };
    Ok(Parsed::numbered(reader.envelope(&json::object(body)?)))
}

/// Reads what Meta sends, and what others pass on of it.
pub(crate) struct Reader<'a> {
    /// The account whose URL was called.
    pub(crate) account: &'a AccountId,
    /// When it was.
    pub(crate) received_at: Timestamp,
    /// The states of sent messages: each by one name, which is part of its event's id.
    pub(crate) state_of: fn(&str) -> Option<(&'static str, DeliveryState)>,
}

impl Reader<'_> {
    /// All events of a request, in order.
    pub(crate) fn envelope(&self, envelope: &Value) -> Vec<Parsed> {
        let mut events = Vec::new();
        if envelope["entry"].is_null() {
            if envelope["value"].is_object() {
                self.change(envelope, envelope, &mut events);
            } else {
                events.push(self.other(json::word(&envelope["object"]), envelope));
            }
        }
        for entry in json::list(&envelope["entry"]) {
            let changes = json::list(&entry["changes"]);
            for change in changes {
                self.change(entry, change, &mut events);
            }
            if changes.is_empty() {
                events.push(self.other("entry", entry));
            }
        }
        events
    }

    /// The events of one change, in order.
    fn change(&self, entry: &Value, change: &Value, events: &mut Vec<Parsed>) {
        let (field, value) = (json::word(&change["field"]), &change["value"]);
        let before = events.len();
        match field {
            "messages" | "" => {
                let contacts = json::list(&value["contacts"]);
                events.extend(elements(&value["messages"]).map(|message| self.message(message, contacts)));
                events.extend(elements(&value["statuses"]).map(|status| self.status(status)));
                events.extend(elements(&value["errors"]).map(|error| self.other("errors", &with(entry, "error", error))));
            }
            "user_id_update" => events.extend(elements(&value["user_id_update"]).map(|update| self.user_id_update(update))),
            _ => {}
        }
        if events.len() == before {
            events.push(self.other(field, &with(entry, "change", change)));
        }
        if let Some(number) = json::id(&value["metadata"]["phone_number_id"]) {
            for parsed in &mut events[before..] {
                parsed.number = Some(number.clone());
            }
        }
    }

    /// One element of `messages[]`.
    pub(crate) fn message(&self, message: &Value, contacts: &[Value]) -> Parsed {
        let contact = contact_of(message, contacts);
        let raw = match contact {
            Some(contact) => object([("contact", contact), ("message", message)]),
            None => object([("message", message)]),
        };
        let Some(id) = json::id(&message["id"]) else { return self.other("message_without_id", &raw) };
        if !message["group_id"].is_null() {
            return self.other("group_message", &raw);
        }
        let Some((from, alias)) = sender(message, contact) else { return self.other("message_without_sender", &raw) };
        let sent_at = json::seconds(&message["timestamp"], self.received_at);
        let kind = match content::read(message, &from) {
            Element::Message(content, attachment) => {
                let profile = contact.or_else(|| only(contacts)).map_or(&Value::Null, |contact| &contact["profile"]);
                InboundKind::Message(InboundMessage {
                    provider_id: id.clone(),
                    from,
                    alias,
                    profile_name: json::value(&profile["name"]).map(ProfileName),
                    sent_at,
                    content,
                    attachments: attachment.into_iter().collect(),
                    reply_to: json::id(&message["context"]["id"]),
                    forwarded: json::yes(&message["context"]["forwarded"]) || json::yes(&message["context"]["frequently_forwarded"]),
                    username: json::value(&profile["username"]).map(ProfileName),
                    referral: referral(&message["referral"]),
                })
            }
            Element::Annotation(what) => InboundKind::Annotation(Annotation { provider_id: id.clone(), from, alias, sent_at, what }),
            Element::Other(name) => return self.other(name, &raw),
        };
        Parsed::new(self.account, &id, self.received_at, kind, &raw.to_string())
    }

    /// One element of `statuses[]`.
    pub(crate) fn status(&self, status: &Value) -> Parsed {
        let raw = object([("status", status)]);
        let word = json::word(&status["status"]);
        let Some(id) = json::id(&status["id"]) else { return self.other("status_without_id", &raw) };
        let Some((name, state)) = (self.state_of)(word) else { return self.other(&format!("status_{word}"), &raw) };
        let update = StatusUpdate {
            provider_id: id.clone(),
            reference: reference(&status["biz_opaque_callback_data"]),
            state,
            error: (state == DeliveryState::Failed).then(|| errors::failure(&status["errors"])),
            at: json::seconds(&status["timestamp"], self.received_at),
        };
        Parsed::new(self.account, &format!("{id}#{name}"), self.received_at, InboundKind::Status(update), &raw.to_string())
    }

    /// A customer's business-scoped user id became another: the one webhook that tells both.
    fn user_id_update(&self, update: &Value) -> Parsed {
        let raw = object([("user_id_update", update)]);
        let text = raw.to_string();
        let user = |which: &str| bsuid(&json::id(&update["user_id"][which])?);
        let number = json::id(&update["wa_id"]).and_then(|number| phone(&number)).map(Address::Phone);
        let (from, alias) = match (user("previous"), number) {
            (Some(previous), number) => (Some(previous), number),
            (None, number) => (number, None),
        };
        let (Some(from), Some(to)) = (from, user("current")) else { return self.other("user_id_update", &raw) };
        let id = fingerprint(text.as_bytes());
        let body = json::value(&update["detail"]).unwrap_or_default();
        let sent_at = json::seconds(&update["timestamp"], self.received_at);
        let what = if to == from { Annotated::System { body } } else { Annotated::Moved { to, body } };
        let annotation = Annotation { provider_id: id.clone(), from, alias, sent_at, what };
        Parsed::new(self.account, &id, self.received_at, InboundKind::Annotation(annotation), &text)
    }

    /// Kept, and routed nowhere.
    pub(crate) fn other(&self, name: &str, raw: &Value) -> Parsed {
        let name = if name.is_empty() { "unknown" } else { name };
        Parsed::other(self.account, self.received_at, name, &raw.to_string())
    }
}

/// The elements of a list, whatever they are.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or_else(|| json::list(value), Vec::as_slice).iter()
}

fn object<const N: usize>(parts: [(&str, &Value); N]) -> Value {
    Value::Object(parts.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect())
}

/// With what tells two of the same apart: the business account, and when it was sent.
fn with(entry: &Value, name: &str, value: &Value) -> Value {
    let mut parts: Map<String, Value> =
        ["id", "time"].into_iter().filter_map(|key| Some((key.to_owned(), entry.get(key)?.clone()))).collect();
    parts.insert(name.to_owned(), value.clone());
    Value::Object(parts)
}

/// The contact that a message is from. Contacts are listed by sender, not by message.
fn contact_of<'a>(message: &Value, contacts: &'a [Value]) -> Option<&'a Value> {
    let same = |contact: &&Value| {
        let equal = |theirs: &str, its: &str| json::id(&contact[theirs]).is_some_and(|id| json::id(&message[its]).as_ref() == Some(&id));
        equal("wa_id", "from") || equal("user_id", "from_user_id") || equal("user_id", "from")
    };
    contacts.iter().find(same)
}

/// A name may be taken from the only contact there is; an address may not.
fn only(contacts: &[Value]) -> Option<&Value> {
    if let [contact] = contacts { Some(contact) } else { None }
}

/// The phone number where there is one, and the business-scoped user id beside it. Since usernames either may be absent.
fn sender(message: &Value, contact: Option<&Value>) -> Option<(Address, Option<Address>)> {
    let null = Value::Null;
    let contact = contact.unwrap_or(&null);
    let ids = [&message["from"], &contact["wa_id"], &message["from_user_id"], &contact["user_id"]].map(json::id);
    let number = ids.iter().flatten().find_map(|id| phone(id)).map(Address::Phone);
    let user = ids.iter().flatten().find_map(|id| bsuid(id));
    match (number, user) {
        (Some(number), user) => Some((number, user)),
        (None, Some(user)) => Some((user, None)),
        (None, None) => None,
    }
}

/// The advertisement or post that the customer clicked.
fn referral(object: &Value) -> Option<Referral> {
    let value = |name: &str| json::value(&object[name]);
    let referral = Referral {
        source_type: value("source_type"),
        source_id: value("source_id"),
        source_url: value("source_url"),
        headline: value("headline"),
        body: value("body"),
        media_url: value("image_url").or_else(|| value("video_url")).or_else(|| value("thumbnail_url")),
        click_id: value("ctwa_clid"),
    };
    (referral != Referral::default()).then_some(referral)
}

/// What may be our reference.
pub(crate) fn reference(given: &Value) -> Option<String> {
    json::value(given).filter(|reference| reference.len() <= REFERENCE_LIMIT)
}

/// One of Meta's states of a sent message, and ours for it. A voice note that was listened to was read.
pub(crate) fn state_of(status: &str) -> Option<(&'static str, DeliveryState)> {
    Some(match status {
        "accepted" => ("accepted", DeliveryState::Accepted),
        "sent" => ("sent", DeliveryState::Sent),
        "delivered" => ("delivered", DeliveryState::Delivered),
        "read" => ("read", DeliveryState::Read),
        "played" => ("played", DeliveryState::Read),
        "failed" => ("failed", DeliveryState::Failed),
        _ => return None,
    })
}
