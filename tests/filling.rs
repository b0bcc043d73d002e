//! Interactions of a version before the lists join them, whatever happens meanwhile.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::ContactId;
use domain::interaction::Interaction;
use domain::job::State;
use domain::migration::{Migration, Upgrade};
use domain::row::Listing;
use engine::ports::{Commit, Committed};
use ulid::Ulid;

use super::*;

type Item = HashMap<String, AttributeValue>;

/// When the interactions of these tests were opened: before there were lists.
const THEN: &str = "2026-11-20T10:00:00.5Z";

impl Desk {
    /// An interaction as the version of that day wrote it. `of` differs from the least that such an item had.
    fn old(&self, number: u128, of: Value) -> Value {
        let made = THEN.parse::<Timestamp>().unwrap().as_millisecond() + i64::try_from(number).unwrap();
        let id = InteractionId::from_ulid(Ulid::from_parts(u64::try_from(made).unwrap(), number));
        let opened = Timestamp::from_millisecond(made).unwrap();
        let mut data = json!({
            "id": id, "account": self.account.id, "contact": ContactId::from_ulid(Ulid(number)),
            "address": {"phone": "+393331234567"}, "customer_name": "Zoë", "version": 7, "status": "closed", "opened_at": opened,
            "tab_open": false, "unread": false, "last_message": {"at": opened, "from_customer": true}, "tags": ["VIP"],
            "run": {"number": 1, "entered": 1}
        });
        data.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        data
    }

    /// Writes it, without the attributes of the indexes.
    async fn put_old(&self, data: &Value) -> Item {
        let interaction = data["id"].as_str().unwrap();
        let pk = format!("CONV#{}#{}", data["account"].as_str().unwrap(), data["contact"].as_str().unwrap());
        let mut item: Item = serde_dynamo::to_item(json!({
            "pk": pk, "sk": format!("INT#{interaction}"), "v": 1, "version": data["version"], "data": data,
            // Those of its last version stay in an item. They were carried out long ago.
            "effects": [{"kind": "archive"}]
        }))
        .unwrap();
        let reference =
            json!({"pk": format!("REF#{interaction}"), "sk": "REF", "v": 1, "account": data["account"], "contact": data["contact"]});
        for one in [item.clone(), serde_dynamo::to_item(reference).unwrap()] {
            self.dynamodb().put_item().table_name("interactions").set_item(Some(one)).send().await.unwrap();
        }
        // As it is read.
        item.retain(|name, _| name != "pk" && name != "sk");
        item
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.deployment.aws.dynamodb()
    }

    /// The stored item of an interaction, without its key.
    async fn item_of(&self, data: &Value) -> Option<Item> {
        let pk = format!("CONV#{}#{}", data["account"].as_str().unwrap(), data["contact"].as_str().unwrap());
        let sk = format!("INT#{}", data["id"].as_str().unwrap());
        let get = self.dynamodb().get_item().table_name("interactions").consistent_read(true);
        let item = get.key("pk", AttributeValue::S(pk)).key("sk", AttributeValue::S(sk)).send().await.unwrap().item?;
        Some(item.into_iter().filter(|(name, _)| name != "pk" && name != "sk").collect())
    }

    /// The ids that a list shows.
    async fn listed(&self, filters: &str) -> Vec<String> {
        let (status, page) = self.overseer().get(&format!("/interactions?{filters}")).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Lets the hour after the upgrade be over.
    async fn an_hour_later(&self) {
        let configuration = &self.deployment.configuration;
        let (noted, version) = configuration.migration(Upgrade::Lists).await.unwrap().unwrap();
        assert!(noted.due_at > Timestamp::now() + SignedDuration::from_mins(55), "{noted:?}");
        assert!(configuration.put_migration(Upgrade::Lists, &Migration::due(Timestamp::now()), version).await.unwrap());
    }
}

fn id(data: &Value) -> String {
    data["id"].as_str().unwrap().to_owned()
}

/// An item's attributes that the indexes take.
fn taken(item: &mut Item) -> Vec<String> {
    let mut taken: Vec<String> = ["list_of", "listed", "open_of", "row"].map(str::to_owned).into();
    taken.retain(|name| item.remove(name).is_some());
    taken
}

#[tokio::test]
async fn interactions_of_a_version_before_the_lists_join_them_and_are_else_as_they_were() {
    let desk = Desk::open("FILLS", 5).await;
    let open = desk.old(1, json!({"status": "open", "agent": desk.agents[0], "unread": true}));
    let closed = desk.old(2, json!({"closed_at": "2026-11-20T12:00:00Z", "disposition": "Sold"}));
    let archived = desk.old(3, json!({"closed_at": "2026-11-20T12:00:00Z", "archived": true}));
    let into = json!({"account": desk.account.id, "contact": closed["contact"], "interaction": closed["id"]});
    let merged = desk.old(4, json!({"merged_into": into}));
    let mut befores = Vec::new();
    for old in [&open, &closed, &archived, &merged] {
        befores.push(desk.put_old(old).await);
    }
    // Nobody can read this one, in whatever way.
    let broken = desk.old(5, json!({"status": "upside down"}));
    desk.put_old(&broken).await;
    let new = desk.accepted(9).await;
    let new = new.rsplit('/').next().unwrap().to_owned();
    let of_new = desk.deployment.store.locate(&new.parse().unwrap()).await.unwrap().unwrap();
    let of_new = json!({"id": new, "account": desk.account.id, "contact": of_new.conversation.contact});
    let new_before = desk.item_of(&of_new).await.unwrap();
    assert_eq!(desk.listed("").await, [new.as_str()]);

    // One sweep notes it, and the job comes an hour later.
    let worker = desk.worker();
    worker.sweep().await.unwrap();
    worker.sweep().await.unwrap();
    assert_eq!(desk.overseer().get("/jobs").await.1["items"], json!([]));
    desk.an_hour_later().await;
    worker.sweep().await.unwrap();
    worker.sweep().await.unwrap();
    desk.work().await;
    let (_, jobs) = desk.overseer().get("/jobs").await;
    assert_eq!(jobs["items"].as_array().map(Vec::len), Some(1), "{jobs}");
    let job = &jobs["items"][0];
    assert_eq!((&job["kind"], &job["by"], &job["state"]), (&json!("fill_lists"), &json!("upgrade"), &json!("done")), "{job}");
    assert_eq!(job["counts"], json!({"total": 4, "done": 3, "skipped": 1}));

    assert_eq!(desk.listed("").await, [new.clone(), id(&closed), id(&open)]);
    assert_eq!(desk.listed("status=open").await, [new.clone(), id(&open)]);
    assert_eq!(desk.listed("status=archived").await, [id(&archived)]);
    assert_eq!(desk.listed("status=closed&tags=VIP").await, [id(&closed)]);
    let (_, found) = desk
        .overseer()
        .post("/search", json!({"search": {"conditions": [{"field": "disposition", "operator": "equals", "value": "sold"}]}}))
        .await;
    assert_eq!(found["items"][0]["id"], closed["id"], "{found}");
    let all = ["list_of", "listed", "open_of", "row"];
    let closed_ones = ["list_of", "listed", "row"];
    let expected: [&[&str]; 4] = [&all, &closed_ones, &closed_ones, &[]];
    for ((old, before), attributes) in [&open, &closed, &archived, &merged].into_iter().zip(befores).zip(expected) {
        let mut after = desk.item_of(old).await.unwrap();
        assert_eq!((taken(&mut after), after), (attributes.iter().map(|name| (*name).to_owned()).collect(), before), "{old}");
    }
    assert_eq!(desk.item_of(&of_new).await.unwrap(), new_before);

    // It ends for good.
    worker.sweep().await.unwrap();
    assert!(desk.deployment.configuration.migration(Upgrade::Lists).await.unwrap().unwrap().0.ended_at.is_some());
    worker.sweep().await.unwrap();
    desk.deployment.proxy.calls();
    worker.sweep().await.unwrap();
    let calls = desk.deployment.proxy.calls();
    // The jobs that have not ended, the day's job, the retention time, and the documents, which are not due.
    let expected = ["Query", "GetItem", "GetItem", "GetItem"].map(|call| format!("DynamoDB_20120810.{call}"));
    assert_eq!(calls, expected, "nothing for this migration");
    assert_eq!(desk.overseer().get("/jobs").await.1["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_change_between_the_read_and_the_write_of_a_late_row_wins() {
    let desk = Desk::open("RIVAL", 5).await;
    let store = &desk.deployment.store;
    let old = desk.old(1, json!({}));
    desk.put_old(&old).await;
    let [read] = store.scan_unlisted(None).await.unwrap().interactions.try_into().unwrap();
    let row = |interaction: &Interaction| serde_dynamo::to_attribute_value(Listing::of(interaction).unwrap().row).unwrap();

    // A function of the version before writes it once more, still without a row.
    let before = Interaction { version: 8, unread: true, ..read.clone() };
    desk.put_old(&serde_json::to_value(&before).unwrap()).await;
    assert!(store.list_late(&read).await.unwrap());
    assert_eq!(desk.item_of(&old).await.unwrap()["row"], row(&before));

    // The answer is lost, and the client's repetition meets its own write.
    desk.put_old(&old).await;
    desk.deployment.proxy.fail_some("DynamoDB_20120810.UpdateItem", When::Retried, 0, 1);
    assert!(!store.list_late(&read).await.unwrap());
    desk.deployment.proxy.heal();
    assert_eq!(desk.item_of(&old).await.unwrap()["row"], row(&read));

    // A function of this version changes it: it writes the row with it.
    desk.put_old(&old).await;
    let after = Interaction { version: 8, tags: Vec::new(), ..read.clone() };
    assert_eq!(store.commit(Commit::plain(Some(read.clone()), after.clone())).await.unwrap(), Committed::Done);
    let written = desk.item_of(&old).await.unwrap();
    assert!(!store.list_late(&read).await.unwrap());
    assert_eq!(desk.item_of(&old).await.unwrap(), written);
    assert_eq!(written["row"], row(&after));
    assert!(!store.list_late(&after).await.unwrap(), "it has its row");

    // It is deleted.
    assert!(matches!(store.entomb(&after, &[], None, Timestamp::now()).await.unwrap(), store::Entombed::Done(_)));
    for late in [&read, &after] {
        assert!(!store.list_late(late).await.unwrap());
    }
    assert_eq!(desk.item_of(&old).await, None, "nothing of it returns");
}

#[tokio::test]
async fn a_step_that_is_cut_off_at_any_write_is_done_again() {
    let desk = Desk::open("CUTSF", 5).await;
    let old: Vec<Value> = (1..=5).map(|number| desk.old(number, json!({}))).collect();
    let worker = desk.worker();
    worker.sweep().await.unwrap();
    for at in 0..5 {
        for one in &old {
            desk.put_old(one).await;
        }
        let configuration = &desk.deployment.configuration;
        let (_, version) = configuration.migration(Upgrade::Lists).await.unwrap().unwrap();
        let due = Timestamp::now() - SignedDuration::from_secs(at);
        assert!(configuration.put_migration(Upgrade::Lists, &Migration::due(due), version).await.unwrap());
        worker.sweep().await.unwrap();
        let [step] = desk.deployment.drain::<engine::jobs::JobStep>("JOBS_QUEUE_URL").await.try_into().unwrap();
        desk.deployment.proxy.fail_some("DynamoDB_20120810.UpdateItem", When::After, usize::try_from(at).unwrap(), 1);
        let first = worker.step(&step, "first").await;
        assert!(first.is_err(), "the write {at} failed");
        desk.deployment.proxy.heal();
        worker.step(&step, "second").await.unwrap();
        assert_eq!(desk.deployment.store.job(&step.job).await.unwrap().unwrap().state, State::Done);
        assert_eq!(desk.listed("status=closed").await.len(), 5, "after {at} writes");
    }
}
