//! What handlers take from a request.

pub(crate) use api::{Administrator, Anyone, Id, IfMatch, JsonBody as Body, Overseer, Page, Parameters};
