//! WhatsApp providers: one module each, and the code that they share. Bytes in, values out: no I/O, no async, no
//! clock.
//!
//! A provider's module is an [`Adapter`]. It proves that a request is the provider's (`verify`), reads it
//! (`parse`), renders a message (`render_send`), reads the answer (`classify`) and fetches an attachment (`media`).
//! It also looks after an account (`check`, `register`, `numbers`, `templates`, `missed`). To add a provider, add a
//! module and a line in [`ADAPTERS`].

mod adapter;
mod address;
mod alert;
mod field;
mod files;
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
    Registration, Step,
};
pub(crate) use alert::alert;

pub use address::{Origin, bsuid, phone};
pub use field::{Field, Shape, Source};
pub use files::{FileRefusal, FileRule, LONGEST_NAME, LOOKED_AT, check_bytes, examine, is_file_name, is_opus, kind_of_file};
pub use outgoing::{Authorization, OutgoingRequest, RateScope, Redirects, RenderError, SendOutcome, SendResult, TransportFailure};
pub use receive::{ParseError, VerifyError};
pub use webhook::{Acknowledgement, Parsed, STATUS_SUFFIX, Webhook, fingerprint};

/// Every provider type that accounts can have.
pub const ADAPTERS: &[&dyn Adapter] = &[&kaleyra::Kaleyra, &meta::Meta, &sinch::Sinch, &sinch::SinchV2, &twilio::Twilio];

/// The adapter of a type, e.g. `META`.
pub fn adapter(kind: &str) -> Option<&'static dyn Adapter> {
    ADAPTERS.iter().copied().find(|adapter| adapter.kind() == kind)
}
