use std::collections::BTreeSet;

use super::*;
use crate::fixture::Fixture;
use domain::account::Provider;
use domain::inbound::{InboundKind, InboundMessage, StatusUpdate};
use domain::message::{AttachmentKind, DeliveryError, DeliveryState, ErrorClass};
use domain::values::Address;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

const RECEIVE_URL: &str = "https://h.example/receive/meta/T0KEN";
const SECRET: &str = "1222e786b144d0e85b9f365372d93676";
const REPLIED: &str = "wamid.HBgMMzkzMzMxMjM0NTY3FQIAERgSOUR1";
const REFERENCE: &str = "con_01ARZ3NDEKTSV4RRFFQ69G5FAV.int_01ARZ3NDEKTSV4RRFFQ69G5FAW.1767225600000.msg_01ARZ3NDEKTSV4RRFFQ69G5FAX";

pub(super) fn account() -> Account {
    let fields = [
        (ACCOUNT_SID, "102290129340398"),
        (APP_ID, "670843887433847"),
        (PHONE_NUMBER_ID, "106540352242922"),
        (VERIFY_TOKEN, "a verify token"),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Account { provider: Provider { kind: "META".into(), fields }, ..domain::fixtures::account() }
}

pub(super) fn credentials(app_secret: &str) -> Credentials {
    Credentials::default().with(AUTH_TOKEN, "EAAtoken").with(APP_SECRET, app_secret)
}

fn received_at() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn fixture(name: &str) -> Fixture {
    Fixture::load("meta", name).unwrap()
}

/// Runs `look` on a signed fixture.
fn with_webhook<T>(fixture: &Fixture, look: impl Fn(&Webhook<'_>) -> T) -> T {
    let target = fixture.target.replace("{verify_token}", "a%20verify%20token").replace("{token}", "T0KEN");
    let signature = (SIGNATURE_HEADER.to_owned(), sign(&fixture.body, &Secret::new(SECRET)));
    let headers = fixture.headers.iter().chain([&signature]);
    let headers: HeaderMap =
        headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect();
    look(&Webhook { method: &fixture.method, public_url: &format!("https://h.example{target}"), headers: &headers, body: &fixture.body })
}

fn parse(fixture: &Fixture) -> Result<Vec<Parsed>, ParseError> {
    with_webhook(fixture, |webhook| Meta.parse(webhook, &account(), received_at()))
}

fn parse_value(body: &Value) -> Vec<Parsed> {
    let fixture = Fixture { body: body.to_string().into_bytes(), ..fixture("text") };
    parse(&fixture).unwrap()
}

/// A request with these messages.
fn request(messages: &[Value]) -> Value {
    let mut body: Value = serde_json::from_slice(&fixture("text").body).unwrap();
    body["entry"][0]["changes"][0]["value"]["messages"] = messages.into();
    body
}

/// The message of `text.json` with some parts replaced. A null removes a part.
fn message_with(parts: Value) -> Value {
    let body: Value = serde_json::from_slice(&fixture("text").body).unwrap();
    let mut message = body["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    for (name, value) in parts.as_object().unwrap() {
        if value.is_null() {
            message.as_object_mut().unwrap().remove(name);
        } else {
            message[name] = value.clone();
        }
    }
    message
}

fn single(name: &str) -> Parsed {
    let mut events = parse(&fixture(name)).unwrap();
    assert_eq!(events.len(), 1, "{name}");
    events.remove(0)
}

fn message_of(parsed: &Parsed) -> &InboundMessage {
    match &parsed.event.kind {
        InboundKind::Message(message) => message,
        other => panic!("{other:?} is not a message"),
    }
}

fn status_of(parsed: &Parsed) -> &StatusUpdate {
    match &parsed.event.kind {
        InboundKind::Status(status) => status,
        other => panic!("{other:?} is not a status"),
    }
}

fn phone_address() -> Address {
    Address::Phone(domain::values::E164::parse("+393331234567").unwrap())
}

fn user_id() -> Address {
    Address::Bsuid("IT.13491208655302741918".into())
}

/// An event in short: its kind and its contents. `Debug` does not show customers' texts.
fn shown(parsed: &Parsed) -> Value {
    match &parsed.event.kind {
        InboundKind::Message(message) => serde_json::to_value(&message.content).unwrap(),
        InboundKind::Annotation(annotation) => serde_json::to_value(&annotation.what).unwrap(),
        InboundKind::Status(status) => json!({"status": status.state}),
        InboundKind::Elsewhere(said) => json!({
            "of": if said.from_customer { "customer" } else { "business" }, "origin": said.origin, "content": said.content,
        }),
        InboundKind::Alert(alert) => json!({"alert": alert.name, "event": alert.event}),
        InboundKind::Other { name } => json!({"other": name}),
        InboundKind::Stored => json!("stored"),
    }
}

/// Every recorded request except the handshake, with its events.
fn recorded() -> Vec<(&'static str, Vec<Value>)> {
    let text = |body: &str| json!({"type": "text", "body": body});
    let media = |caption: &str| json!({"type": "media", "caption": caption});
    let unsupported = |kind: &str, detail: &str| json!({"type": "unsupported", "kind": kind, "detail": detail});
    let other = |name: &str| json!({"other": name});
    let status = |state: &str| json!({"status": state});
    let said = |of: &str, origin: &str, content: Value| json!({"of": of, "origin": origin, "content": content});
    let line = |body: &str| json!({"of": "business", "origin": null, "content": {"type": "system", "body": body}});
    let marketing = |stopped: bool, body: &str| json!({"what": "marketing", "stopped": stopped, "body": body});
    let alert = |name: &str, event: &str| json!({"alert": name, "event": event});
    let message = "wamid.HBgMMzkzMzMxMjM0NTY3FQIAEhgUM0FC0001";
    vec![
        ("text", vec![text("Buongiorno, può aiutarmi? Il mio ordine è 5 & 6")]),
        ("reply", vec![text("Sì, quella")]),
        ("forwarded", vec![text("Inoltrato")]),
        ("forwarded-often", vec![text("Inoltrato a molti")]),
        ("image", vec![media("La ricevuta")]),
        ("video", vec![media("")]),
        ("audio", vec![media("")]),
        ("voice", vec![media("")]),
        ("document", vec![media("La fattura")]),
        ("sticker", vec![media("")]),
        (
            "location",
            vec![json!({
                "type": "location", "latitude": 41.902782, "longitude": 12.496366, "label": "Roma Termini", "address": "Piazza dei Cinquecento 1, Roma",
                "url": "https://example.com/termini",
            })],
        ),
        (
            "contacts",
            vec![json!({
                "type": "contacts",
                "cards": [{
                    "name": "Anna Bianchi", "phones": ["+39 333 765 4321"], "emails": ["anna@example.com"], "organization": "Esempio srl",
                    "details": [
                        {"of": "phone", "value": "+39 333 765 4321", "type": "CELL", "wa_id": "393337654321"},
                        {"of": "email", "value": "anna@example.com", "type": "WORK"},
                    ],
                }],
            })],
        ),
        (
            "contacts-full",
            vec![json!({
                "type": "contacts",
                "cards": [{
                    "name": "Anna Bianchi", "phones": ["+39 333 765 4321", "+39 06 1"], "emails": ["anna@example.com"],
                    "organization": "Esempio srl", "department": "Vendite", "title": "Direttrice", "birthday": "1980-02-29",
                    "details": [
                        {"of": "phone", "value": "+39 333 765 4321", "type": "CELL", "wa_id": "393337654321"},
                        {"of": "email", "value": "anna@example.com", "type": "WORK"},
                        {"of": "url", "value": "https://example.com/anna", "type": "WORK"},
                    ],
                    "addresses": [{
                        "type": "WORK", "street": "Via del Corso 1", "zip": "00186", "city": "Roma", "state": "RM", "country": "Italia",
                        "country_code": "it",
                    }],
                }],
            })],
        ),
        ("button", vec![json!({"type": "button", "text": "Sì", "payload": "yes"})]),
        ("button-reply", vec![json!({"type": "button", "text": "Assistenza", "payload": "btn_1"})]),
        ("list-reply", vec![json!({"type": "list_reply", "id": "row_2", "title": "Fatture", "description": "Domande sulle fatture"})]),
        ("form", vec![json!({"type": "form", "name": "flow", "text": "Sent", "answers": r#"{"flow_token":"x1","voto":"4"}"#})]),
        ("call-permission", vec![unsupported("call_permission_reply", "accept")]),
        ("interactive-empty", vec![json!({"type": "unsupported", "kind": "interactive"})]),
        ("order", vec![unsupported("order", "Per domani; 2 × di9ozbzfi4 (30 EUR); 1 × nqryix03ez (12.5 EUR); catalogue 368210000000000")]),
        ("reaction", vec![json!({"what": "reaction", "message": REPLIED, "emoji": "👍"})]),
        ("reaction-removed", vec![json!({"what": "reaction", "message": REPLIED, "emoji": null})]),
        ("edit", vec![json!({"what": "edited", "message": message, "content": text("Buonasera, può aiutarmi?")})]),
        ("revoke", vec![json!({"what": "deleted", "message": message})]),
        ("unsupported", vec![unsupported("poll", "Message type is currently not supported.")]),
        ("request-welcome", vec![json!({"type": "unsupported", "kind": "request_welcome"})]),
        ("unknown-kind", vec![json!({"type": "unsupported", "kind": "hologram"})]),
        ("referral", vec![text("Vorrei saperne di più")]),
        (
            "system-number",
            vec![json!({"what": "moved", "to": {"phone": "+393339999999"}, "body": "User A changed from 393331234567 to 393339999999"})],
        ),
        (
            "system-user-id",
            vec![json!({
                "what": "moved", "to": {"bsuid": "IT.24817305912873645029"},
                "body": "User A changed from IT.13491208655302741918 to IT.24817305912873645029",
            })],
        ),
        (
            "system-user-id-alone",
            vec![json!({"what": "moved", "to": {"bsuid": "IT.24817305912873645029"}, "body": "user_changed_user_id"})],
        ),
        ("system-identity", vec![json!({"what": "system", "body": "User A's security code changed"})]),
        ("phone-and-bsuid", vec![text("Con numero e identificativo")]),
        ("bsuid", vec![text("Nessun numero: solo BSUID")]),
        ("group", vec![other("group_message")]),
        (
            "user-id-update",
            vec![json!({
                "what": "moved", "to": {"bsuid": "IT.24817305912873645029"}, "body": "User id for Zoë Rossi has been updated.",
            })],
        ),
        ("product", vec![text("È disponibile?")]),
        ("unsupported-text", vec![unsupported("unsupported", "Questo lo leggete?\nMessage type is currently not supported.")]),
        ("cut-emoji", vec![text("A metà \u{fffd} di un emoji"), text("Il secondo messaggio")]),
        ("echo", vec![said("business", "phone_app", text("Scritto dal telefono"))]),
        ("echo-image", vec![said("business", "phone_app", media("Ecco la foto"))]),
        (
            "echo-edit",
            vec![json!({
                "what": "edited", "message": "wamid.HBgMMzkzMzMxMjM0NTY3FQIAEhgUM0FCECHO", "content": text("Scritto dal telefono, e corretto"),
            })],
        ),
        ("echo-other", vec![said("business", "other_system", text("Scritto da un altro sistema"))]),
        ("standby", vec![said("customer", "other_system", text("Lo legge un altro sistema"))]),
        (
            "history",
            vec![
                said("business", "history", text("Le mando la foto")),
                said("business", "history", json!({"type": "unsupported", "kind": "media_placeholder"})),
                said("customer", "history", text("Grazie!")),
                said("business", "history", text("Grazie per l'ordine")),
            ],
        ),
        ("history-file", vec![said("business", "history", media("La foto"))]),
        ("history-declined", vec![alert("history", "History sync is turned off by the business from the WhatsApp Business App")]),
        ("call-missed", vec![line("Missed call from the customer")]),
        ("call-ended", vec![line("Call from the customer, 120 s")]),
        ("call-connect", vec![other("calls")]),
        ("preferences-stop", vec![marketing(true, "User requested to stop marketing messages")]),
        ("preferences-resume", vec![marketing(false, "User requested to resume marketing messages")]),
        ("system-preference", vec![marketing(true, "User requested to stop marketing messages")]),
        ("account-update", vec![alert("account_update", "ACCOUNT_RESTRICTION")]),
        ("phone-quality", vec![alert("phone_number_quality_update", "FLAGGED")]),
        ("template-quality", vec![alert("message_template_quality_update", "YELLOW")]),
        ("template-status", vec![alert("message_template_status_update", "APPROVED")]),
        ("contacts-sync", vec![other("smb_app_state_sync")]),
        ("errors", vec![alert("errors", "Rate limit hit")]),
        ("status-sent", vec![status("sent")]),
        ("status-delivered", vec![status("delivered")]),
        ("status-read", vec![status("read")]),
        ("status-played", vec![status("read")]),
        ("status-failed", vec![status("failed")]),
        ("status-unknown", vec![other("status_deleted")]),
        (
            "batch",
            vec![
                text("Uno"),
                other("message_without_id"),
                text("Due"),
                status("sent"),
                status("delivered"),
                text("Per un altro numero"),
                alert("phone_number_quality_update", "FLAGGED"),
                json!({"type": "location", "latitude": 41.9, "longitude": 12.5, "label": null, "address": null}),
            ],
        ),
    ]
}

#[test]
fn every_recorded_request_is_proven_and_becomes_what_it_says() {
    let table = recorded();
    for (name, expected) in &table {
        let fixture = fixture(name);
        assert_eq!(with_webhook(&fixture, |webhook| Meta.verify(webhook, &account(), &[&credentials(SECRET)])), Ok(()), "{name}");
        assert!(with_webhook(&fixture, |webhook| Meta.handshake(webhook, &account(), &[])).is_none(), "{name}");
        let events = parse(&fixture).unwrap();
        assert_eq!(events.iter().map(shown).collect::<Vec<_>>(), *expected, "{name}");
        assert!(events.iter().zip(0..).all(|(parsed, index)| parsed.event.index == index), "{name}");
    }
    let names: BTreeSet<_> = table.iter().map(|(name, _)| (*name).to_owned()).chain(["handshake".to_owned()]).collect();
    let files: BTreeSet<_> = Fixture::all("meta").unwrap().into_iter().map(|fixture| fixture.name).collect();
    assert_eq!(files, names);
}

#[test]
fn the_recorded_handshake_gets_its_challenge_back() {
    let challenge = with_webhook(&fixture("handshake"), |webhook| Meta.handshake(webhook, &account(), &[]));
    assert_eq!(challenge, Some(Ok("1158201444".into())));
    let mut other = account();
    other.provider.fields.insert(VERIFY_TOKEN.into(), "another".into());
    assert_eq!(with_webhook(&fixture("handshake"), |webhook| Meta.handshake(webhook, &other, &[])), Some(Err(VerifyError::Guard)));
}

#[test]
fn a_message_has_its_id_its_time_its_sender_and_the_number_that_it_is_for() {
    let parsed = single("text");
    let message = message_of(&parsed);
    assert_eq!(parsed.event.id, "wamid.HBgMMzkzMzMxMjM0NTY3FQIAEhgUM0FC0001");
    assert_eq!(message.provider_id, parsed.event.id);
    assert_eq!(parsed.number.as_deref(), Some("106540352242922"));
    assert_eq!(parsed.event.account, account().id);
    assert_eq!(parsed.event.received_at, received_at());
    assert_eq!(message.sent_at, Some("2026-01-01T00:00:10Z".parse().unwrap()));
    assert_eq!((&message.from, &message.alias), (&phone_address(), &None));
    assert_eq!(message.profile_name.as_ref().unwrap().0, "Zoë Rossi");
    assert!(!message.forwarded && message.reply_to.is_none() && message.referral.is_none());
    let raw: Value = serde_json::from_str(&parsed.raw).unwrap();
    assert_eq!(
        (&raw["message"]["text"]["body"], &raw["contact"]["wa_id"]),
        (&json!("Buongiorno, può aiutarmi? Il mio ordine è 5 & 6"), &json!("393331234567"))
    );
}

#[test]
fn a_customer_is_known_by_number_by_business_scoped_id_or_by_both() {
    let parsed = single("phone-and-bsuid");
    assert_eq!((&message_of(&parsed).from, &message_of(&parsed).alias), (&phone_address(), &Some(user_id())));
    assert_eq!(message_of(&parsed).username.as_ref().unwrap().0, "zoe.rossi");
    let parsed = single("bsuid");
    assert_eq!((&message_of(&parsed).from, &message_of(&parsed).alias), (&user_id(), &None));
    assert_eq!(message_of(&parsed).profile_name.as_ref().unwrap().0, "Zoë Rossi");

    // Only the contact holds the number.
    let mut body = request(&[message_with(json!({"from": null, "from_user_id": "IT.13491208655302741918"}))]);
    body["entry"][0]["changes"][0]["value"]["contacts"] = json!([
        {"profile": {"name": "Another"}, "wa_id": "390000000000", "user_id": "IT.1"},
        {"profile": {"name": "Zoë"}, "wa_id": "393331234567", "user_id": "IT.13491208655302741918"},
    ]);
    let events = parse_value(&body);
    assert_eq!((&message_of(&events[0]).from, &message_of(&events[0]).alias), (&phone_address(), &Some(user_id())));
    assert_eq!(message_of(&events[0]).profile_name.as_ref().unwrap().0, "Zoë");

    // A contact does not lend its number to another sender's message. With two contacts, it does not lend its name
    // either.
    let mut body = request(&[message_with(json!({"from_user_id": "IT.2"}))]);
    body["entry"][0]["changes"][0]["value"]["contacts"] = json!([
        {"profile": {"name": "A"}, "wa_id": "390000000001", "user_id": "IT.3"}, {"profile": {"name": "B"}, "wa_id": "390000000002"},
    ]);
    let events = parse_value(&body);
    assert_eq!((&message_of(&events[0]).from, &message_of(&events[0]).alias), (&phone_address(), &Some(Address::Bsuid("IT.2".into()))));
    assert_eq!(message_of(&events[0]).profile_name, None);
}

#[test]
fn a_profile_of_a_batch_names_only_the_sender_that_it_belongs_to() {
    let named = |messages: &[Value], contacts: Value| {
        let mut body = request(messages);
        body["entry"][0]["changes"][0]["value"]["contacts"] = contacts;
        let events = parse_value(&body);
        events.iter().map(|parsed| message_of(parsed).profile_name.as_ref().map(|name| name.0.clone())).collect::<Vec<_>>()
    };
    let (own, other) = (message_with(json!({})), message_with(json!({"from": "390000000001", "id": "wamid.OTHER"})));
    let zoe = || Some("Zoë".to_owned());
    let with_id = || json!([{"profile": {"name": "Zoë"}, "wa_id": "393331234567"}]);
    assert_eq!(named(&[own.clone(), other.clone()], with_id()), [zoe(), None]);
    assert_eq!(named(std::slice::from_ref(&other), with_id()), [None]);
    // A contact without an id is the sender's if there is one message only.
    let nameless = || json!([{"profile": {"name": "Zoë"}}]);
    assert_eq!(named(std::slice::from_ref(&own), nameless()), [zoe()]);
    assert_eq!(named(&[own, other], nameless()), [None, None]);
}

#[test]
fn every_address_of_a_customer_in_a_request_is_kept() {
    let phone = |digits: &str| Address::Phone(domain::values::E164::parse(digits).unwrap());
    // Brazil's ninth digit: the contact spells the number in another way.
    let mut body = request(&[message_with(json!({"from": "553182247383", "from_user_id": "BR.1"}))]);
    body["entry"][0]["changes"][0]["value"]["contacts"] = json!([{"wa_id": "5531982247383", "user_id": "BR.1"}]);
    let parsed = parse_value(&body).remove(0);
    let message = message_of(&parsed);
    assert_eq!((&message.from, &message.alias), (&phone("+553182247383"), &Some(Address::Bsuid("BR.1".into()))));
    assert_eq!(message.also, [phone("+5531982247383")]);
    let parsed = single("status-delivered");
    assert_eq!(status_of(&parsed).recipients.first(), Some(&phone_address()));
}

#[test]
fn files_come_with_their_id_type_name_kind_and_hash() {
    for (name, source, content_type, kind, file, hash) in [
        ("image", "1003383421387256", "image/jpeg", AttachmentKind::Image, None, "49f2276348062"),
        ("video", "1003383421387257", "video/mp4", AttachmentKind::Video, None, "261fb68a3e8fc"),
        ("audio", "1003383421387258", "audio/mpeg", AttachmentKind::Audio, None, "1377714bf3dd6"),
        ("voice", "1003383421387261", "audio/ogg; codecs=opus", AttachmentKind::Voice, None, "1377714bf3dd6"),
        ("document", "1003383421387259", "application/pdf", AttachmentKind::Document, Some("fattura 12.pdf"), "82bc1fc1efd93"),
        ("sticker", "1003383421387260", "image/webp", AttachmentKind::Sticker, None, "3a64f89e18d48"),
    ] {
        let parsed = single(name);
        let [attachment] = message_of(&parsed).attachments.as_slice() else { panic!("{name} has one file") };
        assert_eq!((attachment.source.as_str(), attachment.content_type.as_str()), (source, content_type), "{name}");
        assert_eq!((attachment.kind, attachment.name.as_deref()), (Some(kind), file), "{name}");
        let sha256 = attachment.sha256.as_deref().unwrap();
        assert!(sha256.len() == 64 && sha256.starts_with(hash), "{name} {sha256}");
    }
}

#[test]
fn replies_forwards_and_advertisements_are_marked() {
    for (name, replies, forwarded) in [
        ("reply", true, false),
        ("image", true, false),
        ("button", true, false),
        ("list-reply", true, false),
        ("forwarded", false, true),
        ("forwarded-often", false, true),
    ] {
        let parsed = single(name);
        let message = message_of(&parsed);
        assert_eq!((message.reply_to.as_deref(), message.forwarded), (replies.then_some(REPLIED), forwarded), "{name}");
    }
    let parsed = single("referral");
    let referral = message_of(&parsed).referral.clone().unwrap();
    assert_eq!(referral.source_type.as_deref(), Some("ad"));
    assert_eq!(referral.source_id.as_deref(), Some("120208030000000000"));
    assert_eq!(referral.media_url.as_deref(), Some("https://scontent.example.com/ad.jpg"));
    assert!(referral.click_id.unwrap().starts_with("ARAkLk") && referral.headline.is_some() && referral.body.is_some());
    assert_eq!(referral.source_url.as_deref(), Some("https://fb.me/2Zabc"));
}

#[test]
fn a_question_about_a_product_names_the_product_and_words_beside_a_content_are_kept() {
    let parsed = single("product");
    let message = message_of(&parsed);
    let product = message.product.clone().unwrap();
    assert_eq!((product.retailer_id.as_deref(), product.catalog_id.as_deref()), (Some("di9ozbzfi4"), Some("194836987003835")));
    assert_eq!(message.reply_to.as_deref(), Some("wamid.HBgMMzkzMzMxMjM0NTY3FQIAEhgUM0FC0US1"));
    assert!(message.words.is_none());
    let beside = message_with(json!({"type": "location", "location": {"latitude": 1, "longitude": 2}, "text": {"body": "Qui"}}));
    let events = parse_value(&request(&[beside]));
    assert_eq!(message_of(&events[0]).words.as_deref(), Some("Qui"));
}

#[test]
fn half_an_emoji_costs_its_character_and_no_message_of_the_batch() {
    let events = parse(&fixture("cut-emoji")).unwrap();
    assert_eq!(
        events.iter().map(|parsed| message_of(parsed).profile_name.clone().unwrap().0).collect::<Vec<_>>(),
        ["Zoë \u{fffd}", "Zoë \u{fffd}"]
    );
    assert!(serde_json::from_slice::<Value>(&fixture("cut-emoji").body).is_err(), "the standard parser refuses it");
}

#[test]
fn a_text_of_whatsapps_full_length_is_whole_and_a_longer_one_says_that_it_was_cut() {
    for c in ["\u{1f600}", "a", "\u{1}"] {
        let whole = c.repeat(domain::message::LONGEST_TEXT);
        let events = parse_value(&request(&[message_with(json!({"text": {"body": whole}}))]));
        let message = message_of(&events[0]);
        assert_eq!(message.content.readable(), whole);
        assert!(!message.cut);
        let stored = serde_json::to_string(&events[0].event).unwrap();
        assert!(events[0].raw.len() + stored.len() < 600_000, "{}", stored.len());
        assert!(events[0].event.kind.weight() + events[0].raw.len() <= 380_000);
        assert_eq!(events[0].event.queued().kind == InboundKind::Stored, whole.len() > 65_536 || c == "\u{1}", "{c:?}");
        let longer = format!("{whole}!");
        let events = parse_value(&request(&[message_with(json!({"text": {"body": longer}}))]));
        assert_eq!((message_of(&events[0]).content.readable(), message_of(&events[0]).cut), (whole, true));
    }
    let edit = json!({"type": "edit", "edit": {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "x".repeat(70_000)}}}});
    let events = parse_value(&request(&[message_with(edit)]));
    let InboundKind::Annotation(annotation) = &events[0].event.kind else { panic!("an annotation") };
    assert!(matches!(&annotation.what, domain::inbound::Annotated::Edited { cut: true, .. }));
}

#[test]
fn what_the_business_writes_elsewhere_goes_to_its_customer() {
    let said = |name: &str| match parse(&fixture(name)).unwrap().remove(0).event.kind {
        InboundKind::Elsewhere(said) => said,
        other => panic!("{other:?}"),
    };
    let echo = said("echo-image");
    assert_eq!((&echo.customer, &echo.alias), (&phone_address(), &Some(user_id())));
    assert_eq!((echo.attachments[0].source.as_str(), echo.profile_name.unwrap().0.as_str()), ("1003383421387262", "Zoë Rossi"));
    assert_eq!(said("history").customer, phone_address());
    // The file's details are another event about the same message.
    let (first, file) = (parse(&fixture("history")).unwrap(), single("history-file"));
    let InboundKind::Elsewhere(placeholder) = &first[1].event.kind else { panic!("a placeholder") };
    assert_eq!(said("history-file").provider_id, placeholder.provider_id);
    assert_ne!(file.event.id, first[1].event.id);
    assert_eq!(said("call-missed").customer, phone_address());
    let mut missing = serde_json::from_slice::<Value>(&fixture("echo").body).unwrap();
    missing["entry"][0]["changes"][0]["value"]["message_echoes"][0]["to"] = json!("nobody");
    assert_eq!(shown(&parse_value(&missing)[0]), json!({"other": "message_to_nobody"}));
}

#[test]
fn an_alert_has_metas_time_and_all_that_meta_says() {
    let InboundKind::Alert(alert) = single("account-update").event.kind else { panic!("an alert") };
    assert_eq!(alert.at, Some("2026-01-01T00:21:40Z".parse().unwrap()));
    assert!(alert.detail.contains("restriction_info.0.restriction_type: RESTRICTED_BIZ_INITIATED_MESSAGING"));
    assert_eq!(single("account-update").event.id, single("account-update").event.id);
}

#[test]
fn what_happens_to_a_message_or_to_a_customer_says_who_did_it() {
    for (name, from, alias) in [
        ("reaction", phone_address(), None),
        ("edit", phone_address(), None),
        ("revoke", phone_address(), None),
        ("system-number", phone_address(), None),
        ("system-user-id", phone_address(), Some(user_id())),
        // Nobody is named as its sender: it is the customer who had the previous id.
        ("system-user-id-alone", user_id(), None),
        ("user-id-update", user_id(), Some(phone_address())),
    ] {
        let parsed = single(name);
        let InboundKind::Annotation(annotation) = &parsed.event.kind else { panic!("{name} is an annotation") };
        assert_eq!((&annotation.from, &annotation.alias), (&from, &alias), "{name}");
        assert_eq!(annotation.provider_id, parsed.event.id, "{name}");
        assert!(annotation.sent_at.is_some(), "{name}");
    }
}

#[test]
fn a_report_has_the_messages_id_its_state_our_reference_and_its_time() {
    for (name, word, state) in [
        ("status-sent", "sent", DeliveryState::Sent),
        ("status-delivered", "delivered", DeliveryState::Delivered),
        ("status-read", "read", DeliveryState::Read),
        ("status-played", "played", DeliveryState::Read),
        ("status-failed", "failed", DeliveryState::Failed),
    ] {
        let parsed = single(name);
        let status = status_of(&parsed);
        assert_eq!(parsed.event.id, format!("{REPLIED}#{word}"));
        assert_eq!((status.provider_id.as_str(), status.reference.as_deref(), status.state), (REPLIED, Some(REFERENCE), state), "{name}");
        assert!(status.at.is_some() && status.error.is_some() == (state == DeliveryState::Failed), "{name}");
    }
    let error = status_of(&single("status-failed")).error.clone().unwrap();
    assert_eq!(error, DeliveryError { class: ErrorClass::WindowExpired, code: Some("131047".into()) });

    let mut body: Value = serde_json::from_slice(&fixture("status-failed").body).unwrap();
    let status = &mut body["entry"][0]["changes"][0]["value"]["statuses"][0];
    status["errors"] = json!([{"code": "131026"}]);
    status["biz_opaque_callback_data"] = "x".repeat(300).into();
    status["timestamp"] = "soon".into();
    let events = parse_value(&body);
    let status = status_of(&events[0]);
    assert_eq!(status.error, Some(DeliveryError { class: ErrorClass::Undeliverable, code: Some("131026".into()) }));
    assert_eq!((&status.reference, status.at), (&None, None));
    for errors in [json!([]), json!(null), json!("x"), json!([{"code": 999_999}])] {
        body["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"] = errors;
        assert_eq!(status_of(&parse_value(&body)[0]).error.as_ref().unwrap().class, ErrorClass::Permanent);
    }
}

#[test]
fn each_event_of_a_request_is_for_the_number_that_it_names() {
    let events = parse(&fixture("batch")).unwrap();
    let (own, another) = (Some("106540352242922"), Some("106540352242999"));
    let numbers: Vec<_> = events.iter().map(|parsed| parsed.number.as_deref()).collect();
    assert_eq!(numbers, [own, own, own, own, own, another, None, own]);
}

#[test]
fn an_unreadable_element_does_not_lose_the_others() {
    for broken in [
        json!(null),
        json!(1),
        json!([]),
        json!({}),
        message_with(json!({"id": null})),
        message_with(json!({"id": []})),
        message_with(json!({"from": null})),
        message_with(json!({"from": "nobody"})),
        message_with(json!({"from": {}})),
        message_with(json!({"group_id": "g"})),
        message_with(json!({"type": "reaction", "reaction": {"emoji": "👍"}})),
        message_with(json!({"type": "edit", "edit": {"original_message_id": "wamid.1", "message": "x"}})),
        message_with(json!({"type": "edit", "edit": {"message": {"type": "text"}}})),
        message_with(json!({"type": "revoke"})),
    ] {
        // The contact must not reveal its sender.
        let mut body = request(&[message_with(json!({"id": "wamid.A"})), broken.clone(), message_with(json!({"id": "wamid.B"}))]);
        body["entry"][0]["changes"][0]["value"].as_object_mut().unwrap().remove("contacts");
        let events = parse_value(&body);
        assert_eq!(events.len(), 3, "{broken}");
        assert_eq!((events[0].event.id.as_str(), events[2].event.id.as_str()), ("wamid.A", "wamid.B"));
        assert!(matches!(events[1].event.kind, InboundKind::Other { .. }), "{broken}");
        assert_eq!(events[1].number.as_deref(), Some("106540352242922"));
    }
}

#[test]
fn numbers_in_place_of_texts_and_the_reverse_are_read() {
    let odd = message_with(json!({"from": 393_331_234_567_u64, "id": 17, "timestamp": 1_767_225_600, "text": {"body": 42}}));
    let events = parse_value(&request(&[odd]));
    let message = message_of(&events[0]);
    assert_eq!((&message.from, message.provider_id.as_str()), (&phone_address(), "17"));
    assert_eq!(shown(&events[0]), json!({"type": "text", "body": "42"}));
    assert_eq!(message.sent_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    let odd = message_with(json!({"type": "audio", "audio": {"id": 7, "voice": "true"}, "context": {"forwarded": "true", "id": 9}}));
    let events = parse_value(&request(&[odd]));
    let message = message_of(&events[0]);
    assert_eq!((message.attachments[0].source.as_str(), message.attachments[0].kind), ("7", Some(AttachmentKind::Voice)));
    assert_eq!(
        (message.attachments[0].content_type.as_str(), message.forwarded, message.reply_to.as_deref()),
        ("application/octet-stream", true, Some("9"))
    );
}

#[test]
fn a_kind_without_what_belongs_to_it_is_kept_as_unsupported_with_what_meta_says() {
    let errors = json!([{"code": 131052, "title": "Media download error"}]);
    for (parts, kind, detail) in [
        (json!({"type": "text", "text": null}), "text", None),
        (json!({"type": "image", "text": null, "image": {}, "errors": errors}), "image", Some("Media download error")),
        (json!({"type": "location", "text": null, "location": {"latitude": 100, "longitude": 0}}), "location", None),
        (json!({"type": "contacts", "text": null, "contacts": []}), "contacts", None),
        (json!({"type": "button", "text": null, "button": "x"}), "button", None),
        (json!({"type": "interactive", "text": null, "interactive": {"type": "list_reply"}}), "interactive", None),
        (json!({"type": "order", "text": null}), "order", None),
        (json!({"type": 5, "text": null}), "5", None),
        (json!({"type": null, "text": null}), "unknown", None),
        (json!({"type": "unsupported", "text": null, "errors": "x"}), "unsupported", None),
        (
            json!({"type": "image", "text": null, "image": {"caption": "Con foto"}, "errors": errors}),
            "image",
            Some("Con foto\nMedia download error"),
        ),
        (
            json!({"type": "hologram", "text": null, "hologram": {"parts": [{"title": "Uno"}, {"caption": "Due"}]}}),
            "hologram",
            Some("Uno\nDue"),
        ),
        (
            json!({"type": "interactive", "text": null, "interactive": {"type": "quiz_reply", "quiz_reply": {"title": "Tre"}}}),
            "quiz_reply",
            Some("Tre"),
        ),
        (json!({"type": "location", "text": null, "location": {"name": "Roma"}}), "location", Some("Roma")),
    ] {
        let events = parse_value(&request(&[message_with(parts.clone())]));
        let mut expected = json!({"type": "unsupported", "kind": kind});
        if let Some(detail) = detail {
            expected["detail"] = detail.into();
        }
        assert_eq!(shown(&events[0]), expected, "{parts}");
    }
    // Without a type, the parts that are there decide.
    assert_eq!(shown(&parse_value(&request(&[message_with(json!({"type": null}))]))[0])["type"], "text");
}

#[test]
fn a_change_of_number_without_the_new_number_is_a_system_message() {
    for system in [
        json!({"type": "user_changed_number", "body": "b"}),
        json!({"type": "user_changed_number", "body": "b", "wa_id": "393331234567"}),
        json!({"type": "user_changed_user_id", "body": "b", "user_id": "not one"}),
        json!({"type": "something_new", "body": "b", "wa_id": "393339999999"}),
    ] {
        let events = parse_value(&request(&[message_with(json!({"type": "system", "system": system}))]));
        assert_eq!(shown(&events[0]), json!({"what": "system", "body": "b"}));
    }
    let events = parse_value(&request(&[message_with(json!({"type": "system", "system": {"type": "something_new"}}))]));
    assert_eq!(shown(&events[0]), json!({"what": "system", "body": "something_new"}));
}

#[test]
fn what_no_client_can_write_is_cut_so_that_every_event_can_be_stored_and_says_so() {
    let long = "ü".repeat(400_000);
    let cards: Vec<Value> =
        (0..2_000).map(|_| json!({"name": {"formatted_name": "x".repeat(1_000)}, "phones": [{"phone": "1"}]})).collect();
    for message in [
        message_with(json!({"text": {"body": long}})),
        message_with(json!({"id": long})),
        message_with(json!({"type": "contacts", "contacts": cards})),
        message_with(json!({"type": long, "context": {"id": long}, "referral": {"body": long, "headline": long}})),
        message_with(json!({"type": "order", "order": {"text": long}})),
        message_with(json!({"type": "system", "system": {"type": long}})),
        message_with(json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": {"a": long}}}})),
    ] {
        let events = parse_value(&request(&[message]));
        assert_eq!(events.len(), 1);
        let stored = serde_json::to_string(&events[0].event).unwrap();
        let event = &events[0].event;
        assert!(event.kind.weight() + events[0].raw.len() <= 380_000 && stored.len() < 500_000, "{}", stored.len());
        assert!(events[0].raw.len() <= 100 * 1024 && events[0].raw.ends_with(" bytes in all]") && event.id.len() <= 90);
        if let InboundKind::Message(message) = &event.kind {
            let says_so = message.cut
                || message.content.readable().contains("1743 more")
                || message.referral.is_some()
                || event.id != message.provider_id;
            assert!(says_so, "{}", message.content.kind());
        }
    }
}

#[test]
fn other_updates_are_stored_and_a_body_that_is_not_an_object_is_refused() {
    for (body, names) in [
        (json!({"object": "whatsapp_business_account", "entry": []}), vec![]),
        (json!({"object": "page"}), vec!["page"]),
        (json!({}), vec!["unknown"]),
        (json!({"entry": [{}]}), vec!["entry"]),
        (json!({"entry": [{"changes": [{"field": "messages", "value": {"messages": [], "statuses": []}}]}]}), vec!["messages"]),
        (json!({"entry": [{"changes": [{"field": "messages"}]}]}), vec!["messages"]),
        (json!({"entry": {"changes": {"field": "calls", "value": {}}}}), vec!["calls"]),
        (json!({"entry": 5}), vec![]),
    ] {
        let events = parse_value(&body);
        let found: Vec<_> = events.iter().map(|parsed| shown(parsed)["other"].clone()).collect();
        assert_eq!(found, names, "{body}");
    }
    let text = fixture("text");
    for body in [&text.body[..text.body.len() - 1], b"", b"[]", b"null", b"x=1", b"\xFF\xFE"] {
        let broken = Fixture { body: body.to_vec(), ..text.clone() };
        assert_eq!(parse(&broken).unwrap_err().status(), http::StatusCode::BAD_REQUEST);
    }
    // A broken name does not lose the message.
    let mut bytes = text.body.clone();
    let at = bytes.windows(5).position(|window| window == "Rossi".as_bytes()).unwrap();
    bytes[at] = 0xFF;
    let events = parse(&Fixture { body: bytes, ..text }).unwrap();
    assert_eq!(message_of(&events[0]).profile_name.as_ref().unwrap().0, "Zoë \u{fffd}ossi");
}

#[test]
fn a_request_over_3_mb_or_without_a_secret_is_refused() {
    let headers = HeaderMap::new();
    let body = vec![b' '; BODY_LIMIT + 1];
    let webhook = Webhook { method: &Method::POST, public_url: RECEIVE_URL, headers: &headers, body: &body };
    assert_eq!(Meta.verify(&webhook, &account(), &[&credentials(SECRET)]), Err(VerifyError::TooLarge { limit: BODY_LIMIT }));
    let webhook = Webhook { body: b"{}", ..webhook };
    assert_eq!(Meta.verify(&webhook, &account(), &[&Credentials::default()]), Err(VerifyError::NoSecret));
    // A GET that is not a handshake is an unsigned request.
    let webhook = Webhook { method: &Method::GET, body: b"", ..webhook };
    assert_eq!(Meta.handshake(&webhook, &account(), &[]), None);
    assert!(Meta.verify(&webhook, &account(), &[&credentials(SECRET)]).is_err());
}

#[test]
fn a_thousand_updates_in_3_mb_are_read_in_order() {
    let messages: Vec<Value> =
        (0..1_000).map(|n| message_with(json!({"id": format!("wamid.{n}"), "text": {"body": "x".repeat(2_900)}}))).collect();
    let body = request(&messages).to_string().into_bytes();
    assert!(body.len() > 2_900_000 && body.len() <= BODY_LIMIT);
    let fixture = Fixture { body, ..fixture("text") };
    assert_eq!(with_webhook(&fixture, |webhook| Meta.verify(webhook, &account(), &[&credentials(SECRET)])), Ok(()));
    let events = parse(&fixture).unwrap();
    assert_eq!(events.len(), 1_000);
    assert!(events.iter().zip(0..).all(|(parsed, n)| parsed.event.index == n && parsed.event.id == format!("wamid.{n}")));
}

/// Any JSON, often with meaningful names.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "(text|image|reaction|system|edit|revoke|contacts|interactive|order|location|393331234567|IT\\.1|failed|user_changed_number)"
            .prop_map(Value::from),
    ];
    let name = "(entry|changes|value|field|messages|statuses|errors|contacts|metadata|id|from|type|text|body|image|reaction|system|edit|message|context|timestamp|[a-z]{1,3})";
    leaf.prop_recursive(6, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic_and_never_verify(body in prop::collection::vec(any::<u8>(), 0..1024)) {
        let fixture = Fixture { body, ..fixture("text") };
        let _ = parse(&fixture);
        let verified = with_webhook(&fixture, |webhook| Meta.verify(webhook, &account(), &[&credentials("another")]));
        prop_assert_eq!(verified, Err(VerifyError::SignatureMismatch));
    }

    #[test]
    fn a_signed_request_with_any_contents_is_stored_under_safe_ids(element in any_json(), at in 0u8..4) {
        let body = match at {
            0 => element,
            1 => json!({"entry": element}),
            2 => json!({"entry": [{"changes": [{"field": "messages", "value": element}]}]}),
            _ => request(&[element]),
        };
        let fixture = Fixture { body: body.to_string().into_bytes(), ..fixture("text") };
        for parsed in parse(&fixture).unwrap_or_default() {
            let id = &parsed.event.id;
            prop_assert!(!id.is_empty() && id.len() <= 90 && id.bytes().all(|b| b.is_ascii_graphic()));
            // The event is stored and queued as JSON.
            let stored = serde_json::to_string(&parsed.event).unwrap();
            let read: domain::inbound::InboundEvent = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        }
    }

    #[test]
    fn a_request_with_many_messages_becomes_as_many_events_in_order(
        kinds in prop::collection::vec(prop::sample::select(vec!["text", "image", "reaction", "order", "new_kind"]), 1..60),
        split in any::<prop::sample::Index>(),
    ) {
        let messages: Vec<Value> = kinds
            .iter()
            .enumerate()
            .map(|(n, kind)| message_with(json!({
                "id": format!("wamid.{n}"), "type": kind, "image": {"id": "1"}, "reaction": {"message_id": "wamid.0", "emoji": "👍"},
            })))
            .collect();
        // The messages come in two changes of two entries.
        let (first, second) = messages.split_at(split.index(messages.len()));
        let mut body = request(first);
        let other = request(second);
        if first.is_empty() {
            body = other;
        } else {
            body["entry"].as_array_mut().unwrap().push(other["entry"][0].clone());
        }
        let events = parse_value(&body);
        let ids: Vec<_> = events.iter().map(|parsed| parsed.event.id.clone()).collect();
        prop_assert_eq!(ids, (0..kinds.len()).map(|n| format!("wamid.{n}")).collect::<Vec<_>>());
        prop_assert!(events.iter().zip(0..).all(|(parsed, index)| parsed.event.index == index));
    }
}
