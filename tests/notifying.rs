//! Notifications, from what causes them to the agent's list and feed.

use domain::inbound::{Alert, InboundEvent, InboundKind};
use engine::ports::Store;

use super::*;

async fn notifications(agent: &Api) -> Value {
    agent.get("/notifications").await.unwrap()
}

/// The notification events of a feed.
async fn told(agent: &Api) -> Vec<Value> {
    let page = agent.get("/events?limit=500").await.unwrap();
    let events = page["items"].as_array().unwrap().iter().map(|item| item["event"].clone());
    events.filter(|event| event["type"] == "notification").map(|event| event["notification"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_notified_once_until_it_is_read_and_not_at_all_while_the_thread_is_open() {
    let world = World::start(33).await;
    let (anna, _) = world.anna();
    let customer = world.customer("+393990000033");
    let path = world.accepted(&customer).await;
    let id = path.rsplit('/').next().unwrap();
    let writes = async |text: &str| {
        customer.text(text).await.unwrap().expect_status(200).unwrap();
        until("the message is there", async || (!message(&anna, &path, text).await.is_null()).then_some(())).await;
    };
    anna.put(&format!("{path}/tab"), &json!({})).await.unwrap();
    writes("seen").await;
    anna.call(Method::DELETE, &format!("{path}/tab"), None).await.unwrap();
    writes("first").await;
    writes("second").await;
    let shown = until("both are counted", async || {
        let shown = notifications(&anna).await;
        (shown["items"][0]["new_messages"] == 2).then_some(shown)
    })
    .await;
    let note = &shown["items"][0];
    assert_eq!((&shown["unread"], shown["items"].as_array().unwrap().len()), (&json!(1), 1), "{shown}");
    assert_eq!((&note["kind"], &note["interaction"], &note["read"]), (&json!("new_messages"), &json!(id), &json!(false)), "{shown}");
    assert_eq!(note["customer_phone"], "+393990000033");
    // One event tells it, although two messages came.
    let events = until("it is told", async || Some(told(&anna).await).filter(|told| !told.is_empty())).await;
    assert_eq!((events.len(), &events[0]["id"], &events[0]["kind"]), (1, &json!(id), &json!("new_messages")), "{events:?}");

    // It is marked as read, and the interaction stays unread.
    let marked = anna.call(Method::POST, &format!("/notifications/{id}/read"), None).await.unwrap();
    assert_eq!((marked.status, &anna.get(&path).await.unwrap()["unread"]), (204, &json!(true)));
    let shown = notifications(&anna).await;
    assert_eq!((&shown["unread"], &shown["items"][0]["read"]), (&json!(0), &json!(true)), "{shown}");
    writes("third").await;
    assert_eq!(notifications(&anna).await["unread"], 0);

    // After the thread was open, the next message notifies again, and opening the tab reads that.
    anna.put(&format!("{path}/tab"), &json!({})).await.unwrap();
    anna.call(Method::DELETE, &format!("{path}/tab"), None).await.unwrap();
    writes("fourth").await;
    let shown = until("it is unread", async || {
        let shown = notifications(&anna).await;
        (shown["unread"] == 1).then_some(shown)
    })
    .await;
    assert_eq!(shown["items"][0]["new_messages"], 1, "{shown}");
    anna.put(&format!("{path}/tab"), &json!({})).await.unwrap();
    assert_eq!(notifications(&anna).await["unread"], 0);
    assert_eq!(anna.call(Method::POST, "/notifications/int_00000000000000000000000000/read", None).await.unwrap().status, 404);

    // A transfer that is rejected comes back with a notification.
    let (ben, bens) = world.ben();
    ben.put("/presence", &json!({"state": "ready"})).await.unwrap();
    anna.post(&format!("{path}/transfer"), &json!({"agent": bens.id})).await.unwrap();
    offer_of(&ben).await;
    ben.post(&format!("{path}/reject"), &json!({})).await.unwrap();
    let shown = until("it returned", async || {
        let shown = notifications(&anna).await;
        (shown["items"][0]["kind"] == "transfer_returned").then_some(shown)
    })
    .await;
    assert_eq!((&shown["unread"], &shown["items"][0]["interaction"], shown["items"].as_array().unwrap().len()), (&json!(1), &json!(id), 1));
    // All up to what was seen.
    let all = anna.call(Method::POST, "/notifications/read", Some(&json!({"until": shown["as_of"]}))).await.unwrap();
    assert_eq!((all.status, &notifications(&anna).await["unread"]), (204, &json!(0)));
    assert_eq!(notifications(&ben).await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_are_notified_of_what_providers_say_about_accounts_if_it_is_proven() {
    let world = World::start(34).await;
    let ada = Api::new(&world.demo.agent_url, &world.demo.admin_token);
    let tables = ["InteractionsTable", "ConfigTable"].map(|name| world.stack.output(name).unwrap().to_owned());
    let [interactions, config] = tables;
    let store = store::Interactions::new(world.aws().dynamodb(), interactions, config);
    let account: domain::ids::AccountId = world.account().id.parse().unwrap();
    let alert = |event: &str, unproven| Alert {
        name: "account_update".to_owned(),
        event: Some(event.to_owned()),
        detail: "event: X".to_owned(),
        at: None,
        unproven,
    };
    for (number, alert) in [alert("MADE_UP", true), alert("DISABLED_UPDATE", false)].into_iter().enumerate() {
        let event = InboundEvent {
            id: format!("alert-{number}"),
            account: account.clone(),
            received_at: jiff::Timestamp::now(),
            index: 0,
            proven: Some(!alert.unproven),
            kind: InboundKind::Alert(alert.clone()),
        };
        store.keep_alert(&event, &alert).await.unwrap();
    }
    let shown = until("she is notified", async || {
        let shown = notifications(&ada).await;
        (shown["unread"] == 1).then_some(shown)
    })
    .await;
    let note = &shown["items"][0];
    assert_eq!((&note["id"], &note["kind"]), (&json!(account), &json!("account_alert")), "{shown}");
    assert_eq!(note["alert"], json!({"name": "account_update", "event": "DISABLED_UPDATE"}));
    let events = until("it is told", async || Some(told(&ada).await).filter(|told| !told.is_empty())).await;
    assert_eq!((events.len(), &events[0]["alert"]), (1, &note["alert"]));
    assert_eq!(notifications(&world.anna().0).await["items"], json!([]), "an agent is not");
    assert_eq!(ada.call(Method::POST, "/notifications/read", None).await.unwrap().status, 204);
    assert_eq!(notifications(&ada).await["unread"], 0);
}
