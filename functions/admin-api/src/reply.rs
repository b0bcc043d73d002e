//! The handlers' responses.

pub(crate) use api::{Listed, Versioned};
