//! Conversations with a provider that wants a token. A list of answers plays the provider.

use std::collections::VecDeque;

use domain::account::Provider;
use domain::fixtures;

use super::*;

/// Answers from a list and records the authorization of each request.
struct Script(Mutex<VecDeque<Answer>>, Mutex<Vec<Authorization>>);

impl Http for Script {
    async fn call(&self, request: OutgoingRequest) -> Result<Answer, TransportFailure> {
        self.1.lock().unwrap().push(request.authorization);
        self.0.lock().unwrap().pop_front().ok_or(TransportFailure::NotSent)
    }
}

struct Fixed(&'static str, Mutex<Option<&'static str>>);

fn secret(text: &str) -> Credentials {
    Credentials::default().with("auth_token", text).with("key_secret", text)
}

impl Keys for Fixed {
    async fn get(&self, _: &Account) -> Result<Credentials, SecretError> {
        Ok(secret(self.0))
    }

    async fn refetch(&self, _: &Account) -> Result<Option<Credentials>, SecretError> {
        Ok(self.1.lock().unwrap().take().map(secret))
    }
}

fn client(fresh: Option<&'static str>, answers: impl IntoIterator<Item = Answer>) -> Client<Script, Fixed> {
    let hosts = Hosts::all(|_, address| Ok::<_, SecretError>(address.to_owned())).unwrap();
    Client::new(Script(Mutex::new(answers.into_iter().collect()), Mutex::default()), Fixed("old", Mutex::new(fresh)), hosts)
}

fn said(status: u16, body: &str) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.into() }
}

fn token(token: &str) -> Answer {
    said(200, &format!(r#"{{"access_token":"{token}","expires_in":3600}}"#))
}

/// An account of a provider whose API wants a token.
fn with_token() -> Account {
    let fields = [("base_url", "https://eu.conversation.api.sinch.com"), ("project_id", "p"), ("app_id", "a"), ("key_id", "k")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Account { provider: Provider { kind: "SINCH_V2".into(), fields }, ..fixtures::account() }
}

fn ask(_: &'static dyn Adapter, connection: &Connection<'_>, answers: &[Answer]) -> Step<Vec<u16>> {
    let authorization = connection.token.map_or(Authorization::None, |token| Authorization::Bearer(token.clone()));
    match answers.len() {
        0 | 1 => Step::Call(OutgoingRequest::get("https://example.com", authorization)),
        _ => Step::Done(answers.iter().map(|answer| answer.status.as_u16()).collect()),
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_used_until_it_ends() {
    let client = client(None, [token("one")]);
    for _ in 0..3 {
        assert_eq!(client.access(&with_token()).await.unwrap().token, Some(Secret::new("one")));
    }
}

#[tokio::test]
async fn a_refused_token_is_dropped_and_another_asked_for_once() {
    let client = client(None, [token("one"), said(401, ""), token("two"), said(200, ""), said(401, "")]);
    assert_eq!(client.converse(&with_token(), ask).await.unwrap(), [200, 401]);
    let bearer = |token: &str| Authorization::Bearer(Secret::new(token));
    let sent = client.http.1.lock().unwrap();
    assert_eq!([&sent[1], &sent[3], &sent[4]], [&bearer("one"), &bearer("two"), &bearer("two")]);
}

#[tokio::test]
async fn credentials_that_get_no_token_are_read_again_once() {
    let renewed = client(Some("new"), [said(401, ""), token("one")]);
    assert_eq!(renewed.access(&with_token()).await.unwrap().credentials, secret("new"));
    let refused = client(None, [said(401, "")]);
    assert!(matches!(refused.access(&with_token()).await, Err(AccessError::Refused)));
}

#[tokio::test]
async fn a_token_service_that_is_down_or_busy_is_not_a_refusal() {
    for answer in [said(500, ""), said(429, ""), said(200, "<html>")] {
        assert!(matches!(client(None, [answer]).access(&with_token()).await, Err(AccessError::Unreachable)));
    }
    assert!(matches!(client(None, []).access(&with_token()).await, Err(AccessError::Unreachable)));
}

#[tokio::test]
async fn a_provider_without_tokens_is_called_again_only_with_other_credentials() {
    let access = Access { credentials: secret("old"), token: None };
    assert_eq!(client(None, []).renew(&fixtures::account(), &access).await.unwrap(), None);
    let other = client(Some("new"), []).renew(&fixtures::account(), &access).await.unwrap();
    assert_eq!(other, Some(Access { credentials: secret("new"), token: None }));
}

#[tokio::test]
async fn an_endless_conversation_is_cut() {
    let client = client(None, (0..200).map(|_| said(200, "")));
    let account = fixtures::account();
    let outcome = client.converse(&account, |_, _, _| Step::<()>::Call(OutgoingRequest::get("https://x", Authorization::None))).await;
    assert!(matches!(outcome, Err(ConverseError::TooLong)));
    assert_eq!(client.http.1.lock().unwrap().len(), CALLS);
}

#[tokio::test]
async fn an_unknown_provider_type_is_an_error() {
    let unknown = Account { provider: Provider { kind: "PIGEON".into(), fields: Default::default() }, ..fixtures::account() };
    assert!(matches!(client(None, []).access(&unknown).await, Err(AccessError::NoAdapter)));
}
