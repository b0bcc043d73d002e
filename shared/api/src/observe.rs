//! One log line for each request, and the request's ids in every line that is written meanwhile.

use std::time::{Duration, Instant, SystemTime};

use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId};
use http::{HeaderValue, StatusCode, header};
use lambda_http::RequestExt as _;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::problem::Problem;

/// What is left of a Lambda's time for the answer. A function that its timeout ends is answered by API Gateway: with
/// 500, and nothing about trying again.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// Runs a request inside its span, and logs its answer. The span carries Lambda's id of the request, the route
/// (never the path) and the ids in the path. Handlers add further ids with [`saw_agent`], [`saw_account`] and
/// [`saw_interaction`].
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let id = request.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
    let limit = request.lambda_context_ref().and_then(|context| time_left(context.deadline()));
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let span = tracing::info_span!(
        "request",
        request = id,
        method = %request.method(),
        route,
        agent = Empty,
        account = Empty,
        contact = Empty,
        interaction = Empty
    );
    if let Ok(parameters) = request.extract_parts::<RawPathParams>().await {
        parameters.iter().for_each(|(_, value)| named(&span, value));
    }
    async move {
        let began = Instant::now();
        let mut response = match limit {
            None => next.run(request).await,
            Some(limit) => tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| too_slow()),
        };
        // Answers hold personal data, and secrets such as Receive URLs, so no cache on the way may keep them.
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Refused tokens have their own line (`auth.refused`), which is a sample of them.
        if response.status() != StatusCode::UNAUTHORIZED {
            tracing::info!(event = "request.answered", status = response.status().as_u16(), duration_ms);
        }
        response
    }
    .instrument(span)
    .await
}

/// How long a handler may take. `None` outside a Lambda.
fn time_left(deadline: SystemTime) -> Option<Duration> {
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    (deadline != SystemTime::UNIX_EPOCH).then(|| left.saturating_sub(FOR_THE_ANSWER))
}

/// The answer to a request whose handler had no time left: the services that it asks are overloaded.
fn too_slow() -> Response {
    let problem = Problem::unavailable().detail("It took too long. It may have taken effect: read before you send it again.");
    tracing::error!(event = "request.failed", kind = problem.kind(), status = problem.status().as_u16(), error = "no time left");
    problem.into_response()
}

/// Records a part of the path if it is an id. Other text, which anybody may send, is not logged.
fn named(span: &Span, part: &str) {
    let is = |kind: &'static str| {
        span.record(kind, part);
    };
    if part.parse::<AccountId>().is_ok() {
        is("account");
    } else if part.parse::<InteractionId>().is_ok() {
        is("interaction");
    } else if part.parse::<ContactId>().is_ok() {
        is("contact");
    }
}

/// The request is of this agent.
pub fn saw_agent(id: &AgentId) {
    Span::current().record("agent", id.as_str());
}

/// The request concerns this account.
pub fn saw_account(id: &AccountId) {
    Span::current().record("account", id.as_str());
}

/// The request concerns this interaction.
pub fn saw_interaction(id: &InteractionId) {
    Span::current().record("interaction", id.as_str());
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use lambda_http::Context;
    use serde_json::Value;
    use tower::ServiceExt;
    use tracing_subscriber::fmt::MakeWriter;
    use ulid::Ulid;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The log of a request for `path`, whose handler writes a line and finds an account.
    fn log(path: &str, found: Option<AccountId>) -> Vec<Value> {
        let handler = async move || {
            found.iter().for_each(saw_account);
            tracing::info!(event = "handler.line");
        };
        let routes =
            Router::new().route("/accounts/{id}", get(handler.clone())).route("/interactions/{id}/messages/{message}", get(handler));
        let app = Router::new().nest("/agent", routes).layer(from_fn(observe));
        let mut context = Context::default();
        context.request_id = "req-1".to_owned();
        let request = http::Request::get(path).body(Body::empty()).unwrap().with_lambda_context(context);
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_writer(lines.clone()).finish();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tracing::subscriber::with_default(subscriber, || runtime.block_on(app.oneshot(request)).unwrap());
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_of_a_request_names_request_account_and_interaction() {
        let (account, interaction) = (AccountId::from_ulid(Ulid::from_parts(1, 1)), InteractionId::from_ulid(Ulid::from_parts(1, 2)));
        let of_account = log(&format!("/agent/accounts/{account}"), None);
        let of_interaction = log(&format!("/agent/interactions/{interaction}/messages/3"), Some(account.clone()));
        for (lines, named) in [(of_account, None), (of_interaction, Some(interaction.as_str()))] {
            let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
            assert_eq!(events, ["handler.line", "request.answered"]);
            for line in &lines {
                assert_eq!((&line["span"]["request"], &line["span"]["account"]), (&"req-1".into(), &account.as_str().into()), "{line}");
                assert_eq!(line["span"]["interaction"].as_str(), named, "{line}");
            }
            assert_eq!(lines[1]["status"], 200);
        }
    }

    #[tokio::test]
    async fn a_request_whose_time_is_over_is_503_and_tells_when_to_try_again_before_the_lambda_ends() {
        let routes = Router::new().route("/slow", get(std::future::pending::<()>)).route("/quick", get(async || "done"));
        let app = routes.layer(from_fn(observe));
        let status = async |path: &str, left: Option<Duration>| {
            let mut context = Context::default();
            let at = left.map(|left| (SystemTime::now() + left).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis());
            context.deadline = at.map_or(0, |at| u64::try_from(at).unwrap());
            let request = http::Request::get(path).body(Body::empty()).unwrap().with_lambda_context(context);
            let response = app.clone().oneshot(request).await.unwrap();
            (response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER))
        };
        assert_eq!(status("/slow", Some(FOR_THE_ANSWER)).await, (503, true));
        assert_eq!(status("/slow", Some(Duration::ZERO)).await, (503, true));
        assert_eq!(status("/quick", Some(FOR_THE_ANSWER)).await, (200, false));
        assert_eq!(status("/quick", None).await, (200, false));
        assert_eq!(time_left(SystemTime::UNIX_EPOCH), None);
        let left = time_left(SystemTime::now() + Duration::from_secs(29)).unwrap();
        assert!(left > Duration::from_secs(27) && left <= Duration::from_secs(28), "{left:?}");
    }

    #[test]
    fn a_path_is_logged_by_its_route_and_only_ids_of_it() {
        for path in ["/agent/accounts/+393331234567", "/agent/nothing/+393331234567"] {
            let lines = log(path, None);
            assert!(!lines.is_empty() && !lines.iter().any(|line| line.to_string().contains("393331234567")), "{lines:?}");
        }
        assert_eq!(log("/agent/accounts/x", None)[0]["span"]["route"], "/agent/accounts/{id}");
    }
}
