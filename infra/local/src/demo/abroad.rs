//! A customer from Portugal writes to a desk in Italy: translations, an AI agent for the agents, a video call, and
//! insights at the end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Demo, PATIENCE, Story, created, log_in, until};
use crate::client::Api;
use crate::standin::{MODEL_KEY, StandIn, VIDEO_KEY};

/// The account of this conversation. The others stay as any new account is.
const KEY: &str = "SINC1";

/// What the customer and the agent write, and what the other side reads.
const ASKED: (&str, &str) = ("Olá, a minha encomenda ainda não chegou.", "Buongiorno, il mio pacco non è ancora arrivato.");
const ANSWERED: (&str, &str) = ("Arriva domani mattina.", "Chega amanhã de manhã.");
const THANKED: &str = "Muito obrigado!";

/// Functions that run already know a change of the account within five seconds.
const KNOWN: Duration = Duration::from_secs(6);

/// Plays the conversation.
///
/// # Errors
/// A step failed. The error says which and why.
pub async fn abroad(story: &mut Story, demo: &Demo, standin: &StandIn) -> Result<()> {
    let [anna, ..] = demo.agents.as_slice() else { anyhow::bail!("the demo has two agents") };
    let connected = demo.account(KEY)?;
    let customer = &connected.customer;
    println!("\nA customer from Portugal writes to a desk in Italy ({KEY}):");
    let words = "An administrator switches on translation, an AI agent, insights at closing and video calls.";
    story.step(words, prepare(demo, &connected.id, &standin.url)).await?;
    let assist = Api::new(&demo.assist_url, &anna.token);

    let mut annas = story.step("Anna is ready; her screen is connected.", log_in(anna)).await?;
    story.step(&format!("The customer writes: {}", ASKED.0), async { customer.text(ASKED.0).await?.expect_status(200) }).await?;
    let offered = |event: &Value| event["event"]["type"] == "offered" && event["event"]["interaction"]["account"] == connected.id;
    let offer = story.step("Anna's screen shows the offer.", annas.wait_for(PATIENCE, offered)).await?;
    let path = format!("/interactions/{}", offer["event"]["interaction"]["id"].as_str().context("the offer names no interaction")?);
    story.step("Anna accepts.", anna.api.post(&format!("{path}/accept"), &json!({}))).await?;
    story.step("Anna opens the conversation.", anna.api.put(&format!("{path}/tab"), &json!({}))).await?;

    story
        .step(&format!("Anna reads it in Italian: {}", ASKED.1), async {
            let made = assist.post(&format!("{path}/translations"), &json!({})).await?;
            ensure!(made["items"][0]["translation"]["text"] == ASKED.1, "it was not translated: {made}");
            Ok(())
        })
        .await?;
    story
        .step("The AI agent answers Anna's question from what it knows.", async {
            let answer = assist.post(&format!("{path}/ask"), &json!({"question": "How long does the delivery take?"})).await?;
            ensure!(answer["answer"].as_str().is_some_and(|text| text.contains("two days")), "it does not know: {answer}");
            Ok(())
        })
        .await?;
    let draft = story
        .step(&format!("Anna writes in Italian: {}", ANSWERED.0), assist.post(&format!("{path}/drafts"), &json!({"text": ANSWERED.0})))
        .await?;
    story.step("She sees it in Portuguese and sends it.", anna.api.post(&format!("{path}/messages"), &draft)).await?;
    let words = format!("The customer gets: {}", ANSWERED.1);
    story.step(&words, standin.wait_for_sent(PATIENCE, |sent| sent.body == ANSWERED.1)).await?;

    let call = story.step("Anna starts a video call and gets her link.", assist.post(&format!("{path}/video"), &json!({}))).await?;
    let link = call["customer_link"].as_str().context("the call has no link")?;
    story.step("The customer gets the other link.", standin.wait_for_sent(PATIENCE, |sent| sent.body == link)).await?;
    story.step(&format!("The customer writes: {THANKED}"), async { customer.text(THANKED).await?.expect_status(200) }).await?;
    let arrived = |event: &Value| event["event"]["message"]["content"]["body"] == THANKED;
    story.step("Anna's screen shows the message.", annas.wait_for(PATIENCE, arrived)).await?;

    story.step("Anna closes the conversation.", anna.api.post(&format!("{path}/close"), &json!({"disposition": "Solved"}))).await?;
    let insights = until(async || {
        let insights = anna.api.get(&path).await?["insights"].clone();
        Ok((!insights.is_null()).then_some(insights))
    });
    let insights = story.step("It is summed up.", insights).await?;
    ensure!(insights["sentiment"] == "positive", "the customer thanked: {insights}");
    annas.close().await
}

/// Switches the account's services on.
async fn prepare(demo: &Demo, account: &str, standin: &str) -> Result<()> {
    let admin = Api::new(&demo.admin_url, &demo.admin_token);
    let knows = json!({"title": "Delivery", "text": "A delivery takes two days."});
    let ada = json!({
        "name": "Ada",
        "provider": "OPENAI_COMPATIBLE",
        "base_url": format!("{standin}/ai/v1"),
        "model": "small",
        "instructions": "Help the desk of an online shop.",
        "knowledge": {"texts": [knows]},
        "price": {"input": "0.06", "output": "0.24", "currency": "USD"},
    });
    let ada = created(&admin, "/ai-agents", &ada).await?;
    let key = format!("/ai-agents/{ada}/key");
    admin.call_with(Method::PUT, &key, &[("if-match", "\"1\"")], Some(&json!({"key": MODEL_KEY}))).await?.expect_status(200)?;
    let settings = json!({
        "translation": {"enabled": true, "provider": "AWS", "language": "it"},
        "assistant": ada,
        "insights": {"ai_agent": ada, "at_closing": true},
        "video": {"enabled": true, "topic": "Demo"},
    });
    let path = format!("/accounts/{account}");
    let version = async || anyhow::Ok(format!("\"{}\"", admin.get(&path).await?["version"]));
    let patch = json!({"settings": settings});
    admin.call_with(Method::PATCH, &path, &[("if-match", &version().await?)], Some(&patch)).await?.expect_status(200)?;
    let (place, tag, key) = (format!("{path}/video/key"), version().await?, json!({"key": VIDEO_KEY}));
    admin.call_with(Method::PUT, &place, &[("if-match", &tag)], Some(&key)).await?.expect_status(200)?;
    tokio::time::sleep(KNOWN).await;
    Ok(())
}
