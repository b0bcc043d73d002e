//! Triggers through the deployed functions: what other systems are told, and what follows from their answers.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::client::Api;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{World, until};

/// A call as another system got it.
#[derive(Debug, Clone)]
struct Got {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn told(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap());
        let signed = [format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).as_bytes(), &self.body].concat();
        self.header("webhook-signature").split(' ').any(|signature| {
            let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, &signed, &signature).is_ok()
        })
    }
}

/// Other systems. The path of a call selects the answer.
#[derive(Clone, Default)]
struct Others(Arc<Mutex<Vec<Got>>>);

impl Others {
    async fn start() -> (Self, String) {
        let others = Self::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Router::new().fallback(Self::answer).with_state(others.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        (others, url)
    }

    async fn answer(State(others): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        let path = uri.path().to_owned();
        let times = others.got(&path).len();
        others.0.lock().unwrap().push(Got { path: path.clone(), headers, body });
        match &*path {
            "/gone" => StatusCode::GONE.into_response(),
            "/moved" => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
            "/once" if times == 0 => (StatusCode::INTERNAL_SERVER_ERROR, "not yet").into_response(),
            _ => "thanks".into_response(),
        }
    }

    fn got(&self, path: &str) -> Vec<Got> {
        self.0.lock().unwrap().iter().filter(|got| got.path == path).cloned().collect()
    }
}

async fn add(admin: &Api, url: &str, events: &[&str], conditions: &Value) -> Value {
    let body = json!({"name": url, "events": events, "url": url, "search": {"conditions": conditions}});
    admin.post("/triggers", &body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_systems_are_told_signed_once_it_holds_and_again_if_they_fail() {
    let (others, url) = Others::start().await;
    let world = World::start_allowing(71, &url).await;
    let admin = world.admin();
    let every = ["interaction.opened", "interaction.closed", "offer.accepted", "message.incoming", "message.outgoing"];
    let told = add(&admin, &format!("{url}/all"), &every, &json!([])).await;
    let once = add(&admin, &format!("{url}/once"), &["interaction.opened"], &json!([])).await;
    let vip = json!([{"field": "tags", "operator": "equals", "value": "vip"}]);
    add(&admin, &format!("{url}/vips"), &every, &vip).await;
    let moved = add(&admin, &format!("{url}/moved"), &["interaction.opened"], &json!([])).await;
    let gone = add(&admin, &format!("{url}/gone"), &["interaction.opened"], &json!([])).await;
    // The key is shown once. From then on calls carry a signature with it.
    let rotate = format!("/triggers/{}/secret/rotate", told["id"].as_str().unwrap());
    let rotated = admin.call_with(Method::POST, &rotate, &[("if-match", "\"1\"")], Some(&json!({}))).await.unwrap();
    let secret = rotated.expect_status(200).unwrap()["secret"].as_str().unwrap().to_owned();
    let test = admin.post(&format!("/triggers/{}/test", told["id"].as_str().unwrap()), &json!({})).await.unwrap();
    assert_eq!((&test["outcome"], &test["status"], &test["answer"]), (&json!("delivered"), &json!(200), &json!("thanks")));
    let tested = others.got("/all").remove(0);
    assert!(tested.is_signed_with(&secret) && tested.told()["data"]["test"] == true, "{tested:?}");

    let (anna, _) = world.anna();
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    world.account().customer.text(&"x".repeat(5_000)).await.unwrap().expect_status(200).unwrap();
    let all = until("the system is told of the message", async || {
        let all = others.got("/all");
        let types: Vec<Value> = all.iter().map(|got| got.told()["type"].clone()).collect();
        (types.contains(&json!("message.incoming")) && types.contains(&json!("interaction.opened"))).then_some(all)
    })
    .await;
    let message = all.iter().find(|got| got.told()["type"] == "message.incoming").unwrap();
    assert!(message.is_signed_with(&secret), "{message:?}");
    let data = message.told()["data"].clone();
    assert_eq!((&data["account"]["id"], &data["message"]["cut"]), (&json!(world.account().id), &json!(true)));
    assert_eq!(data["message"]["content"]["body"].as_str().unwrap().len(), 4_096);
    let interaction = data["interaction"]["id"].as_str().unwrap().to_owned();
    // Another try under the same id, after five seconds.
    let twice = until("the failed call is made again", async || Some(others.got("/once")).filter(|got| got.len() == 2)).await;
    assert_eq!(twice[0].header("webhook-id"), twice[1].header("webhook-id"));
    assert_eq!(twice[0].body, twice[1].body);
    let log = format!("/triggers/{}/deliveries", once["id"].as_str().unwrap());
    let log = until("the log has both tries", async || {
        let log = admin.get(&log).await.unwrap()["items"].clone();
        (log.as_array().unwrap().len() == 2).then_some(log)
    })
    .await;
    assert_eq!((&log[0]["outcome"], &log[0]["attempt"], &log[0]["interaction"]), (&json!("delivered"), &json!(2), &json!(interaction)));
    assert_eq!((&log[1]["status"], &log[1]["answer"]), (&json!(500), &json!("not yet")));
    // A redirect is a failure: what was signed for one address goes to no other.
    let log = format!("/triggers/{}/deliveries", moved["id"].as_str().unwrap());
    let log =
        until("the log has the redirect", async || Some(admin.get(&log).await.unwrap()["items"][0].clone()).filter(|it| !it.is_null()))
            .await;
    assert_eq!((&log["outcome"], &log["status"], others.got("/elsewhere").len()), (&json!("refused"), &json!(302), 0));

    let accepted = anna.post(&format!("/interactions/{interaction}/accept"), &json!({})).await;
    accepted.unwrap();
    let accepted =
        until("the accept is told", async || others.got("/all").into_iter().find(|got| got.told()["type"] == "offer.accepted")).await;
    assert_eq!(accepted.told()["data"]["agent"]["id"], accepted.told()["data"]["interaction"]["agent"]);
    assert!(others.got("/vips").is_empty(), "its condition does not hold");

    // 410: it is off, and the trail and the owner's notifications say so.
    let path = format!("/triggers/{}", gone["id"].as_str().unwrap());
    let off = until("the trigger is switched off", async || Some(admin.get(&path).await.unwrap()).filter(|it| it["active"] == false)).await;
    assert_eq!(off["disabled"]["why"], "gone");
    let trail = admin.get(&format!("/audit?id={}", gone["id"].as_str().unwrap())).await.unwrap();
    let by_service = trail["items"].as_array().unwrap().iter().find(|entry| entry["who"] == "service").cloned();
    assert!(by_service.is_some_and(|entry| entry["of"] == gone["id"]), "{trail}");
    let ada = Api::new(&world.demo.agent_url, &world.demo.admin_token);
    let note = until("she is notified", async || {
        let notes = ada.get("/notifications").await.unwrap();
        notes["items"].as_array().unwrap().iter().find(|note| note["kind"] == "trigger_disabled").cloned()
    })
    .await;
    assert_eq!((&note["trigger"]["id"], &note["trigger"]["why"]), (&gone["id"], &json!("gone")));
    assert_eq!(others.got("/gone").len(), 1);
    let tag = format!("\"{}\"", off["version"]);
    let on = admin.call_with(Method::PATCH, &path, &[("if-match", &tag)], Some(&json!({"active": true}))).await.unwrap();
    let on = on.expect_status(200).unwrap();
    assert_eq!((&on["active"], on.get("disabled")), (&json!(true), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_to_an_address_that_is_private_or_our_own_is_not_saved() {
    let world = World::start(72).await;
    let admin = world.admin();
    for url in [
        "http://crm.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/",
        "https://localhost/",
        "https://crm.internal/",
        "https://user:secret@crm.example.com/",
        &format!("{}/triggers", world.demo.admin_url),
    ] {
        let body = json!({"name": "x", "events": ["message.incoming"], "url": url});
        let reply = admin.call(Method::POST, "/triggers", Some(&body)).await.unwrap();
        assert_eq!((reply.status, &reply.body["errors"][0]["field"]), (422, &json!("url")), "{url}: {}", reply.body);
    }
    assert_eq!(admin.get("/triggers").await.unwrap()["items"], json!([]));
}
