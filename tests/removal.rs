//! Deletions: nothing of the conversation is left anywhere, and nothing of it comes back.

use cloud::objects::Objects;
use domain::effect::InteractionKey;
use domain::ids::JobId;
use domain::inbound::{Annotated, Annotation};
use domain::insights::{Sentiment, Summary};
use domain::job::{Job, State};
use domain::message::{Content, thumbnail_key};
use domain::search::Document;
use domain::video::{Call, Meeting};
use engine::jobs::JobStep;
use store::{CausedBy, Documents};
use views::transcript::{log_key, transcript_key};

use super::*;

/// A part of everything that a customer says in these tests.
pub(crate) const CANARY: &str = "canary";

/// The provider's ids of the tests begin with this.
const SID: &str = "SM00000000";

impl Desk {
    pub(crate) fn boss(&self) -> Caller {
        self.with_token("/supervisor", self.issuer.mint("boss", &["owner"], Duration::from_secs(600)).unwrap())
    }

    pub(crate) fn objects(&self) -> Objects {
        Objects::from_env(&self.deployment.aws, &self.deployment.env).unwrap()
    }

    /// A closed conversation of customer 1 with everything that a conversation leaves: messages in both directions, an
    /// edited one, attachments, a transcript and a log, history, and events in an agent's feed.
    pub(crate) async fn talked(&self, number: usize) -> InteractionKey {
        let path = self.ring(number).await;
        self.says(number, number + 100, &format!("my {CANARY}")).await;
        assert_eq!(self.anna().post(&format!("{path}/accept"), json!({})).await.0, 200);
        let id: InteractionId = path.rsplit('/').next().unwrap().parse().unwrap();
        let key = self.deployment.store.locate(&id).await.unwrap().unwrap();
        self.edits(number).await;
        let (status, note) = self.anna().post(&format!("{path}/notes"), json!({"text": format!("a {CANARY} indeed")})).await;
        assert_eq!(status, 201, "{note}");
        self.told(&key, "early", Some(Timestamp::now())).await;
        let (status, closed) = self.anna().post(&format!("{path}/close"), json!({"disposition": "Sold"})).await;
        assert_eq!(status, 200, "{closed}");
        let summary = Summary::of(&format!("Asked for a {CANARY}.")).unwrap();
        let cause = InsightsCause::Asked(self.agents[0].clone());
        let made = Event::InsightsMade { cause, ai_agent: domain::fixtures::ai_agent().id, sentiment: Sentiment::Neutral, summary };
        self.deployment.engine.tell(&key, made, Idempotency::Guarded).await.unwrap();
        let [customer, host] = ["guest", "host"].map(|part| format!("https://vidaoo.example/{CANARY}/{part}"));
        let call = Call { at: Timestamp::now(), meeting: Some(Meeting { customer, host }) };
        self.deployment.store.keep_call(&key, "a command", &call).await.unwrap();
        self.copies(&key).await;
        key
    }

    /// The customer edits the second message.
    async fn edits(&self, number: usize) {
        let annotation = Annotation {
            provider_id: format!("{SID}edit{number}"),
            from: Address::Phone(E164::parse(&format!("+3935{number:08}")).unwrap()),
            alias: None,
            also: Vec::new(),
            sent_at: None,
            what: Annotated::Edited {
                message: sid(number + 100),
                content: Content::Text { body: format!("another {CANARY}") },
                cut: false,
            },
        };
        let id = format!("edit-of-{number}");
        let event = InboundEvent::new(self.account.id.clone(), id, Timestamp::now(), InboundKind::Annotation(annotation));
        self.deployment.store.receive(&event, CANARY, false).await.unwrap();
        let routed = self.deployment.engine.route(&event).await;
        // The message may have been deleted. Then the event waits for it for some minutes, and nothing comes of it.
        assert!(matches!(routed, Ok(()) | Err(engine::EngineError::NotYet)), "{routed:?}");
    }

    /// An event about the conversation comes into Anna's feed.
    async fn told(&self, key: &InteractionKey, effect: &str, committed_at: Option<Timestamp>) {
        let message = domain::message::Message {
            interaction: key.interaction.clone(),
            content: Content::Text { body: CANARY.to_owned() },
            ..domain::fixtures::message(Timestamp::now())
        };
        let event = AgentEvent::Message { message: (&message).into() };
        let cause = CausedBy { effect, committed_at };
        self.deployment.store.append(&self.agents[0], cause, &event, Some(&self.account.id), Timestamp::now()).await.unwrap();
    }

    pub(crate) fn documents(&self) -> Documents {
        Documents::new(self.deployment.aws.dynamodb(), "derived")
    }

    /// The copy of an attachment, and what `archive` writes.
    pub(crate) async fn copies(&self, key: &InteractionKey) {
        let interaction = domain::interaction::Interaction {
            id: key.interaction.clone(),
            account: key.conversation.account.clone(),
            closed_at: Some(Timestamp::now()),
            ..domain::fixtures::interaction(domain::interaction::Status::Closed, Timestamp::now())
        };
        let content = Content::Text { body: CANARY.to_owned() };
        let said = domain::message::Message { content, ..domain::fixtures::message(Timestamp::now()) };
        self.documents().put(&Document::of(&interaction, &[said]).unwrap()).await.unwrap();
        let media = format!("media/{}/{}/msg_1/0", key.conversation.account, key.interaction);
        let thumbnail = thumbnail_key(&media);
        let written =
            [media, thumbnail, transcript_key(&interaction, false), transcript_key(&interaction, true), log_key(&interaction).unwrap()];
        for object in written {
            self.objects().put(&object, CANARY.into(), "text/plain").await.unwrap();
        }
    }

    /// Every item and object in which the canary or a provider's id is. An id that was blanked stays as a key, and
    /// holds nothing else.
    async fn traces(&self) -> Vec<String> {
        let mut found = Vec::new();
        for table in ["interactions", "config", "derived"] {
            let mut pages = self.deployment.aws.dynamodb().scan().table_name(table).into_paginator().items().send();
            while let Some(item) = pages.next().await {
                let mut item = item.unwrap();
                let pk = item["pk"].as_s().unwrap().clone();
                if pk.starts_with("PROV#") || pk.starts_with("EVT#") {
                    item.retain(|name, _| !["pk", "sk"].contains(&name.as_str()));
                }
                // Ids of providers are bytes in a compact item.
                let text = format!("{item:?} {:?}", store::from_data::<Value>(&item).ok());
                if text.contains(CANARY) || text.contains(SID) {
                    found.push(format!("{table} {pk}: {item:?}"));
                }
            }
        }
        for folder in ["media/", "uploads/", "transcripts/", "logs/", "exports/"] {
            found.extend(self.objects().all_under(folder).await.unwrap());
        }
        found
    }

    async fn the_job(&self, view: &Value) -> Job {
        let id: JobId = view["id"].as_str().unwrap().parse().unwrap();
        self.deployment.store.job(&id).await.unwrap().unwrap()
    }

    /// The quarter of an hour is over.
    pub(crate) async fn second_pass(&self, view: &Value) -> Job {
        let job = self.the_job(view).await;
        assert!(job.resumes_at.is_some_and(|at| at > Timestamp::now() + SignedDuration::from_mins(14)), "{job:?}");
        let due = Job { resumes_at: None, version: job.version + 1, ..job.clone() };
        self.deployment.store.save_job(&due).await.unwrap();
        self.worker().step(&JobStep { job: job.id, turn: job.turn }, "second").await.unwrap();
        self.the_job(view).await
    }
}

#[tokio::test]
async fn after_a_deletion_no_canary_is_anywhere_and_nothing_comes_back() {
    let desk = Desk::open("CANAR", 5).await;
    let key = desk.talked(1).await;
    assert!(desk.traces().await.len() >= 10, "the conversation has left its traces: {:?}", desk.traces().await);
    let path = format!("/interactions/{}", key.interaction);
    let supervisor = desk.overseer();
    let (status, job) = supervisor.call("DELETE", &path, None, None).await;
    assert_eq!((status, &job["kind"]), (202, &json!("delete")), "{job}");

    // From the answer on it is gone, for all who might have seen it.
    for caller in [&supervisor, &desk.anna()] {
        for below in ["", "/messages", "/history"] {
            let (status, problem) = caller.get(&format!("{path}{below}")).await;
            assert_eq!((status, &problem["type"]), (410, &json!("/problems/deleted")), "{problem}");
        }
    }
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.caller("stranger", &["agent"]).get(&path).await.0, 404, "an agent of another account learns nothing");
    assert_eq!(supervisor.call("DELETE", &path, None, None).await.0, 410, "again");
    desk.work().await;
    assert_eq!(desk.traces().await, Vec::<String>::new());

    // Whoever remembers its place is told the same.
    for (method, below, body) in [("PUT", "/tab", None), ("POST", "/messages", Some(json!({"text": "Hello?"})))] {
        let (status, problem) = desk.anna().call(method, &format!("{path}{below}"), None, body).await;
        assert_eq!((status, &problem["type"]), (410, &json!("/problems/deleted")), "{problem}");
    }

    // A repeated webhook opens nothing, and stores nothing of what it says.
    desk.repeats(1, 101, &format!("my {CANARY}")).await;
    assert_eq!(desk.deployment.route_inbound().await, 0, "it is known as routed");
    desk.edits(1).await;
    assert_eq!(desk.traces().await, Vec::<String>::new());
    // A copy, an archive and a notice were on their way.
    desk.copies(&key).await;
    desk.told(&key, "late", Some(Timestamp::now())).await;
    assert!(desk.traces().await.len() >= 5);
    let ended = desk.second_pass(&job).await;
    assert_eq!((ended.state, ended.counts.done), (State::Done, 1));
    assert_eq!(desk.traces().await, Vec::<String>::new());

    // The feed has no gap, and says what is gone.
    let (_, feed) = desk.anna().get("/events?after=0").await;
    let items = feed["items"].as_array().unwrap();
    assert!(items.iter().enumerate().all(|(index, item)| item["seq"] == index + 1), "{feed}");
    assert!(items.iter().any(|item| item["event"] == json!({"type": "deleted", "interaction": key.interaction})), "{feed}");
    // The customer is a known one, and writes again.
    desk.says(1, 999, "hello again").await;
    let open = desk.deployment.store.conversation(&key.conversation).await.unwrap().open.unwrap();
    assert_ne!(open.id, key.interaction);
    let (_, trail) = desk.administrator().get("/audit?kind=interaction").await;
    let told = &trail["items"][0];
    assert_eq!((&told["action"], &told["of"], &told["who"]), (&json!("deleted"), &json!(key.interaction), &json!("sara")), "{trail}");
}

#[tokio::test]
async fn a_deletion_that_is_cut_off_at_any_write_ends_the_same() {
    let desk = Desk::open("CUTOF", 5).await;
    let supervisor = desk.overseer();
    let mut number = 10;
    for target in ["DynamoDB_20120810.DeleteItem", "DynamoDB_20120810.UpdateItem", "DynamoDB_20120810.PutItem", "DynamoDB_20120810.Query"] {
        for (after, when) in [(0, When::Before), (1, When::After), (3, When::Before)] {
            number += 1;
            let key = desk.talked(number).await;
            let (status, job) = supervisor.call("DELETE", &format!("/interactions/{}", key.interaction), None, None).await;
            assert_eq!(status, 202, "{job}");
            let [step] = desk.deployment.drain::<JobStep>("JOBS_QUEUE_URL").await.try_into().unwrap();
            desk.deployment.proxy.fail_some(target, when, after, 1);
            let first = desk.worker().step(&step, "first").await;
            desk.deployment.proxy.heal();
            if first.is_err() {
                desk.expire_lease(&job).await;
                desk.worker().step(&step, "second").await.unwrap();
            }
            assert_eq!(desk.traces().await, Vec::<String>::new(), "{target} {after} {when:?}");
        }
    }
}

#[tokio::test]
async fn selected_interactions_are_deleted_as_they_were_previewed() {
    let desk = Desk::open("PREVI", 5).await;
    let supervisor = desk.overseer();
    let (gone, held) = (desk.talked(1).await, desk.talked(2).await);
    let open = desk.accepted(3).await;
    let open = open.rsplit('/').next().unwrap();
    let ids = json!([gone.interaction, held.interaction, open, "int_00000000000000000000000000"]);
    let (status, previewed) = supervisor.post("/deletions/preview", json!({"interactions": ids})).await;
    assert_eq!((status, &previewed["count"], &previewed["open"]), (200, &json!(3), &json!(1)), "{previewed}");
    assert!(desk.deployment.store.unfinished_jobs().await.unwrap().is_empty(), "nothing is ordered yet");

    let hold = format!("/interactions/{}/hold", held.interaction);
    assert_eq!(supervisor.call("PUT", &hold, None, Some(json!({}))).await.0, 403, "only owners hold");
    assert_eq!(desk.boss().call("PUT", &hold, None, Some(json!({"reason": "a lawsuit"}))).await.0, 200);
    let token = json!({"token": previewed["token"]});
    let (status, job) = supervisor.post("/deletions", token.clone()).await;
    assert_eq!((status, &job["id"]), (202, &previewed["token"]), "{job}");
    assert_eq!(supervisor.post("/deletions", token).await.1["id"], job["id"], "a token orders one job");
    desk.work().await;
    let counts = desk.the_job(&job).await.counts;
    assert_eq!((counts.total, counts.done, counts.skipped), (4, 1, 3));
    for (id, status) in [(gone.interaction.as_str(), 410), (held.interaction.as_str(), 200), (open, 200)] {
        assert_eq!(supervisor.get(&format!("/interactions/{id}")).await.0, status, "{id}");
    }
    let (status, problem) = supervisor.call("DELETE", &format!("/interactions/{}", held.interaction), None, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/held")), "{problem}");
    assert_eq!(supervisor.get(&hold).await.1["reason"], "a lawsuit");
    assert_eq!(desk.boss().call("DELETE", &hold, None, None).await.0, 204);
    assert_eq!(supervisor.call("DELETE", &format!("/interactions/{}", held.interaction), None, None).await.0, 202);

    // An open one must be closed first.
    let path = format!("/interactions/{open}");
    let (status, problem) = supervisor.call("DELETE", &path, None, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/still-open")), "{problem}");
    assert_eq!(supervisor.call("DELETE", &format!("{path}?close=true"), None, None).await.0, 202);
    assert_eq!(supervisor.get(&path).await.0, 410);
    assert_eq!(supervisor.post("/deletions", json!({"token": "job_00000000000000000000000000"})).await.0, 404);
}

#[tokio::test]
async fn all_that_matches_is_previewed_by_a_job_and_deleted_as_it_was_then() {
    let desk = Desk::open("DLALL", 5).await;
    let supervisor = desk.overseer();
    let (first, second) = (desk.talked(1).await, desk.talked(2).await);
    let open = desk.accepted(3).await;
    let open = open.rsplit('/').next().unwrap();
    let search = json!({"conditions": [{"field": "opened", "operator": "after", "value": "2026-01-01"}]});
    let (status, job) = supervisor.post("/deletions/preview/matching", json!({"search": search})).await;
    assert_eq!((status, &job["kind"], &job["preview"]), (202, &json!("preview_deletion"), &Value::Null), "{job}");
    desk.work().await;
    let (_, done) = supervisor.get(&format!("/jobs/{}", job["id"].as_str().unwrap())).await;
    assert_eq!((&done["preview"]["count"], &done["preview"]["open"], &done["scanned"]), (&json!(3), &json!(1), &json!(3)), "{done}");
    assert_eq!(supervisor.get(&format!("/jobs/{}/file", job["id"].as_str().unwrap())).await.1["type"], "/problems/no-file");
    // What comes now is not part of it, though it matches.
    let later = desk.talked(4).await;
    let token = json!({"token": done["preview"]["token"]});
    let (status, deletion) = supervisor.post("/deletions", token.clone()).await;
    assert_eq!((status, &deletion["counts"]["total"]), (202, &json!(3)), "{deletion}");
    assert_eq!(supervisor.post("/deletions", token).await.1["id"], deletion["id"], "a token orders one job");
    desk.work().await;
    let counts = desk.the_job(&deletion).await.counts;
    assert_eq!((counts.done, counts.skipped), (2, 1), "an open one is left out");
    let ids = [(first.interaction.as_str(), 410), (second.interaction.as_str(), 410), (open, 200), (later.interaction.as_str(), 200)];
    for (id, status) in ids {
        assert_eq!(supervisor.get(&format!("/interactions/{id}")).await.0, status, "{id}");
    }
    let (_, previewed) = supervisor.post("/deletions/preview/matching", json!({"filters": {"status": "closed"}})).await;
    desk.work().await;
    let (_, done) = supervisor.get(&format!("/jobs/{}", previewed["id"].as_str().unwrap())).await;
    assert_eq!((&done["preview"]["count"], &done["preview"]["open"]), (&json!(1), &json!(0)), "{done}");
    let (status, problem) = supervisor.post("/deletions/preview/matching", json!({"filters": {"tags": ["\n"]}})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("filters.tags")), "{problem}");
    // A preview alone hands nothing out and changes nothing.
    let (_, trail) = desk.administrator().get("/audit?kind=job").await;
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");
}

#[tokio::test]
async fn a_held_contact_keeps_its_interactions() {
    let desk = Desk::open("HOLDS", 5).await;
    let key = desk.talked(1).await;
    let hold = format!("/contacts/{}/hold", key.conversation.contact);
    assert_eq!(desk.boss().call("PUT", &hold, None, Some(json!({}))).await.0, 200);
    let path = format!("/interactions/{}", key.interaction);
    assert_eq!(desk.overseer().call("DELETE", &path, None, None).await.1["type"], "/problems/held");
    assert_eq!(desk.boss().call("DELETE", &hold, None, None).await.0, 204);
    assert_eq!(desk.overseer().call("DELETE", &path, None, None).await.0, 202);
    assert_eq!(desk.overseer().get(&hold).await.0, 404);
    assert_eq!(desk.boss().call("PUT", "/contacts/con_00000000000000000000000000/hold", None, Some(json!({}))).await.0, 404);
    let (_, trail) = desk.administrator().get("/audit?kind=contact").await;
    let actions: Vec<&Value> = trail["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["released", "held"]);
}

impl Desk {
    /// The provider sends the webhook of a message once more.
    async fn repeats(&self, number: usize, id: usize, words: &str) {
        let (from, message) = (format!("whatsapp:+3935{number:08}"), sid(id));
        let request = webhook(self.account.receive_path.reveal(), "", &text(&message, &from, words), Some(AUTH_TOKEN));
        assert_eq!(self.deployment.receive().handle(&request).await.status(), 200);
        // It is in the queue before it is known as a repetition, and changes nothing there.
        for event in self.deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await {
            self.deployment.engine.route(&event).await.unwrap();
        }
    }

    /// The worker died: its lease runs out.
    pub(crate) async fn expire_lease(&self, view: &Value) {
        let job = self.the_job(view).await;
        let free = Job { lease: None, version: job.version + 1, ..job };
        self.deployment.store.save_job(&free).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_reads_in_the_instant_of_a_deletion_is_told_that_it_was_deleted() {
    let desk = Desk::open("DELIN", 5).await;
    let path = desk.accepted(1).await;
    let id: InteractionId = path.rsplit('/').next().unwrap().parse().unwrap();
    let key = desk.deployment.store.locate(&id).await.unwrap().unwrap();
    // The reader has the place already when the interaction goes.
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let partition = format!("CONV#{}#{}", key.conversation.account, key.conversation.contact);
    let gone = desk.deployment.aws.dynamodb().delete_item().table_name("interactions");
    gone.key("pk", text(partition)).key("sk", text(format!("INT#{id}"))).send().await.unwrap();
    for read in [path.clone(), format!("{path}/messages"), format!("{path}/transcript")] {
        let (status, problem) = desk.anna().get(&read).await;
        assert_eq!((status, problem["type"].as_str().unwrap().ends_with("deleted")), (410, true), "{read}: {problem}");
    }
}
