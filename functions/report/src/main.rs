//! The Lambda `report`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    report::run().await
}
