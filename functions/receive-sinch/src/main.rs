//! The Lambda `receive-sinch`: webhooks of both of Sinch's APIs come in here, under
//! `/receive/sinch/{token}`. The crate `receive` handles them.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive::run("sinch").await
}
