//! The Lambda `receive-twilio`: Twilio's webhooks come in here, under
//! `/receive/twilio/{token}`. The crate `receive` handles them.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive::run("twilio").await
}
