//! The Lambda `assist`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    assist::run().await
}
