//! Starts [`receive_twilio`].

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive_twilio::run().await
}
