//! Everything that functions need from AWS and from the network: clients, queues, timers, objects, secrets,
//! sockets, the one client for addresses that strangers choose, tokens, telemetry and configuration. No decision of
//! the product is made here.

pub mod auth;
pub mod aws;
pub mod batch;
pub mod config;
pub mod digest;
pub mod egress;
pub mod envelope;
pub mod function;
pub mod ids;
pub mod objects;
pub mod queues;
pub mod sampling;
pub mod secrets;
pub mod sockets;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod timers;
pub mod uploads;
