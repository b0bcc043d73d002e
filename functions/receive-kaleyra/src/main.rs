//! The Lambda `receive-kaleyra`: Kaleyra's webhooks come in here, under
//! `/receive/kaleyra/{token}`. The crate `receive` handles them.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive::run("kaleyra").await
}
