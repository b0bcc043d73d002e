//! The Lambda `assist-api`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    assist_api::run().await
}
