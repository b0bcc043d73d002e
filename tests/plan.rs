//! The action plan on the real tables: each decision reads what the previous one wrote.

use crate::support::{AUTH_TOKEN, Deployment, sid, text, webhook};
use domain::account::Account;
use domain::decide::Event;
use domain::history::{Did, Fact};
use domain::ids::IntervalId;
use domain::interaction::{Interaction, Stage};
use domain::interval::Interval;
use domain::message::{Author, Message};
use domain::priority::Priority;
use domain::queue::{MissedLimit, Queue, Strategy};
use domain::tag::Tag;
use domain::variables::VariableName;
use engine::Reach;
use engine::ports::{Directory, Idempotency, Store};
use serde_json::json;
use store::Write;

/// Writes another version of an account's plan.
async fn replan(deployment: &Deployment, account: &Account, steps: serde_json::Value) {
    let (before, version) = deployment.configuration.get::<Account>(account.id.as_str()).await.unwrap().unwrap();
    let mut after = before.clone();
    after.plan = serde_json::from_value(json!({"version": before.plan.version + 1, "steps": steps})).unwrap();
    assert_eq!(after.plan.faults(), []);
    deployment.configuration.put(&after, Write::Replace { before: &before, version }, Vec::new()).await.unwrap();
    deployment.engine.directory.forget();
}

/// Receives and routes a customer's message, and returns its interaction.
async fn write(deployment: &Deployment, account: &Account, number: usize) -> Interaction {
    let from = format!("whatsapp:+39340000{number:04}");
    let request = webhook(account.receive_path.reveal(), "", &text(&sid(number), &from, "an urgent order"), Some(AUTH_TOKEN));
    assert!(deployment.receive().handle(&request).await.status().is_success());
    assert_eq!(deployment.route_inbound().await, 1);
    let message = deployment.store.message_by_provider_id(&account.id, &sid(number)).await.unwrap().unwrap();
    let id = message.interaction.interaction;
    let key = deployment.engine.locate(&id).await.unwrap();
    deployment.store.interaction(&key).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_run_through_all_kinds_of_steps_is_written_and_read_as_it_was_decided() {
    let deployment = Deployment::new().await;
    let agent = deployment.ready_agent("anna", 1).await;
    let queue = deployment.queue(Strategy::LeastRecent, std::slice::from_ref(&agent)).await;
    let account = deployment.account("STEPS", std::slice::from_ref(&agent), &queue).await;
    let id = IntervalId::from_ulid(cloud::ids::ulid());
    let always: Interval = serde_json::from_value(json!({"id": id, "name": "Always", "time_zone": "Europe/Rome"})).unwrap();
    deployment.configuration.put(&always, Write::New, Vec::new()).await.unwrap();
    let plan = json!([
        {"step": "auto_reply", "text": "Hello from {{account.name}}", "interval": {"only_within": id}},
        {"step": "tag", "tag": "never", "interval": {"only_outside": id}},
        {"step": "goto_if", "condition": "message.text contains 'urgent'", "then": "urgent"},
        {"step": "close"},
        {"label": "urgent", "step": "priority", "priority": 9},
        {"step": "tag", "tag": "urgent"},
        {"step": "set", "variable": "lang", "value": "it"},
        {"step": "webhook", "url": "https://crm.example.com"},
        {"step": "queue", "queue": queue, "timeout": 600},
    ]);
    replan(&deployment, &account, plan).await;
    let asked = write(&deployment, &account, 1).await;
    let wait = asked.wait.clone().unwrap();
    assert_eq!(wait.stage, Stage::Webhook { index: 7, plan: 2 });
    assert_eq!((asked.tags.as_slice(), asked.priority), (&[Tag::parse("urgent").unwrap()][..], Priority::new(9).unwrap()));
    assert_eq!((asked.variables.get("lang"), asked.run.number, asked.run.replied.len()), ("it", 1, 1));
    let thread: Vec<Message> = deployment.store.all_messages(&asked).await.unwrap();
    assert_eq!(thread.iter().map(|message| message.content.readable()).collect::<Vec<_>>(), ["an urgent order", "Hello from STEPS"]);
    assert_eq!(thread[1].author, Author::System);

    let answer = Ok(vec![(VariableName::parse("tier").unwrap(), "gold".to_owned())]);
    deployment.engine.tell(&asked.key(), Event::WebhookAnswered { wait: wait.id, answer }, Idempotency::Guarded).await.unwrap();
    let rung = deployment.engine.wake(&domain::effect::Target::Queue(queue.clone()), Reach::Far).await.unwrap();
    let waiting = deployment.store.interaction(&asked.key()).await.unwrap().unwrap();
    assert_eq!((rung.rung, waiting.variables.get("tier")), (1, "gold"));
    let presence = deployment.store.presences(std::slice::from_ref(&agent)).await.unwrap().remove(&agent).unwrap();
    assert!(presence.last_offered.is_some());

    // The whole history at once, and page by page.
    let all = deployment.store.history(&asked.key()).await.unwrap();
    assert!(all.iter().any(|entry| matches!(&entry.fact, Fact::StepDone { index: 2, did: Did::GotoIf { held: true, to: 4 } })));
    let (mut pages, mut after) = (Vec::new(), 0);
    loop {
        let (page, next) = deployment.store.history_page(&asked.key(), after, 1).await.unwrap();
        pages.extend(page);
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(pages, all);
}

#[tokio::test]
async fn an_acceptance_resets_the_count_of_missed_offers() {
    let deployment = Deployment::new().await;
    let agent = deployment.ready_agent("anna", 2).await;
    let queue = deployment.queue(Strategy::Rrmemory, std::slice::from_ref(&agent)).await;
    let (before, version) = deployment.configuration.get::<Queue>(queue.as_str()).await.unwrap().unwrap();
    let limit = MissedLimit::new(2).unwrap();
    let limited = Queue { pause_after_missed: Some(limit), ..before.clone() };
    deployment.configuration.put(&limited, Write::Replace { before: &before, version }, Vec::new()).await.unwrap();
    assert_eq!(deployment.configuration.queue(&queue).await.unwrap().unwrap().pause_after_missed, Some(limit));
    let account = deployment.account("MISSD", std::slice::from_ref(&agent), &queue).await;
    let missed = async || deployment.store.presences(std::slice::from_ref(&agent)).await.unwrap()[&agent].missed;
    deployment.engine.missed(&agent, limit, Idempotency::Command { id: "one".to_owned() }).await.unwrap();
    deployment.engine.missed(&agent, limit, Idempotency::Command { id: "one".to_owned() }).await.unwrap();
    assert_eq!(missed().await, 1, "a repetition counts once");
    let interaction = write(&deployment, &account, 2).await;
    deployment.engine.wake(&domain::effect::Target::Queue(queue), Reach::Far).await.unwrap();
    deployment.engine.tell(&interaction.key(), Event::Accept { agent: agent.clone() }, Idempotency::Guarded).await.unwrap();
    assert_eq!(missed().await, 0);
    for id in ["two", "three"] {
        deployment.engine.missed(&agent, limit, Idempotency::Command { id: id.to_owned() }).await.unwrap();
    }
    let presence = deployment.store.presences(std::slice::from_ref(&agent)).await.unwrap().remove(&agent).unwrap();
    assert_eq!(presence.state(), domain::agent::PresenceState::Paused { reason: engine::MISSED_TOO_MANY.to_owned() });
}
