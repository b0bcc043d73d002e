//! WhatsApp providers: one module each, and what they share. Bytes in, values out: no I/O, no async, no clock.
//!
//! A provider's module is an [`Adapter`]: is this request really from the provider (`verify`), what does it say (`parse`), how is a message sent
//! (`render_send`), what does the answer mean (`classify`), how is an attachment fetched (`media`), and how is an account looked after (`check`,
//! `register`, `numbers`, `templates`, `missed`). Another provider is another module and another line in [`ADAPTERS`].

mod adapter;
mod address;
mod field;
mod guard;
mod json;
mod outgoing;
mod receive;
mod webhook;

#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
pub mod kaleyra;
pub mod meta;
pub mod sinch;
pub mod twilio;

pub use adapter::{
    AccessToken, Adapter, Answer, Connection, Finding, Hosts, MediaAddressError, MediaStep, Number, Outgoing, OutgoingAttachment, Problem,
    Registration, Step, TemplateInfo,
};
pub use address::{Origin, bsuid, phone};
pub use field::{Field, Shape, Source};
pub use outgoing::{Authorization, OutgoingRequest, RateScope, Redirects, RenderError, SendOutcome, SendResult, TransportFailure};
pub use receive::{ParseError, VerifyError};
pub use webhook::{Acknowledgement, Parsed, STATUS_SUFFIX, Webhook, fingerprint};

/// Every provider type that accounts can have.
pub const ADAPTERS: &[&dyn Adapter] = &[&kaleyra::Kaleyra, &meta::Meta, &sinch::Sinch, &sinch::SinchV2, &twilio::Twilio];

/// The adapter of a type, e.g. `META`.
pub fn adapter(kind: &str) -> Option<&'static dyn Adapter> {
    ADAPTERS.iter().copied().find(|adapter| adapter.kind() == kind)
}
