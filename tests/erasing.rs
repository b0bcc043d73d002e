//! Erasures: nothing of a customer is left anywhere, and whoever writes again is a new contact.

use domain::contact::Contact;
use domain::ids::ContactId;
use engine::ports::Committed;

use super::*;
use crate::removal::CANARY;

impl Desk {
    /// The contact of customer `number`.
    async fn contact_of(&self, number: usize) -> Option<ContactId> {
        let place = domain::contact::Place::before(&Address::Phone(E164::parse(&format!("+3935{number:08}")).unwrap()));
        let business = domain::business::Business::of(&self.account);
        self.deployment.store.contact_of(&place, &business, true).await.unwrap().map(|person| person.owner)
    }

    /// Every item in which the name or the number of customer `number` is.
    async fn mentions(&self, number: usize) -> Vec<String> {
        let phone = format!("3935{number:08}");
        let mut found = Vec::new();
        for table in ["interactions", "config", "derived"] {
            let mut pages = self.deployment.aws.dynamodb().scan().table_name(table).into_paginator().items().send();
            while let Some(item) = pages.next().await {
                let text = format!("{:?}", item.unwrap());
                if text.contains(&phone) {
                    found.push(text);
                }
            }
        }
        found
    }

    async fn erase(&self, contact: &ContactId) -> Answer {
        self.boss().post(&format!("/contacts/{contact}/erase"), json!({})).await
    }
}

#[tokio::test]
async fn after_an_erasure_nothing_of_the_customer_is_anywhere_and_whoever_writes_again_is_new() {
    let desk = Desk::open("ERASE", 5).await;
    let supervisor = desk.overseer();
    let (closed, other) = (desk.talked(1).await, desk.talked(2).await);
    // An open one too, and exports that hold the customer, or another one.
    desk.says(1, 301, &format!("one more {CANARY}")).await;
    let contact = desk.contact_of(1).await.unwrap();
    let wanted = |id: &InteractionId| json!({"of": "interactions", "interactions": [id]});
    let mut exports = Vec::new();
    for body in [wanted(&closed.interaction), json!({"of": "contacts"}), wanted(&other.interaction)] {
        exports.push(supervisor.post("/exports", body).await.1);
    }
    desk.work().await;
    assert!(desk.mentions(1).await.len() >= 8, "{:?}", desk.mentions(1).await);

    assert_eq!(supervisor.post(&format!("/contacts/{contact}/erase"), json!({})).await.0, 403, "only owners erase");
    let (status, job) = desk.erase(&contact).await;
    assert_eq!((status, &job["kind"]), (202, &json!("erase")), "{job}");
    assert_eq!(desk.erase(&contact).await.1["id"], job["id"], "again");
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(supervisor.call("DELETE", &path, None, None).await.1["cancelled"], false, "it is not cancelled");
    // From the answer on the contact is gone, for those who look and for the customer who writes again.
    assert_eq!(desk.contact_of(1).await, None);
    let admin = desk.administrator();
    for path in [format!("/contacts/{contact}"), format!("/contacts/{contact}/links")] {
        assert_eq!(admin.get(&path).await.0, 404, "{path}");
    }
    let hold = format!("/contacts/{contact}/hold");
    assert_eq!(desk.boss().call("PUT", &hold, None, Some(json!({}))).await.0, 404, "nobody holds it any more");
    let hold = format!("/interactions/{}/hold", closed.interaction);
    assert_eq!(desk.boss().call("PUT", &hold, None, Some(json!({}))).await.0, 404, "nor its interactions");
    desk.work().await;
    assert_eq!(supervisor.get(&format!("/interactions/{}", closed.interaction)).await.0, 410);
    assert_eq!(supervisor.get(&format!("/interactions/{}", other.interaction)).await.0, 200);
    for (export, status) in exports.iter().zip([404, 404, 200]) {
        let (answered, file) = supervisor.get(&format!("/jobs/{}/file", export["id"].as_str().unwrap())).await;
        assert_eq!(answered, status, "{file}");
    }
    // An export was on its way, and a copy.
    let late = format!("exports/{}.csv", exports[0]["id"].as_str().unwrap());
    desk.objects().put(&late, CANARY.into(), "text/csv").await.unwrap();
    desk.copies(&closed).await;
    let ended = desk.second_pass(&job).await;
    assert_eq!((ended.state, ended.counts.done, ended.counts.total), (domain::job::State::Done, 2, 2));
    assert_eq!(desk.mentions(1).await, Vec::<String>::new());
    assert_eq!(desk.objects().head(&late).await.unwrap(), None);
    // Neither files nor their thumbnails.
    let files = format!("media/{}/{}/", desk.account.id, closed.interaction);
    assert_eq!(desk.objects().all_under(&files).await.unwrap(), Vec::<String>::new());
    assert!(desk.deployment.store.contact(&contact).await.unwrap().is_none());
    assert!(!desk.mentions(2).await.is_empty(), "the other customer stays");

    // What was erased is noted by ids, in the table and in the bucket.
    let noted = desk.objects().get(&format!("erasures/{}.json", job["id"].as_str().unwrap())).await.unwrap().unwrap();
    let noted: Value = serde_json::from_slice(&noted.bytes).unwrap();
    assert_eq!((&noted["contacts"], &noted["by"]), (&json!([contact]), &json!("boss")));
    let key = [("pk", "erased"), ("sk", job["id"].as_str().unwrap())];
    let key = key.map(|(name, text)| (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())));
    let ledger = desk.deployment.aws.dynamodb().get_item().table_name("config").set_key(Some(key.into())).send().await.unwrap();
    assert!(format!("{:?}", ledger.item).contains(contact.as_str()));
    let (_, trail) = admin.get("/audit?kind=contact").await;
    assert_eq!((&trail["items"][0]["action"], &trail["items"][0]["of"]), (&json!("deleted"), &json!(contact)), "{trail}");

    desk.says(1, 302, "hello again").await;
    let new = desk.contact_of(1).await.unwrap();
    assert_ne!(new, contact);
    assert_eq!(desk.erase(&contact).await.0, 404, "it is over");
}

#[tokio::test]
async fn linked_contacts_are_erased_together_and_a_hold_on_any_of_them_keeps_all() {
    let desk = Desk::open("ERLNK", 5).await;
    let (first, second) = (desk.talked(1).await, desk.talked(2).await);
    let contacts = [&first, &second].map(|key| key.conversation.contact.clone());
    let admin = desk.administrator();
    let linked = admin.post(&format!("/contacts/{}/links", contacts[0]), json!({"contact": contacts[1]})).await;
    assert_eq!(linked.0, 200, "{linked:?}");
    for hold in [format!("/contacts/{}/hold", contacts[1]), format!("/interactions/{}/hold", second.interaction)] {
        assert_eq!(desk.boss().call("PUT", &hold, None, Some(json!({}))).await.0, 200);
        let (status, problem) = desk.erase(&contacts[0]).await;
        assert_eq!((status, &problem["type"]), (409, &json!("/problems/held")), "{hold}: {problem}");
        assert!(desk.contact_of(1).await.is_some() && desk.deployment.store.unfinished_jobs().await.unwrap().is_empty());
        assert_eq!(desk.boss().call("DELETE", &hold, None, None).await.0, 204);
    }
    let (status, job) = desk.erase(&contacts[0]).await;
    assert_eq!(status, 202, "{job}");
    assert_eq!(desk.erase(&contacts[1]).await.1["id"], job["id"]);
    desk.work().await;
    desk.second_pass(&job).await;
    for number in [1, 2] {
        assert_eq!((desk.mentions(number).await, desk.contact_of(number).await), (Vec::new(), None));
    }
    assert_eq!(desk.erase(&"con_00000000000000000000000000".parse().unwrap()).await.0, 404);
}

#[tokio::test]
async fn an_erasure_that_is_cut_off_at_any_write_ends_the_same() {
    let desk = Desk::open("ERCUT", 5).await;
    let mut number = 10;
    for target in ["DynamoDB_20120810.DeleteItem", "DynamoDB_20120810.UpdateItem", "DynamoDB_20120810.PutItem", "DynamoDB_20120810.Query"] {
        for (after, when) in [(0, When::Before), (1, When::After), (4, When::Before)] {
            number += 1;
            let key = desk.talked(number).await;
            let (status, job) = desk.erase(&key.conversation.contact).await;
            assert_eq!(status, 202, "{job}");
            let [step] = desk.deployment.drain::<engine::jobs::JobStep>("JOBS_QUEUE_URL").await.try_into().unwrap();
            desk.deployment.proxy.fail_some(target, when, after, 1);
            let first = desk.worker().step(&step, "first").await;
            desk.deployment.proxy.heal();
            if first.is_err() {
                desk.expire_lease(&job).await;
                desk.worker().step(&step, "second").await.unwrap();
            }
            desk.deployment.drain::<engine::jobs::JobStep>("JOBS_QUEUE_URL").await;
            let ended = desk.second_pass(&job).await;
            assert_eq!(ended.state, domain::job::State::Done, "{target} {after} {when:?}");
            assert_eq!(desk.mentions(number).await, Vec::<String>::new(), "{target} {after} {when:?}");
        }
    }
}

/// The condition is DynamoDB's: a mark that the erasure left, not older than the import.
#[tokio::test]
async fn an_import_that_began_before_an_erasure_writes_nothing_of_the_customer_and_a_later_one_does() {
    let desk = Desk::open("ERASI", 5).await;
    desk.talked(1).await;
    let store = &desk.deployment.store;
    let contact = desk.contact_of(1).await.unwrap();
    let known = store.contact(&contact).await.unwrap().unwrap();
    let places: Vec<_> = known.places().collect();
    let began = cloud::time::now();
    assert_eq!(desk.erase(&contact).await.0, 202);

    let anew = Contact { id: ContactId::from_ulid(ulid::Ulid(1)), version: 1, ..known };
    assert_eq!(store.import_contact(&anew, true, &places, began).await.unwrap(), Committed::Conflict);
    assert!(store.was_erased(&places, began).await.unwrap());
    assert_eq!(desk.contact_of(1).await, None);
    let later = began + jiff::SignedDuration::from_mins(1);
    assert!(!store.was_erased(&places, later).await.unwrap());
    assert_eq!(store.import_contact(&anew, true, &places, later).await.unwrap(), Committed::Done);
    assert_eq!(desk.contact_of(1).await, Some(anew.id));
}
