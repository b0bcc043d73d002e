//! The Lambda `supervisor-api`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    supervisor_api::run().await
}
