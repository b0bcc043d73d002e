//! Twilio Programmable Messaging, WhatsApp channel.
//!
//! Webhooks are forms, one message or one status each, signed over the public URL and every parameter. Twilio repeats a webhook only when
//! the URL asks for it ([`RECEIVE_URL_FRAGMENT`]), and gives up after 15 seconds.

mod errors;
mod send;
mod signature;
mod webhook;

pub use send::{MAX_ATTACHMENTS, MAX_TEXT, MediaAddressError, Outgoing, classify, media_request, render_send};
pub use signature::{SIGNATURE_HEADER, sign, verify};
pub use webhook::{SignedRequest, parse};

/// The longest body of a webhook, in bytes. WhatsApp's longest text has 4096 characters of at most 4 bytes, each percent-encoded to 3: 48
/// KiB; the other parameters have at most a few KiB.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The only content type of a webhook's body.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The answer to a webhook. Anything more would be sent to the customer.
pub const EMPTY_TWIML: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

/// The content type of [`EMPTY_TWIML`]; a `text/plain` body would be sent to the customer.
pub const TWIML_CONTENT_TYPE: &str = "text/xml";

/// What is added to the Receive URL in Twilio's console. By default Twilio tries once more, and only when it could not connect; with this,
/// three times, also after a timeout or a 5xx, all within its longest time of 15 seconds.
pub const RECEIVE_URL_FRAGMENT: &str = "#rc=3&rp=ct,rt,5xx&tt=15000";

/// Twilio's API.
pub const API_URL: &str = "https://api.twilio.com";

/// Whether `text` has the shape of one of Twilio's ids (`SM…`, `AC…`). Loosely, since ids only have to be safe in keys and paths: other
/// letters or lengths than today's (2 letters, 32 hex digits) cost no message.
fn is_sid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What [`is_sid`] wants, in words.
const SID_SHAPE: &str = "1 to 64 letters, digits, _ or -";

/// Whether a content type is that of a form, whatever its charset.
fn is_form(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM))
}
