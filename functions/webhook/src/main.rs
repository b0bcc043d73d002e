//! The Lambda `webhook`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    webhook::run().await
}
