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
async fn what_an_agent_got_of_an_account_is_withheld_once_the_agent_is_taken_off_it() {
    let world = World::start(32).await;
    let customer = world.customer("+393990000032");
    world.accepted(&customer).await;
    let (anna, person) = world.anna();
    customer.text("my card number").await.unwrap().expect_status(200).unwrap();
    let page = || async { anna.get("/events?limit=500").await.unwrap() };
    until("the message is in her feed", async || page().await.to_string().contains("my card number").then_some(())).await;
    world.change_account(|account| account["agents"].as_array_mut().unwrap().retain(|agent| *agent != person.id.as_str())).await;
    // The API may know the account from before for some seconds.
    let page = until("the message is withheld", async || {
        let page = page().await;
        (!page.to_string().contains("my card number")).then_some(page)
    });
    let page = page.await;
    let items = page["items"].as_array().unwrap();
    assert!(items.iter().enumerate().all(|(index, item)| item["seq"] == index + 1), "{page}");
    let withheld = items.iter().map(|item| &item["event"]).find(|event| event["type"] == "withheld").unwrap();
    let fields: Vec<&String> = withheld.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["interaction", "type"], "{withheld}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_of_a_change_that_the_own_screen_shows_and_can_read_it_then() {
    let world = World::start(39).await;
    let ((anna, person), (ben, _)) = (world.anna(), world.ben());
    let events = async |agent: &Api| {
        let page = agent.get("/events?limit=500").await.unwrap();
        let told = page["items"].as_array().unwrap().iter().filter(|item| item["event"] == json!({"type": "configuration"})).count();
        (told, page["last"].as_u64().unwrap())
    };
    let mut screen = anna.connect().await.unwrap();
    let own = async || {
        let me = anna.get("/me").await.unwrap();
        me["accounts"].as_array().unwrap().iter().find(|account| account["id"] == *world.account().id).cloned().unwrap_or_default()
    };
    assert_eq!(own().await["transfer_to_queue"], json!({"enabled": true, "timeout": 30}));
    let ((before, _), (bens, _)) = (events(&anna).await, events(&ben).await);
    world.change_account(|account| account["settings"]["transfer_to_queue"] = json!({"enabled": false, "timeout": 40})).await;
    screen.wait_for(PATIENCE, |event| event["event"]["type"] == "configuration").await.unwrap();
    // Whichever process answers: it is there, now.
    assert_eq!(own().await["transfer_to_queue"], json!({"enabled": false, "timeout": 40}));
    until("so is Ben", async || (events(&ben).await.0 == bens + 1).then_some(())).await;
    // What no agent sees is told to nobody, and a place on the account to nobody else.
    world.change_account(|account| account["plan"][0]["timeout"] = json!(77)).await;
    world.change_account(|account| account["agents"].as_array_mut().unwrap().retain(|agent| *agent != person.id.as_str())).await;
    until("she was taken off", async || (events(&anna).await.0 == before + 2).then_some(())).await;
    assert_eq!((own().await, events(&ben).await.0), (json!(null), bens + 1));

    // An answer over the socket ends with the number up to which it has told all.
    let (_, last) = events(&anna).await;
    screen.ask(&json!({"after": last - 1})).await.unwrap();
    let end = screen.wait_for(PATIENCE, |frame| !frame["caught_up"].is_null()).await.unwrap();
    assert_eq!(end, json!({"caught_up": last}));
}
