//! A customer from Portugal writes to a desk in Italy: translations, an AI agent for the agents, a video call, and
//! insights at the end.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Demo, KNOWN, PATIENCE, Story, ai_agent, close, log_in, offered_on, patch_account, summed_up};
use crate::client::Api;
use crate::standin::{StandIn, VIDEO_KEY};

/// The account of this conversation. The others stay as any new account is.
const KEY: &str = "SINC1";

/// What the customer and the agent write, and what the other side reads.
const ASKED: (&str, &str) = ("Olá, a minha encomenda ainda não chegou.", "Buongiorno, il mio pacco non è ancora arrivato.");
const ANSWERED: (&str, &str) = ("Arriva domani mattina.", "Chega amanhã de manhã.");
const THANKED: &str = "Muito obrigado!";

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
    let path = story.step("Anna's screen shows the offer.", offered_on(&mut annas, &connected.id)).await?;
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

    story.step("Anna closes the conversation.", close(anna, &path)).await?;
    let insights = story.step("It is summed up.", summed_up(anna, &path)).await?;
    ensure!(insights["sentiment"] == "positive", "the customer thanked: {insights}");
    annas.close().await
}

/// Switches the account's services on.
async fn prepare(demo: &Demo, account: &str, standin: &str) -> Result<()> {
    let admin = Api::new(&demo.admin_url, &demo.admin_token);
    let price = json!({"input": "0.06", "output": "0.24", "currency": "USD"});
    let ada = json!({"name": "Ada", "instructions": "Help the desk of an online shop.", "price": price});
    let ada = ai_agent(&admin, standin, &ada).await?;
    let settings = json!({
        "translation": {"enabled": true, "provider": "AWS", "language": "it"},
        "assistant": ada,
        "insights": {"ai_agent": ada, "at_closing": true},
        "video": {"enabled": true, "topic": "Demo"},
    });
    let tag = patch_account(&admin, account, &json!({"settings": settings})).await?;
    let (place, key) = (format!("/accounts/{account}/video/key"), json!({"key": VIDEO_KEY}));
    admin.call_with(Method::PUT, &place, &[("if-match", &tag)], Some(&key)).await?.expect_status(200)?;
    tokio::time::sleep(KNOWN).await;
    Ok(())
}
