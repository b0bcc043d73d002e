//! Feeds the providers' modules, from a fuzzer or from the seeded run in `cargo test`. They must never panic.
//!
//! An input is the text of a file of `events/`, or any bytes, which become the body of a POST.

use domain::account::{Account, Credentials, Provider};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use providers::fixture::Fixture;
use providers::{Adapter, Answer, Connection, Field, Hosts, SendOutcome, Step, Webhook};

/// An account of a type with all its fields, and its secrets.
fn account(adapter: &dyn Adapter) -> (Account, Credentials) {
    let (secret, public): (Vec<&Field>, Vec<&Field>) = adapter.fields().iter().partition(|field| field.secret);
    // The ids in the files, so that their contents count as this account's own.
    let known = [
        ("account_sid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("app_id", "01TESTAPP0000000000000000A"),
        ("phone_number_id", "106540352242922"),
        ("base_url", "https://provider.example"),
    ];
    let value = |name: &str| known.iter().find(|(known, _)| *known == name).map_or("value", |(_, value)| value).to_owned();
    // A guard would refuse every request unread.
    let fields = public.iter().filter(|field| !field.name.starts_with("callback")).map(|field| (field.name.to_owned(), value(field.name)));
    let provider = Provider { kind: adapter.kind().to_owned(), fields: fields.collect() };
    let secrets = secret.iter().filter(|field| !field.name.starts_with("callback"));
    let credentials = secrets.fold(Credentials::default(), |credentials, field| credentials.with(field.name, "s3cret"));
    (Account { provider, ..domain::fixtures::account() }, credentials)
}

/// A request from any bytes.
fn request(adapter: &dyn Adapter, data: &[u8]) -> Fixture {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let read = Fixture::parse_json("input", text).or_else(|_| Fixture::parse("input", text));
    let content_type = if adapter.kind() == "TWILIO" { "application/x-www-form-urlencoded" } else { "application/json" };
    read.unwrap_or_else(|_| Fixture {
        name: "input".to_owned(),
        method: Method::POST,
        target: format!("/receive/{}/{{token}}", adapter.receive_name()),
        headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
        body: data.to_vec(),
    })
}

fn with_webhook(kind: &str, data: &[u8], look: impl Fn(&dyn Adapter, &Webhook<'_>, &Account, &Credentials)) {
    let Some(adapter) = providers::adapter(kind) else { return };
    let (account, credentials) = account(adapter);
    let request = request(adapter, data).with_token("T0KEN");
    let pairs = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?)));
    let headers: HeaderMap = pairs.collect();
    let public_url = format!("https://h.example{}", request.target);
    let webhook = Webhook { method: &request.method, public_url: &public_url, headers: &headers, body: &request.body };
    look(adapter, &webhook, &account, &credentials);
}

/// Runs the proof of origin and the handshake.
pub fn verify(kind: &str, data: &[u8]) {
    with_webhook(kind, data, |adapter, webhook, account, credentials| {
        let older = Credentials::default();
        let _ = adapter.verify(webhook, account, &[credentials, &older]);
        let _ = adapter.verify(webhook, account, &[]);
        let _ = adapter.handshake(webhook, account, &[credentials]);
    });
}

/// Reads the request as if its origin were proven, and checks that every event fits its place in the store.
pub fn parse(kind: &str, data: &[u8]) {
    with_webhook(kind, data, |adapter, webhook, account, _| {
        for parsed in adapter.parse(webhook, account, Timestamp::UNIX_EPOCH).unwrap_or_default() {
            let id = &parsed.event.id;
            assert!(!id.is_empty() && id.len() <= 90 && id.bytes().all(|b| b.is_ascii_graphic()), "an id does not fit its key");
            assert!(parsed.raw.len() <= 100 * 1024, "a raw part is too long");
            assert!(!parsed.event.group().is_empty(), "an event has no group");
        }
    });
}

/// Reads the bytes as answers of the provider's API: to a message, to an administrator's checks and lists, and to
/// the search for missed messages.
pub fn answers(kind: &str, data: &[u8]) {
    let Some(adapter) = providers::adapter(kind) else { return };
    let (account, credentials) = account(adapter);
    let Ok(hosts) = Hosts::all(|_, default| Ok::<_, std::convert::Infallible>(default.to_owned()));
    let connection = Connection { account: &account, credentials: &credentials, token: None, hosts: &hosts };
    let _ = adapter.read_token(data);
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR] {
        let _ = adapter.classify(&SendOutcome { status, retry_after: std::str::from_utf8(data).ok(), body: data });
        let answer = Answer { status, retry_after: None, body: data.to_vec() };
        let url = "https://h.example/receive/x/T0KEN";
        let now = Timestamp::UNIX_EPOCH;
        // Each continues while the answers say that there is more.
        all(&answer, |answers| adapter.check(&connection, url, answers));
        all(&answer, |answers| adapter.register(&connection, url, answers));
        all(&answer, |answers| adapter.numbers(&connection, answers));
        all(&answer, |answers| adapter.templates(&connection, answers));
        all(&answer, |answers| adapter.missed(&connection, now, now, answers));
    }
    let source = String::from_utf8_lossy(data);
    let _ = adapter.media(&connection, &source, None);
    let _ = adapter.media(&connection, &source, Some(data));
    let _ = adapter.media(&connection, "1003383421387256", Some(data));
}

/// A conversation of five requests in which every answer is the same.
fn all<T>(answer: &Answer, next: impl Fn(&[Answer]) -> Step<T>) {
    let mut answers = Vec::new();
    while answers.len() < 5 && matches!(next(&answers), Step::Call(_)) {
        answers.push(answer.clone());
    }
}
