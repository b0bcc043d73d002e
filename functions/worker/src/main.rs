//! The Lambda `worker`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    worker::run().await
}
