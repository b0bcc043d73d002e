//! The Lambda `push`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    push::run().await
}
