//! The Lambda `trigger`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    trigger::run().await
}
