//! The API on the local engine, which stands in for AWS: its tables, queue and secrets.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod audit;
mod catalog;
mod changes;
mod dry_runs;
mod people;
mod roles;

// These tests need only a part of the proxy.
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../tests/support/fault.rs"]
mod fault;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use admin_api::{App, Gate, router};
use api::Access;
use api::testing::Answers;
use axum::Router;
use axum::body::{Body, to_bytes};
use cloud::auth::{AuthError, Claims, RoleSource};
use cloud::aws::Aws;
use cloud::config::Env;
use cloud::envelope::Envelope;
use cloud::objects::Objects;
use cloud::secrets::SecretStore;
use domain::agent::{Presence, PresenceState, Role};
use domain::decide::Event;
use domain::effect::{InteractionKey, Target};
use domain::history::Fact;
use domain::ids::{AccountId, AgentId};
use domain::inbound::{InboundEvent, InboundKind, InboundMessage};
use domain::message::Content;
use domain::news::News;
use domain::screens::Screens;
use domain::values::{Address, E164};
use engine::jobs::{AssignJob, PushJob, Recipients};
use engine::ports::{Directory, Idempotency, Store, System};
use engine::{Engine, EngineError, Told};
use futures_util::{StreamExt, stream};
use http::{Request, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Configuration, Interactions, OwedWakes, Written};
use tower::ServiceExt;

const PUBLIC_URL: &str = "https://connector.example/stage";

/// Takes the name of a role as its token.
struct RolesByName;

impl Gate for RolesByName {
    fn verify<'a>(&'a self, token: &'a str, _: Timestamp) -> Pin<Box<dyn Future<Output = Result<Claims, AuthError>> + Send + 'a>> {
        let roles = match token {
            "agent" => vec![Role::Agent],
            "supervisor" => vec![Role::Supervisor],
            "admin" => vec![Role::Admin],
            "owner" => vec![Role::Owner],
            "nobody" => vec![],
            _ => return Box::pin(async { Err(AuthError::Refused("unknown")) }),
        };
        Box::pin(async { Ok(Claims { subject: "caller".to_owned(), roles }) })
    }
}

/// The stored versions of an account's secret.
struct Versions {
    current: Value,
    previous: Option<Value>,
}

/// A deployment of the API.
struct Admin {
    router: Router,
    engine: Engine<Interactions, Configuration, System>,
    secrets: SecretStore,
    objects: Objects,
    sqs: aws_sdk_sqs::Client,
    wakes: String,
    push: String,
    endpoint: String,
    account: String,
}

/// A response.
struct Answer {
    status: StatusCode,
    etag: String,
    location: String,
    body: Value,
}

impl Answer {
    fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    fn problem(self, status: u16, slug: &str) -> Value {
        let body = self.is(status);
        assert_eq!(body["type"], format!("/problems/{slug}"), "{body}");
        body
    }

    fn fields(self) -> Vec<String> {
        let body = self.problem(422, "invalid");
        body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

/// One call.
#[derive(Clone)]
struct Call<'a> {
    role: &'a str,
    method: &'a str,
    path: String,
    if_match: Option<String>,
    body: Option<String>,
}

fn call(role: &'static str, method: &'static str, path: impl Into<String>) -> Call<'static> {
    Call { role, method, path: path.into(), if_match: None, body: None }
}

impl Call<'_> {
    fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    fn if_match(mut self, tag: &str) -> Self {
        self.if_match = Some(tag.to_owned());
        self
    }

    async fn to(self, router: &Router) -> Answer {
        let mut request = Request::builder().method(self.method).uri(format!("/admin{}", self.path));
        if !self.role.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.role));
        }
        if let Some(tag) = self.if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(self.body.map_or_else(Body::empty, Body::from)).unwrap();
        answer(self.method, &self.path, router.clone().oneshot(request).await.unwrap()).await
    }
}

/// Every response in every test is checked against the OpenAPI document.
static DESCRIBED: LazyLock<Answers> = LazyLock::new(|| Answers::new("/admin", &admin_api::openapi()));

async fn answer(method: &str, path: &str, response: axum::response::Response) -> Answer {
    read(&DESCRIBED, method, &format!("/admin{path}"), response).await
}

/// Reads a response and checks it against its API's description.
async fn read(described: &Answers, method: &str, path: &str, response: axum::response::Response) -> Answer {
    let (parts, body) = response.into_parts();
    let header = |name| parts.headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    described.check(method, path, parts.status, &parts.headers, &bytes);
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answer { status: parts.status, etag: header(header::ETAG), location: header(header::LOCATION), body }
}

/// The environment of an API with AWS at `endpoint`, in the engine's account `account`.
fn environment(endpoint: &str, account: &str, wakes: &str) -> Env {
    Env::from_pairs(pairs(endpoint, account, wakes))
}

fn pairs<'a>(endpoint: &'a str, account: &'a str, wakes: &'a str) -> Vec<(&'static str, &'a str)> {
    // All accounts share the bucket names, here as on AWS.
    let bucket: &'static str = format!("bucket-{account}").leak();
    let push: &'static str = wakes.replace("assign.fifo", "push.fifo").leak();
    vec![
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", account),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("CONFIG_TABLE", "config"),
        ("INTERACTIONS_TABLE", "interactions"),
        ("DERIVED_TABLE", "derived"),
        ("ASSIGN_QUEUE_URL", wakes),
        ("PUSH_QUEUE_URL", push),
        ("INBOUND_QUEUE_URL", "http://127.0.0.1:1/inbound.fifo"),
        ("SECRET_PREFIX", "test/accounts/"),
        ("BUCKET", bucket),
        ("TRANSLATION_KEY_PREFIX", "test/translation/"),
        ("VIDEO_KEY_PREFIX", "test/video/"),
        ("AI_KEY_PREFIX", "test/ai/"),
        ("PUBLIC_URL", PUBLIC_URL),
        ("JWT_ISSUER", "https://issuer.example"),
        ("JWT_AUDIENCE", "app"),
        ("WEBSOCKET_ENDPOINT", "http://127.0.0.1:1/live"),
        // In these tests a token names a role. The tests of roles have tokens that name persons.
        ("ROLE_SOURCE", "claim"),
    ]
}

fn app(env: &Env) -> App {
    let access = Access { gate: Arc::new(RolesByName), ..Access::from_env(env).unwrap() };
    App { access, ..App::from_env(env).unwrap() }
}

/// An API that can reach no other service, for responses that need none.
fn alone() -> Router {
    router(app(&environment("http://127.0.0.1:1", "300000000000", "http://127.0.0.1:1/q.fifo")))
}

/// The engine separates its accounts by 12-digit access keys. Each test has its own.
static NEXT: AtomicU64 = AtomicU64::new(300_000_000_001);

impl Admin {
    async fn start() -> Self {
        let local = local::engine::Engine::shared().await.unwrap();
        let endpoint = &local.endpoint;
        let account = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let aws = Aws::new(&environment(endpoint, &account, "")).unwrap();
        let sqs = aws.sqs();
        let fifo = aws_sdk_sqs::types::QueueAttributeName::FifoQueue;
        let queue =
            async |name| sqs.create_queue().queue_name(name).attributes(fifo.clone(), "true").send().await.unwrap().queue_url.unwrap();
        let (wakes, push) = (queue("assign.fifo").await, queue("push.fifo").await);
        local::template::make_tables(local, &account).await.unwrap();
        aws.s3().create_bucket().bucket(format!("bucket-{account}")).send().await.unwrap();
        let env = environment(endpoint, &account, &wakes);
        let app = app(&env);
        Self {
            engine: app.engine.clone(),
            secrets: app.secrets.clone(),
            objects: app.objects.clone(),
            router: router(app),
            sqs,
            wakes,
            push,
            endpoint: endpoint.clone(),
            account,
        }
    }

    /// The same API, but it can't reach its queue of wakes.
    fn app_without_its_queue(&self) -> App {
        app(&environment(&self.endpoint, &self.account, "http://127.0.0.1:1/q.fifo"))
    }

    async fn made(&self, kind: &str, body: Value) -> Value {
        let answer = call("owner", "POST", format!("/{kind}")).json(&body).to(&self.router).await;
        assert_eq!(answer.etag, "\"1\"", "{}", answer.body);
        assert_eq!(answer.location, format!("{PUBLIC_URL}/admin/{kind}/{}", answer.body["id"].as_str().unwrap()));
        answer.is(201)
    }

    async fn agent(&self, name: &str) -> Value {
        self.made("agents", json!({"name": name, "subject": format!("sub-{name}")})).await
    }

    /// A body for an account with its own list, one agent and one queue.
    async fn account_body(&self, key: &str) -> Value {
        let agent = self.agent(&format!("agent of {key}")).await;
        let list = self.made("lists", json!({"name": "Customers"})).await;
        let queue = self.made("queues", json!({"name": "Support", "strategy": "beepall", "members": [agent["id"]]})).await;
        json!({
            "name": "Sales",
            "key": key,
            "list": list["id"],
            "provider": {"type": "TWILIO", "account_sid": format!("AC{}", "a".repeat(32)), "auth_token": "first-t0ken"},
            "phone": "whatsapp:+390612345678",
            "agents": [agent["id"]],
            "plan": [{"step": "queue", "queue": queue["id"], "timeout": 60}]
        })
    }

    /// The key of the interaction with this id.
    async fn key(&self, id: &Value) -> InteractionKey {
        self.engine.locate(&id.as_str().unwrap().parse().unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        call("admin", "GET", path).to(&self.router).await
    }

    async fn put(&self, path: &str, version: u64, body: &Value) -> Answer {
        call("owner", "PUT", path).if_match(&format!("\"{version}\"")).json(body).to(&self.router).await
    }

    async fn patch(&self, path: &str, version: u64, patch: &Value) -> Answer {
        call("owner", "PATCH", path).if_match(&format!("\"{version}\"")).json(patch).to(&self.router).await
    }

    async fn delete(&self, path: &str, version: u64) -> Answer {
        call("owner", "DELETE", path).if_match(&format!("\"{version}\"")).to(&self.router).await
    }

    async fn presence(&self, agent: &Value) -> Option<Presence> {
        let id: AgentId = agent["id"].as_str().unwrap().parse().unwrap();
        self.engine.store.presences(std::slice::from_ref(&id)).await.unwrap().remove(&id)
    }

    async fn secret(&self, account: &Value) -> Versions {
        let id: AccountId = account["id"].as_str().unwrap().parse().unwrap();
        Versions { current: self.secrets.current(&id).await.unwrap().value, previous: self.secrets.previous(&id).await.unwrap() }
    }

    /// The targets that were woken since the last call.
    async fn woken(&self) -> Vec<Target> {
        let woken = self.jobs::<AssignJob>(&self.wakes).await;
        let mut targets: Vec<Target> = woken.into_iter().map(|job| job.target).collect();
        targets.sort();
        targets
    }

    /// Whose screens `push` is told of.
    async fn told(&self) -> Vec<Screens> {
        let told = self.jobs::<PushJob>(&self.push).await.into_iter().map(|job| match (job.to, job.news) {
            (Recipients::Configured { configured }, News::Configuration) => configured,
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    /// The jobs of a queue, which are then gone.
    async fn jobs<T: serde::de::DeserializeOwned>(&self, queue: &str) -> Vec<T> {
        let mut jobs = Vec::new();
        loop {
            let messages = self.sqs.receive_message().queue_url(queue).max_number_of_messages(10).send().await.unwrap();
            let Some(messages) = messages.messages.filter(|messages| !messages.is_empty()) else { return jobs };
            for message in messages {
                jobs.push(Envelope::<T>::parse(&message.body.unwrap()).unwrap());
                let handle = message.receipt_handle.unwrap();
                self.sqs.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
            }
        }
    }
}

/// Receives and routes a customer's message.
async fn a_customer_writes(admin: &Admin, account: &Value) {
    another_customer_writes(admin, account, 1).await.unwrap();
}

/// Receives and routes the first message of the customer `number`.
async fn another_customer_writes(admin: &Admin, account: &Value, number: u32) -> Result<(), EngineError> {
    let message = InboundMessage {
        provider_id: format!("SM{number}"),
        from: Address::Phone(E164::parse(&format!("+393331{number:06}")).unwrap()),
        alias: None,
        also: Vec::new(),
        profile_name: None,
        sent_at: None,
        content: Content::Text { body: "Good morning".to_owned() },
        attachments: Vec::new(),
        reply_to: None,
        forwarded: false,
        username: None,
        referral: None,
        product: None,
        words: None,
        cut: false,
    };
    let event = InboundEvent {
        account: id(account),
        id: format!("SM{number}"),
        received_at: cloud::time::now(),
        index: 0,
        proven: Some(true),
        kind: InboundKind::Message(message),
    };
    admin.engine.store.receive(&event, "", false).await.unwrap();
    admin.engine.route(&event).await
}

/// A body for an AI agent on an API with a key.
fn ai_agent(name: &str) -> Value {
    json!({
        "name": name,
        "provider": "OPENAI_COMPATIBLE",
        "model": "small",
        "base_url": "https://models.example.com/v1",
        "instructions": "Answer questions about the shop.",
        "knowledge": {"texts": [{"title": "Hours", "text": "9 to 18"}]},
        "escalation": {"phrases": ["operator"]},
    })
}

/// The path of a resource that was created.
fn place(kind: &str, made: &Value) -> String {
    format!("/{kind}/{}", made["id"].as_str().unwrap())
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(of: &Value) -> T {
    of["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_operation_needs_a_token_of_a_role_that_allows_it() {
    let router = alone();
    for (path, item) in &admin_api::openapi().paths.paths {
        for method in serde_json::to_value(item).unwrap().as_object().unwrap().keys() {
            let method: &'static str = method.to_ascii_uppercase().leak();
            let path = ["{id}", "{agent}", "{list}"].iter().fold(path.clone(), |path, name| path.replace(name, "x"));
            call("", method, &path).to(&router).await.problem(401, "unauthorized");
            call("forged", method, &path).to(&router).await.problem(401, "unauthorized");
            call("nobody", method, &path).to(&router).await.problem(403, "forbidden");
            if path == "/accounts/x/templates" {
                for role in ["agent", "supervisor"] {
                    call(role, method, &path).to(&router).await.problem(404, "not-found");
                }
                continue;
            }
            call("agent", method, &path).to(&router).await.problem(403, "forbidden");
            let under = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
            let of_links = path == "/contacts/x/links" || path.ends_with("/unlink");
            let of_account = path == "/accounts/x/dispositions";
            let of_contacts = under(&["/contacts"]) && method != "DELETE";
            let may_write = of_links || of_account || of_contacts || under(&["/dispositions", "/tags", "/canned-answers"]);
            let may_read = may_write
                || under(&["/agents", "/ai-agents", "/queues", "/lists", "/pauses", "/contacts", "/contact-fields", "/links", "/prices"]);
            if !(may_write || may_read && method == "GET") {
                call("supervisor", method, &path).to(&router).await.problem(403, "forbidden");
            } else if path.ends_with("/x") || path.ends_with("/attachment") || of_links || of_account {
                call("supervisor", method, &path).to(&router).await.problem(404, "not-found");
            } else if method == "POST" {
                call("supervisor", method, &path).to(&router).await.problem(400, "bad-request");
            }
        }
    }
}

#[tokio::test]
async fn the_description_is_public() {
    let body = call("", "GET", "/openapi.json").to(&alone()).await.is(200);
    assert_eq!((&body["openapi"], &body["servers"][0]["url"]), (&json!("3.1.0"), &json!(format!("{PUBLIC_URL}/admin"))));
}

#[tokio::test]
async fn missing_resources_and_malformed_requests_get_a_problem_document() {
    let router = alone();
    call("owner", "GET", "/nothing").to(&router).await.problem(404, "not-found");
    call("owner", "GET", "/agents/que_00000000000000000000000001").to(&router).await.problem(404, "not-found");
    call("owner", "GET", "/agents/%ff").to(&router).await.problem(404, "not-found");
    call("owner", "PATCH", "/agents").to(&router).await.problem(405, "method-not-allowed");
    let with = |body: String| Call { body: Some(body), ..call("owner", "POST", "/lists") };
    let malformed = with("{\"name\": s3cret".to_owned()).to(&router).await.problem(400, "bad-request");
    assert!(malformed["detail"].as_str().unwrap().contains("line 1") && !malformed.to_string().contains("s3cret"));
    with(String::new()).to(&router).await.problem(400, "bad-request");
    with(format!("\"{}\"", "x".repeat(300_000))).to(&router).await.problem(413, "too-large");
    assert_eq!(with("[]".to_owned()).to(&router).await.fields(), [""]);
    let form =
        Request::post("/admin/lists").header("authorization", "Bearer owner").header("content-type", "application/x-www-form-urlencoded");
    answer("POST", "/lists", router.clone().oneshot(form.body(Body::from("name=a")).unwrap()).await.unwrap())
        .await
        .problem(415, "not-json");
    let list = "/lists/lst_00000000000000000000000001";
    call("owner", "PUT", list).json(&json!({"name": "a"})).to(&router).await.problem(428, "if-match-required");
    call("owner", "PATCH", list).json(&json!({"name": "a"})).to(&router).await.problem(428, "if-match-required");
    call("owner", "DELETE", list).to(&router).await.problem(428, "if-match-required");
    assert_eq!(call("owner", "GET", "/lists?limit=0&after=x").to(&router).await.fields(), ["limit", "after"]);
}

#[tokio::test]
async fn a_list_is_created_read_replaced_and_deleted() {
    let admin = Admin::start().await;
    let made = admin.made("lists", json!({"name": "Customers"})).await;
    let path = format!("/lists/{}", made["id"].as_str().unwrap());
    let read = admin.get(&path).await;
    assert_eq!(read.etag, "\"1\"");
    assert_eq!(read.is(200), made);
    let replaced = admin.put(&path, 1, &json!({"name": "Prospects"})).await;
    assert_eq!(replaced.etag, "\"2\"");
    let replaced = replaced.is(200);
    assert_eq!((&replaced["name"], &replaced["version"]), (&json!("Prospects"), &json!(2)));
    admin.put(&path, 1, &json!({"name": "Stale"})).await.problem(412, "changed-meanwhile");
    admin.delete(&path, 1).await.problem(412, "changed-meanwhile");
    // A document that was read can be sent back.
    admin.put(&path, 2, &replaced).await.is(200);
    admin.delete(&path, 3).await.is(204);
    admin.get(&path).await.problem(404, "not-found");
    admin.delete(&path, 3).await.problem(404, "not-found");
}

#[tokio::test]
async fn one_of_two_writes_based_on_the_same_version_wins() {
    let admin = Admin::start().await;
    let made = admin.made("lists", json!({"name": "0"})).await;
    let path = format!("/lists/{}", made["id"].as_str().unwrap());
    let (one, another) = (json!({"name": "1"}), json!({"name": "2"}));
    let (one, another) = tokio::join!(admin.put(&path, 1, &one), admin.put(&path, 1, &another));
    let mut statuses = [one.status.as_u16(), another.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn lists_are_paged_to_the_last_and_no_further() {
    let admin = Admin::start().await;
    for n in 0..4 {
        admin.made("queues", json!({"name": n.to_string(), "strategy": "rrmemory"})).await;
    }
    let first = admin.get("/queues?limit=2").await.is(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let second = admin.get(&format!("/queues?limit=2&after={}", first["next"].as_str().unwrap())).await.is(200);
    assert_eq!((second["items"].as_array().unwrap().len(), second.get("next")), (2, None));
    assert!(first["items"][1]["id"].as_str() < second["items"][0]["id"].as_str());
}

#[tokio::test]
async fn a_new_agent_has_a_presence_and_a_new_capacity_keeps_its_state() {
    let admin = Admin::start().await;
    let agent = admin.agent("Anna").await;
    let presence = admin.presence(&agent).await.unwrap();
    assert_eq!((presence.chosen, presence.capacity.get()), (PresenceState::LoggedOut, 5));
    let path = format!("/agents/{}", agent["id"].as_str().unwrap());
    let paused = PresenceState::Paused { reason: "Lunch".to_owned() };
    admin.engine.set_presence(&id(&agent), paused.clone(), Idempotency::Guarded).await.unwrap();
    let body = json!({"name": "Anna", "subject": "sub-Anna", "capacity": 7});
    admin.put(&path, 1, &body).await.is(200);
    let presence = admin.presence(&agent).await.unwrap();
    assert_eq!((presence.chosen, presence.capacity.get()), (paused, 7));
    admin.delete(&path, 2).await.is(204);
    assert_eq!(admin.presence(&agent).await.unwrap().chosen, PresenceState::LoggedOut);
}

#[tokio::test]
async fn an_agent_whose_whatsapp_is_switched_off_is_logged_out() {
    let admin = Admin::start().await;
    let agent = admin.agent("Anna").await;
    admin.engine.set_presence(&id(&agent), PresenceState::Ready, Idempotency::Guarded).await.unwrap();
    let body = json!({"name": "Anna", "subject": "sub-Anna", "whatsapp": false});
    admin.put(&format!("/agents/{}", agent["id"].as_str().unwrap()), 1, &body).await.is(200);
    assert_eq!(admin.presence(&agent).await.unwrap().chosen, PresenceState::LoggedOut);
}

#[tokio::test]
async fn a_subject_belongs_to_one_agent() {
    let admin = Admin::start().await;
    admin.agent("Anna").await;
    let ben = admin.agent("Ben").await;
    let taken = json!({"name": "Other", "subject": "sub-Anna"});
    assert_eq!(call("admin", "POST", "/agents").json(&taken).to(&admin.router).await.fields(), ["subject"]);
    let path = format!("/agents/{}", ben["id"].as_str().unwrap());
    assert_eq!(admin.put(&path, 1, &taken).await.fields(), ["subject"]);
    // A subject that is no longer used is free.
    admin.put(&path, 1, &json!({"name": "Ben", "subject": "sub-2"})).await.is(200);
    admin.made("agents", json!({"name": "Third", "subject": "sub-Ben"})).await;
}

#[tokio::test]
async fn only_owners_manage_admins_and_owners() {
    let admin = Admin::start().await;
    for role in ["admin", "owner"] {
        let body = json!({"name": role, "subject": role, "role": role});
        call("admin", "POST", "/agents").json(&body).to(&admin.router).await.problem(403, "forbidden");
        let made = admin.made("agents", body.clone()).await;
        let path = format!("/agents/{}", made["id"].as_str().unwrap());
        let demoted = json!({"name": role, "subject": role, "role": "agent"});
        call("admin", "PUT", &path).if_match("\"1\"").json(&demoted).to(&admin.router).await.problem(403, "forbidden");
        call("admin", "DELETE", &path).if_match("\"1\"").to(&admin.router).await.problem(403, "forbidden");
    }
    let anna = admin.agent("Anna").await;
    let path = format!("/agents/{}", anna["id"].as_str().unwrap());
    let promoted = json!({"name": "Anna", "subject": "sub-Anna", "role": "owner"});
    call("admin", "PUT", &path).if_match("\"1\"").json(&promoted).to(&admin.router).await.problem(403, "forbidden");
    let supervisor = json!({"name": "Anna", "subject": "sub-Anna", "role": "supervisor"});
    call("admin", "PUT", &path).if_match("\"1\"").json(&supervisor).to(&admin.router).await.is(200);
}

#[tokio::test]
async fn an_account_is_created_with_a_receive_url_and_a_secret_that_is_never_shown() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    assert!(!account.to_string().contains("first-t0ken"));
    let url = account["receive_url"].as_str().unwrap();
    let token = url.strip_prefix(&format!("{PUBLIC_URL}/receive/twilio/")).unwrap().strip_suffix("#rc=3&rp=ct,rt,5xx&tt=15000").unwrap();
    assert_eq!(token.len(), 43);
    assert_eq!((account["proxy_token"].as_str().unwrap().len(), &account["phone"]), (43, &json!("+390612345678")));
    assert_eq!((&account["settings"]["wait_for_assigned_agent"], &account["plan_version"]), (&json!(10), &json!(1)));
    assert_eq!(admin.secret(&account).await.current, json!({"auth_token": "first-t0ken"}));
    let hash = cloud::digest::sha256_hex(token);
    assert_eq!(admin.engine.directory.account_of_token(&hash).await.unwrap(), Some(id(&account)));
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.is(200), account);
    let listed = admin.get("/accounts").await.is(200);
    assert_eq!(listed["items"], json!([account]));
}

#[tokio::test]
async fn account_keys_are_unique() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    admin.made("accounts", body.clone()).await;
    assert_eq!(call("admin", "POST", "/accounts").json(&body).to(&admin.router).await.fields(), ["key"]);
    body["key"] = json!("ABC13");
    let other = admin.made("accounts", body.clone()).await;
    body["key"] = json!("ABC12");
    let path = format!("/accounts/{}", other["id"].as_str().unwrap());
    assert_eq!(admin.put(&path, 1, &body).await.fields(), ["key"]);
    // Of two concurrent requests with the same key, one wins.
    body["key"] = json!("RACE1");
    let post = || call("admin", "POST", "/accounts").json(&body).to(&admin.router);
    let (one, another) = tokio::join!(post(), post());
    let refused = if one.status == 201 { another } else { one };
    assert_eq!(refused.fields(), ["key"]);
}

#[tokio::test]
async fn an_account_refers_only_to_existing_resources() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    body["list"] = json!("lst_00000000000000000000000001");
    body["agents"] = json!([body["agents"][0], "agt_00000000000000000000000001"]);
    body["plan"] = json!([body["plan"][0], {"step": "queue", "queue": "que_00000000000000000000000001"}]);
    assert_eq!(call("admin", "POST", "/accounts").json(&body).to(&admin.router).await.fields(), ["list", "agents[1]", "plan[1].queue"]);
    let queue = json!({"name": "Q", "strategy": "beepall", "members": ["agt_00000000000000000000000001"]});
    assert_eq!(call("admin", "POST", "/queues").json(&queue).to(&admin.router).await.fields(), ["members[0]"]);
}

#[tokio::test]
async fn an_accounts_templates_are_read_by_its_own_agents_only() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    // Without the business account's id there is no list, so no provider is called.
    body["provider"] = json!({"type": "META", "phone_number_id": "106540352242922", "app_id": "102290129340398", "auth_token": "t0ken",
        "app_secret": "s3cret"});
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("{}/templates", place("accounts", &account));
    let read = async |role: &'static str| call(role, "GET", &path).to(&admin.router).await;
    for role in ["supervisor", "admin"] {
        read(role).await.problem(409, "not-offered");
    }
    // The token's subject belongs first to no agent, then to an agent of another account, then to one of this
    // account.
    read("agent").await.problem(404, "not-found");
    let caller = admin.made("agents", json!({"name": "Anna", "subject": "caller"})).await;
    read("agent").await.problem(404, "not-found");
    body["agents"] = json!([body["agents"][0], caller["id"]]);
    admin.put(&place("accounts", &account), 1, &body).await.is(200);
    read("agent").await.problem(409, "not-offered");
    // The agent may read nothing else.
    call("agent", "GET", place("accounts", &account)).to(&admin.router).await.problem(403, "forbidden");
    call("agent", "GET", format!("{}/numbers", place("accounts", &account))).to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_further_number_takes_the_credentials_of_an_account_that_is_there() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    let first = admin.made("accounts", body.clone()).await;
    body["key"] = json!("ABC13");
    body["provider"] = json!({"credentials_from": first["id"]});
    let second = admin.made("accounts", body.clone()).await;
    assert_eq!(second["provider"], first["provider"]);
    assert!(!second.to_string().contains("t0ken"));
    // A copy of its own: what the first changes later, the second does not.
    admin.patch(&place("accounts", &first), 1, &json!({"provider": {"auth_token": "other-t0ken"}})).await.is(200);
    assert_eq!(admin.secret(&second).await.current, json!({"auth_token": "first-t0ken"}));
    body["key"] = json!("ABC14");
    for (provider, refused) in [
        (json!({"credentials_from": "acc_00000000000000000000000001"}), "provider.credentials_from"),
        (json!({"credentials_from": 5}), "provider.credentials_from"),
        (json!({"type": "META", "credentials_from": first["id"]}), "provider.type"),
    ] {
        body["provider"] = provider;
        assert_eq!(call("admin", "POST", "/accounts").json(&body).to(&admin.router).await.fields(), [refused]);
    }
    // An account that is there changes its credentials only by new ones.
    let patched = admin.patch(&place("accounts", &second), 1, &json!({"provider": {"credentials_from": first["id"]}})).await;
    assert_eq!(patched.fields(), ["provider.credentials_from"]);
    let numbers = call("admin", "POST", "/providers/META/numbers").json(&json!({"credentials_from": first["id"]})).to(&admin.router).await;
    assert_eq!(numbers.fields(), ["type"]);
}

#[tokio::test]
async fn a_new_secret_replaces_the_one_before_which_stays_valid() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    body["provider"].as_object_mut().unwrap().remove("auth_token");
    admin.put(&path, 1, &body).await.is(200);
    assert_eq!(admin.secret(&account).await.current, json!({"auth_token": "first-t0ken"}));
    body["provider"]["auth_token"] = json!("second-t0ken");
    let answered = admin.put(&path, 2, &body).await.is(200);
    assert!(!answered.to_string().contains("t0ken"));
    let secret = admin.secret(&account).await;
    assert_eq!((secret.current, secret.previous), (json!({"auth_token": "second-t0ken"}), Some(json!({"auth_token": "first-t0ken"}))));
    // A write with an old version changes no secret.
    body["provider"]["auth_token"] = json!("third-t0ken");
    admin.put(&path, 2, &body).await.problem(412, "changed-meanwhile");
    assert_eq!(admin.secret(&account).await.current, json!({"auth_token": "second-t0ken"}));
}

#[tokio::test]
async fn a_changed_plan_is_a_new_version_and_the_one_before_is_kept() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    body["name"] = json!("Renamed");
    let renamed = admin.put(&path, 1, &body).await.is(200);
    assert_eq!((&renamed["plan_version"], &renamed["receive_url"]), (&json!(1), &account["receive_url"]));
    assert!(admin.woken().await.is_empty());
    body["plan"] = json!([{"step": "agent", "agent": body["agents"][0]}]);
    let replanned = admin.put(&path, 2, &body).await.is(200);
    assert_eq!((&replanned["plan_version"], &replanned["plan"][0]["timeout"]), (&json!(2), &json!(30)));
    let kept = admin.engine.directory.plan(&id(&account), 1).await.unwrap().unwrap();
    assert_eq!(serde_json::to_value(kept.steps).unwrap(), account["plan"]);
    assert!(admin.engine.directory.plan(&id(&account), 2).await.unwrap().is_some());
}

#[tokio::test]
async fn an_active_account_keeps_an_agent_who_can_answer() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    let agent = body["agents"][0].as_str().unwrap().to_owned();
    let mut nobody = body.clone();
    nobody["agents"] = json!([]);
    call("admin", "POST", "/accounts").json(&nobody).to(&admin.router).await.problem(409, "no-agent");
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    admin.put(&path, 1, &nobody).await.problem(409, "no-agent");
    let off = json!({"name": "a", "subject": "a", "whatsapp": false});
    let refused = admin.put(&format!("/agents/{agent}"), 1, &off).await.problem(409, "no-agent");
    assert_eq!(refused["accounts"], json!(["ABC12"]));
    // The agent may be removed if there is another one, or if the account is inactive.
    let second = admin.agent("second").await;
    body["agents"] = json!([agent, second["id"]]);
    admin.put(&path, 1, &body).await.is(200);
    admin.put(&format!("/agents/{agent}"), 1, &off).await.is(200);
    nobody["active"] = json!(false);
    admin.put(&path, 2, &nobody).await.is(200);
}

/// Rounds of a race: enough that each side loses sometimes.
const ROUNDS: usize = 25;

#[tokio::test]
async fn two_agents_removed_at_the_same_instant_do_not_leave_an_active_account_empty() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    let second = admin.agent("second").await;
    body["agents"] = json!([body["agents"][0], second["id"]]);
    admin.made("accounts", body.clone()).await;
    let paths: Vec<String> = (0..2).map(|place| format!("/agents/{}", body["agents"][place].as_str().unwrap())).collect();
    for _ in 0..ROUNDS {
        let leave = async |path: &str| {
            let mut agent = admin.get(path).await.is(200);
            let version = agent["version"].as_u64().unwrap();
            agent["whatsapp"] = json!(false);
            admin.put(path, version, &agent).await
        };
        let (one, another) = tokio::join!(leave(&paths[0]), leave(&paths[1]));
        let (left, stays) = if one.status == 200 { (one, another) } else { (another, one) };
        let mut left = left.is(200);
        stays.problem(409, "no-agent");
        left["whatsapp"] = json!(true);
        admin.put(&place("agents", &left), left["version"].as_u64().unwrap(), &left).await.is(200);
    }
}

#[tokio::test]
async fn a_queue_deleted_while_a_plan_adds_it_leaves_no_plan_without_its_queue() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let path = place("accounts", &account);
    let (mut taken, mut gone) = (0, 0);
    for round in 0..ROUNDS {
        let queue = admin.made("queues", json!({"name": "Short-lived", "strategy": "beepall"})).await;
        let mut body = admin.get(&path).await.is(200);
        let version = body["version"].as_u64().unwrap();
        body["plan"] = json!([{"step": "queue", "queue": queue["id"]}]);
        let queue_path = place("queues", &queue);
        let (put, deleted) = match round % 2 {
            0 => tokio::join!(admin.put(&path, version, &body), admin.delete(&queue_path, 1)),
            _ => {
                let (deleted, put) = tokio::join!(admin.delete(&queue_path, 1), admin.put(&path, version, &body));
                (put, deleted)
            }
        };
        if put.status == 200 {
            taken += 1;
            deleted.problem(409, "in-use");
            admin.get(&queue_path).await.is(200);
        } else {
            gone += 1;
            assert_eq!(put.fields(), ["plan[0].queue"]);
            deleted.is(204);
        }
    }
    assert_eq!(taken + gone, ROUNDS);
}

#[tokio::test]
async fn concurrent_changes_of_different_resources_do_not_disturb_each_other() {
    let admin = Admin::start().await;
    let body = admin.account_body("ABC12").await;
    let keys: Vec<String> = (0..8).map(|n| format!("ABD0{n}")).collect();
    let made = async |key: &String| {
        let body = admin.account_body(key).await;
        admin.made("accounts", body).await
    };
    let made = futures_util::future::join_all(keys.iter().map(made)).await;
    let account = admin.made("accounts", body).await;
    let renamed = async |account: &Value| {
        let mut body = account.clone();
        body["name"] = json!("Renamed");
        admin.put(&place("accounts", account), 1, &body).await.is(200)
    };
    futures_util::future::join_all(made.iter().chain([&account]).map(renamed)).await;
    // A resource's own version is still checked.
    admin.put(&place("accounts", &account), 1, &account).await.problem(412, "changed-meanwhile");
}

#[tokio::test]
async fn wakes_that_can_not_be_sent_are_owed_and_fail_nothing() {
    let mut admin = Admin::start().await;
    let anna = admin.agent("anna").await;
    let body = json!({"name": "Support", "strategy": "beepall", "members": [anna["id"]]});
    let queue = admin.made("queues", body.clone()).await;
    let path = format!("/queues/{}", queue["id"].as_str().unwrap());
    let (heavier, empty) = (json!({"weight": 1}), json!({"members": []}));
    let changed = |change: &Value| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    admin.put(&path, 1, &changed(&heavier)).await.is(200);
    let owed = async |admin: &Admin| admin.engine.directory.owed_wakes(&cloud::ids::ulid().to_string()).await.unwrap();
    assert_eq!(owed(&admin).await, []);
    admin.router = router(admin.app_without_its_queue());
    admin.put(&path, 2, &changed(&empty)).await.is(200);
    let OwedWakes { targets, screens, .. } = owed(&admin).await.remove(0);
    assert_eq!(screens, Some(Screens::Agents(vec![anna["id"].as_str().unwrap().parse().unwrap()])));
    assert_eq!(
        targets,
        // Compared as a set: each target is its own message group, so there is no order among them.
        [Target::Queue(queue["id"].as_str().unwrap().parse().unwrap()), Target::Agent(anna["id"].as_str().unwrap().parse().unwrap())]
    );
}

#[tokio::test]
async fn agents_whose_screens_show_a_change_are_told_of_it_and_of_nothing_else() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("SEEN1").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = place("accounts", &account);
    let own = || -> domain::ids::AccountId { id(&account) };
    let of_account = |left| Screens::Account { account: own(), left };
    admin.told().await;
    body["description"] = json!("for administrators");
    body["plan"][0]["timeout"] = json!(7);
    admin.put(&path, 1, &body).await.is(200);
    assert_eq!(admin.told().await, []);
    body["settings"]["transfer_to_agent"] = json!({"enabled": false});
    admin.put(&path, 2, &body).await.is(200);
    assert_eq!(admin.told().await, [of_account(vec![])]);
    // A new colleague concerns nobody else.
    let ben = admin.agent("ben").await;
    admin.put(&format!("{path}/agents/{}", ben["id"].as_str().unwrap()), 3, &json!({})).await;
    assert_eq!(admin.told().await, [Screens::Agents(vec![id(&ben)])]);
    for (kind, made) in
        [("pauses", json!({"name": "Lunch"})), ("tags", json!({"tag": "refund"})), ("dispositions", json!({"name": "Sold"}))]
    {
        let made = admin.made(kind, made).await;
        admin.delete(&place(kind, &made), 1).await.is(204);
        assert_eq!(admin.told().await, [Screens::Everybody, Screens::Everybody], "{kind}");
    }
    admin.put(&place("agents", &ben), 1, &json!({"name": "Benno", "subject": "sub-ben"})).await.is(200);
    assert_eq!(admin.told().await, [Screens::Agents(vec![id(&ben)])]);
    let queue = format!("/queues/{}", body["plan"][0]["queue"].as_str().unwrap());
    let named = json!({"name": "After sales", "strategy": "beepall", "members": []});
    admin.put(&queue, 1, &named).await.is(200);
    let Some([Screens::Queue { left, .. }]) = Some(&admin.told().await[..]) else { panic!("the queue's name is shown") };
    assert_eq!(left, &[body["agents"][0].as_str().unwrap().parse().unwrap()]);
}

#[tokio::test]
async fn waiting_interactions_are_routed_again_after_a_relevant_change() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    assert!(admin.woken().await.is_empty());
    let queue: domain::ids::QueueId = body["plan"][0]["queue"].as_str().unwrap().parse().unwrap();
    let second = admin.agent("second").await;
    let members = json!({"name": "Support", "strategy": "beepall", "members": [body["agents"][0], second["id"]]});
    admin.put(&format!("/queues/{queue}"), 1, &members).await.is(200);
    let woken = async || {
        let mut woken = admin.woken().await;
        woken.sort();
        woken
    };
    let came = Target::Agent(second["id"].as_str().unwrap().parse().unwrap());
    let sorted = |mut targets: Vec<Target>| {
        targets.sort();
        targets
    };
    // A new member gets the offers that already ring in the queue.
    assert_eq!(woken().await, sorted(vec![Target::Queue(queue.clone()), came.clone()]));
    body["agents"] = members["members"].clone();
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    admin.put(&path, 1, &body).await.is(200);
    assert_eq!(woken().await, sorted(vec![Target::Queue(queue.clone()), Target::Account(id(&account)), came.clone()]));
    // A member who leaves is free for other queues.
    let fewer = json!({"name": "Support", "strategy": "beepall", "members": [body["agents"][0]]});
    admin.put(&format!("/queues/{queue}"), 2, &fewer).await.is(200);
    assert_eq!(woken().await, sorted(vec![Target::Queue(queue), came]));
}

#[tokio::test]
async fn a_resource_in_use_is_not_deleted_and_its_users_are_named() {
    let admin = Admin::start().await;
    let body = admin.account_body("ABC12").await;
    admin.made("accounts", body.clone()).await;
    let (list, agent, queue) = (&body["list"], &body["agents"][0], &body["plan"][0]["queue"]);
    let users = async |path: String| admin.delete(&path, 1).await.problem(409, "in-use")["users"].clone();
    assert_eq!(users(format!("/lists/{}", list.as_str().unwrap())).await, json!(["account:ABC12"]));
    assert_eq!(users(format!("/queues/{}", queue.as_str().unwrap())).await, json!(["account:ABC12"]));
    let of_agent = users(format!("/agents/{}", agent.as_str().unwrap())).await;
    assert_eq!(of_agent, json!(["account:ABC12", format!("queue:{}", queue.as_str().unwrap())]));
    let other = admin.agent("unused").await;
    admin.delete(&format!("/agents/{}", other["id"].as_str().unwrap()), 1).await.is(204);
}

#[tokio::test]
async fn an_account_is_deleted_when_confirmed_and_without_open_interactions() {
    let admin = Admin::start().await;
    let body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path, 1).await.fields(), ["confirm"]);
    assert_eq!(admin.delete(&format!("{path}?confirm=OTHER"), 1).await.fields(), ["confirm"]);
    admin.delete(&format!("{path}?confirm=ABC12"), 1).await.is(204);
    admin.get(&path).await.problem(404, "not-found");
    assert!(admin.secrets.current::<Value>(&id::<AccountId>(&account)).await.is_err());
    // Its key is free again.
    admin.made("accounts", body).await;
}

#[tokio::test]
async fn an_account_with_an_open_interaction_is_not_deleted() {
    let admin = Admin::start().await;
    let body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    a_customer_writes(&admin, &account).await;
    let path = format!("/accounts/{}?confirm=ABC12", account["id"].as_str().unwrap());
    let refused = admin.delete(&path, 1).await.problem(409, "open-interactions");
    assert_eq!((&refused["count"], refused["interactions"].as_array().unwrap().len()), (&json!(1), 1));
    // The account works as before.
    another_customer_writes(&admin, &account, 2).await.unwrap();
    assert_eq!(admin.delete(&path, 1).await.problem(409, "open-interactions")["count"], json!(2));
    assert_eq!(admin.delete(&format!("{path}&close=perhaps"), 1).await.fields(), ["close"]);
    admin.engine.tell(&admin.key(&refused["interactions"][0]).await, Event::AccountLeaves, Idempotency::Guarded).await.unwrap();
    let refused = admin.delete(&path, 1).await.problem(409, "open-interactions");
    assert_eq!(refused["count"], 1);
    // The queue that the interaction waits for can't be deleted either, even when no plan has it any more.
    let mut without = body.clone();
    without["plan"] = json!([]);
    admin.put(&format!("/accounts/{}", account["id"].as_str().unwrap()), 1, &without).await.is(200);
    let queue = format!("/queues/{}", body["plan"][0]["queue"].as_str().unwrap());
    let used = admin.delete(&queue, 1).await.problem(409, "in-use");
    assert_eq!(used["users"], json!([format!("interaction:{}", refused["interactions"][0].as_str().unwrap())]));
}

#[tokio::test]
async fn an_account_whose_plan_waits_for_another_system_is_not_deleted() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    // The other system has not been asked yet, and no agent has the interaction.
    body["plan"] = json!([{"step": "webhook", "url": "https://crm.example.com/"}]);
    let account = admin.made("accounts", body).await;
    a_customer_writes(&admin, &account).await;
    let path = format!("/accounts/{}?confirm=ABC12", account["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path, 1).await.problem(409, "open-interactions")["count"], 1);
}

#[tokio::test]
async fn an_account_is_deleted_with_its_open_interactions_on_request() {
    let admin = Admin::start().await;
    let body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("/accounts/{}?confirm=ABC12", account["id"].as_str().unwrap());
    for number in 1..=3 {
        another_customer_writes(&admin, &account, number).await.unwrap();
    }
    let open = admin.delete(&path, 1).await.problem(409, "open-interactions")["interactions"].clone();
    // An agent holds one of them.
    let (agent, held): (AgentId, _) = (body["agents"][0].as_str().unwrap().parse().unwrap(), admin.key(&open[0]).await);
    admin.engine.set_presence(&agent, PresenceState::Ready, Idempotency::Guarded).await.unwrap();
    assert!(matches!(
        admin.engine.tell(&held, Event::Pick { agent: agent.clone() }, Idempotency::Guarded).await.unwrap(),
        Told::Changed { .. }
    ));
    admin.delete(&format!("{path}&close=true"), 1).await.is(204);
    admin.get(&place("accounts", &account)).await.problem(404, "not-found");
    for interaction in open.as_array().unwrap() {
        let key = admin.key(interaction).await;
        let closed = admin.engine.store.interaction(&key).await.unwrap().unwrap();
        assert_eq!((closed.is_open(), closed.disposition.as_deref()), (false, Some("Account deleted")));
        let history = admin.engine.store.history(&key).await.unwrap();
        assert!(history.iter().any(|entry| matches!(&entry.fact, Fact::Closed { agent: None, disposition: Some(_) })));
    }
    let presences = admin.engine.store.presences(std::slice::from_ref(&agent)).await.unwrap();
    assert!(presences[&agent].load.is_empty());
    // No interaction can be opened any more, even if the account is still in a cache.
    assert!(matches!(another_customer_writes(&admin, &account, 4).await, Err(EngineError::NoAccount(_) | EngineError::Busy)));
}

#[tokio::test]
async fn a_request_closes_some_of_many_open_interactions_and_reports_how_many_are_left() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let writes = stream::iter(1..=203).map(|number| another_customer_writes(&admin, &account, number));
    let written: Vec<_> = writes.buffer_unordered(8).collect().await;
    assert!(written.iter().all(Result::is_ok));
    let path = format!("/accounts/{}?confirm=ABC12&close=true", account["id"].as_str().unwrap());
    let refused = admin.delete(&path, 1).await.problem(409, "open-interactions");
    assert_eq!((&refused["closed"], &refused["count"]), (&json!(200), &json!(3)));
    admin.delete(&path, 1).await.is(204);
}

#[tokio::test]
async fn a_customer_who_writes_during_the_deletion_of_an_account_waits_and_opens_nothing() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    another_customer_writes(&admin, &account, 1).await.unwrap();
    let directory = &admin.engine.directory;
    let in_a_minute = cloud::time::now() + SignedDuration::from_mins(1);
    let leaving = directory.leave(&id(&account), "first".to_owned(), in_a_minute).await.unwrap();
    assert!(matches!(another_customer_writes(&admin, &account, 2).await, Err(EngineError::Busy)));
    directory.stay(&leaving).await.unwrap();
    another_customer_writes(&admin, &account, 2).await.unwrap();
    // If a deletion dies halfway, customers do not wait for ever.
    directory.leave(&id(&account), "second".to_owned(), cloud::time::now() - SignedDuration::from_secs(1)).await.unwrap();
    another_customer_writes(&admin, &account, 3).await.unwrap();
    // Of two concurrent deletions only the later one deletes the account. If the earlier one ended the deletion,
    // interactions could be opened again.
    directory.leave(&id(&account), "third".to_owned(), in_a_minute).await.unwrap();
    let (stored, version) = directory.get(account["id"].as_str().unwrap()).await.unwrap().unwrap();
    assert_eq!(directory.delete_account(&stored, version, &["hash".to_owned()], &leaving, &[]).await.unwrap(), Written::Moved);
    directory.stay(&leaving).await.unwrap();
    assert!(matches!(another_customer_writes(&admin, &account, 4).await, Err(EngineError::Busy)));
}

#[tokio::test]
async fn an_interval_is_created_replaced_and_not_deleted_while_a_plan_uses_it() {
    let admin = Admin::start().await;
    let hours = json!({"name": "Office", "time_zone": "Europe/Rome", "ranges": [{"from": "09:00", "to": "17:59", "weekdays": ["monday"]}],
        "holidays": [{"date": "2026-12-25", "yearly": true}]});
    let interval = admin.made("intervals", hours.clone()).await;
    assert_eq!((&interval["ranges"], &interval["holidays"]), (&hours["ranges"], &hours["holidays"]));
    let path = format!("/intervals/{}", interval["id"].as_str().unwrap());
    let mut changed = interval.clone();
    changed["time_zone"] = json!("Asia/Tokyo");
    let mut changed = admin.put(&path, 1, &changed).await.is(200);
    assert_eq!(changed["time_zone"], "Asia/Tokyo");
    changed["time_zone"] = json!("Tokyo");
    assert_eq!(admin.put(&path, 2, &changed).await.fields(), ["time_zone"]);
    let mut account = admin.account_body("HOURS").await;
    account["plan"] = json!([{"step": "noop", "interval": {"only_within": interval["id"]}}]);
    let account = admin.made("accounts", account).await;
    assert_eq!(admin.delete(&path, 2).await.problem(409, "in-use")["users"], json!(["account:HOURS"]));
    let mut without = account.clone();
    without["plan"] = json!([]);
    admin.put(&format!("/accounts/{}", account["id"].as_str().unwrap()), 1, &without).await.is(200);
    admin.delete(&path, 2).await.is(204);
    admin.get(&path).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_plan_with_all_steps_is_returned_unchanged_and_its_errors_are_named_by_path() {
    let admin = Admin::start().await;
    let queue = admin.made("queues", json!({"name": "Sales", "strategy": "least_recent", "weight": 3, "pause_after_missed": 4})).await;
    assert_eq!((&queue["strategy"], &queue["pause_after_missed"]), (&json!("least_recent"), &json!(4)));
    let ai = admin.made("ai-agents", ai_agent("Ada")).await;
    let mut body = admin.account_body("STEPS").await;
    body["settings"] = json!({"time_zone": "Europe/Rome", "notification": {"sound": false, "shake": true, "template": "{{contact.name}}"}});
    let plan = json!([
        {"label": "begin", "step": "auto_reply", "text": "Ciao {{contact.firstName}}", "when": "first_message"},
        {"step": "tag", "tag": "vip"},
        {"step": "priority", "priority": 5},
        {"step": "set", "variable": "lang", "value": "it"},
        {"step": "webhook", "url": "https://crm.example.com/"},
        {"step": "goto_if", "condition": "lang = 'it' && time.hour < 12", "then": "end", "else": 0},
        {"step": "goto", "to": "begin"},
        {"step": "assistant", "ai_agent": ai["id"]},
        {"label": "end", "step": "queue", "queue": queue["id"], "timeout": 30},
        {"step": "noop", "comment": "done"},
        {"step": "close", "disposition": "Spam"},
    ]);
    body["plan"] = plan.clone();
    let account = admin.made("accounts", body.clone()).await;
    assert_eq!((&account["plan"], &account["settings"]["notification"]["shake"]), (&plan, &json!(true)));
    assert!(account["webhook_secret"].as_str().unwrap().starts_with("whsec_"));
    let path = format!("/accounts/{}", account["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.is(200)["plan"], plan);
    let mut same = account.clone();
    same["name"] = json!("Another name");
    let same = admin.put(&path, 1, &same).await.is(200);
    assert_eq!((&same["webhook_secret"], &same["plan_version"]), (&account["webhook_secret"], &json!(1)));
    let mut wrong = same.clone();
    wrong["plan"][5]["condition"] = json!("lang == 'it'");
    wrong["plan"][0]["text"] = json!("{{#contact.name}}");
    wrong["plan"][8]["timeout"] = json!(0);
    assert_eq!(admin.put(&path, 2, &wrong).await.fields(), ["plan[0].text", "plan[5].condition", "plan[8].timeout"]);
    let mut nowhere = same.clone();
    nowhere["plan"][6]["to"] = json!("nowhere");
    nowhere["plan"][7]["ai_agent"] = json!("aia_00000000000000000000000009");
    nowhere["plan"][8]["queue"] = json!("que_00000000000000000000000009");
    nowhere["plan"][9]["interval"] = json!({"only_outside": "ivl_00000000000000000000000009"});
    assert_eq!(
        admin.put(&path, 2, &nowhere).await.fields(),
        ["plan[7].ai_agent", "plan[8].queue", "plan[9].interval.only_outside", "plan[6].to"]
    );
    for used in [place("queues", &queue), place("ai-agents", &ai)] {
        assert_eq!(admin.delete(&used, 1).await.problem(409, "in-use")["users"], json!(["account:STEPS"]));
    }
}
