//! The Lambda `receive-sinch`: webhooks of both of Sinch's APIs come in here, under `/receive/sinch/{token}`. All that happens to them is in the crate `receive`.

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    receive::run("sinch").await
}
