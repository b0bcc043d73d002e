//! AI agents that answer customers, deployed: what the stand-ins of the services get, what the logs say, and who has a
//! customer whose model failed.

use local::functions;
use local::standin::{MODEL_KEY, On, VIDEO_KEY};

use super::*;

/// Another customer of an account of the demo.
fn customer_of(world: &World, key: &str, phone: &str) -> Customer {
    Customer::new(&world.standin, &world.demo.account(key).unwrap().customer.account, phone)
}

/// The AI agent and the plan of `demo::answered` are for this account.
const ANSWERED: &str = "KALEY";
/// The translations and the video calls of `demo::abroad` are for this one.
const ABROAD: &str = "SINC1";

/// The path of the one interaction that is offered to an agent.
async fn offered_to(agent: &Api) -> String {
    format!("/interactions/{}", offer_of(agent).await["id"].as_str().unwrap())
}

async fn taken(agent: &Api) -> String {
    let path = offered_to(agent).await;
    agent.post(&format!("{path}/accept"), &json!({})).await.unwrap();
    path
}

async fn closed(agent: &Api, path: &str) {
    agent.post(&format!("{path}/close"), &json!({"disposition": "Solved"})).await.unwrap();
}

/// What a customer got from the AI agent.
fn got(world: &World, customer: &Customer) -> Vec<String> {
    let number = customer.from.trim_start_matches('+');
    world.standin.sent().into_iter().filter(|sent| sent.to.contains(number)).map(|sent| sent.body).collect()
}

/// What nobody but the desk may read: of the contact, of a note.
const PRIVATE: [&str; 6] = ["393339990042", "333 999 0042", "CanaryName", "CanaryCompany", "canary@example.com", "CanaryNote"];
/// What goes to a service and may not be logged.
const SAID: [&str; 3] = ["CanaryText", "CanaryQuestion", "CanaryDraft"];

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_no_service_is_asked_and_turned_on_none_learns_more_than_the_texts_and_no_log_has_them() {
    let world = World::start(81).await;
    // The default: nothing is asked, and the function does not even run.
    demo::play(&mut Story::begin(), &world.demo, &world.standin).await.unwrap();
    assert!(world.standin.helped().is_empty(), "{:?}", world.standin.helped());
    assert_eq!(world.stack.log("assist").await.unwrap(), Vec::<String>::new());

    demo::abroad(&mut Story::begin(), &world.demo, &world.standin).await.unwrap();
    demo::answered(&mut Story::begin(), &world.demo, &world.standin).await.unwrap();
    let before = world.standin.helped().len();
    assert!(before > 0);
    // Anna stays.
    let _screen = world.anna().0.connect().await.unwrap();

    // A customer with a name, a company, an address and a note.
    let (anna, person) = world.anna();
    let assist = Api::new(&world.demo.assist_url, &person.token);
    let mut customer = customer_of(&world, ANSWERED, "+393339990042");
    customer.name = "CanaryName Rossi".to_owned();
    customer.text("CanaryText: how long does the delivery take?").await.unwrap().expect_status(200).unwrap();
    until("the answer", async || (got(&world, &customer).len() == 2).then_some(())).await;
    let admin = world.admin();
    let contact = until("the contact", async || {
        admin.get("/contacts?q=9990042").await.unwrap()["items"].get(0).map(|found| found["id"].as_str().unwrap().to_owned())
    })
    .await;
    let details = json!({"first_name": "CanaryName", "company": "CanaryCompany", "email": "canary@example.com"});
    let path = format!("/contacts/{contact}");
    let tag = format!("\"{}\"", admin.get(&path).await.unwrap()["version"]);
    admin.call_with(Method::PATCH, &path, &[("if-match", &tag)], Some(&details)).await.unwrap().ok().unwrap();
    customer.text("CanaryText: a person, please").await.unwrap().expect_status(200).unwrap();
    let path = taken(&anna).await;
    anna.post(&format!("{path}/notes"), &json!({"text": "CanaryNote: a difficult one, +39 333 999 0042"})).await.unwrap();
    let last = "CanaryText: does the delivery take long?";
    customer.text(last).await.unwrap().expect_status(200).unwrap();
    until("the message", async || (!message(&anna, &path, last).await.is_null()).then_some(())).await;
    assist.post(&format!("{path}/insights"), &json!({})).await.unwrap();
    closed(&anna, &path).await;
    until("insights at closing", async || {
        let asked = world.standin.helped()[before..].iter().filter(|asked| asked.body.contains("`sentiment`")).count();
        (asked == 2).then_some(())
    })
    .await;

    // The same customer writes to the desk abroad.
    let mut customer = customer_of(&world, ABROAD, "+393339990042");
    customer.name = "CanaryName Rossi".to_owned();
    customer.text("CanaryText: a minha encomenda ainda não chegou").await.unwrap().expect_status(200).unwrap();
    let path = taken(&anna).await;
    anna.post(&format!("{path}/notes"), &json!({"text": "CanaryNote"})).await.unwrap();
    for (what, body) in [
        ("translations", json!({})),
        ("ask", json!({"question": "CanaryQuestion: how long does the delivery take?"})),
        ("suggest", json!({})),
        ("drafts", json!({"text": "CanaryDraft: domani"})),
        ("video", json!({})),
    ] {
        assist.post(&format!("{path}/{what}"), &body).await.unwrap();
    }
    closed(&anna, &path).await;
    until("its transcript", async || {
        let reply = anna.call(Method::GET, &format!("{path}/transcript"), None).await.unwrap();
        (reply.status == 200).then_some(())
    })
    .await;

    let asked = world.standin.helped();
    let services = ["/ai/v1/", "/translate/", "/vidaoo/"];
    assert!(services.iter().all(|service| asked[before..].iter().any(|one| one.path.starts_with(service))), "{asked:?}");
    for one in &asked[before..] {
        let whole = format!("{}\n{}\n{}", one.path, one.headers, one.body);
        for hidden in PRIVATE.iter().chain(&["con_", "int_", "agt_", "msg_", "acc_"]) {
            assert!(!whole.contains(hidden), "{hidden}: {whole}");
        }
    }
    // A translator gets the text alone.
    let translated = world.standin.translations().into_iter().map(|asked| asked.text).filter(|text| text.contains("Canary"));
    assert_eq!(translated.collect::<Vec<_>>(), ["CanaryText: a minha encomenda ainda não chegou", "CanaryDraft: domani"]);
    let texts = ["takes two days", "online shop", "A colleague goes on", MODEL_KEY, VIDEO_KEY, "vidaoo.example/meet"];
    let mut lines = 0;
    for function in functions::NAMES {
        for line in world.stack.log(function).await.unwrap() {
            lines += 1;
            for hidden in PRIVATE.iter().chain(&SAID).chain(&texts) {
                assert!(!line.contains(hidden), "{function} logs {hidden}: {line}");
            }
        }
    }
    assert!(lines > 100, "the functions log");
    let told = world.stack.log("assist").await.unwrap().join("\n");
    assert!(told.contains("model.asked") && told.contains("output_tokens"), "tokens, model and milliseconds: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_deployed_model_does_a_customer_gets_one_answer_or_a_person_who_sees_why() {
    let world = World::start(82).await;
    demo::answered(&mut Story::begin(), &world.demo, &world.standin).await.unwrap();
    let (admin, (anna, _)) = (world.admin(), world.anna());
    let _screen = anna.connect().await.unwrap();
    // A model that hangs has the shortest time.
    let bea = admin.get("/ai-agents").await.unwrap()["items"][0].clone();
    let (place, tag) = (format!("/ai-agents/{}", bea["id"].as_str().unwrap()), format!("\"{}\"", bea["version"]));
    let limits = json!({"limits": {"seconds": 5}});
    admin.call_with(Method::PATCH, &place, &[("if-match", &tag)], Some(&limits)).await.unwrap().ok().unwrap();
    let (disclosure, farewell) = (bea["disclosure"].as_str().unwrap(), bea["escalation"]["message"].as_str().unwrap());
    let asked = "How long does the delivery take?";

    let table: Vec<Value> = serde_json::from_str(include_str!("../functions/assist/src/answer/failures.json")).unwrap();
    for (number, case) in table.iter().enumerate() {
        let customer = customer_of(&world, ANSWERED, &format!("+3933399910{number:02}"));
        let mut expected = vec![farewell];
        if case["why"] == "repeated" {
            customer.text(asked).await.unwrap().expect_status(200).unwrap();
            until("the answer", async || (got(&world, &customer).len() == 2).then_some(())).await;
            expected = vec![disclosure, "A delivery takes two days.", farewell];
        }
        let fault: Fault = serde_json::from_value(case["openai"].clone()).unwrap();
        world.standin.next(Fault { provider: Some("OPENAI".to_owned()), on: On::Api, ..fault });
        customer.text(asked).await.unwrap().expect_status(200).unwrap();
        let path = taken(&anna).await;
        let history = anna.get(&format!("{path}/history")).await.unwrap();
        let told = history["items"].as_array().unwrap().iter().filter(|fact| fact["fact"] == "ai_escalated");
        assert_eq!(told.map(|fact| &fact["why"]).collect::<Vec<_>>(), [&case["why"]], "{case}");
        until("the farewell", async || (got(&world, &customer).len() == expected.len()).then_some(())).await;
        assert_eq!(got(&world, &customer), expected, "{case}");
        closed(&anna, &path).await;
        // The same model sums it up, and must not get the next case's fault.
        until("insights", async || (!anna.get(&path).await.unwrap()["insights"].is_null()).then_some(())).await;
    }
    // The model is well again.
    let customer = customer_of(&world, ANSWERED, "+393339991099");
    customer.text(asked).await.unwrap().expect_status(200).unwrap();
    until("the answer", async || (got(&world, &customer) == [disclosure, "A delivery takes two days."]).then_some(())).await;

    // Without its key it is refused, and a person is asked.
    let version = admin.get(&place).await.unwrap()["version"].clone();
    let key = format!("{place}/key");
    admin.call_with(Method::DELETE, &key, &[("if-match", &format!("\"{version}\""))], None).await.unwrap().ok().unwrap();
    customer.text("And on Sunday?").await.unwrap().expect_status(200).unwrap();
    let path = taken(&anna).await;
    let history = anna.get(&format!("{path}/history")).await.unwrap();
    assert!(history["items"].as_array().unwrap().iter().any(|fact| fact["fact"] == "ai_escalated" && fact["why"] == "failed"));
    closed(&anna, &path).await;
}
