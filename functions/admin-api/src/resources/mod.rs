//! What is configured: a file for each kind.

pub(crate) mod accounts;
pub(crate) mod agents;
pub(crate) mod canned_answers;
pub(crate) mod contacts;
pub(crate) mod dispositions;
pub(crate) mod intervals;
pub(crate) mod lists;
pub(crate) mod pauses;
pub(crate) mod queues;
pub(crate) mod tags;
