//! Jobs of supervisors through their API, and the worker that carries them out.

use cloud::objects::Objects;
use domain::ids::JobId;
use domain::job::{FORGOTTEN, Job, State};
use engine::jobs::JobStep;
use worker::Worker;

use super::*;

impl Desk {
    pub(crate) fn overseer(&self) -> Caller {
        self.with_token("/supervisor", self.issuer.mint("sara", &["supervisor"], Duration::from_secs(600)).unwrap())
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker::from_env(&self.deployment.aws, &self.deployment.env).unwrap()
    }

    /// Carries out the steps that are in the queue, and those that follow from them at once.
    pub(crate) async fn work(&self) {
        let worker = self.worker();
        loop {
            let steps = self.deployment.drain::<JobStep>("JOBS_QUEUE_URL").await;
            if steps.is_empty() {
                return;
            }
            for step in &steps {
                worker.step(step, "test").await.unwrap();
            }
        }
    }

    /// The customer `number` writes `words`, which are routed.
    pub(crate) async fn says(&self, number: usize, id: usize, words: &str) {
        let (from, message) = (format!("whatsapp:+3935{number:08}"), sid(id));
        let request = webhook(self.account.receive_path.reveal(), "", &text(&message, &from, words), Some(AUTH_TOKEN));
        assert_eq!(self.deployment.warm_receiver().handle(&request).await.status(), 200);
        let (event, _) = self.deployment.store.event(&self.account.id, &message).await.unwrap().unwrap();
        self.deployment.engine.route(&event).await.unwrap();
    }

    async fn stored(&self, view: &Value) -> Job {
        let id: JobId = view["id"].as_str().unwrap().parse().unwrap();
        self.deployment.store.job(&id).await.unwrap().unwrap()
    }

    /// The file of a job that is done, as rows of cells.
    async fn file(&self, job: &Value) -> Vec<Vec<String>> {
        let id = job["id"].as_str().unwrap();
        let supervisor = self.overseer();
        let (status, done) = supervisor.get(&format!("/jobs/{id}")).await;
        assert_eq!((status, &done["state"]), (200, &json!("done")), "{done}");
        let (status, link) = supervisor.get(&format!("/jobs/{id}/file")).await;
        assert_eq!(status, 200, "{link}");
        assert!(link["url"].as_str().unwrap().contains("X-Amz-Expires=900"), "{link}");
        let bytes = reqwest::get(link["url"].as_str().unwrap()).await.unwrap().bytes().await.unwrap();
        assert_eq!(done["file_size"], bytes.len());
        let file = std::str::from_utf8(&bytes).unwrap().strip_prefix('\u{feff}').expect("Excel needs the mark").to_owned();
        assert!(file.ends_with("\r\n"));
        file.lines().map(|row| row.split(',').map(str::to_owned).collect()).collect()
    }
}

fn id_of(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

/// The cell of a column.
fn cell<'a>(rows: &'a [Vec<String>], row: usize, column: &str) -> &'a str {
    let place = rows[0].iter().position(|name| name == column).unwrap();
    &rows[row][place]
}

#[tokio::test]
async fn selected_interactions_are_exported_as_a_file_without_formulas() {
    let desk = Desk::open("EXPOR", 5).await;
    let ids: Vec<String> = [desk.accepted(1).await, desk.ring(2).await].map(|path| path.rsplit('/').next().unwrap().to_owned()).into();
    desk.says(2, 12, "=1+1").await;
    let supervisor = desk.overseer();
    let wanted = json!({"of": "interactions", "interactions": [ids[1], ids[0], ids[1], "int_00000000000000000000000000"]});
    let (status, job) = supervisor.post("/exports", wanted).await;
    assert_eq!((status, &job["state"], &job["kind"]), (202, &json!("queued"), &json!("export_interactions")), "{job}");
    assert_eq!(supervisor.get(&format!("/jobs/{}/file", job["id"].as_str().unwrap())).await.1["type"], "/problems/no-file");
    desk.work().await;

    let rows = desk.file(&job).await;
    assert_eq!(rows.len(), 3, "a header, and one row for each that is there: {rows:?}");
    assert_eq!((cell(&rows, 1, "interaction"), cell(&rows, 2, "interaction")), (ids[1].as_str(), ids[0].as_str()));
    assert_eq!((cell(&rows, 1, "last_message"), cell(&rows, 1, "contact_address")), ("'=1+1", "'+393500000002"));
    assert_eq!((cell(&rows, 1, "queue"), cell(&rows, 1, "messages_from_customer")), ("Support", "2"));
    assert_eq!((cell(&rows, 2, "agent"), cell(&rows, 2, "first_message")), ("anna", "hello"));
    let (_, done) = supervisor.get(&format!("/jobs/{}", job["id"].as_str().unwrap())).await;
    assert_eq!(done["counts"], json!({"total": 3, "done": 2, "skipped": 1}));

    let (_, raw) = supervisor.post("/exports", json!({"of": "interactions", "interactions": [ids[1]], "raw": true})).await;
    desk.work().await;
    assert_eq!(cell(&desk.file(&raw).await, 1, "last_message"), "=1+1");
    let (_, jobs) = supervisor.get("/jobs?limit=1").await;
    assert_eq!((&jobs["items"][0]["id"], &jobs["next"]), (&raw["id"], &raw["id"]));
    assert_eq!(supervisor.get(&format!("/jobs?after={}", raw["id"].as_str().unwrap())).await.1["items"][0]["id"], job["id"]);

    let (_, trail) = desk.administrator().get("/audit?kind=job").await;
    let told = trail["items"].as_array().unwrap().iter().find(|entry| entry["of"] == job["id"] && entry["action"] == "exported");
    assert_eq!(told.map(|entry| &entry["who"]), Some(&json!("sara")), "{trail}");
    assert!(!trail.to_string().contains("+3935"), "{trail}");
}

#[tokio::test]
async fn all_that_a_search_or_a_list_finds_is_exported_newest_first() {
    let desk = Desk::open("EXALL", 5).await;
    let ids: Vec<String> = [desk.accepted(1).await, desk.ring(2).await, desk.ring(3).await].map(|path| id_of(&path)).into();
    desk.says(3, 13, "Perché no?").await;
    assert_eq!(desk.anna().post(&format!("/interactions/{}/tags", ids[0]), json!({"add": ["vip"]})).await.0, 200);
    let supervisor = desk.overseer();
    let text = json!({"match": "any", "conditions": [
        {"field": "text", "operator": "contains", "value": "perche"},
        {"field": "tags", "operator": "equals", "value": "vip"},
        {"field": "priority", "operator": "greater", "value": 8}
    ]});
    let wanted = [
        (json!({"search": text}), vec![&ids[2], &ids[0]]),
        (json!({"filters": {"read": false}}), vec![&ids[2], &ids[1]]),
        (json!({"filters": {"status": "open", "account": desk.account.id, "from": "2026-01-01"}}), vec![&ids[2], &ids[1], &ids[0]]),
        (json!({"search": {}}), vec![&ids[2], &ids[1], &ids[0]]),
        (json!({"filters": {"status": "archived"}}), vec![]),
    ];
    for (mut matching, expected) in wanted {
        matching["of"] = json!("interactions");
        let (status, job) = supervisor.post("/exports", matching.clone()).await;
        assert_eq!((status, &job["scanned"]), (202, &json!(0)), "{job}");
        // What is opened after the order is left out; the job alone knows what it looks for, and forgets it then.
        desk.work().await;
        let rows = desk.file(&job).await;
        let exported: Vec<&String> = rows.iter().skip(1).map(|row| &row[0]).collect();
        assert_eq!(exported, expected, "{matching}");
        let (_, done) = supervisor.get(&format!("/jobs/{}", job["id"].as_str().unwrap())).await;
        assert_eq!(done["counts"], json!({"total": expected.len(), "done": expected.len(), "skipped": 0}), "{done}");
        assert_eq!(desk.stored(&job).await.place.seek.unwrap().matching, None);
    }
    let (_, trail) = desk.administrator().get("/audit?kind=job").await;
    assert!(trail.to_string().contains(r#"["text","tags","priority"]"#) && !trail.to_string().contains("perche"), "{trail}");
}

#[tokio::test]
async fn contacts_are_exported_once_each() {
    let desk = Desk::open("CONTA", 5).await;
    desk.ring(1).await;
    desk.ring(2).await;
    let (status, job) = desk.overseer().post("/exports", json!({"of": "contacts"})).await;
    assert_eq!(status, 202, "{job}");
    desk.work().await;
    let rows = desk.file(&job).await;
    let mut phones = [cell(&rows, 1, "phones"), cell(&rows, 2, "phones")];
    phones.sort_unstable();
    assert_eq!((rows.len(), phones), (3, ["'+393500000001", "'+393500000002"]));
    assert_eq!((cell(&rows, 1, "name"), cell(&rows, 1, "lists")), ("Zoë Rossi", "Customers"));
}

#[tokio::test]
async fn a_wrong_export_is_refused_by_the_name_of_its_field() {
    let desk = Desk::open("WRONG", 5).await;
    let supervisor = desk.overseer();
    for (body, field) in [
        (json!({"of": "interactions", "interactions": []}), "interactions"),
        (json!({"of": "interactions", "interactions": ["con_1"]}), "of"),
        (json!({"of": "messages"}), "of"),
        (json!({}), "of"),
        (json!({"of": "interactions"}), "search"),
        (json!({"of": "interactions", "interactions": ["int_00000000000000000000000000"], "search": {}}), "search"),
        (json!({"of": "interactions", "search": {}, "filters": {}}), "search"),
        (json!({"of": "contacts", "search": {}}), "of"),
        (json!({"of": "interactions", "search": {"zone": "Mars"}}), "search.zone"),
        (json!({"of": "interactions", "search": {"conditions": [{"field": "text", "operator": "like"}]}}), "search.conditions[0].operator"),
        (
            json!({"of": "interactions", "search": {"conditions": [{"field": "text", "operator": "equals", "value": true}]}}),
            "search.conditions[0].value",
        ),
        (json!({"of": "interactions", "search": {"conditions": [], "sort": 1}}), "search.sort"),
        (json!({"of": "interactions", "filters": {"status": "over"}}), "filters.status"),
        (json!({"of": "interactions", "filters": {"from": "2026-02-30"}}), "filters.from"),
        (json!({"of": "interactions", "filters": {"account": "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}), "filters.account"),
        (json!({"of": "interactions", "filters": {"limit": 5}}), "filters.limit"),
    ] {
        let (status, problem) = supervisor.post("/exports", body.clone()).await;
        assert_eq!(status, 422, "{body}: {problem}");
        if field != "of" {
            assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
        }
    }
    assert_eq!(supervisor.get("/jobs").await.1["items"], json!([]), "nothing was ordered");
    assert_eq!(desk.anna().with_base(&desk, "/supervisor").post("/exports", json!({"of": "contacts"})).await.0, 403);
}

#[tokio::test]
async fn a_job_whose_message_was_lost_is_found_by_the_sweep() {
    let desk = Desk::open("LOSTS", 5).await;
    let (_, view) = desk.overseer().post("/exports", json!({"of": "contacts"})).await;
    // Its message is lost.
    assert_eq!(desk.deployment.drain::<JobStep>("JOBS_QUEUE_URL").await.len(), 1);
    assert_eq!(desk.worker().sweep().await.unwrap(), 0, "it may just be on its way");
    let job = desk.stored(&view).await;
    let long_ago = job.updated_at - FORGOTTEN - SignedDuration::from_secs(1);
    let older = Job { updated_at: long_ago, version: job.version + 1, ..job };
    desk.deployment.store.save_job(&older).await.unwrap();
    assert_eq!(desk.worker().sweep().await.unwrap(), 1);
    desk.work().await;
    assert_eq!(desk.stored(&view).await.state, State::Done);
    assert_eq!(desk.worker().sweep().await.unwrap(), 0, "a job that has ended is not looked at");
}

#[tokio::test]
async fn a_job_can_be_cancelled_and_leaves_no_file() {
    let desk = Desk::open("CANCE", 5).await;
    let supervisor = desk.overseer();
    let (_, job) = supervisor.post("/exports", json!({"of": "contacts"})).await;
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let (status, cancelled) = supervisor.call("DELETE", &path, None, None).await;
    assert_eq!((status, &cancelled["cancelled"]), (202, &json!(true)), "{cancelled}");
    desk.work().await;
    let (_, ended) = supervisor.get(&path).await;
    assert_eq!((&ended["state"], ended.get("file_size")), (&json!("cancelled"), None), "{ended}");
    assert_eq!(supervisor.call("DELETE", &path, None, None).await.0, 202, "again");
    let objects = Objects::from_env(&desk.deployment.aws, &desk.deployment.env).unwrap();
    assert_eq!(objects.head(&format!("exports/{}.csv", job["id"].as_str().unwrap())).await.unwrap(), None);
    assert_eq!(supervisor.get("/jobs/job_00000000000000000000000000").await.0, 404);
}
