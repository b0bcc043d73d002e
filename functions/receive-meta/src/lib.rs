//! The Lambda `receive-meta`: webhooks of the WhatsApp Cloud API come in here, under `/receive/meta/{token}`. All that happens to them is in the crate `receive`.

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    receive::run("meta").await
}
