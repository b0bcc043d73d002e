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
                let alone = elements(&value["messages"]).nth(1).is_none();
                events.extend(elements(&value["messages"]).map(|message| self.message(message, contacts, alone)));
                events.extend(elements(&value["statuses"]).map(|status| self.status(status, contacts)));
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

    /// One element of `messages[]`, which may be `alone` there.
    pub(crate) fn message(&self, message: &Value, contacts: &[Value], alone: bool) -> Parsed {
        let contact = contact_of(message, contacts);
        let raw = match contact {
            Some(contact) => object([("contact", contact), ("message", message)]),
            None => object([("message", message)]),
        };
        let Some(id) = json::id(&message["id"]) else { return self.other("message_without_id", &raw) };
        if !message["group_id"].is_null() {
            return self.other("group_message", &raw);
        }
        let Some(Sender { from, alias, mut also }) = sender(message, contact) else { return self.other("message_without_sender", &raw) };
        let sent_at = json::seconds(&message["timestamp"], self.received_at);
        let kind = match content::read(message, &from) {
            Element::Message(content, attachment) => {
                let profile = contact.or_else(|| nameless(contacts).filter(|_| alone)).map_or(&Value::Null, |contact| &contact["profile"]);
                InboundKind::Message(InboundMessage {
                    provider_id: id.clone(),
                    from,
                    alias,
                    also,
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
            Element::Annotation(what) => {
                let to = if let Annotated::Moved { to, .. } = &what { Some(to) } else { None };
                let named = named(&message["system"], &["wa_id", "new_wa_id"], &["user_id", "previous_user_id"]);
                let known = |address: &Address| [Some(&from), alias.as_ref(), to].contains(&Some(address)) || also.contains(address);
                let more: Vec<Address> = named.into_iter().filter(|address| !known(address)).collect();
                also.extend(more);
                InboundKind::Annotation(Annotation { provider_id: id.clone(), from, alias, also, sent_at, what })
            }
            Element::Other(name) => return self.other(name, &raw),
        };
        Parsed::new(self.account, &id, self.received_at, kind, &raw.to_string())
    }

    /// One element of `statuses[]`.
    pub(crate) fn status(&self, status: &Value, contacts: &[Value]) -> Parsed {
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
            recipients: recipients(status, contacts),
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
        let annotation = Annotation { provider_id: id.clone(), from, alias, also: Vec::new(), sent_at, what };
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

/// The only contact of a request, if it does not say whom it names. It then names the sender of a request's only
/// message. A contact with an id of its own names nobody else.
fn nameless(contacts: &[Value]) -> Option<&Value> {
    if let [contact] = contacts { Some(contact).filter(|contact| contact["wa_id"].is_null() && contact["user_id"].is_null()) } else { None }
}

/// The addresses under the fields of an object: numbers first, each once.
fn named(object: &Value, numbers: &[&str], users: &[&str]) -> Vec<Address> {
    let ids = || numbers.iter().chain(users).filter_map(|field| json::id(&object[*field]));
    let numbers = ids().filter_map(|id| phone(&id)).map(Address::Phone);
    let mut found: Vec<Address> = Vec::new();
    for address in numbers.chain(ids().filter_map(|id| bsuid(&id))) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// A customer's addresses in one message.
struct Sender {
    /// The phone number if there is one, otherwise the business-scoped user id. Since usernames exist, either may be
    /// absent.
    from: Address,
    /// The user id beside a number.
    alias: Option<Address>,
    /// Further ones: the number in another spelling.
    also: Vec<Address>,
}

/// The sender. A changed user id is reported without a sender: then it is the customer who had the previous one.
fn sender(message: &Value, contact: Option<&Value>) -> Option<Sender> {
    let of_contact = contact.map(|contact| named(contact, &["wa_id"], &["user_id"])).unwrap_or_default();
    let mut all = named(message, &["from"], &["from_user_id"]);
    all.extend(of_contact.into_iter().filter(|address| !all.contains(address)).collect::<Vec<_>>());
    if all.is_empty() {
        let system = &message["system"];
        all = named(system, &[], &["previous_user_id"]);
        if all.is_empty() {
            all = named(system, &["wa_id"], &[]);
        }
    }
    // Numbers first, as they came.
    all.sort_by_key(|address| address.phone().is_none());
    let mut all = all.into_iter();
    let from = all.next()?;
    let mut also: Vec<Address> = all.collect();
    let user = also.iter().position(|address| from.phone().is_some() && address.phone().is_none());
    let alias = user.map(|place| also.remove(place));
    Some(Sender { from, alias, also })
}

/// The customer whom a report names.
fn recipients(status: &Value, contacts: &[Value]) -> Vec<Address> {
    let mut all = named(status, &["recipient_id"], &["recipient_user_id"]);
    let same = |contact: &&Value| named(contact, &["wa_id"], &["user_id"]).iter().any(|address| all.contains(address));
    let of_contact = contacts.iter().find(same).map(|contact| named(contact, &["wa_id"], &["user_id"])).unwrap_or_default();
    all.extend(of_contact.into_iter().filter(|address| !all.contains(address)).collect::<Vec<_>>());
    all
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
