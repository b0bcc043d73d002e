//! Dry runs: what would be stored, what would be refused, and what a plan would do. Nothing is written.

use std::collections::BTreeSet;

use super::*;
use crate::fault::FaultProxy;

/// The calls that a dry run may make: they read.
const READS: [&str; 6] = [
    "DynamoDB_20120810.GetItem",
    "DynamoDB_20120810.BatchGetItem",
    "DynamoDB_20120810.Query",
    "secretsmanager.GetSecretValue",
    "secretsmanager.DescribeSecret",
    "AWSCognitoIdentityProviderService.AdminGetUser",
];

/// A deployment whose calls are counted.
async fn counted() -> (Admin, FaultProxy) {
    let mut admin = Admin::start().await;
    let proxy = FaultProxy::start(&admin.endpoint).await;
    admin.router = router(app(&environment(&proxy.url, &admin.account, &admin.wakes)));
    (admin, proxy)
}

/// The operations that the description offers as a dry run.
fn offered() -> BTreeSet<(String, String)> {
    let description = serde_json::to_value(admin_api::openapi()).unwrap();
    let mut offered = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if { parameters }.any(|parameter| parameter["name"] == "dry_run") {
                offered.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
    }
    offered
}

/// Each configured kind: a body, and a change of it.
async fn kinds(admin: &Admin) -> Vec<(&'static str, Value, Value)> {
    let mut account = admin.account_body("ABC12").await;
    account["active"] = json!(false);
    let renamed = json!({"name": "Renamed"});
    vec![
        ("lists", json!({"name": "Customers"}), renamed.clone()),
        ("agents", json!({"name": "Ben", "subject": "sub-ben"}), json!({"name": "Renamed", "whatsapp": false, "role": "agent"})),
        ("queues", json!({"name": "Sales", "strategy": "beepall", "members": account["agents"]}), json!({"members": []})),
        ("intervals", json!({"name": "Office", "time_zone": "UTC", "ranges": [{"from": "09:00"}]}), renamed.clone()),
        ("pauses", json!({"name": "Lunch"}), renamed.clone()),
        ("dispositions", json!({"name": "Sold"}), renamed.clone()),
        ("tags", json!({"tag": "vip"}), json!({"tag": "gold"})),
        ("canned-answers", json!({"title": "Hours", "text": "9 to 18"}), json!({"text": "9 to 17"})),
        ("contact-fields", json!({"name": "Company"}), renamed.clone()),
        (
            "triggers",
            json!({"name": "CRM", "events": ["offer.accepted"], "url": "https://crm.example.com/", "active": false}),
            json!({"active": true}),
        ),
        (
            "ai-agents",
            json!({"name": "Ada", "provider": "OPENAI_COMPATIBLE", "model": "small", "base_url": "https://models.example.com/v1", "instructions": "Help."}),
            renamed,
        ),
        ("accounts", account, json!({"active": true, "provider": {"auth_token": "second-t0ken"}, "plan": []})),
    ]
}

#[tokio::test]
async fn every_write_of_a_kind_has_a_dry_run_that_writes_nothing() {
    let (admin, proxy) = counted().await;
    let mut tried = BTreeSet::new();
    let mut seen = |method: &str, path: &str| tried.insert((method.to_owned(), path.to_owned()));
    for (kind, body, patch) in kinds(&admin).await {
        let all = format!("/{kind}");
        let dry = async |method: &'static str, path: &str, body: &Value| {
            proxy.calls();
            let answer = call("owner", method, format!("{path}?dry_run=true")).if_match("\"1\"").json(body).to(&admin.router).await;
            let calls: Vec<String> = proxy.calls().into_iter().filter(|call| !READS.contains(&call.as_str())).collect();
            assert!(calls.is_empty(), "{method} {path} writes: {calls:?}");
            assert_eq!((answer.etag.as_str(), answer.location.as_str()), ("", ""), "{method} {path}: nothing has this version");
            answer.is(200)
        };
        let would = dry("POST", &all, &body).await;
        seen("POST", &all);
        assert_eq!(would["version"], 1, "{kind}");
        let read = |id: &Value| format!("/{kind}/{}", id.as_str().unwrap());
        admin.get(&read(&would["id"])).await.problem(404, "not-found");
        let made = admin.made(kind, body.clone()).await;
        let one = read(&made["id"]);
        let before = admin.get(&one).await.is(200);
        for (method, sent) in [("PATCH", &patch), ("PUT", &body)] {
            seen(method, &format!("/{kind}/{{id}}"));
            let would = dry(method, &one, sent).await;
            assert_eq!((&would["id"], &would["version"]), (&made["id"], &json!(2)), "{method} {kind}");
            assert_eq!(admin.get(&one).await.is(200), before, "{method} {kind}");
        }
        // What it told is what the write stores.
        let would = dry("PATCH", &one, &patch).await;
        assert_eq!(admin.patch(&one, 1, &patch).await.is(200), would, "{kind}");
        assert!(!would.to_string().contains("t0ken"));
    }
    let price = json!({"category": "utility", "country": "+39", "amount": "0.03"});
    for (path, body) in [("/settings", json!({"connection_grace": 60})), ("/prices", json!({"currency": "EUR", "prices": [price]}))] {
        proxy.calls();
        let answer = call("owner", "PUT", format!("{path}?dry_run=true")).if_match("\"0\"").json(&body).to(&admin.router).await;
        assert_eq!((answer.etag.as_str(), &answer.body["version"]), ("", &json!(1)), "{}", answer.body);
        assert!(proxy.calls().iter().all(|call| READS.contains(&call.as_str())), "{path}");
        assert_eq!(admin.get(path).await.is(200)["version"], 0);
        seen("PUT", path);
    }
    // All operations that offer it were tried.
    assert_eq!(offered(), tried);
    for (method, path) in &offered() {
        assert!(["POST", "PUT", "PATCH"].contains(&method.as_str()), "{method} {path}");
    }
}

#[tokio::test]
async fn a_dry_run_is_refused_as_the_write_would_be() {
    let (admin, proxy) = counted().await;
    let body = admin.account_body("ABC12").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = place("accounts", &account);
    let agent = place("agents", &admin.get(&format!("/agents/{}", body["agents"][0].as_str().unwrap())).await.is(200));
    let mut elsewhere = body.clone();
    elsewhere["key"] = json!("ABC13");
    elsewhere["plan"] = json!([{"step": "queue", "queue": "que_00000000000000000000000001"}]);
    elsewhere["provider"] =
        json!({"type": "KALEYRA", "base_url": "https://10.0.0.1", "waba_id": "1", "account_sid": "HX1", "api_key": "k3y"});
    for (method, path, version, body) in [
        ("POST", "/accounts".to_owned(), 1, body.clone()),
        ("POST", "/accounts".to_owned(), 1, elsewhere),
        ("POST", "/accounts".to_owned(), 1, json!({"plan": [{"step": "goto_if", "condition": "x = "}], "key": 1})),
        ("PUT", path.clone(), 2, body.clone()),
        ("PATCH", path.clone(), 1, json!({"agents": []})),
        ("PATCH", path.clone(), 1, json!({"settings": {"notification": {"template": "Hi {{contact.name"}}})),
        ("PATCH", agent, 1, json!({"whatsapp": false})),
        ("POST", "/agents".to_owned(), 1, json!({"name": "Ben", "subject": "sub-agent of ABC12"})),
        ("POST", "/agents".to_owned(), 1, json!({"name": "Ben", "email": "ben@example.com"})),
    ] {
        let sent = async |query: &str| {
            let answer =
                call("owner", method, format!("{path}{query}")).if_match(&format!("\"{version}\"")).json(&body).to(&admin.router).await;
            assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.body);
            let mut told = answer.body;
            told.as_object_mut().unwrap().remove("instance");
            told
        };
        proxy.calls();
        let would = sent("?dry_run=true").await;
        assert!(proxy.calls().iter().all(|call| READS.contains(&call.as_str())), "{method} {path}");
        assert_eq!(would, sent("").await, "{method} {path}");
    }
    // A word that is neither true nor false never writes.
    let refused = call("owner", "POST", "/lists?dry_run=yes").json(&json!({"name": "X"})).to(&admin.router).await;
    assert_eq!(refused.fields(), ["dry_run"]);
    // An operation without dry runs refuses the parameter, so nobody deletes by a dry run.
    let refused = call("owner", "DELETE", format!("{path}?dry_run=true&confirm=ABC12")).if_match("\"1\"").to(&admin.router).await;
    assert_eq!(refused.fields(), ["dry_run"]);
    call("supervisor", "POST", "/lists?dry_run=true").json(&json!({"name": "X"})).to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_plan_is_rehearsed_as_it_is_saved_or_as_it_is_drafted() {
    let (admin, proxy) = counted().await;
    let mut body = admin.account_body("ABC12").await;
    body["plan"][0]["timeout"] = json!(60);
    let account = admin.made("accounts", body.clone()).await;
    let path = format!("{}/plan/dry-run", place("accounts", &account));
    let run = async |body: Value| {
        proxy.calls();
        let answer = call("admin", "POST", &path).json(&body).to(&admin.router).await;
        let calls: Vec<String> = proxy.calls().into_iter().filter(|call| !READS.contains(&call.as_str())).collect();
        assert!(calls.is_empty(), "a rehearsal writes: {calls:?}");
        answer
    };
    let saved = run(json!({"at": "2026-02-03T09:00:00Z"})).await.is(200);
    let facts: Vec<&str> = saved["lines"].as_array().unwrap().iter().map(|line| line["fact"].as_str().unwrap()).collect();
    assert_eq!(facts, ["opened", "message_received", "plan_started", "wait_started", "wait_ended", "wait_started"]);
    assert_eq!((&saved["lines"][4]["at"], &saved["ending"]["how"]), (&json!("2026-02-03T09:01:00Z"), &json!("waits")));
    let asked = &saved["lines"][3]["asked"][0];
    assert_eq!((&asked["available"], &asked["passed_over"][0]["why"]), (&json!([]), &json!("logged_out")));
    // A draft: what it says, in which case, to whom.
    let plan = json!([
        {"step": "webhook", "url": "https://crm.example.com/tier"},
        {"step": "goto_if", "condition": "tier = 'gold' && message.text contains 'order'", "then": 3},
        {"step": "close", "disposition": null},
        {"step": "auto_reply", "text": "Welcome back {{contact.firstName}}"},
        {"step": "tag", "tag": "gold"},
        {"step": "close"},
    ]);
    let given = json!({
        "plan": plan, "text": "My order", "customer": {"name": "Ada Lovelace", "phone": "+393331234567"},
        "answers": [{"step": 0, "variables": {"tier": "gold"}}], "variables": {"lang": "it"},
    });
    let gold = run(given.clone()).await.is(200);
    let lines = gold["lines"].as_array().unwrap();
    let of = |fact: &str| lines.iter().find(|line| line["fact"] == fact).unwrap();
    assert_eq!(of("wait_started")["url"], "https://crm.example.com/tier");
    let condition = lines.iter().find(|line| line["did"]["did"] == "goto_if" || !line["compared"].is_null()).unwrap();
    assert_eq!(condition["compared"], json!([{"name": "variables.tier", "value": "gold"}, {"name": "message.text", "value": "My order"}]));
    assert!(lines.iter().any(|line| line["text"] == "Welcome back Ada"));
    assert_eq!((&gold["ending"], &gold["tags"]), (&json!({"how": "closed"}), &json!(["gold"])));
    assert_eq!(gold["variables"], json!({"lang": "it", "tier": "gold"}));
    // The account has the plan that it had.
    assert_eq!(admin.get(&place("accounts", &account)).await.is(200)["plan"], account["plan"]);
    // A draft is refused as it would be when it is saved.
    let wrong = json!([{"step": "queue", "queue": "que_00000000000000000000000001"}, {"step": "goto_if", "condition": "x =", "then": 9}]);
    assert_eq!(run(json!({"plan": wrong})).await.fields(), ["plan[1].condition"]);
    let wrong = json!([{"step": "queue", "queue": "que_00000000000000000000000001"}, {"step": "webhook", "url": "https://10.0.0.1/"}]);
    assert_eq!(run(json!({"plan": wrong})).await.fields(), ["plan[0].queue", "plan[1].url"]);
    for (sent, field) in [
        (json!({"at": "9999-01-01T00:00:00Z"}), "at"),
        (json!({"text": "x".repeat(4_097)}), "text"),
        (json!({"variables": {"lang": "x".repeat(1_100)}}), "variables"),
        (json!({"contact": "con_00000000000000000000000001"}), "contact"),
        (json!({"contact": "con_00000000000000000000000001", "customer": {}}), "customer"),
        (json!({"colour": "red"}), "colour"),
    ] {
        assert_eq!(run(sent).await.fields(), [field]);
    }
    call("supervisor", "POST", &path).json(&json!({})).to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_rehearsed_contact_is_greeted_by_name_and_turned_away_as_the_account_does() {
    let (admin, _) = counted().await;
    let mut body = admin.account_body("ABC12").await;
    let list = admin.made("lists", json!({"name": "VIP"})).await;
    body["settings"] = json!({"whitelist": {"enabled": true, "lists": [list["id"]], "reply": "Sorry {{contact.firstName}}"}});
    let account = admin.made("accounts", body).await;
    let contact = async |phone: &str, lists: Value| {
        let body = json!({"phone": phone, "name": "Ada Lovelace", "lists": lists});
        call("admin", "POST", "/contacts").json(&body).to(&admin.router).await.is(201)["id"].clone()
    };
    let (known, stranger) = (contact("+393330000001", json!([list["id"]])).await, contact("+393330000002", json!([])).await);
    let path = format!("{}/plan/dry-run", place("accounts", &account));
    let run = async |body: Value| call("admin", "POST", &path).json(&body).to(&admin.router).await.is(200);
    let served = run(json!({"contact": known})).await;
    assert!(served["lines"][3]["asked"][0]["notification"].as_str().unwrap().ends_with("Ada Lovelace"), "{served}");
    for body in [json!({"contact": stranger}), json!({"customer": {"name": "Ada"}})] {
        let away = run(body).await;
        assert!(away["lines"].as_array().unwrap().iter().any(|line| line["text"] == "Sorry Ada"), "{away}");
        assert_eq!(away["ending"]["how"], "closed");
    }
}

#[tokio::test]
async fn a_template_is_filled_in_or_refused_at_its_place() {
    let (admin, proxy) = counted().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let queue = account["plan"][0]["queue"].clone();
    let fill = async |body: Value| call("admin", "POST", "/templates/dry-run").json(&body).to(&admin.router).await;
    let customer = json!({"name": "Ada Lovelace", "phone": "+393331234567"});
    let template = "{{account.key}}{{#queue}} · {{queue.name}}{{/queue}}: {{contact.lastName}} {{contact.phone}}";
    proxy.calls();
    let reply = fill(json!({"template": template, "account": account["id"], "customer": customer})).await.is(200);
    assert_eq!(reply, json!({"text": "ABC12: Lovelace +393331234567"}));
    assert!(proxy.calls().iter().all(|call| READS.contains(&call.as_str())));
    let notification =
        json!({"template": template, "account": account["id"], "used": "notification", "queue": queue, "customer": customer});
    assert_eq!(fill(notification).await.is(200), json!({"text": "ABC12 · Support: Lovelace +393331234567"}));
    let long = json!({"template": "x".repeat(300), "account": account["id"], "used": "notification"});
    assert_eq!(fill(long).await.is(200)["text"].as_str().unwrap().len(), 240);
    let wrong = fill(json!({"template": "Hi {{contact.name", "account": account["id"]})).await.problem(422, "invalid");
    assert_eq!((&wrong["errors"][0]["field"], &wrong["errors"][0]["code"]), (&json!("template"), &json!("wrong-template")));
    let unknown = json!({"template": "Hi", "account": "acc_00000000000000000000000001", "queue": "que_00000000000000000000000001"});
    assert_eq!(fill(unknown).await.fields(), ["account", "queue"]);
}

#[tokio::test]
async fn credentials_are_tried_before_there_is_an_account_and_go_to_no_other_address() {
    let (admin, proxy) = counted().await;
    let mut body = admin.account_body("ABC12").await;
    body["provider"] =
        json!({"type": "KALEYRA", "base_url": "https://api.eu.kaleyra.io", "waba_id": "1", "account_sid": "HX1", "api_key": "canary-k3y"});
    let account = admin.made("accounts", body).await;
    let check = async |kind: &str, body: Value| {
        proxy.calls();
        let answer = call("admin", "POST", format!("/providers/{kind}/check")).json(&body).to(&admin.router).await;
        assert!(proxy.calls().iter().all(|call| READS.contains(&call.as_str())), "a check writes");
        assert!(!answer.body.to_string().contains("canary"), "{}", answer.body);
        answer
    };
    // The stored credentials stay where they were meant to go.
    for elsewhere in ["https://elsewhere.example.com", "https://api.in.kaleyra.io"] {
        let lent = json!({"provider": {"credentials_from": account["id"], "base_url": elsewhere}});
        assert_eq!(check("KALEYRA", lent).await.fields(), ["provider.base_url"]);
    }
    let lent = json!({"provider": {"credentials_from": account["id"]}});
    assert_eq!(check("TWILIO", lent).await.fields(), ["provider.type"]);
    // Nor do given ones go to an address that is not public.
    let given = json!({"type": "KALEYRA", "base_url": "https://10.0.0.1", "waba_id": "1", "account_sid": "HX1", "api_key": "canary-other"});
    assert_eq!(check("KALEYRA", json!({"provider": given, "phone": "x"})).await.fields(), ["phone", "provider.base_url"]);
    assert_eq!(
        check("KALEYRA", json!({"provider": {"api_key": 5}, "colour": 1})).await.fields(),
        ["colour", "provider.base_url", "provider.waba_id", "provider.account_sid", "provider.api_key",]
    );
    assert_eq!(check("TWILIO", json!({})).await.fields(), ["provider"]);
    check("PIGEON", json!({"provider": {}})).await.problem(404, "not-found");
    call("supervisor", "POST", "/providers/TWILIO/check").json(&json!({})).to(&admin.router).await.problem(403, "forbidden");
}
