use domain::account::{Account, Credentials};
use domain::inbound::{InboundKind, InboundMessage};
use domain::message::Content;
use domain::values::{Address, Secret};
use http::Method;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

use super::*;
use crate::twilio::Twilio;
use crate::{Adapter, Authorization, Hosts};

const RECEIVE_URL: &str = "https://h.example/receive/twilio/T0KEN#rc=3&rp=ct,rt,5xx&tt=15000";

struct Scene {
    account: Account,
    credentials: Credentials,
    hosts: Hosts,
}

impl Scene {
    fn new() -> Self {
        Self {
            account: domain::fixtures::account(),
            credentials: Credentials::default().with("auth_token", "s3cret"),
            hosts: Hosts::all(|_, default| Ok::<_, std::convert::Infallible>(default.to_owned())).unwrap(),
        }
    }

    fn connection(&self) -> Connection<'_> {
        Connection { account: &self.account, credentials: &self.credentials, token: None, hosts: &self.hosts }
    }

    fn check(&self, answers: &[Answer]) -> Step<Vec<Finding>> {
        Twilio.check(&self.connection(), RECEIVE_URL, answers)
    }

    fn missed(&self, answers: &[Answer]) -> Step<Result<Vec<Parsed>, Problem>> {
        Twilio.missed(&self.connection(), "2026-01-01T10:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap(), answers)
    }

    fn account_url(&self) -> String {
        format!("https://api.twilio.com/2010-04-01/Accounts/{}", self.account.provider.field("account_sid"))
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.to_string().into_bytes() }
}

fn call<T: std::fmt::Debug>(step: Step<T>) -> OutgoingRequest {
    match step {
        Step::Call(request) => request,
        Step::Done(result) => panic!("done: {result:?}"),
    }
}

fn done<T>(step: Step<T>) -> T {
    match step {
        Step::Done(result) => result,
        Step::Call(request) => panic!("calls {}", request.url),
    }
}

fn fine(subject: &'static str) -> Finding {
    Finding { subject, result: Ok(Some(String::new())) }
}

fn sender(phone: &str, callback: &str) -> Value {
    json!({
        "sid": "XEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": "ONLINE", "sender_id": format!("whatsapp:{phone}"),
        "webhook": {"callback_url": callback, "callback_method": "POST"}, "profile": {"name": "Roma"},
    })
}

fn senders_page(senders: &[Value], next: Option<&str>) -> Answer {
    answer(200, &json!({"senders": senders, "meta": {"page": 0, "page_size": 100, "next_page_url": next, "key": "senders"}}))
}

fn active() -> Answer {
    answer(200, &json!({"sid": "AC1", "status": "active", "type": "Full"}))
}

#[test]
fn a_check_asks_for_the_account_and_then_for_its_sender() {
    let scene = Scene::new();
    let request = call(scene.check(&[]));
    assert_eq!((&request.method, request.url), (&Method::GET, format!("{}.json", scene.account_url())));
    let user = scene.account.provider.field("account_sid").to_owned();
    assert_eq!(request.authorization, Authorization::Basic { user, password: Secret::new("s3cret") });
    let first = call(scene.check(&[active()])).url;
    assert_eq!(first, "https://messaging.twilio.com/v2/Channels/Senders?Channel=whatsapp&PageSize=100");
    let more = "https://messaging.twilio.com/v2/Channels/Senders?Channel=whatsapp&Page=1";
    let other = senders_page(&[sender("+390000000000", RECEIVE_URL)], Some(more));
    assert_eq!(call(scene.check(&[active(), other.clone()])).url, more);
    let ours = senders_page(&[sender("+390612345678", RECEIVE_URL)], None);
    assert_eq!(done(scene.check(&[active(), other, ours])), [fine("credentials"), fine("number"), fine("webhook")]);
}

#[test]
fn a_check_says_what_is_wrong() {
    let scene = Scene::new();
    for (status, problem) in [
        (401, Problem::CredentialsRefused),
        (403, Problem::CredentialsRefused),
        (404, Problem::CredentialsRefused),
        (429, Problem::RateLimited),
        (500, Problem::Unexpected { status: 500 }),
    ] {
        let findings = done(scene.check(&[answer(status, &json!({}))]));
        assert_eq!(findings, [Finding { subject: "credentials", result: Err(problem) }]);
    }
    let with = |sender: Value| done(scene.check(&[active(), senders_page(&[sender], None)]));
    assert_eq!(with(sender("+390000000000", RECEIVE_URL))[1].result, Err(Problem::NumberNotFound));
    for elsewhere in ["", "https://other.example/x", "https://h.example/receive/twilio/OTHER"] {
        assert_eq!(with(sender("+390612345678", elsewhere))[2].result, Err(Problem::WebhookNotSet), "{elsewhere}");
    }
    let Ok(Some(note)) = &with(sender("+390612345678", "https://h.example/receive/twilio/T0KEN"))[2].result else { panic!("a note") };
    assert!(note.contains("fragment"));
    let mut offline = sender("+390612345678", RECEIVE_URL);
    offline["status"] = json!("OFFLINE");
    assert_eq!(with(offline)[1].result, Ok(Some("the state of the sender is OFFLINE".into())));
    let suspended = answer(200, &json!({"status": "suspended"}));
    let ours = senders_page(&[sender("+390612345678", RECEIVE_URL)], None);
    assert_eq!(done(scene.check(&[suspended, ours]))[0].result, Ok(Some("the state of the account is suspended".into())));
    let none = done(scene.check(&[active(), answer(404, &json!({}))]));
    assert_eq!((&none[1].result, &none[2].result), (&Ok(None), &Ok(None)));
}

#[test]
fn the_sandboxs_number_is_accepted_without_a_sender() {
    let mut scene = Scene::new();
    scene.account.phone = E164::parse("+14155238886").unwrap();
    let findings = done(scene.check(&[active()]));
    assert!(matches!(&findings[1].result, Ok(Some(note)) if note.contains("sandbox")));
}

#[test]
fn numbers_are_the_whatsapp_senders_of_all_pages() {
    let scene = Scene::new();
    let numbers = |answers: &[Answer]| Twilio.numbers(&scene.connection(), answers);
    assert!(call(numbers(&[])).url.ends_with("/v2/Channels/Senders?Channel=whatsapp&PageSize=100"));
    let first = senders_page(&[sender("+390612345678", ""), json!({"sender_id": "rcs:agent"})], Some("/v2/Channels/Senders?Page=1"));
    assert_eq!(call(numbers(std::slice::from_ref(&first))).url, "https://messaging.twilio.com/v2/Channels/Senders?Page=1");
    let mut unnamed = sender("+390698765432", "");
    unnamed["profile"] = json!(null);
    let found = done(numbers(&[first, senders_page(&[unnamed], None)])).unwrap();
    let found: Vec<_> = found.iter().map(|number| (number.phone.as_str(), number.name.as_deref())).collect();
    assert_eq!(found, [("+390612345678", Some("Roma")), ("+390698765432", None)]);
    assert_eq!(done(numbers(&[answer(401, &json!({}))])), Err(Problem::CredentialsRefused));
}

#[test]
fn the_credentials_never_follow_a_page_to_another_host() {
    let scene = Scene::new();
    for elsewhere in
        ["https://example.com/v2/Channels/Senders", "http://messaging.twilio.com/x", "https://messaging.twilio.com@example.com/x"]
    {
        let page = senders_page(&[sender("+390612345678", "")], Some(elsewhere));
        assert_eq!(done(Twilio.numbers(&scene.connection(), &[page])).unwrap().len(), 1, "{elsewhere}");
    }
}

#[test]
fn templates_are_the_contents_with_their_approval() {
    let scene = Scene::new();
    let templates = |answers: &[Answer]| Twilio.templates(&scene.connection(), answers);
    assert_eq!(call(templates(&[])).url, "https://content.twilio.com/v1/ContentAndApprovals?PageSize=100");
    let content = |sid: &str, status: &str, types: Value| json!({"sid": sid, "friendly_name": "recontact", "language": "it", "types": types, "approval_requests": {"status": status}});
    let text = json!({"twilio/text": {"body": "Buongiorno {{1}}"}});
    let next = "https://content.twilio.com/v1/ContentAndApprovals?PageSize=100&Page=1&PageToken=x";
    let contents = json!([content("HX1", "approved", text.clone()), content("", "approved", text)]);
    let first = answer(200, &json!({"contents": contents, "meta": {"next_page_url": next, "key": "contents"}}));
    assert_eq!(call(templates(std::slice::from_ref(&first))).url, next);
    let card = json!({"twilio/card": {"title": "Ciao {{1}}", "media": []}});
    let mut unasked = content("HX3", "", json!({}));
    unasked["approval_requests"] = json!(null);
    let last = answer(200, &json!({"contents": [content("HX2", "pending", card), unasked], "meta": {"next_page_url": null}}));
    let found = done(templates(&[first, last])).unwrap();
    let shown: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.parts.text.as_str(), found.is_approved())).collect();
    assert_eq!(shown, [("HX1", "Buongiorno {{1}}", true), ("HX2", "Ciao {{1}}", false), ("HX3", "", false)]);
    assert_eq!((found[0].title.as_str(), found[0].language.as_str()), ("recontact", "it"));
    assert_eq!(found[0].parts.parameters, ["1"]);
    assert_eq!(done(templates(&[answer(429, &json!({}))])), Err(Problem::RateLimited));
}

#[test]
fn a_content_tells_all_its_variables_wherever_they_stand() {
    let scene = Scene::new();
    let needed = |content: Value| {
        let page = answer(200, &json!({"contents": [content], "meta": {"next_page_url": null}}));
        done(Twilio.templates(&scene.connection(), &[page])).unwrap().remove(0).parts.parameters
    };
    let card = json!({"sid": "HX1", "variables": {"1": "Zoë", "2": "a.png", "code": "A"}, "types": {"whatsapp/card": {
        "body": "Ciao {{1}}", "media": ["https://h.example/{{2}}"],
        "actions": [{"type": "COPY_CODE", "code": "{{code}}", "title": "Copia"}, {"type": "URL", "url": "https://h.example/{{1}}"}],
    }}});
    let mut variables = needed(card);
    variables.sort();
    assert_eq!(variables, ["1", "2", "code"]);
    assert_eq!(needed(json!({"sid": "HX1", "variables": {"1": "a"}, "types": {}})), ["1"]);
    assert!(needed(json!({"sid": "HX1", "variables": {}, "types": {"twilio/text": {"body": "Ciao"}}})).is_empty());
}

fn listed(sid: &str, hour: u32, body: &str, files: u32) -> Value {
    json!({
        "sid": sid, "direction": "inbound", "from": "whatsapp:+393331234567", "to": "whatsapp:+390612345678", "body": body,
        "num_media": files.to_string(), "date_sent": null, "date_created": format!("Thu, 01 Jan 2026 {hour:02}:00:00 +0000"), "status": "received",
    })
}

fn messages_page(messages: &[Value], next: Option<&str>) -> Answer {
    answer(200, &json!({"messages": messages, "page": 0, "page_size": 1000, "next_page_uri": next}))
}

fn message(parsed: &Parsed) -> &InboundMessage {
    match &parsed.event.kind {
        InboundKind::Message(message) => message,
        _ => panic!("a message"),
    }
}

#[test]
fn prices_are_read_from_the_list_of_sent_messages_as_far_back_as_they_are_wanted() {
    let scene = Scene::new();
    let at = |hour: u32| format!("2026-01-01T{hour:02}:00:00Z").parse::<jiff::Timestamp>().unwrap();
    let prices = |answers: &[Answer]| Twilio.prices(&scene.connection(), at(10)..at(12), at(13), answers);
    let first = call(prices(&[])).url;
    let query: Vec<_> = form_urlencoded::parse(first.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    assert_eq!(query[0], ("From".to_owned(), "whatsapp:+390612345678".to_owned()));
    let sent = |sid: &str, hour: u32, price: Value, status: &str| {
        let mut sent = listed(sid, hour, "Buongiorno", 0);
        (sent["direction"], sent["price"], sent["price_unit"], sent["status"]) =
            (json!("outbound-api"), price, json!("USD"), json!(status));
        sent
    };
    let next = "/2010-04-01/Accounts/AC1/Messages.json?Page=1";
    let newest = messages_page(&[sent("SM5", 12, json!("-0.00500"), "read"), sent("SM4", 11, json!("-0.00500"), "read")], Some(next));
    assert_eq!(call(prices(std::slice::from_ref(&newest))).url, format!("https://api.twilio.com{next}"));
    // What is older is not asked for.
    let older = messages_page(
        &[
            sent("SM3", 10, json!("-0.005"), "delivered"),
            sent("SM2", 10, Value::Null, "delivered"),
            sent("SM1", 9, json!("-0.005"), "read"),
            listed("MM1", 10, "ciao", 0),
        ],
        Some(next),
    );
    let found = done(prices(&[newest, older])).unwrap();
    let told = found.iter().map(|parsed| match &parsed.event.kind {
        InboundKind::Status(status) => (parsed.event.id.as_str(), status.state, status.charge.unwrap().stated.unwrap()),
        _ => panic!("a status"),
    });
    let price = (domain::pricing::Amount::of_millionths(5_000), domain::pricing::Currency::USD);
    use domain::message::DeliveryState::{Delivered, Read};
    assert_eq!(told.collect::<Vec<_>>(), [("SM4#price", Read, price), ("SM3#price", Delivered, price)]);
}

#[test]
fn missed_messages_are_listed_with_their_files_under_the_ids_of_the_webhooks() {
    let scene = Scene::new();
    let first = call(scene.missed(&[])).url;
    let (url, query) = first.split_once('?').unwrap();
    assert_eq!(url, format!("{}/Messages.json", scene.account_url()));
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(query, [pair("To", "whatsapp:+390612345678"), pair("DateSent>", "2026-01-01"), pair("PageSize", "1000")]);

    let mut ours = listed("SM9", 12, "nostro", 0);
    ours["direction"] = json!("outbound-api");
    let next = "/2010-04-01/Accounts/AC1/Messages.json?Page=1";
    let page = messages_page(&[listed("MM2", 12, "La ricevuta", 1), ours, listed("SM0", 9, "prima", 0)], Some(next));
    assert_eq!(call(scene.missed(std::slice::from_ref(&page))).url, format!("https://api.twilio.com{next}"));
    let last = messages_page(&[listed("SM1", 11, "Buongiorno", 0)], None);
    let files = call(scene.missed(&[page.clone(), last.clone()])).url;
    assert_eq!(files, format!("{}/Messages/MM2/Media.json", scene.account_url()));
    let uri = "/2010-04-01/Accounts/AC1/Messages/MM2/Media/ME1";
    let media = answer(
        200,
        &json!({"media_list": [{"sid": "ME1", "content_type": "image/jpeg", "uri": format!("{uri}.json")}], "next_page_uri": null}),
    );
    let found = done(scene.missed(&[page.clone(), last.clone(), media])).unwrap();
    let ids: Vec<_> = found.iter().map(|parsed| (parsed.event.id.as_str(), parsed.event.index)).collect();
    assert_eq!(ids, [("SM1", 0), ("MM2", 1)]);
    let text = message(&found[0]);
    assert_eq!(
        (&text.content, &text.from),
        (&Content::Text { body: "Buongiorno".into() }, &Address::Phone(E164::parse("+393331234567").unwrap()))
    );
    assert_eq!(text.sent_at, Some("2026-01-01T11:00:00Z".parse().unwrap()));
    let image = message(&found[1]);
    assert_eq!(image.content, Content::Media { caption: "La ricevuta".into() });
    assert_eq!(
        (image.attachments[0].source.as_str(), image.attachments[0].content_type.as_str()),
        (format!("https://api.twilio.com{uri}").as_str(), "image/jpeg")
    );

    let gone = done(scene.missed(&[page.clone(), last.clone(), answer(404, &json!({}))])).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(done(scene.missed(&[page, last, answer(500, &json!({}))])), Err(Problem::Unexpected { status: 500 }));
    assert_eq!(done(scene.missed(&[answer(401, &json!({}))])), Err(Problem::CredentialsRefused));
}

#[test]
fn files_beyond_the_requests_of_one_run_wait_for_the_next_and_hold_up_no_text() {
    let scene = Scene::new();
    let mut messages: Vec<_> = (0..FILES + 5).map(|index| listed(&format!("MM{index}"), 12, "", 1)).collect();
    messages.push(listed("SM1", 11, "Buongiorno", 0));
    let mut answers = vec![messages_page(&messages, None)];
    let file = json!({"media_list": [{"content_type": "image/jpeg", "uri": "/x.json"}]});
    for _ in 0..FILES {
        assert!(call(scene.missed(&answers)).url.ends_with("/Media.json"));
        answers.push(answer(200, &file));
    }
    assert_eq!(done(scene.missed(&answers)).unwrap().len(), FILES + 1);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn no_answer_makes_a_conversation_panic(
        bodies in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..128),
            any::<String>().prop_map(|text| json!({"messages": [{"sid": text, "direction": "inbound", "from": text, "num_media": text, "date_sent": text}]}).to_string().into_bytes()),
            any::<String>().prop_map(|text| json!({"senders": [{"sender_id": text, "status": text}], "meta": {"next_page_url": text}}).to_string().into_bytes()),
        ], 0..4),
        status in 100u16..600,
    ) {
        let scene = Scene::new();
        let status = StatusCode::from_u16(status).unwrap();
        let answers: Vec<_> = bodies.into_iter().map(|body| Answer { status, retry_after: None, body }).collect();
        let _ = scene.check(&answers);
        let _ = scene.missed(&answers);
        let _ = Twilio.numbers(&scene.connection(), &answers);
        let _ = Twilio.templates(&scene.connection(), &answers);
    }
}
