//! The Lambda `supervisor-api`: the HTTP API under `/supervisor`, by which supervisors, admins and owners find and
//! read the interactions of all accounts.
//!
//! Roles are those of the agents' records. Errors are problem documents (RFC 9457).
//!
//! | request | reads and writes, with warm caches |
//! |---|---|
//! | `GET /oversight` | nothing while this process knows a picture of the last 3 s; otherwise 2 reads; whoever makes it: 1 read, 1 query for each queue and account, 1 batch read for 100 agents, 2 writes |
//! | `GET /reports` | 1 query for each account and month, another for each MB; 1 query of the deleted accounts |
//! | `GET`, `PUT /agents/{id}/presence` | 1 read; 2 reads, 1 transaction |
//! | `GET /interactions` | 1 query for each of an account's four shelves, 3 at most where a filter leaves most out; 1 batch read; 1 query for each entry; 1 query of the deleted accounts |
//! | `POST /search` | for 5 s at most: 1 query for each 3,000 rows of a shelf; batch reads of what may match; 1 query for each thread, if messages are asked for |
//! | `GET /interactions/{id}` | 2 reads |
//! | `GET /jobs`, `GET /jobs/{id}` | 1 read |
//! | `DELETE /jobs/{id}` | 1 read, 1 write |
//! | `GET /jobs/{id}/file` | 1 read, 1 request to the bucket |
//! | `DELETE /interactions/{id}` | 3 reads, 1 write, 1 transaction, 1 message |
//! | `POST /deletions/preview` | 1 read for each interaction, 1 write for each 5,000, 1 write |
//! | `POST /deletions/preview/matching` | 1 transaction, 1 message |
//! | `POST /deletions` | 2 reads, 1 transaction, 1 message |
//! | `GET`, `PUT`, `DELETE /interactions/{id}/hold`, `/contacts/{id}/hold` | 1 to 3 reads, 1 transaction |
//! | `POST /contacts/{id}/erase` | 1 read and 1 query for each account and contact, 1 transaction, 1 message |
//! | `GET /searches` | 1 query |
//! | `PUT`, `DELETE /searches/{name}` | 1 or 2 reads, 1 write |
//! | `POST /imports/uploads` | nothing |
//! | `POST /imports` | 1 request to the bucket, 2 queries, 1 transaction, 1 message |
//! | `POST /exports` | 1 write for each 5,000 ids, 1 transaction, 1 message |
//!
//! Each request also reads the caller's record (1 consistent read), unless roles come from the token.

mod app;
mod error;
mod routes;

pub use app::App;
pub use routes::{openapi, router};

use std::sync::Arc;

use cloud::config::Env;

/// Runs the Lambda.
///
/// # Errors
/// A variable of the environment is missing, or the runtime fails.
pub async fn run() -> Result<(), lambda_http::Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    lambda_http::run(router(Arc::new(App::from_env(&env)?))).await
}
