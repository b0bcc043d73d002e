//! The product's rules, as pure functions: no I/O, no async, no clock, no randomness. Time and ids are passed in.
//!
//! [`decide::decide`] is the heart: every change of an interaction goes through it.

pub mod account;
pub mod active;
pub mod agent;
pub mod ai_agent;
pub mod assign;
pub mod business;
pub mod catalog;
pub mod commands;
pub mod condition;
pub mod contact;
pub mod contact_index;
pub mod country;
pub mod day;
pub mod decide;
pub mod details;
pub mod effect;
#[cfg(any(test, feature = "fixtures"))]
#[allow(clippy::unwrap_used, reason = "tests may fail loudly")]
pub mod fixtures;
pub mod footprint;
pub mod google_key;
pub mod history;
pub mod ids;
pub mod import;
pub mod inbound;
pub mod insights;
pub mod interaction;
pub mod interval;
pub mod job;
pub mod language;
pub mod media_type;
pub mod message;
pub mod migration;
pub mod news;
pub mod note;
pub mod notification;
pub mod plan;
pub mod pricing;
pub mod priority;
pub mod queue;
pub mod removal;
pub mod report;
pub mod retention;
pub mod row;
pub mod screens;
pub mod search;
pub mod seek;
pub mod settings;
pub mod tag;
pub mod template;
pub mod text_template;
pub mod trigger;
pub mod values;
pub mod variables;
pub mod video;
pub mod wakes;
