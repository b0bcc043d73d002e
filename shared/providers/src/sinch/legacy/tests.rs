use std::time::Duration;

use domain::account::Account;
use domain::inbound::{InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{
    ApprovedTemplate, AttachmentKind, ContactCard, Content, DeliveryError, DeliveryState, ErrorClass, Referral, TemplateButton,
    TemplateButtonKind, TemplateHeader,
};
use domain::values::Secret;
use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::super::testing::{
    self, RECEIVE_URL, Scene, answer, body_of, call, credentials, customer, done, file, fixture, leaf, places, recorded, text, user_id,
    with,
};
use super::super::{LEGACY_NONCE_HEADER, LEGACY_SIGNATURE_HEADER, sign_legacy};
use super::Sinch;
use crate::fixture::Fixture;
use crate::{
    Adapter, Authorization, Finding, Hosts, ParseError, Parsed, Problem, RateScope, Registration, RenderError, SendOutcome, SendResult,
    VerifyError, Webhook,
};

const BASE: &str = "https://eu1.whatsapp.api.sinch.com";

fn account() -> Account {
    testing::account(json!({"type": "SINCH", "base_url": BASE, "account_sid": "examplebot"}))
}

fn scene() -> Scene {
    Scene {
        adapter: &Sinch,
        account: account(),
        credentials: credentials(&[("authorization_token", "t0ken")]),
        token: None,
        hosts: Hosts::default(),
    }
}

fn parse_at(url: &str, body: &Value) -> Vec<Parsed> {
    let body = body.to_string();
    let webhook = Webhook { method: &Method::POST, public_url: url, headers: &HeaderMap::new(), body: body.as_bytes() };
    Sinch.parse(&webhook, &account(), testing::received_at()).unwrap()
}

fn parse(body: &Value) -> Vec<Parsed> {
    parse_at(RECEIVE_URL, body)
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

fn legacy_fixtures() -> Vec<Fixture> {
    Fixture::all("sinch").unwrap().into_iter().filter(|fixture| fixture.name.starts_with("legacy-")).collect()
}

#[test]
fn every_recorded_request_is_read_under_ids_of_its_own() {
    let fixtures = legacy_fixtures();
    assert!(fixtures.len() >= 26);
    let mut ids = std::collections::HashSet::new();
    for fixture in fixtures {
        let events = testing::parse(&Sinch, &account(), &fixture.body).unwrap();
        assert_eq!(events.len(), if fixture.name == "legacy-mixed" { 4 } else { 1 }, "{}", fixture.name);
        for (index, parsed) in (0..).zip(events) {
            assert_eq!(parsed.event.index, index);
            assert!(ids.insert(parsed.event.id), "{}", fixture.name);
        }
    }
}

#[test]
fn a_text_keeps_its_sender_its_name_and_its_time() {
    let message = message(&recorded("legacy-text"));
    assert_eq!(one(&recorded("legacy-text")).event.id, message.provider_id);
    assert_eq!((message.from, message.content), (customer(), text("Buongiorno")));
    assert_eq!(message.profile_name, Some(ProfileName("Zoë Rossi".into())));
    assert_eq!(message.sent_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert!(!message.forwarded && message.reply_to.is_none());
    assert!(self::message(&recorded("legacy-forwarded")).forwarded);
    assert_eq!(self::message(&recorded("legacy-reply")).reply_to.as_deref(), Some("01LEGACY0UT000000000000001"));
}

#[test]
fn a_request_may_hold_several_messages_and_reports_and_names_go_to_their_senders_only() {
    let events = parse(&recorded("legacy-mixed"));
    let ids: Vec<_> = events.iter().map(|parsed| parsed.event.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "01LEGACYMSG000000000000901",
            "01LEGACYMSG000000000000902",
            "01LEGACY0UT000000000000101#delivered",
            "01LEGACY0UT000000000000102#read"
        ]
    );
    let names = events.iter().filter_map(|parsed| match &parsed.event.kind {
        InboundKind::Message(message) => Some(message.profile_name.clone()),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), [Some(ProfileName("Zoë Rossi".into())), None]);
    assert!(events[0].raw.contains("uno") && !events[0].raw.contains("due"));
}

#[test]
fn each_kind_of_media_keeps_what_it_declares() {
    for (name, kind, content_type, file_name, caption) in [
        ("image", AttachmentKind::Image, "image/jpeg", None, "La ricevuta"),
        ("video", AttachmentKind::Video, "video/mp4", None, ""),
        ("audio", AttachmentKind::Audio, "audio/mpeg", Some("nota.mp3"), ""),
        ("voice", AttachmentKind::Voice, "audio/ogg; codecs=opus", None, ""),
        ("document", AttachmentKind::Document, "application/pdf", Some("fattura 12.pdf"), "la fattura"),
        ("sticker", AttachmentKind::Sticker, "image/webp", None, ""),
    ] {
        let body = recorded(&format!("legacy-{name}"));
        let message = message(&body);
        assert_eq!(message.content, Content::Media { caption: caption.into() }, "{name}");
        let [attachment] = &message.attachments[..] else { panic!("one attachment") };
        assert_eq!((attachment.kind, attachment.content_type.as_str(), attachment.name.as_deref()), (Some(kind), content_type, file_name));
        assert!(attachment.source.starts_with("https://media.example.com/c3d4/"));
        let nowhere = self::message(&with(body, "/notifications/0/message/url", json!(null)));
        assert!(matches!(nowhere.content, Content::Unsupported { kind, .. } if kind == name), "{name}");
    }
}

#[test]
fn places_cards_buttons_and_choices_keep_what_they_hold() {
    let place = Content::Location {
        latitude: 41.902782,
        longitude: 12.496366,
        label: Some("Roma Termini".into()),
        address: Some("Piazza dei Cinquecento 1".into()),
    };
    assert_eq!(message(&recorded("legacy-location")).content, place);
    let short =
        json!({"type": "location", "lat": 41.902782, "lng": "12.496366", "name": "Roma Termini", "address": "Piazza dei Cinquecento 1"});
    assert_eq!(message(&with(recorded("legacy-location"), "/notifications/0/message", short)).content, place);
    let card = ContactCard {
        name: "Anna Bianchi".into(),
        phones: vec!["+39 333 765 4321".into()],
        emails: vec!["anna@example.com".into()],
        organization: Some("Esempio srl".into()),
    };
    assert_eq!(message(&recorded("legacy-contacts")).content, Content::Contacts { cards: vec![card.clone()] });
    let unnamed = with(recorded("legacy-contacts"), "/notifications/0/message/contacts/0/name/formatted_name", json!(null));
    assert_eq!(message(&unnamed).content, Content::Contacts { cards: vec![card] });
    assert_eq!(message(&recorded("legacy-button")).content, Content::Button { text: "Sì".into(), payload: Some("yes".into()) });
    let pressed = Content::Button { text: "Assistenza".into(), payload: Some("btn_1".into()) };
    assert_eq!(message(&recorded("legacy-interactive-button")).content, pressed);
    let description = Some("Domande sulle fatture".into());
    let chosen = Content::ListReply { id: "row_2".into(), title: "Fatture".into(), description };
    assert_eq!(message(&recorded("legacy-interactive-list")).content, chosen);
    assert_eq!(
        message(&recorded("legacy-referral")).referral,
        Some(Referral {
            source_type: Some("ad".into()),
            source_id: Some("120208".into()),
            source_url: Some("https://fb.me/x".into()),
            headline: Some("Saldi".into()),
            body: Some("Tutto a metà".into()),
            media_url: Some("https://media.example.com/ad.jpg".into()),
            click_id: None,
        })
    );
}

#[test]
fn what_has_no_form_here_is_kept() {
    let detail = Some("Unexpected callback contents received.".into());
    assert_eq!(message(&recorded("legacy-error")).content, Content::Unsupported { kind: "error".into(), detail });
    assert_eq!(message(&recorded("legacy-unknown-kind")).content, Content::Unsupported { kind: "hologram".into(), detail: None });
    assert_eq!(other(&recorded("legacy-group-event")), "group");
    for empty in [json!({}), json!({"type": "whatsapp"}), json!({"notifications": [], "statuses": []}), json!({"notifications": "x"})] {
        assert_eq!(other(&empty), "nothing");
    }
    for nobody in [json!(""), json!(null), json!("group:1-2"), json!("0732001122")] {
        assert_eq!(other(&with(recorded("legacy-text"), "/notifications/0/from", nobody)), "message_of_nobody");
    }
    let unnamed = message(&with(recorded("legacy-text"), "/notifications/0/message", json!(null)));
    assert_eq!(unnamed.content, Content::Unsupported { kind: "unknown".into(), detail: None });
}

#[test]
fn a_report_moves_the_message_it_names() {
    for (word, state) in [
        ("dispatched", DeliveryState::Accepted),
        ("sent", DeliveryState::Sent),
        ("delivered", DeliveryState::Delivered),
        ("read", DeliveryState::Read),
    ] {
        let body = recorded(&format!("legacy-status-{word}"));
        assert_eq!(one(&body).event.id, format!("01LEGACY0UT000000000000001#{word}"));
        let status = status(&body);
        assert_eq!((status.state, status.error, status.reference), (state, None, None));
        assert_eq!(status.at, Some("2026-01-01T00:00:05Z".parse().unwrap()));
    }
    assert_eq!(other(&with(recorded("legacy-status-sent"), "/statuses/0/state", json!("warning"))), "status");
    assert_eq!(other(&with(recorded("legacy-status-sent"), "/statuses/0/message_id", json!(null))), "status");
}

#[test]
fn a_failure_is_classed_by_its_state_never_by_its_wording() {
    for (name, class, code) in [
        ("failed", ErrorClass::Permanent, None),
        ("deleted", ErrorClass::Undeliverable, Some("deleted")),
        ("no-opt-in", ErrorClass::Undeliverable, Some("no_opt_in")),
        ("no-capability", ErrorClass::InvalidRecipient, Some("no_capability")),
    ] {
        let status = status(&recorded(&format!("legacy-status-{name}")));
        assert_eq!(status.error, Some(DeliveryError { class, code: code.map(Into::into) }), "{name}");
    }
    let window = "Message failed to send because more than 24 hours have passed since the customer last replied to this number";
    let mut body = with(recorded("legacy-status-failed"), "/statuses/0/details", json!(window));
    assert_eq!(status(&body).error.unwrap().class, ErrorClass::Permanent);
    body["statuses"][0]["errors"] = json!([{"code": 2026, "title": "…"}]);
    assert_eq!(status(&body).error.unwrap().code.as_deref(), Some("2026"));
}

#[test]
fn our_reference_comes_back_in_the_address_of_the_reports_of_one_message() {
    let url = format!("https://h.example{}", fixture("legacy-status-read").with_token("T0KEN").target);
    assert!(url.starts_with(&format!("{RECEIVE_URL}/status?ref=")));
    let reference = |body: &Value| match parse_at(&url, body).pop().unwrap().event.kind {
        InboundKind::Status(status) => status.reference,
        _ => panic!("a status"),
    };
    assert_eq!(reference(&recorded("legacy-status-read")).as_deref(), Some(testing::REFERENCE));
    assert_eq!(reference(&recorded("legacy-mixed")), None);
}

#[test]
fn a_callback_secret_demands_the_signature_and_without_one_a_guard_may_stand_in() {
    let body = fixture("legacy-text").body;
    let verify = |account: &Account, headers: &[(String, String)], credentials: &[&domain::account::Credentials]| {
        let headers = testing::headers(headers);
        Sinch.verify(&Webhook { method: &Method::POST, public_url: RECEIVE_URL, headers: &headers, body: &body }, account, credentials)
    };
    let (plain, keyed, before) = (credentials(&[]), credentials(&[("callback_secret", "k1")]), credentials(&[("callback_secret", "k0")]));
    assert_eq!(verify(&account(), &[], &[&plain]), Ok(()));
    assert_eq!(verify(&account(), &[], &[&plain, &before]), Ok(()));
    let missing = Err(VerifyError::SignatureMissing { header: LEGACY_SIGNATURE_HEADER });
    assert_eq!(verify(&account(), &[], &[&keyed]), missing);
    let signed = |key: &str| {
        let signature = sign_legacy(&body, "n1", &Secret::new(key));
        [(LEGACY_SIGNATURE_HEADER.to_owned(), signature), (LEGACY_NONCE_HEADER.to_owned(), "n1".to_owned())]
    };
    assert_eq!(verify(&account(), &signed("k1"), &[&keyed, &before]), Ok(()));
    assert_eq!(verify(&account(), &signed("k0"), &[&keyed, &before]), Ok(()));
    assert_eq!(verify(&account(), &signed("k0"), &[&keyed]), Err(VerifyError::SignatureMismatch));
    let mut guarded = account();
    guarded.provider.fields.insert("callback_header".into(), "x-key".into());
    let guard = credentials(&[("callback_header_value", "h")]);
    assert_eq!(verify(&guarded, &[], &[&guard]), Err(VerifyError::Guard));
    assert_eq!(verify(&guarded, &[("x-key".into(), "h".into())], &[&guard]), Ok(()));
}

#[test]
fn bytes_that_are_not_a_json_object_are_refused() {
    let unreadable = Err(ParseError::Unreadable { expected: "a JSON object" });
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    for body in [&b""[..], b"{", b"[]", b"null", &fixture("legacy-text").body[..60], &nested] {
        assert_eq!(testing::parse(&Sinch, &account(), body), unreadable);
    }
}

#[test]
fn a_text_is_posted_with_an_address_for_its_reports() {
    let request = scene().render(&customer(), &text("Buongiorno"), None).unwrap();
    assert_eq!((&request.method, request.url), (&Method::POST, format!("{BASE}/whatsapp/v1/examplebot/messages")));
    assert_eq!(request.authorization, Authorization::Bearer(Secret::new("t0ken")));
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).unwrap(),
        json!({
            "to": ["393331234567"],
            "message": {"type": "text", "text": "Buongiorno", "preview_url": false},
            "callback": "https://h.example/s?ref=1",
        })
    );
    for base in [format!("{BASE}/"), format!("{BASE}/whatsapp/v1"), format!("{BASE}/whatsapp/v1/")] {
        let mut scene = scene();
        scene.account.provider.fields.insert("base_url".into(), base);
        assert_eq!(scene.render(&customer(), &text("x"), None).unwrap().url, format!("{BASE}/whatsapp/v1/examplebot/messages"));
    }
}

#[test]
fn files_and_places_go_as_sinch_wants_them() {
    use AttachmentKind::{Audio, Document, Image, Sticker, Video, Voice};
    let media = |caption: &str, kind| {
        let content = Content::Media { caption: caption.into() };
        scene().render(&customer(), &content, Some(file(kind))).map(|request| body_of(&request)["message"].clone())
    };
    let url = "https://files.example/x?s=1";
    for (kind, name) in [(Image, "image"), (Video, "video")] {
        assert_eq!(media("", kind), Ok(json!({"type": name, "url": url})));
        assert_eq!(media("Ecco", kind), Ok(json!({"type": name, "url": url, "caption": "Ecco"})));
    }
    assert_eq!(media("Ecco", Document), Ok(json!({"type": "document", "url": url, "filename": "nota 1.pdf", "caption": "Ecco"})));
    for (kind, name) in [(Audio, "audio"), (Voice, "audio"), (Sticker, "sticker")] {
        assert_eq!(media(" ", kind), Ok(json!({"type": name, "url": url})));
        assert_eq!(media("Ecco", kind), Err(RenderError::Unsupported));
    }
    assert_eq!(media(&"ü".repeat(1025), Image), Err(RenderError::TextTooLong { limit: 1024 }));
    let place = Content::Location { latitude: 41.9, longitude: 12.5, label: Some("Roma".into()), address: None };
    let request = scene().render(&customer(), &place, None).unwrap();
    assert_eq!(body_of(&request)["message"], json!({"type": "location", "lat": 41.9, "lng": 12.5, "name": "Roma"}));
}

#[test]
fn a_template_has_its_parameters_in_sinchs_lists() {
    let button = |index, kind, value: &str| TemplateButton { index, kind, value: value.into() };
    let template = ApprovedTemplate {
        name: "recontact_1".into(),
        language: "it".into(),
        header: Some(TemplateHeader::Text { text: "Ciao".into(), name: None }),
        body: vec!["Zoë".into()],
        buttons: vec![button(1, TemplateButtonKind::Url, "abc"), button(0, TemplateButtonKind::QuickReply, "yes")],
        ..ApprovedTemplate::default()
    };
    let render = |template: ApprovedTemplate| {
        scene().render(&customer(), &Content::Template(template), None).map(|request| body_of(&request)["message"].clone())
    };
    assert_eq!(
        render(template.clone()),
        Ok(json!({
            "type": "template",
            "template_name": "recontact_1",
            "language": "it",
            "header_params": ["Ciao"],
            "body_params": ["Zoë"],
            "media": {"type": "text"},
            "buttons": [{"type": "quick_reply", "payload": "yes"}, {"type": "url", "parameter": "abc"}],
        }))
    );
    let url = || "https://files.example/d".to_owned();
    for (header, media) in [
        (TemplateHeader::Image { url: Some(url()) }, json!({"type": "image", "url": url()})),
        (TemplateHeader::Video { url: Some(url()) }, json!({"type": "video", "url": url()})),
        (TemplateHeader::Document { url: Some(url()), name: None }, json!({"type": "document", "url": url()})),
        (
            TemplateHeader::Document { url: Some(url()), name: Some("d.pdf".into()) },
            json!({"type": "document", "url": url(), "filename": "d.pdf"}),
        ),
    ] {
        let message = render(ApprovedTemplate { header: Some(header), buttons: vec![], ..template.clone() }).unwrap();
        assert_eq!((&message["media"], &message["header_params"], message.get("buttons")), (&media, &json!([]), None));
    }
    for newer in [
        json!({"name": "a", "body": [{"name": "n", "text": "x"}]}),
        json!({"name": "a", "header": {"type": "location", "latitude": 1.0, "longitude": 2.0}}),
        json!({"name": "a", "buttons": [{"index": 0, "type": "copy_code", "value": "A"}]}),
        json!({"name": "a", "cards": [{}]}),
    ] {
        assert_eq!(render(serde_json::from_value(newer).unwrap()), Err(RenderError::MalformedTemplate));
    }
    // Money and dates go as the texts that WhatsApp would show.
    let money = json!({"name": "a", "body": [{"currency": {"code": "EUR", "amount_1000": 12340, "fallback": "12,34 €"}}]});
    assert_eq!(render(serde_json::from_value(money).unwrap()).unwrap()["body_params"], json!(["12,34 €"]));
    let gap = vec![button(1, TemplateButtonKind::Url, "abc")];
    assert_eq!(render(ApprovedTemplate { buttons: gap, ..template.clone() }), Err(RenderError::MalformedTemplate));
    assert_eq!(render(ApprovedTemplate { name: String::new(), ..template }), Err(RenderError::MalformedTemplate));
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_before_anything_leaves() {
    let render = |content: &Content| scene().render(&customer(), content, None);
    assert_eq!(render(&text("ü".repeat(4097))), Err(RenderError::TextTooLong { limit: 4096 }));
    assert_eq!(render(&text(" ")), Err(RenderError::Empty));
    // An internal note never reaches a customer.
    assert_eq!(render(&Content::Note { body: "x".into() }), Err(RenderError::Unsupported));
    assert_eq!(render(&Content::Reaction { message: "1".into(), emoji: "👍".into() }), Err(RenderError::Unsupported));
    assert_eq!(scene().render(&user_id(), &text("x"), None), Err(RenderError::UnsupportedRecipient));
    let mut elsewhere = scene();
    elsewhere.account.provider.fields.insert("account_sid".into(), "../x".into());
    assert_eq!(elsewhere.render(&customer(), &text("x"), None), Err(RenderError::MalformedAccount));
}

fn classified(status: u16, body: &str) -> SendResult {
    Sinch.classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.as_bytes() })
}

#[test]
fn an_answer_counts_as_what_it_says_and_as_unknown_if_it_says_nothing() {
    let report =
        |state: &str| json!({"type": "whatsapp", "statuses": [{"status": "success", "state": state, "message_id": "01OUT"}]}).to_string();
    let accepted = |state| SendResult::Accepted { provider_id: "01OUT".into(), state };
    assert_eq!(classified(201, &report("queued")), accepted(DeliveryState::Accepted));
    assert_eq!(classified(201, &report("sent")), accepted(DeliveryState::Sent));
    assert_eq!(classified(201, &report("something new")), accepted(DeliveryState::Accepted));
    let refused = DeliveryError { class: ErrorClass::Undeliverable, code: Some("no_opt_in".into()) };
    assert_eq!(classified(201, &report("no_opt_in")), SendResult::Failed(refused));
    for (status, body) in [(201, ""), (201, "{}"), (201, r#"{"statuses":[]}"#), (200, "<html>"), (302, ""), (408, ""), (500, ""), (503, "")]
    {
        assert_eq!(classified(status, body), SendResult::Unknown, "{status} {body}");
    }
    assert_eq!(classified(429, ""), SendResult::RateLimited { retry_after: None, scope: RateScope::Number });
    for (status, class) in [
        (400, ErrorClass::Permanent),
        (401, ErrorClass::Authentication),
        (403, ErrorClass::Authentication),
        (404, ErrorClass::Authentication),
    ] {
        let body = r#"{"message":"Unauthorized","details":"…"}"#;
        assert_eq!(classified(status, body), SendResult::Failed(DeliveryError { class, code: None }));
    }
}

#[test]
fn a_check_tries_the_token_and_says_that_the_rest_cannot_be_tried() {
    let scene = scene();
    let request = call(scene.check(&[]));
    assert_eq!(request.url, format!("{BASE}/whatsapp/v1/examplebot/callbacks/notifications?page_size=1"));
    assert_eq!(request.method, Method::GET);
    for (status, credentials) in [
        (200, Ok(Some(String::new()))),
        (404, Ok(None)),
        (401, Err(Problem::CredentialsRefused)),
        (429, Err(Problem::RateLimited)),
        (500, Err(Problem::Unexpected { status: 500 })),
    ] {
        let findings = done(scene.check(&[answer(status, &json!({"results": []}))]));
        let untried = |subject| Finding { subject, result: Ok(None) };
        assert_eq!(findings, [Finding { subject: "credentials", result: credentials }, untried("number"), untried("webhook")]);
    }
    assert_eq!(done(Sinch.register(&scene.connection(), RECEIVE_URL, &[])), Registration::ByHand);
    assert!(Sinch.instructions(&account(), RECEIVE_URL).contains(RECEIVE_URL));
    assert_eq!(Sinch.media_kept(), Duration::from_hours(168));
}

#[test]
fn missed_messages_are_read_from_the_store_until_a_page_has_nothing_new() {
    let scene = scene();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let missed = |answers: &[crate::Answer]| Sinch.missed(&scene.connection(), since, testing::received_at(), answers);
    let first = call(missed(&[])).url;
    assert!(
        first.starts_with(&format!("{BASE}/whatsapp/v1/examplebot/callbacks/notifications?start_time=2026-01-01T00%3A00%3A00Z&end_time="))
    );
    assert!(!first.contains("page="));
    let page = answer(200, &json!({"results": [recorded("legacy-text"), recorded("legacy-image")]}));
    assert!(call(missed(std::slice::from_ref(&page))).url.ends_with("&page=2"));
    for last in [answer(200, &json!({"results": []})), page.clone()] {
        let found = done(missed(&[page.clone(), last])).unwrap();
        let kinds: Vec<_> = found.iter().map(|parsed| parsed.event.id.clone()).collect();
        let expected = [one(&recorded("legacy-text")).event.id, one(&recorded("legacy-image")).event.id];
        assert_eq!(kinds, expected);
        assert_eq!((found[1].event.index, found[0].event.received_at), (1, testing::received_at()));
    }
    assert_eq!(done(missed(&[answer(404, &json!(null))])), Err(Problem::NotOffered));
    assert_eq!(done(missed(&[page, answer(401, &json!(null))])), Err(Problem::CredentialsRefused));
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..512), status in 100u16..1000) {
        let _ = testing::parse(&Sinch, &account(), &body);
        let _ = Sinch.classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: &body });
    }

    #[test]
    fn a_recorded_request_with_any_value_in_any_place_is_stored_under_a_safe_id(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        value in leaf(),
    ) {
        let fixtures = legacy_fixtures();
        let mut body: Value = serde_json::from_slice(&which.get(&fixtures).body).unwrap();
        let pointers = places(&body);
        *body.pointer_mut(&pointers[place.index(pointers.len())]).unwrap() = value;
        let events = parse(&body);
        prop_assert!(!events.is_empty());
        for parsed in events {
            prop_assert!(parsed.event.id.len() <= 90 && parsed.event.id.bytes().all(|b| b.is_ascii_graphic()));
            // The event is stored and queued as JSON.
            let stored = serde_json::to_string(&parsed.event).unwrap();
            let read: domain::inbound::InboundEvent = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        }
    }
}
