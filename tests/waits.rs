//! Waits from a second to more than an hour, and lost connections, through the deployed template. Short waits use SQS
//! delays, long ones EventBridge Scheduler. The clock of the engine and of all functions is set ahead, so the test
//! does not take that long. The test starts its own server, so no other test delays it.

// The clock is set by a library that can be loaded this way only on Linux.
#![cfg(target_os = "linux")]
// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::time::Duration;

use cloud::aws::Aws;
use cloud::config::Env;
use jiff::{SignedDuration, Timestamp};
use local::client::Api;
use local::demo::{self, Story};
use local::deploy::Deployment;
use local::engine::Engine;
use local::standin::StandIn;
use reqwest::Method;
use serde_json::{Value, json};

/// The time limit for any step on a busy machine. Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What separates a timer that fired from one that was missed. It fires within a second where the machine is quiet, as
/// the printed times show; a busy one adds its own seconds.
const MISSED: SignedDuration = SignedDuration::from_secs(10);

/// In seconds. The longest SQS delay is 900 s.
const WAITS: [i64; 5] = [1, 10, 899, 901, 5_000];

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

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// When the wait of the plan's step should end, and when it did.
async fn wait_of(agent: &Api, interaction: &str) -> (Timestamp, Option<Timestamp>) {
    let history = agent.get(&format!("/interactions/{interaction}/history")).await.unwrap();
    let entry = |fact: &str| history["items"].as_array().unwrap().iter().find(|entry| entry["fact"] == fact).cloned();
    let started = entry("wait_started").unwrap();
    let ended = entry("wait_ended").inspect(|ended| assert_eq!(ended["why"], "timed_out", "{ended}"));
    (time(&started["until"]), ended.map(|ended| time(&ended["at"])))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wait_ends_within_a_second_of_its_deadline_and_a_lost_connection_is_a_logout_after_half_a_minute() {
    let (engine, clock) = Engine::start_with_clock(&local::private_folder(), "engine-waits").await.unwrap();
    let standin = StandIn::start().await.unwrap();
    let mut deployment = Deployment::new(&engine, "500000000001", Path::new(env!("CARGO_BIN_EXE_local"))).with_standin(&standin.url);
    deployment.stack = "waits";
    let stack = deployment.run().await.unwrap();
    let demo = demo::load(&mut Story::begin(), &stack, &standin).await.unwrap();
    let admin = Api::new(&demo.admin_url, &demo.admin_token);
    let anna = &Api::new(&demo.agent_url, &demo.agents[0].token);

    // Anna loses one of two connections, and Ben his only one. He is logged out half a minute later, and not before.
    // She stays logged in.
    let ben = &Api::new(&demo.agent_url, &demo.agents[1].token);
    let state = async |agent: &Api| agent.get("/presence").await.unwrap()["state"].as_str().unwrap().to_owned();
    for agent in [anna, ben] {
        agent.put("/presence", &json!({"state": "ready"})).await.unwrap();
    }
    let (kept, lost, only) = (anna.connect().await.unwrap(), anna.connect().await.unwrap(), ben.connect().await.unwrap());
    lost.close().await.unwrap();
    only.close().await.unwrap();
    let closed_at = Timestamp::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((state(anna).await, state(ben).await), ("ready".to_owned(), "ready".to_owned()));
    clock.set(27).unwrap();
    until("Ben's logout", async || (state(ben).await == "logged_out").then_some(())).await;
    let gone = time(&ben.get("/presence").await.unwrap()["since"]).duration_since(closed_at);
    println!("Ben was logged out {gone:#} after his connection was lost.");
    let due = SignedDuration::from_secs(29);
    assert!(gone >= due && gone < due + MISSED, "{gone:#}");
    assert_eq!(state(anna).await, "ready");

    // A connection whose end is not reported is detected by the first event that it does not accept.
    let store = {
        let env = Env::from_pairs([
            ("AWS_REGION", local::deploy::REGION),
            ("AWS_ACCESS_KEY_ID", stack.account.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", engine.endpoint.as_str()),
        ]);
        let tables = ["InteractionsTable", "ConfigTable"].map(|name| stack.output(name).unwrap());
        store::Interactions::new(Aws::new(&env).unwrap().dynamodb(), tables[0], tables[1])
    };
    let ghost = store::Connection {
        id: "ghost".to_owned(),
        agent: demo.agents[1].id.parse().unwrap(),
        opened_at: Timestamp::now() - SignedDuration::from_mins(1),
        expires_at: Timestamp::now() + SignedDuration::from_hours(2),
    };
    ben.put("/presence", &json!({"state": "ready"})).await.unwrap();
    store.connect(&ghost).await.unwrap();
    ben.put("/presence", &json!({"state": "paused", "reason": "Lunch"})).await.unwrap();
    until("the ghost's end", async || store.connection_owner("ghost").await.unwrap().is_none().then_some(())).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(state(ben).await, "paused");
    clock.set(60).unwrap();
    until("Ben's second logout", async || (state(ben).await == "logged_out").then_some(())).await;

    // Each account waits as long as its entry in the list says. No agent is ready.
    for (account, wait) in demo.accounts.iter().zip(WAITS) {
        let path = format!("/accounts/{}", account.id);
        let mut body = admin.get(&path).await.unwrap();
        body["plan"][0]["timeout"] = json!(wait);
        let tag = format!("\"{}\"", body["version"]);
        assert_eq!(admin.call_with(Method::PUT, &path, &[("if-match", &tag)], Some(&body)).await.unwrap().status, 200);
    }
    for account in &demo.accounts {
        account.customer.text("anybody?").await.unwrap().expect_status(200).unwrap();
    }
    // The wait of one second may end before the test looks. The interaction is offered all the same once the plan has
    // ended.
    let offers = until("five offers", async || {
        let offers = anna.get("/interactions").await.unwrap()["offers"].as_array().unwrap().clone();
        (offers.len() == WAITS.len()).then_some(offers)
    })
    .await;
    for (account, wait) in demo.accounts.iter().zip(WAITS) {
        let offer = offers.iter().find(|offer| offer["account"] == account.id.as_str()).unwrap();
        let interaction = offer["id"].as_str().unwrap();
        let (deadline, _) = wait_of(anna, interaction).await;
        assert_eq!(deadline.duration_since(time(&offer["opened_at"])), SignedDuration::from_secs(wait));
        // The schedule of a long wait fires two minutes before its end, and the rest becomes a delay.
        let stations: &[i64] = if wait > 900 {
            &[-119, -2]
        } else if wait > 10 {
            &[-2]
        } else {
            &[]
        };
        for seconds in stations {
            let goal = deadline + SignedDuration::from_secs(*seconds);
            clock.set(goal.duration_since(Timestamp::now()).as_secs().max(0)).unwrap();
            // Time for the schedule's message to arrive.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let (_, ended) = wait_of(anna, interaction).await;
            assert!(ended.is_none_or(|ended| ended >= deadline), "a wait of {wait} s ended before its time");
        }
        let ended = until(&format!("the end of {wait} s"), async || wait_of(anna, interaction).await.1).await;
        let late = ended.duration_since(deadline);
        println!("A wait of {wait} s ended {late:#} after its deadline.");
        assert!(late >= SignedDuration::ZERO && late < MISSED, "a wait of {wait} s ended {late:#} after its deadline");
    }
    kept.close().await.unwrap();
}
