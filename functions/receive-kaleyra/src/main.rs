//! Starts [`receive_kaleyra`].

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive_kaleyra::run().await
}
