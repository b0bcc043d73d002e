//! Interactions that closed in a version before the documents get theirs, whatever happens meanwhile.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::interaction::Interaction;
use domain::job::State;
use domain::migration::{Migration, Upgrade};
use domain::search::Document;
use engine::ports::{Commit, Committed, Lists};
use store::Documented;

use super::*;

const TRANSACTION: &str = "DynamoDB_20120810.TransactWriteItems";

impl Desk {
    /// Conversations that were closed while nothing wrote documents.
    async fn closed_before(&self, count: usize) -> Vec<Interaction> {
        let mut closed = Vec::new();
        for number in 1..=count {
            let path = self.accepted(number).await;
            let (status, body) = self.anna().post(&format!("{path}/close"), json!({})).await;
            assert_eq!(status, 200, "{body}");
            closed.push(self.as_it_is(&path).await);
        }
        closed
    }

    /// An interaction as it is.
    async fn as_it_is(&self, path: &str) -> Interaction {
        let id = path.rsplit('/').next().unwrap().parse().unwrap();
        let key = self.deployment.store.locate(&id).await.unwrap().unwrap();
        self.deployment.store.interaction(&key).await.unwrap().unwrap()
    }

    /// The documents of these interactions.
    async fn documents_of(&self, of: &[Interaction]) -> BTreeMap<InteractionId, Document> {
        let ids: Vec<InteractionId> = of.iter().map(|one| one.id.clone()).collect();
        let found = Lists::documents(&self.deployment.store, &ids).await.unwrap();
        found.into_iter().map(|document| (document.interaction.clone(), document)).collect()
    }

    /// The documents that they should have.
    async fn rebuilt(&self, of: &[Interaction]) -> BTreeMap<InteractionId, Document> {
        let mut all = BTreeMap::new();
        for one in of {
            let thread = Lists::thread(&self.deployment.store, one).await.unwrap();
            all.extend(Document::of(one, &thread).map(|document| (one.id.clone(), document)));
        }
        all
    }

    /// Lets a job for the documents be due `ago` seconds, as the hour after an upgrade does.
    async fn documents_due(&self, ago: i64) {
        let configuration = &self.deployment.configuration;
        let now = Timestamp::now();
        if configuration.migration(Upgrade::Lists).await.unwrap().is_none() {
            let ended = Migration { ended_at: Some(now), ..Migration::due(now) };
            assert!(configuration.put_migration(Upgrade::Lists, &ended, 0).await.unwrap());
        }
        let before = configuration.migration(Upgrade::Documents).await.unwrap().map_or(0, |(_, version)| version);
        let due = Migration::due(now - SignedDuration::from_secs(ago));
        assert!(configuration.put_migration(Upgrade::Documents, &due, before).await.unwrap());
    }

    /// Puts what no version can read into a thread.
    async fn break_thread(&self, of: &Interaction) {
        let put = self.deployment.aws.dynamodb().put_item().table_name("interactions");
        let put = put.item("pk", AttributeValue::S(format!("CONV#{}#{}", of.account, of.contact)));
        let put = put.item("sk", AttributeValue::S(format!("MSG#{}#000000000000001#msg", of.id)));
        put.item("data", AttributeValue::S("upside down".to_owned())).send().await.unwrap();
    }

    /// What the audit trail tells of jobs.
    async fn audited(&self) -> Vec<(Value, Value)> {
        let (status, page) = self.administrator().get("/audit?kind=job").await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().iter().map(|entry| (entry["who"].clone(), entry["of"].clone())).collect()
    }
}

#[tokio::test]
async fn what_closed_before_the_documents_gets_them_by_a_job_and_a_second_one_finds_nothing_to_do() {
    let desk = Desk::open("DOCUS", 9).await;
    let mut closed = desk.closed_before(4).await;
    let open = desk.as_it_is(&desk.accepted(9).await).await;
    let broken = closed.pop().unwrap();
    desk.break_thread(&broken).await;
    let all = [&closed[..], &[open, broken]].concat();
    assert!(desk.documents_of(&all).await.is_empty());

    desk.documents_due(0).await;
    let worker = desk.worker();
    worker.sweep().await.unwrap();
    desk.work().await;
    let jobs = desk.overseer().get("/jobs").await.1["items"].clone();
    let told = (&jobs[0]["kind"], &jobs[0]["by"], &jobs[0]["state"]);
    assert_eq!(told, (&json!("fill_documents"), &json!("upgrade"), &json!("done")), "{jobs}");
    assert_eq!(jobs[0]["counts"], json!({"total": 4, "done": 3, "skipped": 1}));
    assert_eq!(desk.documents_of(&all).await, desk.rebuilt(&closed).await, "those of the open and the broken one are missing");
    assert_eq!(desk.audited().await, [(json!("service"), jobs[0]["id"].clone())]);

    // It ends for good. Somebody who wants it once more gets a job that changes nothing.
    worker.sweep().await.unwrap();
    assert!(desk.deployment.configuration.migration(Upgrade::Documents).await.unwrap().unwrap().0.ended_at.is_some());
    let before = desk.documents_of(&all).await;
    desk.documents_due(5).await;
    desk.worker().sweep().await.unwrap();
    desk.deployment.proxy.calls();
    desk.work().await;
    let written = desk.deployment.proxy.calls().into_iter().filter(|call| call == TRANSACTION).count();
    assert_eq!(written, 1, "the end of the job");
    let jobs = desk.overseer().get("/jobs").await.1["items"].clone();
    let again = jobs.as_array().unwrap().iter().find(|job| job["counts"]["done"] == 0).unwrap();
    assert_eq!((&again["state"], &again["counts"]["skipped"]), (&json!("done"), &json!(1)), "{jobs}");
    assert_eq!(desk.documents_of(&all).await, before);
}

#[tokio::test]
async fn a_late_document_is_written_for_the_interaction_as_it_is_and_for_none_that_is_deleted() {
    let desk = Desk::open("DOCRA", 9).await;
    let store = &desk.deployment.store;
    let closed = desk.closed_before(4).await;
    let mut read = store.scan_undocumented(None).await.unwrap().interactions;
    read.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(read, closed);
    let [deleted, archived, changed, reopened] = &closed[..] else { unreachable!() };

    // It is deleted after it was read.
    assert!(matches!(store.entomb(deleted, &[], None, Timestamp::now()).await.unwrap(), store::Entombed::Done(_)));
    assert_eq!(store.document_late(deleted).await.unwrap(), Documented::Not);
    // `archive` was faster, with what was said since.
    let mut newer = desk.rebuilt(std::slice::from_ref(archived)).await.remove(&archived.id).unwrap();
    newer.facts.text.push_str("\nnoted since");
    desk.documents().put(&newer).await.unwrap();
    assert_eq!(store.document_late(archived).await.unwrap(), Documented::Not);
    // It was changed, and the answer to the write is lost once.
    let after = Interaction { version: changed.version + 1, unread: true, ..changed.clone() };
    assert_eq!(store.commit(Commit::plain(Some(changed.clone()), after.clone())).await.unwrap(), Committed::Done);
    desk.deployment.proxy.fail_some(TRANSACTION, When::Retried, 1, 1);
    assert_eq!(store.document_late(changed).await.unwrap(), Documented::Now);
    desk.deployment.proxy.heal();
    assert_eq!(store.document_late(changed).await.unwrap(), Documented::Not, "a late copy");
    // It was opened again.
    let (status, body) = desk.anna().post(&format!("/interactions/{}/reopen", reopened.id), json!({})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(store.document_late(reopened).await.unwrap(), Documented::Not);

    let mut expected = desk.rebuilt(&[after]).await;
    expected.insert(archived.id.clone(), newer);
    assert_eq!(desk.documents_of(&closed).await, expected);
}

#[tokio::test]
async fn a_job_for_documents_that_is_cut_off_at_any_write_is_done_again() {
    let desk = Desk::open("DOCUT", 9).await;
    let closed = desk.closed_before(4).await;
    let expected = desk.rebuilt(&closed).await;
    let worker = desk.worker();
    for (at, when) in (0..4).flat_map(|at| [(at, When::Before), (at, When::After)]) {
        for one in &closed {
            desk.documents().delete(&one.id).await.unwrap();
        }
        desk.documents_due(i64::try_from(at).unwrap() * 2 + i64::from(when == When::After)).await;
        worker.sweep().await.unwrap();
        let [step] = desk.deployment.drain::<engine::jobs::JobStep>("JOBS_QUEUE_URL").await.try_into().unwrap();
        desk.deployment.proxy.fail_some(TRANSACTION, when, at, 1);
        assert!(worker.step(&step, "first").await.is_err(), "the write {at} failed");
        desk.deployment.proxy.heal();
        worker.step(&step, "second").await.unwrap();
        assert_eq!(desk.deployment.store.job(&step.job).await.unwrap().unwrap().state, State::Done);
        assert_eq!(desk.documents_of(&closed).await, expected, "after {at} writes");
    }
}
