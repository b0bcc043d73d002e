//! The plan's Webhook step through the deployed function: the request to the other system, the effect of its answer,
//! and failures that must have no effect.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::{World, replace, until};

/// The other system. The path of a request selects the answer, and every request is recorded.
#[derive(Clone, Default)]
struct Other(Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>);

impl Other {
    async fn start() -> (Self, String) {
        let other = Self::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Router::new().fallback(Self::answer).with_state(other.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        (other, url)
    }

    async fn answer(State(other): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        other.0.lock().unwrap().push((uri.path().to_owned(), headers, body));
        match uri.path() {
            "/gold" => axum::Json(json!({"variables": {"tier": "gold"}})).into_response(),
            "/down" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "/moved" => (StatusCode::FOUND, [(header::LOCATION, "/gold")]).into_response(),
            "/slow" => {
                // This takes longer than the step waits.
                tokio::time::sleep(Duration::from_secs(60)).await;
                StatusCode::OK.into_response()
            }
            _ => "<html>".into_response(),
        }
    }

    fn asked(&self, path: &str) -> Vec<(HeaderMap, Bytes)> {
        let asked = self.0.lock().unwrap();
        asked.iter().filter(|(asked, ..)| asked == path).map(|(_, headers, body)| (headers.clone(), body.clone())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_step_sends_a_signed_request_and_sets_variables_and_failures_stop_nothing() {
    let (other, url) = Other::start().await;
    let world = World::start_allowing(8, &url).await;
    let (anna, _) = world.anna();
    anna.put("/presence", &json!({"state": "ready"})).await.unwrap();
    // One account for each kind of answer, so that none of them is in a cache. Addresses without `https` are refused
    // unless they are allowed explicitly.
    let cases = [
        ("/gold", None, 1),
        ("/down", Some("refused"), 2),
        ("/moved", Some("refused"), 2),
        ("/slow", Some("timed_out"), 2),
        ("/html", Some("unreadable"), 1),
    ];
    let admin = world.admin();
    for (account, (way, ..)) in world.demo.accounts.iter().zip(cases) {
        let path = format!("/accounts/{}", account.id);
        let mut body = admin.get(&path).await.unwrap();
        let queue = body["plan"][0].clone();
        body["plan"] = json!([
            {"step": "webhook", "url": format!("{url}{way}")},
            {"step": "goto_if", "condition": "tier = 'gold'", "then": "gold", "else": "all"},
            {"label": "gold", "step": "tag", "tag": "gold"},
            queue,
        ]);
        body["plan"][3]["label"] = json!("all");
        replace(&admin, &path, &body).await;
        account.customer.text("hello").await.unwrap().expect_status(200).unwrap();
    }
    // A failure of the other system never keeps a customer from the queue.
    let offers = until("five offers", async || {
        let offers = anna.get("/interactions").await.unwrap()["offers"].as_array().unwrap().clone();
        (offers.len() == cases.len()).then_some(offers)
    })
    .await;
    for (account, (way, why, times)) in world.demo.accounts.iter().zip(cases) {
        let offer = offers.iter().find(|offer| offer["account"] == account.id.as_str()).unwrap();
        let history = anna.get(&format!("/interactions/{}/history", offer["id"].as_str().unwrap())).await.unwrap();
        let failed = history["items"].as_array().unwrap().iter().find(|entry| entry["fact"] == "webhook_failed");
        assert_eq!(failed.map(|entry| entry["why"].as_str().unwrap()), why, "{way}: {history}");
        let tags = if why.is_none() { json!(["gold"]) } else { Value::Null };
        assert_eq!(offer.get("tags").cloned().unwrap_or_default(), tags, "{way}");
        let asked = other.asked(way);
        // Redirects are not followed: a request that was signed for one address must not reach another.
        assert_eq!(asked.len(), times, "{way}");
        let ids: Vec<_> = asked.iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "a repetition can be told");
        let secret = admin.get(&format!("/accounts/{}", account.id)).await.unwrap()["webhook_secret"].as_str().unwrap().to_owned();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap());
        for (headers, body) in &asked {
            let text = |name: &str| headers[name].to_str().unwrap();
            let signed = [format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).as_bytes(), body].concat();
            let signature = BASE64_STANDARD.decode(text("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, &signed, &signature).unwrap();
            let asked: Value = serde_json::from_slice(body).unwrap();
            assert_eq!((&asked["type"], &asked["data"]["interaction"]["id"]), (&json!("plan.webhook"), &offer["id"]));
            assert_eq!(asked["data"]["account"]["id"], account.id.as_str());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_a_plain_http_or_internal_address_is_not_saved() {
    let world = World::start(9).await;
    let admin = world.admin();
    let path = format!("/accounts/{}", world.account().id);
    let before = admin.get(&path).await.unwrap();
    for url in ["http://crm.example.com/whatsapp", "http://127.0.0.1:1/", "ftp://crm.example.com", "https://user:secret@crm.example.com"] {
        let mut body = before.clone();
        body["plan"] = json!([{"step": "webhook", "url": url}]);
        let tag = format!("\"{}\"", body["version"]);
        let reply = admin.call_with(reqwest::Method::PUT, &path, &[("if-match", &tag)], Some(&body)).await.unwrap();
        assert_eq!((reply.status, &reply.body["errors"][0]["field"]), (422, &json!("plan[0].url")), "{url}: {}", reply.body);
    }
    assert_eq!(admin.get(&path).await.unwrap(), before);
}
