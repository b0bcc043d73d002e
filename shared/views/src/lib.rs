//! What leaves the system: the APIs' and the socket's view of interactions and messages, and the transcript.
//!
//! Only the functions that show something depend on it; nothing of it is linked into the router or a receiver.

pub mod transcript;
mod view;

pub use view::{AgentEvent, AttachmentState, AttachmentView, InteractionView, MessageView, OfferView, WaitsOn};
