//! The Lambda `admin-api`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    admin_api::run().await
}
