//! Reads a webhook: up to 1,000 updates of several kinds, for several numbers.
//!
//! Each message, status and error is read by itself, so an unreadable one does not lose the others. What the business
//! writes elsewhere on the same number joins the thread, and what Meta says about the account becomes an alert
//! ([`ALERTS`]). Any other update is stored under the name of its `field`. Messages of groups are stored too and
//! routed nowhere: a group is not a conversation with one customer, and an answer would reach only one of its members.

use domain::ids::AccountId;
use domain::inbound::{Annotated, Annotation, Elsewhere, InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{Content, DeliveryState, Origin, Referral};
use domain::pricing::{Category, Charge};
use domain::values::Address;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::content::{self, Element};
use super::errors;
use crate::json;
use crate::{ParseError, Parsed, bsuid, fingerprint, phone};

/// The longest reference, in bytes. Ours has about 110; a longer one is not ours.
const REFERENCE_LIMIT: usize = 256;

/// The fields whose updates an administrator should see: states, limits and faults of the account, of its number and
/// of its templates.
const ALERTS: [&str; 15] = [
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_status_update",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "template_category_update",
];

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
                events.extend(elements(&value["errors"]).map(|error| self.alert("errors", error, entry, &with(entry, "error", error))));
            }
            "smb_message_echoes" | "message_echoes" | "standby" => {
                let origin = if field == "smb_message_echoes" { Origin::PhoneApp } else { Origin::OtherSystem };
                events.extend(elements(&value["message_echoes"]).map(|echo| self.echo(echo, value, origin)));
                // With `standby`, another app has the conversation and answers.
                events.extend(elements(&value["messages"]).map(|message| self.overheard(message, value, origin)));
            }
            "history" => self.history(entry, value, events),
            "calls" => events.extend(elements(&value["calls"]).map(|call| self.call(call, value))),
            "user_preferences" => events.extend(elements(&value["user_preferences"]).map(|word| self.preference(word, value))),
            field if ALERTS.contains(&field) => events.push(self.alert(field, value, entry, &with(entry, "change", change))),
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
                let words = json::beside(message, &content);
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
                    product: content::product(&message["context"]["referred_product"]),
                    words,
                    cut: false,
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
            charge: charge(&status["pricing"]),
        };
        Parsed::new(self.account, &format!("{id}#{name}"), self.received_at, InboundKind::Status(update), &raw.to_string())
    }

    /// What the business wrote on this number, but not through this deployment.
    fn echo(&self, echo: &Value, value: &Value, origin: Origin) -> Parsed {
        let contacts = json::list(&value["contacts"]);
        let contact = contact_with(contacts, |contact| {
            same(&contact["wa_id"], &echo["to"]) || same(&contact["user_id"], &echo["to_user_id"]) || same(&contact["user_id"], &echo["to"])
        });
        let customer = addresses([&echo["to"], &field(contact, "wa_id"), &echo["to_user_id"], &field(contact, "user_id")]);
        self.elsewhere(echo, contact, customer, false, Some(origin), "")
    }

    /// A customer's message that another app answers.
    fn overheard(&self, message: &Value, value: &Value, origin: Origin) -> Parsed {
        let contact = contact_of(message, json::list(&value["contacts"]));
        self.elsewhere(message, contact, sender(message, contact).map(Sender::pair), true, Some(origin), "")
    }

    /// The chats of the phone app from before the number was connected: months of messages, by customer. Files come
    /// later, each as a message of its own.
    fn history(&self, entry: &Value, value: &Value, events: &mut Vec<Parsed>) {
        let business = json::id(&value["metadata"]["display_phone_number"]).and_then(|number| phone(&number));
        let by_business = |message: &Value| json::id(&message["from"]).and_then(|from| phone(&from)) == business && business.is_some();
        for part in json::list(&value["history"]) {
            for thread in json::list(&part["threads"]) {
                for message in elements(&thread["messages"]) {
                    let customer = addresses([&thread["id"], &message["to"], &thread["user_id"], &message["to_user_id"]]);
                    events.push(self.elsewhere(message, None, customer, !by_business(message), Some(Origin::History), ""));
                }
            }
            events.extend(elements(&part["errors"]).map(|error| self.alert("history", error, entry, &with(entry, "error", error))));
        }
        for message in elements(&value["messages"]) {
            let contact = contact_of(message, json::list(&value["contacts"]));
            let ours = by_business(message);
            let customer =
                if ours { addresses([&message["to"], &message["to_user_id"]]) } else { sender(message, contact).map(Sender::pair) };
            events.push(self.elsewhere(message, contact, customer, !ours, Some(Origin::History), "#file"));
        }
    }

    /// A message that was not written for this deployment to answer. `more` tells its event from another one about
    /// the same message.
    fn elsewhere(
        &self,
        message: &Value,
        contact: Option<&Value>,
        customer: Option<(Address, Option<Address>)>,
        from_customer: bool,
        origin: Option<Origin>,
        more: &str,
    ) -> Parsed {
        let raw = match contact {
            Some(contact) => object([("contact", contact), ("message", message)]),
            None => object([("message", message)]),
        };
        let Some(id) = json::id(&message["id"]) else { return self.other("message_without_id", &raw) };
        if !message["group_id"].is_null() {
            return self.other("group_message", &raw);
        }
        let Some((customer, alias)) = customer else { return self.other("message_to_nobody", &raw) };
        let sent_at = json::seconds(&message["timestamp"], self.received_at);
        let (content, attachment) = match content::read(message, &customer) {
            Element::Message(content, attachment) => (content, attachment),
            Element::Annotation(Annotated::Reaction { message, emoji }) => {
                (Content::Reaction { message, emoji: emoji.map_or_else(String::new, |emoji| emoji.0) }, None)
            }
            Element::Annotation(what) => {
                let annotation = Annotation { provider_id: id.clone(), from: customer, alias, also: Vec::new(), sent_at, what };
                return Parsed::new(self.account, &id, self.received_at, InboundKind::Annotation(annotation), &raw.to_string());
            }
            Element::Other(name) => return self.other(name, &raw),
        };
        let said = Elsewhere {
            provider_id: id.clone(),
            customer,
            alias,
            profile_name: contact.and_then(|contact| json::value(&contact["profile"]["name"])).map(ProfileName),
            from_customer,
            origin,
            sent_at,
            words: json::beside(message, &content),
            content,
            attachments: attachment.into_iter().collect(),
            reply_to: json::id(&message["context"]["id"]),
            cut: false,
        };
        Parsed::new(self.account, &format!("{id}{more}"), self.received_at, InboundKind::Elsewhere(said), &raw.to_string())
    }

    /// A call that ended. One that nobody took is missed: the customer has yet to be heard.
    fn call(&self, call: &Value, value: &Value) -> Parsed {
        let raw = object([("call", call)]);
        let by_business = json::word(&call["direction"]) == "BUSINESS_INITIATED";
        let (number, user) = if by_business { ("to", "to_user_id") } else { ("from", "from_user_id") };
        let contact = contact_with(json::list(&value["contacts"]), |contact| {
            same(&contact["wa_id"], &call[number]) || same(&contact["user_id"], &call[user])
        });
        let customer = addresses([&call[number], &field(contact, "wa_id"), &call[user], &field(contact, "user_id")]);
        let (Some(id), Some((customer, alias)), "terminate") = (json::id(&call["id"]), customer, json::word(&call["event"])) else {
            return self.other("calls", &raw);
        };
        let seconds = json::number(&call["duration"]).filter(|seconds| *seconds > 0 && json::word(&call["status"]) != "FAILED");
        let body = match (seconds, by_business) {
            (Some(seconds), false) => format!("Call from the customer, {seconds} s"),
            (Some(seconds), true) => format!("Call to the customer, {seconds} s"),
            (None, false) => "Missed call from the customer".to_owned(),
            (None, true) => "Call to the customer, not answered".to_owned(),
        };
        let said = Elsewhere {
            provider_id: id.clone(),
            customer,
            alias,
            profile_name: contact.and_then(|contact| json::value(&contact["profile"]["name"])).map(ProfileName),
            from_customer: false,
            origin: None,
            sent_at: json::seconds(&call["timestamp"], self.received_at),
            content: Content::System { body },
            attachments: Vec::new(),
            reply_to: None,
            words: None,
            cut: false,
        };
        Parsed::new(self.account, &format!("{id}#ended"), self.received_at, InboundKind::Elsewhere(said), &raw.to_string())
    }

    /// A customer stopped marketing messages of this number, or wants them again.
    fn preference(&self, word: &Value, value: &Value) -> Parsed {
        let raw = object([("user_preferences", word)]);
        let contacts = json::list(&value["contacts"]);
        let contact =
            contact_with(contacts, |contact| same(&contact["wa_id"], &word["wa_id"]) || same(&contact["user_id"], &word["user_id"]));
        let customer = addresses([&word["wa_id"], &field(contact, "wa_id"), &word["user_id"], &field(contact, "user_id")]);
        let Some((from, alias)) = customer else { return self.other("user_preferences", &raw) };
        let id = fingerprint(raw.to_string().as_bytes());
        let body = json::value(&word["detail"]).unwrap_or_default();
        let what = match (json::word(&word["category"]), json::word(&word["value"])) {
            ("marketing_messages", "stop") => Annotated::Marketing { stopped: true, body },
            ("marketing_messages", "resume") => Annotated::Marketing { stopped: false, body },
            _ => Annotated::System { body },
        };
        let annotation = Annotation {
            provider_id: id.clone(),
            from,
            alias,
            also: Vec::new(),
            sent_at: json::seconds(&word["timestamp"], self.received_at),
            what,
        };
        Parsed::new(self.account, &id, self.received_at, InboundKind::Annotation(annotation), &raw.to_string())
    }

    /// What Meta says about the account. `entry` has the time.
    fn alert(&self, name: &str, value: &Value, entry: &Value, raw: &Value) -> Parsed {
        self.alerted(name, value, json::seconds(&entry["time"], self.received_at), &raw.to_string())
    }

    /// What the provider says about the account.
    pub(crate) fn alerted(&self, name: &str, value: &Value, at: Option<Timestamp>, raw: &str) -> Parsed {
        let kind = InboundKind::Alert(crate::alert(name, value, at));
        Parsed::new(self.account, &fingerprint(raw.as_bytes()), self.received_at, kind, raw)
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
    contact_with(contacts, |contact| {
        same(&contact["wa_id"], &message["from"])
            || same(&contact["user_id"], &message["from_user_id"])
            || same(&contact["user_id"], &message["from"])
    })
}

fn contact_with(contacts: &[Value], holds: impl Fn(&Value) -> bool) -> Option<&Value> {
    contacts.iter().find(|contact| holds(contact))
}

/// Whether both are the same id.
fn same(one: &Value, other: &Value) -> bool {
    json::id(one).is_some_and(|id| json::id(other) == Some(id))
}

/// A member of a contact; null without the contact.
fn field(contact: Option<&Value>, name: &str) -> Value {
    contact.map_or(Value::Null, |contact| contact[name].clone())
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

impl Sender {
    /// The number if there is one, and the user id with it.
    fn pair(self) -> (Address, Option<Address>) {
        (self.from, self.alias)
    }
}

/// The addresses among some ids: the phone number if there is one, and the business-scoped user id with it.
fn addresses<const N: usize>(ids: [&Value; N]) -> Option<(Address, Option<Address>)> {
    let ids = ids.map(json::id);
    let number = ids.iter().flatten().find_map(|id| phone(id)).map(Address::Phone);
    let user = ids.iter().flatten().find_map(|id| bsuid(id));
    match (number, user) {
        (Some(number), user) => Some((number, user)),
        (None, Some(user)) => Some((user, None)),
        (None, None) => None,
    }
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

/// What a report says about the price: the category, and whether it is charged at all. Answers within the service
/// window and after an advertisement are free, which `type` says, and `billable` not always.
fn charge(pricing: &Value) -> Option<Charge> {
    let category = json::value(&pricing["category"]).map(|word| Category::of_word(&word))?;
    let free = pricing["billable"] == false || json::word(&pricing["type"]).starts_with("free");
    Some(Charge { category: Some(category), free, stated: None })
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
