//! The lists that agents choose from, and the roles that may write them.

use cloud::secrets::SecretError;
use domain::contact::{Contact, Place};
use domain::ids::ContactId;
use engine::ports::Committed;
use ulid::Ulid;

use super::*;

impl Admin {
    async fn as_supervisor(&self, method: &'static str, path: &str, version: u64, body: &Value) -> Answer {
        call("supervisor", method, path).if_match(&format!("\"{version}\"")).json(body).to(&self.router).await
    }
}

#[tokio::test]
async fn pauses_dispositions_tags_and_canned_answers_are_created_replaced_and_deleted() {
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
        // A document that was read can be sent back.
        admin.put(&path, 2, &replaced).await.is(200);
        admin.delete(&path, 2).await.problem(412, "changed-meanwhile");
        admin.delete(&path, 3).await.is(204);
        admin.get(&path).await.problem(404, "not-found");
        // Its name is free again.
        admin.made(kind, changed).await;
    }
}

#[tokio::test]
async fn a_disposition_that_a_plan_closes_with_can_not_be_renamed() {
    let admin = Admin::start().await;
    let disposition = admin.made("dispositions", json!({"name": "Spam"})).await;
    let mut body = admin.account_body("CLOSE").await;
    body["plan"] = json!([{"step": "close", "disposition": "Span"}]);
    assert_eq!(call("admin", "POST", "/accounts").json(&body).to(&admin.router).await.fields(), ["plan[0].disposition"]);
    body["plan"][0]["disposition"] = json!("Spam");
    let account = admin.made("accounts", body.clone()).await;
    let path = place("dispositions", &disposition);
    assert_eq!(admin.delete(&path, 1).await.problem(409, "in-use")["users"], json!(["account:CLOSE"]));
    admin.put(&path, 1, &json!({"name": "Advertising"})).await.problem(409, "in-use");
    admin.put(&path, 1, &json!({"name": "Spam"})).await.is(200);
    // From now on the account has the disposition itself.
    body["settings"] = json!({"dispositions": ["Spam"]});
    admin.put(&place("accounts", &account), 1, &body).await.is(200);
    admin.delete(&path, 2).await.is(204);
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
async fn supervisors_write_dispositions_tags_and_canned_answers_but_not_pauses() {
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
async fn supervisors_manage_the_dispositions_of_an_account_and_see_nothing_else_of_it() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("DISPO").await;
    body["settings"] = json!({"dispositions": ["Sold"], "mandatory_disposition": true});
    body["plan"] = json!([{"step": "close", "disposition": "Sold"}]);
    let account = admin.made("accounts", body).await;
    let at = format!("{}/dispositions", place("accounts", &account));
    let ask = |role: &'static str, method: &'static str| call(role, method, at.clone());
    let shown = ask("supervisor", "GET").to(&admin.router).await;
    assert_eq!((shown.etag.as_str(), &shown.body), ("\"1\"", &json!({"id": account["id"], "dispositions": ["Sold"], "version": 1})));
    let put = async |version: u64, body: Value| admin.as_supervisor("PUT", &at, version, &body).await;
    let changed = put(1, json!({"dispositions": ["Sold", "Complaint / Late"]})).await.is(200);
    assert_eq!(changed, json!({"id": account["id"], "dispositions": ["Sold", "Complaint/Late"], "version": 2}));
    // What was read may be sent back. The rest of the account stays as it is.
    assert_eq!(put(2, changed.clone()).await.is(200), changed);
    let whole = admin.get(&place("accounts", &account)).await.is(200);
    let mut expected = account.clone();
    (expected["settings"]["dispositions"], expected["version"]) = (changed["dispositions"].clone(), json!(2));
    assert_eq!(whole, expected);
    put(1, json!({"dispositions": ["Sold"]})).await.problem(412, "changed-meanwhile");
    // The plan closes with one.
    assert_eq!(put(2, json!({"dispositions": ["Lost"]})).await.fields(), ["plan[0].disposition"]);
    for (bad, field) in [
        (json!({}), "dispositions"),
        (json!({"dispositions": ["Sold", "a//b"]}), "dispositions[1]"),
        (json!({"dispositions": ["Sold"], "name": "Mine"}), "name"),
    ] {
        assert_eq!(put(2, bad.clone()).await.fields(), [field], "{bad}");
    }
    admin.as_supervisor("GET", &place("accounts", &account), 0, &Value::Null).await.problem(403, "forbidden");
    ask("agent", "GET").to(&admin.router).await.problem(403, "forbidden");
    ask("agent", "PUT").if_match("\"2\"").json(&changed).to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn canned_answers_are_searched_by_words_and_by_account_page_by_page() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("FIND1").await).await;
    let other = admin.made("accounts", admin.account_body("FIND2").await).await;
    for (of, title, text) in [
        (None, "Hours", "We are open from 9 to 18, {{contact.firstName}}."),
        (Some(&account), "Opening hours of this shop", "From 10"),
        (Some(&other), "Hours", "From 11"),
        (None, "Returns", "Within 14 days"),
    ] {
        let mut body = json!({"title": title, "text": text});
        if let Some(of) = of {
            body["account"] = of["id"].clone();
        }
        admin.made("canned-answers", body).await;
    }
    let texts = async |query: &str| {
        let page = call("supervisor", "GET", format!("/canned-answers?{query}")).to(&admin.router).await.is(200);
        let texts: Vec<String> =
            page["items"].as_array().unwrap().iter().map(|answer| answer["text"].as_str().unwrap()[..7].to_owned()).collect();
        (texts, page["next"].as_str().map(str::to_owned))
    };
    let own = account["id"].as_str().unwrap();
    assert_eq!(texts("search=HOURS").await.0, ["We are ", "From 10", "From 11"]);
    assert_eq!(texts(&format!("search=hours&account={own}")).await.0, ["We are ", "From 10"]);
    assert_eq!(texts(&format!("account={own}")).await.0, ["We are ", "From 10", "Within "]);
    assert_eq!(texts("search=hours%20returns").await.0, Vec::<String>::new());
    let (first, next) = texts("search=hours&limit=2").await;
    let (second, end) = texts(&format!("search=hours&limit=2&after={}", next.unwrap())).await;
    assert_eq!((first.len(), second, end), (2, vec!["From 11".to_owned()], None));
    assert_eq!(call("supervisor", "GET", "/canned-answers?account=x").to(&admin.router).await.fields(), ["account"]);
    let bad = json!({"title": "Hi", "text": "Dear {{contact.name"});
    let refused = call("supervisor", "POST", "/canned-answers").json(&bad).to(&admin.router).await;
    assert_eq!(refused.fields(), ["text"]);
}

#[tokio::test]
async fn an_accounts_own_canned_answers_are_deleted_with_it_and_the_general_ones_stay() {
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

#[tokio::test]
async fn an_account_refers_to_existing_pauses_and_lists_which_can_not_be_deleted_meanwhile() {
    let admin = Admin::start().await;
    let lunch = admin.made("pauses", json!({"name": "After call"})).await;
    let clients = admin.made("lists", json!({"name": "Clients"})).await;
    let mut body = admin.account_body("ABC12").await;
    let ai = admin.made("ai-agents", ai_agent("Ada")).await;
    let sums_up = admin.made("ai-agents", ai_agent("Bea")).await;
    body["answering_ai_agent"] = ai["id"].clone();
    body["settings"] = json!({
        "mandatory_disposition": true,
        "disposition_pause": lunch["id"],
        "dispositions": ["Sold/Online"],
        "whitelist": {"enabled": true, "lists": [clients["id"]], "reply": "Sorry, {{contact.firstName}}."},
        "recontact": {"name": "HX1", "language": "it", "parameters": ["{{contact.name}}"]},
        "assistant": ai["id"],
        "insights": {"ai_agent": sums_up["id"], "at_closing": true},
    });
    let made = admin.made("accounts", body.clone()).await;
    for field in ["disposition_pause", "dispositions", "whitelist", "recontact", "assistant", "insights"] {
        assert_eq!(made["settings"][field], body["settings"][field]);
    }
    assert_eq!(made["answering_ai_agent"], body["answering_ai_agent"]);
    // A document that was read can be sent back.
    let path = place("accounts", &made);
    assert_eq!(admin.put(&path, 1, &made).await.is(200)["settings"], made["settings"]);
    for used in [place("pauses", &lunch), place("lists", &clients), place("ai-agents", &ai), place("ai-agents", &sums_up)] {
        assert_eq!(admin.delete(&used, 1).await.problem(409, "in-use")["users"], json!(["account:ABC12"]));
    }
    let mut other = admin.account_body("OTHER").await;
    other["answering_ai_agent"] = json!("aia_00000000000000000000000001");
    other["settings"] = json!({
        "assistant": "aia_00000000000000000000000001",
        "insights": {"ai_agent": "aia_00000000000000000000000001"},
        "disposition_pause": "pau_00000000000000000000000001",
        "whitelist": {"lists": ["lst_00000000000000000000000001"], "reply": "No."},
    });
    let refused = call("admin", "POST", "/accounts").json(&other).to(&admin.router).await.fields();
    let ai_agents = ["answering_ai_agent", "settings.assistant", "settings.insights.ai_agent"];
    assert_eq!(refused, [&["settings.disposition_pause", "settings.whitelist.lists[0]"][..], &ai_agents[..]].concat());
}

#[tokio::test]
async fn an_ai_agents_key_is_written_never_shown_and_goes_to_no_other_address() {
    let admin = Admin::start().await;
    let ada = admin.made("ai-agents", ai_agent("Ada")).await;
    let (path, key) = (place("ai-agents", &ada), format!("{}/key", place("ai-agents", &ada)));
    let env = environment(&admin.endpoint, &admin.account, "");
    let secrets = SecretStore::of_kind(&Aws::new(&env).unwrap(), &env, "AI_KEY_PREFIX").unwrap();
    let id: domain::ids::AiAgentId = id(&ada);
    let stored = async || secrets.current::<String>(&id).await.map(|current| current.value);
    for bad in ["", "two words", "è"] {
        assert_eq!(admin.put(&key, 1, &json!({"key": bad})).await.fields(), ["key"], "{bad}");
    }
    admin.put(&key, 7, &json!({"key": "s3cret"})).await.problem(412, "changed-meanwhile");
    assert_eq!(stored().await, Err(SecretError::Missing), "a refused change leaves the key as it is");
    let with_key = admin.put(&key, 1, &json!({"key": "s3cret"})).await.is(200);
    assert!(with_key["key_set_at"].is_string() && !with_key.to_string().contains("s3cret"), "{with_key}");
    assert_eq!(stored().await.unwrap(), "s3cret");
    // Its other fields change without it.
    let renamed = admin.patch(&path, 2, &json!({"name": "Eva"})).await.is(200);
    assert_eq!(renamed["key_set_at"], with_key["key_set_at"]);
    // Whoever changes the address must know the key.
    let moved = admin.patch(&path, 3, &json!({"base_url": "https://elsewhere.example.com/v1"})).await.is(200);
    assert!(moved.get("key_set_at").is_none(), "{moved}");
    for private in ["https://127.0.0.1/v1", "https://localhost/v1", "http://models.example.com/v1", "https://10.0.0.1"] {
        assert_eq!(admin.patch(&path, 4, &json!({"base_url": private})).await.fields(), ["base_url"], "{private}");
    }
    admin.put(&key, 4, &json!({"key": "an0ther"})).await.is(200);
    assert!(admin.delete(&key, 5).await.is(200).get("key_set_at").is_none());
    assert_eq!(stored().await, Err(SecretError::Missing));
    // A key of an AI agent that is deleted goes with it.
    admin.put(&key, 6, &json!({"key": "s3cret"})).await.is(200);
    admin.delete(&path, 7).await.is(204);
    assert_eq!(stored().await, Err(SecretError::Missing));
    // Bedrock takes this deployment's own rights.
    let bedrock = json!({"name": "Bea", "provider": "BEDROCK", "model": "eu.amazon.nova-lite-v1:0", "instructions": "Answer."});
    let bedrock = admin.made("ai-agents", bedrock).await;
    assert_eq!(admin.put(&format!("{}/key", place("ai-agents", &bedrock)), 1, &json!({"key": "x"})).await.fields(), ["key"]);
}

#[tokio::test]
async fn an_account_of_meta_or_kaleyra_has_a_warning_until_it_has_a_recontact_template() {
    let admin = Admin::start().await;
    let mut meta = admin.account_body("META1").await;
    meta["provider"] = json!({"type": "META", "phone_number_id": "106540352242922", "app_id": "102290129340398", "auth_token": "t0ken",
        "app_secret": "s3cret"});
    let made = admin.made("accounts", meta).await;
    assert_eq!(made["warnings"][0]["field"], "settings.recontact");
    let mut with = made.clone();
    with["settings"]["recontact"] = json!({"name": "hello", "language": "it"});
    let changed = admin.put(&place("accounts", &made), 1, &with).await.is(200);
    assert_eq!(changed.get("warnings"), None);
    let twilio = admin.made("accounts", admin.account_body("TWIL1").await).await;
    assert_eq!(twilio.get("warnings"), None);
}

#[tokio::test]
async fn contacts_are_created_found_and_added_to_lists() {
    let admin = Admin::start().await;
    let list = admin.made("lists", json!({"name": "Clients"})).await;
    let body = json!({"phone": "+393331234567", "name": "Zoë", "lists": [list["id"]]});
    let made = admin.made("contacts", body.clone()).await;
    assert_eq!((&made["phones"], &made["lists"]), (&json!(["+393331234567"]), &json!([list["id"]])));
    let path = place("contacts", &made);
    assert_eq!(call("supervisor", "GET", &path).to(&admin.router).await.is(200), made);
    assert_eq!(admin.get("/contacts?phone=%2B393331234567").await.is(200)["items"], json!([made]));
    assert_eq!(admin.get("/contacts?phone=%2B393331234568").await.is(200)["items"], json!([]));
    assert_eq!(admin.get("/contacts").await.is(200)["items"], json!([]), "nobody has brought the index up to date");
    let again = call("admin", "POST", "/contacts").json(&body).to(&admin.router).await.problem(409, "contact-exists");
    assert_eq!(again["contact"], made["id"]);
    let mut changed = made.clone();
    (changed["name"], changed["lists"]) = (json!("Zoë Rossi"), json!([]));
    let changed = admin.put(&path, 1, &changed).await.is(200);
    assert_eq!((&changed["name"], &changed["lists"], &changed["version"]), (&json!("Zoë Rossi"), &json!([]), &json!(2)));
    admin.put(&path, 1, &changed).await.problem(412, "changed-meanwhile");
    let unknown = json!({"user_id": "IT.1", "lists": ["lst_00000000000000000000000001"]});
    assert_eq!(call("admin", "POST", "/contacts").json(&unknown).to(&admin.router).await.fields(), ["lists[0]"]);
    call("supervisor", "POST", "/contacts").json(&body).to(&admin.router).await.problem(409, "contact-exists");
    admin.get("/contacts/con_00000000000000000000000001").await.problem(404, "not-found");
    // A customer who writes later is the contact that was created here.
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    a_customer_writes(&admin, &account).await;
    assert_eq!(admin.get("/contacts?phone=%2B393331234567").await.is(200)["items"][0]["id"], made["id"]);
}

#[tokio::test]
async fn a_contact_has_details_and_the_fields_that_administrators_define() {
    let admin = Admin::start().await;
    let level = admin.made("contact-fields", json!({"name": "Level"})).await;
    assert_eq!(call("admin", "POST", "/contact-fields").json(&json!({"name": "level"})).to(&admin.router).await.fields(), ["name"]);
    let field = level["id"].as_str().unwrap();
    let body =
        json!({"phone": "+393331234567", "first_name": "Zoë", "last_name": "Rossi", "company": "Rossi Srl", "fields": {field: "gold"}});
    let made = call("supervisor", "POST", "/contacts").json(&body).to(&admin.router).await.is(201);
    assert_eq!((&made["name"], &made["fields"]), (&json!("Zoë Rossi"), &json!({field: "gold"})), "{made}");
    let path = place("contacts", &made);
    let patch = json!({"email": "zoe@example.com", "fields": {field: null}});
    let changed = call("supervisor", "PATCH", &*path).if_match("\"1\"").json(&patch).to(&admin.router).await.is(200);
    assert_eq!((&changed["email"], &changed["company"], changed.get("fields")), (&json!("zoe@example.com"), &json!("Rossi Srl"), None));
    assert_eq!(admin.get(&path).await.is(200), changed);
    let unknown = json!({"fields": {"cfd_00000000000000000000000001": "x"}, "email": "zoe"});
    assert_eq!(admin.patch(&path, 2, &unknown).await.fields(), ["email"]);
    let unknown = json!({"fields": {"cfd_00000000000000000000000001": "x"}});
    assert_eq!(admin.patch(&path, 2, &unknown).await.fields(), ["fields.cfd_00000000000000000000000001"]);
    // A field that was deleted since is left out.
    admin.patch(&path, 2, &json!({"fields": {field: "tin"}})).await.is(200);
    admin.delete(&place("contact-fields", &level), 1).await.is(204);
    let after = admin.patch(&path, 3, &json!({"company": null})).await.is(200);
    assert_eq!((after.get("fields"), after.get("company")), (None, None), "{after}");
    // The trail names what changed, and nothing else.
    let trail = admin.get(&format!("/audit?kind=contact&id={}", made["id"].as_str().unwrap())).await.is(200);
    let told = trail.to_string();
    assert!(told.contains("email") && !told.contains("zoe@") && !told.contains("gold") && !told.contains("Srl"), "{told}");
}

#[tokio::test]
async fn there_are_fifty_defined_fields_at_most() {
    let admin = Admin::start().await;
    for number in 0..50 {
        admin.made("contact-fields", json!({"name": format!("field {number}")})).await;
    }
    let one_more = call("admin", "POST", "/contact-fields").json(&json!({"name": "one more"})).to(&admin.router).await;
    assert_eq!(one_more.fields(), ["name"]);
}

#[tokio::test]
async fn a_contact_is_deleted_unless_it_has_interactions_or_links() {
    let admin = Admin::start().await;
    let body = json!({"phone": "+393331000001", "user_id": "IT.1", "account": Value::Null});
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let made = admin.made("contacts", body.clone()).await;
    let path = place("contacts", &made);
    call("supervisor", "DELETE", &*path).if_match("\"1\"").to(&admin.router).await.problem(403, "forbidden");
    admin.delete(&path, 2).await.problem(412, "changed-meanwhile");
    // From here on this process remembers whose address it is.
    assert_eq!(admin.get("/contacts?phone=%2B393331000001").await.is(200)["items"], json!([made]));
    admin.delete(&path, 1).await.is(204);
    admin.get(&path).await.problem(404, "not-found");
    admin.delete(&path, 1).await.problem(404, "not-found");
    assert_eq!(admin.get("/contacts?phone=%2B393331000001").await.is(200)["items"], json!([]));
    // The addresses are free. Who writes is another contact.
    a_customer_writes(&admin, &account).await;
    let found = admin.get("/contacts?phone=%2B393331000001").await.is(200)["items"][0].clone();
    assert_ne!((&found["id"], &found["id"]), (&made["id"], &Value::Null));
    let version = found["version"].as_u64().unwrap();
    admin.delete(&place("contacts", &found), version).await.problem(409, "has-interactions");
    // One customer with two contacts.
    let [one, other] = ["+393331234561", "+393331234562"].map(|phone| json!({"phone": phone}));
    let (one, other) = (admin.made("contacts", one).await, admin.made("contacts", other).await);
    let links = format!("{}/links", place("contacts", &one));
    call("supervisor", "POST", &*links).json(&json!({"contact": other["id"]})).to(&admin.router).await.is(200);
    let version = admin.get(&place("contacts", &one)).await.is(200)["version"].as_u64().unwrap();
    admin.delete(&place("contacts", &one), version).await.problem(409, "linked");
}

#[tokio::test]
async fn a_contact_outlives_a_list_that_it_was_on() {
    let admin = Admin::start().await;
    let (gone, kept) = (admin.made("lists", json!({"name": "Gone"})).await, admin.made("lists", json!({"name": "Kept"})).await);
    let body = json!({"phone": "+393331234567", "lists": [gone["id"], kept["id"]]});
    let made = admin.made("contacts", body).await;
    admin.delete(&place("lists", &gone), 1).await.is(204);
    // The document that was read is sent back with another name. The deleted list is left out, and no other unknown
    // list is accepted.
    let mut changed = admin.get(&place("contacts", &made)).await.is(200);
    assert_eq!(changed["lists"].as_array().unwrap().len(), 2);
    changed["name"] = json!("Zoë");
    let mut wrong = changed.clone();
    wrong["lists"][1] = json!("lst_00000000000000000000000009");
    assert_eq!(admin.put(&place("contacts", &made), 1, &wrong).await.fields(), ["lists[1]"]);
    let after = admin.put(&place("contacts", &made), 1, &changed).await.is(200);
    assert_eq!((&after["name"], &after["lists"]), (&json!("Zoë"), &json!([kept["id"]])));
    // From now on the deleted list counts as unknown.
    changed["version"] = json!(2);
    assert_eq!(admin.put(&place("contacts", &made), 2, &changed).await.fields(), ["lists[0]"]);
}

#[tokio::test]
async fn a_search_for_a_user_id_that_is_too_long_is_refused() {
    let admin = Admin::start().await;
    assert_eq!(admin.get(&format!("/contacts?user_id={}", "I".repeat(131))).await.is(200)["items"], json!([]));
    assert_eq!(admin.get(&format!("/contacts?user_id={}", "I".repeat(132))).await.fields(), ["user_id"]);
}

#[tokio::test]
async fn the_links_of_a_contact_are_listed_confirmed_and_cut() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let [one, other] = ["+393331234561", "+393331234562"].map(|phone| json!({"phone": phone, "user_id": format!("IT.{}", &phone[9..])}));
    let (one, other) = (admin.made("contacts", one).await, admin.made("contacts", other).await);
    let place = |contact: &Value, call: &str| format!("{}/{call}", place("contacts", contact));
    let links = |contact: &Value| call("supervisor", "GET", place(contact, "links")).to(&admin.router);
    // An address that came with another is listed, and so is its origin.
    let listed = links(&one).await.is(200)["items"].clone();
    assert_eq!(
        (&listed[0]["user_id"], &listed[0]["origin"], &listed[0]["accounts"]),
        (&one["user_ids"][0], &json!("before"), &json!([account["id"]]))
    );

    let linking = |body: Value| call("supervisor", "POST", place(&one, "links")).json(&body).to(&admin.router);
    let confirmed = linking(json!({"contact": other["id"]})).await.is(200)["items"].clone();
    let link = confirmed.as_array().unwrap().iter().find(|link| link["contact"] == other["id"]).unwrap();
    assert_eq!((&link["origin"], &link["everywhere"]), (&json!("confirmed"), &json!(true)));
    assert_eq!(admin.get("/contacts?phone=%2B393331234562").await.is(200)["items"][0]["id"], one["id"], "they are one customer");
    assert_eq!(linking(json!({"contact": one["id"]})).await.fields(), ["contact"]);

    let cutting = |body: Value| call("supervisor", "POST", place(&one, "unlink")).json(&body).to(&admin.router);
    let cut = cutting(json!({"contact": other["id"]})).await.is(200)["items"].clone();
    let link = cut.as_array().unwrap().iter().find(|link| link["contact"] == other["id"]).unwrap();
    assert!(link["cut_at"].is_string() && link["cut_by"].is_string());
    assert_eq!(admin.get("/contacts?phone=%2B393331234562").await.is(200)["items"][0]["id"], other["id"], "they are two again");
    assert_eq!(cutting(json!({"contact": other["id"]})).await.fields(), ["contact"]);

    // The user id moves to a contact of its own.
    cutting(json!({"user_id": one["user_ids"][0]})).await.is(200);
    let found = admin.get(&format!("/contacts?user_id={}", one["user_ids"][0].as_str().unwrap())).await.is(200)["items"][0].clone();
    assert!(found["id"] != one["id"] && found["phones"] == json!([]));
    assert_eq!(cutting(json!({"phone": "+393331234561"})).await.fields(), ["phone"], "it is the last address");
    assert_eq!(cutting(json!({})).await.fields(), ["contact"]);
    call("agent", "POST", place(&one, "unlink")).json(&json!({"contact": other["id"]})).to(&admin.router).await.problem(403, "forbidden");
}

/// A contact as the version before wrote it, with the addresses that lead to it.
async fn written_before(admin: &Admin, contact: &Contact) {
    let by = ::audit::By { who: "owner".to_owned(), role: Some(Role::Owner) };
    let subject = ::audit::Subject { kind: "contact", id: contact.id.as_str(), versions: (None, Some(1)) };
    let entry = ::audit::Entry::new(cloud::ids::ulid(), by, ::audit::Action::Created, subject, Vec::new());
    assert_eq!(admin.engine.store.add_contact(contact, &entry).await.unwrap(), Committed::Done);
}

#[tokio::test]
async fn links_without_an_origin_are_listed_over_all_contacts_until_they_are_reviewed() {
    let admin = Admin::start().await;
    let id = |number: u128| ContactId::from_ulid(Ulid(number));
    let phone = |number: u128| Address::Phone(E164::parse(&format!("+39333{number:07}")).unwrap());
    let known = |number, addresses: &[u128]| {
        Contact::known_by(id(number), Timestamp::now(), addresses.iter().map(|address| Place::before(&phone(*address))))
    };
    // Two contacts that were linked, one with two numbers, and one that is fine.
    let (mut older, mut newer) = (known(1, &[1]), known(2, &[2]));
    (older.linked, newer.linked_to) = ([id(2)].into(), Some(id(1)));
    for contact in [&older, &newer, &known(3, &[3, 4]), &known(5, &[5])] {
        written_before(&admin, contact).await;
    }
    let page = async |query: &str| call("supervisor", "GET", format!("/links{query}")).to(&admin.router).await.is(200);
    let review = async || {
        let all = page("").await;
        let mut items = all["items"].as_array().unwrap().clone();
        items.sort_by_key(|item| item["of"].to_string());
        (items, all)
    };
    let (items, all) = review().await;
    assert_eq!((&all["scanned"], all.get("next"), items.len()), (&json!(4), None, 2), "{all}");
    assert_eq!((&items[0]["of"], &items[0]["link"]["contact"]), (&json!(id(2)), &json!(id(1))));
    assert_eq!((&items[1]["of"], &items[1]["link"]["phone"]), (&json!(id(3)), &json!("+393330000004")));
    assert!(items.iter().all(|item| item["link"]["origin"] == "before" && item["link"]["everywhere"] == true), "{all}");
    // Page by page, nothing is missing and nothing comes twice.
    let (mut paged, mut scanned, mut after) = (Vec::new(), 0, String::new());
    loop {
        let part = page(&format!("?limit=1{after}")).await;
        paged.extend(part["items"].as_array().unwrap().clone());
        scanned += part["scanned"].as_u64().unwrap();
        let Some(next) = part["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    paged.sort_by_key(|item| item["of"].to_string());
    assert_eq!((paged, scanned), (items, 4));
    assert_eq!(call("supervisor", "GET", "/links?after=x").to(&admin.router).await.fields(), ["after"]);
    call("agent", "GET", "/links").to(&admin.router).await.problem(403, "forbidden");
    // What was confirmed or cut is not listed again.
    let of = |number| place("contacts", &json!({"id": id(number)}));
    call("supervisor", "POST", format!("{}/links", of(2))).json(&json!({"contact": id(1)})).to(&admin.router).await.is(200);
    call("supervisor", "POST", format!("{}/unlink", of(3))).json(&json!({"phone": "+393330000004"})).to(&admin.router).await.is(200);
    assert_eq!(review().await.0, Vec::<Value>::new());
}

impl Admin {
    /// Uploads a PDF for the canned answer at this path, as a client would through the address. Returns its id.
    pub(crate) async fn uploaded(&self, at: &str, bytes: &[u8]) -> String {
        let body = json!({"content_type": "application/pdf", "size": bytes.len()});
        let place = call("supervisor", "POST", format!("{at}/attachment")).json(&body).to(&self.router).await.is(201);
        let id = place["id"].as_str().unwrap().to_owned();
        assert!(place["url"].as_str().unwrap().contains(&format!("uploads/answers/{id}")), "{place}");
        self.objects.put(&format!("uploads/answers/{id}"), bytes.to_vec(), "application/pdf").await.unwrap();
        id
    }

    /// How many files answers have in the bucket.
    async fn answer_files(&self) -> usize {
        self.objects.list("answers/", None, 100).await.unwrap().0.len()
    }
}

#[tokio::test]
async fn a_canned_answer_has_one_file_which_is_replaced_taken_off_and_deleted_with_it() {
    let admin = Admin::start().await;
    let answer = admin.made("canned-answers", json!({"title": "Prices", "text": "Our prices"})).await;
    let at = place("canned-answers", &answer);
    let file = format!("{at}/attachment");
    let put = |version: u64, upload: &str, name: &str| {
        let body = json!({"upload": upload, "name": name});
        call("supervisor", "PUT", file.clone()).if_match(&format!("\"{version}\"")).json(&body)
    };
    call("supervisor", "GET", file.clone()).to(&admin.router).await.problem(404, "not-found");
    let first = admin.uploaded(&at, b"%PDF-1.7 old").await;
    let shown = put(1, &first, "old.pdf").to(&admin.router).await.is(200);
    assert_eq!(shown["attachment"], json!({"name": "old.pdf", "content_type": "application/pdf", "size": 12}));
    // Other changes leave it, also those that send the document back, and a version that is over changes nothing.
    let put_back = admin.put(&at, 2, &shown).await.is(200);
    let patched = admin.patch(&at, 3, &json!({"text": "New prices"})).await.is(200);
    assert_eq!((&put_back["attachment"], &patched["attachment"]), (&shown["attachment"], &shown["attachment"]));
    for other in [json!(null), json!({"name": "other.pdf"})] {
        assert_eq!(admin.patch(&at, 4, &json!({"attachment": other})).await.fields(), ["attachment"]);
    }
    let second = admin.uploaded(&at, b"%PDF-1.7 newer").await;
    put(1, &second, "new.pdf").to(&admin.router).await.problem(412, "changed-meanwhile");
    assert_eq!(admin.answer_files().await, 1);
    let replaced = put(4, &second, "new.pdf").to(&admin.router).await.is(200);
    assert_eq!((&replaced["attachment"]["name"], &replaced["version"], admin.answer_files().await), (&json!("new.pdf"), &json!(5), 1));
    let link = call("supervisor", "GET", file.clone()).to(&admin.router).await.is(200);
    let saved = reqwest::get(link["url"].as_str().unwrap()).await.unwrap();
    assert!(saved.headers()["content-disposition"].to_str().unwrap().contains("new.pdf"));
    assert_eq!(saved.bytes().await.unwrap(), b"%PDF-1.7 newer".as_slice());
    let without = call("supervisor", "DELETE", file.clone()).if_match("\"5\"").to(&admin.router).await.is(200);
    assert_eq!((without.get("attachment"), admin.answer_files().await), (None, 0));
    call("supervisor", "DELETE", file.clone()).if_match("\"6\"").to(&admin.router).await.is(200);
    // It goes with its answer, and with the account of its answer.
    put(6, &second, "new.pdf").to(&admin.router).await.is(200);
    call("supervisor", "DELETE", &*at).if_match("\"7\"").to(&admin.router).await.is(204);
    assert_eq!(admin.answer_files().await, 0);
}

#[tokio::test]
async fn a_canned_answers_file_is_one_that_the_providers_of_its_accounts_take() {
    let admin = Admin::start().await;
    // The account is Twilio's, which takes no CSV; there is no other account.
    let body = admin.account_body("FILES").await;
    let account = admin.made("accounts", body).await;
    let answer = admin.made("canned-answers", json!({"account": account["id"], "title": "Prices", "text": "Our prices"})).await;
    let file = format!("{}/attachment", place("canned-answers", &answer));
    let upload = |content_type: &str, size: u64| {
        call("supervisor", "POST", file.clone()).json(&json!({"content_type": content_type, "size": size})).to(&admin.router)
    };
    upload("text/csv", 9).await.problem(415, "media-type");
    upload("application/pdf", 17 << 20).await.problem(413, "attachment-too-large");
    assert_eq!(upload("pdf", 0).await.fields(), ["content_type", "size"]);
    let put = |upload: &str, name: &str| {
        call("supervisor", "PUT", file.clone()).if_match("\"1\"").json(&json!({"upload": upload, "name": name})).to(&admin.router)
    };
    assert_eq!(put("../x", "a/b").await.fields(), ["upload", "name"]);
    put("01ARZ3NDEKTSV4RRFFQ69G5FAV", "a.pdf").await.problem(404, "upload-missing");
    // What was uploaded counts, and not what was announced.
    let id = admin.uploaded(&place("canned-answers", &answer), b"%PDF-1.7").await;
    admin.objects.put(&format!("uploads/answers/{id}"), b"MZ\x90\x00 a program".to_vec(), "application/pdf").await.unwrap();
    put(&id, "a.pdf").await.problem(415, "media-type");
    assert_eq!(admin.answer_files().await, 0);
}

#[tokio::test]
async fn a_trigger_to_a_private_address_or_to_this_deployment_is_refused_and_nothing_is_made() {
    let admin = Admin::start().await;
    let trigger = |url: &str| json!({"name": "CRM", "events": ["interaction.opened"], "url": url});
    for url in [
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://10.0.0.1/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "http://crm.example.com/hook",
        "https://CONNECTOR.example:443/receive/meta/x",
        "https://connector.example/stage/supervisor/reports",
    ] {
        assert_eq!(call("owner", "POST", "/triggers").json(&trigger(url)).to(&admin.router).await.fields(), ["url"], "{url}");
    }
    assert_eq!(admin.get("/triggers").await.is(200)["items"], json!([]));
}

#[tokio::test]
async fn the_table_of_prices_is_empty_until_an_administrator_fills_it_and_supervisors_read_it() {
    let admin = Admin::start().await;
    assert_eq!(admin.get("/prices").await.is(200), json!({"currency": "EUR", "prices": [], "rates": [], "version": 0}));
    let table = json!({
        "currency": "EUR",
        "prices": [
            {"category": "marketing", "country": "+39", "amount": "0.0691", "currency": "EUR", "from": "2026-07-01"},
            {"category": "utility", "amount": "0.03", "currency": "USD"},
        ],
        "rates": [{"currency": "USD", "rate": "0.92"}],
        "version": 0,
    });
    let changed = admin.put("/prices", 0, &table).await.is(200);
    let mut expected = table.clone();
    expected["version"] = json!(1);
    assert_eq!(changed, expected);
    assert_eq!(admin.get("/prices").await.is(200), expected);
    admin.put("/prices", 0, &table).await.problem(412, "changed-meanwhile");
    let wrong = json!({"currency": "EUR", "prices": [{"category": "utility", "amount": "0,03"}]});
    assert_eq!(admin.put("/prices", 1, &wrong).await.is(422)["errors"][0]["field"], "prices[0].amount");
    assert_eq!(admin.get("/prices").await.is(200), expected, "nothing of it is done");
}

#[tokio::test]
async fn settings_are_as_usual_until_somebody_changes_them_within_their_bounds() {
    let admin = Admin::start().await;
    let configuration = store::Configuration::new(
        Aws::new(&environment(&admin.endpoint, &admin.account, "")).unwrap().dynamodb(),
        "config",
        "interactions",
    );
    let read = admin.get("/settings").await.is(200);
    assert_eq!(read, json!({"connection_grace": 30, "version": 0}));
    assert_eq!(configuration.connection_grace().await, 30);
    for wrong in [json!({"connection_grace": 4}), json!({"connection_grace": 601})] {
        let problem = admin.put("/settings", 0, &wrong).await.is(422);
        assert_eq!(
            problem["errors"][0],
            json!({"field": "connection_grace", "code": "out-of-range", "min": 5, "max": 600, "message": "must be from 5 to 600 seconds"})
        );
    }
    for wrong in [json!({}), json!({"connection_grace": "soon"}), json!({"connection_grace": 5, "colour": 1})] {
        assert_eq!(admin.put("/settings", 0, &wrong).await.status.as_u16(), 422, "{wrong}");
    }
    let changed = admin.put("/settings", 0, &json!({"connection_grace": 600, "version": 0})).await.is(200);
    assert_eq!(changed, json!({"connection_grace": 600, "version": 1}));
    admin.put("/settings", 0, &json!({"connection_grace": 5})).await.problem(412, "changed-meanwhile");
    assert_eq!(configuration.connection_grace().await, 600);
}
