//! The Lambda `assign`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    assign::run().await
}
