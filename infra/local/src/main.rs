//! `cargo local`, and locally the bootstrap of every function.

// The futures of engine, store and SDK nest deeper than the compiler looks by default.
#![recursion_limit = "256"]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Set by the Lambda service (and the engine) for the process of a function, and by nobody else.
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() { local::functions::run().await } else { local::cli::run().await }
}
