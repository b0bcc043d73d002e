//! What a conversation costs, counted through the deployed template in the units that AWS bills. Each step has a
//! limit, so nobody makes it dearer unseen. The table:
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
use local::client::{Api, Customer};
use local::demo::{self, Demo, Story};
use local::deploy::{Deployment, Stack};
use local::engine::Engine;
use local::meter::{Meter, Usage};
use local::standin::{self, StandIn};
use reqwest::Method;
use serde_json::{Value, json};

/// Nothing has been asked of AWS for so long: a step and all that follows from it is over.
const QUIET: Duration = Duration::from_millis(1500);

/// The time limit for any step on a busy machine. Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The messages each way of the short chat.
const EACH_WAY: u64 = 5;

/// The most that one time of a step may cost, in write units and in requests that send to queues.
struct Limit {
    writes: u64,
    sends: u64,
}

/// A conversation whose steps are counted.
struct Counted {
    meter: Meter,
    standin: StandIn,
    demo: Demo,
    agent: Api,
    commands: u32,
    /// What each step used, and how often it was done.
    steps: Vec<(&'static str, u64, Usage)>,
}

impl Counted {
    async fn step(&mut self, name: &'static str, times: u64) -> Usage {
        let usage = self.meter.settled(QUIET).await;
        self.steps.push((name, times, usage.clone()));
        usage
    }

    /// A command with a key, as a client sends it that may have to repeat it.
    async fn command(&mut self, method: Method, path: &str, body: &Value) -> Value {
        self.commands += 1;
        let key = format!("command {}", self.commands);
        let reply = self.agent.call_with(method, path, &[("idempotency-key", &key)], Some(body)).await.unwrap();
        reply.ok().unwrap()
    }

    async fn offered(&self) -> String {
        let asked = async {
            loop {
                let offers = self.agent.get("/interactions").await.unwrap()["offers"].clone();
                if let Some(id) = offers[0]["id"].as_str() {
                    return format!("/interactions/{id}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap()
    }

    fn print(&self) {
        println!("\n{:<36} {:>6} {:>9} {:>6} {:>6} {:>6}  by item", "", "writes", "cancelled", "trans.", "reads", "sends");
        for (name, times, usage) in &self.steps {
            let each = |count: u64| count as f64 / *times as f64;
            let kinds: Vec<String> = usage.by_kind.iter().map(|(kind, units)| format!("{kind} {}", each(*units))).collect();
            println!(
                "{name:<36} {:>6.1} {:>9.1} {:>6.1} {:>6.1} {:>6.1}  {}",
                each(usage.writes),
                each(usage.cancelled),
                each(usage.transactions),
                usage.reads() / *times as f64,
                each(usage.sends),
                kinds.join(", ")
            );
            let reads: Vec<String> =
                usage.half_reads_by_kind.iter().map(|(kind, halves)| format!("{kind} {}", each(*halves) / 2.0)).collect();
            println!("{:<36} reads: {}", "", reads.join(", "));
            let largest: Vec<String> = usage.largest.iter().map(|(kind, bytes)| format!("{kind} {bytes}")).collect();
            println!("{:<36} largest: {}", "", largest.join(", "));
        }
    }
}

/// Each step costs no more than this. The limits are what was counted when they were set. The sums of reports are left
/// out: they are written 75 s later, in the midst of whatever step, and once a minute for however many conversations.
fn within(usage: &Usage, times: u64, limit: &Limit, name: &str) {
    let writes = usage.writes - usage.by_kind.get("ROLL").copied().unwrap_or_default();
    assert!(writes <= limit.writes * times, "{name}: {writes} write units for {times}, not {} each", limit.writes);
    assert!(usage.sends <= limit.sends * times, "{name}: {} sends for {times}, not {} each", usage.sends, limit.sends);
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
    let _screen = agent.connect().await.unwrap();
    let line = demo.account(demo::ACCOUNT_KEY).unwrap().customer.account.clone();
    let customer = Customer::new(&standin, &line, "+393339999901");
    let mut counted = Counted { meter, standin, demo, agent, commands: 0, steps: Vec::new() };
    // The first conversation warms the functions, whose caches are empty.
    let first = Customer::new(&counted.standin, &line, "+393339999900");
    chat(&mut counted, &first, 1).await;
    settle_feed(&engine, &stack, &counted.demo.agents[0].id).await;
    // The next event raises the feed's floor for 256 events, which would count in one of the steps.
    chat(&mut counted, &first, 1).await;
    counted.steps.clear();

    chat(&mut counted, &customer, EACH_WAY).await;
    let whole = counted.steps.iter().fold(Usage::default(), |mut all, (_, _, usage)| {
        all += usage;
        all
    });
    counted.steps.push(("a message of this conversation", 2 * EACH_WAY, whole.clone()));

    customer.text(&"A long text. ".repeat(1_500)).await.unwrap().expect_status(200).unwrap();
    let path = counted.offered().await;
    counted.step("an opening text of 19,500 characters", 1).await;
    counted.command(Method::POST, &format!("{path}/accept"), &json!({})).await;
    counted.command(Method::PUT, &format!("{path}/tab"), &json!({})).await;
    counted.meter.settled(QUIET).await;
    let picture = counted.standin.add_file(&line, "image/png", Some("receipt.png"), standin::PICTURE).unwrap();
    customer.file("see", &picture).await.unwrap().expect_status(200).unwrap();
    counted.step("a picture", 1).await;
    counted.command(Method::PUT, &format!("{path}/tab"), &json!({})).await;
    let tab = counted.step("an open tab is opened again", 1).await;
    let ben = counted.demo.agents[1].id.clone();
    counted.command(Method::POST, &format!("{path}/transfer"), &json!({ "agent": ben })).await;
    counted.step("a transfer to an agent", 1).await;

    counted.print();
    assert_eq!(tab.writes, 0, "nothing changed");
    let limits = [
        ("an opening message", 35, 8),
        ("accept and open the tab", 16, 6),
        ("a message of the customer", 8, 2),
        ("a message of the agent", 9, 3),
        ("its three statuses", 5, 5),
        ("close", 13, 6),
        ("a message of this conversation", 17, 7),
    ];
    for (name, writes, sends) in limits {
        let (_, times, usage) = counted.steps.iter().find(|(step, ..)| *step == name).unwrap();
        within(usage, *times, &Limit { writes, sends }, name);
    }
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
    update.expression_attribute_values(":then", AttributeValue::N("1".to_owned())).send().await.unwrap();
}

/// A chat from the first message to its end.
async fn chat(counted: &mut Counted, customer: &Customer, each_way: u64) {
    counted.meter.settled(QUIET).await;
    customer.text("Good morning, where is my order?").await.unwrap().expect_status(200).unwrap();
    let path = counted.offered().await;
    counted.step("an opening message", 1).await;
    counted.command(Method::POST, &format!("{path}/accept"), &json!({})).await;
    counted.command(Method::PUT, &format!("{path}/tab"), &json!({})).await;
    counted.step("accept and open the tab", 1).await;
    // One by one, as people write.
    let mut heard = Usage::default();
    for number in 1..each_way {
        customer.text(&format!("It has the number 47{number} and was to come on Monday.")).await.unwrap().expect_status(200).unwrap();
        heard += &counted.meter.settled(QUIET).await;
    }
    if each_way > 1 {
        counted.steps.push(("a message of the customer", each_way - 1, heard));
    }
    let (mut said, mut reported) = (Usage::default(), Usage::default());
    for number in 0..each_way {
        counted.standin.hold_callbacks(true);
        let text = format!("Let me see. Part {number} of it left our house yesterday.");
        counted.command(Method::POST, &format!("{path}/messages"), &json!({ "text": text })).await;
        said += &counted.meter.settled(QUIET).await;
        counted.standin.hold_callbacks(false);
        reported += &counted.meter.settled(QUIET).await;
    }
    counted.steps.push(("a message of the agent", each_way, said));
    counted.steps.push(("its three statuses", each_way, reported));
    counted.command(Method::POST, &format!("{path}/close"), &json!({})).await;
    counted.step("close", 1).await;
}
