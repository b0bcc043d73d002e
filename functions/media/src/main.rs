//! The Lambda `media`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    media::run().await
}
