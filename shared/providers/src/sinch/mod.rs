//! Sinch. It reaches WhatsApp through two APIs: the Conversation API (type `SINCH_V2`) and an older WhatsApp API
//! (type `SINCH`). Support for the older one ended on 30 September 2023, but existing configurations may still use
//! it.
//!
//! The two share only the company and the Receive URL's name, `sinch`. Hosts, bodies, credentials and signatures
//! differ.

mod conversation;
mod json;
mod legacy;
mod signature;
#[cfg(test)]
mod testing;

pub use conversation::{AUTH_URL, SinchV2};
pub use legacy::Sinch;
pub use signature::{LEGACY_NONCE_HEADER, LEGACY_SIGNATURE_HEADER, NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign, sign_legacy};

/// The longest body of a webhook, in bytes. The Conversation API sends one message each, the older API perhaps
/// several. An order or a form's answers have some KiB. WhatsApp's longest text has 65,536 characters, escaped as JSON
/// at most 768 KiB.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long attachments stay at their addresses. Sinch documents it for the older API and for its own chat, and
/// says nothing else about the Conversation API.
const MEDIA_KEPT: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// The longest text of a message, in characters.
const MAX_TEXT: usize = 4096;

/// Whether `text` can be a segment of a path: project, app and bot ids.
fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The form that [`is_id`] checks, in words.
const ID_SHAPE: &str = "1 to 128 letters, digits, - or _";

/// How to fetch a file at an address from a webhook: without credentials, since the addresses are public.
fn fetch(source: &str) -> Result<crate::MediaStep, crate::MediaAddressError> {
    crate::Origin::parse(source).ok_or(crate::MediaAddressError)?;
    Ok(crate::MediaStep::Fetch(crate::OutgoingRequest::fetch(source, crate::Authorization::None)))
}
