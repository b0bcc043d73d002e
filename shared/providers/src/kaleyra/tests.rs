use std::collections::BTreeSet;

use super::*;
use crate::fixture::Fixture;
use crate::{Hosts, OutgoingAttachment, RateScope, Redirects};
use domain::account::Provider;
use domain::effect::MessageRef;
use domain::inbound::{InboundKind, InboundMessage, StatusUpdate};
use domain::message::{AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass};
use domain::values::Address;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

const OUR_MESSAGE: &str = "wamid.HBgMMzkzMzMxMjM0NTY3FQIAERgSOUR1";
const REFERENCE: &str = "con_01ARZ3NDEKTSV4RRFFQ69G5FAV.int_01ARZ3NDEKTSV4RRFFQ69G5FAW.1767225600000.msg_01ARZ3NDEKTSV4RRFFQ69G5FAX";
const FILE: &str = "https://kaleyra-media.s3.eu-west-1.amazonaws.com/HX0000000000IN/1003383421387256.jpeg";
const FORM: &str = "application/x-www-form-urlencoded";

fn account() -> Account {
    let fields = [(BASE_URL, "https://api.eu.kaleyra.io/"), (WABA_ID, "102290129340398"), (ACCOUNT_SID, "HX0000000000IN")];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Account { provider: Provider { kind: "KALEYRA".into(), fields }, ..domain::fixtures::account() }
}

fn credentials() -> Credentials {
    Credentials::default().with(API_KEY, "A-key")
}

fn received_at() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn fixture(name: &str) -> Fixture {
    Fixture::load("kaleyra", name).unwrap()
}

fn with_webhook<T>(fixture: &Fixture, look: impl Fn(&Webhook<'_>) -> T) -> T {
    let fixture = fixture.clone().with_token("T0KEN");
    let headers = fixture.headers.iter();
    let headers: HeaderMap =
        headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect();
    let public_url = format!("https://h.example{}", fixture.target);
    look(&Webhook { method: &fixture.method, public_url: &public_url, headers: &headers, body: &fixture.body })
}

fn parse_at(fixture: &Fixture, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
    with_webhook(fixture, |webhook| Kaleyra.parse(webhook, &account(), received_at))
}

fn parse(fixture: &Fixture) -> Result<Vec<Parsed>, ParseError> {
    parse_at(fixture, received_at())
}

fn posted(body: &Value) -> Fixture {
    Fixture { body: body.to_string().into_bytes(), ..fixture("v1-text") }
}

fn body_of(name: &str) -> Value {
    serde_json::from_slice(&fixture(name).body).unwrap()
}

/// The recorded V1 message with one parameter changed.
fn v1(name: &str, value: Value) -> Fixture {
    let mut body = body_of("v1-text");
    body[name] = value;
    posted(&body)
}

fn single(fixture: &Fixture) -> Parsed {
    let mut events = parse(fixture).unwrap();
    assert_eq!(events.len(), 1, "{}", fixture.name);
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

/// An event in short: its kind and its contents. `Debug` does not show customers' texts.
fn shown(parsed: &Parsed) -> Value {
    match &parsed.event.kind {
        InboundKind::Message(message) => serde_json::to_value(&message.content).unwrap(),
        InboundKind::Annotation(annotation) => serde_json::to_value(&annotation.what).unwrap(),
        InboundKind::Status(status) => json!({"status": status.state}),
        InboundKind::Other { name } => json!({"other": name}),
    }
}

#[test]
fn every_recorded_callback_becomes_what_it_says() {
    let text = |body: &str| json!({"type": "text", "body": body});
    let media = |caption: &str| json!({"type": "media", "caption": caption});
    let place = json!({
        "type": "location", "latitude": 41.902782, "longitude": 12.496366, "label": "Roma Termini", "address": "Piazza dei Cinquecento 1, Roma",
    });
    let mut unnamed_place = place.clone();
    unnamed_place["address"] = Value::Null;
    let cards = json!({"type": "contacts", "cards": [{"name": "Anna Bianchi", "phones": ["+39 333 765 4321"]}]});
    let table = [
        ("text", text("Buongiorno da Kaleyra, è aperto?")),
        ("reply", text("Sì, quella")),
        ("image", media("La ricevuta")),
        ("voice", media("")),
        ("document-without-url", media("")),
        ("location", place),
        ("contacts", cards.clone()),
        ("button-reply", json!({"type": "button", "text": "Assistenza", "payload": "btn_1"})),
        ("reaction", json!({"what": "reaction", "message": OUR_MESSAGE, "emoji": "👍"})),
        ("unsupported", json!({"type": "unsupported", "kind": "unsupported", "detail": "Message type unknown"})),
        ("envelope", text("Nell'involucro di Meta")),
        ("status-sent", json!({"status": "sent"})),
        ("status-delivered", json!({"status": "delivered"})),
        ("status-read", json!({"status": "read"})),
        ("status-failed", json!({"status": "failed"})),
        ("status-not-sent", json!({"status": "failed"})),
        ("v1-text", text("Buongiorno dal profilo V1")),
        ("v1-put", text("Con PUT")),
        ("v1-form", text("Come modulo, 5 & 6")),
        ("v1-get", text("Con GET")),
        ("v1-image", media("La ricevuta")),
        ("v1-location", unnamed_place),
        ("v1-contacts", cards),
        ("v1-button", json!({"type": "button", "text": "Sì", "payload": "yes"})),
        ("v1-placeholders", json!({"type": "unsupported", "kind": "unknown"})),
        ("v1-rows", text("In una riga")),
        ("quality", json!({"other": "FLAGGED"})),
        ("template-status", json!({"other": "message_template_status_update"})),
    ];
    for (name, expected) in &table {
        let fixture = fixture(name);
        assert_eq!(with_webhook(&fixture, |webhook| Kaleyra.verify(webhook, &account(), &[&credentials()])), Ok(()), "{name}");
        let parsed = single(&fixture);
        assert_eq!(shown(&parsed), *expected, "{name}");
        assert_eq!(parsed, single(&fixture), "{name}: the same again is the same event");
        if let InboundKind::Message(message) = &parsed.event.kind {
            assert_eq!(message.from, Address::Phone(domain::values::E164::parse("+393331234567").unwrap()), "{name}");
            assert!(message.sent_at.is_some() || matches!(*name, "v1-placeholders" | "v1-rows"), "{name}");
            assert!(message.profile_name.is_some() || *name == "v1-placeholders", "{name}");
        }
    }
    let names: BTreeSet<_> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files: BTreeSet<_> = Fixture::all("kaleyra").unwrap().into_iter().map(|fixture| fixture.name).collect();
    assert_eq!(files, names);
}

#[test]
fn every_callback_must_carry_what_the_account_demands() {
    let mut guarded = account();
    guarded.provider.fields.insert("callback_header".into(), "x-callback-key".into());
    let secrets = credentials().with("callback_header_value", "open sesame");
    for fixture in Fixture::all("kaleyra").unwrap() {
        let verify = |fixture: &Fixture| with_webhook(fixture, |webhook| Kaleyra.verify(webhook, &guarded, &[&secrets]));
        assert_eq!(verify(&fixture), Err(VerifyError::Guard), "{}", fixture.name);
        let mut proven = fixture.clone();
        proven.headers.push(("X-Callback-Key".into(), "open sesame".into()));
        assert_eq!(verify(&proven), Ok(()), "{}", fixture.name);
    }
    let long = Fixture { body: vec![b' '; BODY_LIMIT + 1], ..fixture("text") };
    let verified = with_webhook(&long, |webhook| Kaleyra.verify(webhook, &account(), &[&credentials()]));
    assert_eq!(verified, Err(VerifyError::TooLarge { limit: BODY_LIMIT }));
}

#[test]
fn a_v2_message_has_whatsapps_id_and_the_file_that_kaleyra_keeps() {
    let parsed = single(&fixture("image"));
    let message = message_of(&parsed);
    assert!(message.provider_id.starts_with("wamid.") && message.provider_id == parsed.event.id);
    let [attachment] = message.attachments.as_slice() else { panic!("one file") };
    assert_eq!((attachment.source.as_str(), attachment.content_type.as_str()), (FILE, "image/jpeg"));
    assert_eq!((attachment.kind, attachment.sha256.as_ref().map(String::len)), (Some(AttachmentKind::Image), Some(64)));
    assert!(parsed.raw.contains("media_url"), "the parts beside the message are stored with it");
    assert_eq!(message_of(&single(&fixture("voice"))).attachments[0].kind, Some(AttachmentKind::Voice));
    assert_eq!(message_of(&single(&fixture("reply"))).reply_to.as_deref(), Some(OUR_MESSAGE));
    assert_eq!(message_of(&single(&fixture("text"))).reply_to, None);
}

#[test]
fn files_are_fetched_without_credentials_and_one_without_an_address_says_so() {
    let (account, credentials, hosts) = (account(), credentials(), Hosts::default());
    let connection = Connection { account: &account, credentials: &credentials, token: None, hosts: &hosts };
    for url in [FILE, "https://api.eu.kaleyra.io/file", "http://127.0.0.1:9999/x"] {
        let Ok(MediaStep::Fetch(request)) = Kaleyra.media(&connection, url, None) else { panic!("{url} is fetched") };
        assert_eq!((request.authorization, request.redirects), (Authorization::None, Redirects::FollowWithoutCredentials));
        assert_eq!((request.url.as_str(), request.method), (url, Method::GET));
    }
    let parsed = single(&fixture("document-without-url"));
    let [attachment] = message_of(&parsed).attachments.as_slice() else { panic!("one file") };
    assert_eq!((attachment.source.as_str(), attachment.name.as_deref()), ("1003383421387259", Some("fattura 12.pdf")));
    for source in [&attachment.source, "", "ftp://h.example/x", "file:///etc/passwd"] {
        assert_eq!(Kaleyra.media(&connection, source, None), Err(MediaAddressError));
    }
}

#[test]
fn a_report_is_told_by_our_reference_whatever_its_case() {
    for (name, id, state) in [
        ("status-sent", format!("{OUR_MESSAGE}#sent"), DeliveryState::Sent),
        ("status-delivered", format!("{OUR_MESSAGE}#delivered"), DeliveryState::Delivered),
        ("status-read", format!("{OUR_MESSAGE}#read"), DeliveryState::Read),
        ("status-failed", format!("{OUR_MESSAGE}#failed"), DeliveryState::Failed),
        ("status-not-sent", "7b6c2f10-0000-4000-8000-000000000009#not-sent".to_owned(), DeliveryState::Failed),
    ] {
        let parsed = single(&fixture(name));
        let status = status_of(&parsed);
        assert_eq!((parsed.event.id.as_str(), status.state, status.reference.as_deref()), (id.as_str(), state, Some(REFERENCE)), "{name}");
        assert_eq!(status.error.is_some(), state == DeliveryState::Failed, "{name}");
    }
    let failed = status_of(&single(&fixture("status-failed"))).error.clone();
    assert_eq!(failed, Some(DeliveryError { class: ErrorClass::WindowExpired, code: Some("131047".into()) }));

    let mut body = body_of("status-sent");
    for (word, state) in [("Not-Sent", DeliveryState::Failed), ("READ", DeliveryState::Read), ("Delivered", DeliveryState::Delivered)] {
        body["meta_object"]["value"]["statuses"][0]["status"] = word.into();
        assert_eq!(status_of(&single(&posted(&body))).state, state);
    }
    // A company's own V1 profile.
    let parsed = single(&posted(&json!({"status": "failed", "message_id": "m1", "ref": "r1", "error_code": "131026"})));
    let expected = DeliveryError { class: ErrorClass::Undeliverable, code: Some("131026".into()) };
    assert_eq!((status_of(&parsed).reference.as_deref(), &status_of(&parsed).error), (Some("r1"), &Some(expected)));
    let parsed = single(&posted(&json!({"status": "DELIVERED", "id": "m1", "from": "390612345678", "mobile": "393331234567"})));
    assert_eq!(shown(&parsed), json!({"status": "delivered"}), "a report with a number is not a message");
    assert_eq!(shown(&single(&posted(&json!({"status": "failed"})))), json!({"other": "unknown"}));
}

#[test]
fn a_v1_message_without_an_id_is_told_from_others_by_its_contents() {
    let id = |fixture: &Fixture| single(fixture).event.id;
    let original = id(&fixture("v1-text"));
    assert_eq!(original.len(), 64);
    assert_eq!(parse_at(&fixture("v1-text"), "2026-11-21T10:00:00Z".parse().unwrap()).unwrap()[0].event.id, original, "a day late");
    for (name, value) in [
        ("body", "altro"),
        ("from", "393331234568"),
        ("created_at", "1767225901"),
        ("type", "button"),
        ("media_url", FILE),
        ("location", "x"),
    ] {
        assert_ne!(id(&v1(name, value.into())), original, "{name}");
    }
    // The border between two texts matters.
    let pair = |body: &str, created_at: &str| posted(&json!({"from": "393331234567", "body": body, "created_at": created_at}));
    assert_ne!(id(&pair("1", "17672259001")), id(&pair("11", "7672259001")));

    // Without a time, two within a minute are the same message; later ones are two.
    let timeless = v1("created_at", "".into());
    let at = |time: &str| parse_at(&timeless, time.parse().unwrap()).unwrap()[0].event.id.clone();
    assert_eq!(at("2026-11-20T10:00:00Z"), at("2026-11-20T10:00:59Z"));
    assert_ne!(at("2026-11-20T10:00:00Z"), at("2026-11-20T10:01:00Z"));
}

#[test]
fn a_v1_time_is_read_in_any_unambiguous_form() {
    let at = |text: Value| message_of(&single(&v1("created_at", text))).sent_at;
    let expected: Option<Timestamp> = Some("2026-01-01T00:05:00Z".parse().unwrap());
    for clear in [
        json!("1767225900"),
        json!(1_767_225_900),
        json!("1767225900000"),
        json!(" 1767225900 "),
        json!("2026-01-01T00:05:00Z"),
        json!("2026-01-01T01:05:00+01:00"),
        json!("2026-01-01 01:05:00+01:00"),
        json!("Thu, 01 Jan 2026 00:05:00 +0000"),
    ] {
        assert_eq!(at(clear.clone()), expected, "{clear}");
    }
    // Without a zone the time could be hours off.
    for unclear in ["2026-01-01 00:05:00", "01/02/2026", "yesterday", "<created_at>", "", "99999999999999", "-5", "2027-01-01T00:00:00Z"] {
        assert_eq!(at(unclear.into()), None, "{unclear}");
    }
}

#[test]
fn v1_parameters_may_be_nested_missing_or_of_another_type() {
    let nested = v1("location", json!({"latitude": "41.9", "longitude": 12.5}));
    assert_eq!(shown(&single(&nested))["type"], "location");
    let nested = v1("contacts", json!([{"name": {"first_name": "Anna"}, "phones": []}]));
    assert_eq!(shown(&single(&nested)), json!({"type": "contacts", "cards": [{"name": "Anna"}]}));
    assert_eq!(shown(&single(&v1("body", json!(42)))), json!({"type": "text", "body": "42"}));
    assert_eq!(shown(&single(&v1("location", "not JSON".into())))["type"], "text");
    // A body that repeats the address is not a caption.
    let mut image = body_of("v1-image");
    image["body"] = FILE.into();
    assert_eq!(shown(&single(&posted(&image))), json!({"type": "media", "caption": ""}));
    // `mobile` in place of `from`; a plus sign that became a space.
    let mut body = body_of("v1-text");
    body["from"] = "<from>".into();
    assert_eq!(shown(&single(&posted(&body)))["type"], "text");
    body["mobile"] = " 393331234567".into();
    assert_eq!(shown(&single(&posted(&body)))["type"], "text");
    body["mobile"] = "nobody".into();
    assert_eq!(shown(&single(&posted(&body))), json!({"other": "text"}));
    // A list of one, and JSON under another content type.
    let list = Fixture { body: json!([body_of("v1-text")]).to_string().into_bytes(), ..fixture("v1-form") };
    assert_eq!(shown(&single(&list))["type"], "text");
    // A form with the same parameters is the same message.
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(body_of("v1-text").as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap())))
        .finish();
    let form = Fixture { body: form.into_bytes(), headers: vec![("Content-Type".into(), FORM.into())], ..fixture("v1-text") };
    assert_eq!(single(&form).event, single(&fixture("v1-text")).event);
}

#[test]
fn an_unreadable_callback_is_refused() {
    for (body, content_type) in [
        (&b"{\"meta_object\":"[..], "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"[{},{}]", "application/json"),
        (b"null", "application/json"),
        (b"\"x\"", "application/json"),
        (b"<message><from>1</from></message>", "text/xml"),
        (b"from=1", "text/plain"),
        (b"\xFF\xFE", "application/json"),
    ] {
        let broken = Fixture { body: body.to_vec(), headers: vec![("Content-Type".into(), content_type.into())], ..fixture("text") };
        assert_eq!(parse(&broken).unwrap_err().status(), StatusCode::BAD_REQUEST);
    }
    let empty = Fixture { target: "/receive/kaleyra/{token}".into(), ..fixture("v1-get") };
    assert_eq!(parse(&empty).unwrap_err().status(), StatusCode::BAD_REQUEST);
    let deep = "[".repeat(200_000);
    assert!(parse(&Fixture { body: deep.into_bytes(), ..fixture("text") }).is_err());
}

fn render(to: &Address, content: &Content, attachment: Option<OutgoingAttachment<'_>>) -> Result<OutgoingRequest, RenderError> {
    render_for(&account(), to, content, attachment)
}

fn render_for(
    account: &Account,
    to: &Address,
    content: &Content,
    attachment: Option<OutgoingAttachment<'_>>,
) -> Result<OutgoingRequest, RenderError> {
    let (credentials, hosts, reference) = (credentials(), Hosts::default(), MessageRef("a.b.1.c".into()));
    let connection = Connection { account, credentials: &credentials, token: None, hosts: &hosts };
    let message =
        Outgoing { to, content, attachment, reply_to: Some("wamid.THEIRS"), reference: &reference, status_callback: "https://h.example/s" };
    Kaleyra.render_send(&connection, &message)
}

fn customer() -> Address {
    Address::Phone(domain::values::E164::parse("+393331234567").unwrap())
}

#[test]
fn a_message_is_metas_document_with_our_reference_beside_it() {
    let request = render(&customer(), &Content::Text { body: "Buongiorno".into() }, None).unwrap();
    assert_eq!(request.url, "https://api.eu.kaleyra.io/v2/HX0000000000IN/whatsapp/%2B390612345678/messages");
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.authorization, Authorization::Header { name: "api-key", value: Secret::new("A-key") });
    assert_eq!(request.redirects, Redirects::Refuse);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({
            "messaging_object": {
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+393331234567", "type": "text",
                "text": {"preview_url": false, "body": "Buongiorno"}, "context": {"message_id": "wamid.THEIRS"},
            },
            "extra_info": {"ref": "a.b.1.c", "ref1": "", "ref2": "", "wa_source": "api"},
        })
    );
    let file = OutgoingAttachment { url: "https://h.example/f", kind: AttachmentKind::Image, content_type: "image/png", name: None };
    let request = render(&Address::Bsuid("IT.1".into()), &Content::Media { caption: "Ecco".into() }, Some(file)).unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["messaging_object"]["image"], json!({"link": "https://h.example/f", "caption": "Ecco"}));
    assert_eq!(body["messaging_object"]["recipient"], "IT.1");
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_before_it_leaves() {
    let long = Content::Text { body: "x".repeat(MAX_TEXT + 1) };
    assert_eq!(render(&customer(), &long, None), Err(RenderError::TextTooLong { limit: 4096 }));
    // An internal note never reaches a customer.
    assert_eq!(render(&customer(), &Content::Note { body: "x".into() }, None), Err(RenderError::Unsupported));
    let mut elsewhere = account();
    elsewhere.provider.fields.insert(ACCOUNT_SID.into(), "../../v1".into());
    let hello = Content::Text { body: "x".into() };
    assert_eq!(render_for(&elsewhere, &customer(), &hello, None), Err(RenderError::MalformedAccount));
}

fn classified(status: u16, body: &str) -> SendResult {
    Kaleyra.classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: Some("7"), body: body.as_bytes() })
}

#[test]
fn an_accepted_message_has_its_id_wherever_the_answer_holds_it() {
    for body in [
        r#"{"code":"WA200","message":"ok","data":{"message_id":"m1"}}"#,
        r#"{"data":[{"message_id":"m1"}]}"#,
        r#"{"messages":[{"id":"m1"}]}"#,
        r#"{"data":{"messages":[{"id":"m1"}]}}"#,
        r#"{"message_id":"m1","code":200}"#,
        r#"{"id":"m1","error":{}}"#,
    ] {
        let expected = SendResult::Accepted { provider_id: "m1".into(), state: DeliveryState::Accepted };
        assert_eq!(classified(200, body), expected, "{body}");
        assert_eq!(classified(202, body), expected, "{body}");
    }
    assert_eq!(classified(200, r#"{"id":17}"#), SendResult::Accepted { provider_id: "17".into(), state: DeliveryState::Accepted });
}

#[test]
fn a_refusal_goes_by_its_code_and_what_tells_nothing_is_unknown() {
    let failed = |class, code: Option<&str>| SendResult::Failed(DeliveryError { class, code: code.map(Into::into) });
    let limited = |scope| SendResult::RateLimited { retry_after: Some(Duration::from_secs(7)), scope };
    for (status, body, expected) in [
        (401, r#"{"code":"RBC001","message":"Invalid"}"#, failed(ErrorClass::Authentication, Some("RBC001"))),
        (200, r#"{"code":"RBC001"}"#, failed(ErrorClass::Authentication, Some("RBC001"))),
        (200, r#"{"code":"WA500","data":{"message_id":"m1"}}"#, SendResult::Unknown),
        (400, r#"{"code":200}"#, failed(ErrorClass::Permanent, Some("200"))),
        (500, r#"{"code":190}"#, SendResult::Unknown),
        (402, r#"{"code":"E110"}"#, failed(ErrorClass::Authentication, Some("E110"))),
        (400, r#"{"code":"WA401"}"#, failed(ErrorClass::Authentication, Some("WA401"))),
        (400, r#"{"error":{"code":"wa400"}}"#, failed(ErrorClass::Permanent, Some("WA400"))),
        (400, r#"{"code":"WAV2101"}"#, failed(ErrorClass::RateLimited, Some("WAV2101"))),
        (500, r#"{"code":"WA500"}"#, failed(ErrorClass::Temporary, Some("WA500"))),
        (400, r#"{"code":131047}"#, failed(ErrorClass::WindowExpired, Some("131047"))),
        (400, r#"{"error":{"code":"131026"}}"#, failed(ErrorClass::Undeliverable, Some("131026"))),
        (400, r#"{"error":{"code":131056}}"#, limited(RateScope::Recipient)),
        (429, "", limited(RateScope::Number)),
        (429, r#"{"code":"E429"}"#, limited(RateScope::Number)),
        (429, r#"{"code":"WA400"}"#, limited(RateScope::Number)),
        (401, "<html>", failed(ErrorClass::Authentication, None)),
        (400, r#"{"code":"XYZ"}"#, failed(ErrorClass::Permanent, Some("XYZ"))),
        (500, r#"{"code":"XYZ"}"#, SendResult::Unknown),
        (500, "<html>", SendResult::Unknown),
        (503, "", SendResult::Unknown),
        (408, "", SendResult::Unknown),
        (302, "", SendResult::Unknown),
        (200, "", SendResult::Unknown),
        (200, "{}", SendResult::Unknown),
        (200, r#"{"code":"WA200"}"#, SendResult::Unknown),
    ] {
        assert_eq!(classified(status, body), expected, "{status} {body}");
    }
}

fn answer(status: u16, body: Value) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.to_string().into_bytes() }
}

fn connected<T>(look: impl Fn(&Connection<'_>) -> T) -> T {
    let (account, credentials, hosts) = (account(), credentials(), Hosts::default());
    look(&Connection { account: &account, credentials: &credentials, token: None, hosts: &hosts })
}

#[test]
fn templates_are_listed_page_by_page_and_never_from_another_host() {
    let ask = |answers: &[Answer]| connected(|connection| Kaleyra.templates(connection, answers));
    let Step::Call(request) = ask(&[]) else { panic!("it asks") };
    assert_eq!(request.url, "https://api.eu.kaleyra.io/v2/HX0000000000IN/whatsapp/102290129340398/message_templates");
    assert_eq!(request.authorization, Authorization::Header { name: "api-key", value: Secret::new("A-key") });
    let template =
        |name: &str| json!({"name": name, "language": "it", "status": "APPROVED", "components": [{"type": "BODY", "text": "Ciao {{1}}"}]});
    let page = |next: &str| answer(200, json!({"data": [template("a")], "paging": {"next": next}}));
    let Step::Call(request) = ask(&[page("https://api.eu.kaleyra.io/v2/next?after=1")]) else { panic!("it asks on") };
    assert_eq!(request.url, "https://api.eu.kaleyra.io/v2/next?after=1");
    let expected = |name: &str| crate::meta::template::listed(&template(name)).unwrap();
    assert_eq!(expected("a").parts.text, "Ciao {{1}}");
    assert_eq!(ask(&[page("https://evil.example/v2/next")]), Step::Done(Ok(vec![expected("a")])));
    let wrapped = answer(200, json!({"code": "WA200", "data": {"data": [template("b"), {"no": "name"}]}}));
    assert_eq!(ask(&[page("x"), wrapped]), Step::Done(Ok(vec![expected("a"), expected("b")])));
    assert_eq!(ask(&[answer(200, json!({}))]), Step::Done(Ok(vec![])));
    assert_eq!(ask(&[answer(401, json!({}))]), Step::Done(Err(Problem::CredentialsRefused)));
    // An endless list is cut.
    assert!(matches!(ask(&vec![page("https://api.eu.kaleyra.io/v2/next"); MAX_PAGES]), Step::Done(Ok(_))));
}

#[test]
fn a_check_says_what_kaleyra_tells() {
    let check = |answers: &[Answer]| connected(|connection| Kaleyra.check(connection, "https://h.example/receive/kaleyra/T", answers));
    assert!(matches!(check(&[]), Step::Call(_)));
    for (answered, expected) in [
        (answer(200, json!({"data": []})), Ok(Some(String::new()))),
        (answer(401, json!({"code": "RBC001"})), Err(Problem::CredentialsRefused)),
        (answer(200, json!({"code": "RBC001"})), Err(Problem::CredentialsRefused)),
        (answer(403, json!({})), Err(Problem::CredentialsRefused)),
        (answer(404, json!({})), Err(Problem::NotFound { field: "waba_id" })),
        (answer(429, json!({})), Err(Problem::RateLimited)),
        (answer(500, json!({})), Err(Problem::Unexpected { status: 500 })),
    ] {
        let Step::Done(findings) = check(&[answered]) else { panic!("one call is enough") };
        let results: Vec<_> = findings.iter().map(|finding| (finding.subject, finding.result.clone())).collect();
        assert_eq!(results, [("credentials", expected), ("number", Ok(None)), ("webhook", Ok(None))]);
    }
}

#[test]
fn a_person_is_told_what_to_paste() {
    let url = "https://h.example/receive/kaleyra/T0KEN";
    let text = Kaleyra.instructions(&account(), url);
    assert!(text.contains(url) && text.contains("V2 incoming URL") && text.contains(V1_PROFILE) && text.contains("callback_header"));
    assert_eq!(connected(|connection| Kaleyra.register(connection, url, &[])), Step::Done(Registration::ByHand));
    // The recommended profile has all the parameters that are read.
    let profile: Value = serde_json::from_str(V1_PROFILE).unwrap();
    assert!(profile.as_object().unwrap().iter().all(|(name, value)| *value == format!("<{name}>")));
    assert_eq!(profile.as_object().unwrap().keys().collect::<Vec<_>>(), body_of("v1-text").as_object().unwrap().keys().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_requests_never_panic(
        body in prop::collection::vec(any::<u8>(), 0..1024),
        query in "\\PC{0,60}",
        form in any::<bool>(),
        status in 100u16..1000,
    ) {
        let content_type = if form { FORM } else { "application/json" };
        for method in [Method::GET, Method::POST, Method::PUT] {
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            let public_url = format!("https://h.example/receive/kaleyra/T?{query}");
            let webhook = Webhook { method: &method, public_url: &public_url, headers: &headers, body: &body };
            let _ = Kaleyra.verify(&webhook, &account(), &[&credentials()]);
            let _ = Kaleyra.parse(&webhook, &account(), received_at());
        }
        let outcome = SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: Some(&query), body: &body };
        let _ = Kaleyra.classify(&outcome);
    }

    #[test]
    fn whatever_a_stranger_sends_is_kept_under_a_safe_id(
        parameters in prop::collection::hash_map(
            "(from|mobile|body|type|created_at|media_url|mime_type|location|contacts|name|reply_to|message|status|ref|message_id|[a-z]{1,3})",
            prop_oneof!["\\PC{0,40}", Just("393331234567".to_owned()), Just("text".to_owned()), Just("failed".to_owned()), Just("1767225900".to_owned())],
            1..10,
        ),
        get in any::<bool>(),
    ) {
        let request = if get {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
            Fixture { target: format!("/receive/kaleyra/{{token}}?{query}"), ..fixture("v1-get") }
        } else {
            posted(&json!(parameters))
        };
        let events = parse(&request).unwrap();
        prop_assert!(!events.is_empty());
        for parsed in &events {
            let id = &parsed.event.id;
            prop_assert!(!id.is_empty() && id.len() <= 90 && id.bytes().all(|b| b.is_ascii_graphic()));
            let stored = serde_json::to_string(&parsed.event).unwrap();
            let read: domain::inbound::InboundEvent = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        }
        prop_assert_eq!(parse(&request).unwrap(), events);
    }

    #[test]
    fn a_server_error_is_never_repeated_unless_kaleyra_advises_it(status in 500u16..600, code in "[A-Z]{2}[0-9]{3}") {
        prop_assume!(send::class_of(Some(&code)).is_none());
        prop_assert_eq!(classified(status, &json!({"code": code}).to_string()), SendResult::Unknown);
    }
}
