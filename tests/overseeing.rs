//! What supervisors see of queues and agents, and what agents see of their queues.

use futures_util::future::join_all;

use super::*;

impl Desk {
    /// The same person at a process of its own.
    fn elsewhere(&self, caller: &Caller) -> Caller {
        Caller { router: self.fresh_routers()[caller.base].clone(), base: caller.base, token: caller.token.clone() }
    }
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}

fn at(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_supervisor_sees_what_waits_and_who_has_what() {
    let desk = Desk::open("BOARD", 5).await;
    let accepted = desk.accepted(1).await;
    let before = Timestamp::now();
    desk.ring(2).await;
    let sue = desk.over("sue", "supervisor");
    let (status, shown) = sue.get("/oversight").await;
    assert_eq!(status, 200, "{shown}");
    let queue = named(&shown["queues"], "Support");
    let counts = ["waiting", "offered", "staffed", "available"].map(|name| queue[name].as_u64().unwrap());
    assert_eq!((counts, at(&queue["waiting_since"]) >= before), ([1, 1, 2, 2], true), "{shown}");
    assert_eq!((&shown["accounts"][0]["key"], &shown["accounts"][0]["waiting"]), (&json!("BOARD"), &json!(0)));
    let (anna, ben) = (named(&shown["agents"], "anna"), named(&shown["agents"], "ben"));
    let id = accepted.rsplit('/').next().unwrap();
    assert_eq!((&anna["state"], &anna["load"], &anna["open"]), (&json!("ready"), &json!(1), &json!([id])), "{shown}");
    assert_eq!((&ben["load"], &ben["capacity"], &ben["open"]), (&json!(0), &json!(5), &json!([])));
    // An agent sees the own queues, at another process, in the same picture.
    let (status, own) = desk.anna().get("/queues").await;
    let expected = json!({"id": desk.queue, "name": "Support", "waiting": 1, "waiting_since": queue["waiting_since"]});
    assert_eq!((status, &own["queues"]), (200, &json!([expected])), "{own}");
    desk.deployment.ready_agent("carl", 5).await;
    assert_eq!(desk.caller("carl", &["agent"]).get("/queues").await.1["queues"], json!([]));
    assert_eq!(desk.over("anna", "agent").get("/oversight").await.0, 403);
}

#[tokio::test]
async fn twenty_supervisors_at_four_processes_cost_one_picture_at_a_time() {
    let desk = Desk::open("TWNTY", 5).await;
    let sue = desk.over("sue", "supervisor");
    let processes: Vec<Caller> = (0..4).map(|_| desk.elsewhere(&sue)).collect();
    // Warm: configuration and keys are cached. The first picture is made.
    for process in &processes {
        assert_eq!(process.get("/interactions").await.0, 200);
    }
    let first = at(&processes[0].get("/oversight").await.1["as_of"]);
    desk.deployment.proxy.calls();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(join_all(processes.iter().map(|process| process.get("/oversight"))).await);
    }
    let mut moments: Vec<Timestamp> = seen.iter().map(|(_, shown)| at(&shown["as_of"])).collect();
    moments.sort();
    moments.dedup();
    let made = moments.iter().filter(|moment| **moment != first).count();
    for moment in &moments {
        let same: Vec<&Value> = seen.iter().map(|(_, shown)| shown).filter(|shown| at(&shown["as_of"]) == *moment).collect();
        assert!(same.iter().all(|shown| *shown == same[0]), "{same:?}");
    }
    // The rows are asked for one queue and one account, once for each picture, however many look.
    let calls = desk.deployment.proxy.calls();
    let count = |operation: &str| calls.iter().filter(|call| call.ends_with(operation)).count();
    assert_eq!(count(".BatchGetItem"), made, "{calls:?}");
    assert!(made < 20 && count(".PutItem") >= 2 * made, "{calls:?}");
}

#[tokio::test]
async fn whoever_has_the_picture_already_gets_304() {
    let desk = Desk::open("AGAIN", 5).await;
    for (caller, path) in [(desk.over("sue", "supervisor"), "/oversight"), (desk.anna(), "/queues")] {
        let request = |tag: Option<&str>| {
            let request =
                Request::builder().uri(format!("{}{path}", caller.base)).header("authorization", format!("Bearer {}", caller.token));
            let request = tag.into_iter().fold(request, |request, tag| request.header("if-none-match", tag));
            caller.router.clone().oneshot(request.body(Body::empty()).unwrap())
        };
        let answer = request(None).await.unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(answer.status(), 200);
        // A newer picture may have been made meanwhile: then it has another tag.
        let again = request(Some(&tag)).await.unwrap();
        let is_same = again.headers()["etag"] == tag.as_str();
        assert_eq!(again.status(), if is_same { 304 } else { 200 }, "{path}");
        let body = to_bytes(again.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body.is_empty(), is_same, "{path}");
        assert_eq!(request(Some("\"0\"")).await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn an_agent_is_told_who_forced_the_presence_until_the_agent_changes_it() {
    let desk = Desk::open("WHOBY", 5).await;
    let sue = desk.supervisor().await;
    let by = desk.deployment.configuration.agent_of_subject("sue").await.unwrap().unwrap();
    let of_anna = format!("/agents/{}/presence", desk.agents[0]);
    let (status, forced) = sue.call("PUT", &of_anna, None, Some(json!({"state": "paused", "reason": "Training"}))).await;
    assert_eq!((status, &forced["by"], &forced["by_name"]), (200, &json!(by), &json!("sue")), "{forced}");
    assert_eq!((desk.anna().get("/presence").await.1, sue.get(&of_anna).await.1), (forced.clone(), forced));
    let of = |told: &Value| (told["state"].clone(), told["by"].clone(), told["by_name"].clone());
    // A logout, too, through the agents' own API.
    let at_agents = desk.caller("sue", &["supervisor"]);
    let (_, left) = at_agents.call("PUT", &of_anna, None, Some(json!({"state": "logged_out"}))).await;
    assert_eq!(of(&left), (json!("logged_out"), json!(by), json!("sue")));
    let (_, own) = desk.anna().call("PUT", "/presence", None, Some(json!({"state": "ready"}))).await;
    assert_eq!(of(&own), (json!("ready"), Value::Null, Value::Null));
    assert_eq!(desk.audit().await.len(), 2);
    // Who has no agent's record reads, and forces nothing.
    let nobody = desk.over("nobody", "owner");
    assert_eq!(nobody.get(&of_anna).await.0, 200);
    assert_eq!(nobody.call("PUT", &of_anna, None, Some(json!({"state": "logged_out"}))).await.1["type"], "/problems/no_agent");
}
