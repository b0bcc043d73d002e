//! Reads a webhook: up to 1,000 updates of several kinds, for several numbers.
//!
//! Each message, status and error is read by itself, so an unreadable one does not lose the others. Any update that
//! is not about a message or a customer is stored under the name of its `field`. Messages of groups are stored too
//! and routed nowhere: a group is not a conversation with one customer, and an answer would reach only one of its
//! members.

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

/// The longest reference, in bytes. Ours has about 110; a longer one is not ours.
const REFERENCE_LIMIT: usize = 256;

/// Reads a verified request. A message's event has the id of WhatsApp's message, a status the message's id and its
/// state.
///
/// # Errors
/// The body is not a JSON object.
pub(super) fn parse(body: &[u8], account: &AccountId, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
    let reader = Reader { account, received_at, state_of };
    Ok(Parsed::numbered(reader.envelope(&json::object(body)?)))
}

/// Reads updates that Meta sends, or that another provider passes on.
pub(crate) struct Reader<'a> {
    /// The account whose URL was called.
    pub(crate) account: &'a AccountId,
    /// When the request came.
    pub(crate) received_at: Timestamp,
    /// The states of sent messages. Each has one name, which is part of its event's id.
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

    /// A customer's business-scoped user id changed. Only this webhook holds both ids.
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

    /// An event that is stored and routed nowhere.
    pub(crate) fn other(&self, name: &str, raw: &Value) -> Parsed {
        let name = if name.is_empty() { "unknown" } else { name };
        Parsed::other(self.account, self.received_at, name, &raw.to_string())
    }
}

/// The elements of a list, of any type.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or_else(|| json::list(value), Vec::as_slice).iter()
}

fn object<const N: usize>(parts: [(&str, &Value); N]) -> Value {
    Value::Object(parts.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect())
}

/// An update with the business account and the time of sending, which tell two equal updates apart.
fn with(entry: &Value, name: &str, value: &Value) -> Value {
    let mut parts: Map<String, Value> =
        ["id", "time"].into_iter().filter_map(|key| Some((key.to_owned(), entry.get(key)?.clone()))).collect();
    parts.insert(name.to_owned(), value.clone());
    Value::Object(parts)
}

/// The contact that sent a message. Meta lists contacts by sender, not by message.
fn contact_of<'a>(message: &Value, contacts: &'a [Value]) -> Option<&'a Value> {
    let same = |contact: &&Value| {
        let equal = |theirs: &str, its: &str| json::id(&contact[theirs]).is_some_and(|id| json::id(&message[its]).as_ref() == Some(&id));
        equal("wa_id", "from") || equal("user_id", "from_user_id") || equal("user_id", "from")
    };
    contacts.iter().find(same)
}

/// The only contact of a request. It may lend its name to a message, but not its address.
fn only(contacts: &[Value]) -> Option<&Value> {
    if let [contact] = contacts { Some(contact) } else { None }
}

/// The customer's addresses: the phone number if there is one, and the business-scoped user id with it. Since
/// usernames exist, either may be absent.
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

/// The reference, if it may be ours.
pub(crate) fn reference(given: &Value) -> Option<String> {
    json::value(given).filter(|reference| reference.len() <= REFERENCE_LIMIT)
}

/// A state of a sent message, in Meta's words and in ours. A played voice note counts as read.
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
