//! Being written.

/// Runs the Lambda.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    Err("not built yet".into())
}
