//! Every shape in which a provider names two addresses of one customer, with proof and without, at the account's own
//! business and at another one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::task::{Context, Poll, Waker};

use domain::account::{Account, Provider};
use domain::business::Business;
use domain::contact::Place;
use domain::effect::Effect;
use domain::fixtures;
use domain::ids::{AccountId, MessageId};
use domain::inbound::{InboundEvent, InboundKind, InboundMessage};
use domain::interaction::Interaction;
use domain::message::{Author, Content, Message};
use domain::values::{Address, E164};
use engine::memory::{Memory, MemoryDirectory, VirtualWorld};
use engine::ports::{Commit, Committed, Store, World};
use engine::{Engine, EngineError};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use providers::Webhook;
use serde_json::{Value, json};
use ulid::Ulid;

/// The provider's id of our message to the first address.
const OURS: &str = "SM0123456789abcdef0123456789abcdef";

const PHONE: &str = "5531982247383";
const SPELLED: &str = "553182247383";
const USER: &str = "BR.13491208655302741918";
const NEW_USER: &str = "BR.24817305912873645029";

fn run<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

fn address(text: &str) -> Address {
    if text.contains('.') { Address::Bsuid(text.to_owned()) } else { Address::Phone(E164::parse(&format!("+{text}")).unwrap()) }
}

/// A request, and the two addresses that it shows to be one customer's. Our message was sent to the first.
struct Shape {
    kind: &'static str,
    name: &'static str,
    addresses: [&'static str; 2],
    body: String,
}

fn shape(kind: &'static str, name: &'static str, addresses: [&'static str; 2], body: impl ToString) -> Shape {
    Shape { kind, name, addresses, body: body.to_string() }
}

/// A change of Meta's field `messages`.
fn change(value: Value) -> Value {
    let mut change = json!({"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "2"}}});
    change["value"].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    change
}

fn meta(change: Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
}

fn kaleyra(change: Value) -> Value {
    json!({"meta_object": change, "extra_info": {"ref": ""}})
}

/// What Meta sends, and Kaleyra passes on.
fn of_meta(kind: &'static str, wrap: fn(Value) -> Value) -> Vec<Shape> {
    let message = |rest: Value| {
        let mut message = json!({"id": "wamid.IN", "timestamp": "1767225600", "type": "text", "text": {"body": "hello"}});
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"messages": [message]})
    };
    let with_contact = |mut value: Value, contact: Value| {
        value["contacts"] = json!([contact]);
        value
    };
    let system = |rest: Value, system: Value| {
        let mut value = message(rest);
        value["messages"][0]["type"] = json!("system");
        value["messages"][0]["system"] = system;
        value
    };
    let status = |rest: Value| {
        let mut status = json!({"id": OURS, "status": "delivered", "timestamp": "1767225600"});
        status.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"statuses": [status]})
    };
    let shape = |name, addresses, value| shape(kind, name, addresses, wrap(change(value)));
    vec![
        shape("a message with number and user id", [PHONE, USER], message(json!({"from": PHONE, "from_user_id": USER}))),
        shape(
            "a message whose contact has the user id",
            [PHONE, USER],
            with_contact(message(json!({"from": PHONE})), json!({"wa_id": PHONE, "user_id": USER})),
        ),
        shape(
            "a message whose contact spells the number in another way",
            [PHONE, SPELLED],
            with_contact(message(json!({"from": PHONE, "from_user_id": USER})), json!({"wa_id": SPELLED, "user_id": USER})),
        ),
        shape(
            "an edit",
            [PHONE, USER],
            message(json!({"from": PHONE, "from_user_id": USER, "type": "edit",
                "edit": {"original_message_id": OURS, "message": {"type": "text", "text": {"body": "corrected"}}}})),
        ),
        shape("a reply", [PHONE, SPELLED], message(json!({"from": SPELLED, "context": {"id": OURS}}))),
        shape(
            "a reaction",
            [PHONE, SPELLED],
            message(json!({"from": SPELLED, "type": "reaction", "reaction": {"message_id": OURS, "emoji": "👍"}})),
        ),
        shape(
            "a changed number",
            [PHONE, SPELLED],
            system(json!({"from": PHONE}), json!({"type": "user_changed_number", "wa_id": SPELLED, "body": "changed"})),
        ),
        shape(
            "a changed number by its older name",
            [PHONE, SPELLED],
            system(json!({"from": PHONE}), json!({"type": "customer_changed_number", "new_wa_id": SPELLED})),
        ),
        shape(
            "a changed number with the new user id",
            [PHONE, NEW_USER],
            system(json!({"from": PHONE}), json!({"type": "user_changed_number", "wa_id": SPELLED, "user_id": NEW_USER})),
        ),
        shape(
            "a changed user id",
            [USER, NEW_USER],
            system(json!({"from_user_id": USER}), json!({"type": "user_changed_user_id", "user_id": NEW_USER})),
        ),
        shape(
            "a changed user id without a sender",
            [USER, NEW_USER],
            system(json!({}), json!({"type": "user_changed_user_id", "user_id": NEW_USER, "previous_user_id": USER})),
        ),
        shape(
            "a changed user id with the number alone",
            [PHONE, NEW_USER],
            system(json!({}), json!({"type": "user_changed_user_id", "user_id": NEW_USER, "wa_id": PHONE})),
        ),
        shape("a status with the user id", [PHONE, USER], status(json!({"recipient_id": PHONE, "recipient_user_id": USER}))),
        shape("a status of another spelling", [PHONE, SPELLED], status(json!({"recipient_id": SPELLED}))),
        shape(
            "a status whose contact has the user id",
            [PHONE, USER],
            with_contact(status(json!({"recipient_id": PHONE})), json!({"wa_id": PHONE, "user_id": USER})),
        ),
    ]
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn shapes() -> Vec<Shape> {
    let mut all = of_meta("META", meta);
    all.extend(of_meta("KALEYRA", kaleyra));
    let mut update = json!({"field": "user_id_update"});
    update["value"] = json!({"user_id_update": [{"wa_id": PHONE, "detail": "changed", "timestamp": "1767225600",
        "user_id": {"previous": USER, "current": NEW_USER}}]});
    all.push(shape("META", "an update of user ids", [USER, NEW_USER], meta(update.clone())));
    all.push(shape("META", "an update of user ids with the number", [PHONE, NEW_USER], meta(update)));
    let flat = json!({"from": SPELLED, "body": "hello", "type": "text", "created_at": "1767225600", "reply_to": OURS});
    all.push(shape("KALEYRA", "a reply in the older form", [PHONE, SPELLED], flat));

    let (phone, spelled, user) = (format!("whatsapp:+{PHONE}"), format!("whatsapp:+{SPELLED}"), format!("whatsapp:{USER}"));
    let sid = ("MessageSid", "SMin0123456789abcdef0123456789abcd");
    let twilio = |name, addresses, parameters: &[(&str, &str)]| shape("TWILIO", name, addresses, form(parameters));
    all.push(twilio("a number and a user id", [PHONE, USER], &[sid, ("From", &phone), ("ExternalUserId", &user), ("Body", "hello")]));
    all.push(twilio("a user id and a number", [PHONE, USER], &[sid, ("From", &user), ("WaId", PHONE), ("Body", "hello")]));
    all.push(twilio("two spellings", [PHONE, SPELLED], &[sid, ("From", &phone), ("WaId", SPELLED), ("Body", "hello")]));
    let answered = ("OriginalRepliedMessageSid", OURS);
    all.push(twilio("a reply", [PHONE, SPELLED], &[sid, ("From", &spelled), answered, ("Body", "hello")]));
    let status = [("MessageSid", OURS), ("MessageStatus", "delivered")];
    all.push(twilio("a status", [PHONE, SPELLED], &[status[0], status[1], ("To", &spelled)]));
    all.push(twilio("a status with a user id", [PHONE, USER], &[status[0], status[1], ("To", &phone), ("ExternalUserId", &user)]));

    let identity = json!({"channel": "WHATSAPP", "identity": SPELLED, "app_id": ""});
    let sinch = |name, event: Value| {
        let mut body = json!({"app_id": "A", "event_time": "2026-01-01T00:00:00Z"});
        body.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        shape("SINCH_V2", name, [PHONE, SPELLED], body)
    };
    let message = |contact_message: Value| json!({"message": {"id": "01IN", "direction": "TO_APP", "contact_message": contact_message, "channel_identity": identity}});
    all.push(sinch("a reply", message(json!({"text_message": {"text": "hello"}, "reply_to": {"message_id": OURS}}))));
    all.push(sinch("a choice", message(json!({"choice_response_message": {"message_id": OURS, "postback_data": "yes"}}))));
    let reaction = json!({"emoji": "👍", "action": "REACTION_ACTION_REACT", "message_id": OURS});
    all.push(sinch(
        "a reaction",
        json!({"event": {"id": "01EV", "direction": "TO_APP", "contact_message_event": {"reaction_event": reaction}, "channel_identity": identity}}),
    ));
    all.push(sinch(
        "a report",
        json!({"message_delivery_report": {"message_id": OURS, "status": "DELIVERED", "channel_identity": identity}}),
    ));

    let notification = json!({"from": SPELLED, "to": "bot", "message_id": "01IN", "timestamp": "2026-01-01T00:00:00Z",
        "replying_to": {"from": "390612345678", "message_id": OURS}, "message": {"type": "text", "body": "hello"}});
    all.push(shape("SINCH", "a reply", [PHONE, SPELLED], json!({"type": "whatsapp", "notifications": [notification]})));
    let status = json!({"status": "success", "state": "delivered", "message_id": OURS, "recipient": format!("+{SPELLED}")});
    all.push(shape("SINCH", "a status", [PHONE, SPELLED], json!({"type": "whatsapp", "statuses": [status]})));
    all
}

type Machine = Engine<Memory, MemoryDirectory, VirtualWorld>;

struct Desk {
    engine: Machine,
    own: Account,
    foreign: Account,
}

impl Desk {
    /// Two accounts of one provider type, each of its own business. Both addresses have written to both.
    fn new(shape: &Shape) -> Self {
        let memory = Memory::new();
        let directory = memory.directory();
        let world = VirtualWorld::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
        let account = |number: u128, business: &str| {
            let fields =
                [("account_sid", business), ("waba_id", business), ("project_id", business), ("phone_number_id", "2"), ("app_id", "A")];
            let own = |name: &&(&str, &str)| match shape.kind {
                "SINCH_V2" => name.0 != "waba_id" && name.0 != "account_sid",
                "KALEYRA" => name.0 != "project_id",
                _ => name.0 != "project_id" && name.0 != "waba_id",
            };
            let fields = fields.iter().filter(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let provider = Provider { kind: shape.kind.to_owned(), fields };
            Account { id: AccountId::from_ulid(Ulid::from_parts(0, number)), provider, ..fixtures::account() }
        };
        let (own, foreign) = (account(1, "1"), account(2, "9"));
        let engine = Engine { store: memory, directory, world };
        for account in [&own, &foreign] {
            engine.directory.put_account(account.clone());
        }
        let desk = Self { engine, own, foreign };
        for account in [&desk.own, &desk.foreign] {
            for (index, from) in shape.addresses.iter().enumerate() {
                desk.routes(&desk.first(account, index, address(from)));
            }
            desk.sends(account, &address(shape.addresses[0]));
        }
        desk
    }

    fn first(&self, account: &Account, index: usize, from: Address) -> InboundEvent {
        let id = format!("first{index}");
        let message = InboundMessage {
            provider_id: id.clone(),
            from,
            alias: None,
            also: Vec::new(),
            profile_name: None,
            sent_at: None,
            content: Content::Text { body: "first".into() },
            attachments: Vec::new(),
            reply_to: None,
            forwarded: false,
            username: None,
            referral: None,
            product: None,
            words: None,
            cut: false,
        };
        let event = InboundEvent::new(account.id.clone(), id, self.engine.world.now(), InboundKind::Message(message));
        InboundEvent { proven: Some(true), ..event }
    }

    /// Our message to an address, under the provider's id.
    fn sends(&self, account: &Account, to: &Address) {
        let before = self.open(account).into_iter().find(|open| open.address == *to).unwrap();
        let after = Interaction { version: before.version + 1, ..before.clone() };
        let content = Content::Text { body: "ours".into() };
        let id = MessageId::from_ulid(self.engine.world.ulid());
        let message = Message::new(id, after.id.clone(), self.engine.world.now(), Author::System, content);
        let message = Message { provider_id: Some(OURS.to_owned()), ..message.queued(self.engine.world.now(), to) };
        let commit = Commit { messages: vec![(message, Vec::new())], ..Commit::plain(Some(before), after) };
        assert_eq!(run(self.engine.store.commit(commit)).unwrap(), Committed::Done);
    }

    fn open(&self, account: &Account) -> Vec<Interaction> {
        let all = self.engine.store.interactions().into_iter();
        all.filter(|interaction| interaction.is_open() && interaction.account == account.id).collect()
    }

    /// Routes an event, and does what the links that it makes cause.
    fn routes(&self, event: &InboundEvent) {
        self.engine.store.receive(event);
        match run(self.engine.route(event)) {
            // It is about a message that this account never sent.
            Ok(()) | Err(EngineError::NotYet) => {}
            Err(error) => panic!("{error}"),
        }
        for effect in self.engine.store.take_effects().into_iter().flat_map(|grown| grown.effects) {
            if let Effect::Unify { contact, business } = effect {
                run(self.engine.unify(&contact, business.as_ref())).unwrap();
            }
        }
    }

    /// The request arrives at an account.
    fn arrives(&self, shape: &Shape, account: &Account, proven: bool) {
        let mut headers = HeaderMap::new();
        let content_type = if shape.kind == "TWILIO" { "application/x-www-form-urlencoded" } else { "application/json" };
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let webhook = Webhook { method: &Method::POST, public_url: "https://h.example/x", headers: &headers, body: shape.body.as_bytes() };
        let adapter = providers::adapter(shape.kind).unwrap();
        let received_at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let parsed = adapter.parse(&webhook, account, received_at).unwrap();
        assert!(parsed.iter().all(|parsed| !matches!(parsed.event.kind, InboundKind::Other { .. })), "{} {}", shape.kind, shape.name);
        for parsed in parsed {
            self.routes(&InboundEvent { proven: Some(proven), ..parsed.event });
        }
    }

    fn are_one(&self, shape: &Shape, account: &Account) -> bool {
        let business = Business::of(account);
        let person = |text: &str| {
            let place = Place::of(&address(text), &business);
            run(self.engine.store.contact_of(&place, &business, true)).unwrap()
        };
        let [one, other] = shape.addresses.map(person);
        one.is_some() && one == other
    }
}

#[test]
fn every_address_event_of_every_provider_links_with_proof_and_for_its_business_only() {
    for shape in shapes() {
        for proven in [true, false] {
            for at_home in [true, false] {
                let desk = Desk::new(&shape);
                let told = format!("{} {}: proven {proven}, at the own business {at_home}", shape.kind, shape.name);
                assert!(!desk.are_one(&shape, &desk.own) && desk.open(&desk.own).len() == 2, "{told}");
                let before = desk.engine.store.contacts();
                desk.arrives(&shape, if at_home { &desk.own } else { &desk.foreign }, proven);
                let links = proven && at_home;
                assert_eq!(desk.are_one(&shape, &desk.own), links, "{told}");
                assert_eq!(desk.open(&desk.own).len(), if links { 1 } else { 2 }, "{told}");
                assert_eq!(desk.are_one(&shape, &desk.foreign), proven && !at_home, "{told}");
                let lines = desk.engine.store.messages().into_iter().map(|(_, message)| message.content.readable());
                let unproven = lines.filter(|line| line.starts_with("Without proof of origin")).count();
                assert_eq!(unproven > 0, !proven, "{told}");
                if !proven {
                    let after = desk.engine.store.contacts();
                    let places =
                        |contacts: &[domain::contact::Contact]| contacts.iter().flat_map(|contact| contact.places()).collect::<Vec<_>>();
                    assert_eq!(places(&after), places(&before), "{told}");
                }
            }
        }
    }
}
