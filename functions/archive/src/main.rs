//! The Lambda `archive`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    archive::run().await
}
