//! `cargo local`, and locally the bootstrap of every function.

// The futures of engine, store and SDK nest deeper than the compiler's default limit.
#![recursion_limit = "256"]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Only the Lambda service (and the engine) sets this variable, for the process of a function.
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() { local::functions::run().await } else { local::cli::run().await }
}
