//! The audit trail: each change has one entry, and no entry has a secret.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::fault::{FaultProxy, When};

/// Operations that change nothing in this deployment's configuration: they ask the provider, fetch its messages, or
/// only tell what would happen.
const ASK: [&str; 9] = [
    "POST /accounts/{id}/check",
    "POST /accounts/{id}/plan/dry-run",
    "POST /accounts/{id}/reconcile",
    "POST /accounts/{id}/webhook",
    "POST /providers/{type}/check",
    "POST /providers/{type}/numbers",
    "POST /templates/dry-run",
    // An upload is nobody's until an answer gets it.
    "POST /canned-answers/{id}/attachment",
    "POST /triggers/{id}/test",
];

/// A part of each secret and each customer's name in these tests.
const CANARY: &str = "canary";

/// The operations of the OpenAPI document that change data.
fn operations() -> Vec<String> {
    let mut operations = Vec::new();
    for (path, item) in &admin_api::openapi().paths.paths {
        for method in serde_json::to_value(item).unwrap().as_object().unwrap().keys().filter(|method| *method != "get") {
            operations.push(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    operations.retain(|operation| !ASK.contains(&operation.as_str()));
    operations
}

/// A body of a kind. `n` distinguishes fields that must differ.
async fn body(admin: &Admin, kind: &str, n: usize) -> Value {
    match kind {
        "accounts" => {
            let mut body = admin.account_body(&format!("K{n:04}")).await;
            body["provider"]["auth_token"] = json!("canary-first");
            body
        }
        "agents" => json!({"name": "Anna", "subject": format!("anna-{n}")}),
        "queues" => json!({"name": "Support", "strategy": "beepall"}),
        "intervals" => json!({"name": "Office", "time_zone": "UTC", "ranges": [{"from": "09:00"}]}),
        "contacts" => json!({"phone": format!("+393339{n:06}"), "user_id": format!("IT.canary{n}"), "name": "Canary"}),
        "canned-answers" => json!({"title": "Hours", "text": "9 to 18"}),
        "tags" => json!({"tag": format!("tag {n}")}),
        "ai-agents" => ai_agent(&format!("name {n}")),
        "triggers" => json!({"name": "CRM", "events": ["offer.accepted"], "url": "https://crm.example.com/"}),
        _ => json!({"name": format!("name {n}")}),
    }
}

/// A change of a kind.
fn change(kind: &str, n: usize) -> Value {
    match kind {
        "accounts" => json!({"name": "Changed", "provider": {"auth_token": format!("canary-{n}")}}),
        "canned-answers" => json!({"text": "9 to 17"}),
        "contacts" => json!({"name": "Canary Rossi"}),
        "tags" => json!({"tag": format!("changed {n}")}),
        _ => json!({"name": format!("changed {n}")}),
    }
}

/// Creates everything that an operation needs, and returns its call.
async fn ready(admin: &Admin, operation: &str, n: usize) -> Call<'static> {
    let (method, path) = operation.split_once(' ').unwrap();
    let method: &'static str = method.to_owned().leak();
    let kind = path.split('/').nth(1).unwrap();
    if kind == "settings" {
        return call("owner", method, path).if_match("\"0\"").json(&json!({"connection_grace": 60}));
    }
    if kind == "prices" {
        let price = json!({"category": "utility", "country": "+39", "amount": "0.03"});
        return call("owner", method, path).if_match("\"0\"").json(&json!({"currency": "EUR", "prices": [price]}));
    }
    let body = body(admin, kind, n).await;
    if path == format!("/{kind}") {
        return call("owner", method, path).json(&body);
    }
    let made = admin.made(kind, body).await;
    let at = place(kind, &made);
    match (method, path.strip_prefix(&format!("/{kind}")).unwrap()) {
        ("PUT", "/{id}") => {
            let mut whole = made;
            for (name, value) in change(kind, n).as_object().unwrap() {
                match value.as_object() {
                    Some(inside) => whole[name].as_object_mut().unwrap().extend(inside.clone()),
                    None => whole[name] = value.clone(),
                }
            }
            call("owner", method, at).if_match("\"1\"").json(&whole)
        }
        ("PATCH", "/{id}") => call("owner", method, at).if_match("\"1\"").json(&change(kind, n)),
        ("DELETE", "/{id}") if kind == "accounts" => {
            call("owner", method, format!("{at}?confirm={}", made["key"].as_str().unwrap())).if_match("\"1\"")
        }
        ("DELETE", "/{id}") => call("owner", method, at).if_match("\"1\""),
        (_, "/{id}/agents/{agent}" | "/{id}/members/{agent}") => {
            let agent = admin.agent(&format!("second {n}")).await;
            let list = path.split('/').nth(3).unwrap();
            let at = format!("{at}/{list}/{}", agent["id"].as_str().unwrap());
            if method == "DELETE" {
                call("owner", "PUT", &*at).to(&admin.router).await.is(200);
            }
            call("owner", method, at)
        }
        (_, "/{id}/whitelist/{list}") => {
            let lists = [admin.made("lists", json!({"name": "A"})).await, admin.made("lists", json!({"name": "B"})).await];
            let (first, both) = (json!([lists[0]["id"]]), json!([lists[0]["id"], lists[1]["id"]]));
            let before = if method == "DELETE" { both } else { first };
            admin.patch(&at, 1, &json!({"settings": {"whitelist": {"lists": before, "reply": "Sorry."}}})).await.is(200);
            call("owner", method, format!("{at}/whitelist/{}", lists[1]["id"].as_str().unwrap()))
        }
        (_, "/{id}/dispositions") => {
            call("owner", method, format!("{at}/dispositions")).if_match("\"1\"").json(&json!({"dispositions": ["Sold", "Lost"]}))
        }
        (_, "/{id}/links") => {
            let other = admin.made(kind, json!({"phone": format!("+393338{n:06}")})).await;
            call("owner", method, format!("{at}/links")).json(&json!({"contact": other["id"]}))
        }
        (_, "/{id}/unlink") => call("owner", method, format!("{at}/unlink")).json(&json!({"user_id": made["user_ids"][0]})),
        (_, "/{id}/secret/rotate") => call("owner", method, format!("{at}/secret/rotate")).if_match("\"1\"").json(&json!({})),
        (_, "/{id}/secrets/{secret}/rotate") => {
            call("owner", method, format!("{at}/secrets/webhook_secret/rotate")).if_match("\"1\"").json(&json!({}))
        }
        (_, "/{id}/secrets/{secret}/previous") => {
            let rotate = call("owner", "POST", format!("{at}/secrets/webhook_secret/rotate"));
            rotate.if_match("\"1\"").json(&json!({})).to(&admin.router).await.is(200);
            call("owner", method, format!("{at}/secrets/webhook_secret/previous")).if_match("\"2\"")
        }
        (_, "/{id}/translation/key" | "/{id}/video/key" | "/{id}/key") => {
            let key_of = path.strip_prefix(&format!("/{kind}/{{id}}")).unwrap();
            let at = format!("{at}{key_of}");
            let put = |version: u8, key: &str| {
                let key = json!({"key": key});
                call("owner", "PUT", &*at).if_match(&format!("\"{version}\"")).json(&key)
            };
            if method == "PUT" {
                return put(1, "canary-key");
            }
            put(1, "canary-key").to(&admin.router).await.is(200);
            call("owner", method, &*at).if_match("\"2\"")
        }
        (_, "/{id}/attachment") => {
            let upload = admin.uploaded(&at, b"%PDF-1.7 prices").await;
            let put = |version: u8| {
                let file = json!({"upload": upload, "name": "prices.pdf"});
                call("owner", "PUT", format!("{at}/attachment")).if_match(&format!("\"{version}\"")).json(&file)
            };
            if method == "PUT" {
                return put(1);
            }
            put(1).to(&admin.router).await.is(200);
            call("owner", method, format!("{at}/attachment")).if_match("\"2\"")
        }
        _ => panic!("{operation} has no case: each change writes an entry, and this says which"),
    }
}

impl Admin {
    /// The entries that a query finds, over all its pages.
    async fn trail(&self, query: &str) -> Vec<Value> {
        let (mut entries, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/audit?limit=100{query}{after}")).await.is(200);
            entries.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return entries,
            }
        }
    }

    /// All items of the audit trail, as they are stored.
    async fn stored_trail(&self) -> Vec<String> {
        let dynamodb = Aws::new(&environment(&self.endpoint, &self.account, "")).unwrap().dynamodb();
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = dynamodb.scan().table_name("config").set_exclusive_start_key(from).send().await.unwrap();
            let of_trail = |pk: &AttributeValue| pk.as_s().is_ok_and(|pk| pk.starts_with("audit"));
            items.extend(page.items.unwrap_or_default().into_iter().filter(|item| of_trail(&item["pk"])));
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        assert!(items.iter().all(|item| item["expires_at"].as_n().is_ok()));
        items.iter().map(|item| format!("{item:?}")).collect()
    }
}

#[tokio::test]
async fn each_change_by_each_route_has_one_entry_and_a_call_that_changes_nothing_has_none() {
    let admin = Admin::start().await;
    let operations = operations();
    assert!(operations.len() >= 40, "{operations:?}");
    for (n, operation) in operations.iter().enumerate() {
        // Only what this operation writes is read: the whole trail, each time, would take most of a minute.
        let since = format!("&from={}", Timestamp::now());
        let change = ready(&admin, operation, n).await;
        let before = admin.trail(&since).await.len();
        let answer = change.clone().to(&admin.router).await;
        assert!(answer.status.is_success(), "{operation}: {} {}", answer.status, answer.body);
        let entries = admin.trail(&since).await;
        assert_eq!(entries.len(), before + 1, "{operation}");
        let entry = &entries[0];
        let whole = operation.ends_with("{id}");
        let action = match operation.split(' ').next().unwrap() {
            "POST" if ["link", "links", "rotate"].iter().any(|end| operation.ends_with(end)) => "changed",
            "POST" => "created",
            "DELETE" if whole => "deleted",
            _ => "changed",
        };
        assert_eq!((&entry["action"], &entry["who"], &entry["role"]), (&json!(action), &json!("caller"), &json!("owner")), "{operation}");
        let versions = (entry["version_before"].as_u64(), entry["version"].as_u64());
        match action {
            "created" => assert_eq!(versions, (None, Some(1))),
            "deleted" => assert_eq!(versions, (Some(1), None)),
            _ => assert_eq!(versions.0.unwrap() + 1, versions.1.unwrap()),
        }
        assert!(!entry["changes"].as_array().unwrap().is_empty(), "{operation}");
        if !answer.body["id"].is_null() {
            assert_eq!((&entry["of"], &entry["version"]), (&answer.body["id"], &answer.body["version"]), "{operation}");
        }
        // The repeated call is refused or changes nothing. Only a kind with names that need not be unique gets a
        // second resource.
        let again = change.clone().to(&admin.router).await;
        let expected = if again.status == 201 { before + 2 } else { before + 1 };
        assert_eq!(admin.trail(&since).await.len(), expected, "{operation} {}", again.body);
        // The document that was read is sent back.
        if operation.starts_with("PUT") && whole {
            let path = change.path.clone();
            let read = admin.get(&path).await.is(200);
            admin.put(&path, read["version"].as_u64().unwrap(), &read).await.is(200);
            assert_eq!(admin.trail(&since).await.len(), expected, "{operation}");
        }
    }
    // Each entry has its pointer. No entry has a secret or data about a customer.
    let stored = admin.stored_trail().await;
    assert_eq!(stored.len(), 2 * admin.trail("").await.len());
    for item in &stored {
        assert!(!item.to_lowercase().contains(CANARY), "{item}");
        assert!(!item.contains("+393339"), "{item}");
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_has_one_entry() {
    let mut admin = Admin::start().await;
    let whole = admin.router.clone();
    let proxy = FaultProxy::start(&admin.endpoint).await;
    let broken = router(app(&environment(&proxy.url, &admin.account, &admin.wakes)));
    // Some operations write another item first.
    for (n, (operation, after)) in operations().iter().flat_map(|operation| [(operation.clone(), 0), (operation.clone(), 1)]).enumerate() {
        admin.router = whole.clone();
        let change = ready(&admin, &operation, n).await;
        admin.router = broken.clone();
        proxy.fail_some("DynamoDB_20120810.TransactWriteItems", When::After, after, 1);
        change.clone().to(&admin.router).await;
        proxy.heal();
        change.to(&admin.router).await;
    }
    admin.router = whole;
    let mut versions = BTreeMap::<(String, Option<u64>), usize>::new();
    for entry in admin.trail("").await {
        // An entry for a secret alone has the version that stayed.
        if entry["version"] != entry["version_before"] {
            *versions.entry((entry["of"].as_str().unwrap().to_owned(), entry["version"].as_u64())).or_default() += 1;
        }
    }
    assert!(versions.values().all(|count| *count == 1), "{versions:?}");
    // No entry is missing: each existing resource has an entry for its newest version, and each deleted one has an
    // entry for its deletion.
    let ids: BTreeSet<&String> = versions.keys().map(|(id, _)| id).collect();
    let mut there = 0;
    for kind in [
        "accounts",
        "agents",
        "queues",
        "lists",
        "intervals",
        "pauses",
        "dispositions",
        "tags",
        "canned-answers",
        "contact-fields",
        "ai-agents",
        "triggers",
    ] {
        let mut after = String::new();
        loop {
            let page = admin.get(&format!("/{kind}?limit=100{after}")).await.is(200);
            for thing in page["items"].as_array().unwrap() {
                let key = (thing["id"].as_str().unwrap().to_owned(), thing["version"].as_u64());
                assert!(versions.contains_key(&key), "{thing}");
                assert!(!versions.contains_key(&(key.0, None)), "{thing}");
                there += 1;
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
    }
    let deleted = |id: &str| versions.contains_key(&(id.to_owned(), None));
    let contacts = ids.iter().filter(|id| id.starts_with("con_") && !deleted(id)).count();
    let gone = versions.keys().filter(|(_, version)| version.is_none()).count();
    let settings = ids.iter().filter(|id| ["settings", "prices"].contains(&id.as_str())).count();
    assert_eq!(there + contacts + gone + settings, ids.len());
}

#[tokio::test]
async fn no_entry_has_a_secret_a_token_or_a_receive_url() {
    let admin = Admin::start().await;
    let providers = [
        json!({"type": "TWILIO", "account_sid": format!("AC{}", "a".repeat(32)), "auth_token": "canary-1"}),
        json!({"type": "META", "phone_number_id": "106540352242922", "app_id": "102290129340398", "auth_token": "canary-2", "app_secret": "canary-3"}),
        json!({"type": "KALEYRA", "base_url": "https://api.eu.kaleyra.io", "waba_id": "1", "account_sid": "HX1", "api_key": "canary-4",
            "callback_user": "hook", "callback_password": "canary-5"}),
    ];
    let mut tokens = BTreeSet::from([CANARY.to_owned()]);
    let mut collect = |account: &Value| {
        let url = account["receive_url"].as_str().unwrap();
        let token = url.split('#').next().unwrap().rsplit('/').next().unwrap();
        let shown = [
            Some(token),
            account["proxy_token"].as_str(),
            account["webhook_secret"].as_str(),
            account["provider"]["verify_token"].as_str(),
        ];
        tokens.extend(shown.into_iter().flatten().map(str::to_owned));
    };
    for (n, provider) in providers.iter().enumerate() {
        let mut body = admin.account_body(&format!("SEC0{n}")).await;
        body["provider"] = provider.clone();
        let account = admin.made("accounts", body.clone()).await;
        collect(&account);
        let path = place("accounts", &account);
        let secrets: Vec<&String> = provider
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.as_str().unwrap().starts_with(CANARY))
            .map(|(name, _)| name)
            .collect();
        let made = &admin.trail(&format!("&id={}", account["id"].as_str().unwrap())).await[0];
        let told = |entry: &Value, path: &str| entry["changes"].as_array().unwrap().iter().find(|change| change["path"] == path).cloned();
        for hidden in ["receive_url", "proxy_token", "webhook_secret"] {
            assert_eq!(told(made, hidden).unwrap(), json!({"path": hidden, "changed": true}));
        }
        for secret in &secrets {
            let path = format!("provider.{secret}");
            assert_eq!(told(made, &path).unwrap(), json!({"path": path, "changed": true}));
        }
        // The same secrets again change nothing. Different ones do.
        admin.put(&path, 1, &body).await.is(200);
        let again = admin.trail(&format!("&id={}", account["id"].as_str().unwrap())).await;
        assert_eq!(again.len(), 1, "{again:?}");
        let another = json!({"provider": {secrets[0].as_str(): "canary-other"}});
        admin.patch(&path, 2, &another).await.is(200);
        let entry = &admin.trail(&format!("&id={}", account["id"].as_str().unwrap())).await[0];
        assert_eq!(entry["changes"], json!([{"path": format!("provider.{}", secrets[0]), "changed": true}]));
        // Another type gets another Receive URL.
        let mut other = body.clone();
        other["provider"] = providers[(n + 1) % providers.len()].clone();
        collect(&admin.put(&path, 3, &other).await.is(200));
        admin.delete(&format!("{path}?confirm=SEC0{n}"), 4).await.is(204);
    }
    let stored = admin.stored_trail().await;
    assert!(stored.len() >= 2 * 4 * providers.len() && tokens.len() >= 9, "{tokens:?}");
    for item in &stored {
        assert!(tokens.iter().all(|token| !item.contains(token)), "{item}");
    }
}

#[tokio::test]
async fn the_trail_is_filtered_by_caller_kind_id_and_time_and_sorted_newest_first() {
    let admin = Admin::start().await;
    let list = admin.made("lists", json!({"name": "Customers"})).await;
    admin.patch(&place("lists", &list), 1, &json!({"name": "Prospects"})).await.is(200);
    // From now on the caller has an agent record.
    let caller = admin.made("agents", json!({"name": "Anna", "subject": "caller"})).await;
    admin.engine.directory.forget();
    let queue = admin.made("queues", json!({"name": "Support", "strategy": "beepall"})).await;
    admin.delete(&place("queues", &queue), 1).await.is(204);
    let all = admin.trail("").await;
    let told: Vec<_> = all.iter().map(|entry| (entry["kind"].as_str().unwrap(), entry["action"].as_str().unwrap())).collect();
    assert_eq!(told, [("queue", "deleted"), ("queue", "created"), ("agent", "created"), ("list", "changed"), ("list", "created")]);
    assert_eq!(all[3]["changes"], json!([{"path": "name", "before": "Customers", "after": "Prospects"}]));
    assert_eq!(admin.trail("&kind=list").await, all[3..]);
    assert_eq!(admin.trail(&format!("&id={}", queue["id"].as_str().unwrap())).await, all[..2]);
    assert_eq!(admin.trail(&format!("&who={}", caller["id"].as_str().unwrap())).await, all[..2]);
    assert_eq!(admin.trail("&who=caller&kind=agent").await, all[2..3]);
    assert_eq!(admin.trail(&format!("&from={}", all[2]["at"].as_str().unwrap())).await, all[..3]);
    assert_eq!(admin.trail(&format!("&to={}", all[2]["at"].as_str().unwrap())).await, all[3..]);
    assert_eq!(admin.trail(&format!("&id={}&to={}", list["id"].as_str().unwrap(), all[3]["at"].as_str().unwrap())).await, all[4..]);
    // Page by page.
    for query in ["", "&kind=list", &format!("&id={}", queue["id"].as_str().unwrap())] {
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("/audit?limit=1{query}{after}")).await.is(200);
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(paged, admin.trail(query).await, "{query}");
    }
    let wrong = "/audit?kind=pigeon&id=x&from=yesterday&to=x&after=x&limit=0";
    assert_eq!(admin.get(wrong).await.fields(), ["from", "to", "kind", "id", "after", "limit"]);
    call("supervisor", "GET", "/audit").to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_secret_that_a_refused_change_stored_has_an_entry_too() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let path = place("accounts", &account);
    let mut both = 0;
    for round in 0..ROUNDS {
        let version = admin.get(&path).await.is(200)["version"].as_u64().unwrap();
        let before = admin.trail("").await.len();
        let secrets = [format!("canary-a{round}"), format!("canary-b{round}")];
        let write = async |secret: &String| admin.patch(&path, version, &json!({"provider": {"auth_token": secret}})).await;
        let (one, other) = tokio::join!(write(&secrets[0]), write(&secrets[1]));
        let refused = usize::from(one.status == 200);
        assert_eq!([one.status.as_u16(), other.status.as_u16()][refused], 412);
        let stored = admin.secret(&account).await;
        let is_stored = [Some(&stored.current), stored.previous.as_ref()].iter().flatten().any(|at| at["auth_token"] == *secrets[refused]);
        both += usize::from(is_stored);
        let entries = admin.trail("").await;
        assert_eq!(entries.len(), before + 1 + usize::from(is_stored));
        let alone = entries[..entries.len() - before].iter().filter(|entry| entry["version"] == entry["version_before"]).count();
        assert_eq!(alone, usize::from(is_stored));
    }
    assert!(both > 0, "no round was lost after the secret was stored");
}
