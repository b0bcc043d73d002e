//! A proxy in front of the engine. It counts calls, and makes chosen ones fail before or after the engine has carried
//! them out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;

/// Where a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The engine never sees it.
    Before,
    /// The engine carries it out, and the response is lost.
    After,
    /// The engine carries it out, and the response is lost in a way that the SDK tries again.
    #[allow(dead_code, reason = "only the tests of the APIs need it")]
    Retried,
    /// The engine never sees it: its service is overloaded. The SDK tries it again, and may give up.
    #[allow(dead_code, reason = "only the tests of the APIs need it")]
    Throttled,
}

/// The calls that fail.
#[derive(Clone)]
struct Fault {
    target: String,
    when: When,
    /// How many of them pass first.
    after: usize,
    /// How many fail after that. The rest pass.
    times: usize,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<String>>,
    fault: Mutex<Option<Fault>>,
    /// For each target, the calls that have no answer yet, and the most there were at once.
    open: Mutex<BTreeMap<String, (usize, usize)>>,
}

/// A call without an answer.
struct Open<'a>(&'a Shared, String);

impl<'a> Open<'a> {
    fn count(shared: &'a Shared, target: &str) -> Self {
        let mut open = shared.open.lock().unwrap();
        let (now, most) = open.entry(target.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Self(shared, target.to_owned())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().entry(self.1.clone()).and_modify(|(now, _)| *now -= 1);
    }
}

impl Shared {
    /// Whether this call fails.
    fn fails(&self, target: &str) -> Option<When> {
        let mut fault = self.fault.lock().unwrap();
        let fault = fault.as_mut().filter(|fault| fault.target == target)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times = fault.times.checked_sub(1)?;
        Some(fault.when)
    }
}

/// A running proxy.
pub struct FaultProxy {
    pub url: String,
    shared: Arc<Shared>,
}

impl FaultProxy {
    pub async fn start(engine: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let state = (shared.clone(), engine.to_owned(), local::http());
        let app = Router::new().fallback(forward).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, shared }
    }

    /// The calls since the last query, such as `DynamoDB_20120810.PutItem`.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.calls.lock().unwrap())
    }

    /// The most calls with this target that were under way at once, since the proxy started.
    pub fn most_at_once(&self, target: &str) -> usize {
        self.shared.open.lock().unwrap().get(target).map_or(0, |(_, most)| *most)
    }

    /// From now on every call with this target fails.
    pub fn fail(&self, target: &str, when: When) {
        self.fail_some(target, when, 0, usize::MAX);
    }

    /// From now on, after `after` calls with this target, `times` of them fail.
    pub fn fail_some(&self, target: &str, when: When, after: usize, times: usize) {
        *self.shared.fault.lock().unwrap() = Some(Fault { target: target.to_owned(), when, after, times });
    }

    pub fn heal(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }
}

type Proxy = (Arc<Shared>, String, reqwest::Client);

async fn forward(State((shared, engine, client)): State<Proxy>, request: Request) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
    shared.calls.lock().unwrap().push(target.clone());
    let _open = Open::count(&shared, &target);
    let fault = shared.fails(&target);
    // The SDK does not retry this refusal, which keeps the tests quick. It stands for an outage.
    let refusal = || {
        let body = r#"{"__type":"com.amazonaws#AccessDeniedException","message":"injected"}"#;
        Response::builder().status(400).header("content-type", "application/x-amz-json-1.0").body(Body::from(body)).unwrap()
    };
    let transient = |code: &str| {
        let body = format!(r#"{{"__type":"com.amazonaws#{code}","message":"injected"}}"#);
        Response::builder().status(400).header("content-type", "application/x-amz-json-1.0").body(Body::from(body)).unwrap()
    };
    match fault {
        Some(When::Before) => return refusal(),
        Some(When::Throttled) => return transient("ThrottlingException"),
        Some(When::After | When::Retried) | None => {}
    }
    let (parts, body) = request.into_parts();
    let url = format!("{engine}{}", parts.uri);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let answer = client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    match fault {
        Some(When::After) => return refusal(),
        Some(When::Retried) => return transient("ThrottlingException"),
        Some(When::Before | When::Throttled) | None => {}
    }
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().unwrap() = answer.headers().clone();
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
