//! The Lambda `admin-api`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    admin_api::run().await
}
