//! Video calls, against the stand-in of Vidaoo.

use std::time::Duration;

use domain::effect::InteractionKey;
use domain::video::{Call, Meeting, VideoSettings};
use engine::ports::Store as _;
use jiff::{SignedDuration, Timestamp};
use local::standin::{Fault, On, Silence, VIDEO_KEY};
use serde_json::{Value, json};
use store::Write;

use crate::{Answer, Caller, Desk};

impl Desk {
    /// A desk whose account has video calls, and Anna's interaction with a customer.
    async fn calling(key: &str) -> (Self, String) {
        let mut desk = Self::open(key, 5).await;
        let before = desk.account.clone();
        let metadata = json!({ "desk": "Rome" }).as_object().unwrap().clone();
        let video = VideoSettings { enabled: true, topic: format!("Support {key}"), note: Some("by WhatsApp".into()), metadata };
        desk.account.settings.video = Some(video);
        desk.account.video_key_set_at = Some(Timestamp::now());
        desk.rewritten(before).await;
        desk.video_key(VIDEO_KEY).await;
        let path = desk.accepted(1).await;
        (desk, path)
    }

    /// Writes the account, which was `before`, and forgets what is cached of it.
    async fn rewritten(&mut self, before: domain::account::Account) {
        self.account.version = before.version + 1;
        let write = Write::Replace { before: &before, version: before.version };
        self.deployment.configuration.put(&self.account, write, Vec::new()).await.unwrap();
        self.routers = self.fresh_routers();
    }

    async fn video_key(&self, key: &str) {
        let secrets = cloud::secrets::SecretStore::of_kind(&self.deployment.aws, &self.deployment.env, "VIDEO_KEY_PREFIX").unwrap();
        secrets.keep(&self.account.id, &key).await.unwrap();
    }

    fn calls_by(&self, subject: &str) -> Caller {
        self.with_token("/assist", self.issuer.mint(subject, &["agent"], Duration::from_secs(600)).unwrap())
    }

    async fn called(&self, path: &str, key: Option<&str>) -> Answer {
        self.calls_by("anna").call("POST", &format!("{path}/video"), key, Some(Value::Null)).await
    }

    fn vidaoo_fails(&self, status: Option<u16>, code: &str) {
        let (on, fault) = (On::Api, status.is_none().then_some(Silence::Closed));
        self.issuer.next(Fault { provider: Some("VIDAOO".into()), on, status, code: Some(code.into()), fault, ..Fault::default() });
    }

    /// The texts of a thread.
    async fn texts(&self, path: &str) -> Vec<String> {
        let (_, thread) = self.anna().get(&format!("{path}/messages")).await;
        let items = thread["items"].as_array().unwrap().iter();
        items.filter_map(|message| message["content"]["body"].as_str().map(str::to_owned)).collect()
    }

    async fn key_of(&self, path: &str) -> InteractionKey {
        self.deployment.store.locate(&path.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn the_customer_gets_a_link_as_a_message_and_the_agent_the_hosts_and_a_repetition_makes_neither_again() {
    let (desk, path) = Desk::calling("CALLS").await;
    let (status, call) = desk.called(&path, Some("k1")).await;
    assert_eq!(status, 200, "{call}");
    let (guest, host) = ("https://vidaoo.example/meet/1?as=guest", "https://vidaoo.example/meet/1?as=host");
    assert_eq!((&call["customer_link"], &call["host_link"]), (&json!(guest), &json!(host)));
    let met = desk.issuer.meetings();
    assert_eq!(met.len(), 1);
    assert_eq!(
        (met[0].topic.as_str(), met[0].note.as_str(), &met[0].metadata),
        ("Support CALLS", "by WhatsApp", &json!({ "desk": "Rome" }))
    );
    assert_eq!(desk.texts(&path).await.last().unwrap(), guest);
    // The host's link is nobody else's: neither the thread nor the history has it.
    let (_, history) = desk.anna().get(&format!("{path}/history")).await;
    let told = history["items"].as_array().unwrap().iter().find(|entry| entry["fact"] == "video_started").unwrap();
    assert_eq!((&told["message"], &told["agent"]), (&call["message"], &json!(desk.agents[0])));
    assert!(!history.to_string().contains("as=host"));

    let before = desk.texts(&path).await.len();
    assert_eq!(desk.called(&path, Some("k1")).await, (200, call.clone()));
    assert_eq!((desk.issuer.meetings().len(), desk.texts(&path).await.len()), (1, before));
    // Another command is another call.
    let (status, other) = desk.called(&path, Some("k2")).await;
    assert_eq!((status, &other["customer_link"]), (200, &json!("https://vidaoo.example/meet/2?as=guest")));
    assert_eq!(desk.called(&path, None).await.0, 200);
    assert_eq!((desk.issuer.meetings().len(), desk.texts(&path).await.len()), (3, before + 2));
}

#[tokio::test]
async fn a_form_is_sent_where_the_deployment_says_so() {
    let (desk, path) = Desk::calling("FORMS").await;
    let url = desk.issuer.url.clone();
    let pairs = [("VIDAOO_FORM", "form"), ("VIDAOO_URL", &format!("{url}/vidaoo")), ("EGRESS_ALLOWED_ORIGINS", &url)];
    let mut assist = assist_api::App::from_env(&desk.deployment.env_with(&pairs)).unwrap();
    let keys = desk.issuer.jwks_url();
    let rules = desk.deployment.env_with(&[("JWT_ISSUER", &url), ("JWKS_URL", &keys), ("JWT_AUDIENCE", local::standin::AUDIENCE)]);
    assist.access.gate = std::sync::Arc::new(cloud::auth::Verifier::from_env(&rules).unwrap());
    let anna = Caller { router: assist_api::router(std::sync::Arc::new(assist)), ..desk.calls_by("anna") };
    let (status, call) = anna.post(&format!("{path}/video"), Value::Null).await;
    assert_eq!(status, 200, "{call}");
    assert_eq!(desk.issuer.meetings()[0].metadata, json!({ "desk": "Rome" }));
    desk.vidaoo_fails(Some(200), "flat");
    let (_, call) = anna.post(&format!("{path}/video"), Value::Null).await;
    assert_eq!(
        (&call["customer_link"], &call["host_link"]),
        (&json!("https://vidaoo.example/flat/2"), &json!("https://vidaoo.example/flat/2"))
    );
}

#[tokio::test]
async fn each_failure_has_its_own_problem_and_sends_nothing() {
    let (desk, path) = Desk::calling("NOCAL").await;
    for (key, status, code, answer, kind, again) in [
        ("a", Some(401), "", 502, "video-refused", true),
        ("b", Some(429), "", 429, "video-busy", true),
        ("c", Some(422), "", 502, "video-not-taken", true),
        ("d", Some(500), "", 502, "video-failed", false),
        ("e", None, "", 502, "video-failed", false),
        ("f", Some(200), "half", 502, "video-unreadable", false),
        ("g", Some(200), "empty", 502, "video-unreadable", false),
        ("h", Some(200), "http", 502, "video-unreadable", false),
    ] {
        let before = desk.texts(&path).await;
        desk.vidaoo_fails(status, code);
        let (got, problem) = desk.called(&path, Some(key)).await;
        assert_eq!((got, &problem["type"]), (answer, &json!(format!("/problems/{kind}"))), "{status:?} {code} {problem}");
        assert_eq!(desk.texts(&path).await, before, "{status:?} {code}");
        let met = desk.issuer.meetings().len();
        let (got, answer) = desk.called(&path, Some(key)).await;
        if again {
            assert_eq!(got, 200, "there was certainly no meeting: {answer}");
            assert_eq!(desk.texts(&path).await.last().unwrap(), answer["customer_link"].as_str().unwrap());
        } else {
            // It is still believed to be under way.
            assert_eq!((got, &answer["type"]), (409, &json!("/problems/video-under-way")), "{status:?} {code}");
            assert_eq!(desk.issuer.meetings().len(), met, "no second meeting");
        }
    }
}

#[tokio::test]
async fn a_request_that_broke_off_makes_no_second_meeting_and_one_that_had_its_meeting_sends_it() {
    let (desk, path) = Desk::calling("BROKE").await;
    let key = desk.key_of(&path).await;
    let command = |word: &str| {
        let path = format!("{path}/video");
        cloud::digest::sha256_hex(format!("{}\nPOST\n{path}\n{word}", desk.agents[0]))
    };
    let long_ago = Timestamp::now() - SignedDuration::from_secs(31);
    let lost = Call { at: long_ago, meeting: None };
    desk.deployment.store.keep_call(&key, &command("lost"), &lost).await.unwrap();
    let (status, problem) = desk.called(&path, Some("lost")).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/video-unknown")), "{problem}");
    let meeting = Meeting { customer: "https://vidaoo.example/kept".into(), host: "https://vidaoo.example/host".into() };
    desk.deployment.store.keep_call(&key, &command("kept"), &Call { at: long_ago, meeting: Some(meeting) }).await.unwrap();
    let (status, call) = desk.called(&path, Some("kept")).await;
    assert_eq!((status, &call["host_link"]), (200, &json!("https://vidaoo.example/host")), "{call}");
    assert_eq!(desk.texts(&path).await.last().unwrap(), "https://vidaoo.example/kept");
    assert!(desk.issuer.meetings().is_empty());
    assert_eq!(desk.called(&path, Some("kept")).await, (200, call));
}

#[tokio::test]
async fn whoever_could_not_send_the_link_starts_no_call() {
    let (mut desk, path) = Desk::calling("NOTMY").await;
    let (status, problem) = desk.calls_by("ben").post(&format!("{path}/video"), Value::Null).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/not-yours")), "{problem}");
    let old = desk.accepted_long_ago().await;
    let (status, problem) = desk.called(&old, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/window-expired")), "{problem}");
    assert_eq!(desk.anna().post(&format!("{path}/close"), json!({ "disposition": "Sold" })).await.0, 200);
    let (status, problem) = desk.called(&path, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/closed")), "{problem}");
    assert!(desk.issuer.meetings().is_empty(), "no meeting that nobody may be invited to");

    // Off, or without a key, nothing is called either.
    let path = desk.accepted(2).await;
    let before = desk.account.clone();
    desk.account.video_key_set_at = None;
    desk.rewritten(before).await;
    let (status, problem) = desk.called(&path, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/video-key-missing")), "{problem}");
    let before = desk.account.clone();
    desk.account.settings.video.as_mut().unwrap().enabled = false;
    desk.rewritten(before).await;
    let (status, problem) = desk.called(&path, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/video-off")), "{problem}");
    let (_, me) = desk.anna().get("/me").await;
    assert_eq!(me["accounts"][0]["video"], false);
    assert!(desk.issuer.meetings().is_empty());
}
