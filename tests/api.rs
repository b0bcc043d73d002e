//! The agent API and the admin API on the local engine: races, error responses, and requests that are refused before
//! anything is written.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code, reason = "the support serves other tests too")]

mod access;
mod answering;
mod assisting;
mod attached;
mod calling;
mod colleagues;
mod documenting;
mod erasing;
mod filling;
mod finding;
mod importing;
mod jobs;
mod many;
mod overseeing;
mod removal;
mod reporting;
mod retaining;
mod seeking;
mod supervising;
mod support;
mod translation;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use api::testing::Answers;
use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::account::Account;
use domain::agent::PresenceWord;
use domain::decide::{Event, InsightsCause};
use domain::effect::{Target, Timer};
use domain::ids::{AgentId, InteractionId, QueueId};
use domain::inbound::{InboundEvent, InboundKind, InboundMessage, ProfileName};
use domain::message::Content;
use domain::queue::Strategy;
use domain::values::{Address, E164};
use engine::ports::{Idempotency, Store, World};
use engine::{Engine, Reach, Told};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::Request;
use local::standin::StandIn;
use serde_json::{Value, json};
use support::fault::When;
use support::{AUTH_TOKEN, Deployment, sid, text, webhook};
use tower::ServiceExt;
use views::AgentEvent;

/// Two ready agents of one account with one `beepall` queue, and the APIs.
struct Desk {
    deployment: Deployment,
    issuer: StandIn,
    /// The routers by path prefix: `/agent` and `/admin`.
    routers: BTreeMap<&'static str, Router>,
    agents: [AgentId; 2],
    queue: QueueId,
    account: Account,
}

/// A caller of one of the APIs.
struct Caller {
    router: Router,
    /// The path prefix: `/agent` or `/admin`.
    base: &'static str,
    token: String,
}

type Answer = (u16, Value);

/// The API descriptions by path prefix. Every response in every test is checked against them.
static DESCRIBED: LazyLock<BTreeMap<&str, Answers>> = LazyLock::new(|| {
    let agent = Answers::new("/agent", &agent_api::openapi());
    let supervisor = Answers::new("/supervisor", &supervisor_api::openapi());
    let admin = Answers::new("/admin", &admin_api::openapi());
    let assist = Answers::new("/assist", &assist_api::openapi());
    BTreeMap::from([("/agent", agent), ("/supervisor", supervisor), ("/assist", assist), ("/admin", admin)])
});

impl Caller {
    async fn call(&self, method: &str, path: &str, key: Option<&str>, body: Option<Value>) -> Answer {
        self.call_with(method, path, &key.map(|key| ("idempotency-key", key.to_owned())).into_iter().collect::<Vec<_>>(), body).await
    }

    async fn call_with(&self, method: &str, path: &str, headers: &[(&str, String)], body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let (answer, body) = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        DESCRIBED[self.base].check(method, &format!("{}{path}", self.base), answer.status, &answer.headers, &body);
        (answer.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The same person at another API.
    fn with_base(&self, desk: &Desk, base: &'static str) -> Self {
        Self { router: desk.routers[base].clone(), base, token: self.token.clone() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, None, Some(body)).await
    }

    /// A request that names a version of the interaction.
    async fn post_based_on(&self, path: &str, version: &Value, body: Value) -> Answer {
        self.call_with("POST", path, &[("if-match", format!("\"{version}\""))], Some(body)).await
    }
}

impl Desk {
    async fn open(key: &str, capacity: i64) -> Self {
        let deployment = Deployment::new().await;
        let issuer = StandIn::start().await.unwrap();
        let agents = [deployment.ready_agent("anna", capacity).await, deployment.ready_agent("ben", capacity).await];
        let queue = deployment.queue(Strategy::Beepall, &agents).await;
        let account = deployment.account(key, &agents, &queue).await;
        let mut desk = Self { deployment, issuer, routers: BTreeMap::new(), agents, queue, account };
        desk.routers = desk.fresh_routers();
        desk
    }

    /// The APIs with empty caches.
    fn fresh_routers(&self) -> BTreeMap<&'static str, Router> {
        self.routers_of(&self.deployment.env)
    }

    /// The APIs with this environment.
    fn routers_of(&self, env: &cloud::config::Env) -> BTreeMap<&'static str, Router> {
        let mut app = agent_api::App::from_env(env).unwrap();
        let (url, keys) = (self.issuer.url.clone(), self.issuer.jwks_url());
        let rules = self.deployment.env_with(&[("JWT_ISSUER", &url), ("JWKS_URL", &keys), ("JWT_AUDIENCE", local::standin::AUDIENCE)]);
        app.access.gate = Arc::new(cloud::auth::Verifier::from_env(&rules).unwrap());
        let mut supervisor = supervisor_api::App::from_env(env).unwrap();
        supervisor.access.gate = Arc::new(cloud::auth::Verifier::from_env(&rules).unwrap());
        let mut admin = admin_api::App::from_env(env).unwrap();
        admin.access.gate = Arc::new(cloud::auth::Verifier::from_env(&rules).unwrap());
        let mut assist = assist_api::App::from_env(&self.deployment.env_with(&[
            ("TRANSLATE_URL", &format!("{url}/translate")),
            ("GOOGLE_TRANSLATE_URL", &format!("{url}/google-translate")),
            ("GOOGLE_TOKEN_URL", &format!("{url}/google-token")),
            ("VIDAOO_URL", &format!("{url}/vidaoo")),
            ("BEDROCK_URL", &format!("{url}/bedrock")),
            ("EGRESS_ALLOWED_ORIGINS", &url),
        ]))
        .unwrap();
        assist.access.gate = Arc::new(cloud::auth::Verifier::from_env(&rules).unwrap());
        BTreeMap::from([
            ("/agent", agent_api::router(Arc::new(app))),
            ("/supervisor", supervisor_api::router(Arc::new(supervisor))),
            ("/assist", assist_api::router(Arc::new(assist))),
            ("/admin", admin_api::router(admin)),
        ])
    }

    fn caller(&self, subject: &str, roles: &[&str]) -> Caller {
        self.with_token("/agent", self.issuer.mint(subject, roles, Duration::from_secs(600)).unwrap())
    }

    fn administrator(&self) -> Caller {
        self.with_token("/admin", self.issuer.mint("admin", &["admin"], Duration::from_secs(600)).unwrap())
    }

    fn with_token(&self, base: &'static str, token: String) -> Caller {
        Caller { router: self.routers[base].clone(), base, token }
    }

    /// Invalid tokens, with the reason for each.
    fn forgeries(&self, another: &StandIn, subject: &str, role: &str) -> [(&'static str, String); 9] {
        let now = Timestamp::now().as_second();
        let claims = |issuer: &str, expires: i64| json!({"iss": issuer, "sub": subject, "aud": local::standin::AUDIENCE, "cognito:groups": [role], "exp": expires});
        let with = |name: &str, value: Value| {
            let mut claims = claims(&self.issuer.url, now + 600);
            claims[name] = value;
            self.issuer.sign(&claims).unwrap()
        };
        let url = &self.issuer.url;
        let unsigned = [json!({"alg": "none"}), claims(url, now + 600)].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        [
            ("no token", String::new()),
            ("not a token", "x.y.z".to_owned()),
            ("not signed", format!("{}.", unsigned.join("."))),
            // Clocks may differ by up to a minute.
            ("expired", self.issuer.sign(&claims(url, now - 61)).unwrap()),
            ("of another issuer", self.issuer.sign(&claims(&another.url, now + 600)).unwrap()),
            ("signed by another", another.sign(&claims(url, now + 600)).unwrap()),
            ("for another application", with("aud", json!("another"))),
            ("for other services", with("token_use", json!("access"))),
            ("of a subject that no table can hold", with("sub", json!("s".repeat(2_000)))),
        ]
    }

    fn anna(&self) -> Caller {
        self.caller("anna", &["agent"])
    }

    fn ben(&self) -> Caller {
        self.caller("ben", &["agent"])
    }

    /// Customer `number` writes and the message is offered. Returns the interaction's path.
    async fn ring(&self, number: usize) -> String {
        format!("/interactions/{}", self.ring_by(&self.deployment.engine, number).await)
    }

    /// The same, at the time of the clock of `engine`.
    async fn ring_by<W: World>(&self, engine: &Engine<store::Interactions, store::Configuration, W>, number: usize) -> InteractionId {
        let from = format!("whatsapp:+3935{number:08}");
        let message = sid(number);
        let request = webhook(self.account.receive_path.reveal(), "", &text(&message, &from, "hello"), Some(AUTH_TOKEN));
        assert_eq!(self.deployment.warm_receiver().handle(&request).await.status(), 200);
        let (event, _) = self.deployment.store.event(&self.account.id, &message).await.unwrap().unwrap();
        engine.route(&event).await.unwrap();
        engine.wake(&Target::Queue(self.queue.clone()), Reach::Far).await.unwrap();
        let (_, routed) = self.deployment.store.event(&self.account.id, &message).await.unwrap().unwrap();
        routed.unwrap().parse().unwrap()
    }

    async fn accepted(&self, number: usize) -> String {
        let path = self.ring(number).await;
        let (status, body) = self.anna().post(&format!("{path}/accept"), json!({})).await;
        assert_eq!(status, 200, "{body}");
        path
    }

    /// An interaction of Anna with a customer whose last message is more than a day old.
    async fn accepted_long_ago(&self) -> String {
        let event = InboundEvent {
            account: self.account.id.clone(),
            id: "SMold".to_owned(),
            received_at: Timestamp::now(),
            index: 0,
            proven: Some(true),
            kind: InboundKind::Message(InboundMessage {
                provider_id: "SMold".to_owned(),
                from: Address::Phone(E164::parse("+393500000099").unwrap()),
                alias: None,
                also: Vec::new(),
                profile_name: Some(ProfileName("Zoë".to_owned())),
                sent_at: Some(Timestamp::now() - SignedDuration::from_hours(25)),
                content: Content::Text { body: "long ago".to_owned() },
                attachments: Vec::new(),
                reply_to: None,
                forwarded: false,
                username: None,
                referral: None,
                product: None,
                words: None,
                cut: false,
            }),
        };
        self.deployment.store.receive(&event, "", false).await.unwrap();
        self.deployment.engine.route(&event).await.unwrap();
        self.deployment.engine.wake(&Target::Queue(self.queue.clone()), Reach::Far).await.unwrap();
        let (_, mine) = self.anna().get("/interactions").await;
        let path = format!("/interactions/{}", mine["offers"][0]["id"].as_str().unwrap());
        assert_eq!(self.anna().post(&format!("{path}/accept"), json!({})).await.0, 200);
        path
    }
}

#[tokio::test]
async fn texts_of_whatsapps_full_length_are_whole_in_the_thread_and_its_pages_end_at_a_megabyte() {
    let desk = Desk::open("LONGS", 5).await;
    let path = desk.accepted(1).await;
    let long = |number: usize| format!("{number}{}", "\u{1f600}".repeat(65_535));
    for number in 2..=7 {
        let (message, words) = (sid(number), long(number));
        let body = text(&message, "whatsapp:+393500000001", &words);
        let request = webhook(desk.account.receive_path.reveal(), "", &body, Some(AUTH_TOKEN));
        assert_eq!(desk.deployment.warm_receiver().handle(&request).await.status(), 200);
        let (event, _) = desk.deployment.store.event(&desk.account.id, &sid(number)).await.unwrap().unwrap();
        assert_eq!(event.queued().kind, InboundKind::Stored, "the queue gets only the id");
        desk.deployment.engine.route(&event).await.unwrap();
    }
    let (mut pages, mut found, mut after) = (0, Vec::new(), String::new());
    loop {
        let (status, page) = desk.anna().get(&format!("{path}/messages?limit=200{after}")).await;
        assert_eq!(status, 200);
        assert!(page.to_string().len() < 1_100_000);
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| (item["content"]["body"].as_str().unwrap().to_owned(), item.get("cut").cloned())));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected = std::iter::once("hello".to_owned()).chain((2..=7).map(long)).map(|body| (body, None));
    assert!(found == expected.collect::<Vec<_>>(), "{} messages", found.len());
    assert_eq!(pages, 2, "three long texts a page");
}

#[tokio::test]
async fn an_account_is_not_found_for_an_agent_outside_it() {
    let desk = Desk::open("OTHER", 5).await;
    let path = desk.accepted(1).await;
    desk.deployment.ready_agent("stranger", 5).await;
    let (anna, stranger) = (desk.anna(), desk.caller("stranger", &["agent"]));
    let before = anna.get(&path).await;
    let thread = anna.get(&format!("{path}/messages")).await.1;
    let message = thread["items"][0]["id"].as_str().unwrap();
    let document = serde_json::to_value(agent_api::openapi()).unwrap();
    let mut asked = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        let of_interaction = template.starts_with("/interactions/{id}");
        if !of_interaction && !template.starts_with("/accounts/{id}/") {
            continue;
        }
        let mine = if of_interaction { path.rsplit('/').next().unwrap() } else { desk.account.id.as_str() };
        let nowhere = if of_interaction { "int_00000000000000000000000000" } else { "acc_00000000000000000000000000" };
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            // These would be valid requests if the account were visible.
            let body = operation.get("requestBody").map(|_| match template.rsplit('/').next().unwrap() {
                "ai" => json!({"on": true}),
                "attachments" => json!({"name": "a.pdf", "content_type": "application/pdf", "size": 14}),
                "close" => json!({"disposition": "Done"}),
                "language" => json!({"language": "pt"}),
                "conversations" => json!({"phone": "+393500000042", "template": {"name": "HX1", "language": "it"}}),
                "messages" | "notes" => json!({"text": "hello"}),
                "reassign" | "transfer" => json!({"agent": desk.agents[1]}),
                "tags" => json!({"add": ["vip"]}),
                other => panic!("what is sent to {other}?"),
            });
            for id in [mine, nowhere] {
                let path = template.replace("{id}", id).replace("{message}", message).replace("{index}", "0");
                let (status, problem) = stranger.call(&method, &path, None, body.clone()).await;
                assert_eq!((status, &problem["type"]), (404, &json!("/problems/not-found")), "{method} {template}: {problem}");
                assert!(problem.get("interaction").is_none());
            }
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked} operations");
    assert_eq!(anna.get(&path).await, before, "nothing was changed");
}

#[tokio::test]
async fn a_hundred_offers_accepted_by_two_agents_at_the_same_instant_give_one_200_and_one_409_each() {
    let desk = Desk::open("RACES", 100).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    for number in 0..100 {
        let path = format!("{}/accept", desk.ring(number).await);
        let (annas, bens) = tokio::join!(anna.post(&path, json!({})), ben.post(&path, json!({})));
        let (loser, winner) = match (annas.0, bens.0) {
            (200, 409) => (bens.1, "anna"),
            (409, 200) => (annas.1, "ben"),
            both => panic!("{both:?}"),
        };
        let owner = &desk.agents[usize::from(winner == "ben")];
        assert_eq!((&loser["type"], &loser["owner"]), (&json!("/problems/offer-gone"), &json!(owner.as_str())), "{loser}");
        assert_eq!(loser["owner_name"], winner);
    }
}

#[tokio::test]
async fn accepting_a_taken_offer_is_a_409_that_names_the_owner() {
    let desk = Desk::open("TAKEN", 5).await;
    let path = desk.accepted(1).await;
    let (status, problem) = desk.ben().post(&format!("{path}/accept"), json!({})).await;
    assert_eq!((status, &problem["owner_name"]), (409, &json!("anna")));
    // Anna closes the tab. The next message is offered to her for the account's 10 s, and Ben does not get it.
    assert_eq!(desk.anna().call("DELETE", &format!("{path}/tab"), None, None).await.0, 200);
    let request = webhook(desk.account.receive_path.reveal(), "", &text(&sid(2), "whatsapp:+393500000001", "hello?"), Some(AUTH_TOKEN));
    desk.deployment.warm_receiver().handle(&request).await;
    desk.deployment.route_inbound().await;
    let (status, problem) = desk.ben().post(&format!("{path}/accept"), json!({})).await;
    assert_eq!((status, &problem["type"], &problem["owner_name"]), (409, &json!("/problems/offer-gone"), &json!("anna")));
    assert_eq!(desk.anna().post(&format!("{path}/accept"), json!({})).await.0, 200);
}

/// A clock that is one hour behind.
struct AnHourAgo;

impl World for AnHourAgo {
    fn now(&self) -> Timestamp {
        engine::ports::System.now() - SignedDuration::from_hours(1)
    }

    fn ulid(&self) -> ulid::Ulid {
        engine::ports::System.ulid()
    }

    async fn pause(&self, attempt: u32) {
        engine::ports::System.pause(attempt).await;
    }
}

#[tokio::test]
async fn an_expired_offer_is_a_409_until_the_plan_has_ended() {
    let desk = Desk::open("LATE2", 5).await;
    let Engine { store, directory, .. } = desk.deployment.engine.clone();
    // The offer rang for ten minutes, an hour ago, and its timer has not fired yet.
    let interaction = desk.ring_by(&Engine { store, directory, world: AnHourAgo }, 1).await;
    let accept = format!("/interactions/{interaction}/accept");
    let (status, problem) = desk.anna().post(&accept, json!({})).await;
    assert_eq!((status, &problem["type"], &problem["owner"]), (409, &json!("/problems/offer-gone"), &Value::Null), "{problem}");
    assert_eq!(problem["interaction"]["id"], json!(interaction));
    assert_eq!(desk.anna().get("/interactions").await.1["offers"], json!([]));
    let engine = &desk.deployment.engine;
    let key = engine.locate(&interaction).await.unwrap();
    let wait = engine.store.interaction(&key).await.unwrap().unwrap().wait.unwrap().id;
    let told = engine.tell(&key, Event::Timer(Timer::Wait { wait }), Idempotency::Guarded).await.unwrap();
    assert!(matches!(told, Told::Changed { .. }), "{told:?}");
    engine.wake(&Target::Queue(desk.queue.clone()), Reach::Far).await.unwrap();
    assert_eq!(desk.anna().post(&accept, json!({})).await.0, 200);
}

#[tokio::test]
async fn a_caller_without_a_good_token_gets_nothing_and_changes_nothing() {
    let desk = Desk::open("TOKEN", 5).await;
    let path = desk.ring(1).await;
    let another = StandIn::start().await.unwrap();
    let forgeries = desk.forgeries(&another, "anna", "agent").map(|(what, token)| (what, desk.with_token("/agent", token), 401));
    let others = [("nobody's", desk.caller("nobody", &["agent"]), 403), ("no role", desk.caller("anna", &["cleaner"]), 403)];
    for (what, caller, expected) in forgeries.into_iter().chain(others) {
        let (status, problem) = caller.post(&format!("{path}/accept"), json!({})).await;
        assert_eq!(status, expected, "{what}: {problem}");
    }
    let (_, mine) = desk.anna().get("/interactions").await;
    assert_eq!(mine["offers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_administrators_change_the_configuration() {
    let desk = Desk::open("ADMIN", 5).await;
    let admin = desk.administrator();
    let before = admin.get("/lists").await;
    assert_eq!((before.0, before.1["items"].as_array().unwrap().len()), (200, 1));
    let another = StandIn::start().await.unwrap();
    let forgeries = desk.forgeries(&another, "admin", "admin").map(|(what, token)| (what, token, 401));
    let others = ["agent", "supervisor"].map(|role| (role, desk.issuer.mint(role, &[role], Duration::from_secs(600)).unwrap(), 403));
    for (what, token, expected) in forgeries.into_iter().chain(others) {
        let (status, problem) = desk.with_token("/admin", token).post("/lists", json!({"name": what})).await;
        assert_eq!(status, expected, "{what}: {problem}");
    }
    assert_eq!(admin.get("/lists").await, before);
    assert_eq!(admin.post("/lists", json!({"name": "Prospects"})).await.0, 201);
}

#[tokio::test]
async fn an_invalid_account_is_refused_naming_the_field_and_nothing_is_written() {
    let desk = Desk::open("TAKEN", 5).await;
    let admin = desk.administrator();
    let good = json!({
        "name": "Sales",
        "key": "SALES",
        "list": desk.account.list,
        "provider": {"type": "TWILIO", "account_sid": format!("AC{}", "b".repeat(32)), "auth_token": "s3cret-t0ken"},
        "phone": "+390612345679",
        "agents": desk.agents,
        "plan": [{"step": "queue", "queue": desk.queue, "timeout": 60}, {"step": "agent", "agent": desk.agents[0]}],
        "settings": {},
    });
    let before = admin.get("/accounts").await;
    let nowhere = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (pointer, bad, field) in [
        ("/key", json!("SALE"), "key"),
        ("/key", json!("SALES1"), "key"),
        ("/key", json!("SAL-S"), "key"),
        ("/key", json!("TAKEN"), "key"),
        ("/key", json!(12345), "key"),
        ("/phone", json!("0612345679"), "phone"),
        ("/settings/wait_for_assigned_agent", json!(0), "settings.wait_for_assigned_agent"),
        ("/settings/wait_for_assigned_agent", json!(2_147_484), "settings.wait_for_assigned_agent"),
        ("/settings/wait_for_assigned_queue", json!(0), "settings.wait_for_assigned_queue"),
        ("/settings/wait_for_assigned_queue", json!("10"), "settings.wait_for_assigned_queue"),
        ("/plan/0/timeout", json!(0), "plan[0].timeout"),
        ("/plan/0/queue", json!(format!("que_{nowhere}")), "plan[0].queue"),
        ("/plan/1/agent", json!(format!("agt_{nowhere}")), "plan[1].agent"),
        ("/agents/1", json!(format!("agt_{nowhere}")), "agents[1]"),
        ("/list", json!(format!("lst_{nowhere}")), "list"),
        ("/colour", json!("green"), "colour"),
    ] {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match body.pointer_mut(parent).unwrap() {
            Value::Array(values) => values[name.parse::<usize>().unwrap()] = bad.clone(),
            object => object[name] = bad.clone(),
        }
        let (status, problem) = admin.post("/accounts", body).await;
        let fields: Vec<_> = problem["errors"].as_array().into_iter().flatten().map(|error| &error["field"]).collect();
        assert_eq!((status, fields), (422, vec![&json!(field)]), "{pointer} {bad}: {problem}");
        assert!(!problem.to_string().contains("s3cret"), "{problem}");
    }
    assert_eq!(admin.get("/accounts").await, before);
    let (status, made) = admin.post("/accounts", good).await;
    assert_eq!(status, 201, "{made}");
    let (_, listed) = admin.get("/accounts").await;
    assert!(!made.to_string().contains("s3cret") && !listed.to_string().contains("s3cret"));
}

#[tokio::test]
async fn each_api_serves_its_description_without_a_token() {
    let desk = Desk::open("PAPER", 5).await;
    for (base, documented) in [
        ("/agent", agent_api::openapi()),
        ("/supervisor", supervisor_api::openapi()),
        ("/assist", assist_api::openapi()),
        ("/admin", admin_api::openapi()),
    ] {
        let (status, served) = desk.with_token(base, String::new()).get("/openapi.json").await;
        let documented = serde_json::to_value(documented).unwrap();
        assert_eq!((status, &served["openapi"], &served["paths"]), (200, &json!("3.1.0"), &documented["paths"]));
        for (path, item) in served["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let (status, problem) = desk.with_token(base, String::new()).call(&method.to_uppercase(), path, None, None).await;
                assert_eq!(status, 401, "{method} {path}: {problem}");
            }
        }
    }
}

#[tokio::test]
async fn another_accounts_interaction_does_not_exist_for_an_agent_and_is_readable_for_a_supervisor() {
    let desk = Desk::open("OTHER", 5).await;
    let path = desk.ring(1).await;
    let stranger = desk.deployment.ready_agent("stranger", 5).await;
    assert!(!desk.account.agents.contains(&stranger));
    let caller = desk.caller("stranger", &["agent"]);
    for (method, path) in
        [("GET", path.clone()), ("POST", format!("{path}/accept")), ("GET", format!("{path}/messages")), ("PUT", format!("{path}/tab"))]
    {
        assert_eq!(caller.call(method, &path, None, None).await.0, 404, "{method} {path}");
    }
    for nowhere in ["/interactions/x", "/interactions/int_01ARZ3NDEKTSV4RRFFQ69G5FAV", "/nothing"] {
        assert_eq!(desk.anna().get(nowhere).await.0, 404, "{nowhere}");
    }
    assert_eq!(desk.caller("stranger", &["supervisor"]).get(&path).await.0, 200);
}

#[tokio::test]
async fn a_message_posted_twice_with_the_same_key_is_sent_once() {
    let desk = Desk::open("TWICE", 5).await;
    let path = format!("{}/messages", desk.accepted(1).await);
    let anna = desk.anna();
    let post = || anna.call("POST", &path, Some("key-1"), Some(json!({"text": "once"})));
    let (first, second) = tokio::join!(post(), post());
    let third = post().await;
    for answer in [&first, &second, &third] {
        assert_eq!(answer.0, 201, "{}", answer.1);
        assert_eq!(answer.1["id"], first.1["id"]);
    }
    let (_, thread) = anna.get(&path).await;
    assert_eq!(thread["items"].as_array().unwrap().len(), 2, "{thread}");
    assert_eq!(anna.call("POST", &path, Some("key-2"), Some(json!({"text": "once"}))).await.0, 201);
    assert_eq!(anna.get(&path).await.1["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_message_comes_back_with_the_id_that_its_client_gave_it() {
    let desk = Desk::open("OWNID", 5).await;
    let path = desk.accepted(1).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    let say = async |what: &str, body: Value| anna.call("POST", &format!("{path}/{what}"), Some("key-1"), Some(body)).await;
    let (first, second) = (json!({"text": "hello", "client_id": "7c1d"}), json!({"text": "again", "client_id": "7c1d"}));
    for (what, body) in [("messages", &first), ("messages", &first), ("notes", &second)] {
        let (status, said) = say(what, body.clone()).await;
        assert_eq!((status, &said["client_id"]), (201, &json!("7c1d")), "{said}");
    }
    // Another client may choose the same one, and most choose none.
    let (status, said) = ben.post(&format!("{path}/notes"), second).await;
    assert_eq!((status, &said["client_id"]), (201, &json!("7c1d")), "{said}");
    let conversation = json!({"phone": "+393500000046", "template": {"name": "HX1", "language": "it"}, "client_id": "c"});
    let (status, started) = anna.post(&format!("/accounts/{}/conversations", desk.account.id), conversation).await;
    assert_eq!((status, &started["message"]["client_id"]), (201, &json!("c")), "{started}");
    let thread = anna.get(&format!("{path}/messages")).await.1;
    let ids: Vec<_> = thread["items"].as_array().unwrap().iter().map(|it| it["client_id"].clone()).collect();
    assert_eq!(ids, [json!(null), json!("7c1d"), json!("7c1d"), json!("7c1d")], "{thread}");
    for what in ["messages", "notes"] {
        let (status, problem) = anna.post(&format!("{path}/{what}"), json!({"text": "hello", "client_id": "a b"})).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("client_id")), "{problem}");
    }
}

#[tokio::test]
async fn an_interaction_remembers_eight_commands_and_others_leave_a_mark() {
    let desk = Desk::open("MARKS", 5).await;
    let path = format!("{}/messages", desk.accepted(1).await);
    let marks = async || {
        let items = desk.deployment.aws.dynamodb().scan().table_name("interactions").send().await.unwrap().items.unwrap();
        items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with("CMD#")).count()
    };
    let before = marks().await;
    let say = async |key: Option<&str>, text: &str| desk.anna().call("POST", &path, key, Some(json!({"text": text}))).await;
    assert_eq!(say(None, "without a key").await.0, 201);
    let mut ids = Vec::new();
    for number in 1..=9 {
        let (status, said) = say(Some(&format!("key-{number}")), "hello").await;
        assert_eq!((status, marks().await), (201, before + usize::from(number == 9)), "{said}");
        ids.push(said["id"].clone());
    }
    for number in [1, 8, 9] {
        let key = format!("key-{number}");
        let (status, again) = say(Some(&key), "hello").await;
        assert_eq!((status, &again["id"]), (201, &ids[number - 1]), "{again}");
        let (status, problem) = say(Some(&key), "hello again").await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("Idempotency-Key")), "{problem}");
    }
    assert_eq!(desk.anna().get(&path).await.1["items"].as_array().unwrap().len(), 11, "the customer's, and ten of the agent");
}

#[tokio::test]
async fn a_key_of_a_presence_command_is_refused_with_another_state() {
    let desk = Desk::open("STATE", 5).await;
    let set = async |state: Value| desk.anna().call("PUT", "/presence", Some("key-1"), Some(state)).await;
    assert_eq!(set(json!({"state": "paused", "reason": "Lunch"})).await.0, 200);
    assert_eq!(set(json!({"reason": "Lunch", "state": "paused"})).await.0, 200);
    let (status, problem) = set(json!({"state": "ready"})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("Idempotency-Key")), "{problem}");
}

#[tokio::test]
async fn a_free_text_outside_the_24_hour_window_is_refused_before_it_is_sent() {
    let desk = Desk::open("LATE1", 5).await;
    let path = desk.accepted_long_ago().await;
    let anna = desk.anna();
    let (status, problem) = anna.post(&format!("{path}/messages"), json!({"text": "hello"})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/window-expired")), "{problem}");
    assert_eq!(anna.get(&format!("{path}/messages")).await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_agent_at_capacity_or_on_a_pause_can_not_accept() {
    let desk = Desk::open("FULL1", 1).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    desk.accepted(1).await;
    let second = format!("{}/accept", desk.ring(2).await);
    let (status, problem) = anna.post(&second, json!({})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/at-capacity")), "{problem}");
    assert_eq!(ben.call("PUT", "/presence", None, Some(json!({"state": "paused", "reason": "Lunch"}))).await.0, 200);
    let (status, problem) = ben.post(&second, json!({})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/not-ready")), "{problem}");
    assert_eq!(ben.get("/interactions").await.1["offers"], json!([]));
    assert_eq!(ben.call("PUT", "/presence", None, Some(json!({"state": "ready"}))).await.0, 200);
    assert_eq!(ben.post(&second, json!({})).await.0, 200);
}

#[tokio::test]
async fn a_malformed_request_gets_a_problem_that_names_the_field() {
    let desk = Desk::open("WRONG", 5).await;
    let path = desk.accepted(1).await;
    let anna = desk.anna();
    for (path, body, status, field) in [
        (format!("{path}/messages"), json!({}), 422, "text"),
        (format!("{path}/messages"), json!({"text": ""}), 422, "text"),
        (format!("{path}/messages"), json!({"text": "x".repeat(1601)}), 422, "text"),
        (format!("{path}/messages"), json!({"text": 1}), 422, "text"),
        (format!("{path}/messages"), json!({"text": "x", "to": "+1"}), 422, "to"),
        (format!("{path}/close"), json!({"disposition": 1}), 422, "disposition"),
        (format!("{path}/close"), json!({"disposition": "Complaint/Delivery/Late/Again"}), 422, "disposition"),
    ] {
        let (answered, problem) = anna.post(&path, body).await;
        assert_eq!((answered, &problem["errors"][0]["field"]), (status, &json!(field)), "{problem}");
    }
    let huge = json!({"text": "x".repeat(300_000)});
    assert_eq!(anna.post(&format!("{path}/messages"), huge).await.0, 413);
    assert_eq!(anna.call("PUT", "/presence", Some(&"k".repeat(129)), Some(json!({"state": "ready"}))).await.0, 422);
    assert_eq!(anna.call("DELETE", "/presence", None, None).await.0, 405);
}

#[tokio::test]
async fn concurrent_appends_leave_no_gap_in_a_feed_and_a_repeated_event_is_there_once() {
    let desk = Desk::open("FEED1", 5).await;
    let (store, agent) = (&desk.deployment.store, &desk.agents[0]);
    append_each_twice(store, agent, 0..12).await;
    assert_eq!(feed_of(&desk, "after=0&limit=500").await, ((1..=12).collect(), 12));
    assert_eq!(feed_of(&desk, "after=10").await, (vec![11, 12], 12));
    // An hour later, the version before is gone. The next event raises the floor, and the following are plain writes.
    let passed = desk.deployment.aws.dynamodb().update_item().table_name("interactions");
    let key = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let passed = passed.key("pk", key(format!("FEED#{agent}"))).key("sk", key("HEAD".to_owned()));
    passed.update_expression("REMOVE shared_since").send().await.unwrap();
    append_each_twice(store, agent, 12..24).await;
    append_each_twice(store, agent, 0..24).await;
    assert_eq!(feed_of(&desk, "after=0&limit=500").await, ((1..=24).collect(), 24));
    assert_eq!(feed_of(&desk, "after=24").await, (Vec::new(), 24));
    assert_eq!(feed_of(&desk, "after=22&limit=1").await, (vec![23], 24));
    assert_eq!(store.last_event(agent, Timestamp::now()).await.unwrap(), 24);
    // A client that never was here, or that was given another place, begins anew.
    let (_, behind) = desk.anna().get("/events?after=256").await;
    assert_eq!((&behind["items"][0]["event"], &behind["items"][0]["seq"]), (&json!({"type": "expired"}), &json!(24)));
}

/// Appends an event for each number, each twice, all at once.
async fn append_each_twice(store: &store::Interactions, agent: &AgentId, numbers: std::ops::Range<u32>) {
    let event = AgentEvent::Presence { state: PresenceWord::Ready, reason: None, since: None, by: None, by_name: None };
    let ids: Vec<String> = numbers.clone().chain(numbers).map(|number| format!("effect-{number}")).collect();
    // What was committed before the test began is found too.
    let committed_at = Some(Timestamp::now() - SignedDuration::from_mins(10));
    let append = |id| store.append(agent, store::CausedBy { effect: id, committed_at }, &event, None, Timestamp::now());
    // An append that loses too often is retried, as its queue would do.
    let _ = futures_util::future::join_all(ids.iter().map(|id| append(id))).await;
    for id in &ids {
        append(id).await.unwrap();
    }
}

/// The numbers of a page of Anna's feed, and the last one.
async fn feed_of(desk: &Desk, query: &str) -> (Vec<u64>, u64) {
    let (status, body) = desk.anna().get(&format!("/events?{query}")).await;
    assert_eq!(status, 200);
    let numbers = body["items"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap());
    (numbers.collect(), body["last"].as_u64().unwrap())
}

#[tokio::test]
async fn a_ticket_opens_one_socket_within_30_seconds() {
    let desk = Desk::open("TICKT", 5).await;
    let (status, ticket) = desk.anna().post("/tickets", json!({})).await;
    assert_eq!(status, 201);
    let hash_of = |ticket: &Value| cloud::digest::sha256_hex(ticket["ticket"].as_str().unwrap());
    let now = Timestamp::now();
    let hash = hash_of(&ticket);
    let store = &desk.deployment.store;
    let (one, two) = tokio::join!(store.take_ticket(&hash, now), store.take_ticket(&hash, now));
    let taken: Vec<_> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
    assert_eq!(taken, [desk.agents[0].clone()]);
    let (_, late) = desk.anna().post("/tickets", json!({})).await;
    assert_eq!(store.take_ticket(&hash_of(&late), now + SignedDuration::from_secs(31)).await.unwrap(), None);
}

/// The calls of `POST /accounts`.
const CALLS: [&str; 4] =
    ["DynamoDB_20120810.GetItem", "DynamoDB_20120810.Query", "secretsmanager.CreateSecret", "DynamoDB_20120810.TransactWriteItems"];

#[tokio::test]
async fn an_account_that_cannot_be_made_now_is_503_and_the_same_request_completes_later() {
    let desk = Desk::open("BUSY0", 5).await;
    let proxy = &desk.deployment.proxy;
    let body = |key: &str| {
        let provider = json!({"type": "TWILIO", "account_sid": format!("AC{}", "a".repeat(32)), "auth_token": "t0ken"});
        json!({"name": "Sales", "key": key, "list": desk.account.list, "provider": provider, "phone": "+390612345678", "agents": [desk.agents[0]]})
    };
    let make = async |key: &str| {
        let caller = Caller { router: desk.fresh_routers()["/admin"].clone(), ..desk.administrator() };
        caller.post("/accounts", body(key)).await
    };
    for (call, target) in CALLS.iter().enumerate() {
        for (how, when) in [When::Throttled, When::Before, When::After].into_iter().enumerate() {
            let key = format!("BU{call}{how}Y");
            proxy.fail(target, when);
            let (status, problem) = make(&key).await;
            proxy.heal();
            assert_eq!((status, &problem["type"]), (503, &json!("/problems/unavailable")), "{target} {when:?}");
            let (status, answer) = make(&key).await;
            // The answer of the write itself was lost: the account is there, and the refusal says so.
            let is_there = when == When::After && target.ends_with("TransactWriteItems");
            assert_eq!(status, if is_there { 422 } else { 201 }, "{target} {when:?} {answer}");
            assert!(!is_there || answer["errors"][0]["field"] == "key", "{answer}");
        }
    }
    // An answer that is lost once: the second attempt of the SDK meets the secret of the first.
    proxy.fail_some("secretsmanager.CreateSecret", When::Retried, 0, 1);
    let (status, account) = make("BUSYZ").await;
    assert_eq!(status, 201, "{account}");
    let secrets = cloud::secrets::SecretStore::from_env(&desk.deployment.aws, &desk.deployment.env).unwrap();
    let id: domain::ids::AccountId = account["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(secrets.current::<Value>(&id).await.unwrap().value, json!({"auth_token": "t0ken"}));
}
