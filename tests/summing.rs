//! Insights at closing, through the deployed functions.

use local::standin::MODEL_KEY;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_interaction_is_summed_up_once_and_anew_after_it_was_reopened_and_closed_again() {
    let world = World::start(35).await;
    let admin = world.admin();
    let url = format!("{}/ai/v1", world.standin.url);
    let ada = json!({
        "name": "Ada", "provider": "OPENAI_COMPATIBLE", "base_url": url, "model": "small", "instructions": "Note what customers ask for.",
    });
    let ada = admin.post("/ai-agents", &ada).await.unwrap();
    let key = format!("/ai-agents/{}/key", ada["id"].as_str().unwrap());
    let keyed = admin.call_with(Method::PUT, &key, &[("if-match", "\"1\"")], Some(&json!({"key": MODEL_KEY}))).await.unwrap();
    keyed.expect_status(200).unwrap();
    world.change_account(|account| account["settings"]["insights"] = json!({"ai_agent": ada["id"], "at_closing": true})).await;

    let customer = &world.account().customer;
    let path = world.accepted(customer).await;
    let (anna, _) = world.anna();
    let said = async |text: &str| {
        customer.text(text).await.unwrap().expect_status(200).unwrap();
        until("Anna has the message", async || {
            anna.get(&format!("{path}/messages")).await.unwrap().to_string().contains(text).then_some(())
        })
        .await;
    };
    let closed = async || anna.post(&format!("{path}/close"), &json!({"disposition": "Solved"})).await.unwrap();
    let insights = async |after: &Value| {
        until("it is summed up", async || {
            let insights = anna.get(&path).await.unwrap()["insights"].clone();
            (!insights.is_null() && insights["at"] != after["at"]).then_some(insights)
        })
        .await
    };
    said("My parcel is late!").await;
    closed().await;
    let first = insights(&Value::Null).await;
    assert_eq!(first["sentiment"], "negative", "{first}");
    assert!(first["summary"].as_str().unwrap().starts_with("The customer wrote"), "{first}");
    assert_eq!(world.standin.prompts().len(), 1);

    anna.post(&format!("{path}/reopen"), &json!({})).await.unwrap();
    said("It has come, thanks!").await;
    closed().await;
    let second = insights(&first).await;
    assert_eq!(second["sentiment"], "mixed", "{second}");
    assert_eq!(world.standin.prompts().len(), 2);

    // The log has both, and was written again after each.
    let log = until("the log tells both", async || {
        let history = anna.get(&format!("{path}/history")).await.unwrap()["items"].clone();
        let made = history.as_array().unwrap().iter().filter(|entry| entry["fact"] == "insights_made").count();
        (made == 2).then_some(history)
    })
    .await;
    assert!(log.to_string().contains(second["summary"].as_str().unwrap()));
}
