//! The demo: one account, two agents, one queue, made through the admin API; then a customer's conversation through real HTTP and
//! WebSocket, from the first message to the downloaded transcript.

use std::io::Cursor;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Api, Customer, Socket};
use crate::deploy::Stack;
use crate::standin::{self, PICTURE, StandIn};

/// The demo account's key.
pub const ACCOUNT_KEY: &str = "DEMO1";

/// Between the states of a sent message, so that a person sees them come.
pub const CALLBACK_DELAY: Duration = Duration::from_millis(300);

/// A working day.
pub const TOKENS_LIVE: Duration = Duration::from_secs(8 * 3600);

const PHONE: &str = "+390612345678";
const CUSTOMER: &str = "+393331234567";

/// A step takes a second or two when everything is warm; the first calls also start the functions, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(45);

/// Tells what happens, with the time that it took.
#[derive(Debug)]
pub struct Story {
    began: Instant,
    last: Instant,
}

impl Story {
    /// Begins now.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now }
    }

    /// Tells what has just happened.
    pub fn tell(&mut self, words: &str) {
        println!("  {:>6.2} s  {words}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    /// Does a step and tells it.
    ///
    /// # Errors
    /// The step failed; the error begins with its words.
    pub async fn step<T>(&mut self, words: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
        let done = step.await.with_context(|| format!("step failed: {words}"))?;
        self.tell(words);
        Ok(done)
    }

    /// Since it began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// What the demo is made of.
pub struct Demo {
    /// The agent API's base.
    pub agent_url: String,
    /// The admin API's base.
    pub admin_url: String,
    /// An administrator's token.
    pub admin_token: String,
    /// Anna and Ben.
    pub agents: Vec<Person>,
    /// Who writes.
    pub customer: Customer,
}

/// An agent of the demo.
pub struct Person {
    /// `anna`.
    pub name: String,
    /// `agt_…`.
    pub id: String,
    /// For the agent API.
    pub token: String,
    api: Api,
}

/// Makes the demo's configuration through the admin API.
///
/// # Errors
/// The admin API refused something, and says what.
pub async fn load(story: &mut Story, stack: &Stack, standin: &StandIn) -> Result<Demo> {
    println!("\nAn administrator prepares the demo:");
    let agent_url = format!("{}/agent", stack.public_url);
    let admin_url = format!("{}/admin", stack.public_url);
    let admin_token = standin.mint("admin", &["admin"], TOKENS_LIVE)?;
    let admin = Api::new(&admin_url, &admin_token);

    let owner = Api::new(&admin_url, &standin.mint("owner", &["owner"], TOKENS_LIVE)?);
    story
        .step("The people who oversee are known.", async {
            for role in ["owner", "admin", "supervisor"] {
                created(&owner, "/agents", &json!({"name": role, "subject": role, "role": role, "whatsapp": false})).await?;
            }
            Ok(())
        })
        .await?;

    let mut agents = Vec::new();
    for (name, shown) in [("anna", "Anna"), ("ben", "Ben")] {
        let words = format!("The agent {shown} is added.");
        let body = json!({"name": shown, "subject": name, "role": "agent", "whatsapp": true, "capacity": 5});
        let id = story.step(&words, created(&admin, "/agents", &body)).await?;
        let token = standin.mint(name, &["agent"], TOKENS_LIVE)?;
        agents.push(Person { name: name.to_owned(), id, api: Api::new(&agent_url, &token), token });
    }
    let ids: Vec<_> = agents.iter().map(|agent| agent.id.clone()).collect();

    let queue = json!({"name": "Support", "strategy": "beepall", "agent_timeout": 15, "weight": 0, "members": ids});
    let queue = story.step("A queue rings both at once.", created(&admin, "/queues", &queue)).await?;
    let list = story.step("A contact list is made.", created(&admin, "/lists", &json!({"name": "Customers"}))).await?;

    let account_sid = standin::sid("AC");
    let auth_token = standin::sid("");
    standin.add_account(&account_sid, &auth_token);
    let account = json!({
        "name": "Demo",
        "key": ACCOUNT_KEY,
        "list": list,
        "provider": {"type": "TWILIO", "account_sid": account_sid, "auth_token": auth_token},
        "phone": PHONE,
        "active": true,
        "agents": ids,
        "plan": [{"step": "queue", "queue": queue, "timeout": 60}],
    });
    let account = story.step("The WhatsApp number is connected.", admin.post("/accounts", &account)).await?;
    ensure!(!account.to_string().contains(&auth_token), "the answer shows the secret");
    let receive_url = account["receive_url"].as_str().context("the account has no receive_url")?;
    let customer = Customer::new(receive_url, &account_sid, &auth_token, PHONE, CUSTOMER);
    Ok(Demo { agent_url, admin_url, admin_token, agents, customer })
}

async fn created(admin: &Api, path: &str, body: &Value) -> Result<String> {
    let made = admin.post(path, body).await?;
    Ok(made["id"].as_str().context("the answer has no id")?.to_owned())
}

/// Plays the conversation.
///
/// # Errors
/// A step failed; the error says which and why.
pub async fn play(story: &mut Story, demo: &Demo, standin: &StandIn) -> Result<()> {
    let [anna, ben] = demo.agents.as_slice() else { anyhow::bail!("the demo has two agents") };
    let customer = &demo.customer;
    println!("\nA customer writes:");
    let mut annas = story.step("Anna logs in and is ready; her screen is connected.", log_in(anna)).await?;
    let mut bens = story.step("Ben logs in and is ready; his screen is connected.", log_in(ben)).await?;

    story
        .step("The customer writes: Good morning, my order has not arrived.", async {
            customer.text("Good morning, my order has not arrived.").await?.expect_status(200)
        })
        .await?;
    let offered = |event: &Value| event["event"]["type"] == "offered";
    let offer = story.step("Anna's screen shows the offer.", annas.wait_for(PATIENCE, offered)).await?;
    story.step("Ben's screen shows it too.", bens.wait_for(PATIENCE, offered)).await?;
    let interaction = offer["event"]["interaction"]["id"].as_str().context("the offer names no interaction")?;
    let path = format!("/interactions/{interaction}");

    story.step("Anna accepts.", anna.api.post(&format!("{path}/accept"), &json!({}))).await?;
    story
        .step("The offer vanishes from Ben's screen, which names Anna.", async {
            let gone = bens.wait_for(PATIENCE, |event| event["event"]["type"] == "withdrawn").await?;
            ensure!(gone["event"]["taken_by"] == anna.id, "it does not name Anna: {gone}");
            Ok(())
        })
        .await?;
    story
        .step("Ben accepts too late and is told that it was taken.", async {
            ben.api.call(Method::POST, &format!("{path}/accept"), Some(&json!({}))).await?.expect_status(409)
        })
        .await?;
    story.step("Anna opens the conversation.", anna.api.put(&format!("{path}/tab"), &json!({}))).await?;
    story
        .step("Anna reads what the customer wrote.", async {
            let thread = anna.api.get(&format!("{path}/messages")).await?;
            ensure!(thread.to_string().contains("my order has not arrived"), "the thread lacks it: {thread}");
            Ok(())
        })
        .await?;

    let reply = "Good morning! Could you send a picture of the receipt?";
    story
        .step(&format!("Anna writes: {reply}"), async { anna.api.post(&format!("{path}/messages"), &json!({"text": reply})).await })
        .await?;
    story.step("Twilio takes the message.", standin.wait_for_sent(PATIENCE, |sent| sent.body == reply)).await?;
    for (state, words) in [("delivered", "Anna sees that it was delivered."), ("read", "Anna sees that it was read.")] {
        let changed = |event: &Value| event["event"]["type"] == "message_state" && event["event"]["message"]["state"] == state;
        story.step(words, annas.wait_for(PATIENCE, changed)).await?;
    }

    let media = standin.add_media(&customer.account_sid, "image/png", Some("receipt.png"), PICTURE);
    story
        .step("The customer sends a picture: Here it is", async {
            customer.image("Here it is", "image/png", &media).await?.expect_status(200)
        })
        .await?;
    let picture = |event: &Value| event["event"]["type"] == "message" && event["event"]["message"]["attachments"][0].is_object();
    story.step("Anna's screen shows the message.", annas.wait_for(PATIENCE, picture)).await?;
    story
        .step(
            "The picture is copied to our own storage.",
            until(async || {
                let thread = anna.api.get(&format!("{path}/messages")).await?;
                Ok(thread.to_string().contains(r#""state":"stored""#).then_some(()))
            }),
        )
        .await?;

    let disposition = json!({"disposition": "Solved"});
    story.step("Anna closes the conversation as solved.", anna.api.post(&format!("{path}/close"), &disposition)).await?;
    story.step("The transcript is downloaded, and holds everything that was said.", transcript(anna, &path, reply)).await?;
    story.step("Anna's feed has no gap.", no_gap(anna)).await?;
    annas.close().await?;
    bens.close().await?;
    Ok(())
}

async fn log_in(person: &Person) -> Result<Socket> {
    person.api.put("/presence", &json!({"state": "ready"})).await?;
    person.api.connect().await
}

async fn transcript(anna: &Person, path: &str, reply: &str) -> Result<()> {
    // Made when the interaction closes; until then there is none.
    let url = until(async || {
        let answer = anna.api.call(Method::GET, &format!("{path}/transcript?attachments=true"), None).await?;
        Ok(answer.body["url"].as_str().filter(|_| answer.status == 200).map(str::to_owned))
    })
    .await?;
    let file = crate::http().get(url).send().await?.error_for_status()?.bytes().await?;
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).context("it is not a zip")?;
    let mut said = String::new();
    let mut picture = false;
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place)?;
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content)?;
        picture |= content == PICTURE;
        said.push_str(&String::from_utf8_lossy(&content));
    }
    for text in ["my order has not arrived", reply, "Here it is"] {
        ensure!(said.contains(text), "it lacks: {text}");
    }
    ensure!(picture, "it lacks the picture");
    Ok(())
}

async fn no_gap(anna: &Person) -> Result<()> {
    let answer = anna.api.get("/events?after=0").await?;
    let events = answer["events"].as_array().context("the answer has no events")?;
    ensure!(!events.is_empty(), "the feed is empty");
    let numbers: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    ensure!(numbers.iter().copied().eq(1..=events.len() as u64), "the numbers are {numbers:?}");
    Ok(())
}

/// Asks until there is an answer.
async fn until<T>(mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let asked = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.with_context(|| format!("not within {PATIENCE:?}"))?
}
