//! A webhook as it came in, and the events that were read from it.

use domain::ids::AccountId;
use domain::inbound::{InboundEvent, InboundKind};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// A webhook request as it came in.
#[derive(Clone, Copy)]
pub struct Webhook<'a> {
    /// `POST`, or `GET`.
    pub method: &'a Method,
    /// The whole URL with its query, as it was given to the provider. Behind a proxy it is the public URL, not the
    /// one that the socket saw. For reports that we asked for with a message it ends in [`STATUS_SUFFIX`], before
    /// the query.
    pub public_url: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body's bytes, untouched.
    pub body: &'a [u8],
}

/// The suffix behind the token in the URL for reports on sent messages, for providers that want this URL with each
/// message. The query's `ref` is [`domain::effect::MessageRef`].
pub const STATUS_SUFFIX: &str = "/status";

/// Shows neither the URL, which holds the account's token, nor the body, which holds a customer's message.
impl std::fmt::Debug for Webhook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("method", &self.method).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl<'a> Webhook<'a> {
    /// A header's text; `None` if it is absent or not ASCII.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The query as it was written; empty if there is none.
    pub fn raw_query(&self) -> &'a str {
        let url = self.public_url.split('#').next().unwrap_or_default();
        url.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first parameter of the query with this name, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.raw_query().as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// The content type without its parameters, in lower case; empty if there is none.
    pub fn content_type(&self) -> String {
        let value = self.header(http::header::CONTENT_TYPE.as_str()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// One event of a webhook, with the part of the body that it was read from.
#[derive(Clone, PartialEq)]
pub struct Parsed {
    /// The event. `account` is the account whose URL was called. [`Parsed::numbered`] sets `index`.
    pub event: InboundEvent,
    /// The part of the body, as text, for a person who asks what really came.
    pub raw: String,
    /// The provider's id of the number that the event is for, if webhooks of several numbers share one URL.
    pub number: Option<String>,
}

/// Shows no raw text: it holds customers' messages.
impl std::fmt::Debug for Parsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parsed").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The longest raw part that is stored, in bytes. A longer one is cut and says so. What is cut of it may still be in
/// the event itself.
const RAW_LIMIT: usize = 100 * 1024;

/// The room for an event and its raw part in one item, in bytes. DynamoDB's limit is 400 KB, and the event has names
/// and numbers beside its texts.
const ITEM_ROOM: usize = 380_000;

/// The longest id of an event, in bytes. With the account's id it must fit a key and a queue's deduplication id of
/// 128 characters.
const ID_LIMIT: usize = 90;

/// The beginning of a raw part, with a note that says how long it was.
fn cut(raw: &str, room: usize) -> String {
    let note = format!("… [cut: {} bytes in all]", raw.len());
    format!("{}{note}", &raw[..raw.floor_char_boundary(room.saturating_sub(note.len()))])
}

impl Parsed {
    /// An event of `account`. Its `id` may have any length and any characters: an id that would not fit a key is
    /// replaced by its hash.
    pub fn new(account: &AccountId, id: &str, received_at: Timestamp, kind: InboundKind, raw: &str) -> Self {
        let fits = !id.is_empty() && id.len() <= ID_LIMIT && id.bytes().all(|b| b.is_ascii_graphic());
        let id = if fits { id.to_owned() } else { fingerprint(id.as_bytes()) };
        let mut kind = kind;
        kind.limit();
        let room = ITEM_ROOM.saturating_sub(kind.weight()).min(RAW_LIMIT);
        let raw = if raw.len() <= room { raw.to_owned() } else { cut(raw, room) };
        Self { event: InboundEvent { account: account.clone(), id, received_at, index: 0, kind }, raw, number: None }
    }

    /// An event that is stored and routed nowhere. Its id is the hash of `raw`.
    pub fn other(account: &AccountId, received_at: Timestamp, name: &str, raw: &str) -> Self {
        let name = name[..name.floor_char_boundary(100)].to_owned();
        Self::new(account, &fingerprint(raw.as_bytes()), received_at, InboundKind::Other { name }, raw)
    }

    /// The same event, for the number with this provider id.
    #[must_use]
    pub fn at_number(mut self, number: impl Into<String>) -> Self {
        self.number = Some(number.into());
        self
    }

    /// The events of one request, each with its place in the request.
    pub fn numbered(mut events: Vec<Parsed>) -> Vec<Parsed> {
        for (index, parsed) in (0..).zip(&mut events) {
            parsed.event.index = index;
        }
        events
    }
}

/// SHA-256 in lower-case hex, for events that have no id of their own.
pub fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to a webhook that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The content type of `body`.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}

impl Acknowledgement {
    /// 200 with an empty body.
    pub const EMPTY: Self = Self { content_type: "text/plain", body: "" };
}
