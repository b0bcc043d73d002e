//! What agents choose from, and who writes it.

use super::*;

impl Admin {
    async fn as_supervisor(&self, method: &'static str, path: &str, version: u64, body: &Value) -> Answer {
        call("supervisor", method, path).if_match(&format!("\"{version}\"")).json(body).to(&self.router).await
    }
}

#[tokio::test]
async fn pauses_dispositions_tags_and_canned_answers_are_made_replaced_and_deleted() {
    let admin = Admin::start().await;
    for (kind, body, changed) in [
        ("pauses", json!({"name": "Lunch"}), json!({"name": "Break"})),
        ("dispositions", json!({"name": "Complaint/Late"}), json!({"name": "Complaint/Lost/By us"})),
        ("tags", json!({"tag": "vip"}), json!({"tag": "gold"})),
        ("canned-answers", json!({"title": "Hours", "text": "9 to 18"}), json!({"title": "Hours", "text": "9 to 17\nSee you"})),
    ] {
        let made = admin.made(kind, body.clone()).await;
        for (field, value) in body.as_object().unwrap() {
            assert_eq!(&made[field], value, "{kind}");
        }
        let path = place(kind, &made);
        assert_eq!(admin.get(&path).await.is(200), made);
        assert_eq!(admin.get(&format!("/{kind}")).await.is(200)["items"], json!([made]));
        let replaced = admin.put(&path, 1, &changed).await;
        assert_eq!(replaced.etag, "\"2\"");
        let replaced = replaced.is(200);
        for (field, value) in changed.as_object().unwrap() {
            assert_eq!(&replaced[field], value, "{kind}");
        }
        admin.put(&path, 1, &body).await.problem(412, "changed-meanwhile");
        // What was read can be sent back.
        admin.put(&path, 2, &replaced).await.is(200);
        admin.delete(&path, 2).await.problem(412, "changed-meanwhile");
        admin.delete(&path, 3).await.is(204);
        admin.get(&path).await.problem(404, "not-found");
        // Its name is free again.
        admin.made(kind, changed).await;
    }
}

#[tokio::test]
async fn no_two_pauses_dispositions_or_tags_share_a_name() {
    let admin = Admin::start().await;
    for (kind, field, name, same, other) in [
        ("pauses", "name", "Lunch", "LUNCH", "Break"),
        ("dispositions", "name", "Complaint/Late", "complaint / late", "Complaint"),
        ("tags", "tag", "vip", "Vip", "gold"),
    ] {
        admin.made(kind, json!({field: name})).await;
        let body = json!({field: same});
        assert_eq!(call("admin", "POST", format!("/{kind}")).json(&body).to(&admin.router).await.fields(), [field], "{kind}");
        let other = admin.made(kind, json!({field: other})).await;
        assert_eq!(admin.put(&place(kind, &other), 1, &body).await.fields(), [field], "{kind}");
    }
    // Another kind may have the name.
    admin.made("dispositions", json!({"name": "Lunch"})).await;
    admin.made("tags", json!({"tag": "Lunch"})).await;
}

#[tokio::test]
async fn supervisors_write_dispositions_tags_and_canned_answers_but_no_pauses() {
    let admin = Admin::start().await;
    for (kind, body) in [
        ("dispositions", json!({"name": "Sold"})),
        ("tags", json!({"tag": "vip"})),
        ("canned-answers", json!({"title": "Hours", "text": "9 to 18"})),
    ] {
        let made = call("supervisor", "POST", format!("/{kind}")).json(&body).to(&admin.router).await.is(201);
        let path = place(kind, &made);
        admin.as_supervisor("PUT", &path, 1, &made).await.is(200);
        admin.as_supervisor("DELETE", &path, 2, &Value::Null).await.is(204);
        call("agent", "POST", format!("/{kind}")).json(&body).to(&admin.router).await.problem(403, "forbidden");
        call("agent", "GET", format!("/{kind}")).to(&admin.router).await.problem(403, "forbidden");
    }
    let lunch = admin.made("pauses", json!({"name": "Lunch"})).await;
    let path = place("pauses", &lunch);
    assert_eq!(call("supervisor", "GET", &path).to(&admin.router).await.is(200), lunch);
    assert_eq!(call("supervisor", "GET", "/pauses").to(&admin.router).await.is(200)["items"], json!([lunch]));
    admin.as_supervisor("POST", "/pauses", 0, &json!({"name": "Break"})).await.problem(403, "forbidden");
    admin.as_supervisor("PUT", &path, 1, &lunch).await.problem(403, "forbidden");
    admin.as_supervisor("DELETE", &path, 1, &Value::Null).await.problem(403, "forbidden");
    call("agent", "GET", &path).to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_accounts_own_canned_answers_go_with_it_and_the_general_ones_stay() {
    let admin = Admin::start().await;
    let nobodys = json!({"account": "acc_00000000000000000000000001", "title": "Hours", "text": "9 to 18"});
    assert_eq!(call("admin", "POST", "/canned-answers").json(&nobodys).to(&admin.router).await.fields(), ["account"]);
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let other = admin.made("accounts", admin.account_body("OTHER").await).await;
    let own = admin.made("canned-answers", json!({"account": account["id"], "title": "Hours", "text": "9 to 18"})).await;
    let others = admin.made("canned-answers", json!({"account": other["id"], "title": "Hours", "text": "9 to 18"})).await;
    let general = admin.made("canned-answers", json!({"title": "Hours", "text": "9 to 18"})).await;
    let mut moved = general.clone();
    moved["account"] = nobodys["account"].clone();
    assert_eq!(admin.put(&place("canned-answers", &general), 1, &moved).await.fields(), ["account"]);
    admin.delete(&format!("{}?confirm=ABC12", place("accounts", &account)), 1).await.is(204);
    admin.get(&place("canned-answers", &own)).await.problem(404, "not-found");
    assert_eq!(admin.get("/canned-answers").await.is(200)["items"], json!([others, general]));
}
