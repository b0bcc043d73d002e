//! The Lambda `dispatch`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    dispatch::run().await
}
