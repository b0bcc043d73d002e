//! The Lambda `route`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    route::run().await
}
