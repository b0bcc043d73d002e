//! A conversation with a file in both directions through every provider, on the deployed template, and the special
//! features of each provider.

use std::collections::BTreeSet;

use local::standin::Sent;

use super::*;

/// From the customer's picture to the transcript with both files. Returns the response as the provider received it.
async fn exchange(number: u8, key: &str) -> (World, Sent) {
    let world = World::start(number).await;
    let sent = demo::exchange(&mut Story::begin(), &world.demo, &world.standin, key).await.unwrap();
    assert_eq!((sent.body.is_empty(), world.standin.sent().len()), (false, 1), "{sent:?}");
    (world, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_takes_a_conversation_with_files_from_first_to_last() {
    let (_, sent) = exchange(11, "DEMO1").await;
    assert_eq!((sent.to.as_str(), sent.body.as_str()), ("whatsapp:+393331234560", demo::COVER));
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_takes_a_conversation_with_files_from_first_to_last() {
    let (_, sent) = exchange(12, "META1").await;
    assert_eq!((&sent.request["type"], &sent.request["image"]["caption"]), (&json!("image"), &json!(demo::COVER)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sinchs_conversation_api_takes_a_conversation_with_files_from_first_to_last() {
    let (world, _) = exchange(13, "SINV2").await;
    // One token served all requests within its hour, in each function that made requests.
    assert!(world.standin.token_requests() <= 2, "{} tokens", world.standin.token_requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn sinchs_older_api_takes_a_conversation_with_files_from_first_to_last() {
    let (_, sent) = exchange(14, "SINC1").await;
    assert_eq!((&sent.request["message"]["type"], &sent.request["message"]["caption"]), (&json!("image"), &json!(demo::COVER)));
}

#[tokio::test(flavor = "multi_thread")]
async fn kaleyra_takes_a_conversation_with_files_from_first_to_last() {
    let (_, sent) = exchange(15, "KALEY").await;
    assert_eq!(sent.request["messaging_object"]["image"]["caption"], demo::COVER);
}

/// The provider's faults, in its own format, become the common states and classes. No message is lost, doubled or out
/// of order.
async fn faults(number: u8, key: &str) {
    let world = World::start(number).await;
    let (anna, _) = world.anna();
    let customer = world.demo.account(key).unwrap().customer.clone();
    let kind = customer.account.kind.clone();
    let path = world.accepted(&customer).await;
    let bodies = || world.standin.sent().into_iter().map(|sent| sent.body).collect::<Vec<_>>();

    world.standin.next(Fault { status: Some(429), retry_after: Some(1), ..Fault::default() });
    say(&anna, &path, "first").await;
    say(&anna, &path, "second").await;
    message_in_state(&anna, &path, "second", "read").await;
    message_in_state(&anna, &path, "first", "read").await;
    assert_eq!(bodies(), ["first", "second"], "{kind}");

    world.standin.next(Fault { callback_error: Some(WINDOW_EXPIRED.into()), ..Fault::default() });
    say(&anna, &path, "too late").await;
    let failed = message_in_state(&anna, &path, "too late", "failed").await;
    // The older Sinch API has no codes, and the wording of its reports is not documented.
    let class = if kind == "SINCH" { "permanent" } else { "window_expired" };
    assert_eq!(failed["error"]["class"], class, "{kind}");

    world.standin.next(Fault { status: Some(401), ..Fault::default() });
    say(&anna, &path, "refused").await;
    if kind == "SINCH_V2" {
        // The token may have expired. With a new one the message is sent.
        message_in_state(&anna, &path, "refused", "read").await;
    } else {
        let failed = message_in_state(&anna, &path, "refused", "failed").await;
        assert_eq!(failed["error"]["class"], "authentication", "{kind}");
    }

    // The provider accepted the message, and the connection closed. The provider's own report settles it, and nothing
    // is sent twice.
    world.standin.hold_callbacks(true);
    world.standin.next(Fault { fault: Some(Silence::Closed), ..Fault::default() });
    say(&anna, &path, "answer lost").await;
    let doubtful = message_in_state(&anna, &path, "answer lost", "unknown").await;
    assert_eq!(doubtful["error"]["class"], "outcome_unknown", "{kind}");
    world.standin.hold_callbacks(false);
    message_in_state(&anna, &path, "answer lost", "read").await;

    world.standin.next(Fault { status: Some(503), ..Fault::default() });
    say(&anna, &path, "in doubt").await;
    say(&anna, &path, "last").await;
    message_in_state(&anna, &path, "last", "read").await;
    assert_eq!(bodies().iter().filter(|body| *body == "answer lost").count(), 1, "{kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metas_faults_neither_lose_nor_double_nor_reorder_a_message() {
    faults(17, "META1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_faults_of_sinchs_conversation_api_neither_lose_nor_double_nor_reorder_a_message() {
    faults(18, "SINV2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_faults_of_sinchs_older_api_neither_lose_nor_double_nor_reorder_a_message() {
    faults(19, "SINC1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kaleyras_faults_neither_lose_nor_double_nor_reorder_a_message() {
    faults(20, "KALEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_webhook_was_lost_is_found_on_request_and_by_the_schedule() {
    let world = World::start(21).await;
    let (anna, _) = world.anna();
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    for key in ["DEMO1", "SINV2", "SINC1"] {
        let connected = world.demo.account(key).unwrap();
        let customer = &connected.customer;
        customer.text("heard").await.unwrap().expect_status(200).unwrap();
        customer.written("lost").unwrap();
        let reconcile = format!("/accounts/{}/reconcile", connected.id);
        let found = world.admin().post(&reconcile, &json!({})).await.unwrap();
        assert_eq!((&found["listed"], &found["new"]), (&json!(2), &json!(1)), "{key}");
        let again = world.admin().post(&reconcile, &json!({})).await.unwrap();
        assert_eq!((&again["listed"], &again["new"]), (&json!(2), &json!(0)), "{key}");
        customer.written("lost too").unwrap();
    }
    world.stack.invoke("reconcile").await.unwrap();
    for key in ["DEMO1", "SINV2", "SINC1"] {
        let account = &world.demo.account(key).unwrap().id;
        let bodies = until("all three", async || {
            let mine = anna.get("/interactions").await.unwrap();
            let offer = mine["offers"].as_array().unwrap().iter().find(|offer| offer["account"] == *account)?.clone();
            let thread = anna.get(&format!("/interactions/{}/messages", offer["id"].as_str().unwrap())).await.unwrap();
            let messages = thread["items"].as_array().unwrap().clone();
            (messages.len() >= 3)
                .then(|| messages.iter().map(|message| message["content"]["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        })
        .await;
        // Twilio's list has times in whole seconds, and its webhooks have no time. Within one second the order is
        // unknown.
        let once: BTreeSet<_> = bodies.iter().map(String::as_str).collect();
        assert_eq!((bodies.len(), once), (3, BTreeSet::from(["heard", "lost", "lost too"])), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_has_the_provider_checked_and_its_webhooks_set_up() {
    let world = World::start(22).await;
    let admin = world.admin();
    for connected in &world.demo.accounts {
        let (kind, id) = (connected.customer.account.kind.as_str(), &connected.id);
        let by_api = matches!(kind, "META" | "SINCH_V2");
        if by_api {
            world.standin.point(&connected.customer.account, "");
        }
        let set_up = admin.post(&format!("/accounts/{id}/webhook"), &json!({})).await.unwrap();
        assert_eq!(set_up["registered"], json!(by_api), "{kind}");
        assert_eq!(set_up["instructions"].is_null(), by_api, "{kind}");
        let checked = admin.post(&format!("/accounts/{id}/check"), &json!({})).await.unwrap();
        assert_eq!(checked["ok"], json!(true), "{kind} {checked}");
        // The new webhook works with the secret that was set up with it.
        connected.customer.text("hello").await.unwrap().expect_status(200).unwrap();
    }
    // The provider has another key now. The check distinguishes this from a missing number.
    let twilio = &world.account().customer.account;
    let mut changed = twilio.clone();
    changed.fields.insert("auth_token".to_owned(), "another".to_owned());
    world.standin.add_account(&changed);
    let checked = admin.post(&format!("/accounts/{}/check", world.account().id), &json!({})).await.unwrap();
    assert_eq!((&checked["ok"], &checked["findings"][0]["subject"]), (&json!(false), &json!("credentials")), "{checked}");
    assert!(!checked.to_string().contains(twilio.field("auth_token")), "{checked}");
}

/// The loop from the README, which readers may paste while `cargo local` is running.
#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_request_is_taken_when_curl_sends_it_signed() {
    let world = World::start(16).await;
    let folder = local::private_folder().join("tmp");
    std::fs::create_dir_all(&folder).unwrap();
    let endpoints = folder.join(format!("endpoints-{}.json", std::process::id()));
    let text = local::cli::endpoints(world.engine, &world.stack, &world.standin, &world.demo).unwrap().to_string();
    std::fs::write(&endpoints, text).unwrap();
    let readme = std::fs::read_to_string(local::workspace().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("for file in events/").unwrap();
    let (documented, _) = rest.split_once("\n```").unwrap();
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", &format!("for file in events/{documented}")]).current_dir(local::workspace()).env("ENDPOINTS", &endpoints);
    let output = shell.output().await.unwrap();
    std::fs::remove_file(&endpoints).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let refused: Vec<_> = said.lines().filter(|line| !line.starts_with("200 ")).collect();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(refused.is_empty() && said.lines().count() > 12, "{said}");
}
