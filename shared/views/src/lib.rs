//! Everything that leaves the system: views of interactions and messages for the APIs and the socket, and the
//! transcript.
//!
//! Only functions that show something depend on this crate. The router and the receivers link none of it.

pub mod csv;
pub mod transcript;
mod view;

pub use view::{AgentEvent, AttachmentState, AttachmentView, InteractionView, MessageView, NotificationView, OfferView, WaitsOn};
