//! Helpers for the tests of both modules.

use domain::account::{Account, Credentials};
use domain::effect::MessageRef;
use domain::message::{AttachmentKind, Content};
use domain::values::{Address, E164, Secret};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::{
    Adapter, Answer, Connection, Hosts, Outgoing, OutgoingAttachment, OutgoingRequest, ParseError, Parsed, RenderError, Step, Webhook,
};

/// Our reference in the recorded reports.
pub(super) const REFERENCE: &str =
    "con_01ARZ3NDEKTSV4RRFFQ69G5FAV.int_01ARZ3NDEKTSV4RRFFQ69G5FAV.1767225600000.msg_01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// The account's Receive URL.
pub(super) const RECEIVE_URL: &str = "https://h.example/receive/sinch/T0KEN";

/// An account of a type with these public fields.
pub(super) fn account(provider: Value) -> Account {
    serde_json::from_value(json!({
        "id": "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "name": "Roma",
        "key": "ROMA1",
        "list": "lst_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "proxy_token": "proxy",
        "provider": provider,
        "phone": "+390612345678",
        "active": true,
        "receive_path": "/receive/sinch/T0KEN",
        "agents": [],
        "settings": {"wait_for_assigned_agent": 10, "wait_for_assigned_queue": 10},
        "plan": {"version": 1, "steps": []},
        "version": 1,
    }))
    .unwrap()
}

pub(super) fn credentials(fields: &[(&str, &str)]) -> Credentials {
    fields.iter().fold(Credentials::default(), |credentials, (name, value)| credentials.with(name, *value))
}

pub(super) fn received_at() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

pub(super) fn fixture(name: &str) -> Fixture {
    Fixture::load("sinch", name).unwrap()
}

/// The body of a recorded request, for a test to change.
pub(super) fn recorded(name: &str) -> Value {
    serde_json::from_slice(&fixture(name).body).unwrap()
}

pub(super) fn headers(headers: &[(String, String)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

pub(super) fn parse(adapter: &dyn Adapter, account: &Account, body: &[u8]) -> Result<Vec<Parsed>, ParseError> {
    let webhook = Webhook { method: &Method::POST, public_url: RECEIVE_URL, headers: &HeaderMap::new(), body };
    adapter.parse(&webhook, account, received_at())
}

pub(super) fn customer() -> Address {
    Address::Phone(E164::parse("+393331234567").unwrap())
}

pub(super) fn user_id() -> Address {
    Address::Bsuid("IT.13491208655302741918".into())
}

pub(super) fn text(body: impl Into<String>) -> Content {
    Content::Text { body: body.into() }
}

pub(super) fn file(kind: AttachmentKind) -> OutgoingAttachment<'static> {
    OutgoingAttachment { url: "https://files.example/x?s=1", kind, content_type: "application/octet-stream", name: Some("nota 1.pdf") }
}

/// An account's side of a conversation with an API.
pub(super) struct Scene {
    pub(super) adapter: &'static dyn Adapter,
    pub(super) account: Account,
    pub(super) credentials: Credentials,
    pub(super) token: Option<Secret>,
    pub(super) hosts: Hosts,
}

impl Scene {
    pub(super) fn connection(&self) -> Connection<'_> {
        Connection { account: &self.account, credentials: &self.credentials, token: self.token.as_ref(), hosts: &self.hosts }
    }

    pub(super) fn render(
        &self,
        to: &Address,
        content: &Content,
        attachment: Option<OutgoingAttachment<'_>>,
    ) -> Result<OutgoingRequest, RenderError> {
        let reference = MessageRef(REFERENCE.to_owned());
        let message = Outgoing {
            to,
            content,
            attachment,
            reply_to: Some("01X"),
            reference: &reference,
            status_callback: "https://h.example/s?ref=1",
        };
        self.adapter.render_send(&self.connection(), &message)
    }

    pub(super) fn check(&self, answers: &[Answer]) -> Step<Vec<crate::Finding>> {
        self.adapter.check(&self.connection(), RECEIVE_URL, answers)
    }
}

pub(super) fn answer(status: u16, body: &Value) -> Answer {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body }
}

pub(super) fn body_of(request: &OutgoingRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

pub(super) fn call<T: std::fmt::Debug>(step: Step<T>) -> OutgoingRequest {
    match step {
        Step::Call(request) => request,
        Step::Done(result) => panic!("done: {result:?}"),
    }
}

pub(super) fn done<T>(step: Step<T>) -> T {
    match step {
        Step::Done(result) => result,
        Step::Call(request) => panic!("calls {}", request.url),
    }
}

/// `body` with the value at `pointer` replaced.
pub(super) fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

/// Any value that a place in a document may hold.
pub(super) fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"type": "x"}])),
    ]
}

/// Every place in a document, as a pointer.
pub(super) fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below = |(key, child): (String, &Value)| {
        let deeper: Vec<_> = places(child).into_iter().map(|place| format!("/{key}{place}")).collect();
        std::iter::once(format!("/{key}")).chain(deeper)
    };
    children.into_iter().flat_map(below).collect()
}
