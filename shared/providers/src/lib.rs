//! WhatsApp providers: one module each, and what they share. Bytes in, values out: no I/O, no async, no clock.
//!
//! A provider's module answers the same five questions: is this request really from the provider (`verify`), what does it say (`parse`),
//! how is a message sent (`render_send`), what does the answer mean (`classify`), and how is an attachment fetched (`media_request`).

mod outgoing;
mod receive;

#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
pub mod twilio;

pub use outgoing::{Authorization, OutgoingRequest, Redirects, RenderError, SendOutcome, SendResult, TransportFailure};
pub use receive::{ParseError, VerifyError};
