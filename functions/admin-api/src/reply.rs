//! What handlers answer.

pub(crate) use api::{Listed, Versioned};
