//! Signed requests to other systems: what the Webhook steps of plans and the triggers share, and the calls of
//! triggers, which `trigger` makes and administrators try out.

mod call;
mod payload;
mod sign;

pub use call::{Called, call};
pub use payload::{MOST, Told, body, sample};
pub use sign::{SECRET_PREFIX, headers};
