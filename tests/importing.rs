//! Imports of contacts through the supervisors' API, the bucket and the worker.

use super::*;

impl Desk {
    /// Uploads a file, and returns its id.
    async fn uploaded(&self, file: &str) -> String {
        let (status, place) = self.overseer().post("/imports/uploads", json!({"size": file.len()})).await;
        assert_eq!((status, &place["content_type"]), (201, &json!("text/csv")), "{place}");
        let put = reqwest::Client::new().put(place["url"].as_str().unwrap()).header("content-type", "text/csv").body(file.to_owned());
        assert!(put.send().await.unwrap().status().is_success());
        place["id"].as_str().unwrap().to_owned()
    }

    /// Orders an import and carries it out. Returns the job.
    async fn imported(&self, body: Value) -> Value {
        let (status, job) = self.overseer().post("/imports", body).await;
        assert_eq!((status, &job["kind"]), (202, &json!("import_contacts")), "{job}");
        self.work().await;
        self.overseer().get(&format!("/jobs/{}", job["id"].as_str().unwrap())).await.1
    }

    async fn contact_at(&self, phone: &str) -> Value {
        let (_, found) = self.administrator().get(&format!("/contacts?phone=%2B{}", phone.trim_start_matches('+'))).await;
        found["items"][0].clone()
    }
}

#[tokio::test]
async fn a_file_is_tried_imported_and_its_errors_are_told() {
    let desk = Desk::open("IMPOR", 5).await;
    // This customer is there already.
    desk.ring(1).await;
    let (status, level) = desk.administrator().post("/contact-fields", json!({"name": "Level"})).await;
    assert_eq!(status, 201, "{level}");
    let file = "Phone;First;Level\r\n'+393500000001;Zoë;gold\r\n333 1234567;Ugo;'=1+1\r\n12;Nobody;\r\n3331234567;Again;\r\n";
    let upload = desk.uploaded(file).await;
    let columns = json!({"phone": "phone", "first_name": "First", "fields": {level["id"].as_str().unwrap(): "Level"}});
    let import = |dry_run: bool, known: &str| json!({"upload": upload, "columns": columns, "country": "IT", "lists": [desk.account.list], "known": known, "dry_run": dry_run});
    let tried = desk.imported(import(true, "update")).await;
    assert_eq!((&tried["state"], &tried["counts"]), (&json!("done"), &json!({"total": 4, "done": 2, "skipped": 2})), "{tried}");
    assert_eq!(desk.contact_at("+393331234567").await, Value::Null, "it was a trial");
    let done = desk.imported(import(false, "update")).await;
    assert_eq!(done["counts"], tried["counts"]);
    let (new, known) = (desk.contact_at("+393331234567").await, desk.contact_at("+393500000001").await);
    let field = level["id"].as_str().unwrap();
    assert_eq!((&new["name"], &new["fields"][field], &new["lists"]), (&json!("Ugo"), &json!("=1+1"), &json!([desk.account.list])), "{new}");
    assert_eq!((&known["first_name"], &known["fields"][field]), (&json!("Zoë"), &json!("gold")), "{known}");
    let (status, link) = desk.overseer().get(&format!("/jobs/{}/file", done["id"].as_str().unwrap())).await;
    assert_eq!(status, 200, "{link}");
    let errors = reqwest::get(link["url"].as_str().unwrap()).await.unwrap().text().await.unwrap();
    let expected = "row,column,reason,code\r\n4,phone,is not a phone number,not-a-phone\r\n5,phone,repeats row 3,repeats\r\n";
    assert_eq!(errors.trim_start_matches('\u{feff}'), expected);
    // Once more: all are known.
    let again = desk.imported(import(false, "skip")).await;
    assert_eq!(again["counts"], json!({"total": 4, "done": 0, "skipped": 4}));
    let (_, trail) = desk.administrator().get("/audit?kind=job").await;
    assert_eq!(trail["items"][0]["action"], "imported");
    assert!(!trail.to_string().contains("Ugo"), "{trail}");
}

#[tokio::test]
async fn what_can_not_be_imported_is_refused_or_ends_the_job_with_the_reason() {
    let desk = Desk::open("IMBAD", 5).await;
    let upload = desk.uploaded("Phone,Name\n+393331234567,Zoë\n").await;
    let overseer = desk.overseer();
    for (body, fields) in [
        (json!({"upload": upload, "columns": {}}), vec!["columns.phone"]),
        (json!({"upload": "../x", "columns": {"phone": "Phone"}}), vec!["upload"]),
        (json!({"upload": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "columns": {"phone": " "}}), vec!["columns.phone", "upload"]),
        (json!({"upload": upload, "columns": {"user_id": "Id"}, "country": "Italy"}), vec!["country", "account"]),
        (json!({"upload": upload, "columns": {"phone": "Phone"}, "lists": ["lst_00000000000000000000000001"]}), vec!["lists"]),
    ] {
        let (status, problem) = overseer.post("/imports", body).await;
        let named: Vec<&str> = problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!((status, named), (422, fields), "{problem}");
    }
    assert_eq!(overseer.post("/imports/uploads", json!({"size": 52_428_801})).await.1["errors"][0]["field"], "size");
    assert_eq!(desk.over("anna", "agent").post("/imports", json!({})).await.0, 403);
    let failed = desk.imported(json!({"upload": upload, "columns": {"phone": "Phone", "email": "Mail"}})).await;
    assert_eq!((&failed["state"], failed["problem"].as_str().unwrap().contains("columns.email")), (&json!("failed"), true), "{failed}");
    assert_eq!(desk.contact_at("+393331234567").await, Value::Null);
    let packed = desk.uploaded("PK\u{3}\u{4}").await;
    let failed = desk.imported(json!({"upload": packed, "columns": {"phone": "Phone"}})).await;
    assert!(failed["problem"].as_str().unwrap().contains("compressed"), "{failed}");
}
