//! Functions that die in the middle of a batch, by SIGKILL. Afterwards everything is done, and nothing twice. The
//! test starts its own server, and the server's log shows which deaths fell into an invocation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use local::client::{Api, Customer};
use local::demo::{self, Story};
use local::deploy::Deployment;
use local::engine::Engine;
use local::standin::{PICTURE, StandIn};
use local::template::Template;
use reqwest::Method;
use serde_json::{Value, json};

/// The time limit for any step on a busy machine. Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

const STACK: &str = "kills";

/// How often each function dies during an invocation.
const DEATHS: usize = 2;

struct Desk {
    anna: Api,
    standin: StandIn,
    customers: Vec<Customer>,
    /// The messages of each customer, in order.
    written: Vec<Vec<String>>,
    /// Anna's replies.
    answers: Vec<String>,
    /// All interactions that Anna has had, with the customer's number.
    had: BTreeMap<String, String>,
}

impl Desk {
    /// All customers write. Anna accepts each offer, replies, and closes one interaction.
    async fn round(&mut self, name: &str) {
        let picture = self.standin.add_file(&self.customers[0].account, "image/png", None, PICTURE).unwrap();
        for (customer, written) in self.customers.iter().zip(&mut self.written) {
            let text = format!("{name} of {}", customer.from);
            // A provider repeats a webhook that was not accepted.
            let webhook = self.standin.write(&customer.account, &customer.from, "Zoë", &text, Some(&picture)).unwrap();
            while customer.deliver(&webhook).await.unwrap().status != 200 {}
            written.push(text);
        }
        self.accept().await;
        let mine = self.anna.get("/interactions").await.unwrap()["interactions"].as_array().unwrap().clone();
        for interaction in &mine {
            let path = format!("/interactions/{}", interaction["id"].as_str().unwrap());
            let answer = format!("answer to {name} in {path}");
            let sent = self.anna.call(Method::POST, &format!("{path}/messages"), Some(&json!({"text": answer}))).await.unwrap();
            assert_eq!(sent.status, 201, "{}", sent.body);
            self.answers.push(answer);
        }
        if let Some(interaction) = mine.first() {
            let path = format!("/interactions/{}/close", interaction["id"].as_str().unwrap());
            self.anna.post(&path, &json!({})).await.unwrap();
        }
    }

    async fn accept(&mut self) {
        let offers = self.anna.get("/interactions").await.unwrap()["offers"].as_array().unwrap().clone();
        for offer in offers {
            let id = offer["id"].as_str().unwrap().to_owned();
            let accepted = self.anna.call(Method::POST, &format!("/interactions/{id}/accept"), None).await.unwrap();
            if accepted.status == 200 {
                self.had.insert(id, offer["customer_phone"].as_str().unwrap().to_owned());
            }
        }
    }

    /// The messages of all interactions that Anna has had.
    async fn threads(&self) -> BTreeMap<&str, Vec<Value>> {
        let mut threads: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        // Ids sort by time.
        for (id, phone) in &self.had {
            let mut path = format!("/interactions/{id}/messages?limit=200");
            loop {
                let page = self.anna.get(&path).await.unwrap();
                threads.entry(phone).or_default().extend(page["items"].as_array().unwrap().iter().cloned());
                let Some(next) = page["next"].as_str() else { break };
                path = format!("/interactions/{id}/messages?limit=200&after={next}");
            }
        }
        threads
    }

    /// The remaining work, if any. Panics if anything was done twice.
    async fn undone(&mut self, in_doubt: bool) -> Option<String> {
        self.accept().await;
        let threads = self.threads().await;
        for (customer, written) in self.customers.iter().zip(&self.written) {
            let thread = threads.get(customer.from.as_str()).map(Vec::as_slice).unwrap_or_default();
            let from_customer: Vec<&Value> = thread.iter().filter(|message| message["author"]["kind"] == "customer").collect();
            let texts: Vec<&str> = from_customer.iter().map(|message| message["content"]["caption"].as_str().unwrap()).collect();
            if texts.len() < written.len() {
                return Some(format!("{} of {} messages of {}", texts.len(), written.len(), customer.from));
            }
            assert_eq!(texts, *written, "every message once, in order");
            if let Some(message) = from_customer.iter().find(|message| message["attachments"][0]["state"] != "stored") {
                return Some(format!("the picture of {message}"));
            }
        }
        let taken: Vec<String> = self.standin.sent().into_iter().map(|sent| sent.body).collect();
        let sent: Vec<&Value> = threads.values().flatten().filter(|message| message["author"]["kind"] == "agent").collect();
        assert_eq!(sent.len(), self.answers.len(), "every answer is in its thread once");
        for message in sent {
            let (text, state) = (message["content"]["body"].as_str().unwrap(), message["state"].as_str().unwrap());
            let times = taken.iter().filter(|body| *body == text).count();
            assert!(times <= 1, "sent {times} times: {text}");
            match (state, times) {
                ("read", 1) => {}
                // The sender died during the request. The outcome is unknown, so the message is not sent again.
                ("unknown", 0) if in_doubt => {}
                _ => return Some(format!("{text} is {state}")),
            }
        }
        for id in self.had.keys() {
            let closed = self.anna.get(&format!("/interactions/{id}")).await.unwrap()["status"] == "closed";
            let transcript = format!("/interactions/{id}/transcript?attachments=true");
            if closed && self.anna.call(Method::GET, &transcript, None).await.unwrap().status != 200 {
                return Some(format!("the transcript of {id}"));
            }
        }
        self.unseen(&threads).await
    }

    /// The messages that are missing in Anna's feed. The feed has no gaps and has each message once.
    async fn unseen(&self, threads: &BTreeMap<&str, Vec<Value>>) -> Option<String> {
        let (mut told, mut last): (BTreeMap<String, usize>, u64) = (BTreeMap::new(), 0);
        loop {
            let page = self.anna.get(&format!("/events?after={last}&limit=500")).await.unwrap();
            for event in page["items"].as_array().unwrap() {
                assert_eq!(event["seq"], last + 1, "the feed has a gap");
                last += 1;
                if event["event"]["type"] == "message" {
                    *told.entry(event["event"]["message"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
                }
            }
            if page["last"] == last {
                break;
            }
        }
        assert!(told.values().all(|times| *times == 1), "a message was shown twice: {told:?}");
        let mut answers = threads.values().flatten().filter(|message| message["author"]["kind"] == "agent");
        let unseen = answers.find(|message| !told.contains_key(message["id"].as_str().unwrap()));
        unseen.map(|message| format!("{message} in the feed"))
    }
}

/// The processes of a function.
fn processes(function: &str) -> Vec<String> {
    let marker = format!("AWS_LAMBDA_FUNCTION_NAME={STACK}-{function}\0").into_bytes();
    let is_it = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(marker.len()).any(|part| part == marker)
    };
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    all.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(is_it).collect()
}

/// How many invocations of a function ended with its process.
fn deaths(log: &Path, function: &str) -> usize {
    let says = format!("Lambda {STACK}-{function}: Runtime exited before returning a response");
    std::fs::read_to_string(log).unwrap_or_default().matches(&says).count()
}

/// Kills a function repeatedly until enough deaths fell into an invocation.
fn kill(log: &Path, function: &'static str) -> Arc<AtomicBool> {
    let (over, log) = (Arc::new(AtomicBool::new(false)), log.to_owned());
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        // Delays from shortly after the start of an invocation to long after it.
        let mut pauses = [7, 23, 61, 11, 140, 37, 260, 17, 90].into_iter().cycle();
        while deaths(&log, function) < DEATHS && !told.load(Ordering::Relaxed) {
            for pid in processes(function) {
                let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
            }
            std::thread::sleep(Duration::from_millis(pauses.next().unwrap()));
        }
        told.store(true, Ordering::Relaxed);
    });
    over
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_dies_in_the_middle_of_a_batch_loses_nothing_and_does_nothing_twice() {
    let engine = Engine::start(&local::private_folder(), "engine-kills").await.unwrap();
    let standin = StandIn::start().await.unwrap();
    let deployment = Deployment::new(&engine, "500000000002", Path::new(env!("CARGO_BIN_EXE_local"))).with_standin(&standin.url);
    // Messages that a dead process had received return soon.
    let mut deployment = deployment.parameter("VisibilityTimeout", "2");
    deployment.stack = STACK;
    let stack = deployment.run().await.unwrap();
    let demo = demo::load(&mut Story::begin(), &stack, &standin).await.unwrap();
    let (admin, account) = (Api::new(&demo.admin_url, &demo.admin_token), demo.account(demo::ACCOUNT_KEY).unwrap());
    let path = format!("/accounts/{}", account.id);
    let mut body = admin.get(&path).await.unwrap();
    let mut queue = body["plan"][0].clone();
    queue["timeout"] = json!(600);
    // This address does not answer, which stops nothing.
    body["plan"] = json!([{"step": "webhook", "url": standin.jwks_url()}, queue]);
    let tag = format!("\"{}\"", body["version"]);
    assert_eq!(admin.call_with(Method::PUT, &path, &[("if-match", &tag)], Some(&body)).await.unwrap().status, 200);

    let anna = Api::new(&demo.agent_url, &demo.agents[0].token);
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    let customers: Vec<Customer> =
        (0..3).map(|number| Customer::new(&standin, &account.customer.account, &format!("+39333000000{number}"))).collect();
    let written = vec![Vec::new(); customers.len()];
    let mut desk = Desk { anna, standin, customers, written, answers: Vec::new(), had: BTreeMap::new() };
    let mut in_doubt = false;
    let template = Template::read().unwrap();
    let fed = template.fed();
    // No conversation leads to `worker`, `trigger` and `assist`, and `index` is asked for new customers only. Their
    // own tests let them die at every call, or do everything again.
    let apart = ["worker", "trigger", "assist", "index"];
    for function in local::functions::NAMES.iter().copied().filter(|name| fed.contains(name) && !apart.contains(name)) {
        in_doubt |= function == "send";
        let (began, over) = (Instant::now(), kill(&engine.log, function));
        let mut rounds = 0;
        while !over.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
            rounds += 1;
            desk.round(&format!("{function} {rounds}")).await;
        }
        over.store(true, Ordering::Relaxed);
        let died = deaths(&engine.log, function);
        assert!(died >= DEATHS, "{function} died only {died} times in the middle of something, in {rounds} rounds");
        let mut undone = None;
        let calm = Instant::now();
        while calm.elapsed() < PATIENCE {
            undone = desk.undone(in_doubt).await;
            if undone.is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(undone, None, "after the deaths of {function}");
        println!("{function} died {died} times in {rounds} rounds; {:.1} s.", began.elapsed().as_secs_f64());
    }
}
