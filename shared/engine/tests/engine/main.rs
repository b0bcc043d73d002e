//! The engine on its in-memory ports: the product's sentences one by one, then random histories whose invariants
//! are checked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod driver;

mod accepting;
mod ai;
mod annotations;
mod backlog;
mod colleagues;
mod commands;
mod configuration;
mod elsewhere;
mod handover;
mod identity;
mod inactivity;
mod lifecycle;
mod messages;
mod plan;
mod presence;
mod queues;
mod removal;
mod repetition;
mod returning;
mod simulation;
mod steps;
mod watching;
