//! The supervisors' API: reading any interaction without marking it as read, and acting on it.

use std::time::Duration;

use domain::ids::InteractionId;
use engine::ports::Store;
use serde_json::{Value, json};

use crate::{Caller, Desk};

impl Desk {
    /// A caller of the supervisors' API. `subject` may be no agent's.
    fn over(&self, subject: &str, role: &str) -> Caller {
        self.with_token("/supervisor", self.issuer.mint(subject, &[role], Duration::from_secs(600)).unwrap())
    }

    /// A supervisor with an agent's record who is on no account.
    async fn supervisor(&self) -> Caller {
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
    let id: InteractionId = path.rsplit('/').next().unwrap().parse().unwrap();
    let key = desk.deployment.store.locate(&id).await.unwrap().unwrap();
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
