use std::time::Duration;

use domain::account::Account;
use domain::inbound::{Annotated, InboundKind, InboundMessage, ReactionEmoji, StatusUpdate};
use domain::message::{
    ApprovedTemplate, AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, TemplateButton, TemplateButtonKind, TemplateHeader,
};
use domain::values::Secret;
use http::{Method, StatusCode};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::super::testing::{
    self, RECEIVE_URL, Scene, answer, body_of, call, credentials, customer, done, file, fixture, leaf, places, recorded, text, user_id,
    with,
};
use super::super::{NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use super::SinchV2;
use crate::fixture::Fixture;
use crate::{
    Adapter, Authorization, Finding, Hosts, MediaStep, ParseError, Parsed, Problem, RateScope, Redirects, Registration, RenderError,
    SendOutcome, SendResult, Step, VerifyError, Webhook,
};

const PROJECT: &str = "11111111-2222-3333-4444-555555555555";
const APP: &str = "01TESTAPP0000000000000000A";
const BASE: &str = "https://eu.conversation.api.sinch.com";

fn account() -> Account {
    testing::account(json!({"type": "SINCH_V2", "base_url": BASE, "project_id": PROJECT, "app_id": APP, "key_id": "k1"}))
}

fn scene() -> Scene {
    Scene {
        adapter: &SinchV2,
        account: account(),
        credentials: credentials(&[("key_secret", "s3cret"), ("webhook_secret", "wh00k")]),
        token: Some(Secret::new("t0ken")),
        hosts: Hosts::all(|_, default| Ok::<_, std::convert::Infallible>(default.to_owned())).unwrap(),
    }
}

fn parse(body: &Value) -> Vec<Parsed> {
    testing::parse(&SinchV2, &account(), body.to_string().as_bytes()).unwrap()
}

fn one(body: &Value) -> Parsed {
    let mut events = parse(body);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn message(body: &Value) -> InboundMessage {
    match one(body).event.kind {
        InboundKind::Message(message) => message,
        _ => panic!("it is a message"),
    }
}

fn status(body: &Value) -> StatusUpdate {
    match one(body).event.kind {
        InboundKind::Status(status) => status,
        _ => panic!("it is a status"),
    }
}

fn other(body: &Value) -> String {
    match one(body).event.kind {
        InboundKind::Other { name } => name,
        _ => panic!("it is routed"),
    }
}

fn conversation_fixtures() -> Vec<Fixture> {
    Fixture::all("sinch").unwrap().into_iter().filter(|fixture| !fixture.name.starts_with("legacy-")).collect()
}

#[test]
fn every_recorded_request_is_read_and_its_signature_verifies() {
    let secret = Secret::new("wh00k");
    let fixtures = conversation_fixtures();
    assert!(fixtures.len() >= 27);
    for fixture in fixtures {
        let events = testing::parse(&SinchV2, &account(), &fixture.body).unwrap();
        assert_eq!(events.len(), usize::from(fixture.name != "typing"), "{}", fixture.name);
        for event in events {
            assert_eq!(event.number.as_deref(), Some(APP), "{}", fixture.name);
            assert_eq!(event.raw.as_bytes(), fixture.body, "{}", fixture.name);
        }
        let (nonce, timestamp) = (fixture.header(NONCE_HEADER).unwrap(), fixture.header(TIMESTAMP_HEADER).unwrap());
        let mut signed = fixture.headers.clone();
        signed.push((SIGNATURE_HEADER.to_owned(), sign(&fixture.body, nonce, timestamp, &secret)));
        let headers = testing::headers(&signed);
        let webhook = Webhook { method: &fixture.method, public_url: RECEIVE_URL, headers: &headers, body: &fixture.body };
        let (current, previous) = (scene().credentials, credentials(&[("webhook_secret", "before")]));
        assert_eq!(SinchV2.verify(&webhook, &account(), &[&current]), Ok(()), "{}", fixture.name);
        assert_eq!(SinchV2.verify(&webhook, &account(), &[&previous, &current]), Ok(()));
        assert_eq!(SinchV2.verify(&webhook, &account(), &[&previous]), Err(VerifyError::SignatureMismatch));
        assert_eq!(SinchV2.verify(&webhook, &account(), &[&credentials(&[])]), Err(VerifyError::NoSecret));
    }
}

#[test]
fn a_text_becomes_one_event_with_the_providers_id() {
    let event = one(&recorded("text")).event;
    assert_eq!((event.id.as_str(), event.index, event.received_at), ("01TESTMSG00000000000000001", 0, testing::received_at()));
    let message = message(&recorded("text"));
    assert_eq!(message.provider_id, event.id);
    assert_eq!((message.from, message.alias), (customer(), None));
    assert_eq!(message.content, text("Buongiorno, può aiutarmi?"));
    assert_eq!(message.sent_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert!(message.profile_name.is_none() && message.reply_to.is_none() && message.attachments.is_empty() && !message.forwarded);
}

#[test]
fn a_message_has_the_channels_time_or_else_that_of_its_acceptance_to_the_nanosecond() {
    let mut without = recorded("text");
    without.as_object_mut().unwrap().remove("event_time");
    assert_eq!(message(&without).sent_at, Some("2026-01-01T00:00:00.100200300Z".parse().unwrap()));
    without.as_object_mut().unwrap().remove("accepted_time");
    assert_eq!(message(&without).sent_at, Some("2026-01-01T00:00:00.090Z".parse().unwrap()));
    assert_eq!(message(&with(without, "/message/accept_time", json!("yesterday"))).sent_at, None);
}

#[test]
fn media_keep_their_address_and_as_much_of_their_type_as_is_told() {
    for (name, kind, content_type, file_name, caption) in [
        ("image", Some(AttachmentKind::Image), "image/jpeg", None, ""),
        ("voice", Some(AttachmentKind::Audio), "audio/ogg", None, ""),
        ("document", Some(AttachmentKind::Document), "application/pdf", Some("fattura 12.pdf"), ""),
        ("sticker", Some(AttachmentKind::Sticker), "image/webp", None, ""),
        ("image-caption", Some(AttachmentKind::Image), "image/jpeg", None, "La ricevuta"),
    ] {
        let message = message(&recorded(name));
        assert_eq!(message.content, Content::Media { caption: caption.into() }, "{name}");
        let [attachment] = &message.attachments[..] else { panic!("one attachment") };
        assert!(attachment.source.starts_with("https://media.example.com/a1b2/"));
        assert_eq!(
            (attachment.kind, attachment.content_type.as_str(), attachment.name.as_deref()),
            (kind, content_type, file_name),
            "{name}"
        );
    }
    let bare = with(recorded("image"), "/message/contact_message/media_message/url", json!("https://media.example.com/a1b2"));
    let attachment = &message(&bare).attachments[0];
    assert_eq!((attachment.kind, attachment.content_type.as_str()), (None, "application/octet-stream"));
    let nowhere = with(recorded("image"), "/message/contact_message/media_message/url", json!(""));
    assert_eq!(message(&nowhere).content, Content::Unsupported { kind: "media_message".into(), detail: None });
}

#[test]
fn a_location_a_choice_a_form_and_an_order_keep_what_they_hold() {
    assert_eq!(
        message(&recorded("location")).content,
        Content::Location {
            latitude: 41.902782,
            longitude: 12.496366,
            label: Some("Roma Termini".into()),
            address: Some("Piazza dei Cinquecento 1".into())
        }
    );
    let nowhere = with(recorded("location"), "/message/contact_message/location_message/coordinates/latitude", json!(91));
    assert_eq!(message(&nowhere).content, Content::Unsupported { kind: "location_message".into(), detail: None });
    let choice = message(&recorded("choice"));
    assert_eq!(choice.content, Content::Button { text: "yes".into(), payload: Some("yes".into()) });
    assert_eq!(choice.reply_to.as_deref(), Some("01TEST0UT00000000000000002"));
    let Content::Button { text: label, payload } = message(&recorded("choice-default")).content else { panic!("a button") };
    assert_eq!((label.as_str(), payload.as_deref()), ("Assistenza", Some("01TEST0UT00000000000000002_Assistenza")));
    assert_eq!(
        message(&recorded("form")).content,
        Content::Form { name: Some("flow".into()), text: "Sent".into(), answers: r#"{"voto":"4"}"#.into() }
    );
    let order = Content::Unsupported { kind: "order".into(), detail: Some("Ordine, 2 × sku-1 (30 EUR)".into()) };
    assert_eq!(message(&recorded("order")).content, order);
    assert_eq!(message(&recorded("reply")).reply_to.as_deref(), Some("01TEST0UT00000000000000001"));
}

#[test]
fn what_has_no_form_here_is_kept_as_unsupported() {
    for (name, kind, detail) in [
        ("fallback", "fallback_message", Some("not supported")),
        ("unknown-kind", "hologram_message", None),
        ("unsupported", "contacts", None),
    ] {
        let message = message(&recorded(name));
        assert_eq!(message.content, Content::Unsupported { kind: kind.into(), detail: detail.map(Into::into) }, "{name}");
        assert_eq!(message.from, customer());
    }
    for nothing in [json!(null), json!({}), json!([]), json!({"reply_to": {}})] {
        let empty = with(recorded("text"), "/message/contact_message", nothing);
        assert_eq!(message(&empty).content, Content::Unsupported { kind: "unknown".into(), detail: None });
    }
    assert_eq!(other(&with(recorded("unsupported"), "/unsupported_callback/id", json!(""))), "unsupported_callback");
    assert_eq!(other(&with(recorded("unsupported"), "/unsupported_callback/channel_identity", json!(null))), "unsupported_callback");
    assert_eq!(other(&with(recorded("unsupported"), "/unsupported_callback/channel", json!("RCS"))), "unsupported_callback");
    let broken = with(recorded("unsupported"), "/unsupported_callback/payload", json!("{"));
    assert_eq!(message(&broken).content, Content::Unsupported { kind: "unknown".into(), detail: None });
}

#[test]
fn a_customer_is_known_by_phone_with_or_without_plus_and_by_business_scoped_id() {
    assert_eq!(message(&recorded("bsuid")).from, user_id());
    let identity = "/message/channel_identity/identity";
    for written in [json!("+393331234567"), json!("393331234567"), json!(393331234567_u64)] {
        assert_eq!(message(&with(recorded("text"), identity, written)).from, customer());
    }
    for nobody in [json!(""), json!(null), json!("somebody"), json!("++393331234567"), json!({})] {
        assert_eq!(other(&with(recorded("text"), identity, nobody)), "message_of_nobody");
    }
}

#[test]
fn an_event_that_is_not_a_customers_whatsapp_message_is_stored_and_routed_nowhere() {
    assert_eq!(other(&with(recorded("text"), "/message/channel_identity/channel", json!("MESSENGER"))), "message_of_another_channel");
    assert_eq!(other(&with(recorded("text"), "/message/direction", json!("TO_CONTACT"))), "message_to_contact");
    assert_eq!(other(&with(recorded("text"), "/project_id", json!("another"))), "another_project");
    assert_eq!(other(&recorded("contact-created")), "contact_create_notification");
    assert_eq!(other(&recorded("quality")), "channel_event_notification");
    assert_eq!(other(&recorded("submit")), "message_submit_notification");
    assert_eq!(other(&json!({"app_id": APP, "project_id": PROJECT})), "nothing");
    assert_eq!(other(&json!({"message_redaction": recorded("text")["message"]})), "message_redaction");
    assert_eq!(parse(&recorded("typing")), vec![]);
}

#[test]
fn the_message_of_another_app_carries_its_app_so_that_it_finds_its_account() {
    let foreign = with(recorded("text"), "/app_id", json!("01OTHERAPP"));
    let event = one(&with(foreign, "/project_id", json!("another")));
    assert_eq!(event.number.as_deref(), Some("01OTHERAPP"));
    assert!(matches!(event.event.kind, InboundKind::Message(_)));
    assert_eq!(SinchV2.number_field(), Some("app_id"));
}

#[test]
fn a_reaction_and_its_removal_attach_to_their_message() {
    for (name, emoji) in [("reaction", Some("👍")), ("reaction-removed", None)] {
        let event = one(&recorded(name)).event;
        let InboundKind::Annotation(annotation) = event.kind else { panic!("an annotation") };
        assert_eq!(annotation.provider_id, event.id);
        assert_eq!(annotation.from, customer());
        let emoji = emoji.map(|emoji| ReactionEmoji(emoji.into()));
        assert_eq!(annotation.what, Annotated::Reaction { message: "01TEST0UT00000000000000001".into(), emoji });
    }
    let nowhere = with(recorded("reaction"), "/event/contact_message_event/reaction_event/message_id", json!(null));
    assert_eq!(other(&nowhere), "event");
}

#[test]
fn a_report_moves_the_message_it_names_and_gives_our_reference_back() {
    for (name, word, state) in [
        ("status-queued", "QUEUED_ON_CHANNEL", DeliveryState::Sent),
        ("status-delivered", "DELIVERED", DeliveryState::Delivered),
        ("status-read", "READ", DeliveryState::Read),
    ] {
        assert_eq!(one(&recorded(name)).event.id, format!("01TEST0UT00000000000000001#{word}"));
        let status = status(&recorded(name));
        assert_eq!((status.state, status.error), (state, None));
        assert_eq!(status.provider_id, "01TEST0UT00000000000000001");
        assert_eq!(status.reference.as_deref(), Some(testing::REFERENCE));
        assert_eq!(status.at, Some("2026-01-01T00:00:04Z".parse().unwrap()));
    }
    assert_eq!(other(&recorded("status-switching")), "message_delivery_report");
    assert_eq!(other(&with(recorded("status-read"), "/message_delivery_report/message_id", json!(""))), "message_delivery_report");
    let elsewhere = with(recorded("status-read"), "/message_delivery_report/channel_identity/channel", json!("SMS"));
    assert_eq!(other(&elsewhere), "message_delivery_report");
    for foreign in [json!(""), json!("x".repeat(300)), json!(null)] {
        assert_eq!(status(&with(recorded("status-read"), "/message_delivery_report/metadata", foreign)).reference, None);
    }
    let unknown = with(recorded("status-read"), "/message_delivery_report/channel_identity", json!(null));
    assert_eq!(status(&unknown).state, DeliveryState::Read);
}

#[test]
fn each_reason_of_a_failure_has_its_class() {
    use ErrorClass::*;
    assert_eq!(
        status(&recorded("status-failed")).error,
        Some(DeliveryError { class: WindowExpired, code: Some("OUTSIDE_ALLOWED_SENDING_WINDOW".into()) })
    );
    for (code, class) in [
        ("RATE_LIMITED", RateLimited),
        ("RECIPIENT_NOT_REACHABLE", Undeliverable),
        ("RECIPIENT_NOT_OPTED_IN", Undeliverable),
        ("DELIVERY_REJECTED_DUE_TO_POLICY", Undeliverable),
        ("CHANNEL_REJECT", Undeliverable),
        ("MESSAGE_EXPIRED", Undeliverable),
        ("RECIPIENT_INVALID_CHANNEL_IDENTITY", InvalidRecipient),
        ("CONTACT_NOT_FOUND", InvalidRecipient),
        ("NO_CHANNEL_IDENTITY_FOR_CONTACT", InvalidRecipient),
        ("MEDIA_TYPE_UNSUPPORTED", Media),
        ("MEDIA_TOO_LARGE", Media),
        ("MEDIA_NOT_REACHABLE", Media),
        ("TEMPLATE_NOT_FOUND", Template),
        ("TEMPLATE_INSUFFICIENT_PARAMETERS", Template),
        ("TEMPLATE_NON_EXISTING_LANGUAGE_OR_VERSION", Template),
        ("CHANNEL_FAILURE", Temporary),
        ("INTERNAL_ERROR", Temporary),
        ("DELIVERY_TIMED_OUT", Temporary),
        ("UNKNOWN", Temporary),
        ("DELIVERY_REPORT_TIME_OUT", OutcomeUnknown),
        ("CHANNEL_BAD_CONFIGURATION", Authentication),
        ("CHANNEL_CONFIGURATION_MISSING", Authentication),
        ("UNKNOWN_APP", Authentication),
        ("INACTIVE_CREDENTIAL", Authentication),
        ("NO_PERMISSION", Authentication),
        ("NO_CHANNELS_LEFT", Authentication),
        ("NO_PROFILE_AVAILABLE", Authentication),
        ("BAD_REQUEST", Permanent),
        ("UNSUPPORTED_OPERATION", Permanent),
        ("MESSAGE_SPLIT_REQUIRED", Permanent),
        ("SOMETHING_NEW", Permanent),
    ] {
        let body = with(recorded("status-failed"), "/message_delivery_report/reason/code", json!(code));
        assert_eq!(status(&body).error, Some(DeliveryError { class, code: Some(code.into()) }), "{code}");
    }
    for (sub_code, class) in [("ATTACHMENT_REJECTED", Media), ("MEDIA_TYPE_UNDETERMINED", Media), ("INACTIVE_SENDER", Authentication)] {
        let body = with(recorded("status-failed"), "/message_delivery_report/reason", json!({"code": "UNKNOWN", "sub_code": sub_code}));
        assert_eq!(status(&body).error.unwrap().class, class, "{sub_code}");
    }
    let silent = with(recorded("status-failed"), "/message_delivery_report/reason", json!(null));
    assert_eq!(status(&silent).error, Some(DeliveryError { class: Permanent, code: None }));
}

#[test]
fn a_message_without_an_id_and_its_repetition_get_the_same_id() {
    let anonymous = with(recorded("text"), "/message/id", json!(null));
    let (first, again) = (one(&anonymous).event, one(&anonymous).event);
    assert_eq!(first.id, again.id);
    assert_ne!(first.id, one(&with(anonymous, "/message/contact_message/text_message/text", json!("x"))).event.id);
    let odd = one(&with(recorded("text"), "/message/id", json!("a b\u{e9}".repeat(200)))).event;
    assert!(odd.id.len() <= 90 && odd.id.is_ascii());
}

#[test]
fn bytes_that_are_not_a_json_object_are_refused_and_broken_utf8_loses_no_message() {
    let unreadable = Err(ParseError::Unreadable { expected: "a JSON object" });
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let object = [b"{\"message\":".repeat(100_000), vec![b'}'; 10]].concat();
    for body in [&b""[..], b"{", b"[]", b"null", b"\"x\"", b"a=b", &fixture("text").body[..100], &nested, &object] {
        assert_eq!(testing::parse(&SinchV2, &account(), body), unreadable);
    }
    let mut broken = recorded("text").to_string().into_bytes();
    let at = broken.windows(10).position(|window| window == b"Buongiorno").unwrap();
    broken[at] = 0xFF;
    let events = testing::parse(&SinchV2, &account(), &broken).unwrap();
    let InboundKind::Message(message) = &events[0].event.kind else { panic!("a message") };
    assert_eq!(message.content, text("\u{fffd}uongiorno, può aiutarmi?"));
}

#[test]
fn a_token_is_asked_for_with_the_key_and_read_with_its_time() {
    let scene = scene();
    let request = SinchV2.token_request(&scene.connection()).unwrap();
    assert_eq!((request.method, request.url.as_str()), (Method::POST, "https://auth.sinch.com/oauth2/token"));
    assert_eq!(request.authorization, Authorization::Basic { user: "k1".into(), password: Secret::new("s3cret") });
    assert_eq!(request.body, b"grant_type=client_credentials");
    let token = SinchV2.read_token(br#"{"access_token":"eyJ","token_type":"bearer","expires_in":3600,"scope":""}"#).unwrap();
    assert_eq!((token.secret, token.lasts), (Secret::new("eyJ"), Duration::from_secs(3600)));
    assert_eq!(SinchV2.read_token(br#"{"access_token":"eyJ"}"#).unwrap().lasts, Duration::ZERO);
    for none in [&b""[..], b"{}", br#"{"access_token":""}"#, b"<html>"] {
        assert_eq!(SinchV2.read_token(none), None);
    }
}

#[test]
fn a_text_is_posted_as_sinch_wants_it_without_its_quote() {
    let request = scene().render(&customer(), &text("Buongiorno è 5"), None).unwrap();
    assert_eq!((&request.method, request.redirects), (&Method::POST, Redirects::Refuse));
    assert_eq!(request.url, format!("{BASE}/v1/projects/{PROJECT}/messages:send"));
    assert_eq!(request.authorization, Authorization::Bearer(Secret::new("t0ken")));
    assert_eq!(
        body_of(&request),
        json!({
            "app_id": APP,
            "recipient": {"identified_by": {"channel_identities": [{"channel": "WHATSAPP", "identity": "393331234567"}]}},
            "message": {"text_message": {"text": "Buongiorno è 5"}},
            "channel_priority_order": ["WHATSAPP"],
            "message_metadata": testing::REFERENCE,
        })
    );
    let request = scene().render(&user_id(), &text("Ciao"), None).unwrap();
    let identity = "/recipient/identified_by/channel_identities/0/identity";
    assert_eq!(body_of(&request).pointer(identity), Some(&json!("IT.13491208655302741918")));
}

#[test]
fn files_go_by_their_address_and_captions_with_pictures_and_videos_only() {
    let media = |caption: &str, kind| {
        scene()
            .render(&customer(), &Content::Media { caption: caption.into() }, Some(file(kind)))
            .map(|request| body_of(&request)["message"].clone())
    };
    let plain = json!({"url": "https://files.example/x?s=1", "filename_override": "nota 1.pdf"});
    use AttachmentKind::{Audio, Document, Image, Sticker, Video, Voice};
    for kind in [Image, Video, Audio, Voice, Document, Sticker] {
        assert_eq!(media(" ", kind), Ok(json!({"media_message": plain})), "{kind:?}");
    }
    for kind in [Image, Video] {
        assert_eq!(media("Ecco", kind), Ok(json!({"card_message": {"title": "Ecco", "media_message": plain}})), "{kind:?}");
    }
    for kind in [Audio, Voice, Document, Sticker] {
        assert_eq!(media("Ecco", kind), Err(RenderError::Unsupported), "{kind:?}");
    }
    assert!(media(&"ü".repeat(1024), Image).is_ok());
    assert_eq!(media(&"ü".repeat(1025), Image), Err(RenderError::TextTooLong { limit: 1024 }));
    assert_eq!(scene().render(&customer(), &Content::Media { caption: String::new() }, None), Err(RenderError::Empty));
}

#[test]
fn a_location_goes_with_a_title() {
    let location = |label: Option<&str>, address: Option<&str>| {
        let content = Content::Location { latitude: 41.9, longitude: 12.5, label: label.map(Into::into), address: address.map(Into::into) };
        body_of(&scene().render(&customer(), &content, None).unwrap())["message"]["location_message"].clone()
    };
    let coordinates = json!({"latitude": 41.9, "longitude": 12.5});
    assert_eq!(location(Some("Roma"), Some("Via 1")), json!({"coordinates": coordinates, "title": "Roma", "label": "Via 1"}));
    assert_eq!(location(None, Some("Via 1")), json!({"coordinates": coordinates, "title": "Via 1", "label": "Via 1"}));
    assert_eq!(location(None, None), json!({"coordinates": coordinates, "title": "41.9, 12.5"}));
}

fn template() -> ApprovedTemplate {
    ApprovedTemplate {
        name: "recontact_1".into(),
        language: "it".into(),
        header: Some(TemplateHeader::Document { url: Some("https://files.example/d".into()), name: Some("d.pdf".into()) }),
        body: vec!["Zoë".into(), "5".into()],
        buttons: vec![
            TemplateButton { index: 0, kind: TemplateButtonKind::QuickReply, value: String::new() },
            TemplateButton { index: 1, kind: TemplateButtonKind::Url, value: "abc".into() },
        ],
        ..ApprovedTemplate::default()
    }
}

#[test]
fn a_template_has_its_parameters_under_sinchs_keys() {
    let render = |template: ApprovedTemplate| {
        scene()
            .render(&customer(), &Content::Template(template), None)
            .map(|request| body_of(&request)["message"]["template_message"]["channel_template"]["WHATSAPP"].clone())
    };
    assert_eq!(
        render(template()),
        Ok(json!({"template_id": "recontact_1", "language_code": "it", "parameters": {
            "header[1]document.link": "https://files.example/d",
            "header[1]document.filename": "d.pdf",
            "body[1]text": "Zoë",
            "body[2]text": "5",
            "button[0]quick_reply[1]payload": "",
            "button[1]url[1]text": "abc",
        }}))
    );
    for (header, key) in [
        (TemplateHeader::Text { text: "v".into(), name: None }, "header[1]text"),
        (TemplateHeader::Image { url: Some("v".into()) }, "header[1]image.link"),
        (TemplateHeader::Video { url: Some("v".into()) }, "header[1]video.link"),
    ] {
        let plain = ApprovedTemplate { header: Some(header), body: vec![], buttons: vec![], language: String::new(), ..template() };
        assert_eq!(render(plain), Ok(json!({"template_id": "recontact_1", "parameters": {key: "v"}})));
    }
    assert_eq!(render(ApprovedTemplate { name: String::new(), ..template() }), Err(RenderError::MalformedTemplate));
    let flow = vec![TemplateButton { index: 0, kind: TemplateButtonKind::Flow, value: "t".into() }];
    assert_eq!(render(ApprovedTemplate { buttons: flow, ..template() }), Err(RenderError::MalformedTemplate));
    let full: ApprovedTemplate = serde_json::from_value(json!({
        "name": "sale", "language": "it",
        "header": {"type": "location", "latitude": 41.9, "longitude": 12.5, "label": "Roma"},
        "body": [{"name": "first_name", "text": "Zoë"}, {"currency": {"code": "EUR", "amount_1000": 12340, "fallback": "12,34 €"}},
                 {"date_time": {"fallback": "31 gennaio"}}],
        "buttons": [{"index": 2, "type": "copy_code", "value": "SAVE20"}],
        "cards": [{"header": {"type": "image", "url": "https://files.example/a"}, "body": ["x"],
                   "buttons": [{"index": 0, "type": "url", "value": "abc"}]}],
    }))
    .unwrap();
    let parameters = json!({
        "header[1]location.latitude": "41.9", "header[1]location.longitude": "12.5", "header[1]location.name": "Roma",
        "body[1]parameter_name": "first_name", "body[1]text": "Zoë",
        "body[2]currency.fallback_value": "12,34 €", "body[2]currency.code": "EUR", "body[2]currency.amount_1000": "12340",
        "body[3]date_time.fallback_value": "31 gennaio", "button[2]copy_code[1]coupon_code": "SAVE20",
        "carousel[0]header[1]image.link": "https://files.example/a", "carousel[0]body[1]text": "x", "carousel[0]button[0]url[1]text": "abc",
    });
    assert_eq!(render(full), Ok(json!({"template_id": "sale", "language_code": "it", "parameters": parameters})));
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_before_anything_leaves() {
    let scene = scene();
    let render = |content: &Content| scene.render(&customer(), content, None);
    assert!(render(&text("ü".repeat(4096))).is_ok());
    assert_eq!(render(&text("ü".repeat(4097))), Err(RenderError::TextTooLong { limit: 4096 }));
    assert_eq!(render(&text(" \n")), Err(RenderError::Empty));
    // An internal note never reaches a customer.
    assert_eq!(render(&Content::Note { body: "x".into() }), Err(RenderError::Unsupported));
    assert_eq!(render(&Content::Reaction { message: "1".into(), emoji: "👍".into() }), Err(RenderError::Unsupported));
    assert_eq!(render(&Content::Button { text: "x".into(), payload: None }), Err(RenderError::Unsupported));
    let mut elsewhere = self::scene();
    elsewhere.account.provider.fields.insert("project_id".into(), "../../x".into());
    assert_eq!(elsewhere.render(&customer(), &text("x"), None), Err(RenderError::MalformedAccount));
}

fn classified(status: u16, body: &str) -> SendResult {
    SinchV2.classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: Some("7"), body: body.as_bytes() })
}

#[test]
fn an_answer_counts_as_what_it_says_and_as_unknown_if_it_says_nothing() {
    let accepted = SendResult::Accepted { provider_id: "01OUT".into(), state: DeliveryState::Accepted };
    assert_eq!(classified(200, r#"{"message_id":"01OUT","accepted_time":"2026-01-01T00:00:01.000Z"}"#), accepted);
    for (status, body) in [
        (200, ""),
        (200, "{}"),
        (200, r#"{"message_id":""}"#),
        (200, "<html>"),
        (302, ""),
        (408, ""),
        (500, r#"{"error":{"code":500,"status":"INTERNAL"}}"#),
        (501, ""),
        (503, r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#),
    ] {
        assert_eq!(classified(status, body), SendResult::Unknown, "{status} {body}");
    }
    let limited = SendResult::RateLimited { retry_after: Some(Duration::from_secs(7)), scope: RateScope::Number };
    assert_eq!(classified(429, r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}"#), limited);
    for (status, word, class) in [
        (401, "UNAUTHENTICATED", ErrorClass::Authentication),
        (403, "PERMISSION_DENIED", ErrorClass::Authentication),
        (404, "NOT_FOUND", ErrorClass::Authentication),
        (400, "INVALID_ARGUMENT", ErrorClass::Permanent),
    ] {
        let body = json!({"error": {"code": status, "message": "+393331234567", "status": word, "details": []}}).to_string();
        assert_eq!(classified(status, &body), SendResult::Failed(DeliveryError { class, code: Some(word.into()) }));
    }
    let odd = SendResult::Failed(DeliveryError { class: ErrorClass::Permanent, code: None });
    assert_eq!(classified(400, r#"{"error":{"status":"to +39333"}}"#), odd);
    assert_eq!(classified(400, "<html>"), odd);
}

#[test]
fn an_attachment_is_fetched_without_credentials() {
    let scene = scene();
    let media = |url: &str| SinchV2.media(&scene.connection(), url, None);
    let Ok(MediaStep::Fetch(request)) = media("https://media.example.com/a/IMG_1.jpg") else { panic!("fetched") };
    assert_eq!((request.authorization, request.redirects), (Authorization::None, Redirects::FollowWithoutCredentials));
    for none in ["", "file:///etc/passwd", "01MEDIAID", "//media.example.com/x"] {
        assert!(media(none).is_err(), "{none}");
    }
}

fn app(channel: Value) -> crate::Answer {
    answer(200, &json!({"id": APP, "channel_credentials": [{"channel": "SMS"}, channel]}))
}

fn webhooks(targets: &[&str]) -> crate::Answer {
    let hook = |(index, target): (usize, &&str)| json!({"id": format!("01HOOK{index}"), "app_id": APP, "target": target, "triggers": ["MESSAGE_INBOUND", "MESSAGE_DELIVERY"]});
    answer(200, &json!({"webhooks": targets.iter().enumerate().map(hook).collect::<Vec<_>>()}))
}

#[test]
fn a_check_asks_for_the_app_and_then_for_its_webhooks() {
    let scene = scene();
    let request = call(scene.check(&[]));
    assert_eq!(request.url, format!("{BASE}/v1/projects/{PROJECT}/apps/{APP}"));
    assert_eq!((&request.method, &request.authorization), (&Method::GET, &Authorization::Bearer(Secret::new("t0ken"))));
    let whatsapp = json!({"channel": "WHATSAPP", "state": {"status": "ACTIVE"}, "static_bearer": {"claimed_identity": "390612345678"}});
    let app_answer = app(whatsapp);
    assert_eq!(call(scene.check(std::slice::from_ref(&app_answer))).url, format!("{BASE}/v1/projects/{PROJECT}/apps/{APP}/webhooks"));
    let fine = |subject| Finding { subject, result: Ok(Some(String::new())) };
    let all = done(scene.check(&[app_answer.clone(), webhooks(&["https://x.example", RECEIVE_URL])]));
    assert_eq!(all, [fine("credentials"), fine("number"), fine("webhook")]);
    let unset = done(scene.check(&[app_answer.clone(), webhooks(&["https://x.example"])]));
    assert_eq!(unset[2], Finding { subject: "webhook", result: Err(Problem::WebhookNotSet) });
    let deaf = answer(200, &json!({"webhooks": [{"target": RECEIVE_URL, "triggers": ["MESSAGE_DELIVERY"]}]}));
    assert_eq!(done(scene.check(&[app_answer, deaf]))[2].result, Err(Problem::WebhookNotSet));
}

#[test]
fn a_check_says_what_is_wrong() {
    let scene = scene();
    for (status, problem) in [
        (401, Problem::CredentialsRefused),
        (403, Problem::CredentialsRefused),
        (429, Problem::RateLimited),
        (500, Problem::Unexpected { status: 500 }),
    ] {
        assert_eq!(done(scene.check(&[answer(status, &json!(null))])), [Finding { subject: "credentials", result: Err(problem) }]);
    }
    let missing = done(scene.check(&[answer(404, &json!(null))]));
    assert_eq!(missing[1], Finding { subject: "number", result: Err(Problem::NotFound { field: "app_id" }) });
    let no_channel = done(scene.check(&[app(json!({"channel": "RCS"})), webhooks(&[RECEIVE_URL])]));
    assert_eq!(no_channel[1].result, Err(Problem::NumberNotFound));
    let pending = json!({"channel": "WHATSAPP", "state": {"status": "PENDING"}, "channel_known_id": "bot"});
    let Ok(Some(note)) = &done(scene.check(&[app(pending), webhooks(&[RECEIVE_URL])]))[1].result else { panic!("a note") };
    assert!(note.contains("PENDING") && note.contains("does not tell its number"));
}

fn register(answers: &[crate::Answer]) -> Step<Registration> {
    let scene = scene();
    SinchV2.register(&scene.connection(), RECEIVE_URL, answers)
}

#[test]
fn a_webhook_is_registered_with_a_secret_once() {
    assert_eq!(call(register(&[])).url, format!("{BASE}/v1/projects/{PROJECT}/apps/{APP}/webhooks"));
    let new = call(register(&[webhooks(&["https://x.example/receive/sinch/OTHER"])]));
    assert_eq!((&new.method, new.url.as_str()), (&Method::POST, format!("{BASE}/v1/projects/{PROJECT}/webhooks").as_str()));
    let body = json!({
        "app_id": APP,
        "target": RECEIVE_URL,
        "target_type": "HTTP",
        "secret": "wh00k",
        "triggers": ["MESSAGE_INBOUND", "MESSAGE_DELIVERY", "EVENT_INBOUND", "UNSUPPORTED"],
    });
    assert_eq!(body_of(&new), body);
    for old in [RECEIVE_URL, "https://before.example/receive/sinch/T0KEN"] {
        let change = call(register(&[webhooks(&["https://x.example/y", old])]));
        assert_eq!(
            (&change.method, change.url.as_str()),
            (&Method::PATCH, format!("{BASE}/v1/projects/{PROJECT}/webhooks/01HOOK1").as_str())
        );
        assert_eq!(body_of(&change), body);
    }
    assert_eq!(done(register(&[webhooks(&[]), answer(200, &json!({"id": "01HOOK9"}))])), Registration::Done);
}

#[test]
fn a_webhook_that_cannot_be_registered_says_why() {
    let five = ["https://x.example/1", "https://x.example/2", "https://x.example/3", "https://x.example/4", "https://x.example/5"];
    assert_eq!(done(register(&[webhooks(&five)])), Registration::Failed(Problem::WebhookNotSet));
    assert_eq!(done(register(&[answer(403, &json!(null))])), Registration::Failed(Problem::CredentialsRefused));
    assert_eq!(done(register(&[webhooks(&[]), answer(400, &json!(null))])), Registration::Failed(Problem::Unexpected { status: 400 }));
    let mut bare = scene();
    bare.credentials = credentials(&[]);
    let step = SinchV2.register(&bare.connection(), RECEIVE_URL, &[]);
    assert_eq!(done(step), Registration::Failed(Problem::NotFound { field: "webhook_secret" }));
    assert!(SinchV2.instructions(&account(), RECEIVE_URL).contains(RECEIVE_URL));
}

#[test]
fn missed_messages_are_listed_page_by_page_under_the_ids_of_the_callbacks() {
    let scene = scene();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let missed = |answers: &[crate::Answer]| SinchV2.missed(&scene.connection(), since, testing::received_at(), answers);
    let first = call(missed(&[]));
    let (url, query) = first.url.split_once('?').unwrap();
    assert_eq!(url, format!("{BASE}/v1/projects/{PROJECT}/messages"));
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (name, value) in [("app_id", APP), ("direction", "TO_APP"), ("start_time", "2026-01-01T00:00:00Z"), ("channel", "WHATSAPP")] {
        assert!(query.contains(&(name.into(), value.into())), "{name}");
    }
    let mut late = recorded("text")["message"].clone();
    late["id"] = json!("01LATE");
    late["accept_time"] = json!("2026-01-01T00:05:00Z");
    let sent = with(recorded("text"), "/message/direction", json!("TO_CONTACT"))["message"].clone();
    let elsewhere = with(recorded("text"), "/message/channel_identity/channel", json!("SMS"))["message"].clone();
    let page = answer(200, &json!({"messages": [late, sent, elsewhere], "next_page_token": "p&2"}));
    assert!(call(missed(std::slice::from_ref(&page))).url.ends_with("&page_token=p%262"));
    let last =
        answer(200, &json!({"messages": [recorded("text")["message"], recorded("image-caption")["message"]], "next_page_token": ""}));
    let found = done(missed(&[page, last])).unwrap();
    let ids: Vec<_> = found.iter().map(|parsed| (parsed.event.id.as_str(), parsed.event.index)).collect();
    assert_eq!(ids, [("01TESTMSG00000000000000001", 0), ("01TESTMSG00000000000000007", 1), ("01LATE", 2)]);
    let InboundKind::Message(listed) = &found[0].event.kind else { panic!("a message") };
    assert_eq!((&listed.content, &listed.from), (&message(&recorded("text")).content, &customer()));
    assert_eq!(done(missed(&[answer(401, &json!(null))])), Err(Problem::CredentialsRefused));
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..512), status in 100u16..1000) {
        let _ = testing::parse(&SinchV2, &account(), &body);
        let _ = SinchV2.read_token(&body);
        let _ = SinchV2.classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: &body });
    }

    #[test]
    fn a_recorded_request_with_any_value_in_any_place_is_stored_under_a_safe_id(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        value in leaf(),
    ) {
        let fixtures = conversation_fixtures();
        let mut body: Value = serde_json::from_slice(&which.get(&fixtures).body).unwrap();
        let pointers = places(&body);
        *body.pointer_mut(&pointers[place.index(pointers.len())]).unwrap() = value;
        for parsed in parse(&body) {
            prop_assert!(parsed.event.id.len() <= 90 && parsed.event.id.bytes().all(|b| b.is_ascii_graphic()));
            // The event is stored and queued as JSON.
            let stored = serde_json::to_string(&parsed.event).unwrap();
            let read: domain::inbound::InboundEvent = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        }
    }

    #[test]
    fn a_server_error_is_never_repeated(status in 500u16..600, body in ".{0,80}") {
        prop_assert_eq!(classified(status, &body), SendResult::Unknown);
    }
}
