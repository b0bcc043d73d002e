//! What administrators send, parsed: raw JSON becomes domain values, and every field that can't be taken is named.
//!
//! Pure: what must exist in the configuration is passed in.

mod account;
mod agent;
mod catalog;
mod contact;
mod fields;
mod interval;
mod list;
mod plan;
mod provider;
mod queue;

pub(crate) use account::{AccountInput, AccountSettings, KEY_TAKEN, Surroundings, answers_without};
pub(crate) use agent::AgentInput;
pub(crate) use catalog::{CannedAnswerInput, DispositionInput, PauseInput, TagInput};
pub(crate) use contact::{ContactInput, NewContactInput, USER_ID};
#[cfg(test)]
pub(crate) use fields::REQUIRED;
pub(crate) use fields::{Errors, Fields, UNKNOWN_ACCOUNT, UNKNOWN_LIST};
pub(crate) use interval::{IntervalHoliday, IntervalInput, IntervalRange};
pub(crate) use list::ListInput;
pub(crate) use plan::PlanStepSchema;
pub(crate) use provider::{ProviderInput, described};
pub(crate) use queue::QueueInput;

/// Names are shown in lists and on tabs: longer ones would not be read.
const NAME: usize = 200;

/// Ids of 30 bytes: a thousand of them leave most of an item's 400 KB free.
const PEOPLE: usize = 1_000;
