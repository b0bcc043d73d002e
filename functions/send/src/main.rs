//! The Lambda `send`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    send::run().await
}
