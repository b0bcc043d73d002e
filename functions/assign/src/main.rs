//! The Lambda `assign`; see the library.

// The futures of engine, store and SDK nest deeper than the compiler's default limit.
#![recursion_limit = "256"]

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    assign::run().await
}
