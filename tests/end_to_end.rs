//! The whole product, deployed from the real template: incoming webhooks, the agents' API and WebSockets, a stand-in
//! for the provider, timers and dead-letter queues.
//!
//! Each test has its own deployment, on its own engine account.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod asked;
mod counting;
mod documented;
mod exchange;
mod handovers;
// Processes are found through Linux's `/proc`.
#[cfg(target_os = "linux")]
mod kills;
mod notifying;
mod rights;
mod summing;
mod triggers;

use std::path::Path;
use std::time::Duration;

use cloud::aws::Aws;
use cloud::config::Env;
use domain::account::Account;
use domain::effect::Target;
use domain::ids::AgentId;
use domain::screens::Screens;
use local::client::{Api, Customer, Reply, Socket};
use local::demo::{self, Connected, Demo, Person, Story};
use local::deploy::{Deployment, Stack};
use local::engine::Engine;
use local::standin::{self, Fault, Silence, StandIn, WINDOW_EXPIRED};
use reqwest::Method;
use serde_json::{Value, json};
use store::{Extra, OwedWakes, Write, Written};

/// The time limit for any step on a machine that is busy with other tests. Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A wait ends within a second of its deadline. Here all deployments share one engine and a busy machine. This limit
/// only separates a timer that fired from a missed one that the five-minute sweep replaced.
const LATE: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

struct World {
    standin: StandIn,
    stack: Stack,
    demo: Demo,
    engine: &'static Engine,
}

impl World {
    /// `number` distinguishes the deployments. The engine separates accounts, but not the processes of functions with
    /// the same name.
    async fn start(number: u8) -> Self {
        // A failed message returns soon, but not while a slow function is still working on it.
        Self::start_with(number, &[("VisibilityTimeout", "10")]).await
    }

    async fn start_with(number: u8, parameters: &[(&str, &str)]) -> Self {
        Self::start_beside(StandIn::start().await.unwrap(), number, parameters).await
    }

    async fn start_beside(standin: StandIn, number: u8, parameters: &[(&str, &str)]) -> Self {
        let engine = Engine::shared().await.unwrap();
        let (account, stack) = (format!("4000000000{number:02}"), format!("test{number}"));
        let mut deployment = Deployment::new(engine, &account, Path::new(env!("CARGO_BIN_EXE_local"))).with_standin(&standin.url);
        deployment.stack = &stack;
        for (name, value) in parameters {
            deployment = deployment.parameter(name, value);
        }
        let stack = deployment.run().await.unwrap();
        let demo = demo::load(&mut Story::begin(), &stack, &standin).await.unwrap();
        Self { standin, stack, demo, engine }
    }

    /// Starts with one more local origin, besides the stand-in's, that requests may reach.
    async fn start_allowing(number: u8, origin: &str) -> Self {
        let standin = StandIn::start().await.unwrap();
        let allowed = format!("{},{origin}", standin.url);
        // Two requests take ten seconds. No other test may start meanwhile.
        Self::start_beside(standin, number, &[("VisibilityTimeout", "60"), ("EgressAllowedOrigins", &allowed)]).await
    }

    fn admin(&self) -> Api {
        Api::new(&self.demo.admin_url, &self.demo.admin_token)
    }

    fn anna(&self) -> (Api, &Person) {
        let anna = &self.demo.agents[0];
        (Api::new(&self.demo.agent_url, &anna.token), anna)
    }

    fn ben(&self) -> (Api, &Person) {
        let ben = &self.demo.agents[1];
        (Api::new(&self.demo.agent_url, &ben.token), ben)
    }

    /// The demo's first account.
    fn account(&self) -> &Connected {
        self.demo.account(demo::ACCOUNT_KEY).unwrap()
    }

    /// Another customer of that account.
    fn customer(&self, phone: &str) -> Customer {
        Customer::new(&self.standin, &self.account().customer.account, phone)
    }

    /// Waits until a message has been routed to an interaction.
    async fn routed(&self, sid: &str) {
        let tables = ["InteractionsTable", "ConfigTable"].map(|name| self.stack.output(name).unwrap().to_owned());
        let [interactions, config] = tables;
        let store = store::Interactions::new(self.aws().dynamodb(), interactions, config);
        let account = self.account().id.parse().unwrap();
        until("the message is routed", async || store.event(&account, sid).await.unwrap().and_then(|(_, routed)| routed)).await;
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        self.aws().sqs()
    }

    fn aws(&self) -> Aws {
        let env = Env::from_pairs([
            ("AWS_REGION", local::deploy::REGION),
            ("AWS_ACCESS_KEY_ID", self.stack.account.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", self.engine.endpoint.as_str()),
        ]);
        Aws::new(&env).unwrap()
    }

    /// Changes the demo's first account.
    async fn change_account(&self, change: impl FnOnce(&mut Value)) {
        let admin = self.admin();
        let path = format!("/accounts/{}", self.account().id);
        let mut account = admin.get(&path).await.unwrap();
        change(&mut account);
        replace(&admin, &path, &account).await;
    }

    /// Changes the demo's queue.
    async fn change_queue(&self, change: impl FnOnce(&mut Value)) {
        let admin = self.admin();
        let listed = admin.get("/queues").await.unwrap();
        let mut queue = listed["items"][0].clone();
        change(&mut queue);
        replace(&admin, &format!("/queues/{}", queue["id"].as_str().unwrap()), &queue).await;
    }

    /// A customer writes, and Anna, who is ready, accepts. Returns the interaction's path.
    async fn accepted(&self, customer: &Customer) -> String {
        let (anna, _) = self.anna();
        anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
        customer.text("hello").await.unwrap().expect_status(200).unwrap();
        let offer = offer_of(&anna).await;
        let path = format!("/interactions/{}", offer["id"].as_str().unwrap());
        anna.post(&format!("{path}/accept"), &json!({})).await.unwrap();
        path
    }
}

async fn replace(admin: &Api, path: &str, body: &Value) {
    let tag = format!("\"{}\"", body["version"]);
    let reply = admin.call_with(Method::PUT, path, &[("if-match", &tag)], Some(body)).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// Repeats a request until there is a result.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// The first offer to an agent.
async fn offer_of(agent: &Api) -> Value {
    until("an offer", async || agent.get("/interactions").await.unwrap()["offers"].get(0).cloned()).await
}

/// The message of an interaction with the text `text`.
async fn message(agent: &Api, path: &str, text: &str) -> Value {
    let thread = agent.get(&format!("{path}/messages")).await.unwrap();
    let messages = thread["items"].as_array().unwrap();
    messages.iter().find(|message| message["content"]["body"] == text).cloned().unwrap_or_default()
}

async fn message_in_state(agent: &Api, path: &str, text: &str, state: &str) -> Value {
    let asked = async {
        loop {
            let message = message(agent, path, text).await;
            if message["state"] == state {
                return message;
            }
            println!("{text} is {}, not yet {state}", message["state"]);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{text} is not {state} within {PATIENCE:?}"))
}

async fn say(agent: &Api, path: &str, text: &str) -> Value {
    agent.post(&format!("{path}/messages"), &json!({ "text": text })).await.unwrap()
}

fn refused(reply: &Reply, status: u16, says: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    assert!(reply.body.to_string().contains(says), "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_from_the_first_message_to_the_transcript_and_wrong_webhooks_leave_no_trace() {
    let world = World::start(1).await;
    demo::play(&mut Story::begin(), &world.demo, &world.standin).await.unwrap();

    let customer = world.customer("+393339999991");
    let signed = customer.written("not signed").unwrap();
    let header = "X-Twilio-Signature";
    refused(&customer.deliver(&signed.clone().without_header(header)).await.unwrap(), 403, "x-twilio-signature");
    let forged = standin::twilio_signature("another token", &signed.url, &[]);
    refused(&customer.deliver(&signed.clone().with_header(header, &forged)).await.unwrap(), 403, "does not match");
    let mut lost = world.customer("+393339999992");
    lost.account.receive_url = format!("{}x", signed.url);
    refused(&lost.text("nobody's").await.unwrap(), 404, "not found");
    let json = local::http().post(&signed.url).header(header, "x").json(&json!({"Body": "x"})).send().await.unwrap();
    assert_eq!(json.status(), 415);
    let long = "x".repeat(1_100_000);
    refused(&customer.deliver(&customer.form("text", &[("Body", &long)]).unwrap()).await.unwrap(), 413, "longer");
    refused(&customer.deliver(&customer.form("text", &[("MessageSid", "")]).unwrap()).await.unwrap(), 400, "MessageSid");

    // None of them opened an interaction: the next offer is for a signed message, which is stored once although its
    // webhook came three times.
    let signed = customer.written("signed").unwrap();
    let (first, second) = tokio::join!(customer.deliver(&signed), customer.deliver(&signed));
    first.unwrap().expect_status(200).unwrap();
    second.unwrap().expect_status(200).unwrap();
    customer.deliver(&signed).await.unwrap().expect_status(200).unwrap();
    let (anna, _) = world.anna();
    let offer = offer_of(&anna).await;
    let path = format!("/interactions/{}", offer["id"].as_str().unwrap());
    let thread = anna.get(&format!("{path}/messages")).await.unwrap();
    assert_eq!(thread["items"].as_array().unwrap().len(), 1, "{thread}");
    assert_eq!(thread["items"][0]["content"]["body"], "signed");
    let mine = anna.get("/interactions").await.unwrap();
    assert_eq!(mine["offers"].as_array().unwrap().len(), 1, "{mine}");

    // The customer is in the index of contacts, which is kept behind the stream.
    let found = until("the contact in the index", async || {
        let found = anna.get("/contacts?q=39999991").await.unwrap();
        found["items"].get(0).cloned()
    });
    assert_eq!(found.await["phones"], json!(["+393339999991"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_faults_neither_lose_nor_double_nor_reorder_a_message() {
    let world = World::start(2).await;
    let (anna, _) = world.anna();
    let customer = world.customer("+393339999993");
    let path = world.accepted(&customer).await;

    // Rate limit: the first message waits, and the second does not overtake it.
    world.standin.next(Fault { status: Some(429), retry_after: Some(1), ..Fault::default() });
    say(&anna, &path, "first").await;
    say(&anna, &path, "second").await;
    message_in_state(&anna, &path, "second", "read").await;
    message_in_state(&anna, &path, "first", "read").await;
    let bodies = |standin: &StandIn| standin.sent().into_iter().map(|sent| sent.body).collect::<Vec<_>>();
    assert_eq!(bodies(&world.standin), ["first", "second"]);

    // The provider's 24-hour window is closed: the message failed, and shows why.
    world.standin.next(Fault { callback_error: Some(WINDOW_EXPIRED.into()), ..Fault::default() });
    say(&anna, &path, "too late").await;
    let failed = message_in_state(&anna, &path, "too late", "failed").await;
    assert_eq!((&failed["error"]["class"], &failed["error"]["code"]), (&json!("window_expired"), &json!("63016")));

    // Refused credentials: the message fails for good and is not retried forever.
    world.standin.next(Fault { status: Some(401), ..Fault::default() });
    say(&anna, &path, "refused").await;
    let failed = message_in_state(&anna, &path, "refused", "failed").await;
    assert_eq!(failed["error"]["class"], "authentication");

    // The provider accepted the message, but the response was lost. The provider's own report settles it, and nothing
    // is sent twice.
    world.standin.hold_callbacks(true);
    world.standin.next(Fault { fault: Some(Silence::Timeout), ..Fault::default() });
    say(&anna, &path, "answer lost").await;
    let doubtful = message_in_state(&anna, &path, "answer lost", "unknown").await;
    assert_eq!(doubtful["error"]["class"], "outcome_unknown");
    world.standin.hold_callbacks(false);
    message_in_state(&anna, &path, "answer lost", "read").await;
    say(&anna, &path, "last").await;
    message_in_state(&anna, &path, "last", "read").await;
    assert_eq!(bodies(&world.standin).iter().filter(|body| *body == "answer lost").count(), 1);

    // A 500 does not tell whether the message was accepted.
    world.standin.next(Fault { status: Some(500), ..Fault::default() });
    say(&anna, &path, "in doubt").await;
    let doubtful = message_in_state(&anna, &path, "in doubt", "unknown").await;
    assert_eq!(doubtful["error"]["class"], "outcome_unknown");

    // The provider fails to return an attachment once. It is copied all the same.
    let picture = world.standin.add_file(&customer.account, "image/png", Some("receipt.png"), standin::PICTURE).unwrap();
    world.standin.next(Fault { on: standin::On::Media, status: Some(503), ..Fault::default() });
    customer.file("see", &picture).await.unwrap().expect_status(200).unwrap();
    let copied = until("the copy", async || {
        let thread = anna.get(&format!("{path}/messages")).await.unwrap();
        let messages = thread["items"].as_array().unwrap().clone();
        messages.into_iter().find(|message| message["attachments"][0]["state"] == "stored")
    })
    .await;
    let attachment = anna.get(&format!("{path}/messages/{}/attachments/0", copied["id"].as_str().unwrap())).await.unwrap();
    let bytes = local::http().get(attachment["url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, standin::PICTURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_offer_moves_on_and_a_waiting_customer_is_offered_to_the_next_ready_agent() {
    let world = World::start(3).await;
    let ((anna, annas), (ben, bens)) = (world.anna(), world.ben());
    world
        .change_queue(|queue| {
            queue["strategy"] = json!("rrmemory");
            queue["agent_timeout"] = json!(2);
        })
        .await;
    world
        .change_account(|account| {
            account["settings"]["wait_for_assigned_agent"] = json!(1);
            account["settings"]["wait_for_assigned_queue"] = json!(1);
            account["plan"][0]["timeout"] = json!(600);
        })
        .await;

    // No agent is ready. As soon as Anna is, the interaction is offered to her.
    let customer = world.customer("+393339999994");
    customer.text("anybody?").await.unwrap().expect_status(200).unwrap();
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    let offer = offer_of(&anna).await;
    let path = format!("/interactions/{}", offer["id"].as_str().unwrap());
    // She ignores it. Ben has become ready meanwhile, and it is offered to him.
    let mut bens_screen: Socket = ben.connect().await.unwrap();
    ben.put("/presence", &json!({"state": "ready"})).await.unwrap();
    bens_screen.wait_for(PATIENCE, |event| event["event"]["type"] == "offered").await.unwrap();
    until("Ben is offered it and accepts", async || {
        let reply = ben.call(Method::POST, &format!("{path}/accept"), Some(&json!({}))).await.unwrap();
        (reply.status == 200).then_some(())
    })
    .await;
    let late = anna.call(Method::POST, &format!("{path}/accept"), Some(&json!({}))).await.unwrap();
    assert_eq!((late.status, &late.body["owner"]), (409, &json!(bens.id)), "{}", late.body);

    // Ben closes the tab and pauses. The next message waits for him for a second and for the queue for a second. Then
    // the plan finds Anna.
    ben.call(Method::DELETE, &format!("{path}/tab"), None).await.unwrap();
    ben.put("/presence", &json!({"state": "paused", "reason": "Lunch"})).await.unwrap();
    customer.text("still there?").await.unwrap().expect_status(200).unwrap();
    until("Anna accepts", async || {
        let reply = anna.call(Method::POST, &format!("{path}/accept"), Some(&json!({}))).await.unwrap();
        (reply.status == 200).then_some(())
    })
    .await;
    let history = anna.get(&format!("{path}/history")).await.unwrap();
    let told = history.to_string();
    for fact in ["assigned_agent", "timed_out", "offered", "accepted", annas.id.as_str(), bens.id.as_str()] {
        assert!(told.contains(fact), "{fact} is not in {history}");
    }
    // The wait took its full time and not much more.
    let at = |wanted: &dyn Fn(&Value) -> bool| {
        let entry = history["items"].as_array().unwrap().iter().find(|entry| wanted(entry)).unwrap_or_else(|| panic!("{history}"));
        entry["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    let began = at(&|entry| entry["fact"] == "wait_started" && entry["stage"]["stage"] == "assigned_agent");
    let ended = at(&|entry| entry["fact"] == "wait_ended" && entry["stage"]["stage"] == "assigned_agent");
    let lasted = began.duration_until(ended);
    assert!((jiff::SignedDuration::from_secs(1)..LATE).contains(&lasted), "{lasted:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_record_ends_in_its_dead_letter_queue_and_customers_notice_nothing() {
    let world = World::start_with(4, &[("VisibilityTimeout", "2"), ("MaxReceiveCount", "3")]).await;
    let sqs = world.sqs();
    for (queue, group) in [("InboundQueue", Some("poison")), ("TimersQueue", None), ("PushQueue", Some("poison")), ("MediaQueue", None)] {
        let send = sqs.send_message().queue_url(&world.stack.resources[queue]).message_body("not a job");
        let send = match group {
            Some(group) => send.message_group_id(group).message_deduplication_id(queue),
            None => send,
        };
        send.send().await.unwrap();
    }
    let path = world.accepted(&world.customer("+393339999995")).await;
    let (anna, _) = world.anna();
    say(&anna, &path, "all is well").await;
    message_in_state(&anna, &path, "all is well", "read").await;
    for dead in ["InboundDeadLetterQueue", "TimersDeadLetterQueue", "PushDeadLetterQueue"] {
        until(dead, async || {
            let received = sqs.receive_message().queue_url(&world.stack.resources[dead]).send().await.unwrap();
            received.messages().first().filter(|message| message.body() == Some("not a job")).map(|_| ())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_account_keeps_messages_and_routes_them_once_it_is_active() {
    let world = World::start(5).await;
    let (anna, _) = world.anna();
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    world.change_account(|account| account["active"] = json!(false)).await;
    let customer = world.customer("+393339999996");
    let night = customer.written("at night").unwrap();
    customer.deliver(&night).await.unwrap().expect_status(200).unwrap();
    world.routed(&night.id).await;
    assert_eq!(anna.get("/interactions").await.unwrap()["offers"], json!([]));
    world.change_account(|account| account["active"] = json!(true)).await;
    let offer = offer_of(&anna).await;
    assert_eq!(offer["customer_phone"], customer.from);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_sends_the_wakes_of_a_change_whose_writer_died() {
    let world = World::start(7).await;
    let path = world.accepted(&world.customer("+393339999920")).await;
    // Anna is removed from the account. The writer died two minutes ago, before it could send the wakes.
    let [config, interactions] = ["ConfigTable", "InteractionsTable"].map(|table| world.stack.output(table).unwrap());
    let configuration = store::Configuration::new(world.aws().dynamodb(), config, interactions);
    let (before, version) = configuration.get::<Account>(&world.account().id).await.unwrap().unwrap();
    let anna = world.anna().1.id.parse::<AgentId>().unwrap();
    let mut account = before.clone();
    account.agents.retain(|agent| *agent != anna);
    let id = cloud::ids::first_ulid_of(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(2)).to_string();
    let screens = Screens::of_account(Some(&before), Some(&account));
    let owed = OwedWakes { id, targets: vec![Target::Agent(anna)], screens };
    let written = configuration.put(&account, Write::Replace { before: &before, version }, vec![Extra::Wakes(owed)]).await.unwrap();
    assert!(matches!(written, Written::Done { .. }));
    world.stack.invoke("assign").await.unwrap();
    let (ben, _) = world.ben();
    until("Anna's interaction is nobody's", async || {
        let interaction = ben.get(&path).await.unwrap();
        interaction["agent"].is_null().then_some(())
    })
    .await;
    let latest = cloud::ids::ulid().to_string();
    until("nothing is owed", async || configuration.owed_wakes(&latest).await.unwrap().is_empty().then_some(())).await;
    // The writer owed her the word of it, too.
    let (anna, _) = world.anna();
    let told = async || anna.get("/events?limit=500").await.unwrap().to_string().contains(r#""configuration""#).then_some(());
    until("Anna is told", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_without_an_agent_waits_until_one_is_ready() {
    let world = World::start(6).await;
    let ((anna, _), (ben, _)) = (world.anna(), world.ben());
    // Longer than the offer and its rejection take on a busy machine: the plan must not run out between the two.
    world.change_account(|account| account["plan"][0]["timeout"] = json!(15)).await;
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    world.customer("+393339999997").text("anybody?").await.unwrap().expect_status(200).unwrap();
    // Anna rejects it, and no other agent is ready.
    let offer = offer_of(&anna).await;
    let path = format!("/interactions/{}", offer["id"].as_str().unwrap());
    anna.post(&format!("{path}/reject"), &json!({})).await.unwrap();
    let waits = until("the plan has run out", async || {
        let interaction = anna.get(&path).await.unwrap();
        (interaction["waits_on"] == "exhausted").then_some(interaction)
    })
    .await;
    assert_eq!((&waits["status"], &waits["unread"], &waits["agent"]), (&json!("open"), &json!(true), &Value::Null), "{waits}");
    let me = ben.get("/me").await.unwrap();
    let waiting = format!("/accounts/{}/interactions?waiting=true", me["accounts"][0]["id"].as_str().unwrap());
    assert_eq!(ben.get(&waiting).await.unwrap()["items"][0]["id"], offer["id"]);
    ben.put("/presence", &json!({"state": "ready"})).await.unwrap();
    assert_eq!(offer_of(&ben).await["id"], offer["id"]);
    ben.post(&format!("{path}/accept"), &json!({})).await.unwrap();
}
