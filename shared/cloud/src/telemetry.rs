//! Logs and metrics: JSON lines on standard output, from where Lambda collects them.

use std::io::Write;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Env;
use crate::time;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "WhatsAppConnector";
/// The dimension that all metrics have: the stack's name, so that a test stack pages nobody else.
pub const STACK: &str = "Stack";
/// CloudWatch refuses an empty dimension. Only a process without a stack has this name.
const NO_STACK: &str = "none";

static STACK_NAME: OnceLock<String> = OnceLock::new();

/// Starts logging at the level of `LOG_LEVEL` (`error`, `warn`, `info`, `debug`, `trace`; `info` if it is absent or
/// unknown), and takes the stack's name for the metrics from `STACK_NAME`. A second call does nothing.
///
/// Libraries never log below `info`: their `debug` lines hold requests and bodies. For the same reason a panic is
/// logged with its place, without its message.
pub fn init(env: &Env) {
    let level = env.optional("LOG_LEVEL").and_then(|level| level.parse::<Level>().ok()).unwrap_or(Level::INFO);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_ansi(false);
    let first = tracing_subscriber::registry().with(lines).with(filter(level)).try_init().is_ok();
    if let Some(stack) = env.optional("STACK_NAME") {
        STACK_NAME.get_or_init(|| stack.to_owned());
    }
    if first {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
            tracing::error!(event = "panic", place);
        }));
    }
}

fn filter(level: Level) -> Targets {
    // Prefixes of targets. The runtime stays at `info`: its span carries the request id.
    let mut filter = Targets::new().with_default(level);
    for library in ["aws_", "axum", "h2", "hyper", "lambda_", "mio", "reqwest", "rustls", "tower", "tungstenite", "want"] {
        filter = filter.with_target(library, LevelFilter::from_level(level.min(Level::INFO)));
    }
    filter
}

/// The one list of metrics. Each has two dimensions: `Stack`, and one more that this list names.
macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident by $dimension:literal,)*) => {
        /// The metrics that functions write, all of them counts. Tests hold the template's alarms, its dashboard and
        /// `docs/operations.md` against this list.
        ///
        /// Each set of dimension values is a separate metric, which costs money. So each metric has one dimension
        /// beside the stack's name, with few values (an outcome, a provider, a queue), never an id.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Metric] = &[$(Metric::$name),*];

            /// Its name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Metric::$name => stringify!($name),)*
                }
            }

            /// Its dimension beside [`STACK`].
            pub const fn dimension(self) -> &'static str {
                match self {
                    $(Metric::$name => $dimension,)*
                }
            }
        }
    };
}

metrics! {
    /// Records of a queue or of the stream (`stream`) that could not be handled and come back.
    FailedItems by "Queue",
    /// Tries to copy an attachment.
    MediaCopies by "Outcome",
    /// Calls of language models.
    ModelCalls by "Outcome",
    /// Tokens of prompts.
    ModelInputTokens by "Model",
    /// Milliseconds that models took.
    ModelMilliseconds by "Model",
    /// Tokens of models' replies.
    ModelOutputTokens by "Model",
    /// Requests of Webhook steps.
    PlanWebhooks by "Outcome",
    /// Accounts whose provider refused the quarter-hourly look for lost messages, or did not answer it.
    ReconcileFailures by "Provider",
    /// Customers' messages whose webhooks were lost, and that were found at the provider.
    ReconciledMessages by "Provider",
    /// Tries to send a message.
    Sends by "Outcome",
    /// Messages that failed because the account's credentials are missing or refused.
    SendsRefused by "Provider",
    /// Webhooks without a valid signature.
    SignatureFailures by "Provider",
    /// Calls of triggers.
    TriggerCalls by "Outcome",
}

/// Counts `count` more of `metric`, as a line in CloudWatch's embedded metric format. `value` is the value of the
/// metric's own dimension.
pub fn count(metric: Metric, value: &str, count: usize) {
    let stack = STACK_NAME.get().map_or(NO_STACK, String::as_str);
    let line = metric_line(metric, stack, value, count, time::now().as_millisecond());
    // A metric that can't be written is not worth a failure.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Source of the form: CloudWatch's "Embedded metric format specification".
fn metric_line(metric: Metric, stack: &str, value: &str, count: usize, at_ms: i64) -> Value {
    let (name, dimension) = (metric.name(), metric.dimension());
    let definition = json!({ "Namespace": NAMESPACE, "Dimensions": [[STACK, dimension]], "Metrics": [{ "Name": name, "Unit": "Count" }] });
    json!({
        "_aws": { "Timestamp": at_ms, "CloudWatchMetrics": [definition] },
        STACK: stack,
        dimension: value,
        name: count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_one_line_of_embedded_metric_format() {
        let line = metric_line(Metric::FailedItems, "connector-prod", "inbound", 3, 1_767_225_600_000);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_767_225_600_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "WhatsAppConnector",
                    "Dimensions": [["Stack", "Queue"]],
                    "Metrics": [{ "Name": "FailedItems", "Unit": "Count" }]
                }]
            },
            "Stack": "connector-prod",
            "Queue": "inbound",
            "FailedItems": 3
        });
        assert_eq!(line, expected);
        assert!(!line.to_string().contains('\n'));
    }

    #[test]
    fn libraries_do_not_log_below_info() {
        let filter = filter(Level::TRACE);
        assert!(filter.would_enable("route", &Level::TRACE));
        for target in ["aws_smithy_runtime::client", "hyper_util::client", "lambda_runtime::layers", "lambda_http", "reqwest::connect"] {
            assert!(filter.would_enable(target, &Level::INFO) && !filter.would_enable(target, &Level::DEBUG), "{target}");
        }
        assert!(!super::filter(Level::WARN).would_enable("hyper", &Level::INFO));
    }
}
