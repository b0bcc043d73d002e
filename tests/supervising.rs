//! The supervisors' API: reading any interaction without marking it as read, and acting on it.

use std::time::Duration;

use cloud::objects::Objects;
use domain::effect::InteractionKey;
use domain::ids::InteractionId;
use engine::ports::Store;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Order;
use views::transcript::{log_key, transcript_key};

use crate::support::fault::When;
use crate::{Caller, Desk};

impl Desk {
    /// A caller of the supervisors' API. `subject` may be no agent's.
    pub(crate) fn over(&self, subject: &str, role: &str) -> Caller {
        self.with_token("/supervisor", self.issuer.mint(subject, &[role], Duration::from_secs(600)).unwrap())
    }

    /// The key of the interaction at a path.
    async fn key(&self, path: &str) -> InteractionKey {
        let id: InteractionId = path.rsplit('/').next().unwrap().parse().unwrap();
        self.deployment.store.locate(&id).await.unwrap().unwrap()
    }

    /// A supervisor with an agent's record who is on no account.
    pub(crate) async fn supervisor(&self) -> Caller {
        self.deployment.ready_agent("sue", 5).await;
        self.over("sue", "supervisor")
    }
}

/// Routes below an interaction that only read.
const READS: [&str; 4] = ["", "/history", "/messages", "/transcript"];

#[tokio::test]
async fn supervisors_read_any_interaction_nobody_else_does_and_nothing_is_marked_read() {
    let desk = Desk::open("OVERS", 5).await;
    let path = desk.ring(1).await;
    let key = desk.key(&path).await;
    let before = desk.deployment.store.interaction(&key).await.unwrap().unwrap();
    // With `RoleSource=claim` a supervisor needs no agent's record to read.
    for role in ["supervisor", "admin", "owner"] {
        for read in READS {
            let (status, shown) = desk.over("anybody", role).get(&format!("{path}{read}")).await;
            assert_eq!(status, if read == "/transcript" { 404 } else { 200 }, "{role} {read}: {shown}");
        }
        let (_, thread) = desk.over("anybody", role).get(&format!("{path}/messages")).await;
        assert_eq!(thread["items"][0]["content"]["body"], "hello");
    }
    assert_eq!(desk.deployment.store.interaction(&key).await.unwrap().unwrap(), before);
    for read in READS {
        assert_eq!(desk.over("anna", "agent").get(&format!("{path}{read}")).await.0, 403, "{read}");
        assert_eq!(desk.with_token("/supervisor", String::new()).get(&format!("{path}{read}")).await.0, 401, "{read}");
    }
    for nowhere in ["/interactions/x", "/interactions/int_01ARZ3NDEKTSV4RRFFQ69G5FAV", "/nothing"] {
        assert_eq!(desk.over("anybody", "supervisor").get(nowhere).await.0, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn a_supervisor_acts_on_any_interaction_and_its_agent_sees_it() {
    let desk = Desk::open("ACTS1", 5).await;
    let path = desk.accepted(1).await;
    let (sue, anna) = (desk.supervisor().await, desk.anna());
    let (status, note) = sue.post(&format!("{path}/notes"), json!({"text": "Offer a refund"})).await;
    assert_eq!((status, &note["content"]), (201, &json!({"type": "note", "body": "Offer a refund"})), "{note}");
    assert_eq!(anna.get(&format!("{path}/messages")).await.1["items"][1]["id"], note["id"]);
    let (status, tagged) = sue.post(&format!("{path}/tags"), json!({"add": ["vip"]})).await;
    assert_eq!((status, &tagged["tags"]), (200, &json!(["vip"])), "{tagged}");
    // The account has no AI agent. Switching off what is off changes nothing.
    let (status, problem) = sue.call("PUT", &format!("{path}/ai"), None, Some(json!({"on": true}))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/no-ai-agent")));
    assert_eq!(sue.call("PUT", &format!("{path}/ai"), None, Some(json!({"on": false}))).await.0, 200);
    let (status, given) = sue.post(&format!("{path}/reassign"), json!({"agent": desk.agents[1]})).await;
    assert_eq!((status, &given["agent"]), (200, &json!(desk.agents[1])), "{given}");
    assert_eq!(sue.post(&format!("{path}/archive"), json!({})).await.1["type"], "/problems/still-open");
    let (status, closed) = sue.post(&format!("{path}/close"), json!({"disposition": "Solved"})).await;
    assert_eq!((status, &closed["status"], &closed["disposition"]), (200, &json!("closed"), &json!("Solved")), "{closed}");
    assert_eq!(sue.post(&format!("{path}/archive"), json!({})).await.1["archived"], true);
    assert_eq!(sue.post(&format!("{path}/transcript"), json!({})).await.0, 202);
    // The history names the supervisor.
    let (_, history) = sue.get(&format!("{path}/history?limit=200")).await;
    let by = |fact: &str, who: &str| {
        let entries = history["items"].as_array().unwrap();
        entries.iter().find(|entry| entry["fact"] == fact).map(|entry| entry[who].clone()).unwrap_or_default()
    };
    let sue = desk.deployment.configuration.agent_of_subject("sue").await.unwrap().unwrap();
    for (fact, who) in [("note_added", "agent"), ("retagged", "agent"), ("reassigned", "by"), ("closed", "agent"), ("archived", "agent")] {
        assert_eq!(by(fact, who), json!(sue), "{fact}: {history}");
    }
}

#[tokio::test]
async fn a_supervisor_without_an_agents_record_reads_but_does_not_act() {
    let desk = Desk::open("NOREC", 5).await;
    let path = desk.accepted(1).await;
    let commands: [(&str, &str, Value); 7] = [
        ("POST", "/notes", json!({"text": "x"})),
        ("POST", "/tags", json!({"add": ["x"]})),
        ("PUT", "/ai", json!({"on": false})),
        ("POST", "/reassign", json!({"agent": desk.agents[1]})),
        ("POST", "/close", json!({})),
        ("POST", "/archive", json!({})),
        ("POST", "/transcript", json!({})),
    ];
    let before = desk.over("nobody", "owner").get(&path).await.1;
    for (method, command, body) in commands {
        let (status, problem) = desk.over("nobody", "owner").call(method, &format!("{path}{command}"), None, Some(body)).await;
        assert_eq!((status, &problem["type"]), (403, &json!("/problems/no_agent")), "{command}");
    }
    assert_eq!(desk.over("nobody", "owner").get(&path).await, (200, before));
}

#[tokio::test]
async fn a_supervisor_watches_a_thread_and_neither_its_agent_nor_its_state_tells() {
    let desk = Desk::open("WATCH", 5).await;
    let path = desk.accepted(1).await;
    let (sue, anna) = (desk.supervisor().await, desk.anna());
    let before = anna.get(&path).await.1;
    let watch = format!("{path}/watch");
    let (status, first) = sue.call("PUT", &watch, None, None).await;
    assert_eq!(status, 200, "{first}");
    let until = |watch: &Value| watch["until"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let lasts = until(&first).duration_since(Timestamp::now());
    assert!(lasts.as_mins() >= 239 && lasts.as_mins() <= 240, "{first}");
    let (status, renewed) = sue.call("PUT", &watch, None, None).await;
    assert_eq!((status, until(&renewed) >= until(&first)), (200, true), "{first} {renewed}");
    // Only the version has grown.
    let after = anna.get(&path).await.1;
    let unversioned = |mut shown: Value| {
        shown.as_object_mut().unwrap().remove("version");
        shown
    };
    assert_eq!(unversioned(after), unversioned(before));
    assert_eq!(desk.deployment.store.interaction(&desk.key(&path).await).await.unwrap().unwrap().watchers.len(), 1);
    for _ in 0..2 {
        assert_eq!(sue.call("DELETE", &watch, None, None).await.0, 204);
    }
    assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
    let (status, problem) = sue.call("PUT", &watch, None, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/closed")));
    assert_eq!(sue.call("DELETE", &watch, None, None).await.0, 204);
}

#[tokio::test]
async fn the_audit_trail_tells_who_watched_read_and_downloaded_and_nothing_twice() {
    let desk = Desk::open("LOOKS", 5).await;
    let path = desk.accepted(1).await;
    let (sue, anna) = (desk.supervisor().await, desk.anna());
    let who = desk.deployment.configuration.agent_of_subject("sue").await.unwrap().unwrap();
    let id = path.rsplit('/').next().unwrap().to_owned();
    let told = async || {
        let entries = desk.audit().await.into_iter().rev().filter(|entry| entry["of"] == json!(id));
        entries.map(|entry| (entry["who"].clone(), entry["action"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    let by_sue = |actions: &[&str]| actions.iter().map(|action| (json!(who), (*action).to_owned())).collect::<Vec<_>>();
    // Its agent and a colleague on the account read it for their work.
    for caller in [&anna, &desk.ben()] {
        assert_eq!(caller.get(&format!("{path}/messages")).await.0, 200);
    }
    assert_eq!(told().await, []);
    // A supervisor who is on no account reads by role alone, on either API.
    let at_agents = desk.caller("sue", &["supervisor"]);
    for _ in 0..2 {
        assert_eq!(sue.get(&format!("{path}/messages?limit=1")).await.0, 200);
        assert_eq!(at_agents.get(&format!("{path}/messages")).await.0, 200);
    }
    assert_eq!(told().await, by_sue(&["viewed"]));
    let watch = format!("{path}/watch");
    for method in ["PUT", "PUT", "DELETE", "DELETE"] {
        assert!(sue.call(method, &watch, None, None).await.0 < 300);
    }
    assert_eq!(told().await, by_sue(&["viewed", "watched", "unwatched"]));
    // What can't be told of is not shown.
    desk.deployment.proxy.fail("DynamoDB_20120810.TransactWriteItems", When::Before);
    let other = desk.over("anybody", "admin");
    assert_eq!(other.get(&format!("{path}/messages")).await.0, 503);
    desk.deployment.proxy.heal();
    assert_eq!(other.get(&format!("{path}/messages")).await.0, 200);
    assert_eq!(told().await.last(), Some(&(json!("anybody"), "viewed".to_owned())));
    // A closed one is no running thread, but its files leave the house.
    assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
    let before = told().await.len();
    assert_eq!(desk.over("nobody", "owner").get(&format!("{path}/messages")).await.0, 200);
    assert_eq!((sue.get(&format!("{path}/log")).await.0, sue.get(&format!("{path}/transcript")).await.0), (404, 404));
    assert_eq!(told().await.len(), before, "there was nothing to take");
    let objects = Objects::from_env(&desk.deployment.aws, &desk.deployment.env).unwrap();
    let closed = desk.deployment.store.interaction(&desk.key(&path).await).await.unwrap().unwrap();
    for key in [log_key(&closed).unwrap(), transcript_key(&closed, false)] {
        objects.put(&key, b"{}".to_vec(), "application/json").await.unwrap();
    }
    assert_eq!((sue.get(&format!("{path}/log")).await.0, anna.get(&format!("{path}/transcript")).await.0), (200, 200));
    assert_eq!(told().await[before..], [(json!(who), "downloaded".to_owned()), (json!(desk.agents[0]), "downloaded".to_owned())]);
}

#[tokio::test]
async fn a_sixth_watcher_and_one_without_a_record_are_refused() {
    let desk = Desk::open("SIXTH", 5).await;
    let watch = format!("{}/watch", desk.ring(1).await);
    for number in 0..6 {
        let subject = format!("supervisor-{number}");
        desk.deployment.ready_agent(&subject, 5).await;
        let (status, answer) = desk.over(&subject, "supervisor").call("PUT", &watch, None, None).await;
        let expected = if number < 5 { (200, &Value::Null) } else { (409, &json!("/problems/too-many-watchers")) };
        assert_eq!((status, &answer["type"]), expected, "{number}");
    }
    let (status, problem) = desk.over("nobody", "owner").call("PUT", &watch, None, None).await;
    assert_eq!((status, &problem["type"]), (403, &json!("/problems/no_agent")));
    assert_eq!(desk.over("anna", "agent").call("PUT", &watch, None, None).await.0, 403);
}

#[tokio::test]
async fn a_supervisor_reopens_for_an_agent_or_for_whomever_the_plan_finds() {
    let desk = Desk::open("AGAIN", 5).await;
    let path = desk.accepted(1).await;
    let (sue, reopen) = (desk.supervisor().await, format!("{path}/reopen"));
    assert_eq!(sue.post(&reopen, json!({})).await.1["type"], "/problems/still-open");
    for (body, agent) in [(json!({"agent": desk.agents[1]}), json!(desk.agents[1])), (json!({}), Value::Null)] {
        assert_eq!(sue.post(&format!("{path}/close"), json!({})).await.0, 200);
        let (status, reopened) = sue.post(&reopen, body).await;
        assert_eq!((status, &reopened["status"], &reopened["agent"], &reopened["unread"]), (200, &json!("open"), &agent, &json!(true)));
    }
    assert_eq!(sue.post(&format!("{path}/close"), json!({})).await.0, 200);
    assert_eq!(sue.post(&reopen, json!({"agent": "ben"})).await.1["errors"][0]["field"], "agent");
    let stranger = desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(sue.post(&reopen, json!({"agent": stranger})).await.1["type"], "/problems/no-such-target");
}

#[tokio::test]
async fn logs_are_listed_by_account_and_day_in_pages_and_downloaded() {
    let desk = Desk::open("LOGS1", 5).await;
    let objects = Objects::from_env(&desk.deployment.aws, &desk.deployment.env).unwrap();
    let reader = desk.over("anybody", "supervisor");
    let path = desk.accepted(1).await;
    assert_eq!(reader.get(&format!("{path}/log")).await.1["type"], "/problems/log-not-ready");
    assert_eq!(desk.anna().post(&format!("{path}/close"), json!({})).await.0, 200);
    assert_eq!(reader.get(&format!("{path}/log")).await.1["type"], "/problems/log-not-ready");
    let closed = desk.deployment.store.interaction(&desk.key(&path).await).await.unwrap().unwrap();
    objects.put(&log_key(&closed).unwrap(), b"{}".to_vec(), "application/json").await.unwrap();
    let (status, link) = reader.get(&format!("{path}/log")).await;
    assert_eq!(status, 200, "{link}");
    let url = link["url"].as_str().unwrap();
    assert!(url.contains("attachment") && url.contains(&format!("LOGS1-{}", closed.id)), "{url}");
    // Two more of that day, one of another day and one of another account.
    let (account, day) = (&desk.account.id, closed.closed_at.unwrap().strftime("%Y-%m-%d").to_string());
    let other = domain::ids::AccountId::from_ulid(cloud::ids::ulid());
    let id = || InteractionId::from_ulid(cloud::ids::ulid());
    let mut later = [id(), id()];
    later.sort();
    let keys = [
        format!("logs/{account}/{day}/{}.json", later[0]),
        format!("logs/{account}/{day}/{}.json", later[1]),
        format!("logs/{account}/2020-02-29/{}.json", id()),
        format!("logs/{other}/{day}/{}.json", id()),
    ];
    for key in keys {
        objects.put(&key, b"{}".to_vec(), "application/json").await.unwrap();
    }
    let page = async |after: &str| {
        let (status, page) = reader.get(&format!("/logs?account={account}&day={day}&limit=2{after}")).await;
        assert_eq!(status, 200, "{page}");
        let shown: Vec<Value> = page["items"].as_array().unwrap().iter().map(|entry| entry["interaction"].clone()).collect();
        (shown, page["next"].as_str().map(|next| format!("&after={next}")))
    };
    let (first, next) = page("").await;
    let (second, end) = page(&next.unwrap()).await;
    assert_eq!([first, second].concat(), [json!(closed.id), json!(later[0]), json!(later[1])]);
    assert_eq!(end, None);
    assert_eq!(reader.get(&format!("/logs?account={account}&day=2020-02-29")).await.1["items"].as_array().unwrap().len(), 1);
    let nothing = reader.get(&format!("/logs?account={account}&day=2020-03-01")).await;
    assert_eq!(nothing, (200, json!({"items": []})));
    for (query, field) in [
        ("day=2026-01-01".to_owned(), "account"),
        (format!("account={account}"), "day"),
        (format!("account={account}&day=2026-02-30"), "day"),
        (format!("account={account}&day=2026-01-01/x"), "day"),
        (format!("account=x&day={day}"), "account"),
        (format!("account={account}&day={day}&after=../x"), "after"),
    ] {
        let (status, problem) = reader.get(&format!("/logs?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}");
    }
    assert_eq!(desk.over("anna", "agent").get(&format!("/logs?account={account}&day={day}")).await.0, 403);
    assert_eq!(desk.over("anna", "agent").get(&format!("{path}/log")).await.0, 403);
}

#[tokio::test]
async fn the_history_notes_the_role_of_whoever_acted_at_that_time() {
    let desk = Desk::open("ROLES", 5).await;
    let path = desk.accepted(1).await;
    let sue = desk.supervisor().await;
    assert_eq!(sue.post(&format!("{path}/tags"), json!({"add": ["vip"]})).await.0, 200);
    assert_eq!(desk.anna().post(&format!("{path}/messages"), json!({"text": "hello"})).await.0, 201);
    assert_eq!(desk.caller("anna", &["admin"]).post(&format!("{path}/messages"), json!({"text": "hello"})).await.0, 201);
    assert_eq!(desk.over("sue", "owner").post(&format!("{path}/close"), json!({})).await.0, 200);
    let (_, history) = sue.get(&format!("{path}/history?limit=200")).await;
    let of = |fact: &str| -> Vec<Value> {
        let entries = history["items"].as_array().unwrap();
        entries.iter().filter(|entry| entry["fact"] == fact).map(|entry| entry["role"].clone()).collect()
    };
    assert_eq!(of("accepted"), [json!("agent")]);
    assert_eq!(of("retagged"), [json!("supervisor")]);
    assert_eq!(of("message_sent").last(), Some(&json!("admin")), "{history}");
    assert_eq!(of("closed"), [json!("owner")]);
    assert_eq!(of("opened"), [Value::Null]);
}

#[tokio::test]
async fn a_thread_is_read_newest_page_first_too_also_where_another_was_merged_into_it() {
    let desk = Desk::open("NEWST", 5).await;
    let path = desk.accepted(1).await;
    let reader = desk.over("anybody", "supervisor");
    for number in 0..6 {
        assert_eq!(desk.anna().post(&format!("{path}/messages"), json!({"text": format!("{number}")})).await.0, 201);
    }
    // A second source of messages, as after a merger.
    let other = desk.ring(2).await;
    let key = desk.key(&other).await;
    let mut merged = desk.deployment.store.interaction(&desk.key(&path).await).await.unwrap().unwrap();
    merged.absorbed.push(key);
    let walk = async |order: Order, limit: i32| {
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = desk.deployment.store.thread(&merged, after.as_deref(), limit, order).await.unwrap();
            assert!(page.messages.len() <= usize::try_from(limit).unwrap());
            seen.extend(page.messages.into_iter().map(|message| message.id));
            match page.next {
                Some(next) => after = Some(next),
                None => return seen,
            }
        }
    };
    let forwards = walk(Order::OldestFirst, 3).await;
    assert_eq!(forwards.len(), 8);
    for limit in 1..=9 {
        let mut backwards = walk(Order::NewestFirst, limit).await;
        backwards.reverse();
        assert_eq!(backwards, forwards, "{limit}");
    }
    let (status, page) = reader.get(&format!("{path}/messages?newest=true&limit=2")).await;
    let bodies = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|message| message["content"]["body"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((status, bodies(&page)), (200, vec!["5".to_owned(), "4".to_owned()]));
    let next = page["next"].as_str().unwrap();
    let (_, page) = reader.get(&format!("{path}/messages?newest=true&limit=2&after={next}")).await;
    assert_eq!(bodies(&page), ["3", "2"]);
}
