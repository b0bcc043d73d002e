//! Partial changes: merge patches, and adding or removing single agents and lists.

use super::*;
use crate::fault::{FaultProxy, When};

#[tokio::test]
async fn a_patch_changes_the_fields_it_names_and_no_others() {
    let admin = Admin::start().await;
    let anna = admin.agent("Anna").await;
    for (kind, body, patch, result) in [
        ("lists", json!({"name": "Customers"}), json!({"name": "Prospects"}), json!({"name": "Prospects"})),
        ("pauses", json!({"name": "Lunch"}), json!({"name": "Break"}), json!({"name": "Break"})),
        ("dispositions", json!({"name": "Sold"}), json!({"name": "Sold/Online"}), json!({"name": "Sold/Online"})),
        ("tags", json!({"tag": "vip"}), json!({"tag": "gold"}), json!({"tag": "gold"})),
        (
            "canned-answers",
            json!({"title": "Hours", "text": "9 to 18"}),
            json!({"text": "9 to 17"}),
            json!({"title": "Hours", "text": "9 to 17"}),
        ),
        (
            "intervals",
            json!({"name": "Office", "time_zone": "UTC", "ranges": [{"from": "09:00"}]}),
            json!({"ranges": null, "time_zone": "Europe/Rome"}),
            json!({"name": "Office", "time_zone": "Europe/Rome", "ranges": []}),
        ),
        (
            "queues",
            json!({"name": "Support", "strategy": "rrmemory", "weight": 3, "pause_after_missed": 4, "members": [anna["id"]]}),
            json!({"pause_after_missed": null, "weight": null, "agent_timeout": 20}),
            json!({"name": "Support", "strategy": "rrmemory", "weight": 0, "agent_timeout": 20, "members": [anna["id"]]}),
        ),
        (
            "agents",
            json!({"name": "Ben", "subject": "ben", "capacity": 3}),
            json!({"name": "Bo"}),
            json!({"name": "Bo", "subject": "ben", "capacity": 3}),
        ),
        (
            "ai-agents",
            ai_agent("Ada"),
            json!({"temperature": 0.5, "language": "it", "escalation": null}),
            json!({"name": "Ada", "temperature": 0.5, "language": "it", "escalation": {}}),
        ),
        ("contacts", json!({"phone": "+393331234567", "name": "Zoë"}), json!({"name": null}), json!({"phones": ["+393331234567"]})),
    ] {
        let made = admin.made(kind, body).await;
        let path = place(kind, &made);
        let patched = admin.patch(&path, 1, &patch).await;
        assert_eq!(patched.etag, "\"2\"", "{kind}: {}", patched.body);
        let patched = patched.is(200);
        for (field, value) in result.as_object().unwrap() {
            assert_eq!(&patched[field], value, "{kind}");
        }
        assert!(patched.get("pause_after_missed").is_none() && (kind != "contacts" || patched.get("name").is_none()));
        assert_eq!(admin.get(&path).await.is(200), patched, "{kind}");
        admin.patch(&path, 1, &patch).await.problem(412, "changed-meanwhile");
        // A patch that changes nothing is not written.
        for nothing in [patch, json!({}), json!({"version": 2, "id": made["id"]})] {
            assert_eq!(admin.patch(&path, 2, &nothing).await.etag, "\"2\"", "{kind} {nothing}");
        }
        assert_eq!(admin.patch(&path, 2, &json!({"colour": "red", "id": "x"})).await.fields(), ["colour", "id"], "{kind}");
        assert_eq!(admin.patch(&path, 2, &json!(["name"])).await.fields(), [""], "{kind}");
    }
}

#[tokio::test]
async fn a_patch_of_an_account_keeps_its_checks_its_secrets_and_its_wakes() {
    let admin = Admin::start().await;
    let mut body = admin.account_body("ABC12").await;
    body["provider"] = json!({"type": "KALEYRA", "base_url": "https://api.eu.kaleyra.io", "waba_id": "1", "account_sid": "HX1",
        "api_key": "first-t0ken", "callback_user": "hook", "callback_password": "hook-passw0rd"});
    body["description"] = json!("two lines");
    let account = admin.made("accounts", body.clone()).await;
    let path = place("accounts", &account);
    let change = json!({"description": null, "settings": {"inactivity_timeout": 30}});
    let patched = admin.patch(&path, 1, &change).await.is(200);
    let mut expected = account.clone();
    expected.as_object_mut().unwrap().remove("description");
    expected["settings"]["inactivity_timeout"] = json!(30);
    expected["version"] = json!(2);
    assert_eq!(patched, expected);
    assert!(admin.woken().await.is_empty());
    let first = json!({"api_key": "first-t0ken", "callback_password": "hook-passw0rd"});
    assert_eq!(admin.secret(&account).await.current, first);
    // The checks are the same as for a PUT.
    admin.patch(&path, 2, &json!({"agents": []})).await.problem(409, "no-agent");
    assert_eq!(admin.patch(&path, 2, &json!({"list": "lst_00000000000000000000000001", "key": null})).await.fields(), ["key"]);
    assert_eq!(admin.patch(&path, 2, &json!({"list": "lst_00000000000000000000000001"})).await.fields(), ["list"]);
    assert_eq!(admin.patch(&path, 2, &json!({"receive_url": "https://elsewhere.example"})).await.fields(), ["receive_url"]);
    admin.patch(&path, 2, &json!({"plan": []})).await.is(200);
    assert!(admin.woken().await.contains(&Target::Account(id(&account))));
    // A secret is set. An optional secret is removed. A required one can't be removed.
    assert_eq!(admin.patch(&path, 3, &json!({"provider": {"api_key": null}})).await.fields(), ["provider.api_key"]);
    let answered = admin.patch(&path, 3, &json!({"provider": {"api_key": "second-t0ken"}})).await;
    assert_eq!(answered.etag, "\"4\"");
    assert!(!answered.is(200).to_string().contains("t0ken"));
    admin.patch(&path, 4, &json!({"provider": {"callback_password": null}})).await.is(200);
    let secret = admin.secret(&account).await;
    assert_eq!((secret.current, secret.previous.is_some()), (json!({"api_key": "second-t0ken"}), true));
}

#[tokio::test]
async fn a_secret_is_tagged_for_the_receive_function_of_its_account_and_for_both_while_that_changes() {
    let mut admin = Admin::start().await;
    let proxy = FaultProxy::start(&admin.endpoint).await;
    admin.router = router(app(&environment(&proxy.url, &admin.account, &admin.wakes)));
    let mut body = admin.account_body("TAGGD").await;
    let account = admin.made("accounts", body.clone()).await;
    let path = place("accounts", &account);
    let secrets = Aws::new(&environment(&admin.endpoint, &admin.account, "")).unwrap().secretsmanager();
    let name = format!("test/accounts/{}", account["id"].as_str().unwrap());
    let tags = async || -> Vec<String> {
        let secret = secrets.describe_secret().secret_id(&name).send().await.unwrap();
        secret.tags().iter().map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap())).collect()
    };
    assert_eq!(tags().await, ["receive=twilio"]);
    // The version before made it without a tag.
    secrets.untag_resource().secret_id(&name).tag_keys("receive").send().await.unwrap();
    admin.patch(&path, 1, &json!({"name": "Sales Italy"})).await.is(200);
    assert_eq!(tags().await, Vec::<String>::new(), "a change that writes no secret calls nobody");
    admin.patch(&path, 2, &json!({"provider": {"auth_token": "second-t0ken"}})).await.is(200);
    assert_eq!(tags().await, ["receive=twilio"]);
    // Another type, in a request that breaks off before the account is written.
    body["provider"] = json!({"type": "KALEYRA", "base_url": "https://api.eu.kaleyra.io", "waba_id": "1", "account_sid": "HX1",
        "api_key": "k3y"});
    proxy.fail("DynamoDB_20120810.TransactWriteItems", When::Before);
    admin.put(&path, 3, &body).await.problem(503, "unavailable");
    assert_eq!(tags().await, ["receive=twilio/kaleyra"], "neither function is locked out");
    proxy.heal();
    admin.put(&path, 3, &body).await.is(200);
    assert_eq!(tags().await, ["receive=kaleyra"]);
    // The account is written, and the tag is not narrowed: the same request completes it.
    body["provider"] = json!({"type": "TWILIO", "account_sid": format!("AC{}", "a".repeat(32)), "auth_token": "third-t0ken"});
    proxy.fail_some("secretsmanager.TagResource", When::Before, 1, 1);
    admin.put(&path, 4, &body).await.problem(503, "unavailable");
    assert_eq!(tags().await, ["receive=kaleyra/twilio"]);
    admin.put(&path, 5, &body).await.is(200);
    assert_eq!(tags().await, ["receive=twilio"]);
}

#[tokio::test]
async fn agents_are_added_to_an_account_and_removed_one_by_one() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let (path, first) = (place("accounts", &account), account["agents"][0].as_str().unwrap().to_owned());
    let second = admin.agent("second").await;
    let id = second["id"].as_str().unwrap();
    let member = format!("{path}/agents/{id}");
    let put = async || call("admin", "PUT", &member).to(&admin.router).await;
    let added = put().await;
    assert_eq!(added.etag, "\"2\"");
    assert_eq!(added.is(200)["agents"], json!([first, id]));
    assert!(admin.woken().await.contains(&Target::Agent(id.parse().unwrap())));
    // Adding an agent twice changes nothing more.
    assert_eq!(put().await.etag, "\"2\"");
    assert!(admin.woken().await.is_empty());
    call("admin", "PUT", &member).if_match("\"1\"").to(&admin.router).await.problem(412, "changed-meanwhile");
    call("admin", "PUT", format!("{path}/agents/agt_00000000000000000000000001")).to(&admin.router).await.problem(404, "not-found");
    call("admin", "PUT", format!("{path}/agents/x")).to(&admin.router).await.problem(404, "not-found");
    let delete = async |agent: &str| call("admin", "DELETE", format!("{path}/agents/{agent}")).to(&admin.router).await;
    assert_eq!(delete(&first).await.is(200)["agents"], json!([id]));
    assert_eq!(delete(&first).await.etag, "\"3\"");
    // The last agent of an active account stays.
    assert_eq!(delete(id).await.problem(409, "no-agent")["accounts"], json!(["ABC12"]));
    admin.patch(&path, 3, &json!({"active": false})).await.is(200);
    delete(id).await.is(200);
}

#[tokio::test]
async fn concurrent_additions_and_removals_of_members_all_count() {
    let admin = Admin::start().await;
    let queue = admin.made("queues", json!({"name": "Support", "strategy": "beepall"})).await;
    let path = place("queues", &queue);
    let agents = futures_util::future::join_all((0..6).map(async |n: u8| admin.agent(&n.to_string()).await)).await;
    let member = |agent: &Value| format!("{path}/members/{}", agent["id"].as_str().unwrap());
    let all = async |method: &'static str| {
        let calls = agents.iter().map(async |agent| call("admin", method, member(agent)).to(&admin.router).await.is(200));
        futures_util::future::join_all(calls).await;
        admin.get(&path).await.is(200)
    };
    let full = all("PUT").await;
    let mut members: Vec<&str> = full["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap()).collect();
    let mut ids: Vec<&str> = agents.iter().map(|agent| agent["id"].as_str().unwrap()).collect();
    members.sort_unstable();
    ids.sort_unstable();
    assert_eq!((members, &full["version"]), (ids, &json!(7)));
    assert!(admin.woken().await.len() >= 12);
    let empty = all("DELETE").await;
    assert_eq!((&empty["members"], &empty["version"]), (&json!([]), &json!(13)));
    call("supervisor", "PUT", member(&agents[0])).to(&admin.router).await.problem(403, "forbidden");
}

#[tokio::test]
async fn lists_are_added_to_a_whitelist_and_removed_one_by_one() {
    let admin = Admin::start().await;
    let account = admin.made("accounts", admin.account_body("ABC12").await).await;
    let path = place("accounts", &account);
    let lists = [admin.made("lists", json!({"name": "A"})).await, admin.made("lists", json!({"name": "B"})).await];
    let listed = |n: usize| format!("{path}/whitelist/{}", lists[n]["id"].as_str().unwrap());
    let write = async |method: &'static str, n: usize| call("admin", method, listed(n)).to(&admin.router).await;
    // Without a whitelist, a removal changes nothing and an addition is refused.
    assert_eq!(write("DELETE", 0).await.is(200), account);
    assert_eq!(write("PUT", 0).await.fields(), ["settings.whitelist.reply"]);
    let whitelist = json!({"settings": {"whitelist": {"lists": [lists[0]["id"]], "reply": "Sorry."}}});
    admin.patch(&path, 1, &whitelist).await.is(200);
    let both = write("PUT", 1).await.is(200);
    assert_eq!(both["settings"]["whitelist"]["lists"], json!([lists[0]["id"], lists[1]["id"]]));
    assert_eq!(write("PUT", 1).await.etag, "\"3\"");
    assert_eq!(write("DELETE", 0).await.is(200)["settings"]["whitelist"]["lists"], json!([lists[1]["id"]]));
    assert_eq!(write("DELETE", 1).await.fields(), ["settings.whitelist.lists"]);
    call("admin", "PUT", format!("{path}/whitelist/lst_00000000000000000000000001")).to(&admin.router).await.problem(404, "not-found");
}
