//! The Lambda `receive-kaleyra`: Kaleyra's webhooks come in here, under `/receive/kaleyra/{token}`. All that happens to them is in the crate `receive`.

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    receive::run("kaleyra").await
}
