//! A conversation with a file in both directions through every provider, as the deployed template serves it, and what each does beside that.

use local::standin::Sent;

use super::*;

/// From the customer's picture to the transcript with both files; the answer as the provider took it.
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
    // One token served for every request that was made within its hour, in each function that made one.
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

/// The loop of the README, which anybody may paste while `cargo local` is up.
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
