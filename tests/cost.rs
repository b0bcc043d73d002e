//! What a conversation costs, counted through the deployed template in the units that AWS bills, and how many calls
//! wait for each other on its way. Each step has a limit, so nobody makes it dearer unseen. The table:
//!
//! ```sh
//! cargo test --package local --test cost -- --nocapture
//! ```

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use cloud::aws::Aws;
use cloud::config::Env;
use local::client::{Api, Customer, Socket};
use local::demo::{self, Demo, Story};
use local::deploy::{Deployment, Stack};
use local::engine::Engine;
use local::meter::{Call, Meter, Purpose, Usage, in_sequence};
use local::standin::{self, Account, StandIn};
use reqwest::Method;
use serde_json::{Value, json};

/// Nothing has been asked of AWS for so long: a step and all that follows from it is over.
const QUIET: Duration = Duration::from_millis(1500);

/// The time limit for any step on a busy machine. Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The messages each way of the short chat.
const EACH_WAY: u64 = 5;

/// How many customers write at the same time, and how many messages go each way, where batches and caches are counted.
/// As many messages as in the short chat, so that a message bears the same part of its conversation.
const TOGETHER: (u32, u64) = (10, EACH_WAY);

/// What a process that has just started reads of the configuration, and one that runs has cached: how many units of
/// these kinds are left out of a step. A busy engine starts a second process of a function.
const COLD: (&[&str], f64) = (&["account", "list", "queue", "trigger"], 8.0);

/// The most that one time of a step may cost: write units, read units, and requests that send to queues.
type Limit = (u64, f64, u64);

/// As the console gives each of its messages.
const CLIENT_ID: &str = "8c0f2a7e-5a34-4f3e-9f0e-3a2f3c1d5b6a";

/// A way's name, and each function on it with the call by which the next one hears of it.
type Way = (&'static str, &'static [(&'static str, &'static str)]);

/// Ways through the functions whose calls in sequence are counted: for each function the call by which the next one
/// hears of it. The meter does not see the last call, which goes to a socket or to a provider.
const WAYS: [Way; 3] = [
    (
        "from the webhook to the offer",
        &[
            ("receive-twilio", "SendMessage"),
            ("route", "TransactWriteItems"),
            ("dispatch", "AssignQueue"),
            ("assign", "TransactWriteItems"),
            ("dispatch", "PushQueue"),
            ("push", "FEED CONN"),
        ],
    ),
    (
        "from the webhook to the open tab",
        &[("receive-twilio", "SendMessage"), ("route", "TransactWriteItems"), ("dispatch", "PushQueue"), ("push", "FEED CONN")],
    ),
    (
        "from the reply to the provider",
        &[("agent-api", "TransactWriteItems"), ("dispatch", "OutboundQueue"), ("send", "UpdateItem CONV MSG")],
    ),
];

/// What a step used.
struct Step {
    name: &'static str,
    /// How often it was done.
    times: u64,
    usage: Usage,
    /// Requests to the HTTP API: webhooks and commands.
    requests: u64,
}

/// A conversation whose steps are counted.
struct Counted {
    meter: Meter,
    standin: StandIn,
    demo: Demo,
    agent: Api,
    screen: Socket,
    commands: u32,
    requests: u64,
    steps: Vec<Step>,
    /// The calls of each time that a way was gone, by its place in [`WAYS`].
    gone: [Vec<Vec<Call>>; WAYS.len()],
}

impl Counted {
    fn went(&mut self, way: usize, usage: &Usage) {
        self.gone[way].push(usage.calls.clone());
    }

    async fn step(&mut self, name: &'static str, times: u64) -> Usage {
        let usage = self.meter.settled(QUIET).await;
        self.steps.push(Step { name, times, usage: usage.clone(), requests: std::mem::take(&mut self.requests) });
        usage
    }

    /// Lets all that follows from what was done so far be over, and counts it nowhere.
    async fn settle(&mut self) {
        self.meter.settled(QUIET).await;
        self.requests = 0;
    }

    async fn writes(&mut self, customer: &Customer, text: &str) {
        self.requests += 1;
        customer.text(text).await.unwrap().expect_status(200).unwrap();
    }

    /// A command with a key, as a client sends it that may have to repeat it.
    async fn command(&mut self, method: Method, path: &str, body: &Value) -> Value {
        self.commands += 1;
        self.requests += 1;
        let key = format!("command {}", self.commands);
        let reply = self.agent.call_with(method, path, &[("idempotency-key", &key)], Some(body)).await.unwrap();
        reply.ok().unwrap()
    }

    /// The paths of the next offers on the agent's screen. The screen is told of them, so nothing is asked that a step
    /// would count.
    async fn all_offered(&mut self, count: usize) -> Vec<String> {
        let mut paths = Vec::new();
        for _ in 0..count {
            let offered = self.screen.wait_for(PATIENCE, |said| said["event"]["type"] == "offered").await.unwrap();
            paths.push(format!("/interactions/{}", offered["event"]["interaction"]["id"].as_str().unwrap()));
        }
        paths
    }

    async fn offered(&mut self) -> String {
        self.all_offered(1).await.remove(0)
    }

    fn print(&self) {
        println!(
            "\n{:<42} {:>6} {:>9} {:>6} {:>6} {:>6} {:>8} {:>8} {:>7}  by item",
            "", "writes", "cancelled", "trans.", "reads", "sends", "messages", "streamed", "HTTP"
        );
        for Step { name, times, usage, requests } in &self.steps {
            let each = |count: u64| count as f64 / *times as f64;
            let kinds: Vec<String> = usage.by_kind.iter().map(|(kind, units)| format!("{kind} {:.1}", each(*units))).collect();
            println!(
                "{name:<42} {:>6.1} {:>9.1} {:>6.1} {:>6.1} {:>6.1} {:>8.1} {:>8.1} {:>7.1}  {}",
                each(usage.writes),
                each(usage.cancelled),
                each(usage.transactions),
                usage.reads() / *times as f64,
                each(usage.sends),
                each(usage.messages),
                each(usage.streamed),
                each(*requests),
                kinds.join(", ")
            );
            let reads: Vec<String> =
                usage.half_reads_by_kind().into_iter().map(|(kind, halves)| format!("{kind} {:.1}", each(halves) / 2.0)).collect();
            println!("{:<42} reads: {}", "", reads.join(", "));
            let asked = usage.half_reads_by_function.iter();
            let asked: Vec<String> =
                asked.map(|((function, kind), halves)| format!("{function} {kind} {:.1}", each(*halves) / 2.0)).collect();
            println!("{:<42} by function: {}", "", asked.join(", "));
            for (purpose, named) in Purpose::ALL {
                let share = usage.share(purpose);
                if share != Default::default() {
                    println!(
                        "{:<42} {:>6.1} {:>9} {:>6} {:>6.1} {:>6.1} {:>8.1} {:>8.1}  {named}",
                        "",
                        each(share.writes),
                        "",
                        "",
                        share.reads() / *times as f64,
                        each(share.sends),
                        each(share.messages),
                        each(share.streamed)
                    );
                }
            }
            let functions: Vec<String> =
                usage.by_function.iter().map(|(function, units)| format!("{function} {:.1}", each(*units))).collect();
            println!("{:<42} message path's writes: {}", "", functions.join(", "));
            let largest: Vec<String> = usage.largest.iter().map(|(kind, bytes)| format!("{kind} {bytes}")).collect();
            println!("{:<42} largest: {}", "", largest.join(", "));
        }
    }
}

/// A step costs no more than this: the message path alone, and with all that was built on its items. The limits are
/// what was counted when they were set. Reads may be half more: a busy machine takes longer than a cache lives. The
/// sums of reports are left out: they are written 75 s later, in the midst of whatever step, and once a minute for
/// however many conversations.
fn within(step: &Step, alone: Limit, whole: Limit) {
    let Step { name, times, usage, .. } = step;
    let own = usage.share(Purpose::Messages);
    let sums = usage.by_kind.get("ROLL").copied().unwrap_or_default();
    let used = [(own.writes, own.reads(), own.sends), (usage.writes - sums, usage.reads(), usage.sends)];
    let by_kind = usage.half_reads_by_kind();
    let cold: u64 = COLD.0.iter().filter_map(|kind| by_kind.get(kind)).sum();
    let cold = (cold as f64 / 2.0).min(COLD.1);
    for ((writes, reads, sends), (limit, most_reads, most_sends), what) in
        [(used[0], alone, "on the message path"), (used[1], whole, "in all")]
    {
        assert!(writes <= limit * times, "{name}: {writes} write units for {times} {what}, not {limit} each");
        assert!(sends <= most_sends * times, "{name}: {sends} sends for {times} {what}, not {most_sends} each");
        let reads = (reads - cold) / *times as f64;
        assert!(reads <= most_reads * 1.5, "{name}: {reads} read units each {what}, not {most_reads}");
    }
}

/// The calls in sequence on each way that was gone: the fewest of all times, since on a busy machine calls that are
/// made at once may not overlap. Prints them.
fn sequences(gone: &[Vec<Vec<Call>>; WAYS.len()]) -> [usize; WAYS.len()] {
    println!("\ncalls in sequence, with the last one, to a socket or to the provider");
    let fewest = |((named, way), times): (&Way, &Vec<Vec<Call>>)| {
        let legs = times.iter().filter_map(|calls| in_sequence(calls, way)).min_by_key(|legs| legs.concat().len()).unwrap();
        println!("{named}: {}", legs.concat().len() + 1);
        for ((function, _), names) in way.iter().zip(&legs) {
            println!("  {function:<16} {}: {}", names.len(), names.join(", "));
        }
        legs.concat().len() + 1
    };
    let counted: Vec<usize> = WAYS.iter().zip(gone).map(fewest).collect();
    counted.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_of_a_conversation_costs_more_than_its_limit() {
    let (engine, meter) = Engine::start_metered(&local::private_folder(), "engine-cost").await.unwrap();
    let standin = StandIn::start().await.unwrap();
    let mut deployment = Deployment::new(&engine, "600000000001", Path::new(env!("CARGO_BIN_EXE_local"))).with_standin(&standin.url);
    deployment.stack = "cost";
    let stack = deployment.run().await.unwrap();
    let demo = demo::load(&mut Story::begin(), &stack, &standin).await.unwrap();
    let agent = Api::new(&demo.agent_url, &demo.agents[0].token);
    agent.put("/presence", &json!({"state": "ready"})).await.unwrap();
    let screen = agent.connect().await.unwrap();
    let line = demo.account(demo::ACCOUNT_KEY).unwrap().customer.account.clone();
    let customer = Customer::new(&standin, &line, "+393339999901");
    let mut counted =
        Counted { meter, standin, demo, agent, screen, commands: 0, requests: 0, steps: Vec::new(), gone: Default::default() };
    // The first conversation warms the functions, whose caches are empty.
    let first = Customer::new(&counted.standin, &line, "+393339999900");
    chat(&mut counted, &first, 1).await;
    settle_feed(&engine, &stack, &counted.demo.agents[0].id).await;
    // The next event raises the feed's floor for 256 events, which would count in one of the steps.
    chat(&mut counted, &first, 1).await;
    counted.steps.clear();

    chat(&mut counted, &customer, EACH_WAY).await;
    let (whole, requests) = counted.steps.iter().fold((Usage::default(), 0), |(mut all, requests), step| {
        all += &step.usage;
        (all, requests + step.requests)
    });
    counted.steps.push(Step { name: "a message of this conversation", times: 2 * EACH_WAY, usage: whole, requests });

    counted.writes(&customer, "And one more question.").await;
    let path = counted.offered().await;
    let opened = counted.step("an opening message of a known contact", 1).await;
    counted.went(0, &opened);
    counted.command(Method::POST, &format!("{path}/accept"), &json!({})).await;
    counted.command(Method::POST, &format!("{path}/close"), &json!({})).await;
    counted.settle().await;

    // While nothing waits and no timer runs.
    idle_hour(&mut counted, &stack).await;

    let second = Customer::new(&counted.standin, &line, "+393339999902");
    counted.writes(&second, &"A long text. ".repeat(1_500)).await;
    let path = counted.offered().await;
    counted.step("an opening text of 19,500 characters", 1).await;
    counted.command(Method::POST, &format!("{path}/accept"), &json!({})).await;
    counted.command(Method::PUT, &format!("{path}/tab"), &json!({})).await;
    counted.settle().await;
    let picture = counted.standin.add_file(&line, "image/png", Some("receipt.png"), standin::PICTURE).unwrap();
    second.file("see", &picture).await.unwrap().expect_status(200).unwrap();
    counted.requests += 1;
    counted.step("a picture", 1).await;
    counted.command(Method::PUT, &format!("{path}/tab"), &json!({})).await;
    let tab = counted.step("an open tab is opened again", 1).await;
    counted.standin.hold_callbacks(true);
    let template = json!({"template": {"name": "HX00000000000000000000000000000001", "language": "it", "body": ["Zoë"]}});
    counted.command(Method::POST, &format!("{path}/messages"), &template).await;
    counted.step("a template", 1).await;
    counted.standin.hold_callbacks(false);
    counted.settle().await;
    let ben = counted.demo.agents[1].id.clone();
    counted.command(Method::POST, &format!("{path}/transfer"), &json!({ "agent": ben })).await;
    counted.step("a transfer to an agent", 1).await;

    beepall(&mut counted, &line).await;
    // All feeds are as old as those of a deployment at work.
    for person in &counted.demo.agents {
        settle_feed(&engine, &stack, &person.id).await;
    }
    // How far they meet each other is chance, so it is printed and has no limit.
    together(&mut counted, &line).await;

    counted.print();
    assert_eq!(tab.writes, 0, "nothing changed");
    let in_sequence = sequences(&counted.gone);
    let step = |name: &str| counted.steps.iter().find(|step| step.name == name).unwrap();
    // The offer follows from the opening message by itself, so the functions tell one from the other.
    let by = |name: &str, functions: &[&str]| -> u64 {
        functions.iter().filter_map(|function| step(name).usage.by_function.get(*function)).sum()
    };
    let opening = by("an opening message", &["receive-twilio", "route"]);
    let offer = by("an opening message", &["assign", "push"]) + by("accept and open the tab", &["agent-api", "push"]);
    println!("\nwrite units on the message path: {opening} to open, {offer} to ring and to accept");
    assert!(opening <= 20 && offer <= 16);
    // Each with its limits on the message path alone and in all.
    let limits = [
        ("an opening message", (27, 8.5, 4), (35, 14.5, 8)),
        ("accept and open the tab", (9, 12.0, 3), (12, 15.0, 6)),
        ("a message of the customer", (8, 4.1, 2), (8, 4.1, 2)),
        ("a message of the agent", (8, 4.5, 2), (9, 5.0, 3)),
        ("its three statuses", (5, 6.3, 5), (6, 7.3, 7)),
        ("close", (10, 21.5, 3), (14, 25.5, 6)),
        ("a message of this conversation", (15, 11.2, 6), (17, 13.3, 8)),
        ("an opening message of a known contact", (25, 12.0, 4), (28, 18.0, 8)),
        ("a picture", (10, 11.0, 4), (10, 11.0, 4)),
        ("a template", (8, 7.0, 2), (9, 15.0, 4)),
        ("a transfer to an agent", (7, 6.5, 3), (7, 6.5, 3)),
        ("an opening message that rings three agents", (39, 19.5, 4), (47, 25.5, 8)),
        ("one of the three accepts", (21, 12.0, 3), (24, 15.0, 6)),
        ("an hour in which nobody writes", (0, 150.0, 0), (0, 150.0, 0)),
    ];
    for (name, alone, whole) in limits {
        within(step(name), alone, whole);
    }
    // What was counted before a message was made cheaper: 18, 12 and 10.
    for ((named, _), (calls, most)) in WAYS.iter().zip(in_sequence.into_iter().zip([18, 12, 10])) {
        assert!(calls <= most, "{named}: {calls} calls wait for each other, not {most}");
    }
}

/// A queue rings its three members at once.
async fn beepall(counted: &mut Counted, line: &Account) {
    let admin = Api::new(&counted.demo.admin_url, &counted.demo.admin_token);
    let carla = json!({"name": "Carla", "subject": "carla", "role": "agent", "whatsapp": true, "capacity": 5});
    let carla = admin.post("/agents", &carla).await.unwrap()["id"].as_str().unwrap().to_owned();
    for (path, list) in [
        (format!("/accounts/{}", counted.demo.account(demo::ACCOUNT_KEY).unwrap().id), "agents"),
        (format!("/queues/{}", counted.demo.queue), "members"),
    ] {
        change(&admin, &path, |record| record[list].as_array_mut().unwrap().push(json!(carla))).await;
    }
    let token = counted.standin.mint("carla", &["agent"], demo::TOKENS_LIVE).unwrap();
    let others = [counted.demo.agents[1].token.clone(), token].map(|token| Api::new(&counted.demo.agent_url, &token));
    let mut screens = Vec::new();
    for other in &others {
        other.put("/presence", &json!({"state": "ready"})).await.unwrap();
        screens.push(other.connect().await.unwrap());
    }
    // The first event of each feed costs more, and the configuration has just changed.
    for (number, names) in [(0, None), (1, Some(["an opening message that rings three agents", "one of the three accepts"]))] {
        counted.settle().await;
        let customer = Customer::new(&counted.standin, line, &format!("+39333999991{number}"));
        counted.writes(&customer, "Good morning, where is my order?").await;
        let path = counted.offered().await;
        match names {
            Some([rings, _]) => drop(counted.step(rings, 1).await),
            None => counted.settle().await,
        }
        counted.command(Method::POST, &format!("{path}/accept"), &json!({})).await;
        match names {
            Some([_, accepts]) => drop(counted.step(accepts, 1).await),
            None => counted.settle().await,
        }
        counted.command(Method::POST, &format!("{path}/close"), &json!({})).await;
    }
    for other in &others {
        other.put("/presence", &json!({"state": "paused", "reason": "Lunch"})).await.unwrap();
    }
    counted.settle().await;
}

/// What the schedules of an hour ask for while nobody writes.
async fn idle_hour(counted: &mut Counted, stack: &Stack) {
    let mut hour = Usage::default();
    // The first time of each reads what its cache lacks.
    for function in ["assign", "worker", "reconcile", "trigger"] {
        stack.invoke(function).await.unwrap();
    }
    counted.settle().await;
    for (function, times) in [("assign", 12), ("worker", 12), ("reconcile", 4), ("trigger", 60)] {
        // The fewest of three: the timer of an offer that was accepted long ago may come in the midst of one.
        let mut tries = Vec::new();
        for _ in 0..3 {
            stack.invoke(function).await.unwrap();
            tries.push(counted.meter.settled(QUIET).await);
        }
        let once = tries.into_iter().min_by(|one, other| one.reads().total_cmp(&other.reads())).unwrap();
        for _ in 0..times {
            hour += &once;
        }
    }
    counted.steps.push(Step { name: "an hour in which nobody writes", times: 1, usage: hour, requests: 0 });
}

/// Several conversations at the same time, where functions get batches and find their caches filled.
async fn together(counted: &mut Counted, line: &Account) {
    let (customers, each_way) = TOGETHER;
    let admin = Api::new(&counted.demo.admin_url, &counted.demo.admin_token);
    // Room for all of them beside what came back to her.
    let room = customers + 5;
    change(&admin, &format!("/agents/{}", counted.demo.agents[0].id), |agent| agent["capacity"] = json!(room)).await;
    counted.settle().await;
    let customers: Vec<_> = (0..customers).map(|number| Customer::new(&counted.standin, line, &format!("+39333999992{number}"))).collect();
    let write = async |text: &str| {
        let all = customers.iter().map(async |customer| customer.text(text).await.unwrap().expect_status(200).unwrap());
        futures_util::future::join_all(all).await;
    };
    write("Good morning, where is my order?").await;
    let paths = counted.all_offered(customers.len()).await;
    let agent = counted.agent.clone();
    let one = async |method: Method, of: &str, path: &str, name: &str, body: &Value| {
        let key = format!("{name} {of}");
        let reply = agent.call_with(method, &format!("{of}{path}"), &[("idempotency-key", &key)], Some(body)).await;
        reply.unwrap().ok().unwrap()
    };
    let command = async |method: Method, path: &str, name: &str, body: &Value| {
        let all = paths.iter().map(|of| one(method.clone(), of, path, name, body));
        futures_util::future::join_all(all).await;
    };
    // A person accepts and opens one after the other.
    for of in &paths {
        one(Method::POST, of, "/accept", "accept", &json!({})).await;
        one(Method::PUT, of, "/tab", "tab", &json!({})).await;
    }
    // All customers write at the same instant, and the agent answers all of them when she has seen what they wrote.
    // Both sides of a conversation at one instant are chance, and are not counted here.
    let screen = &mut counted.screen;
    let mut shown = async |wanted: &(dyn Fn(&Value) -> bool + Sync)| {
        for _ in &paths {
            screen.wait_for(PATIENCE, |said| wanted(&said["event"])).await.unwrap();
        }
    };
    for number in 0..each_way {
        if number > 0 {
            write(&format!("It has the number 47{number} and was to come on Monday.")).await;
            shown(&|event| event["type"] == "message" && event["message"]["author"]["kind"] == "customer").await;
        }
        let text = format!("Let me see. Part {number} of it left our house yesterday.");
        command(Method::POST, "/messages", &format!("message {number}"), &json!({ "text": text, "client_id": CLIENT_ID })).await;
        shown(&|event| event["type"] == "message_state" && event["message"]["state"] == "read").await;
    }
    counted.meter.quiet(QUIET).await;
    command(Method::POST, "/close", "close", &json!({})).await;
    let conversations = u64::try_from(customers.len()).unwrap();
    let messages = 2 * each_way * conversations;
    // A webhook or a command each, three webhooks for what was sent, and three commands for each conversation.
    counted.requests = messages + 3 * messages / 2 + 3 * conversations;
    counted.step("a message of ten conversations at once", messages).await;
}

async fn change(admin: &Api, path: &str, change: impl FnOnce(&mut Value)) {
    let mut record = admin.get(path).await.unwrap();
    change(&mut record);
    let tag = format!("\"{}\"", record["version"]);
    admin.call_with(Method::PUT, path, &[("if-match", &tag)], Some(&record)).await.unwrap().expect_status(200).unwrap();
}

/// Lets the first hour of an agent's feed be over, in which each event is also written as the version before wrote it.
async fn settle_feed(engine: &Engine, stack: &Stack, agent: &str) {
    let env = Env::from_pairs([
        ("AWS_REGION", local::deploy::REGION),
        ("AWS_ACCESS_KEY_ID", stack.account.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", engine.endpoint.as_str()),
    ]);
    let update = Aws::new(&env).unwrap().dynamodb().update_item().table_name(stack.output("InteractionsTable").unwrap());
    let update = update.key("pk", AttributeValue::S(format!("FEED#{agent}"))).key("sk", AttributeValue::S("HEAD".to_owned()));
    let update = update.update_expression("SET shared_since = :then").condition_expression("attribute_exists(shared_since)");
    // A feed without it is old already, or has not begun.
    let _ = update.expression_attribute_values(":then", AttributeValue::N("1".to_owned())).send().await;
}

/// A chat from the first message to its end.
async fn chat(counted: &mut Counted, customer: &Customer, each_way: u64) {
    counted.settle().await;
    counted.writes(customer, "Good morning, where is my order?").await;
    let path = counted.offered().await;
    let opened = counted.step("an opening message", 1).await;
    counted.went(0, &opened);
    counted.command(Method::POST, &format!("{path}/accept"), &json!({})).await;
    counted.command(Method::PUT, &format!("{path}/tab"), &json!({})).await;
    counted.step("accept and open the tab", 1).await;
    // One by one, as people write.
    let mut heard = Usage::default();
    for number in 1..each_way {
        counted.writes(customer, &format!("It has the number 47{number} and was to come on Monday.")).await;
        let once = counted.meter.settled(QUIET).await;
        counted.went(1, &once);
        heard += &once;
    }
    if each_way > 1 {
        let requests = std::mem::take(&mut counted.requests);
        counted.steps.push(Step { name: "a message of the customer", times: each_way - 1, usage: heard, requests });
    }
    let (mut said, mut reported) = (Usage::default(), Usage::default());
    for number in 0..each_way {
        counted.standin.hold_callbacks(true);
        let text = format!("Let me see. Part {number} of it left our house yesterday.");
        counted.command(Method::POST, &format!("{path}/messages"), &json!({ "text": text, "client_id": CLIENT_ID })).await;
        let once = counted.meter.settled(QUIET).await;
        counted.went(2, &once);
        said += &once;
        counted.standin.hold_callbacks(false);
        reported += &counted.meter.settled(QUIET).await;
    }
    let requests = std::mem::take(&mut counted.requests);
    counted.steps.push(Step { name: "a message of the agent", times: each_way, usage: said, requests });
    counted.steps.push(Step { name: "its three statuses", times: each_way, usage: reported, requests: 3 * each_way });
    counted.command(Method::POST, &format!("{path}/close"), &json!({})).await;
    counted.step("close", 1).await;
}
