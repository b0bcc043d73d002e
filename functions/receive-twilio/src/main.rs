//! The Lambda `receive-twilio`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive_twilio::run().await
}
