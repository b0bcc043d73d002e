//! What handlers take from a request.

pub(crate) use api::{Administrator, Anyone, Body, Id, IfMatch, Overseer, Page, Parameters};
