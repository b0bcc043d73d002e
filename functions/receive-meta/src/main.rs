//! Starts [`receive_meta`].

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive_meta::run().await
}
