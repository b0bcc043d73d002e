//! An AI agent answers customers: it says that it is one, hands over when a customer asks for a person or its model
//! fails, and is silent from then on.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Demo, KNOWN, PATIENCE, Person, Story, TOKENS_LIVE, ai_agent, close, log_in, offered_on, patch_account, summed_up, until};
use crate::client::{Api, Customer, Socket};
use crate::standin::{Fault, On, StandIn};

/// The account of this conversation.
const KEY: &str = "KALEY";

const DISCLOSURE: &str = "I am the shop's AI assistant. Write “person” and a colleague takes over.";
const ASKED: &str = "How long does the delivery take?";
const ANSWERED: &str = "A delivery takes two days.";
const WANTS_PERSON: &str = "Thanks. I want to talk to a person.";
const FAREWELL: &str = "A colleague goes on in a moment.";
const GREETED: &str = "Good morning, Anna here. What can I do for you?";

/// Plays the conversations.
///
/// # Errors
/// A step failed. The error says which and why.
pub async fn answered(story: &mut Story, demo: &Demo, standin: &StandIn) -> Result<()> {
    let [anna, ..] = demo.agents.as_slice() else { anyhow::bail!("the demo has two agents") };
    let connected = demo.account(KEY)?;
    let customer = &connected.customer;
    println!("\nA customer writes to an AI agent ({KEY}):");
    let words = "An administrator lets an AI agent answer before the queue rings.";
    story.step(words, prepare(demo, &connected.id, &standin.url)).await?;
    let supervisor = Api::new(&demo.agent_url, &standin.mint("supervisor", &["supervisor"], TOKENS_LIVE)?);
    let mut annas = story.step("Anna is ready; her screen is connected.", log_in(anna)).await?;

    story.step(&format!("The customer writes: {ASKED}"), async { customer.text(ASKED).await?.expect_status(200) }).await?;
    for said in [DISCLOSURE, ANSWERED] {
        story.step(&format!("The AI agent says: {said}"), gets(standin, customer, said)).await?;
    }
    story
        .step("Nobody is rung.", async {
            let mine = anna.api.get("/interactions").await?;
            ensure!(mine["offers"].as_array().is_some_and(Vec::is_empty), "something is offered: {mine}");
            Ok(())
        })
        .await?;

    story.step(&format!("The customer writes: {WANTS_PERSON}"), async { customer.text(WANTS_PERSON).await?.expect_status(200) }).await?;
    story.step(&format!("The AI agent hands over: {FAREWELL}"), gets(standin, customer, FAREWELL)).await?;
    let path = story.step("Anna's screen shows the offer.", offered_on(&mut annas, &connected.id)).await?;
    story.step("The history says why: the model decided so.", escalated(anna, &path, "model")).await?;
    story.step("The supervisor is told of it, and why.", alerted(&supervisor, &path, "model")).await?;
    story.step("Anna accepts.", anna.api.post(&format!("{path}/accept"), &json!({}))).await?;
    story.step("Anna opens the conversation.", anna.api.put(&format!("{path}/tab"), &json!({}))).await?;
    story.step(&format!("Anna writes: {GREETED}"), anna.api.post(&format!("{path}/messages"), &json!({"text": GREETED}))).await?;
    story.step("The customer gets it.", gets(standin, customer, GREETED)).await?;
    let before = standin.prompts().len();
    story.step(&format!("The customer writes: {ASKED}"), arrives(customer, &mut annas, ASKED)).await?;
    story.step("Anna closes the conversation.", close(anna, &path)).await?;
    let insights = story.step("It is summed up.", summed_up(anna, &path)).await?;
    ensure!(insights["sentiment"] == "positive", "the customer thanked: {insights}");
    // One question since a person took it: that of the insights.
    let asked = standin.prompts().len() - before;
    ensure!(asked == 1, "the AI agent was asked {asked} times while Anna had the conversation");

    let other = Customer::new(standin, &customer.account, "+393331234599");
    standin.next(Fault { provider: Some("OPENAI".to_owned()), on: On::Api, status: Some(500), ..Fault::default() });
    story
        .step(&format!("Another customer writes, and the model fails: {ASKED}"), async { other.text(ASKED).await?.expect_status(200) })
        .await?;
    story.step(&format!("The AI agent hands over: {FAREWELL}"), gets(standin, &other, FAREWELL)).await?;
    let path = story.step("Anna's screen shows the offer.", offered_on(&mut annas, &connected.id)).await?;
    story.step("The history says why: the model failed.", escalated(anna, &path, "failed")).await?;
    story.step("Anna accepts.", anna.api.post(&format!("{path}/accept"), &json!({}))).await?;
    story.step("Anna closes the conversation.", close(anna, &path)).await?;
    // Whoever prepares the model's next fault would have this question meet it.
    story.step("It is summed up too.", summed_up(anna, &path)).await?;
    annas.close().await
}

/// Makes the AI agent, and gives it the first step of the account's plan.
async fn prepare(demo: &Demo, account: &str, standin: &str) -> Result<()> {
    let admin = Api::new(&demo.admin_url, &demo.admin_token);
    let more = json!({
        "name": "Bea",
        "instructions": "Answer customers of an online shop.",
        "disclosure": DISCLOSURE,
        "escalation": {"phrases": ["operator"], "message": FAREWELL},
        "limits": {"seconds": 20},
    });
    let bea = ai_agent(&admin, standin, &more).await?;
    let plan = json!([{"step": "assistant", "ai_agent": bea}, {"step": "queue", "queue": demo.queue, "timeout": 60}]);
    let settings = json!({"insights": {"ai_agent": bea, "at_closing": true}});
    patch_account(&admin, account, &json!({"answering_ai_agent": bea, "plan": plan, "settings": settings})).await?;
    tokio::time::sleep(KNOWN).await;
    Ok(())
}

/// The customer gets a text, once.
async fn gets(standin: &StandIn, customer: &Customer, text: &str) -> Result<()> {
    let number = customer.from.trim_start_matches('+');
    standin.wait_for_sent(PATIENCE, |sent| sent.body == text && sent.to.contains(number)).await?;
    let count = standin.sent().iter().filter(|sent| sent.body == text && sent.to.contains(number)).count();
    ensure!(count == 1, "it was sent {count} times");
    Ok(())
}

/// The customer writes, and an open screen shows it.
async fn arrives(customer: &Customer, screen: &mut Socket, text: &str) -> Result<()> {
    customer.text(text).await?.expect_status(200)?;
    screen.wait_for(PATIENCE, |event| event["event"]["message"]["content"]["body"] == text).await?;
    Ok(())
}

async fn escalated(agent: &Person, path: &str, why: &str) -> Result<()> {
    let history = agent.api.get(&format!("{path}/history")).await?;
    let facts = history["items"].as_array().context("the answer has no history")?;
    let told: Vec<&Value> = facts.iter().filter(|fact| fact["fact"] == "ai_escalated").collect();
    ensure!(told.len() == 1 && told.iter().all(|fact| fact["why"] == why), "it says: {told:?}");
    Ok(())
}

/// The notification of an escalation leads to its conversation.
async fn alerted(supervisor: &Api, path: &str, why: &str) -> Result<()> {
    until(async || {
        let notifications = supervisor.call(Method::GET, "/notifications", None).await?.ok()?;
        let id = path.rsplit('/').next().unwrap_or_default();
        let is_it = |item: &&Value| item["kind"] == "escalation" && item["interaction"] == id && item["escalated"] == why;
        Ok(notifications["items"].as_array().and_then(|items| items.iter().find(is_it)).map(|_| ()))
    })
    .await
}
