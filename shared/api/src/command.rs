//! Commands: each is carried out once, however often it is sent.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::commands::Keyed;
use domain::ids::AgentId;
use domain::text_template::fingerprint;
use engine::Basis;
use engine::ports::Idempotency;
use http::Method;
use http::header::IF_MATCH;
use http::request::Parts;
use serde_json::Value;

use crate::caller::{AgentCaller, Api};
use crate::error::Error;
use crate::input::BODY_LIMIT;

/// The header by which a client makes a command repeatable.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest key. A UUID has 36 characters, a SHA-512 in hex 128.
const LONGEST_KEY: usize = 128;

/// A request of an agent that changes something.
#[derive(Debug, Clone)]
pub struct Command {
    /// The agent who sent it.
    pub caller: AgentCaller,
    /// What tells its repetitions, if the client sent an `Idempotency-Key`, and so may send it again.
    pub keyed: Option<Keyed>,
    /// The version that the client has seen, if it sent one.
    pub version: Option<u64>,
}

impl Command {
    /// What the engine notes or checks of the caller: the role, and the version that was seen.
    pub fn basis(&self) -> Basis {
        Basis { version: self.version, role: Some(self.caller.role) }
    }

    /// The mark by which the engine carries out the command once. A command without a key has nothing by which a
    /// repetition could be told, so it needs none.
    pub fn mark(&self) -> Idempotency {
        self.keyed.clone().map_or(Idempotency::Guarded, Idempotency::Keyed)
    }
}

impl<A: Api> FromRequestParts<A> for Command {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &A) -> Result<Self, Error> {
        let caller = AgentCaller::from_request_parts(parts, app).await?;
        let keyed = match parts.headers.get(IDEMPOTENCY_KEY) {
            Some(key) => {
                let id = command_id(&caller.agent, &parts.method, parts.uri.path(), key.as_bytes())?;
                Some(Keyed { id, body: parts.extensions.get::<Print>().map_or(0, |Print(print)| *print) })
            }
            None => None,
        };
        let version = parts.headers.get(IF_MATCH).map(|value| version(value.as_bytes())).transpose()?;
        Ok(Self { caller, keyed, version })
    }
}

/// The fingerprint of a command's body.
#[derive(Debug, Clone, Copy)]
struct Print(u32);

/// Takes the fingerprint of the body of a request with a key, for [`Command`], which does not see the body.
pub(crate) async fn printed(request: Request, next: Next) -> Response {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return Error::TooLarge.into_response() };
    parts.extensions.insert(Print(print(&body)));
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// The same for two bodies that say the same: blanks and the order of fields don't count, and no body is `{}`.
fn print(body: &[u8]) -> u32 {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => fingerprint(&value.to_string()),
        Err(_) if body.trim_ascii().is_empty() => fingerprint("{}"),
        Err(_) => fingerprint(&String::from_utf8_lossy(body)),
    }
}

/// The version in `If-Match`: the interaction's `version`, quoted or not.
fn version(value: &[u8]) -> Result<u64, Error> {
    let text = str::from_utf8(value).ok().map(|text| text.trim().trim_matches('"'));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Error::field("If-Match", "must be the interaction's version"))
}

/// The id of the command with the key `key` of `agent`. The same key of another agent, method or path is another
/// command.
fn command_id(agent: &AgentId, method: &Method, path: &str, key: &[u8]) -> Result<String, Error> {
    if !(1..=LONGEST_KEY).contains(&key.len()) || !key.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(Error::field("Idempotency-Key", "must be 1 to 128 printable ASCII characters"));
    }
    // A line break separates the parts. Only the key, which comes last, could hold one, but a line break is not
    // printable.
    Ok(cloud::digest::sha256_hex([format!("{agent}\n{method}\n{path}\n").as_bytes(), key].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    fn id(agent: u128, method: Method, path: &str, key: &str) -> String {
        command_id(&AgentId::from_ulid(Ulid::from_parts(1, agent)), &method, path, key.as_bytes()).unwrap()
    }

    #[test]
    fn a_key_names_one_command_of_one_agent() {
        let first = id(1, Method::POST, "/interactions/int_1/accept", "k");
        assert_eq!(first, id(1, Method::POST, "/interactions/int_1/accept", "k"));
        assert_eq!((first.len(), first.bytes().all(|byte| byte.is_ascii_hexdigit())), (64, true));
        let others = [
            id(2, Method::POST, "/interactions/int_1/accept", "k"),
            id(1, Method::PUT, "/interactions/int_1/accept", "k"),
            id(1, Method::POST, "/interactions/int_2/accept", "k"),
            id(1, Method::POST, "/interactions/int_1/accept", "K"),
        ];
        assert!(!others.contains(&first));
    }

    #[test]
    fn a_body_that_says_the_same_is_the_same() {
        let body = br#"{"text": "ciao", "again": null}"#;
        assert_eq!(print(body), print(b"{ \"again\":null,\"text\":\"ciao\" }\n"));
        assert_eq!(print(b""), print(b" {}"));
        for other in [&b"{}"[..], br#"{"text": "Ciao", "again": null}"#, br#"{"text": "ciao"}"#, b"ciao", b"\xff"] {
            assert_ne!(print(body), print(other));
        }
    }

    #[test]
    fn a_command_may_say_which_version_it_is_based_on() {
        assert_eq!((version(b"7").unwrap(), version(b"\"7\"").unwrap()), (7, 7));
        for bad in [&b""[..], b"*", b"x", b"-1", b"W/\"7\"", b"\xff"] {
            assert!(version(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_1_to_128_printable_characters() {
        let agent = AgentId::from_ulid(Ulid::nil());
        for good in ["k".to_owned(), "a b~!".to_owned(), "x".repeat(128)] {
            assert!(command_id(&agent, &Method::POST, "/", good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [String::new(), "x".repeat(129), "ü".to_owned(), "a\tb".to_owned(), "a\nb".to_owned()] {
            assert!(command_id(&agent, &Method::POST, "/", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
