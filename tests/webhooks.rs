//! Webhooks of every provider with real tables and queues: which ones are accepted, which events are stored, and
//! the effect of bad ones.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::{Account, Credentials, Provider};
use domain::inbound::{InboundEvent, InboundKind};
use domain::message::Content;
use domain::queue::Strategy;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::Request as HttpRequest;
use lambda_http::{Body, RequestExt};
use local::standin::{self, Received, Webhook};
use receive::Receive;
use serde_json::{Value, json};

use crate::support::fault::When;
use crate::support::{Deployment, PUBLIC_URL, delivered};

/// The secrets of signatures and guards: the current one, the one before it, and the one before that.
const SECRETS: [&str; 3] = ["current-secret", "previous-secret", "older-secret"];

/// A provider type, for these tests.
struct Kind {
    name: &'static str,
    receive: &'static str,
    /// Public fields.
    fields: &'static [(&'static str, &'static str)],
    /// The secret that proves the origin of webhooks.
    secret: &'static str,
    /// The header with that proof.
    proof: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "TWILIO",
        receive: "twilio",
        fields: &[("account_sid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
        secret: "auth_token",
        proof: "X-Twilio-Signature",
    },
    Kind {
        name: "META",
        receive: "meta",
        fields: &[("account_sid", "102290129340398"), ("app_id", "670843887433847"), ("phone_number_id", "106540352242922")],
        secret: "app_secret",
        proof: "X-Hub-Signature-256",
    },
    Kind {
        name: "SINCH_V2",
        receive: "sinch",
        fields: &[("base_url", "https://eu.conversation.api.sinch.com"), ("project_id", "p1"), ("app_id", "a1"), ("key_id", "k1")],
        secret: "webhook_secret",
        proof: "x-sinch-webhook-signature",
    },
    // These two sign nothing, or their signature is not documented. So the account requires a header.
    Kind {
        name: "SINCH",
        receive: "sinch",
        fields: &[("base_url", "https://eu1.whatsapp.api.sinch.com"), ("account_sid", "examplebot"), ("callback_header", "X-Guard")],
        secret: "callback_header_value",
        proof: "X-Guard",
    },
    Kind {
        name: "KALEYRA",
        receive: "kaleyra",
        fields: &[
            ("base_url", "https://api.eu.kaleyra.io"),
            ("account_sid", "HX1"),
            ("waba_id", "102290129340398"),
            ("callback_header", "X-Guard"),
        ],
        secret: "callback_header_value",
        proof: "X-Guard",
    },
];

/// An account of a provider type, and the provider's view of it.
struct Line {
    deployment: Deployment,
    kind: &'static Kind,
    account: Account,
    receive: Receive,
}

impl Line {
    async fn open(kind: &'static Kind) -> Self {
        let deployment = Deployment::new().await;
        let account = connect(&deployment, kind, "LINE1", kind.fields, &SECRETS).await;
        let receive = deployment.receive_of(kind.receive);
        Self { deployment, kind, account, receive }
    }

    /// The account as the provider knows it, with this secret.
    fn known(&self, secret: &str) -> standin::Account {
        known(self.kind, &self.account, secret)
    }

    fn message(&self, number: usize, text: &str) -> Webhook {
        message(&self.known(SECRETS[0]), &received(number, 1, text))
    }

    /// The status of the response to a webhook.
    async fn give(&self, webhook: &Webhook) -> u16 {
        self.receive.handle(&delivered(webhook)).await.status().as_u16()
    }

    /// The events enqueued since the last call: texts of messages, names of all others.
    async fn kept(&self) -> Vec<String> {
        self.deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await.iter().map(said).collect()
    }
}

fn said(event: &InboundEvent) -> String {
    match &event.kind {
        InboundKind::Message(message) => message.content.readable(),
        other => format!("{other:?}"),
    }
}

async fn connect(deployment: &Deployment, kind: &Kind, key: &str, fields: &[(&str, &str)], secrets: &[&str]) -> Account {
    let queue = deployment.queue(Strategy::Beepall, &[]).await;
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let provider = Provider { kind: kind.name.to_owned(), fields };
    // Oldest first, in the order of creation.
    let versions: Vec<_> = secrets.iter().rev().map(|secret| Credentials::default().with(kind.secret, *secret)).collect();
    deployment.connect(key, provider, &versions, &[], &queue).await
}

fn known(kind: &Kind, account: &Account, secret: &str) -> standin::Account {
    let mut fields = account.provider.fields.clone();
    fields.insert(kind.secret.to_owned(), secret.to_owned());
    standin::Account {
        kind: kind.name.to_owned(),
        phone: account.phone.as_str().to_owned(),
        receive_url: format!("{PUBLIC_URL}{}", account.receive_path.reveal()),
        fields,
    }
}

/// Message `number` of customer `customer`.
fn received(number: usize, customer: usize, text: &str) -> Received {
    Received {
        kind: String::new(),
        account: String::new(),
        id: format!("wamid.TEST{number:08}"),
        from: format!("+3933300{customer:05}"),
        name: "Zoë Rossi".to_owned(),
        text: text.to_owned(),
        file: None,
        at: Timestamp::now(),
    }
}

fn message(account: &standin::Account, received: &Received) -> Webhook {
    let mut received = received.clone();
    if account.kind == "TWILIO" {
        received.id = received.id.replace("wamid.TEST", "SM");
    }
    standin::sign(account, standin::message(account, &received).unwrap()).unwrap()
}

#[tokio::test]
async fn a_webhook_is_believed_with_the_current_secret_and_the_one_before_it_and_nothing_else_is_written() {
    for kind in &KINDS {
        let line = Line::open(kind).await;
        let [current, previous, older] = SECRETS.map(|secret| {
            let number = SECRETS.iter().position(|known| *known == secret).unwrap();
            message(&line.known(secret), &received(number, 1, secret))
        });
        let unsigned = line.message(3, "unsigned").without_header(kind.proof);
        let garbled = line.message(4, "garbled").with_header(kind.proof, "sha256=00");
        let mut other_body = line.message(5, "another body");
        other_body.body = line.message(6, "yet another body").body;
        for (webhook, expected) in [(&unsigned, 403), (&garbled, 403), (&older, 403), (&current, 200), (&previous, 200)] {
            assert_eq!(line.give(webhook).await, expected, "{} {}", kind.name, String::from_utf8_lossy(&webhook.body));
        }
        let mut kept = vec![SECRETS[0], SECRETS[1]];
        // A fixed header does not cover the body.
        let signs = !matches!(kind.name, "SINCH" | "KALEYRA");
        assert_eq!(line.give(&other_body).await, if signs { 403 } else { 200 }, "{}", kind.name);
        if !signs {
            kept.push("yet another body");
        }
        assert_eq!(line.kept().await, kept, "{}", kind.name);
    }
}

#[tokio::test]
async fn a_webhook_that_is_repeated_also_a_day_late_is_taken_and_doubles_nothing() {
    for kind in &KINDS {
        let line = Line::open(kind).await;
        let mut webhook = line.message(1, "once");
        assert_eq!(line.give(&webhook).await, 200, "{}", kind.name);
        if kind.name == "SINCH_V2" {
            // Signed a day ago, with another nonce.
            let yesterday = (Timestamp::now() - SignedDuration::from_hours(24)).as_second().to_string();
            let signature = standin::sinch_signature(SECRETS[0], &webhook.body, "01N0NCE", &yesterday);
            webhook = webhook
                .with_header("x-sinch-webhook-signature", &signature)
                .with_header("x-sinch-webhook-signature-nonce", "01N0NCE")
                .with_header("x-sinch-webhook-signature-timestamp", &yesterday);
        }
        for _ in 0..2 {
            assert_eq!(line.give(&webhook).await, 200, "{}", kind.name);
        }
        assert_eq!(line.kept().await, ["once"], "{}", kind.name);
    }
}

/// Bodies that no provider sends, made from a good one.
fn spoiled(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = String::from_utf8(good.to_vec()).unwrap();
    let invalid = {
        let place = text.find("hello").unwrap();
        let mut bytes = good.to_vec();
        bytes[place..place + 2].copy_from_slice(&[0xff, 0xc3]);
        bytes
    };
    let mut bodies: Vec<(String, Vec<u8>)> = vec![
        ("nothing".into(), Vec::new()),
        ("cut in half".into(), good[..good.len() / 2].to_vec()),
        ("cut by one".into(), good[..good.len() - 1].to_vec()),
        ("doubled".into(), [good, good].concat()),
        ("not UTF-8".into(), invalid),
        ("zeros".into(), vec![0; 64]),
        ("deep arrays".into(), vec![b'['; 50_000]),
        ("deep objects".into(), "{\"a\":".repeat(20_000).into_bytes()),
    ];
    bodies.extend(["null", "true", "7", "\"text\"", "[]", "{}", "[[]]", "[null]"].map(|text| (text.to_owned(), text.into())));
    let Ok(document) = serde_json::from_str::<Value>(&text) else { return bodies };
    for place in places(&document, "") {
        let others = [json!(null), json!(7), json!(-1.5e300), json!("7"), json!(""), json!([]), json!({}), json!([[]]), json!(true)];
        for other in others {
            let mut changed = document.clone();
            *changed.pointer_mut(&place).unwrap() = other.clone();
            bodies.push((format!("{place} = {other}"), changed.to_string().into_bytes()));
        }
    }
    bodies
}

/// The paths of all values in a document.
fn places(value: &Value, at: &str) -> Vec<String> {
    let mut found = vec![at.to_owned()];
    match value {
        Value::Object(members) => {
            found.extend(
                members.iter().flat_map(|(name, member)| places(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")))),
            );
        }
        Value::Array(items) => found.extend(items.iter().enumerate().flat_map(|(index, item)| places(item, &format!("{at}/{index}")))),
        _ => {}
    }
    found
}

#[tokio::test]
async fn no_body_however_wrong_makes_a_function_fail_and_unsigned_it_leaves_nothing() {
    for kind in &KINDS {
        let line = Line::open(kind).await;
        let good = line.message(1, "hello");
        let bodies = spoiled(&good.body);
        // First without proof of origin. Nothing may be stored.
        let unsigned = bodies.iter().map(|(name, body)| (name, Webhook { body: body.clone(), ..good.clone() }.without_header(kind.proof)));
        for (name, webhook) in unsigned.take(24) {
            let status = line.give(&webhook).await;
            // Some are longer than Twilio's longest webhook.
            assert!(status == 403 || status == 413 && webhook.body.len() > 64 * 1024, "{} {name}: {status}", kind.name);
        }
        assert_eq!(line.kept().await, Vec::<String>::new(), "{}", kind.name);
        let known = line.known(SECRETS[0]);
        let signed =
            bodies.iter().map(|(name, body)| (name, standin::sign(&known, Webhook { body: body.clone(), ..good.clone() }).unwrap()));
        let answers = join_all(signed.map(async |(name, webhook)| (name, line.give(&webhook).await))).await;
        for (name, status) in answers {
            assert!(status == 200 || (400..500).contains(&status), "{} {name}: {status}", kind.name);
        }
        // Whatever the effect, the next message is handled.
        line.kept().await;
        assert_eq!(line.give(&line.message(2, "and on")).await, 200);
        assert_eq!(line.kept().await, ["and on"], "{}", kind.name);
    }
}

#[tokio::test]
async fn a_body_of_10_mb_and_another_content_type_are_refused() {
    for kind in &KINDS {
        let line = Line::open(kind).await;
        let good = line.message(1, "hello");
        let known = line.known(SECRETS[0]);
        let huge = standin::sign(&known, Webhook { body: vec![b'x'; 10 * 1024 * 1024], ..good.clone() }).unwrap();
        assert_eq!(line.give(&huge).await, 413, "{}", kind.name);
        let other = standin::sign(&known, good.clone().with_header("Content-Type", "application/xml")).unwrap();
        let status = line.give(&other).await;
        assert!(matches!(status, 200 | 415), "{}: {status}", kind.name);
        if status == 415 {
            assert_eq!(line.kept().await, Vec::<String>::new(), "{}", kind.name);
        }
    }
}

#[tokio::test]
async fn fields_and_kinds_that_nobody_knows_are_taken() {
    for kind in KINDS.iter().filter(|kind| kind.name != "TWILIO") {
        let line = Line::open(kind).await;
        let known = line.known(SECRETS[0]);
        let good: Value = serde_json::from_slice(&line.message(1, "hello").body).unwrap();
        let webhook = |body: &Value| {
            let good = line.message(1, "hello");
            standin::sign(&known, Webhook { body: body.to_string().into_bytes(), ..good }).unwrap()
        };
        // Every object gets one more member, and every text that may name a kind is changed.
        let mut richer = good.clone();
        for place in places(&good, "") {
            if let Some(members) = richer.pointer_mut(&place).and_then(Value::as_object_mut) {
                members.insert("tomorrow".to_owned(), json!({"x": [1, "y", null]}));
            }
        }
        assert_eq!(line.give(&webhook(&richer)).await, 200, "{}", kind.name);
        assert_eq!(line.kept().await, ["hello"], "{}", kind.name);
        for place in places(&good, "").iter().filter(|place| place.ends_with("/type") || place.ends_with("/field")) {
            let mut changed = good.clone();
            *changed.pointer_mut(place).unwrap() = json!("hologram");
            assert_eq!(line.give(&webhook(&changed)).await, 200, "{} {place}", kind.name);
        }
        assert_eq!(line.give(&webhook(&json!({"hologram": {"id": "1"}}))).await, 200, "{}", kind.name);
    }
}

#[tokio::test]
async fn a_customers_proxy_must_show_its_token() {
    let line = Line::open(&KINDS[0]).await;
    let account = Account { domain: Some("wa.example.com".to_owned()), proxy_token: "pr0xy".into(), ..line.account.clone() };
    let write = store::Write::Replace { before: &line.account, version: line.account.version };
    line.deployment.configuration.put(&account, write, Vec::new()).await.unwrap();
    // The signature covers the address that the provider was given.
    let mut known = line.known(SECRETS[0]);
    known.receive_url = known.receive_url.replace(PUBLIC_URL, "https://wa.example.com");
    let mut webhook = message(&known, &received(1, 1, "through the proxy"));
    webhook.url = webhook.url.replace("https://wa.example.com", PUBLIC_URL);
    let line = Line { receive: line.deployment.receive_of("twilio"), ..line };
    assert_eq!(line.give(&webhook).await, 403);
    assert_eq!(line.give(&webhook.clone().with_header("X-Proxy-Token", "another")).await, 403);
    assert_eq!(line.kept().await, Vec::<String>::new());
    assert_eq!(line.give(&webhook.with_header("X-Proxy-Token", "pr0xy")).await, 200);
    assert_eq!(line.kept().await, ["through the proxy"]);
}

#[tokio::test]
async fn metas_handshake_is_answered_with_its_challenge_to_who_knows_the_token() {
    let deployment = Deployment::new().await;
    let meta = &KINDS[1];
    let queue = deployment.queue(Strategy::Beepall, &[]).await;
    let fields = meta.fields.iter().chain(&[("verify_token", "v3rify")]);
    let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let credentials = [Credentials::default().with("app_secret", "s")];
    let account = deployment.connect("HANDS", Provider { kind: "META".to_owned(), fields }, &credentials, &[], &queue).await;
    let receive = deployment.receive_of("meta");
    for (token, status, expected) in [("v3rify", 200, "1158201444"), ("another", 403, "")] {
        let path = account.receive_path.reveal();
        let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        let request = HttpRequest::get(format!("https://inside.example{path}?{query}")).body(Body::Empty).unwrap().with_raw_http_path(path);
        let answer = receive.handle(&request).await;
        assert_eq!(answer.status(), status, "{:?}", answer.body());
        let Body::Text(body) = answer.body() else { panic!("no text") };
        assert!(body == expected || status == 403, "{body}");
    }
}

#[tokio::test]
async fn a_message_for_another_accounts_number_goes_there_if_its_secret_signed_it_and_otherwise_nowhere() {
    let deployment = Deployment::new().await;
    let meta = &KINDS[1];
    let numbered = |id: &'static str| [("account_sid", "102290129340398"), ("app_id", "670843887433847"), ("phone_number_id", id)];
    let mine = connect(&deployment, meta, "MINE1", &numbered("111"), &["shared"]).await;
    let same_app = connect(&deployment, meta, "SAME1", &numbered("222"), &["shared"]).await;
    connect(&deployment, meta, "OTHER", &numbered("333"), &["another"]).await;
    let receive = deployment.receive_of("meta");
    for (number, phone_number_id) in ["111", "222", "333", "444"].into_iter().enumerate() {
        // All messages come to one URL, signed with one secret.
        let mut provider = known(meta, &mine, "shared");
        provider.fields.insert("phone_number_id".to_owned(), phone_number_id.to_owned());
        let webhook = message(&provider, &received(number, 1, phone_number_id));
        assert_eq!(receive.handle(&delivered(&webhook)).await.status(), 200, "{phone_number_id}");
    }
    let events = deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await;
    let found: Vec<_> = events.iter().map(|event| (event.account.clone(), said(event))).collect();
    assert_eq!(found, [(mine.id, "111".to_owned()), (same_app.id, "222".to_owned())]);
}

/// 50 customers with 20 messages each, interleaved, as Meta batches them in one request.
fn thousand(line: &Line) -> Webhook {
    let known = line.known(SECRETS[0]);
    let messages: Vec<_> = (0..1000).map(|number| received(number, number % 50, &format!("{:02}", number / 50))).collect();
    standin::sign(&known, standin::meta_batch(&known, &messages)).unwrap()
}

/// Each customer's messages, in the order of the queue.
async fn by_customer(deployment: &Deployment) -> (Vec<InboundEvent>, BTreeMap<String, Vec<String>>) {
    let events = deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await;
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        let InboundKind::Message(message) = &event.kind else { panic!("{event:?}") };
        let Content::Text { body } = &message.content else { panic!("{event:?}") };
        said.entry(message.from.key()).or_default().push(body.clone());
    }
    (events, said)
}

/// Checks that every message is there once, and that each customer's are in order.
fn complete(said: &BTreeMap<String, Vec<String>>, how: &str) {
    let expected: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    assert_eq!(said.len(), 50, "{how}");
    for (customer, texts) in said {
        assert_eq!(texts, &expected, "{how}: {customer}");
    }
}

#[tokio::test]
async fn a_thousand_updates_in_one_request_are_all_taken_once_and_in_order_with_few_calls_one_after_the_other() {
    let line = Line::open(&KINDS[1]).await;
    let webhook = thousand(&line);
    line.deployment.proxy.calls();
    assert_eq!(line.give(&webhook).await, 200);
    // The function has 29 seconds. 32 puts at once and ten entries a batch make some 130 calls one after the other, of
    // some 20 ms each. A call that got no answer in time on a busy machine is made again.
    let calls = line.deployment.proxy.calls();
    let made = |target: &str| calls.iter().filter(|call| *call == target).count();
    let (puts, batches) = (made("DynamoDB_20120810.PutItem"), made("AmazonSQS.SendMessageBatch"));
    assert!((1000..1100).contains(&puts) && (100..120).contains(&batches), "{puts} {batches}");
    let at_once = line.deployment.proxy.most_at_once("DynamoDB_20120810.PutItem");
    assert!((16..=32).contains(&at_once), "{at_once}");
    let (events, said) = by_customer(&line.deployment).await;
    complete(&said, "undisturbed");
    // The interactions have them in the same order.
    let mut customers: BTreeMap<String, Vec<InboundEvent>> = BTreeMap::new();
    for event in events {
        customers.entry(event.group()).or_default().push(event);
    }
    let threads = join_all(customers.into_values().map(async |events| {
        for event in &events {
            line.deployment.engine.route(event).await.unwrap();
        }
        crate::thread_of(&line.deployment, &line.account, &events[0].id).await
    }));
    let threads = threads.await;
    assert_eq!(threads.len(), 50);
    let expected: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    assert!(threads.iter().all(|thread| *thread == expected), "{threads:?}");
}

#[tokio::test]
async fn a_thousand_updates_survive_a_failure_in_the_middle_when_meta_comes_again() {
    for (target, when, after, times) in [
        ("DynamoDB_20120810.PutItem", When::Before, 400, 150),
        ("DynamoDB_20120810.PutItem", When::After, 400, 150),
        ("AmazonSQS.SendMessageBatch", When::Before, 30, 20),
        ("AmazonSQS.SendMessageBatch", When::After, 30, 20),
    ] {
        let how = format!("{target} {when:?}");
        let line = Line::open(&KINDS[1]).await;
        let webhook = thousand(&line);
        line.deployment.proxy.fail_some(target, when, after, times);
        assert_eq!(line.give(&webhook).await, 503, "{how}");
        line.deployment.proxy.heal();
        assert_eq!(line.give(&webhook).await, 200, "{how}");
        let (events, said) = by_customer(&line.deployment).await;
        complete(&said, &how);
        let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
        assert_eq!(ids.len(), 1000, "{how}");
    }
}
