//! The retention time: who sets it, what it shows first, and what it deletes.

use domain::effect::InteractionKey;
use domain::fixtures;
use domain::ids::ContactId;
use domain::interaction::{Interaction, Status};
use engine::ports::{Commit, Committed};
use ulid::Ulid;

use super::*;

impl Desk {
    /// An interaction that was closed so many days ago.
    async fn closed_for(&self, number: u128, days: i64) -> InteractionKey {
        let at = Timestamp::now() - SignedDuration::from_hours(days * 24);
        let after = Interaction {
            id: InteractionId::from_ulid(Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap(), number)),
            account: self.account.id.clone(),
            contact: ContactId::from_ulid(Ulid(number)),
            ..fixtures::interaction(Status::Closed, at)
        };
        let key = after.key();
        let commit = Commit::plain(None, after);
        assert_eq!(self.deployment.store.commit(commit).await.unwrap(), Committed::Done);
        key
    }

    async fn set_retention(&self, version: u64, body: Value) -> Answer {
        self.boss().call_with("PUT", "/retention", &[("if-match", format!("\"{version}\""))], Some(body)).await
    }

    async fn preview_retention(&self, body: Value) -> Value {
        let (status, job) = self.boss().post("/retention/preview", body).await;
        assert_eq!((status, &job["kind"]), (202, &json!("preview_retention")), "{job}");
        self.work().await;
        self.boss().get(&format!("/jobs/{}", job["id"].as_str().unwrap())).await.1["preview"].clone()
    }
}

#[tokio::test]
async fn what_is_kept_no_longer_is_deleted_once_a_day_but_for_what_is_held() {
    let desk = Desk::open("RETEN", 5).await;
    let (old, held, young) = (desk.closed_for(1, 40).await, desk.closed_for(2, 41).await, desk.closed_for(3, 20).await);
    let open = desk.accepted(4).await;
    assert_eq!(desk.worker().sweep().await.unwrap(), 0);
    assert_eq!(desk.overseer().get("/jobs").await.1["items"], json!([]), "off unless set");
    let hold = format!("/interactions/{}/hold", held.interaction);
    assert_eq!(desk.boss().call("PUT", &hold, None, Some(json!({}))).await.0, 200);

    // A shorter time shows first what it deletes.
    let month = json!({"days": 30});
    let (status, problem) = desk.set_retention(0, month.clone()).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/retention-unconfirmed")), "{problem}");
    let other = desk.preview_retention(json!({"days": 10})).await;
    assert_eq!(other["count"], 3, "{other}");
    let with = |preview: &Value| json!({"days": 30, "preview": preview["token"]});
    assert_eq!(desk.set_retention(0, with(&other)).await.0, 409, "that one was about other days");
    let shown = desk.preview_retention(month.clone()).await;
    assert_eq!(shown["count"], 2, "{shown}");
    let (status, set) = desk.set_retention(0, with(&shown)).await;
    assert_eq!((status, &set["days"], &set["version"]), (200, &json!(30), &json!(1)), "{set}");
    assert_eq!(desk.set_retention(0, with(&shown)).await.0, 412);
    assert_eq!(desk.overseer().get("/retention").await.1, set);

    desk.worker().sweep().await.unwrap();
    desk.work().await;
    let jobs = async || desk.overseer().get("/jobs").await.1["items"].as_array().unwrap().clone();
    let daily: Vec<Value> = jobs().await.into_iter().filter(|job| job["by"] == "retention").collect();
    assert_eq!(daily.len(), 1, "{daily:?}");
    assert_eq!((&daily[0]["kind"], &daily[0]["counts"]), (&json!("delete"), &json!({"total": 2, "done": 1, "skipped": 1})), "{daily:?}");
    for (key, status) in [(&old, 410), (&held, 200), (&young, 200)] {
        assert_eq!(desk.overseer().get(&format!("/interactions/{}", key.interaction)).await.0, status);
    }
    assert_eq!(desk.overseer().get(&open).await.0, 200, "an open one stays");
    let before = jobs().await.len();
    desk.worker().sweep().await.unwrap();
    assert_eq!(jobs().await.len(), before, "once a day");

    // An account's own time wins; what keeps more needs no preview.
    let account = desk.account.id.as_str();
    let (status, set) = desk.set_retention(1, json!({"days": 30, "accounts": {account: null}})).await;
    assert_eq!((status, &set["accounts"]), (200, &json!({account: null})), "{set}");
    assert_eq!(desk.preview_retention(json!({"days": 10, "accounts": {account: null}})).await["count"], 0);
    assert_eq!(desk.preview_retention(json!({"accounts": {account: 10}})).await["count"], 2);
    assert_eq!(desk.set_retention(2, json!({"days": null})).await.0, 200, "off again");
    let (_, trail) = desk.administrator().get("/audit?kind=retention").await;
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(3), "{trail}");
    assert_eq!((&trail["items"][2]["action"], &trail["items"][2]["who"]), (&json!("changed"), &json!("boss")), "{trail}");
}

#[tokio::test]
async fn a_retention_time_that_is_wrong_is_refused_by_its_field_and_only_owners_set_it() {
    let desk = Desk::open("RTBAD", 5).await;
    let unknown = "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (body, field) in [
        (json!({"days": 0}), "days".to_owned()),
        (json!({"days": 36_501}), "days".to_owned()),
        (json!({"days": "30"}), "days".to_owned()),
        (json!({"accounts": {unknown: 30}}), format!("accounts.{unknown}")),
        (json!({"accounts": {desk.account.id.as_str(): 0}}), format!("accounts.{}", desk.account.id)),
    ] {
        let (status, problem) = desk.set_retention(0, body.clone()).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{body}: {problem}");
        assert_eq!(desk.boss().post("/retention/preview", body.clone()).await.0, 422, "{body}");
    }
    assert_eq!(desk.overseer().post("/retention/preview", json!({})).await.0, 403);
    assert_eq!(desk.boss().call("PUT", "/retention", None, Some(json!({}))).await.0, 428);
    assert_eq!(desk.overseer().get("/retention").await.1, json!({"accounts": {}, "version": 0}));
}
