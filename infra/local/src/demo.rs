//! The demo. It makes one account of every provider type, two agents and one queue through the admin API. Then it
//! plays customers' conversations through real HTTP and WebSocket, from the first message to the downloaded
//! transcript.

mod abroad;
mod answered;

use std::io::Cursor;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Api, Customer, Socket};
use crate::deploy::Stack;
use crate::standin::{self, Account, Called, MODEL_KEY, PICTURE, Sent, StandIn};

pub use abroad::abroad;
pub use answered::answered;

/// The key of the demo's first account, whose provider is Twilio.
pub const ACCOUNT_KEY: &str = "DEMO1";

/// The delay between the states of a sent message, so that a person sees them arrive.
pub const CALLBACK_DELAY: Duration = Duration::from_millis(300);

/// How long tokens are valid: a working day.
pub const TOKENS_LIVE: Duration = Duration::from_secs(8 * 3600);

/// Another picture (PNG), which the agent sends: every provider accepts pictures with a caption.
pub const ANSWER: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
    0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63,
    0x50, 0x48, 0x58, 0x00, 0x00, 0x01, 0xc4, 0x01, 0x21, 0x62, 0x5f, 0x8a, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae,
    0x42, 0x60, 0x82,
];

/// The agent's caption.
pub const COVER: &str = "No, it is this one";

/// The customer's caption.
pub const CAPTION: &str = "Is this the right one?";

/// The time limit of a step. A step takes a second or two when everything is warm, but the first calls also start
/// the functions, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(45);

/// Functions that run already know a change of the account within five seconds.
const KNOWN: Duration = Duration::from_secs(6);

/// Prints each step with the time that it took.
#[derive(Debug)]
pub struct Story {
    began: Instant,
    last: Instant,
}

impl Story {
    /// Starts the story.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now }
    }

    /// Prints what has just happened.
    pub fn tell(&mut self, words: &str) {
        println!("  {:>6.2} s  {words}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    /// Does a step and prints it.
    ///
    /// # Errors
    /// The step failed; the error begins with its words.
    pub async fn step<T>(&mut self, words: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
        let done = step.await.with_context(|| format!("step failed: {words}"))?;
        self.tell(words);
        Ok(done)
    }

    /// The seconds since the story began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// The parts of the demo.
pub struct Demo {
    /// The agent API's base.
    pub agent_url: String,
    /// The base of the API that helps agents.
    pub assist_url: String,
    /// The admin API's base.
    pub admin_url: String,
    /// An administrator's token.
    pub admin_token: String,
    /// Anna and Ben.
    pub agents: Vec<Person>,
    /// Their queue.
    pub queue: String,
    /// The list of the accounts' contacts.
    pub list: String,
    /// One account of every provider type, Twilio's first.
    pub accounts: Vec<Connected>,
}

/// An account of the demo.
pub struct Connected {
    /// Its key.
    pub key: &'static str,
    /// `acc_…`.
    pub id: String,
    /// Its Receive URL, as administrators see it.
    pub receive_url: String,
    /// The customer who writes.
    pub customer: Customer,
}

impl Demo {
    /// The account with this key.
    ///
    /// # Errors
    /// The demo has no such account.
    pub fn account(&self, key: &str) -> Result<&Connected> {
        self.accounts.iter().find(|account| account.key == key).with_context(|| format!("the demo has no account {key}"))
    }
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
/// The admin API refused something. The error says what.
pub async fn load(story: &mut Story, stack: &Stack, standin: &StandIn) -> Result<Demo> {
    println!("\nAn administrator prepares the demo:");
    let agent_url = format!("{}/agent", stack.public_url);
    let admin_url = format!("{}/admin", stack.public_url);
    let admin_token = standin.mint("admin", &["admin"], TOKENS_LIVE)?;
    let admin = Api::new(&admin_url, &admin_token);

    let owner = Api::new(&admin_url, &standin.mint("owner", &["owner"], TOKENS_LIVE)?);
    story
        .step("The owner, the admin and the supervisor are added.", async {
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
    let queue = story.step("A queue that rings both at once is made.", created(&admin, "/queues", &queue)).await?;
    let list = story.step("A contact list is made.", created(&admin, "/lists", &json!({"name": "Customers"}))).await?;

    let mut accounts = Vec::new();
    for (key, account) in providers(&standin.url) {
        let mut provider = serde_json::to_value(&account)?;
        if let Some(fields) = provider.as_object_mut() {
            // These fields are not the provider's.
            fields.retain(|name, _| !matches!(name.as_str(), "phone" | "receive_url"));
        }
        let body = json!({
            "name": format!("Demo {}", account.kind),
            "key": key,
            "list": list,
            "provider": provider,
            "phone": account.phone,
            "active": true,
            "agents": ids,
            "plan": [{"step": "queue", "queue": queue, "timeout": 60}],
        });
        standin.add_account(&account);
        let made = story.step(&format!("A number of {} is connected as {key}.", account.kind), admin.post("/accounts", &body)).await?;
        let shown = made.to_string();
        ensure!(SECRETS.iter().all(|name| account.field(name).is_empty() || !shown.contains(account.field(name))), "{key} shows a secret");
        let receive_url = made["receive_url"].as_str().context("the account has no receive_url")?.to_owned();
        standin.point(&account, &receive_url);
        let known = Account { receive_url: receive_url.clone(), ..account };
        let customer = Customer::new(standin, &known, &format!("+39333123456{}", accounts.len()));
        let id = made["id"].as_str().context("the account has no id")?.to_owned();
        accounts.push(Connected { key, id, receive_url, customer });
    }
    Ok(Demo { agent_url, assist_url: format!("{}/assist", stack.public_url), admin_url, admin_token, agents, queue, list, accounts })
}

/// The fields that no answer may show.
const SECRETS: [&str; 7] =
    ["auth_token", "authorization_token", "app_secret", "key_secret", "webhook_secret", "api_key", "callback_header_value"];

/// One account of every provider type, under the ids that the files of `events/` have.
fn providers(standin: &str) -> [(&'static str, Account); 5] {
    let (sinch, legacy, kaleyra) = (format!("{standin}/sinch"), format!("{standin}/sinch-legacy"), format!("{standin}/kaleyra"));
    let secret = || standin::sid("");
    [
        (ACCOUNT_KEY, Account::new("TWILIO", "+390612345678", &[("account_sid", &standin::sid("AC")), ("auth_token", &secret())])),
        (
            "META1",
            Account::new(
                "META",
                "+390612345679",
                &[
                    ("account_sid", "102290129340398"),
                    ("app_id", "670843887433847"),
                    ("phone_number_id", "106540352242922"),
                    ("auth_token", &standin::sid("EAA")),
                    ("app_secret", &secret()),
                    ("verify_token", &secret()),
                ],
            ),
        ),
        (
            "SINV2",
            Account::new(
                "SINCH_V2",
                "+390612345680",
                &[
                    ("base_url", &sinch),
                    ("project_id", "11111111-2222-3333-4444-555555555555"),
                    ("app_id", "01TESTAPP0000000000000000A"),
                    ("key_id", "22222222-3333-4444-5555-666666666666"),
                    ("key_secret", &secret()),
                    ("webhook_secret", &secret()),
                ],
            ),
        ),
        (
            "SINC1",
            Account::new(
                "SINCH",
                "+390612345681",
                &[
                    ("base_url", &legacy),
                    ("account_sid", "examplebot"),
                    ("authorization_token", &secret()),
                    ("callback_header", "X-Demo-Guard"),
                    ("callback_header_value", &secret()),
                ],
            ),
        ),
        (
            "KALEY",
            Account::new(
                "KALEYRA",
                "+390612345682",
                &[
                    ("base_url", &kaleyra),
                    ("waba_id", "102290129340398"),
                    ("account_sid", "HX00000000000000000000000000000001"),
                    ("api_key", &secret()),
                    ("callback_header", "X-Demo-Guard"),
                    ("callback_header_value", &secret()),
                ],
            ),
        ),
    ]
}

async fn created(admin: &Api, path: &str, body: &Value) -> Result<String> {
    let made = admin.post(path, body).await?;
    Ok(made["id"].as_str().context("the answer has no id")?.to_owned())
}

/// Plays the conversation.
///
/// # Errors
/// A step failed. The error says which and why.
pub async fn play(story: &mut Story, demo: &Demo, standin: &StandIn) -> Result<()> {
    let [anna, ben] = demo.agents.as_slice() else { anyhow::bail!("the demo has two agents") };
    let customer = &demo.account(ACCOUNT_KEY)?.customer;
    println!("\nA customer writes:");
    let admin = Api::new(&demo.admin_url, &demo.admin_token);
    let events = ["interaction.opened", "offer.accepted", "interaction.closed"];
    let trigger = json!({"name": "CRM", "url": standin.hook_url("crm"), "events": events});
    story.step("An administrator has the CRM told of conversations.", created(&admin, "/triggers", &trigger)).await?;
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
    story.step("Twilio accepts the message.", standin.wait_for_sent(PATIENCE, |sent| sent.body == reply)).await?;
    for (state, words) in [("delivered", "Anna sees that it was delivered."), ("read", "Anna sees that it was read.")] {
        let changed = |event: &Value| event["event"]["type"] == "message_state" && event["event"]["message"]["state"] == state;
        story.step(words, annas.wait_for(PATIENCE, changed)).await?;
    }

    let picture = standin.add_file(&customer.account, "image/png", Some("receipt.png"), PICTURE)?;
    story
        .step("The customer sends a picture: Here it is", async { customer.file("Here it is", &picture).await?.expect_status(200) })
        .await?;
    let with_file = |event: &Value| event["event"]["type"] == "message" && event["event"]["message"]["attachments"][0].is_object();
    story.step("Anna's screen shows the message.", annas.wait_for(PATIENCE, with_file)).await?;
    story.step("The picture is copied to our own storage.", copied(anna, &path)).await?;

    let disposition = json!({"disposition": "Solved"});
    story.step("Anna closes the conversation as solved.", anna.api.post(&format!("{path}/close"), &disposition)).await?;
    for event in events {
        let told = |called: &Called| called.body["type"] == event && called.body["data"]["interaction"]["id"] == interaction;
        story.step(&format!("The CRM is told: {event}"), standin.wait_for_call(PATIENCE, told)).await?;
    }
    let said = ["my order has not arrived", reply, "Here it is"];
    story.step("The transcript is downloaded and holds the whole conversation.", transcript(anna, &path, &said, &[PICTURE])).await?;
    story.step("Anna's feed has no gap.", no_gap(anna)).await?;
    annas.close().await?;
    bens.close().await?;
    Ok(())
}

/// Plays a conversation on one account with a file in both directions. Returns the agent's picture as the provider
/// got it.
///
/// # Errors
/// A step failed. The error says which and why.
pub async fn exchange(story: &mut Story, demo: &Demo, standin: &StandIn, key: &str) -> Result<Sent> {
    let [anna, ..] = demo.agents.as_slice() else { anyhow::bail!("the demo has two agents") };
    let connected = demo.account(key)?;
    let customer = &connected.customer;
    println!("\nA customer writes to {key}, a number of {}:", customer.account.kind);
    let mut annas = story.step("Anna is ready; her screen is connected.", log_in(anna)).await?;
    let picture = standin.add_file(&customer.account, "image/png", Some("shoe.png"), PICTURE)?;
    story
        .step(&format!("The customer sends a picture: {CAPTION}"), async { customer.file(CAPTION, &picture).await?.expect_status(200) })
        .await?;
    let offered = |event: &Value| event["event"]["type"] == "offered" && event["event"]["interaction"]["account"] == connected.id;
    let offer = story.step("Anna's screen shows the offer.", annas.wait_for(PATIENCE, offered)).await?;
    let path = format!("/interactions/{}", offer["event"]["interaction"]["id"].as_str().context("the offer names no interaction")?);
    story.step("Anna accepts.", anna.api.post(&format!("{path}/accept"), &json!({}))).await?;
    story.step("The picture is copied to our own storage.", copied(anna, &path)).await?;

    story.step(&format!("Anna answers with a picture: {COVER}"), answer_with_picture(anna, &path)).await?;
    let words = format!("The provider accepts the message and fetches the picture ({}).", customer.account.kind);
    let taken = |sent: &Sent| sent.provider == customer.account.kind && sent.media.is_some();
    let sent = story.step(&words, standin.wait_for_sent(PATIENCE, taken)).await?;
    let got = sent.media.as_ref().context("the provider got no file")?;
    ensure!(got.status == 200 && got.bytes == ANSWER, "the link answered the provider {} with {} bytes", got.status, got.bytes.len());
    let read = |event: &Value| event["event"]["type"] == "message_state" && event["event"]["message"]["state"] == "read";
    story.step("Anna sees that it was read.", annas.wait_for(PATIENCE, read)).await?;

    story.step("Anna closes the conversation.", anna.api.post(&format!("{path}/close"), &json!({"disposition": "Solved"}))).await?;
    let files = [PICTURE, ANSWER];
    story.step("The transcript holds both pictures.", transcript(anna, &path, &[CAPTION, COVER], &files)).await?;
    annas.close().await?;
    Ok(sent)
}

/// Uploads the file to the place that the API gives, then sends the message that names it.
async fn answer_with_picture(agent: &Person, path: &str) -> Result<()> {
    let wanted = json!({"content_type": "image/png", "name": "another.png", "size": ANSWER.len()});
    let place = agent.api.post(&format!("{path}/attachments"), &wanted).await?;
    let url = place["url"].as_str().context("the answer has no url")?;
    let content_type = place["content_type"].as_str().context("the answer has no content_type")?;
    let put = crate::http().put(url).header("content-type", content_type).body(ANSWER);
    put.send().await?.error_for_status().context("the file was refused")?;
    agent.api.post(&format!("{path}/messages"), &json!({"attachment": place["id"], "caption": COVER})).await?;
    Ok(())
}

async fn copied(agent: &Person, path: &str) -> Result<()> {
    until(async || {
        let thread = agent.api.get(&format!("{path}/messages")).await?;
        Ok(thread.to_string().contains(r#""state":"stored""#).then_some(()))
    })
    .await
}

async fn log_in(person: &Person) -> Result<Socket> {
    person.api.put("/presence", &json!({"state": "ready"})).await?;
    person.api.connect().await
}

/// Makes an AI agent on the stand-in, with its key. `more` adds to its document.
async fn ai_agent(admin: &Api, standin: &str, more: &Value) -> Result<String> {
    let mut document = json!({
        "provider": "OPENAI_COMPATIBLE",
        "base_url": format!("{standin}/ai/v1"),
        "model": "small",
        "knowledge": {"texts": [{"title": "Delivery", "text": "A delivery takes two days."}]},
    });
    if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
        document.extend(more.clone());
    }
    let id = created(admin, "/ai-agents", &document).await?;
    let key = json!({"key": MODEL_KEY});
    admin.call_with(Method::PUT, &format!("/ai-agents/{id}/key"), &[("if-match", "\"1\"")], Some(&key)).await?.expect_status(200)?;
    Ok(id)
}

/// Changes an account. Returns its `ETag`.
async fn patch_account(admin: &Api, id: &str, patch: &Value) -> Result<String> {
    let path = format!("/accounts/{id}");
    let tag = format!("\"{}\"", admin.get(&path).await?["version"]);
    let changed = admin.call_with(Method::PATCH, &path, &[("if-match", &tag)], Some(patch)).await?.expect_status(200)?;
    Ok(format!("\"{}\"", changed["version"]))
}

/// The path of the next interaction of an account that a screen shows as offered.
async fn offered_on(screen: &mut Socket, account: &str) -> Result<String> {
    let offered = |event: &Value| event["event"]["type"] == "offered" && event["event"]["interaction"]["account"] == account;
    let offer = screen.wait_for(PATIENCE, offered).await?;
    Ok(format!("/interactions/{}", offer["event"]["interaction"]["id"].as_str().context("the offer names no interaction")?))
}

async fn close(agent: &Person, path: &str) -> Result<Value> {
    agent.api.post(&format!("{path}/close"), &json!({"disposition": "Solved"})).await
}

/// The insights of an interaction, once they are made.
async fn summed_up(agent: &Person, path: &str) -> Result<Value> {
    until(async || {
        let insights = agent.api.get(path).await?["insights"].clone();
        Ok((!insights.is_null()).then_some(insights))
    })
    .await
}

async fn transcript(agent: &Person, path: &str, texts: &[&str], files: &[&[u8]]) -> Result<()> {
    // The transcript is made when the interaction closes.
    let url = until(async || {
        let answer = agent.api.call(Method::GET, &format!("{path}/transcript?attachments=true"), None).await?;
        Ok(answer.body["url"].as_str().filter(|_| answer.status == 200).map(str::to_owned))
    })
    .await?;
    let file = crate::http().get(url).send().await?.error_for_status()?.bytes().await?;
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).context("it is not a zip")?;
    let mut said = String::new();
    let mut found = 0;
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place)?;
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content)?;
        found += files.iter().filter(|file| **file == content).count();
        said.push_str(&String::from_utf8_lossy(&content));
    }
    for text in texts {
        ensure!(said.contains(text), "it lacks: {text}");
    }
    ensure!(found == files.len(), "it holds {found} of the {} files", files.len());
    Ok(())
}

async fn no_gap(anna: &Person) -> Result<()> {
    let answer = anna.api.get("/events?after=0").await?;
    let events = answer["items"].as_array().context("the answer has no events")?;
    ensure!(!events.is_empty(), "the feed is empty");
    let numbers: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    ensure!(numbers.iter().copied().eq(1..=events.len() as u64), "the numbers are {numbers:?}");
    Ok(())
}

/// Tries until there is an answer.
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
