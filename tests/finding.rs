//! Lists of interactions: the filters, who sees what, the pages, and what a page costs.

use domain::search::Document;
use engine::ports::{Lists, Store};
use serde_json::{Value, json};
use store::Documents;

use crate::{Caller, Desk};

/// The ids on all pages of a list, in order, and how many pages there were.
async fn all(caller: &Caller, path: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let (status, page) = caller.get(&format!("{path}{after}")).await;
        assert_eq!(status, 200, "{page}");
        ids.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn searches_are_kept_by_name_and_a_shared_one_is_changed_by_its_owner_and_by_admins() {
    let desk = Desk::open("SAVED", 5).await;
    let (sue, bob, boss) = (desk.over("sue", "supervisor"), desk.over("bob", "supervisor"), desk.over("boss", "admin"));
    let body = |value: &str, shared: bool| {
        let condition = json!({"field": "text", "operator": "contains", "value": value});
        json!({"search": {"match": "all", "conditions": [condition]}, "shared": shared})
    };
    let put = async |caller: &Caller, path: &str, body: serde_json::Value| caller.call("PUT", path, None, Some(body)).await;
    let names = async |caller: &Caller| -> Vec<String> {
        let (_, page) = caller.get("/searches").await;
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let (status, saved) = put(&sue, "/searches/Perch%C3%A9%20no%3F", body("x", false)).await;
    assert_eq!((status, &saved["name"], &saved["own"]), (200, &json!("Perché no?"), &json!(true)), "{saved}");
    assert_eq!(put(&sue, "/searches/Shared", body("y", true)).await.0, 200);
    // The same name again, without its accent, is the same search.
    assert_eq!(put(&sue, "/searches/PERCHE%20no%3F", body("z", false)).await.0, 200);
    assert_eq!(names(&sue).await, ["PERCHE no?", "Shared"]);
    assert_eq!(names(&bob).await, ["Shared"]);
    assert_eq!(put(&bob, "/searches/Shared", body("mine", false)).await.0, 200, "another person's name is free");
    assert_eq!(names(&bob).await, ["Shared", "Shared"]);
    let (_, first) = bob.get("/searches?limit=1").await;
    let (_, second) = bob.get(&format!("/searches?limit=1&after={}", first["next"].as_str().unwrap())).await;
    assert_ne!(first["items"][0]["owner"], second["items"][0]["owner"], "{first} {second}");

    let owner = saved["owner"].as_str().unwrap();
    let of_sue = format!("/searches/Shared?owner={owner}");
    assert_eq!(put(&bob, &of_sue, body("no", true)).await.0, 403);
    assert_eq!(bob.call("DELETE", &of_sue, None, None).await.0, 403);
    let (status, changed) = put(&boss, &of_sue, body("better", true)).await;
    assert_eq!((status, &changed["owner"], &changed["own"]), (200, &json!(owner), &json!(false)), "{changed}");
    let (_, mine) = sue.get("/searches").await;
    assert_eq!(
        (&mine["items"][1]["search"], &mine["items"][1]["changed_by"]),
        (&body("better", true)["search"], &changed["changed_by"]),
        "{mine}"
    );
    for path in [format!("/searches/perche%20no%3F?owner={owner}"), format!("/searches/none?owner={owner}")] {
        assert_eq!(put(&boss, &path, body("x", true)).await.0, 404, "{path}: it is not shared");
        assert_eq!(boss.call("DELETE", &path, None, None).await.0, 404, "{path}");
    }
    assert_eq!(boss.call("DELETE", &of_sue, None, None).await.0, 204);
    assert_eq!(sue.call("DELETE", "/searches/perche%20NO%3F", None, None).await.0, 204);
    assert_eq!((names(&sue).await, sue.call("DELETE", "/searches/Shared", None, None).await.0), (vec![], 404));

    for (path, body, field) in [
        ("/searches/x", json!({}), "search"),
        ("/searches/x", json!({"search": {"zone": "Mars"}}), "search.zone"),
        (
            "/searches/x",
            json!({"search": {"conditions": [{"field": "colour", "operator": "equals", "value": "x"}]}}),
            "search.conditions[0].field",
        ),
        ("/searches/a%2Fb", body("x", true), "name"),
        ("/searches/%20", body("x", true), "name"),
    ] {
        let (status, problem) = put(&sue, path, body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{path}: {problem}");
    }
    for number in 0..50 {
        assert_eq!(put(&sue, &format!("/searches/{number}"), body("x", false)).await.0, 200);
    }
    assert_eq!(put(&sue, "/searches/one%20more", body("x", false)).await.1["type"], "/problems/too-many-searches");
    assert_eq!(put(&sue, "/searches/7", body("y", false)).await.0, 200, "one of them is changed");
    assert_eq!(sue.get("/searches?after=x").await.1["errors"][0]["field"], "after");
}

fn id(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_all_of_them_must_hold() {
    let desk = Desk::open("FILTR", 5).await;
    let (anna, sue) = (desk.anna(), desk.over("anybody", "supervisor"));
    let (open, closed, archived) = (desk.ring(1).await, desk.accepted(2).await, desk.accepted(3).await);
    assert_eq!(anna.post(&format!("{closed}/tags"), json!({"add": ["vip", "refund"]})).await.0, 200);
    for path in [&closed, &archived] {
        assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
    }
    assert_eq!(anna.post(&format!("{archived}/archive"), json!({})).await.0, 200);
    let (open, closed, archived) = (id(&open), id(&closed), id(&archived));
    let (queue, agent, account) = (&desk.queue, &desk.agents[0], &desk.account.id);
    for (filter, expected) in [
        (String::new(), vec![&closed, &open]),
        ("status=open".to_owned(), vec![&open]),
        ("status=closed".to_owned(), vec![&closed]),
        ("status=archived".to_owned(), vec![&archived]),
        ("read=false".to_owned(), vec![&open]),
        ("read=true".to_owned(), vec![&closed]),
        (format!("agent={agent}"), vec![&closed]),
        (format!("agent={agent}&status=archived"), vec![&archived]),
        (format!("queue={queue}"), vec![&closed, &open]),
        (format!("account={account}&status=open"), vec![&open]),
        ("tags=vip".to_owned(), vec![&closed]),
        ("tags=vip&tags=refund".to_owned(), vec![&closed]),
        ("tags=vip&tags=gold".to_owned(), vec![]),
        ("tags=vip&status=open".to_owned(), vec![]),
        ("from=2026-01-01&to=9999-12-30".to_owned(), vec![&closed, &open]),
        ("to=2020-01-01&zone=Europe/Rome".to_owned(), vec![]),
        ("from=9999-01-01T00:00:00Z".to_owned(), vec![]),
        ("status=open&to=2020-01-01".to_owned(), vec![]),
    ] {
        assert_eq!(
            all(&sue, &format!("/interactions?{filter}")).await.0,
            expected.iter().map(|id| (*id).clone()).collect::<Vec<_>>(),
            "{filter}"
        );
        let own = all(&anna, &format!("/interactions/all?{filter}")).await.0;
        assert_eq!(own, expected.iter().map(|id| (*id).clone()).collect::<Vec<_>>(), "{filter}");
    }
    let (_, page) = sue.get("/interactions?limit=2").await;
    let [first, second] = [0, 1].map(|at| page["items"][at].clone());
    assert_eq!(
        (&first["status"], &first["tags"], &first["queues"]),
        (&json!("closed"), &json!(["vip", "refund"]), &json!([queue])),
        "{first}"
    );
    assert_eq!((&second["last"]["text"], &second["last"]["direction"]), (&json!("hello"), &json!("in")), "{second}");
    assert!(second["window_until"].is_string() && second["unread"] == true && second["customer_phone"] == "+393500000001");
    // The agent's own list tells the same of what is hers, and after which event it goes on.
    let held = id(&desk.accepted(4).await);
    let last = anna.get("/events").await.1["last"].clone();
    let (own, listed) = (anna.get("/interactions").await.1, sue.get("/interactions?limit=1").await.1);
    let (mine, listed) = (&own["interactions"][0], &listed["items"][0]);
    assert_eq!((own["interactions"].as_array().unwrap().len(), &mine["id"]), (1, &json!(held)), "{own}");
    assert_eq!(own["seq"], last, "{own}");
    for field in ["id", "last", "window_until", "queues", "unread_count"] {
        assert_eq!(mine[field], listed[field], "{field}: {own}");
    }
    assert_eq!((&mine["last"]["text"], &mine["last"]["author"]), (&json!("hello"), &json!({"kind": "customer"})), "{own}");
}

#[tokio::test]
async fn pages_follow_one_another_and_a_parameter_that_is_wrong_is_named() {
    let desk = Desk::open("PAGES", 5).await;
    let sue = desk.over("anybody", "supervisor");
    let mut rung = Vec::new();
    for number in 1..=7 {
        rung.push(id(&desk.ring(number).await));
    }
    rung.reverse();
    for filter in ["limit=3", "limit=3&status=open"] {
        assert_eq!(all(&sue, &format!("/interactions?{filter}")).await, (rung.clone(), 3), "{filter}");
    }
    let next = sue.get("/interactions?limit=3").await.1["next"].as_str().unwrap().to_owned();
    let tampered = next.replacen(&next[..2], "99", 1);
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("status=over".to_owned(), "status"),
        ("read=maybe".to_owned(), "read"),
        ("account=x".to_owned(), "account"),
        ("account=acc_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), "account"),
        ("agent=que_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), "agent"),
        ("queue=x".to_owned(), "queue"),
        ("tags=%0A".to_owned(), "tags"),
        ("from=2026-02-30".to_owned(), "from"),
        ("to=2011-12-30&zone=Pacific/Apia".to_owned(), "to"),
        ("zone=Mars/Base".to_owned(), "zone"),
        (format!("after={next}&status=open"), "after"),
        (format!("after={tampered}"), "after"),
        ("after=x".to_owned(), "after"),
    ] {
        let (status, problem) = sue.get(&format!("/interactions?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}: {problem}");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1), "{query}: {problem}");
    }
    let (status, problem) = sue.get("/interactions?limit=0&status=over&from=x").await;
    assert_eq!((status, problem["errors"].as_array().map(Vec::len)), (422, Some(3)), "{problem}");
}

#[tokio::test]
async fn agents_list_their_own_accounts_and_a_deleted_account_stays_listed_for_supervisors() {
    let desk = Desk::open("OWNED", 5).await;
    let path = desk.accepted(1).await;
    let (account, shown) = (&desk.account.id, id(&path));
    assert_eq!(desk.anna().post(&format!("{path}/close"), json!({})).await.0, 200);
    desk.deployment.ready_agent("zoe", 5).await;
    let zoe = desk.caller("zoe", &["agent"]);
    assert_eq!(zoe.get("/interactions/all").await, (200, json!({"items": []})));
    assert_eq!(zoe.get(&format!("/interactions/all?account={account}")).await.1["errors"][0]["field"], "account");
    assert_eq!(desk.over("anna", "agent").get("/interactions").await.0, 403);
    let sue = desk.over("anybody", "supervisor");
    assert_eq!(sue.get("/interactions").await.1["items"][0]["account_deleted"], Value::Null);
    let stored = desk.administrator();
    let version = stored.get(&format!("/accounts/{account}")).await.1["version"].clone();
    let version = if version.is_null() { json!(1) } else { version };
    let (at, based_on) = (format!("/accounts/{account}?confirm=OWNED"), [("if-match", format!("\"{version}\""))]);
    let (status, problem) = stored.call_with("DELETE", &at, &based_on, None).await;
    assert_eq!(status, 204, "{problem}");
    // Caches of the configuration are seconds old.
    let sue = Caller { router: desk.fresh_routers()["/supervisor"].clone(), ..sue };
    let (_, page) = sue.get(&format!("/interactions?account={account}")).await;
    assert_eq!((&page["items"][0]["id"], &page["items"][0]["account_deleted"]), (&json!(shown), &json!(true)), "{page}");
    assert_eq!(all(&sue, "/interactions?").await.0, [shown]);
}

#[tokio::test]
async fn a_page_asks_each_shelf_once_and_three_times_at_most_where_a_filter_leaves_most_out() {
    let desk = Desk::open("COSTS", 5).await;
    for number in 1..=5 {
        desk.ring(number).await;
    }
    let sue = desk.over("anybody", "supervisor");
    sue.get("/interactions").await;
    let queries = async |path: &str| {
        desk.deployment.proxy.calls();
        assert_eq!(sue.get(path).await.0, 200);
        desk.deployment.proxy.calls().iter().filter(|call| call.contains("Query")).count()
    };
    // Four shelves, the latest message of each entry, and the deleted accounts.
    assert_eq!(queries("/interactions").await, 4 + 5 + 1);
    assert_eq!(queries("/interactions?tags=none").await, 4 + 1);
    assert_eq!(queries("/interactions?status=open").await, 1 + 5 + 1);
}

#[tokio::test]
async fn a_search_finds_by_rows_and_by_the_text_of_messages_and_is_resumed_to_its_end() {
    let desk = Desk::open("SEEKS", 5).await;
    let (anna, sue) = (desk.anna(), desk.over("anybody", "supervisor"));
    let (open, closed) = (desk.accepted(1).await, desk.accepted(2).await);
    assert_eq!(anna.post(&format!("{closed}/notes"), json!({"text": "Perché  così TARDI?"})).await.0, 201);
    assert_eq!(anna.post(&format!("{closed}/close"), json!({})).await.0, 200);
    assert_eq!(anna.post(&format!("{closed}/archive"), json!({})).await.0, 200);
    let condition = |field: &str, operator: &str, value: &str| json!({"field": field, "operator": operator, "value": value});
    let found = async |caller: &Caller, search: Value| {
        let (mut ids, mut after) = (Vec::new(), Value::Null);
        loop {
            let (status, answer) = caller.post("/search", json!({"search": search, "limit": 1, "after": after})).await;
            assert_eq!(status, 200, "{answer}");
            ids.extend(answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            assert_eq!(answer["through"].is_string(), answer["next"].is_string(), "{answer}");
            after = answer["next"].clone();
            if after.is_null() {
                return ids;
            }
        }
    };
    let (first, second) = (id(&open), id(&closed));
    for (conditions, expected) in [
        (json!([]), vec![&second, &first]),
        (json!([condition("text", "contains", "perche cosi tardi")]), vec![&second]),
        (json!([condition("text", "equals", "HELLO")]), vec![&second, &first]),
        (json!([condition("agent", "starts_with", "ann"), condition("status", "equals", "open")]), vec![&first]),
        (json!([condition("account", "equals", "seeks"), condition("status", "equals", "archived")]), vec![&second]),
        (json!([condition("queue", "equals", "nobody's")]), vec![]),
    ] {
        for caller in [&sue, &anna] {
            let ids = found(caller, json!({"conditions": conditions})).await;
            assert_eq!(ids, expected.iter().map(|id| (*id).clone()).collect::<Vec<_>>(), "{conditions}");
        }
    }
    desk.deployment.ready_agent("zoe", 5).await;
    assert!(found(&desk.caller("zoe", &["agent"]), json!({})).await.is_empty(), "an agent searches the own accounts alone");
    assert_eq!(desk.over("anna", "agent").post("/search", json!({"search": {}})).await.0, 403);
    let (_, fields) = sue.get("/search/fields").await;
    assert_eq!((&fields["items"].as_array().map(Vec::len), &fields["most_conditions"]), (&Some(20), &json!(20)));
    // What is wrong is named by its place, and nothing is looked for.
    let cursor = sue.post("/search", json!({"search": {}, "limit": 1})).await.1["next"].clone();
    let many: Vec<Value> = (0..21).map(|_| condition("id", "differs", "x")).collect();
    for (call, field) in [
        (json!({"search": {"conditions": [condition("colour", "equals", "red")]}}), "search.conditions[0].field"),
        (json!({"search": {"conditions": [condition("text", "like", "x")]}}), "search.conditions[0].operator"),
        (json!({"search": {"conditions": [{"field": "priority", "operator": "less", "value": "x"}]}}), "search.conditions[0].value"),
        (json!({"search": {"conditions": [{"field": "text", "operator": "equals", "value": true}]}}), "search.conditions[0].value"),
        (json!({"search": {"conditions": many}}), "search.conditions[20]"),
        (json!({"search": {"zone": "Mars/Base"}}), "search.zone"),
        (json!({"search": {"conditions": [condition("tags", "equals", "x")]}, "after": cursor}), "after"),
        (json!({"search": {}, "after": format!("1{}", cursor.as_str().unwrap())}), "after"),
        (json!({"search": {}, "limit": 101}), "limit"),
        (json!({"search": {}, "colour": 1}), "colour"),
    ] {
        let (status, problem) = sue.post("/search", call.clone()).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{call}: {problem}");
    }
}

#[tokio::test]
async fn a_search_for_a_text_believes_the_document_of_a_closed_interaction_until_it_is_opened_again() {
    let desk = Desk::open("DOCUM", 5).await;
    let (anna, sue) = (desk.anna(), desk.over("anybody", "supervisor"));
    let path = desk.accepted(1).await;
    let store = &desk.deployment.store;
    let now = async || {
        let key = store.locate(&id(&path).parse().unwrap()).await.unwrap().unwrap();
        let interaction = store.interaction(&key).await.unwrap().unwrap();
        let thread = Lists::thread(store, &interaction).await.unwrap();
        (interaction, thread)
    };
    let finds = async |value: &str| {
        let condition = json!({"field": "text", "operator": "contains", "value": value});
        let (status, answer) = sue.post("/search", json!({"search": {"conditions": [condition]}})).await;
        assert_eq!(status, 200, "{answer}");
        answer["items"].as_array().unwrap().len()
    };
    assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
    assert_eq!(finds("hello").await, 1, "it has no document yet");

    let documents = Documents::new(desk.deployment.aws.dynamodb(), "derived");
    let (interaction, thread) = now().await;
    let document = Document::of(&interaction, &thread).unwrap();
    documents.put(&document).await.unwrap();
    assert_eq!((finds("hello").await, finds("goodbye").await), (1, 0));
    // One that tells something else shows that the thread is not read, and that nothing is shown that is not there.
    let mut wrong = document.clone();
    wrong.facts.text = "goodbye".to_owned();
    documents.put(&wrong).await.unwrap();
    assert_eq!((finds("hello").await, finds("goodbye").await), (0, 0));
    // Once the interaction has been opened again, the document is about something else: also after the next closing.
    assert_eq!(anna.post(&format!("{path}/reopen"), json!({})).await.0, 200);
    assert_eq!(finds("hello").await, 1);
    assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
    assert_eq!(finds("hello").await, 1);
    let (interaction, thread) = now().await;
    documents.put(&Document::of(&interaction, &thread).unwrap()).await.unwrap();
    assert_eq!((finds("hello").await, finds("goodbye").await), (1, 0));
}
