//! Parses the input of administrators: raw JSON becomes domain values, and every field with an error is named.
//!
//! The code here is pure: the caller passes in the parts of the configuration that a check needs.

mod account;
mod agent;
mod contact;
mod fields;
mod plan;
mod provider;
mod queue;

pub(crate) use account::{AccountInput, AccountSettings, DESCRIPTION, DISPOSITIONS, KEY_TAKEN, Surroundings, TOPIC_TAKEN, answers_without};
pub(crate) use agent::AgentInput;
pub(crate) use contact::{ContactInput, LinkInput, NewContactInput, UNKNOWN_FIELD, USER_ID, UnlinkInput};
#[cfg(test)]
pub(crate) use fields::testing;
pub(crate) use fields::{
    Errors, Fields, REQUIRED, Refusal, UNKNOWN_ACCOUNT, UNKNOWN_LIST, UNKNOWN_QUEUE, boolean, disposition, id, integer, line, parsed, text,
    whole, whole_beside,
};
#[cfg(test)]
pub(crate) use plan::step;
pub(crate) use provider::{CREDENTIALS_FROM, NOT_PUBLIC, ProviderInput, described};
pub(crate) use queue::{QueueInput, known_members};

/// Names appear in lists and on tabs, where longer ones would not be read.
pub(crate) const NAME: usize = 200;

/// An id has 30 bytes. A thousand ids leave most of an item's 400 KB free.
const PEOPLE: usize = 1_000;
