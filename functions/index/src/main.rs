//! The Lambda `index`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    index::run().await
}
