//! Vidaoo makes meetings. Its API is not described in public: the deployment sets the address, the path and the form
//! of the body, and the answer is read by what its fields are likely to be called. See docs/decisions.md, "Video
//! calls".

use std::time::Duration;

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::egress::{Egress, EgressError};
use cloud::secrets::{AccountSecrets, SecretError};
use domain::account::Account;
use domain::values::Secret;
use domain::video::{Meeting, VideoSettings};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// Public code names this address, and this header.
const USUAL_URL: &str = "https://api-vidaoo.xcally.com/api/v1";
const USUAL_PATH: &str = "/meetings";
const KEY_HEADER: &str = "x-apikey";

/// An agent waits, and the HTTP API ends after 30 s. Before and after it, some tables are read and written.
const TIMEOUT: Duration = Duration::from_secs(15);
/// An answer holds a few links and what was sent.
const LONGEST: u64 = 100_000;

/// What the customer's link may be called, without case, `_` and `-`; the likeliest first.
const CUSTOMERS: [&str; 15] = [
    "guesturl",
    "guestlink",
    "customerurl",
    "customerlink",
    "participanturl",
    "participantlink",
    "attendeeurl",
    "joinurl",
    "joinlink",
    "meetingurl",
    "meetinglink",
    "roomurl",
    "roomlink",
    "url",
    "link",
];
/// What the host's link may be called.
const HOSTS: [&str; 10] = [
    "hosturl",
    "hostlink",
    "agenturl",
    "agentlink",
    "moderatorurl",
    "moderatorlink",
    "organizerurl",
    "organizerlink",
    "starturl",
    "startlink",
];
/// What the object that holds the links may be called, beside the whole answer.
const AROUND: [&str; 3] = ["data", "meeting", "links"];

/// How Vidaoo takes what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Form,
}

/// Why there is no meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoMeeting {
    /// The account has no key.
    #[error("there is no key")]
    NoKey,
    /// Vidaoo refuses the key.
    #[error("the key is refused")]
    Refused,
    /// A rate limit.
    #[error("Vidaoo is busy")]
    Busy,
    /// Vidaoo refuses what it was sent.
    #[error("the request is not taken")]
    NotTaken,
    /// The address may not be called.
    #[error("the address is refused")]
    Address,
    /// No answer, or an error. There may be a meeting.
    #[error("no usable answer")]
    Failed,
    /// There is a meeting, but no link to it could be found.
    #[error("the answer has no link")]
    Unreadable,
}

impl NoMeeting {
    /// Whether there is certainly no meeting.
    pub(crate) fn is_certain(self) -> bool {
        !matches!(self, Self::Failed | Self::Unreadable)
    }
}

/// Vidaoo's client.
pub struct Vidaoo {
    egress: Egress,
    url: String,
    form: Form,
    keys: AccountSecrets<Secret>,
}

impl std::fmt::Debug for Vidaoo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vidaoo(…)")
    }
}

impl Vidaoo {
    /// Reads `VIDAOO_URL`, `VIDAOO_PATH`, `VIDAOO_FORM` (`json` or `form`), `VIDEO_KEY_PREFIX` and
    /// `EGRESS_ALLOWED_ORIGINS`.
    pub(crate) fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let form = match env.optional("VIDAOO_FORM") {
            None | Some("json") => Form::Json,
            Some("form") => Form::Form,
            Some(_) => return Err(ConfigError::Invalid { name: "VIDAOO_FORM", expected: "json or form" }),
        };
        let path = env.optional("VIDAOO_PATH").unwrap_or(USUAL_PATH);
        Ok(Self {
            egress: Egress::from_env(env)?,
            url: format!("{}{path}", env.base_url_or("VIDAOO_URL", USUAL_URL)?),
            form,
            keys: AccountSecrets::of_kind(aws, env, "VIDEO_KEY_PREFIX")?,
        })
    }

    /// Makes a meeting for an account. A key that was refused may have been replaced a moment ago.
    pub(crate) async fn meet(&self, account: &Account, settings: &VideoSettings) -> Result<Meeting, NoMeeting> {
        if account.video_key_set_at.is_none() {
            return Err(NoMeeting::NoKey);
        }
        let key = self.keys.get(&account.id, account.version).await.map_err(unread)?;
        match self.ask(&key.value, settings).await {
            Err(NoMeeting::Refused) => match self.keys.refetch(&account.id, account.version).await.map_err(unread)? {
                Some(newer) if newer.value.reveal() != key.value.reveal() => self.ask(&newer.value, settings).await,
                _ => Err(NoMeeting::Refused),
            },
            outcome => outcome,
        }
    }

    async fn ask(&self, key: &Secret, settings: &VideoSettings) -> Result<Meeting, NoMeeting> {
        let mut headers = HeaderMap::new();
        let mut value = HeaderValue::from_str(key.reveal()).map_err(|_| NoMeeting::Refused)?;
        value.set_sensitive(true);
        headers.insert(KEY_HEADER, value);
        let answer = match self.form {
            Form::Json => self.egress.post_json(&self.url, headers, json_body(settings), TIMEOUT, LONGEST).await,
            Form::Form => self.egress.post_form(&self.url, headers, form_body(settings), TIMEOUT, LONGEST).await,
        };
        let answer = answer.map_err(|error| match error {
            EgressError::Refused(_) => NoMeeting::Address,
            _ => NoMeeting::Failed,
        })?;
        tracing::info!(event = "assist.meeting", status = answer.status.as_u16());
        if answer.status.is_success() { meeting(&answer.bytes).ok_or(NoMeeting::Unreadable) } else { Err(failure(answer.status)) }
    }
}

fn unread(error: SecretError) -> NoMeeting {
    match error {
        SecretError::Missing => NoMeeting::NoKey,
        error => {
            tracing::error!(event = "assist.video_key_unread", %error);
            // Nothing was sent.
            NoMeeting::Busy
        }
    }
}

fn failure(status: StatusCode) -> NoMeeting {
    match status.as_u16() {
        401 | 403 => NoMeeting::Refused,
        429 => NoMeeting::Busy,
        400 | 402 | 404 | 405 | 406 | 409 | 413 | 415 | 422 => NoMeeting::NotTaken,
        _ => NoMeeting::Failed,
    }
}

fn json_body(settings: &VideoSettings) -> Vec<u8> {
    let VideoSettings { topic, note, metadata, .. } = settings;
    json!({ "topic": topic, "note": note.as_deref().unwrap_or_default(), "metadata": metadata }).to_string().into_bytes()
}

fn form_body(settings: &VideoSettings) -> Vec<u8> {
    let VideoSettings { topic, note, metadata, .. } = settings;
    let metadata = Value::from(metadata.clone()).to_string();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("topic", topic).append_pair("note", note.as_deref().unwrap_or_default()).append_pair("metadata", &metadata);
    body.finish().into_bytes()
}

/// The links of an answer: the first one that is a link among the names that it may have. Without a link of its own
/// the host has the customer's.
fn meeting(bytes: &[u8]) -> Option<Meeting> {
    let answer: Value = serde_json::from_slice(bytes).ok()?;
    let around = |object: &Value| -> Vec<Value> {
        let fields = object.as_object().into_iter().flatten();
        fields.filter(|(name, _)| AROUND.contains(&plain(name).as_str())).map(|(_, inner)| inner.clone()).collect()
    };
    let inner = around(&answer);
    let innermost: Vec<Value> = inner.iter().flat_map(around).collect();
    let objects: Vec<&Value> = std::iter::once(&answer).chain(&inner).chain(&innermost).collect();
    let find = |names: &[&str]| {
        let links = names.iter().flat_map(|name| objects.iter().map(move |object| (*name, *object)));
        links.filter_map(|(name, object)| link_called(object, name)).next()
    };
    let host = find(&HOSTS);
    let customer = find(&CUSTOMERS)?;
    Some(Meeting { host: host.unwrap_or_else(|| customer.clone()), customer })
}

fn link_called(object: &Value, name: &str) -> Option<String> {
    let mut fields = object.as_object()?.iter().filter(|(field, _)| plain(field) == name);
    fields.find_map(|(_, value)| Meeting::link(value.as_str()?))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings() -> VideoSettings {
        let metadata = json!({ "desk": "Roma & Milano" }).as_object().unwrap().clone();
        VideoSettings { enabled: true, topic: "Support".into(), note: None, metadata }
    }

    #[test]
    fn links_are_found_under_any_of_their_names_at_any_of_their_places() {
        let (guest, host) = ("https://meet.example/g", "https://meet.example/h");
        for answer in [
            json!({ "guest_url": guest, "host_url": host }),
            json!({ "id": 7, "data": { "joinUrl": guest, "startUrl": host } }),
            json!({ "meeting": { "JoinLink": guest, "moderator_link": host, "url": "https://meet.example/other" } }),
            json!({ "data": { "meeting": { "url": guest }, "host-link": host } }),
            json!({ "data": { "links": { "guestUrl": guest, "hostUrl": host } } }),
            json!({ "url": "not yet", "data": { "url": guest, "host_url": host } }),
        ] {
            let found = meeting(answer.to_string().as_bytes()).unwrap();
            assert_eq!((found.customer.as_str(), found.host.as_str()), (guest, host), "{answer}");
        }
        let one = meeting(json!({ "link": guest }).to_string().as_bytes()).unwrap();
        assert_eq!((one.customer.as_str(), one.host.as_str()), (guest, guest));
    }

    #[test]
    fn what_is_no_https_link_is_no_link() {
        for link in ["", "http://meet.example", "javascript:alert(1)", "https://", "https://a b", "https://me:pw@meet.example", "/room/7"] {
            assert_eq!(meeting(json!({ "url": link }).to_string().as_bytes()), None, "{link}");
        }
        for answer in ["", "{", "[]", "null", "{}", r#"{"url": 7}"#, r#"{"host_url": "https://meet.example/h"}"#, "<html>"] {
            assert_eq!(meeting(answer.as_bytes()), None, "{answer}");
        }
        let long = format!("https://meet.example/{}", "x".repeat(3_000));
        assert_eq!(meeting(json!({ "url": long }).to_string().as_bytes()), None);
    }

    #[test]
    fn only_a_refusal_is_certain_to_have_made_no_meeting() {
        for (status, why, certain) in [
            (401, NoMeeting::Refused, true),
            (403, NoMeeting::Refused, true),
            (422, NoMeeting::NotTaken, true),
            (429, NoMeeting::Busy, true),
            (302, NoMeeting::Failed, false),
            (500, NoMeeting::Failed, false),
            (504, NoMeeting::Failed, false),
        ] {
            let failed = failure(StatusCode::from_u16(status).unwrap());
            assert_eq!((failed, failed.is_certain()), (why, certain), "{status}");
        }
        assert!(!NoMeeting::Unreadable.is_certain());
    }

    #[test]
    fn both_bodies_say_the_same() {
        let read: Value = serde_json::from_slice(&json_body(&settings())).unwrap();
        assert_eq!(read, json!({ "topic": "Support", "note": "", "metadata": { "desk": "Roma & Milano" } }));
        let form = String::from_utf8(form_body(&settings())).unwrap();
        assert_eq!(form, "topic=Support&note=&metadata=%7B%22desk%22%3A%22Roma+%26+Milano%22%7D");
    }

    proptest! {
        #[test]
        fn whatever_is_answered_only_https_links_come_out(bytes in proptest::collection::vec(any::<u8>(), 0..200), link in "\\PC{0,30}") {
            drop(meeting(&bytes));
            if let Some(found) = meeting(json!({ "data": { "url": link } }).to_string().as_bytes()) {
                prop_assert!(found.customer.starts_with("https://") && !found.customer.contains(char::is_whitespace));
            }
        }
    }
}
