//! One program for all functions: linking a dozen binaries, each with the AWS SDK, is slow on a small machine.

use std::pin::Pin;
use std::process::ExitCode;

/// A function that runs until the engine ends the process.
type Running = Pin<Box<dyn Future<Output = Result<(), lambda_runtime::Error>>>>;

/// The list of functions: each with its name in the template and with what runs it.
macro_rules! functions {
    ($($name:literal => $run:expr,)+) => {
        /// The functions of the template.
        pub const NAMES: &[&str] = &[$($name),+];

        /// Starts the function of this name.
        fn start(name: &str) -> Option<Running> {
            match name {
                $($name => Some(Box::pin($run)),)+
                _ => None,
            }
        }
    };
}

functions! {
    "receive-twilio" => receive::run("twilio"),
    "receive-meta" => receive::run("meta"),
    "receive-sinch" => receive::run("sinch"),
    "receive-kaleyra" => receive::run("kaleyra"),
    "reconcile" => reconcile::run(),
    "route" => route::run(),
    "assign" => assign::run(),
    "dispatch" => dispatch::run(),
    "index" => index::run(),
    "send" => send::run(),
    "media" => media::run(),
    "archive" => archive::run(),
    "assist" => assist::run(),
    "worker" => worker::run(),
    "push" => push::run(),
    "agent-api" => agent_api::run(),
    "supervisor-api" => supervisor_api::run(),
    "assist-api" => assist_api::run(),
    "admin-api" => admin_api::run(),
    "realtime" => realtime::run(),
    "webhook" => webhook::run(),
    "trigger" => trigger::run(),
    "report" => report::run(),
    // From the folder, so that a page that was built meanwhile is served.
    "console" => console::run(console::Files::Folder(build_console::dist(&crate::workspace()))),
}

/// Runs the function that `AWS_LAMBDA_FUNCTION_NAME` (`<stack>-<function>`) names, until the engine ends the process.
pub async fn run() -> ExitCode {
    let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let outcome = match function_of(&name).and_then(start) {
        Some(function) => function.await,
        None => Err("there is no such function".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `dev-agent-api` → `agent-api`.
pub(crate) fn function_of(name: &str) -> Option<&'static str> {
    NAMES.iter().copied().find(|function| name.strip_suffix(function).is_some_and(|stack| stack.ends_with('-')))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::template::Template;

    #[test]
    fn a_function_is_known_by_the_end_of_its_name() {
        assert_eq!(function_of("whats-agent-api"), Some("agent-api"));
        assert_eq!(function_of("my-send-stack-route"), Some("route"));
        assert_eq!(function_of("route"), None);
        assert_eq!(function_of("dev-resend"), None);
    }

    #[test]
    fn the_list_and_the_template_have_the_same_functions_and_each_has_its_folder() {
        let template = Template::read().unwrap();
        assert_eq!(template.functions(), NAMES.iter().copied().collect::<BTreeSet<_>>());
        let folder = crate::workspace().join("functions");
        let without: Vec<_> = NAMES.iter().filter(|name| !folder.join(name).join("src/main.rs").is_file()).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn no_function_ships_what_is_for_tests() {
        let helpers = [("engine", "memory"), ("cloud", "testing"), ("domain", "fixtures"), ("api", "testing"), ("providers", "fixtures")];
        for (package, feature) in helpers {
            let mut tree = std::process::Command::new(env!("CARGO"));
            // This package has them all, so that it is built as the tests are.
            tree.current_dir(crate::workspace()).args(["tree", "--offline", "--workspace", "--exclude", env!("CARGO_PKG_NAME")]);
            let output = tree.args(["--edges", "normal,features", "--invert", package]).output().unwrap();
            let tree = String::from_utf8(output.stdout).unwrap();
            let shown = tree.contains(&format!("{package} feature \"default\""));
            assert!(output.status.success() && shown, "{}", String::from_utf8_lossy(&output.stderr));
            assert!(!tree.contains(&format!("{package} feature \"{feature}\"")), "{tree}");
        }
    }

    #[test]
    fn models_and_translators_are_linked_into_functions_of_their_own_alone() {
        for (package, expected) in [("models", &["assist", "assist-api"][..]), ("aws-sdk-translate", &["assist-api"][..])] {
            let mut tree = std::process::Command::new(env!("CARGO"));
            tree.current_dir(crate::workspace()).args(["tree", "--offline", "--workspace", "--exclude", env!("CARGO_PKG_NAME")]);
            let output = tree.args(["--edges", "normal", "--prefix", "none", "--invert", package]).output().unwrap();
            let tree = String::from_utf8(output.stdout).unwrap();
            let found: BTreeSet<_> =
                tree.lines().filter_map(|line| NAMES.iter().find(|name| line.starts_with(&format!("{name} v")))).collect();
            assert_eq!(found, expected.iter().collect(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
