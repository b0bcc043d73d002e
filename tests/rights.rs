//! Sockets of agents who lose their rights.

use super::*;

#[tokio::test]
async fn a_socket_ends_with_its_agent_and_a_ticket_from_before_opens_none() {
    let world = World::start(31).await;
    let admin = world.admin();
    let person = json!({"name": "Carl", "subject": "carl", "capacity": 5});
    let carl = admin.post("/agents", &person).await.unwrap();
    let (id, token) = (carl["id"].as_str().unwrap(), world.standin.mint("carl", &["agent"], demo::TOKENS_LIVE).unwrap());
    let agent = Api::new(&world.demo.agent_url, &token);
    let mut socket = agent.connect().await.unwrap();
    let ticket = agent.post("/tickets", &json!({})).await.unwrap();
    let deleted = admin.call_with(Method::DELETE, &format!("/agents/{id}"), &[("if-match", "\"1\"")], None).await.unwrap();
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    let closed = tokio::time::timeout(PATIENCE, async { while socket.next().await.is_ok() {} }).await;
    assert!(closed.is_ok(), "the socket stays open");
    assert!(Socket::connect(ticket["url"].as_str().unwrap()).await.is_err(), "the ticket opens a socket");
    assert_eq!(agent.call(Method::GET, "/events", None).await.unwrap().status, 403);
}

#[tokio::test]
async fn a_socket_gets_nothing_of_an_account_that_its_agent_was_taken_off() {
    let world = World::start(32).await;
    let customer = world.customer("+393990000032");
    world.accepted(&customer).await;
    let (anna, person) = world.anna();
    let mut socket = anna.connect().await.unwrap();
    world.change_account(|account| account["agents"].as_array_mut().unwrap().retain(|agent| *agent != person.id.as_str())).await;
    // `push` may know the account from before for some seconds, so the customer goes on until it does not.
    let withheld = until("a message is withheld", async || {
        customer.text("my card number").await.unwrap().expect_status(200).unwrap();
        let event = socket.wait_for(PATIENCE, |event| ["message", "withheld"].contains(&event["event"]["type"].as_str().unwrap())).await;
        event.ok().filter(|event| event["event"]["type"] == "withheld")
    });
    let withheld = withheld.await;
    let fields: Vec<&String> = withheld["event"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["interaction", "type"], "{withheld}");
    // The numbers go on, and what is read again shows no more.
    let page = anna.get("/events?limit=500").await.unwrap();
    let items = page["items"].as_array().unwrap();
    assert!(items.iter().enumerate().all(|(index, item)| item["seq"] == index + 1), "{page}");
    assert!(!page.to_string().contains("my card number"), "{page}");
}
