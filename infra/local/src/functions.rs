//! One program for all functions: linking a dozen binaries, each with the AWS SDK, is slow on a small machine.

use std::pin::Pin;
use std::process::ExitCode;

/// The functions of the template.
pub const NAMES: [&str; 16] = [
    "receive-twilio",
    "receive-meta",
    "receive-sinch",
    "receive-kaleyra",
    "reconcile",
    "route",
    "assign",
    "dispatch",
    "send",
    "media",
    "archive",
    "push",
    "agent-api",
    "admin-api",
    "realtime",
    "webhook",
];

/// Runs the function that `AWS_LAMBDA_FUNCTION_NAME` (`<stack>-<function>`) names, until the engine ends the
/// process.
pub async fn run() -> ExitCode {
    let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let function: Pin<Box<dyn Future<Output = Result<(), lambda_runtime::Error>>>> = match function_of(&name) {
        Some("receive-twilio") => Box::pin(receive_twilio::run()),
        Some("receive-meta") => Box::pin(receive_meta::run()),
        Some("receive-sinch") => Box::pin(receive_sinch::run()),
        Some("receive-kaleyra") => Box::pin(receive_kaleyra::run()),
        Some("reconcile") => Box::pin(reconcile::run()),
        Some("route") => Box::pin(route::run()),
        Some("assign") => Box::pin(assign::run()),
        Some("dispatch") => Box::pin(dispatch::run()),
        Some("send") => Box::pin(send::run()),
        Some("media") => Box::pin(media::run()),
        Some("archive") => Box::pin(archive::run()),
        Some("push") => Box::pin(push::run()),
        Some("agent-api") => Box::pin(agent_api::run()),
        Some("admin-api") => Box::pin(admin_api::run()),
        Some("realtime") => Box::pin(realtime::run()),
        Some("webhook") => Box::pin(webhook::run()),
        _ => Box::pin(std::future::ready(Err(format!("there is no function {name}").into()))),
    };
    match function.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `dev-agent-api` → `agent-api`.
fn function_of(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|function| name.strip_suffix(function).is_some_and(|stack| stack.ends_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_the_end_of_its_name() {
        assert_eq!(function_of("whats-agent-api"), Some("agent-api"));
        assert_eq!(function_of("my-send-stack-route"), Some("route"));
        assert_eq!(function_of("route"), None);
        assert_eq!(function_of("dev-resend"), None);
    }
}
