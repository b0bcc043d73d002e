//! Starts [`receive_sinch`].

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive_sinch::run().await
}
