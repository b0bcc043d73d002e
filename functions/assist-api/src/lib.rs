//! The Lambda `assist-api`: the HTTP API under `/assist`, by which agents and supervisors have messages and drafts
//! translated, ask an AI agent, have conversations summed up, and start video calls.
//!
//! It is a function of its own, so that neither the clients of translators and models nor their rights and slowness
//! come to the agents' API. Errors are problem documents (RFC 9457).
//!
//! | request | reads and writes, with warm caches |
//! |---|---|
//! | `POST /interactions/{id}/translations` | 2 reads, 1 query for each 100 messages, 1 write; for each message that is not translated yet: the translator, 2 reads, 1 write; 1 transaction if the language was detected anew |
//! | `POST /interactions/{id}/drafts` | 2 reads, 1 write, the translator |
//! | `POST /interactions/{id}/ask`, `…/suggest` | 3 reads, 1 query, 1 write, the model; the knowledge base, if there is one |
//! | `POST /interactions/{id}/insights` | 3 reads, 1 query, 1 write, the model; 1 read, 1 transaction |
//! | `POST /interactions/{id}/video` | 3 reads, 3 writes, Vidaoo; 1 transaction |
//! | `POST /ai-agents/{id}/test` | 2 reads, 1 write, the model; the knowledge base, if there is one |
//!
//! Each request also reads the caller's record (1 consistent read), unless roles come from the token.

mod app;
mod error;
mod routes;
mod translate;
mod vidaoo;

pub use app::App;
pub use routes::{openapi, router};
pub use translate::Translators;
pub use vidaoo::Vidaoo;

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
