//! The Lambda `agent-api`: the HTTP API for agents, under `/agent`.
//!
//! Each request carries the token of a known agent. Each change is one command to the engine, with its own id. A
//! repeated command with the same `Idempotency-Key` changes nothing and gets the first response. Errors are problem
//! documents (RFC 9457).
//!
//! | request | reads and writes, with warm caches |
//! |---|---|
//! | `GET /me` | 1 read |
//! | `GET /presence` | 1 read |
//! | `PUT /presence` | 2 reads, 1 transaction |
//! | `GET /agents/{id}/presence` | 1 read |
//! | `PUT /agents/{id}/presence` | 3 reads, 1 transaction |
//! | `GET /interactions` | 2 reads; while available, 1 query for each queue of the agent; 2 batch reads when there is anything to show; 1 query for each interaction's latest message |
//! | `GET /interactions/all` | 1 query for each of an account's four shelves, 3 at most where a filter leaves most out; 1 batch read; 1 query for each entry |
//! | `GET /interactions/waiting` | for each of the caller's accounts, once in 5 s: 1 batch read for each 100 of its agents, 1 query of the index; 1 batch read for each 100 that no agent has, 5 at most; 1 query for each entry |
//! | `POST /search` | for 5 s at most: 1 query for each 3,000 rows of a shelf; batch reads of what may match; 1 query for each thread, if messages are asked for |
//! | `GET /interactions/{id}` | 2 reads |
//! | `GET …/messages` | 2 reads, 1 query; one more for each interaction that was merged into it |
//! | `GET …/history` | 1 read, 1 query |
//! | `POST …/accept` | 3 reads, 1 transaction |
//! | `POST …/reject`, `PUT …/tab`, `DELETE …/tab`, `POST …/close`, `POST …/transcript`, `POST …/notes`, `POST …/tags`, `PUT …/ai` | 2 reads, 1 transaction |
//! | `POST …/messages` | 1 read, 1 query, 1 transaction; a reply or a reaction also looks for its message; a file is looked at in the bucket and copied once |
//! | `POST …/attachments` | 2 reads, 1 count; the upload itself goes to the bucket |
//! | `GET …/transcript` | 2 reads, 1 look at the bucket |
//! | `GET …/attachments` | as `GET …/messages`, however many files the page has |
//! | `GET …/attachments/{index}` | 3 reads, 1 query for each 100 messages up to the one that is meant |
//! | `GET …/contact` | 2 reads; 3 where two contacts turned out to be one person |
//! | `GET …/past` | 2 reads, 1 query for each account of the caller (and contact of the person) |
//! | `POST /accounts/{id}/conversations` | 1 read of the alias, 1 query, 1 presence read, 1 transaction |
//! | `GET /accounts/{id}/interactions` | 1 query, 1 batch read; up to 5 of each where most are left out |
//! | `GET /accounts/{id}/colleagues` | 1 batch read of the presences, for each 100 agents of the account |
//! | `GET /accounts/{id}/canned-answers` | none |
//! | `GET /events` | 1 query; 1 read unless the page tells the last number itself |
//! | `POST /tickets` | 1 write |
//!
//! Each request also reads the agent's record (1 consistent read), unless roles come from the token.
//!
//! The configuration (agents, accounts, queues, choices for agents) is cached for seconds. The agent whose presence
//! changes is read past the cache. A refused command costs one more read, to see whether it is a repetition. A
//! command that loses a race repeats its reads and its transaction.

mod app;
mod offers;
mod problem;
mod routes;

pub use app::App;
pub use routes::{Unheld, openapi, router};

use std::sync::Arc;

use cloud::config::Env;

/// Runs the Lambda.
///
/// # Errors
/// A variable of the environment is missing, or the runtime fails.
pub async fn run() -> Result<(), lambda_http::Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    let app = App::from_env(&env)?;
    lambda_http::run(router(Arc::new(app))).await
}
