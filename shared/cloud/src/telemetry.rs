//! Logs and metrics: JSON lines on standard output, from where Lambda collects them.

use std::io::Write;

use serde_json::{Map, Value, json};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Env;
use crate::time;

/// The namespace of all metrics.
const NAMESPACE: &str = "WhatsAppConnector";

/// Starts logging at the level of `LOG_LEVEL` (`error`, `warn`, `info`, `debug`, `trace`; `info` if it is absent or
/// unknown). A second call does nothing.
///
/// Libraries never log below `info`: their `debug` lines hold requests and bodies. For the same reason a panic is
/// logged with its place, without its message.
pub fn init(env: &Env) {
    let level = env.optional("LOG_LEVEL").and_then(|level| level.parse::<Level>().ok()).unwrap_or(Level::INFO);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_ansi(false);
    let first = tracing_subscriber::registry().with(lines).with(filter(level)).try_init().is_ok();
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

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A duration.
    Milliseconds,
    /// A duration.
    Seconds,
    /// A size.
    Bytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Milliseconds => "Milliseconds",
            Unit::Seconds => "Seconds",
            Unit::Bytes => "Bytes",
        }
    }
}

/// Writes one value of a metric, as a line in CloudWatch's embedded metric format. Each set of dimension values is
/// a separate metric, which costs money. So dimensions are few and have few values (a class, a provider), never an
/// id.
pub fn metric(name: &str, unit: Unit, value: f64, dimensions: &[(&str, &str)]) {
    let line = metric_line(name, unit, value, dimensions, time::now().as_millisecond());
    // A metric that can't be written is not worth a failure.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Source of the form: CloudWatch's "Embedded metric format specification".
fn metric_line(name: &str, unit: Unit, value: f64, dimensions: &[(&str, &str)], at_ms: i64) -> Value {
    let mut line = Map::new();
    let keys: Vec<&str> = dimensions.iter().map(|(key, _)| *key).collect();
    let definition = json!({ "Namespace": NAMESPACE, "Dimensions": [keys], "Metrics": [{ "Name": name, "Unit": unit.name() }] });
    line.insert("_aws".into(), json!({ "Timestamp": at_ms, "CloudWatchMetrics": [definition] }));
    for (key, value) in dimensions {
        line.insert((*key).into(), json!(value));
    }
    line.insert(name.into(), json!(value));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_one_line_of_embedded_metric_format() {
        let line = metric_line("WebhookLatency", Unit::Milliseconds, 12.5, &[("Provider", "twilio")], 1_767_225_600_000);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_767_225_600_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "WhatsAppConnector",
                    "Dimensions": [["Provider"]],
                    "Metrics": [{ "Name": "WebhookLatency", "Unit": "Milliseconds" }]
                }]
            },
            "Provider": "twilio",
            "WebhookLatency": 12.5
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
